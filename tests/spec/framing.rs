//! Requests that could be read in two ways, or that take more than their share: refused at the door, and the upstream
//! hears nothing of them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Folder, Gateway, Options, RawUpstream, eventually, member_gateway};

#[path = "../data/corpus.rs"]
pub(crate) mod corpus;

use corpus::{Expected, Row, corpus};

/// The status of each answer in what a connection gave.
fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

fn public(fields: &str) -> String {
    format!("GET /public/a HTTP/1.1\r\nHost: members.localhost\r\n{fields}\r\n")
}

/// A row of the corpus as a request to our site, for a path where everybody gets to the upstream.
fn addressed(bytes: &[u8]) -> Vec<u8> {
    // One character for each byte, and back.
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let text = text.replace("Host: a\r", "Host: members.localhost\r").replace(" / ", " /public/a ");
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[test]
fn whatever_breaks_the_framing_is_answered_400_and_ends_the_connection() {
    let gateway = Gateway::with_sandbox();
    let follow_up = public("").replace("/a", "/follow-up");
    let mut violations = 0;
    for Row { name, bytes, expected } in corpus() {
        let Expected::Violation { name: rule, .. } = expected else { continue };
        violations += 1;
        let answers = gateway.raw([&addressed(&bytes), follow_up.as_bytes()].concat());

        assert_eq!(statuses(&answers).last(), Some(&"400"), "{name} ({rule}): {answers}");
        let requests = gateway.upstream().requests();
        let arrived = requests.iter().any(|request| request.target.contains("follow-up"));
        assert!(!arrived, "{name} ({rule}) hides a request from us: {answers}");
    }
    assert!(violations > 150, "the corpus has shrunk to {violations}");
}

#[test]
fn a_length_beside_chunks_is_refused_in_either_order() {
    let gateway = Gateway::with_sandbox();
    let (length, chunked) = ("Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n");
    for fields in [[length, chunked], [chunked, length], [length, length], [chunked, chunked]] {
        let smuggled = "0\r\n\r\nGET /public/smuggled HTTP/1.1\r\nHost: members.localhost\r\n\r\n";
        let answers = gateway.raw(public(&fields.concat()).replace("GET", "POST") + smuggled);

        assert_eq!(statuses(&answers), ["400"], "{fields:?}: {answers}");
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_bare_line_feed_is_refused_wherever_it_stands() {
    let gateway = Gateway::with_sandbox();
    let request = public("Accept: */*\r\n");
    for (at, _) in request.match_indices("\r\n") {
        let mut bare = request.clone();
        bare.remove(at);

        assert_eq!(statuses(&gateway.raw(bare)), ["400"], "at {at}");
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_fragment_is_refused() {
    let gateway = Gateway::with_sandbox();

    let answers = gateway.raw(public("").replace("/public/a", "/staff/a#/../../public/a"));

    assert_eq!(statuses(&answers), ["400"]);
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_broken_request_does_not_spoil_the_one_before_it_and_nothing_after_it_is_read() {
    let gateway = Gateway::with_sandbox();

    let broken = public("Content-Length: +1\r\n").replace("/a", "/broken");
    let answers = gateway.raw([public(""), broken, public("").replace("/a", "/after")].concat());

    assert_eq!(statuses(&answers), ["200", "400"], "{answers}");
    let targets: Vec<_> = gateway.upstream().requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/public/a"]);
}

#[test]
fn a_request_names_one_well_formed_host() {
    let gateway = Gateway::with_sandbox();
    for (hosts, status) in [
        ("", "400"),
        ("Host:\r\n", "400"),
        ("Host: members.localhost\r\nHost: members.localhost\r\n", "400"),
        ("Host: members.localhost\r\nHost: evil.test\r\n", "400"),
        ("Host: user@members.localhost\r\n", "400"),
        ("Host: members.localhost/..\r\n", "400"),
        ("Host: members.localhost, evil.test\r\n", "400"),
        ("Host: members.localhost:\r\n", "400"),
        ("Host: members.localhost:44e\r\n", "400"),
        ("Host: members.localhost:99999\r\n", "400"),
        ("Host: m\u{e9}mbers.localhost\r\n", "400"),
        ("Host: %6dembers.localhost\r\n", "400"),
        ("Host: evil.test\r\n", "421"),
        ("Host: members.localhost.\r\n", "421"),
        ("Host: members.localhost:80\r\n", "421"),
        ("Host: members.localhost:8443\r\n", "421"),
        ("Host: [::1]\r\n", "421"),
        ("Host: 127.0.0.1\r\n", "421"),
    ] {
        let answers = gateway.raw(format!("GET /public/a HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"));

        assert_eq!(statuses(&answers), [status], "{hosts:?}: {answers}");
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_host_that_contradicts_the_target_is_refused() {
    let gateway = Gateway::with_sandbox();
    for target in
        ["http://evil.test/public/a", "https://user@members.localhost/public/a", "//evil.test/public/a"]
    {
        let answers = gateway.raw(public("Connection: close\r\n").replace("/public/a", target));

        assert_ne!(statuses(&answers), ["200"], "{target}: {answers}");
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_target_over_the_limit_is_414() {
    let gateway =
        Gateway::with(&Options { server: "limits = { target_bytes = \"1KiB\" }", ..Options::default() });
    for (length, status) in [(1024, "200"), (1025, "414"), (20_000, "414")] {
        let target = format!("/public/{}", "a".repeat(length - "/public/".len()));
        let answers = gateway.raw(public("Connection: close\r\n").replace("/public/a", &target));

        assert_eq!(statuses(&answers), [status], "{length}");
    }
}

#[test]
fn more_cookies_than_a_browser_keeps_are_431_however_many_lines_they_stand_in() {
    let gateway = Gateway::with_sandbox();
    let in_one = |count: usize| format!("Cookie: {}\r\n", vec!["a=1"; count].join("; "));
    let in_many = |count: usize| "Cookie: a=1; b=2\r\n".repeat(count / 2);
    for (what, cookies, status) in [
        ("as many as may be", in_one(200), "200"),
        ("one more", in_one(201), "431"),
        ("three thousand", in_one(3000), "431"),
        ("in many lines", in_many(180), "200"),
        ("too many in many lines", in_one(50) + &in_many(160), "431"),
    ] {
        let answers = gateway.raw(public(&format!("{cookies}Connection: close\r\n")));

        assert_eq!(statuses(&answers), [status], "{what}");
    }
}

#[test]
fn a_head_over_the_limit_is_431_and_so_are_too_many_fields() {
    let gateway = Gateway::with(&Options {
        server: "limits = { head_bytes = \"16KiB\", fields = 20 }",
        ..Options::default()
    });
    let value = |length: usize| public(&format!("X-Long: {}\r\nConnection: close\r\n", "a".repeat(length)));
    let fields = |count: usize| public(&("X: 1\r\n".repeat(count - 2) + "Connection: close\r\n"));
    for (what, request, status) in [
        ("a long head", value(15_000), "200"),
        ("a longer one", value(17_000), "431"),
        ("a much longer one", value(1_000_000), "431"),
        ("many fields", fields(20), "200"),
        ("more fields", fields(21), "431"),
    ] {
        assert_eq!(statuses(&gateway.raw(request)), [status], "{what}");
    }
}

#[test]
fn the_limits_of_a_head_have_limits() {
    let usual = Gateway::with_sandbox().configuration.clone();
    for (limits, mistake) in [
        ("fields = 8", None),
        ("fields = 1000", None),
        ("fields = 7", Some("at least 8")),
        ("fields = 1001", Some("at most 1000")),
        ("fields = 65535", Some("at most 1000")),
        ("head_bytes = \"1MiB\"", None),
        ("head_bytes = \"1025KiB\"", Some("at most 1MiB")),
        ("head_bytes = \"4096MiB\"", Some("at most 1MiB")),
    ] {
        let text = usual.replace("[server]", &format!("[server]\nlimits = {{ {limits} }}"));
        let ended = member_gateway(&Folder::with(&text), &["check"], "");

        match mistake {
            None => assert_eq!((ended.status, &*ended.errors), (0, ""), "{limits}"),
            Some(expected) => {
                assert_eq!(ended.status, 2, "{limits}");
                assert!(ended.errors.contains(expected), "{limits}: {}", ended.errors);
            }
        }
    }
}

#[test]
fn as_many_fields_as_can_be_allowed_do_no_harm() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Gateway::with(&Options {
        server: "limits = { head_bytes = \"1MiB\", fields = 1000 }",
        upstream: Some(upstream.address()),
        ..Options::default()
    });
    for (count, status) in [(998, "200"), (999, "431"), (60_000, "431")] {
        let fields: String = (0..count).map(|number| format!("X-{number}: 1\r\n")).collect();
        let answers = gateway.raw(public(&(fields + "Connection: close\r\n")));

        assert_eq!(statuses(&answers), [status], "{count}");
    }
}

#[test]
fn a_head_that_comes_too_slowly_is_cut_off_while_others_are_served() {
    let gateway =
        Gateway::with(&Options { server: "limits = { head_timeout = \"1s\" }", ..Options::default() });
    let started = Instant::now();
    // One for each worker, and more.
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let mut client = gateway.connect();
            client.send("GET /public/a HTTP/1.1\r\nHost: members.loc");
            client
        })
        .collect();

    for _ in 0..8 {
        assert_eq!(statuses(&gateway.raw(public("Connection: close\r\n"))), ["200"]);
    }
    for mut client in slow {
        let answer = client.rest();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(gateway.upstream().requests().len(), 8);
}

#[test]
fn bytes_that_drip_do_not_buy_a_head_more_time() {
    let gateway =
        Gateway::with(&Options { server: "limits = { head_timeout = \"1s\" }", ..Options::default() });
    let mut client = gateway.connect();
    client.send("GET /public/a HTTP/1.1\r\nHost: members.localhost\r\n");
    let started = Instant::now();

    // A closed connection is heard at once, an open one is silent.
    while !client.is_closed_within(Duration::from_millis(50)) {
        assert!(started.elapsed() < Duration::from_secs(15), "a head may take for ever");
        client.send("a");
    }

    assert!(gateway.upstream().requests().is_empty());
}

#[test]
fn methods_for_proxies_are_refused() {
    let gateway = Gateway::with_sandbox();
    for line in ["TRACE /public/a", "CONNECT members.localhost:443", "CONNECT /public/a"] {
        let answers =
            gateway.raw(format!("{line} HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"));

        assert!(["400", "405", "501"].contains(&statuses(&answers)[0]), "{line}: {answers}");
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

/// A WebSocket handshake.
fn handshake(target: &str) -> String {
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    public(fields).replace("/public/a", target)
}

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn in_front_of(upstream: &RawUpstream) -> Gateway {
    Gateway::with(&Options { upstream: Some(upstream.address()), ..Options::default() })
}

#[test]
fn what_a_websocket_client_sends_too_early_arrives_in_its_tunnel_byte_for_byte() {
    // Frames with bytes that are no HTTP, and bytes that are.
    let early = [&b"\x81\x85\0\n\r\0hello\n\n"[..], public("").as_bytes()].concat();
    let late = b"\0\n\r\n\r\n\x82".repeat(20_000);
    let expected = [&early[..], &late].concat();
    let length = expected.len();
    let upstream = RawUpstream::serving(move |wire| {
        wire.head();
        wire.send(SWITCHING);
        let frames = wire.exactly(length);
        wire.send(frames);
    });
    let gateway = in_front_of(&upstream);
    let mut client = gateway.connect();

    client.send([handshake("/public/chat").as_bytes(), &early].concat());
    let answer = client.head();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    client.send(&late);

    assert!(client.exactly(length) == expected);
    assert_eq!(client.rest(), "");
}

#[test]
fn a_client_that_leaves_its_tunnel_leaves_nothing_behind() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let upstream = RawUpstream::serving(move |wire| {
        wire.head();
        wire.send(SWITCHING);
        wire.rest();
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let gateway = in_front_of(&upstream);
    for number in 0..20 {
        let mut client = gateway.connect();
        client.send(handshake("/public/chat") + "\0\n\n");
        client.head();
        if number % 2 == 0 {
            // The gateway's end of this connection is gone as well.
            client.finish();
            assert_eq!(client.rest(), "");
        }
    }

    eventually("all tunnels have ended", || ended.load(Ordering::Relaxed) == 20);
}

#[test]
fn what_follows_a_refused_handshake_is_no_request() {
    let gateway = Gateway::with_sandbox();

    let answers = gateway.raw(handshake("/api/chat") + &public(""));

    assert_eq!(statuses(&answers), ["401"], "{answers}");
    assert!(answers.to_lowercase().contains("\r\nconnection: close\r\n"), "{answers}");
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_request_for_another_upgrade_gets_its_answer_and_is_the_last() {
    let gateway = Gateway::with_sandbox();
    let follow_up = public("").replace("/a", "/follow-up");
    for fields in [
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: h2c\r\nContent-Length: 2\r\n",
    ] {
        let body = if fields.contains("Length") { "ab" } else { "" };
        let answers = gateway.raw(public(fields) + body + &follow_up);

        assert_eq!(statuses(&answers), ["200"], "{fields:?}: {answers}");
        assert!(answers.to_lowercase().contains("\r\nconnection: close\r\n"), "{answers}");
    }
    assert!(gateway.upstream().requests().iter().all(|request| request.target == "/public/a"));
}

#[test]
fn a_handshake_with_a_body_opens_no_tunnel() {
    let gateway = Gateway::with_sandbox();

    let request = handshake("/public/chat").replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nab");
    let answers = gateway.raw(request + "\0\n");

    assert_eq!(statuses(&answers), ["200"], "{answers}");
    assert!(!gateway.upstream().last_request().has("upgrade"));
}

#[test]
fn a_broken_answer_of_unknown_length_does_not_look_whole_to_a_client_of_http_1_0() {
    let upstream = RawUpstream::serving(|wire| {
        let whole = wire.head().contains("/whole");
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        if whole {
            wire.send("0\r\n\r\n");
        }
        // What was sent has arrived before the connection ends.
        wire.hears_within(Duration::from_millis(500));
    });
    let gateway = in_front_of(&upstream);
    for (target, ends_well) in [("/public/whole", true), ("/public/broken", false)] {
        let mut socket = TcpStream::connect(gateway.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(socket, "GET {target} HTTP/1.0\r\nHost: members.localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let end = socket.read_to_end(&mut answer).map_err(|error| error.kind());

        assert!(answer.ends_with(b"half"), "{target}: {}", String::from_utf8_lossy(&answer));
        let expected = if ends_well { Ok(answer.len()) } else { Err(ErrorKind::ConnectionReset) };
        assert_eq!(end, expected, "{target}");
    }
}
