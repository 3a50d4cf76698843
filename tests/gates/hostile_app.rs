//! Gate R4: an app that accepts and says nothing, that says it a byte at a time, and that breaks off.

use std::time::{Duration, Instant};

use crate::harness::{Gateway, Options, RawUpstream, Wire, head};
use crate::scaled;

/// What the gateway waits for, in the configuration below: the shortest limit there is by default, where a tenth of it is
/// what a deadline may be late. What is asserted is five times as long.
const LIMIT: Duration = Duration::from_secs(scaled(1, 5) as u64);
const SITE: &str = if LIMIT.as_secs() == 1 {
    "timeouts = { first_byte = \"1s\", idle = \"1s\" }"
} else {
    "timeouts = { first_byte = \"5s\", idle = \"5s\" }"
};

/// The answer to one request to an app that behaves like this, and whether its connection was used again for the next.
fn answer(name: &str, serve: impl Fn(&mut Wire) + Send + Sync + 'static) -> (String, bool) {
    let app = RawUpstream::serving(serve);
    let gateway = Gateway::with(&Options { upstream: Some(app.address()), site: SITE, ..Options::USUAL });
    let mut client = gateway.connect();
    let since = Instant::now();
    client.send(head("GET /public/a", "Connection: close\r\n"));
    let answer = client.rest();
    let took = since.elapsed();
    let status = answer.lines().next().unwrap_or_default();
    println!("R4 {name}: {} ms, where the limit is {} s: {status}", took.as_millis(), LIMIT.as_secs());
    assert!(took < 5 * LIMIT, "{name}: {took:?}");

    let before = app.connections();
    let mut next = gateway.connect();
    next.send(head("GET /public/b", "Connection: close\r\n"));
    next.rest();
    (answer, app.connections() == before)
}

/// Sends a byte every now and then, for as long as somebody is there.
fn drip(wire: &mut Wire, bytes: &[u8]) {
    for byte in bytes {
        wire.send([*byte]);
        if wire.is_closed_within(Duration::from_millis(200)) {
            return;
        }
    }
}

#[test]
fn an_app_that_says_nothing_is_waited_for_as_long_as_it_says() {
    let (answer, again) = answer("says nothing", |wire| {
        wire.head();
        wire.is_closed_within(20 * LIMIT);
    });
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(!again);
}

#[test]
fn an_app_that_drips_a_head_is_not_waited_for_any_longer() {
    let (answer, again) = answer("drips a head", |wire| {
        wire.head();
        drip(wire, &[b"HTTP/1.1 200 OK\r\nX-Drip: ".as_slice(), &[b'a'; 400]].concat());
    });
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(!again);
}

#[test]
fn an_app_that_stops_in_the_middle_of_a_body_never_looks_complete() {
    for (name, start) in [
        ("stops within its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        ("stops between two chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    ] {
        let (answer, again) = answer(name, move |wire| {
            wire.head();
            wire.send(start);
            wire.is_closed_within(20 * LIMIT);
        });
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("half"), "{name}: {answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{name}: {answer}");
        assert!(!again, "{name}");
    }
}

#[test]
fn an_app_that_breaks_off_is_an_error_or_never_looks_complete() {
    for (name, start, status) in [
        ("closes without a word", "", "502"),
        ("closes within a head", "HTTP/1.1 200 OK\r\nContent-Le", "502"),
        ("closes within its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "200"),
        ("closes within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", "200"),
        (
            "closes before the last chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "200",
        ),
    ] {
        let (answer, again) = answer(name, move |wire| {
            wire.head();
            wire.send(start);
        });
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(status == "502" || !answer.ends_with("0\r\n\r\n"), "{name}: {answer}");
        assert!(!again, "{name}");
    }
}
