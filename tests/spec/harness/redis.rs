//! A real Redis on a free port, which a test can kill and start again.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::tls::Authority;
use super::wire::{Wire, eventually};

/// A Redis that writes down what it is told before it says so.
pub struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    /// Where it speaks TLS, if it does.
    tls: Option<u16>,
    process: Option<Child>,
}

impl Redis {
    pub fn start() -> Self {
        let mut redis = Self::not_started();
        redis.restart();
        redis
    }

    /// One that is to come.
    pub fn not_started() -> Self {
        let port = super::free_address().port();
        Self { folder: tempfile::tempdir().unwrap(), port, tls: None, process: None }
    }

    /// One that speaks TLS, too, with this certificate, and only to whom `clients` vouches for.
    pub fn secured(issued: &(String, String), clients: &Authority) -> Self {
        let mut redis = Self::not_started();
        redis.tls = Some(super::free_address().port());
        for (name, text) in [("cert.pem", &*issued.0), ("key.pem", &*issued.1), ("ca.pem", clients.pem())] {
            std::fs::write(redis.folder.path().join(name), text).unwrap();
        }
        redis.restart();
        redis
    }

    /// Its address over TLS.
    pub fn secured_url(&self) -> String {
        format!("rediss://localhost:{}/0", self.tls.expect("it speaks TLS"))
    }

    /// Its address, as `store` takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it, with what it has written down.
    pub fn restart(&mut self) {
        self.kill();
        let port = self.port.to_string();
        let arguments = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ];
        let mut command = Command::new("redis-server");
        if let Some(port) = self.tls {
            let files = [("cert", "cert.pem"), ("key", "key.pem"), ("ca-cert", "ca.pem")];
            command.arg("--tls-port").arg(port.to_string());
            command.args(
                files.iter().flat_map(|(name, file)| [format!("--tls-{name}-file"), (*file).to_owned()]),
            );
        }
        let command = command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("scripts/test installs redis-server"));
        eventually("Redis answers", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        eventually("Redis has read what it wrote", || self.says("PING").starts_with("+PONG"));
    }

    /// Starts it without anything.
    pub fn restart_empty(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("appendonlydir")).unwrap();
        self.restart();
    }

    /// Sends it a signal: `STOP`, and it does nothing with its connections open, until `CONT`.
    #[allow(dead_code, reason = "the gates do")]
    pub fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// What it answers to a command in its own words.
    pub fn says(&self, command: &str) -> String {
        let mut wire = Wire::to(([127, 0, 0, 1], self.port).into());
        wire.send(format!("{command}\r\nQUIT\r\n"));
        wire.rest()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
