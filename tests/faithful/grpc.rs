//! gRPC with a client and a service that are not ours: calls of every kind, through each door.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::site::{NAME, Site, output, script};

/// The service. It ends with this.
struct Service {
    process: Child,
    address: SocketAddr,
    _input: ChildStdin,
}

impl Service {
    fn start() -> Self {
        let mut command = script("grpc_echo.py");
        let command = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let address = format!("127.0.0.1:{}", port.trim()).parse().unwrap();
        Self { _input: process.stdin.take().unwrap(), process, address }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn site(service: &Service) -> Site {
    Site::in_front_of(service.address, "protocol = \"h2\"")
}

/// What the client calls through this door.
fn call(address: SocketAddr) -> Command {
    let mut command = script("grpc_echo.py");
    command.args(["call", &address.to_string(), "--authority", NAME]);
    command
}

/// Through TLS, where HTTP/2 is agreed on (RFC 7301).
fn securely(site: &Site) -> Command {
    let mut command = call(site.secure);
    command.args(["--ca", &site.authority()]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_calls_over_tls_and_in_the_clear_and_the_service_knows_who_it_is() {
    let service = Service::start();
    let site = site(&service);
    let cookie = site.member().await;

    for command in [&mut securely(&site), &mut call(site.plain)] {
        let said = output(command.args(["--cookie", &cookie]));
        assert!(said.contains("who the service is told it is\n"), "{said}");
        assert!(said.ends_with("300 calls at a time\n"), "{said}");
    }
}

#[test]
fn everybody_calls_what_is_public() {
    let service = Service::start();
    let site = site(&service);

    for command in [&mut securely(&site), &mut call(site.plain)] {
        let said = output(command.args(["--service", "test.Open"]));
        assert!(said.ends_with("300 calls at a time\n"), "{said}");
    }
}

#[test]
fn a_stranger_s_call_reaches_no_service() {
    let service = Service::start();
    let site = site(&service);

    let ended = securely(&site).output().unwrap();

    assert!(!ended.status.success() && ended.stdout.is_empty(), "{ended:?}");
}
