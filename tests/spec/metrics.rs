//! Metrics: what is counted, what never is, and that the dashboard and the alerts ask for nothing that is not there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::harness::{
    Authority, Folder, Gateway, Options, RawUpstream, Secured, eventually, free_address, head, last_head,
    raw_to, trusting,
};

const ADMIN: Options = Options { server: "admin_listen = \"127.0.0.1:0\"", ..Options::USUAL };

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";

/// The page, as Prometheus gets it.
fn metrics(gateway: &Gateway) -> String {
    scrape(gateway, "")
}

fn scrape(gateway: &Gateway, fields: &str) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n");
    let answer = raw_to(gateway.admin(), request);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}

/// Waits for this line: a record is closed when its answer has ended, which may be a moment after that was read.
fn counts(gateway: &Gateway, line: &str) {
    eventually(line, || metrics(gateway).lines().any(|found| found == line));
}

#[tokio::test]
async fn requests_are_counted_by_site_rule_and_class_of_status_over_all_workers() {
    let gateway = Gateway::with(&ADMIN);
    for number in 0..40 {
        gateway.forwards(&format!("GET /public/{number}?q={number}"), "");
    }
    gateway.raw(last_head("GET /denied/x", ""));
    gateway.raw(last_head("GET /api/x", ""));
    gateway.raw(last_head("GET /elsewhere", "Accept: text/html\r\n"));
    gateway.raw(last_head("GET /_gateway/session", ""));
    gateway.raw("GET / HTTP/1.1\r\nHost: stranger.test\r\nConnection: close\r\n\r\n");

    let site = "site=\"https://members.localhost\"";
    for (labels, count) in [
        (format!("{site},rule=\"/public/**\",status=\"2xx\""), 40),
        (format!("{site},rule=\"/denied/**\",status=\"4xx\""), 1),
        (format!("{site},rule=\"/api/**\",status=\"4xx\""), 1),
        (format!("{site},rule=\"default\",status=\"3xx\""), 1),
        (format!("{site},rule=\"gateway\",status=\"4xx\""), 1),
        ("site=\"none\",rule=\"none\",status=\"4xx\"".to_owned(), 1),
    ] {
        counts(&gateway, &format!("member_gateway_requests_total{{{labels}}} {count}"));
    }
    counts(&gateway, "member_gateway_requests_by_protocol_total{protocol=\"HTTP/1.1\"} 45");
    counts(&gateway, "member_gateway_requests_in_flight 0");
    counts(&gateway, &format!("member_gateway_request_duration_seconds_count{{{site}}} 44"));
    counts(&gateway, &format!("member_gateway_upstream_duration_seconds_count{{{site}}} 40"));
}

#[tokio::test]
async fn sign_ins_are_counted_as_they_begin_succeed_and_fail() {
    let gateway = Gateway::with(&ADMIN);
    counts(&gateway, "member_gateway_logins_failed_total{provider=\"ymca\",cause=\"stale\"} 0");
    let mut browser = gateway.signed_in().await;
    browser.clear_cookies();
    let callback = browser.up_to_the_callback("/").await;
    browser.clear_cookies();
    browser.go(&callback).await;

    counts(&gateway, "member_gateway_logins_started_total{provider=\"ymca\"} 2");
    counts(&gateway, "member_gateway_logins_finished_total{provider=\"ymca\"} 1");
    counts(&gateway, "member_gateway_logins_failed_total{provider=\"ymca\",cause=\"stale\"} 1");
}

