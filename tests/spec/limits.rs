//! How much there may be of everything that costs: whoever wants more is told so, and the others are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::harness::http2::in_time;
use crate::harness::{Gateway, Options, RawUpstream, Wire, eventually, head, last_head, raw_to};
use crate::http2_abuse;

const SOON: Duration = Duration::from_millis(1);
const HEALTH: &str = "GET /_gateway/health";

/// The line of a metric.
fn metric(gateway: &Gateway, name: &str) -> Option<String> {
    let page =
        raw_to(gateway.admin(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    page.lines().find(|line| line.starts_with(name)).map(str::to_owned)
}

/// A connection that is there, for somebody has answered.
fn served(gateway: &Gateway, preamble: &str) -> Wire {
    let mut wire = gateway.connect();
    wire.send(format!("{preamble}{}", head(HEALTH, "")));
    let (answer, _) = wire.answer();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    wire
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    let gateway = Gateway::with(&Options {
        server: "admin_listen = \"127.0.0.1:0\"\nlimits = { connections = 100 }",
        ..Options::default()
    });
    let mut there: Vec<Wire> = (0..100).map(|_| served(&gateway, "")).collect();

    assert_eq!(gateway.raw(last_head(HEALTH, "")), "");
    let counted = "member_gateway_turned_away_total{limit=\"connections\"} 1";
    assert_eq!(metric(&gateway, counted).as_deref(), Some(counted));
    // Those that are there go on.
    there[7].send(head(HEALTH, ""));
    assert!(there[7].answer().0.starts_with("HTTP/1.1 200 "));

    there.pop();
    eventually("one that has gone makes room for another", || !gateway.raw(last_head(HEALTH, "")).is_empty());
}

#[test]
fn connections_with_http2_are_counted_as_any_others() {
    let gateway = http2_abuse::gateway("limits = { connections = 100 }", None);
    let connection = || {
        let mut wire = http2_abuse::begin(&gateway, &[]);
        // It is there, for it has been answered.
        http2_abuse::until(&mut wire, http2_abuse::SETTINGS);
        wire
    };
    let mut there: Vec<Wire> = (0..100).map(|_| connection()).collect();

    assert_eq!(gateway.raw(last_head(HEALTH, "")), "");
    there.pop();
    eventually("one that has gone makes room for another", || !gateway.raw(last_head(HEALTH, "")).is_empty());
}

#[tokio::test]
async fn a_tunnel_is_a_connection_too() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        wire.rest();
    });
    let gateway = Gateway::with(&Options {
        upstream: Some(upstream.address()),
        server: "limits = { connections = 100 }",
        ..Options::default()
    });
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let handshake = head("GET /chat", &format!("{}{fields}", gateway.member().await));
    let mut there = Vec::new();
    loop {
        let mut wire = gateway.connect();
        wire.send(handshake.clone());
        let Some(answer) = wire.head_or_end() else { break };
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        there.push(wire);
        assert!(there.len() <= 100, "there are more of them than connections");
    }
    assert!(gateway.raw(last_head(HEALTH, "")).is_empty());

    there.pop();
    eventually("one that has gone makes room for another", || !gateway.raw(last_head(HEALTH, "")).is_empty());
}

#[test]
fn one_address_has_so_many_connections_and_others_are_served() {
    let gateway = Gateway::with(&Options {
        listen: Some("{ address = \"127.0.0.1:0\", proxy_protocol = true }"),
        server: "trusted_proxies = [\"127.0.0.1\", \"198.51.100.0/24\"]\nlimits = { connections_per_peer = 10 }",
        ..Options::default()
    });
    let from = |address: &str| format!("PROXY TCP4 {address} 192.0.2.1 56324 80\r\n");
    let ask = |address: &str| gateway.raw(format!("{}{}", from(address), last_head(HEALTH, "")));
    let mut there: Vec<Wire> = (0..10).map(|_| served(&gateway, &from("203.0.113.7"))).collect();

    assert_eq!(ask("203.0.113.7"), "");
    assert!(ask("203.0.113.8").starts_with("HTTP/1.1 200 "));
    // A proxy brings the connections of many.
    there.extend((0..12).map(|_| served(&gateway, &from("198.51.100.7"))));

    there.remove(0);
    eventually("one that has gone makes room for another", || !ask("203.0.113.7").is_empty());
}

