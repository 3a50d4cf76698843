//! nginx as it stands in front in production: it holds the certificate, and passes on what it gets or asks the gateway
//! about it, as the documentation has it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::chromium::program;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running nginx. It ends when this is dropped.
pub(crate) struct Nginx {
    child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Takes TLS for `host` on one port and passes everything on to the gateway at the other.
    pub(crate) fn start(host: &str, port: u16, gateway: u16) -> Self {
        Self::configured(host, port, &recipe(include_str!("../../docs/in-front.md"), gateway))
    }

    /// The same in front of an app; the gateway is asked.
    pub(crate) fn asking(host: &str, port: u16, gateway: u16, app: SocketAddr) -> Self {
        let recipe = recipe(include_str!("../../docs/forward-auth.md"), gateway);
        Self::configured(host, port, &recipe.replace("127.0.0.1:3000", &app.to_string()))
    }

    fn configured(host: &str, port: u16, recipe: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        make_certificate(folder.path(), host);
        fs::write(folder.path().join("nginx.conf"), config(host, port, recipe)).expect("the file is written");
        let child = Command::new(program("nginx"))
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.path().join("error.log")).expect("the file is made"))
            .spawn()
            .expect("nginx starts");
        let mut nginx = Self { child, _folder: folder };
        nginx.wait_until_ready(port);
        nginx
    }

    fn wait_until_ready(&mut self, port: u16) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = self.child.try_wait().expect("nginx is a child");
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self._folder.path().join("error.log")).unwrap_or_default();
                panic!("nginx does not take connections:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One process without workers: it leaves nobody behind.
        let _: io::Result<()> = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make_certificate(folder: &Path, host: &str) {
    let made = Command::new(program("openssl"))
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"])
        .args([
            "-days",
            "2",
            "-subj",
            &format!("/CN={host}"),
            "-addext",
            &format!("subjectAltName=DNS:{host}"),
        ])
        .args(["-keyout", "site.key", "-out", "site.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "no certificate: {}", String::from_utf8_lossy(&made.stderr));
}

/// The configuration on a page of the documentation.
fn recipe(page: &str, gateway: u16) -> String {
    let block = page.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("the page has a configuration").replace("127.0.0.1:8080", &format!("127.0.0.1:{gateway}"))
}

fn config(host: &str, port: u16, recipe: &str) -> String {
    let recipe = recipe
        .replace("server_name members.example.org", &format!("server_name {host}"))
        .replace("members.example.org", &format!("{host}:{port}"))
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
        .replace("/etc/ssl/members.", "site.")
        .replacen(
            "http {",
            "http {\n    access_log off;\n    client_body_temp_path bodies;\n    proxy_temp_path proxied;",
            1,
        )
        .replacen(
            "http {",
            "http {\n    fastcgi_temp_path fastcgi;\n    uwsgi_temp_path uwsgi;\n    scgi_temp_path scgi;",
            1,
        );
    format!("daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n{recipe}\n")
}
