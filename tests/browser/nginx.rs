//! nginx as it stands in front of a gateway in production: it holds the certificate and passes on what it gets.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
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
    /// Takes TLS for `host` on one port and passes plain HTTP to the other.
    pub(crate) fn start(host: &str, port: u16, gateway: u16) -> Self {
        let folder = TempDir::new().expect("a folder");
        make_certificate(folder.path(), host);
        fs::write(folder.path().join("nginx.conf"), config(host, port, gateway))
            .expect("the file is written");
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

fn config(host: &str, port: u16, gateway: u16) -> String {
    format!(
        r#"
        daemon off;
        master_process off;
        pid nginx.pid;
        error_log stderr;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path bodies;
            proxy_temp_path proxied;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            server {{
                listen 127.0.0.1:{port} ssl;
                server_name {host};
                ssl_certificate site.pem;
                ssl_certificate_key site.key;
                location / {{
                    proxy_pass http://127.0.0.1:{gateway};
                    proxy_http_version 1.1;
                    proxy_set_header Host $http_host;
                    proxy_set_header X-Forwarded-For $remote_addr;
                    proxy_set_header X-Forwarded-Proto https;
                }}
            }}
        }}
        "#
    )
}
