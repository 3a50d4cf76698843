//! An app behind a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;

use crate::harness::{Gateway, Options, head};

/// Serves one connection with one answer; gives what it was asked.
fn serve_once(path: &Path) -> mpsc::Receiver<String> {
    let listener = UnixListener::bind(path).unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 4096];
            let length = socket.read(&mut bytes).unwrap();
            asked.extend_from_slice(&bytes[..length]);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        tell.send(String::from_utf8(asked).unwrap()).unwrap();
    });
    told
}

#[test]
fn an_app_behind_a_unix_socket_is_asked_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let gateway = Gateway::with(&Options {
        upstreams: Some(format!("\"unix:{}\"", path.display())),
        ..Options::default()
    });
    let mut client = gateway.connect();
    client.send(head("GET /public/a?b", ""));
    assert!(client.answer().0.starts_with("HTTP/1.1 502 "), "there is no socket yet");

    // Twice: an app that is started anew makes its socket anew.
    for _ in 0..2 {
        let _ = std::fs::remove_file(&path);
        let told = serve_once(&path);
        client.send(head("GET /public/a?b", ""));
        assert_eq!(client.answer().1, "ok");
        let asked = told.recv().unwrap();
        assert!(asked.starts_with("GET /public/a?b HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\nHost: members.localhost\r\n"), "{asked}");
    }
}
