//! Gate R9: connections that have been served and now only stay open.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::version::TLS13;

use crate::harness::{Authority, Secured, client, free_address};
use crate::load::app;
use crate::program::{Program, configuration};
use crate::scaled;

const CONNECTIONS: usize = scaled(1_000, 9_000);
const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: members.localhost\r\n\r\n";
/// What one may cost, in KiB; without optimisation its task is larger.
const MOST_PLAIN: u64 = scaled(36, 20) as u64;
const MOST_WITH_TLS: u64 = scaled(96, 64) as u64;
/// What all of it may be, in KiB.
const MOST_IN_ALL: u64 = 256 * 1024;

fn started(folder: &Path, address: SocketAddr, tls: &str) -> Program {
    let text = configuration(address, app(), 0);
    let text = text.replacen("handover", &format!("limits = {{ idle = \"300s\" }}\n{tls}\nhandover"), 1);
    std::fs::write(folder.join("gateway.toml"), text).unwrap();
    let program = Program::start(folder, &["run"]);
    program.says("serving");
    program
}

/// What each of these costs, in KiB.
fn cost<T>(name: &str, program: &Program, connect: impl Fn() -> T) -> u64 {
    // What is there once for all: pools, pages, a handshake's tables.
    let warm: Vec<T> = (0..50).map(|_| connect()).collect();
    let before = program.resident_at_rest();
    let connections: Vec<T> = (0..CONNECTIONS).map(|_| connect()).collect();
    let after = program.resident_at_rest();
    let cost = (after - before) / CONNECTIONS as u64;
    println!(
        "R9 {name}: {} connections, {cost} KiB each, {after} KiB in all",
        connections.len() + warm.len()
    );
    assert!(after < MOST_IN_ALL || name.contains("TLS"), "{after} KiB");
    cost
}

#[test]
fn a_connection_that_only_stays_open_costs_little() {
    let (address, folder) = (free_address(), tempfile::tempdir().unwrap());
    let program = started(folder.path(), address, "");
    let each = cost("plain", &program, || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(REQUEST.as_bytes()).unwrap();
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\nok") {
            socket.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        socket
    });
    assert!(each <= MOST_PLAIN, "{each} KiB");
}

#[test]
fn a_connection_with_tls_that_only_stays_open_costs_little_more() {
    let (address, folder) = (free_address(), tempfile::tempdir().unwrap());
    let (certificate, key) = Authority::new().issue(&["members.localhost"]);
    std::fs::write(folder.path().join("site.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("site.key"), key).unwrap();
    let tls = "tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }";
    let program = started(folder.path(), address, tls);
    let config = Arc::new(client(&[&TLS13]));
    let each = cost("with TLS", &program, || {
        let mut browser = Secured::to(address, "members.localhost", &config).unwrap();
        browser.send(REQUEST);
        assert_eq!(browser.answer().1, "ok");
        browser
    });
    assert!(each <= MOST_WITH_TLS, "{each} KiB");
}
