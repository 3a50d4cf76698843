//! Whom the machine trusts: vendors and apps are believed with it, however early they are asked, and nobody serves without.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::daxko_settings::operator;
use crate::harness::{Authority, Folder, Modern, Running, answer, eventually, free_address};
use crate::upstream_tls::server;

const FILE: &str = "SSL_CERT_FILE";
const TOKEN: &str = r#"{"access_token":"granted-by-the-stub","expires_in":86400}"#;

/// An authority that the machine may trust, and whoever it vouches for.
fn scene(said: &'static str) -> (Authority, Modern) {
    let authority = Authority::new();
    let config = server(&authority.issue(&["localhost"]), None, &[b"http/1.1"]);
    (authority, Modern::secured(config, move |_| async move { answer(said) }))
}

/// A gateway in front of an app with https, or of one that nobody asks.
fn gateway(address: SocketAddr, app: u16) -> Folder {
    Folder::with(&format!(
        "[server]\nlisten = [\"{address}\"]\n\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"http://localhost:{}\"\nupstream = [\"https://localhost:{app}\"]\n\
         providers = [\"ymca\"]\n\n[[site.rule]]\npath = \"/public/**\"\naccess = \"public\"\n",
        address.port()
    ))
}

#[test]
fn a_vendor_is_believed_that_the_machine_believes_and_no_other() {
    let (authority, vendor) = scene(TOKEN);
    let stranger = Authority::new();
    for (trusted, status) in [(&authority, 0), (&stranger, 1)] {
        let folder = operator("vendor", "", "").and("roots.pem", trusted.pem());
        let path = folder.path().join("gateway.toml");
        let base = format!("https://localhost:{}", vendor.address().port());
        let text = std::fs::read_to_string(&path).unwrap().replace("http://vendor", &base);
        std::fs::write(&path, text).unwrap();

        let mut command = folder.command(&["daxko", "token", "--provider", "ymca"]);
        let ended = command.env(FILE, "roots.pem").output().unwrap();

        assert_eq!(ended.status.code(), Some(status), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!(vendor.heads().len(), 1);
}

#[test]
fn a_request_that_comes_before_the_machine_was_asked_is_answered_all_the_same() {
    let (authority, app) = scene("hello over TLS");
    let address = free_address();
    let folder = gateway(address, app.address().port()).and("roots.pem", authority.pem());
    let mut running = Running::spawn(folder.command(&["run"]).env(FILE, "roots.pem"));
    let mut early = Vec::new();
    eventually("the program serves", || {
        assert!(running.is_there(), "the program ends instead of serving");
        early.extend(TcpStream::connect(address));
        !early.is_empty()
    });
    early.extend((0..7).map(|_| TcpStream::connect(address).unwrap()));
    let host = format!("localhost:{}", address.port());
    for socket in &mut early {
        write!(socket, "GET /public/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    }

    for mut socket in early {
        let mut said = String::new();
        socket.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("hello over TLS"), "{said}");
    }
}

#[test]
fn nobody_serves_on_a_machine_that_trusts_nobody_and_check_says_so_too() {
    for name in ["check", "run"] {
        let folder = gateway(free_address(), 1);
        for trusted in ["nowhere.pem", "gateway.toml"] {
            let mut command = folder.command(&[name]);
            let ended = command.env(FILE, trusted).env("SSL_CERT_DIR", ".").output().unwrap();

            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(1), "{name}: {said}");
            assert!(said.contains("this machine cannot speak TLS: "), "{name}: {said}");
            assert!(said.contains("`ca-certificates`"), "{name}: {said}");
            assert!(ended.stdout.is_empty(), "{name}");
        }
    }
}