#[tokio::test]
async fn calls_to_the_vendor_are_counted_by_what_came_of_them() {
    let gateway = Gateway::with(&ADMIN);
    let calls = |outcome: &str, count: usize| {
        let labels = format!("provider=\"ymca\",outcome=\"{outcome}\"");
        counts(&gateway, &format!("member_gateway_vendor_calls_total{{{labels}}} {count}"));
    };
    calls("busy", 0);
    gateway.signed_in().await;
    let signing_in =
        gateway.daxko().requests().iter().filter(|request| request.path.starts_with("/v3/")).count();
    assert!(signing_in >= 2, "the token endpoint and the member resource");
    calls("ok", signing_in);

    let faults = gateway.daxko().faults();
    for (fault, outcome) in [
        (Fault::Status(503), "busy"),
        (Fault::Status(401), "refused"),
        (Fault::ClosedConnection, "unreachable"),
    ] {
        faults.next(Endpoint::MemberToken, fault);
        gateway.browser().visit("/").await;
        calls(outcome, 1);
    }
    let count = "member_gateway_vendor_call_duration_seconds_count{provider=\"ymca\"}";
    counts(&gateway, &format!("{count} {}", signing_in + 3));
}

#[tokio::test]
async fn sessions_that_do_not_count_are_counted_by_the_reason() {
    let gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;
    browser.fetch(Method::GET, "/staff/x", &[]).await;
    browser.set_cookie("__Host-member-session", "rubbish");
    browser.fetch(Method::GET, "/api/x", &[]).await;

    for cause in ["not_admitted", "unreadable"] {
        let labels = format!("site=\"https://members.localhost\",cause=\"{cause}\"");
        counts(&gateway, &format!("member_gateway_sessions_rejected_total{{{labels}}} 1"));
    }
}

#[tokio::test]
async fn an_upstream_that_gives_no_answer_is_counted_by_the_reason() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("this is no answer\r\n\r\n");
    });
    let gateway = Gateway::with(&Options { upstream: Some(upstream.address()), ..ADMIN });
    gateway.raw(last_head("GET /public/x", ""));

    let site = "site=\"https://members.localhost\"";
    counts(&gateway, &format!("member_gateway_upstream_errors_total{{{site},cause=\"answer\"}} 1"));
    counts(
        &gateway,
        &format!("member_gateway_requests_total{{{site},rule=\"/public/**\",status=\"5xx\"}} 1"),
    );
}

/// A metric of a target, or its beginning.
fn of_target(name: &str, target: SocketAddr) -> String {
    format!("member_gateway_upstream_{name}{{site=\"https://members.localhost\",target=\"http://{target}\"}}")
}

/// A gateway with an admin address in front of these.
fn between(upstreams: &[SocketAddr], site: &'static str) -> Gateway {
    let listed: Vec<String> = upstreams.iter().map(|address| format!("\"http://{address}\"")).collect();
    Gateway::with(&Options { upstreams: Some(listed.join(", ")), site, ..ADMIN })
}