#[tokio::test]
async fn one_address_begins_so_many_sign_ins_in_a_minute_and_members_do_not_notice() {
    let gateway = Gateway::with(&Options {
        server: "trusted_proxies = [\"127.0.0.1\"]\nlimits = { login_starts = 3 }",
        ..Options::default()
    });
    let member = gateway.member().await;
    let ask = |target: &str, address: &str, fields: &str| {
        let fields = format!("Accept: text/html\r\nX-Forwarded-For: {address}\r\n{fields}");
        gateway.raw(last_head(&format!("GET {target}"), &fields))
    };
    for target in ["/a", "/b", "/_gateway/login"] {
        assert!(ask(target, "203.0.113.7", "").starts_with("HTTP/1.1 302 "), "{target}");
    }

    for target in ["/a", "/_gateway/login"] {
        let refused = ask(target, "203.0.113.7", "").to_lowercase();
        assert!(
            refused.starts_with("http/1.1 429 ") && refused.contains("\r\nretry-after: 60\r\n"),
            "{refused}"
        );
        assert!(!refused.contains("set-cookie"), "{refused}");
    }
    assert!(ask("/a", "203.0.113.8", "").starts_with("HTTP/1.1 302 "));
    assert!(ask("/a", "203.0.113.7", &member).starts_with("HTTP/1.1 200 "));
    gateway.later(60);
    assert!(ask("/a", "203.0.113.7", "").starts_with("HTTP/1.1 302 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_is_asked_about_so_many_sign_ins_at_a_time_while_members_go_on() {
    let gateway = Gateway::with(&Options { provider: "calls = 1\ntimeout = \"2s\"", ..Options::default() });
    let member = gateway.member().await;
    let (mut slow, mut next) = (gateway.browser(), gateway.browser());
    let (first, second) = (slow.up_to_the_callback("/").await, next.up_to_the_callback("/").await);
    gateway.daxko().faults().next(Endpoint::MemberToken, Fault::NoAnswer);
    let before = gateway.exchanges();
    let meanwhile = async {
        let asked = async {
            while gateway.exchanges() == before {
                tokio::task::yield_now().await;
            }
        };
        in_time(asked).await;
        next.visit(&second).await
    };

    let (waited, page) = tokio::join!(slow.visit(&first), meanwhile);

    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 503), "{}", page.body);
    assert_eq!(gateway.exchanges(), before + 1);
    assert!(gateway.raw(last_head("GET /a", &member)).starts_with("HTTP/1.1 200 "));
    assert_eq!(waited.status, 503);
    // The next one has its turn.
    gateway.signed_in().await;
}

#[tokio::test]
async fn a_vendor_that_is_down_is_left_alone_for_a_moment_and_members_go_on() {
    let gateway = Gateway::with_sandbox();
    let member = gateway.member().await;
    let before = gateway.exchanges();
    gateway.daxko().faults().always(Endpoint::MemberToken, Fault::Status(503));
    for failures in [1, 2, 3, 4, 5, 5, 5] {
        let mut browser = gateway.browser();
        let callback = browser.up_to_the_callback("/").await;
        let page = browser.visit(&callback).await;
        assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 503), "{}", page.body);
        assert_eq!(gateway.exchanges(), before + failures);
    }
    assert!(gateway.raw(last_head("GET /a", &member)).starts_with("HTTP/1.1 200 "));

    // One tries, and then all may.
    gateway.daxko().faults().clear();
    gateway.later(5);
    gateway.signed_in().await;
    gateway.signed_in().await;
}

#[test]
fn so_many_requests_are_under_way_to_an_app_and_others_are_told_to_come_again() {
    let (is_enough, enough) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicUsize>::default());
    let (waits, asked) = (Arc::clone(&is_enough), Arc::clone(&enough));
    let upstream = RawUpstream::serving(move |wire| {
        wire.head();
        asked.fetch_add(1, Ordering::Relaxed);
        eventually("the others have been told", || waits.load(Ordering::Relaxed));
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let gateway = Gateway::with(&Options {
        upstream: Some(upstream.address()),
        site: "in_flight = 1",
        ..Options::default()
    });
    // Each core has a worker, and all of them take connections as they come.
    let workers = std::thread::available_parallelism().unwrap().get();
    let mut clients: Vec<Wire> = (0..10 * workers).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(last_head("GET /public/a", ""));
    }
    let mut told = 0;
    eventually("all but one of each worker are told to come again", || {
        told = clients.iter_mut().filter_map(|client| client.hears_within(SOON).then_some(())).count();
        told + workers >= clients.len()
    });
    is_enough.store(true, Ordering::Relaxed);

    let answers: Vec<String> = clients.iter_mut().map(Wire::rest).collect();
    let with = |start: &str| answers.iter().filter(|answer| answer.starts_with(start)).count();
    let under_way = enough.load(Ordering::Relaxed);
    assert!((1..=workers).contains(&under_way), "{under_way}");
    assert_eq!((with("HTTP/1.1 200 "), with("HTTP/1.1 503 ")), (under_way, answers.len() - under_way));
    assert!(answers.iter().any(|answer| answer.to_lowercase().contains("\r\nretry-after: 5\r\n")));

    // What has ended is not under way any more.
    assert!(gateway.raw(last_head("GET /public/a", "")).starts_with("HTTP/1.1 200 "));
}
