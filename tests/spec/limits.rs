//! How much there may be of everything that costs: whoever wants more is told so, and the others are served.

use crate::harness::{Gateway, Options, Wire, eventually, head, last_head, raw_to};

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