#[tokio::test]
async fn each_target_counts_the_requests_that_went_there() {
    let upstreams = [ANSWER; 2].map(RawUpstream::answering);
    let [a, b] = upstreams.each_ref().map(RawUpstream::address);
    let gateway = between(&[a, b], "balance = \"round_robin\"");
    let page = metrics(&gateway);
    for line in [format!("{} 1", of_target("in_rotation", a)), format!("{} 0", of_target("repeats_total", b))]
    {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
    assert!(!page.contains(&of_target("healthy", a)), "nobody asks for its health: {page}");

    let mut client = gateway.connect();
    for _ in 0..4 {
        client.send(head("GET /public/x", ""));
        client.answer();
    }

    for target in [a, b] {
        counts(&gateway, &format!("{} 2", of_target("requests_total", target)));
        counts(&gateway, &format!("{} 1", of_target("connections_total", target)));
    }
}

#[tokio::test]
async fn a_target_that_is_away_counts_as_left_out_with_what_went_elsewhere_instead() {
    let answering = RawUpstream::answering(ANSWER);
    let (here, away) = (answering.address(), free_address());
    let gateway = between(&[away, here], "balance = \"round_robin\"");
    let mut client = gateway.connect();
    for _ in 0..6 {
        client.send(head("GET /public/x", ""));
        client.answer();
    }

    for (name, count) in [("connection_failures_total", 3), ("repeats_total", 3), ("in_rotation", 0)] {
        counts(&gateway, &format!("{} {count}", of_target(name, away)));
    }
    counts(&gateway, &format!("{} 6", of_target("requests_total", here)));
    counts(&gateway, &format!("{} 0", of_target("requests_total", away)));
    counts(&gateway, &format!("{} 1", of_target("in_rotation", here)));
}

#[tokio::test]
async fn what_the_checks_say_of_a_target_is_a_metric_of_its_own() {
    let gateway = between(&[free_address()], "health = { interval = \"1s\", fall = 1 }");
    let is_ill = |name| {
        let begins = format!("member_gateway_upstream_{name}{{");
        metrics(&gateway).lines().any(|line| line.starts_with(&begins) && line.ends_with(" 0"))
    };
    eventually("a check finds nobody", || is_ill("healthy"));
    assert!(is_ill("in_rotation"), "{}", metrics(&gateway));
}

#[tokio::test]
async fn targets_keep_their_counts_over_a_reload_and_those_that_are_gone_are_not_shown() {
    let first = RawUpstream::answering(ANSWER);
    let second = RawUpstream::answering(ANSWER);
    let serving = |upstream: &RawUpstream| Options { upstream: Some(upstream.address()), ..ADMIN };
    let mut gateway = Gateway::with(&serving(&first));
    gateway.raw(last_head("GET /public/x", ""));
    counts(&gateway, &format!("{} 1", of_target("connections_total", first.address())));

    let more = Options { more: "[log]\ntraceparent = \"off\"", ..serving(&first) };
    gateway.reload(&more).unwrap();
    counts(&gateway, &format!("{} 1", of_target("connections_total", first.address())));

    gateway.reload(&serving(&second)).unwrap();
    counts(&gateway, &format!("{} 0", of_target("connections_total", second.address())));
    let gone = of_target("in_rotation", first.address());
    assert!(!metrics(&gateway).contains(&gone), "{}", metrics(&gateway));
}

#[tokio::test]
async fn a_client_who_leaves_before_the_answer_is_counted_without_a_status() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.rest();
    });
    let gateway = Gateway::with(&Options { upstream: Some(upstream.address()), ..ADMIN });
    let mut client = gateway.connect();
    client.send(head("GET /public/slow", ""));
    eventually("the upstream is asked", || upstream.connections() == 1);
    counts(&gateway, "member_gateway_requests_in_flight 1");
    drop(client);

    counts(&gateway, &format!("{} 1", of_target("requests_total", upstream.address())));
    let labels = "site=\"https://members.localhost\",rule=\"/public/**\",status=\"none\"";
    counts(&gateway, &format!("member_gateway_requests_total{{{labels}}} 1"));
    counts(&gateway, "member_gateway_requests_in_flight 0");
}

#[tokio::test]
async fn connections_are_counted_while_they_are_there_and_afterwards() {
    let gateway = Gateway::with(&ADMIN);
    let mut stays = gateway.connect();
    stays.send(head("GET /_gateway/health", ""));
    stays.answer();
    gateway.raw(last_head("GET /_gateway/health", ""));

    counts(&gateway, "member_gateway_connections_total{listener=\"plain\"} 2");
    counts(&gateway, "member_gateway_connections_open{listener=\"plain\"} 1");
    drop(stays);
    counts(&gateway, "member_gateway_connections_open{listener=\"plain\"} 0");
}

#[tokio::test]
async fn tls_handshakes_are_counted_by_their_result() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["members.localhost"]);
    let folder = Folder::empty().and("site.pem", &certificate).and("site.key", &key);
    let gateway = Gateway::with(&Options {
        server: "admin_listen = \"127.0.0.1:0\"\n\
                 tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }",
        folder: Some(folder.path().to_owned()),
        ..Options::USUAL
    });
    let trusting = Arc::new(trusting(&authority));
    let mut good = Secured::to(gateway.address(), "members.localhost", &trusting).unwrap();
    good.send(last_head("GET /_gateway/health", ""));
    good.rest();
    gateway.raw("this is no handshake\r\n\r\n");

    for line in [
        "member_gateway_tls_handshakes_total{result=\"ok\"} 1",
        "member_gateway_tls_handshakes_total{result=\"failed\"} 1",
        "member_gateway_connections_total{listener=\"tls\"} 1",
    ] {
        counts(&gateway, line);
    }
    let expiry = format!(
        "member_gateway_certificate_expiry_timestamp_seconds{{file=\"{}\"}} ",
        folder.path().join("site.pem").display()
    );
    assert!(metrics(&gateway).contains(&expiry), "{}", metrics(&gateway));
}

