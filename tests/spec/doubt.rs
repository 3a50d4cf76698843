//! In doubt a connection to the upstream is not used again, and an answer is none: what one member's request leaves
//! behind must never become another member's answer.

use std::net::SocketAddr;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::harness::{Gateway, Options, RawUpstream, Wire};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PATIENCE: Duration = Duration::from_secs(20);

fn in_front_of(upstream: SocketAddr) -> Gateway {
    Gateway::with(&Options { upstream: Some(upstream), ..Options::default() })
}

/// A request to a public path, as a head with these fields.
fn head(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: members.localhost\r\n{fields}\r\n")
}

/// An upstream that reads every request with its body, and answers those to `/public/ok` in the ordinary way.
fn reading_bodies(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> RawUpstream {
    RawUpstream::serving(move |wire| {
        while wire.hears_within(PATIENCE) {
            let head = wire.head();
            wire.exactly(length_in(&head));
            let is_ordinary = head.contains(" /public/ok ");
            wire.send(if is_ordinary { OK.to_owned() } else { answer(&head) });
        }
    })
}

fn length_in(head: &str) -> usize {
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().unwrap())
}

/// Asks something whose answer is read by `read`, then something ordinary over the same connection to the gateway, which
/// is the same worker: whether that comes over the same connection to the upstream.
fn is_used_again(
    upstream: &RawUpstream,
    client: &mut Wire,
    request: &str,
    read: impl FnOnce(&mut Wire),
) -> bool {
    client.send(request);
    read(client);
    let before = upstream.connections();
    client.send(head("GET /public/ok", ""));
    assert_eq!(client.answer().1, "ok", "after {request:?}");
    upstream.connections() == before
}

fn whole(client: &mut Wire) {
    client.answer();
}

fn only_the_head(client: &mut Wire) {
    client.head();
}

#[test]
fn a_connection_is_used_again_after_ordinary_requests() {
    let upstream = reading_bodies(|_| OK.to_owned());
    let gateway = in_front_of(upstream.address());
    let mut client = gateway.connect();

    for request in [
        head("GET /public/a", ""),
        head("DELETE /public/a", ""),
        head("OPTIONS /public/a", ""),
        head("POST /public/a", "Content-Length: 0\r\n"),
        head("POST /public/a", "Content-Length: 5\r\n") + "hello",
        head("PUT /public/a", "Content-Length: 5\r\n") + "hello",
    ] {
        assert!(is_used_again(&upstream, &mut client, &request, whole), "{request}");
    }
}

#[test]
fn a_connection_is_not_used_again_after_a_body_that_its_method_has_no_use_for() {
    let upstream = reading_bodies(|_| OK.to_owned());
    let gateway = in_front_of(upstream.address());
    let mut client = gateway.connect();

    for method in ["GET", "DELETE", "OPTIONS"] {
        let request = head(&format!("{method} /public/a"), "Content-Length: 5\r\n") + "hello";
        assert!(!is_used_again(&upstream, &mut client, &request, whole), "{request}");
    }
    let request = head("HEAD /public/a", "Content-Length: 5\r\n") + "hello";
    assert!(!is_used_again(&upstream, &mut client, &request, only_the_head), "{request}");
}

#[test]
fn a_connection_is_not_used_again_after_an_answer_that_came_before_the_body() {
    for (framing, body) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
    {
        // It reads on as if no body came, as one does that forgets to.
        let upstream = RawUpstream::answering(OK);
        let gateway = in_front_of(upstream.address());
        let mut client = gateway.connect();

        let request = head("POST /public/early", &format!("{framing}\r\n"));
        let late = |client: &mut Wire| {
            client.answer();
            client.send(body);
        };

        assert!(!is_used_again(&upstream, &mut client, &request, late), "{framing}");
        assert!(!upstream.received()[0].contains("GET"), "{framing}: {:?}", upstream.received());
    }
}

#[test]
fn a_connection_is_not_used_again_after_an_answer_that_has_no_body_although_it_announces_one() {
    let upstream = reading_bodies(|head| {
        let status = head.split("/public/").nth(1).unwrap().split(' ').next().unwrap();
        format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 5\r\n\r\n")
    });
    let gateway = in_front_of(upstream.address());
    let mut client = gateway.connect();

    for line in ["HEAD /public/200", "GET /public/204", "GET /public/304"] {
        assert!(!is_used_again(&upstream, &mut client, &head(line, ""), only_the_head), "{line}");
    }
}

#[test]
fn a_late_body_after_head_never_answers_the_next_member() {
    let upstream = RawUpstream::serving(|wire| {
        let is_head = wire.head().starts_with("HEAD ");
        wire.send(if is_head { "HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\n" } else { OK });
        // Whoever asks over this connection next gets what belongs to the one before.
        if is_head && wire.hears_within(PATIENCE) {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        }
    });
    let gateway = in_front_of(upstream.address());
    let mut client = gateway.connect();

    client.send(head("HEAD /public/a", ""));
    client.head();

    for _ in 0..3 {
        client.send(head("GET /public/a", ""));
        assert_eq!(client.answer().1, "ok");
    }
}

