//! On to the upstream and back: streamed, byte for byte, and never over a connection that could hold somebody else's
//! bytes.

use std::sync::mpsc;
use std::time::Duration;

use crate::harness::{Gateway, RawUpstream, eventually, head};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn connections_to_the_upstream_are_used_again() {
    let upstream = RawUpstream::answering(OK);
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    for _ in 0..5 {
        client.send(head("GET /public/a", ""));
        assert_eq!(client.answer().1, "ok");
    }

    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_upstream_that_closes_after_each_answer_is_connected_to_anew() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(OK);
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    for _ in 0..20 {
        client.send(head("GET /public/a", ""));
        assert_eq!(client.answer().1, "ok");
    }

    assert_eq!(upstream.connections(), 20);
}

/// Answers the first request of a connection and closes it in the face of the second.
fn forgetful() -> RawUpstream {
    RawUpstream::serving(|wire| {
        wire.head();
        wire.send(OK);
        wire.head();
    })
}

#[test]
fn a_request_that_does_no_harm_twice_goes_over_another_connection_when_its_own_is_closed() {
    let upstream = forgetful();
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    for _ in 0..3 {
        client.send(head("GET /public/a", ""));
        assert_eq!(client.answer().1, "ok");
    }
}

#[test]
fn a_request_that_could_do_harm_twice_is_not_sent_twice() {
    let upstream = forgetful();
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();
    client.send(head("GET /public/a", ""));
    client.answer();

    client.send(head("POST /public/order", "Content-Length: 0\r\n"));

    assert!(client.head().starts_with("HTTP/1.1 502 "));
    assert_eq!(upstream.received().concat().matches("POST /public/order").count(), 1);
}

