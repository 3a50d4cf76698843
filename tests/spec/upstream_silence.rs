//! An upstream that is down, says nothing, stops, or takes nothing: how long it is waited for, and what is said then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use http::Method;

use crate::harness::{Gateway, Options, RawUpstream, free_address, head};

#[tokio::test]
async fn an_upstream_that_is_down_is_a_page_for_a_browser_and_a_problem_for_a_script() {
    let nobody = free_address();
    let gateway = Gateway::with(&Options { upstream: Some(nobody), ..Options::default() });

    let page = gateway.browser().go("/public/a").await;
    assert_eq!((page.status.as_u16(), page.field("content-type")), (502, "text/html; charset=utf-8"));
    let problem = gateway.browser().fetch(Method::GET, "/public/a", &[]).await;
    assert_eq!((problem.status.as_u16(), problem.field("content-type")), (502, "application/problem+json"));
    assert!(!page.body.contains("127.0.0.1") && !problem.body.contains("127.0.0.1"));
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_waited_for_only_so_long() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.rest();
    });
    let gateway = Gateway::with(&Options {
        upstream: Some(upstream.address()),
        site: "timeouts = { first_byte = \"1s\" }",
        ..Options::default()
    });

    let page = gateway.browser().go("/public/a").await;

    assert_eq!((page.status.as_u16(), page.field("content-type")), (504, "text/html; charset=utf-8"));
}

#[test]
fn an_upstream_that_stops_in_the_middle_is_waited_for_only_so_long() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        wire.rest();
    });
    let gateway = Gateway::with(&Options {
        upstream: Some(upstream.address()),
        site: "timeouts = { idle = \"1s\" }",
        ..Options::default()
    });
    let mut client = gateway.connect();

    client.send(head("GET /public/a", ""));

    client.head();
    assert_eq!(client.rest(), "5\r\nhello\r\n");
}

#[test]
fn an_upstream_that_takes_nothing_of_a_body_is_waited_for_only_so_long() {
    let given_up = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&given_up);
    let upstream = RawUpstream::serving(move |wire| {
        wire.head();
        // Nothing is read until the gateway has given up.
        waits.wait();
    });
    let gateway = Gateway::with(&Options {
        upstream: Some(upstream.address()),
        site: "timeouts = { idle = \"1s\" }",
        ..Options::default()
    });
    let mut client = gateway.connect();
    let length = 256 * 1024 * 1024;

    client.send(head("POST /public/a", &format!("Content-Length: {length}\r\n")));
    // However slowly what lies between fills up, the client always has more.
    let answered = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut sending, answered) = (client.another(), &answered);
        let sender = scope.spawn(move || {
            let mut sent = 0;
            while !answered.load(Ordering::Relaxed) && sent < length {
                sent += sending.send_while_taken(64 * 1024);
            }
            sent
        });
        let answer = client.head();
        answered.store(true, Ordering::Relaxed);
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
        assert!(sender.join().unwrap() < length);
    });
    given_up.wait();
}