#[test]
fn a_connection_that_authenticates_somebody_is_not_used_again() {
    let upstream = reading_bodies(|head| {
        let challenge = head.lines().find_map(|line| line.strip_prefix("X-Challenge: ")).unwrap_or_default();
        format!("HTTP/1.1 401 No\r\n{}Content-Length: 2\r\n\r\nno", challenge.replace('~', "\r\n"))
    });
    let gateway = in_front_of(upstream.address());
    let mut client = gateway.connect();

    for (fields, is_kept) in [
        ("X-Challenge: WWW-Authenticate: NTLM~", false),
        ("X-Challenge: WWW-Authenticate: ntlm TlRMTVNTUAAC~", false),
        ("X-Challenge: WWW-Authenticate: Negotiate~", false),
        ("X-Challenge: www-authenticate: nEGOTIATE oYG2~", false),
        ("X-Challenge: WWW-Authenticate: Basic realm=\"a\", NTLM~", false),
        ("X-Challenge: WWW-Authenticate: Basic realm=\"a\"~WWW-Authenticate: Negotiate~", false),
        ("X-Challenge: WWW-Authenticate: Basic realm=\"a\"~", true),
        ("Authorization: NTLM TlRMTVNTUAAB", false),
        ("Authorization: ntlm TlRMTVNTUAAB", false),
        ("Authorization: Negotiate YII=", false),
        ("AUTHORIZATION: NEGOTIATE YII=", false),
        ("Authorization: Basic YTpi", true),
        ("Authorization: Bearer ntlm", true),
    ] {
        let request = head("GET /public/a", &format!("{fields}\r\n"));
        assert_eq!(is_used_again(&upstream, &mut client, &request, whole), is_kept, "{fields}");
    }
}

#[test]
fn an_answer_whose_end_is_in_doubt_is_none_and_its_connection_is_dropped() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
    ] {
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let upstream = RawUpstream::serving(move |wire| {
            if wire.head().contains(" /public/ok ") {
                return wire.send(OK);
            }
            wire.send(answer);
            let _ = tell.lock().unwrap().send(wire.is_closed_within(PATIENCE));
        });
        let gateway = in_front_of(upstream.address());
        let mut client = gateway.connect();

        client.send(head("GET /public/a", ""));
        assert!(client.answer().0.starts_with("HTTP/1.1 502 "), "{answer:?}");
        assert!(told.recv().unwrap(), "{answer:?}: its connection stays");

        client.send(head("GET /public/ok", ""));
        assert_eq!(client.answer().1, "ok", "{answer:?}");
        assert_eq!(upstream.connections(), 2, "{answer:?}");
    }
}

#[test]
fn interim_answers_come_to_an_end_and_one_is_passed_over() {
    const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    let upstream = reading_bodies(|head| {
        let times = if head.contains("flood") { 20_000 } else { 1 };
        EARLY_HINTS.repeat(times) + OK
    });
    let gateway = in_front_of(upstream.address());
    let mut client = gateway.connect();

    client.send(head("GET /public/flood", ""));
    assert!(client.answer().0.starts_with("HTTP/1.1 502 "));

    for path in ["/public/ok", "/public/hint"] {
        client.send(head(&format!("GET {path}"), ""));
        let (head, body) = client.answer();
        assert!(head.starts_with("HTTP/1.1 200 ") && body == "ok", "{path}: {head}");
    }
}

/// An ordinary request, so that a connection is idle, and then this one; the head of its answer, and how many times it
/// has reached the upstream.
fn over_a_stale_connection(last: &'static str, request: &str) -> (String, usize) {
    let upstream = RawUpstream::serving(move |wire| {
        loop {
            let head = wire.head();
            wire.exactly(length_in(&head));
            if !head.contains(" /public/ok ") {
                return wire.send(last);
            }
            wire.send(OK);
        }
    });
    let gateway = in_front_of(upstream.address());
    let mut client = gateway.connect();
    client.send(head("GET /public/ok", ""));
    assert_eq!(client.answer().1, "ok");
    client.send(request);
    let answer = client.answer().0;
    (answer, upstream.received().concat().matches("/public/stale").count())
}

#[test]
fn a_request_over_a_stale_connection_is_repeated_once_at_most() {
    let (answer, times) = over_a_stale_connection("", &head("GET /public/stale", ""));

    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(times, 2);
}

#[test]
fn a_request_that_could_do_harm_is_never_repeated_once_it_was_written() {
    for request in [
        head("DELETE /public/stale", ""),
        head("PUT /public/stale", "Content-Length: 5\r\n") + "hello",
        head("POST /public/stale", "Content-Length: 0\r\n"),
        head("POST /public/stale", "Content-Length: 5\r\n") + "hello",
        head("GET /public/stale", "Content-Length: 5\r\n") + "hello",
    ] {
        let (answer, times) = over_a_stale_connection("", &request);

        assert!(answer.starts_with("HTTP/1.1 502 "), "{request}: {answer}");
        assert_eq!(times, 1, "{request}");
    }
}

#[test]
fn a_request_that_was_answered_in_part_is_not_repeated() {
    for part in ["H", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let (answer, times) = over_a_stale_connection(part, &head("GET /public/stale", ""));

        assert!(answer.starts_with("HTTP/1.1 502 "), "{part:?}: {answer}");
        assert_eq!(times, 1, "{part:?}");
    }
}

#[test]
fn a_body_that_goes_on_after_its_answer_leaves_no_deadline_to_the_next_request() {
    let upstream = RawUpstream::serving(|wire| {
        let head = wire.head();
        if head.contains("early") {
            wire.send(OK);
            wire.exactly(length_in(&head));
            wire.rest();
        } else {
            wire.exactly(length_in(&head));
            wire.send(OK);
        }
    });
    let gateway = Gateway::with(&Options {
        upstream: Some(upstream.address()),
        site: "timeouts = { first_byte = \"1s\" }",
        ..Options::default()
    });
    let mut client = gateway.connect();
    client.send(head("POST /public/early", "Content-Length: 8\r\n") + "half");
    assert_eq!(client.answer().1, "ok");
    client.send("half");
    std::thread::sleep(Duration::from_millis(1600));

    client.send(head("POST /public/slow", "Content-Length: 8\r\n") + "half");
    std::thread::sleep(Duration::from_millis(1600));
    client.send("half");

    assert_eq!(client.answer().1, "ok");
}