#[test]
fn a_body_of_unknown_length_arrives_in_chunks() {
    let upstream = RawUpstream::serving(|wire| {
        while wire.hears_within(Duration::from_secs(20)) {
            wire.head();
            wire.until("0\r\n\r\n");
            wire.send(OK);
        }
    });
    let gateway = Gateway::in_front_of(&upstream);

    for method in ["POST", "GET", "DELETE"] {
        let mut client = gateway.connect();
        client.send(head(&format!("{method} /public/a"), "Transfer-Encoding: chunked\r\n"));
        client.send("5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
        assert_eq!(client.answer().1, "ok");
    }

    let received = upstream.received().concat();
    assert_eq!(
        received.to_lowercase().matches("\r\ntransfer-encoding: chunked\r\n").count(),
        3,
        "{received}"
    );
    assert!(!received.to_lowercase().contains("content-length"), "{received}");
}

#[test]
fn a_body_of_known_length_arrives_with_its_length() {
    let gateway = Gateway::with_sandbox();
    for method in ["POST", "GET", "OPTIONS", "M-SEARCH"] {
        let request = head(&format!("{method} /public/a"), "Content-Length: 5\r\nConnection: close\r\n");
        gateway.raw(request + "hello");

        let request = gateway.upstream().last_request();
        assert_eq!((&*request.method, &request.body[..]), (method, &b"hello"[..]));
        assert_eq!(request.field("content-length"), "5");
        assert!(!request.has("transfer-encoding"));
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let upstream = RawUpstream::serving(|wire| {
        while wire.hears_within(Duration::from_secs(20)) {
            let request = wire.head();
            wire.send(match request.split(' ').nth(1).unwrap() {
                "/public/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/public/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
                "/public/head" => "HTTP/1.1 200 OK\r\nContent-Length: 4711\r\n\r\n",
                _ => OK,
            });
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    for (line, expected) in [
        ("GET /public/204", "HTTP/1.1 204 "),
        ("GET /public/304", "HTTP/1.1 304 "),
        ("HEAD /public/head", "HTTP/1.1 200 "),
    ] {
        client.send(head(line, ""));
        let answer = client.head();
        assert!(answer.starts_with(expected), "{line}: {answer}");
        assert_eq!(answer.contains("content-length: 4711"), line.starts_with("HEAD"), "{answer}");
        client.send(head("GET /public/a", ""));
        assert_eq!(client.answer().1, "ok", "after {line}");
    }
    // Old apps send a body after HEAD, late; so that connection is not used again.
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_member_who_asks_before_sending_is_told_to_continue() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.until("hello");
        wire.send(OK);
    });
    let gateway = Gateway::in_front_of(&upstream);
    let cookie = gateway.member().await;
    let mut client = gateway.connect();

    client.send(head("POST /a", &format!("{cookie}Expect: 100-continue\r\nContent-Length: 5\r\n")));
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");

    assert_eq!(client.answer().1, "ok");
    assert!(!upstream.received()[0].to_lowercase().contains("expect"));
}

#[test]
fn a_stranger_who_asks_before_sending_is_not_told_to_continue() {
    let gateway = Gateway::with_sandbox();

    let answer =
        gateway.raw(head("POST /a", "Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n"));

    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn any_other_expectation_is_refused() {
    let gateway = Gateway::with_sandbox();
    for expected in ["200-ok", "100-continue, x", ""] {
        let answer =
            gateway.raw(head("GET /public/a", &format!("Expect: {expected}\r\nConnection: close\r\n")));

        assert!(answer.starts_with("HTTP/1.1 417 "), "{expected}: {answer}");
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_connection_whose_request_was_answered_too_early_is_not_used_again() {
    let upstream = RawUpstream::serving(|wire| {
        while wire.hears_within(Duration::from_secs(20)) {
            wire.head();
            wire.send(OK);
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();
    client.send(head("POST /public/early", "Content-Length: 100\r\n"));
    assert_eq!(client.answer().1, "ok");

    // Enough of them to be served by every worker.
    for _ in 0..16 {
        let answer = gateway.raw(head("GET /public/after", "Connection: close\r\n"));
        assert!(answer.ends_with("ok"), "{answer}");
    }

    let early = &upstream.received()[0];
    assert!(early.starts_with("POST /public/early") && !early.contains("GET"), "{early}");
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_its_body_takes_the_request_with_it() {
    for (framing, part) in [("Content-Length: 10", "abc"), ("Transfer-Encoding: chunked", "3\r\nabc\r\n")] {
        let (upstream, told) = RawUpstream::telling(|wire| {
            wire.head();
            wire.until("abc") + &wire.rest()
        });
        let gateway = Gateway::in_front_of(&upstream);
        let mut client = gateway.connect();
        client.send(head("POST /public/a", &format!("{framing}\r\n")) + part);
        eventually("the first part arrives", || upstream.received().concat().contains("abc"));

        drop(client);

        let body = told.recv_timeout(Duration::from_secs(20)).expect("the connection ends");
        assert!(body.trim_end().ends_with("abc"), "{framing}: the upstream takes {body:?} for whole");
    }
}

#[test]
fn a_client_that_goes_away_ends_what_the_upstream_was_asked() {
    let (upstream, told) = RawUpstream::telling(|wire| {
        wire.head();
        wire.rest()
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();
    client.send(head("GET /public/a", ""));
    eventually("the request arrives", || upstream.received().concat().ends_with("\r\n\r\n"));

    drop(client);

    told.recv_timeout(Duration::from_secs(20)).expect("the connection ends");
}

#[test]
fn a_body_that_breaks_its_framing_is_never_completed_at_the_upstream() {
    let (begun, has_begun) = mpsc::channel();
    let (upstream, told) = RawUpstream::telling(move |wire| {
        wire.head();
        wire.until("abc\r\n");
        begun.send(()).unwrap();
        wire.rest()
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    client.send(head("POST /public/a", "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n");
    has_begun.recv().unwrap();
    client.send("nonsense\r\n\r\n");

    assert!(client.head().starts_with("HTTP/1.1 400 "));
    assert_eq!(told.recv().unwrap(), "", "no last chunk");
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    for (answer, end) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nhello\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello"),
    ] {
        let upstream = RawUpstream::serving(move |wire| {
            wire.head();
            wire.send(answer);
        });
        let gateway = Gateway::in_front_of(&upstream);
        let mut client = gateway.connect();

        client.send(head("GET /public/a", ""));

        assert!(client.head().starts_with("HTTP/1.1 200 "));
        let rest = client.rest();
        assert!(end.starts_with(&rest), "{rest:?}");
    }
}

#[test]
fn an_answer_without_a_length_ends_in_the_last_chunk() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold but whole");
    });
    let gateway = Gateway::in_front_of(&upstream);

    let answer = gateway.raw(head("GET /public/a", "Connection: close\r\n"));

    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("transfer-encoding: chunked"), "{answer}");
    assert!(answer.ends_with("\r\n0\r\n\r\n") && answer.contains("old but whole"), "{answer}");
}

#[test]
fn a_client_of_http_1_0_is_served_and_the_upstream_asked_in_http_1_1() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    });
    let gateway = Gateway::in_front_of(&upstream);

    let answer = gateway.raw("GET /public/a HTTP/1.0\r\nHost: members.localhost\r\n\r\n");

    assert!(answer.ends_with("\r\n\r\nok") && !answer.to_lowercase().contains("chunked"), "{answer}");
    assert!(upstream.received()[0].starts_with("GET /public/a HTTP/1.1\r\n"), "{}", upstream.received()[0]);
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let gateway = Gateway::with_sandbox();
    gateway.upstream().answers(|request| http::Response::new(format!("<{}>", request.target).into()));

    let requests = ["/public/1", "/public/2", "/public/3"].map(|path| head(&format!("GET {path}"), ""));
    let answer = gateway.raw(requests.concat() + &head("GET /public/4", "Connection: close\r\n"));

    let bodies: Vec<_> = answer.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect();
    assert_eq!(bodies, ["/public/1", "/public/2", "/public/3", "/public/4"]);
}

#[test]
fn what_an_upstream_sends_beyond_its_answer_is_nobody_s() {
    for beyond in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        "forged",
        "\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
    ] {
        let upstream = RawUpstream::serving(move |wire| {
            while wire.hears_within(Duration::from_secs(20)) {
                let path = wire.head().split(' ').nth(1).unwrap().to_owned();
                let length = path.len();
                wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}{beyond}"));
            }
        });
        let gateway = Gateway::in_front_of(&upstream);
        let mut client = gateway.connect();

        for number in 0..5 {
            client.send(head(&format!("GET /public/{number}"), ""));
            assert_eq!(client.answer().1, format!("/public/{number}"), "{beyond:?}");
        }
    }
}

#[test]
fn an_answer_that_can_be_read_in_two_ways_is_none() {
    for fields in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length: +2\r\n",
        "X-Folded: a\r\n b: c\r\nContent-Length: 2\r\n",
        "X-Nul: \0\r\nContent-Length: 2\r\n",
    ] {
        let upstream = RawUpstream::serving(move |wire| {
            wire.head();
            wire.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\nok"));
        });
        let gateway = Gateway::in_front_of(&upstream);

        let answer = gateway.raw(head("GET /public/a", "Connection: close\r\n"));

        assert!(answer.starts_with("HTTP/1.1 502 "), "{fields:?}: {answer}");
    }
}

#[test]
fn a_target_is_forwarded_byte_for_byte() {
    let upstream = RawUpstream::answering(OK);
    let gateway = Gateway::in_front_of(&upstream);
    let targets = [
        "/public/a",
        "/public/a?",
        "/public//b/",
        "/public/%7Ea/%e4%C3%A4?q=%2F+%20&&=",
        "/public/a;v=1,2/(c)!$&'*:@=~?a?b//c/../d",
        "/public/a?next=https://evil.test/%0d%0a",
        "/public/{a}|b^[c]?{x}|y",
    ];
    let mut client = gateway.connect();
    for target in targets {
        client.send(head(&format!("GET {target}"), ""));
        let (head, body) = client.answer();
        assert_eq!(body, "ok", "{target}: {head}");
    }

    let received = upstream.received().concat();
    let lines: Vec<_> = received.lines().filter(|line| line.ends_with(" HTTP/1.1")).collect();
    assert_eq!(lines, targets.map(|target| format!("GET {target} HTTP/1.1")));
}

#[test]
fn a_target_of_another_scheme_is_refused() {
    let gateway = Gateway::with_sandbox();
    for (scheme, status) in [("http", 200), ("https", 200), ("ftp", 400), ("ws", 400), ("file", 400)] {
        let line = format!("GET {scheme}://members.localhost/public/a");

        let answer = gateway.raw(head(&line, "Connection: close\r\n"));

        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{scheme}: {answer}");
    }
    assert_eq!(gateway.upstream().requests().len(), 2);
}