#[tokio::test]
async fn nobody_outside_can_make_a_new_series() {
    let gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;
    browser.fetch(Method::GET, "/api/canary-path?canary-query=1", &[("x-canary", "canary-field")]).await;
    gateway.raw(last_head("CANARY /canary-path", "X-Request-Id: canary-id\r\n"));
    gateway.raw("GET / HTTP/1.1\r\nHost: canary.test\r\nConnection: close\r\n\r\n");
    gateway.raw(last_head("GET /_gateway/canary", ""));
    gateway.raw(last_head("GET /_gateway/callback/canary?code=canary", ""));
    let before = metrics(&gateway).lines().count();
    for number in 0..20 {
        gateway
            .raw(format!("GET /{number} HTTP/1.1\r\nHost: host-{number}.test\r\nConnection: close\r\n\r\n"));
    }

    let page = metrics(&gateway);
    for canary in ["canary", "CANARY", "400007995", "Rosa", "host-1"] {
        assert!(!page.contains(canary), "{canary} in {page}");
    }
    assert_eq!(page.lines().count(), before, "{page}");
}

#[tokio::test]
async fn both_languages_of_prometheus_are_spoken() {
    let gateway = Gateway::with(&ADMIN);
    let page = metrics(&gateway);
    assert!(page.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{page}");
    assert!(page.contains("# TYPE member_gateway_logins_started_total counter\n"), "{page}");
    let page = scrape(&gateway, "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    assert!(
        page.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{page}"
    );
    assert!(
        page.contains("# TYPE member_gateway_logins_started counter\n") && page.ends_with("# EOF\n"),
        "{page}"
    );
}

/// The metrics that a text names, and the labels it names beside them.
fn named(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text
        .split(|c| !is_word(c))
        .filter(|word| word.starts_with("member_gateway_") || word.starts_with("process_"))
        .map(str::to_owned);
    let labels = text.match_indices("by (").flat_map(|(at, _)| {
        let list = text[at + 4..].split(')').next().unwrap();
        list.split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>()
    });
    (names.collect(), labels.filter(|label| label != "le" && label != "instance").collect())
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_nothing_that_is_not_there() {
    let gateway = Gateway::with(&ADMIN);
    gateway.forwards("GET /public/x", "");
    let page = metrics(&gateway);
    for (file, text) in [
        ("the dashboard", include_str!("../../docs/grafana/member-gateway.json")),
        ("the alerts", include_str!("../../docs/prometheus/alerts.yml")),
        ("the documentation", include_str!("../../docs/observability.md")),
    ] {
        let (names, labels) = named(text);
        assert!(names.len() > 5, "{file}: {names:?}");
        for name in names {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_there = |name: &str| page.contains(&format!("# TYPE {name} "));
            assert!(is_there(&name) || family.is_some_and(is_there), "{file} asks for {name}");
        }
        let known = [
            "site", "target", "rule", "status", "protocol", "provider", "cause", "outcome", "listener",
            "result", "file", "version",
        ];
        for label in labels {
            assert!(known.contains(&label.as_str()), "{file} groups by {label}");
        }
    }
    let _: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/grafana/member-gateway.json")).unwrap();
}

#[tokio::test]
async fn every_metric_is_documented() {
    let gateway = Gateway::with(&ADMIN);
    let text = include_str!("../../docs/observability.md");
    for line in metrics(&gateway).lines() {
        let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) else {
            continue;
        };
        assert!(text.contains(&format!("`{name}")), "docs/observability.md does not name {name}");
    }
}
