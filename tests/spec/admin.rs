//! The admin address: what operators and their programs ask there, and who is not answered.

use std::net::{SocketAddr, TcpListener};

use crate::configuration::{check, production};
use crate::harness::{Gateway, Options, RawUpstream, Wire, eventually, head, raw_to};

const ADMIN: Options = Options { server: "admin_listen = \"127.0.0.1:0\"", ..Options::USUAL };

/// An answer at the admin address to a request with this line and these fields.
fn ask(address: SocketAddr, line: &str, fields: &str) -> String {
    raw_to(address, format!("{line} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"))
}

#[tokio::test]
async fn it_says_that_the_gateway_lives_and_is_ready() {
    let gateway = Gateway::with(&ADMIN);
    for path in ["/livez", "/readyz"] {
        let answer = ask(gateway.admin(), &format!("GET {path}"), "Host: 127.0.0.1:9901\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
        assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_gateway_that_drains_lives_and_is_not_ready() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        // Until the test lets go of it.
        wire.rest();
    });
    let gateway = Gateway::with(&Options { upstream: Some(upstream.address()), ..ADMIN });
    let mut under_way = gateway.connect();
    under_way.send(head("GET /public/slow", ""));
    eventually("the upstream is asked", || upstream.connections() == 1);

    gateway.stop();

    let ready = || ask(gateway.admin(), "GET /readyz", "Host: localhost\r\n");
    eventually("it is not ready", || ready().starts_with("HTTP/1.1 503 "));
    assert!(ask(gateway.admin(), "GET /livez", "Host: localhost\r\n").starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn there_is_nothing_else_and_nothing_but_get() {
    let gateway = Gateway::with(&ADMIN);
    for path in ["/", "/metrics/", "/revoke/", "/_gateway/health", "/debug"] {
        let answer = ask(gateway.admin(), &format!("GET {path}"), "Host: localhost\r\n");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    for line in ["POST /metrics", "DELETE /livez", "OPTIONS /readyz"] {
        let answer = ask(gateway.admin(), line, "Host: localhost\r\n");
        assert!(answer.starts_with("HTTP/1.1 405 "), "{line}: {answer}");
        assert!(answer.contains("allow: GET, HEAD\r\n"), "{line}: {answer}");
    }
}

#[tokio::test]
async fn a_page_in_a_browser_on_the_same_machine_learns_nothing() {
    let gateway = Gateway::with(&ADMIN);
    for fields in [
        "Host: evil.test\r\n",
        "Host: 127.0.0.1.evil.test:9901\r\n",
        "Host: members.localhost\r\n",
        "Host: 192.0.2.7\r\n",
        "",
        "Host: localhost\r\nHost: evil.test\r\n",
        "Host: localhost\r\nOrigin: https://evil.test\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
    ] {
        let answer = ask(gateway.admin(), "GET /metrics", fields);
        let is_refused = ["HTTP/1.1 403 ", "HTTP/1.1 400 "].iter().any(|start| answer.starts_with(start));
        assert!(is_refused && !answer.contains("member_gateway"), "{fields}: {answer}");
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:9901"] {
        let answer = ask(gateway.admin(), "GET /metrics", &format!("Host: {host}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
    }
}

#[tokio::test]
async fn nothing_of_it_is_to_be_had_where_members_come_in() {
    let gateway = Gateway::with(&ADMIN);
    for path in ["/livez", "/readyz", "/metrics", "/_gateway/metrics", "/_gateway/livez"] {
        let mut wire = Wire::to(gateway.address());
        wire.send(head(&format!("GET {path}"), ""));
        let (answer, body) = wire.answer();
        assert!(!answer.starts_with("HTTP/1.1 200 ") && !body.contains("member_gateway"), "{path}: {answer}");
    }
}

#[test]
fn an_address_that_is_taken_by_members_or_by_the_app_is_a_mistake() {
    for (key, place) in [
        ("admin_listen = \"127.0.0.1:8080\"", "the gateway listens here for members already"),
        ("admin_listen = \"0.0.0.0:8080\"", "the gateway listens here for members already"),
        ("admin_listen = \"127.0.0.1:3000\"", "this is the gateway's own admin_listen"),
        ("admin_listen = \"localhost:9901\"", "this is no address to listen on"),
    ] {
        let ended = check(&format!("[server]\n{key}\n{}", production()));
        assert!(ended.status == 2 && ended.errors.contains(place), "{key}: {ended:?}");
    }
}

#[test]
fn an_address_that_others_can_reach_is_warned_of() {
    let with = |address: &str| check(&format!("[server]\nadmin_listen = \"{address}\"\n{}", production()));
    let warning =
        "warning: admin_listen: 0.0.0.0:9901 is not a loopback address, and nobody is asked for a password";
    let ended = with("0.0.0.0:9901");
    assert!(ended.status == 0 && ended.output.contains(warning), "{ended:?}");
    let ended = with("127.0.0.1:9901");
    assert!(ended.status == 0 && !ended.output.contains("admin_listen"), "{ended:?}");
}

#[test]
fn whoever_has_the_port_already_is_told_of_by_the_name_of_the_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin_listen = \"{address}\"\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
         [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n"
    );
    let folder = crate::harness::Folder::with(&text);
    let ended = crate::harness::member_gateway(&folder, &["run"], "");
    assert!(ended.status == 1 && ended.errors.contains("change `admin_listen`"), "{ended:?}");
}
