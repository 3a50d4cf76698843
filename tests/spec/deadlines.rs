//! How long a client is waited for: with nothing, with half a head, and not at all while it is being answered.

use std::time::{Duration, Instant};

use crate::harness::{Gateway, Options, RawUpstream};

const SOON: Duration = Duration::from_secs(10);

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: members.localhost\r\n\r\n")
}

/// A gateway in front of an upstream that answers in eight pieces and takes four seconds.
fn in_front_of_a_slow_stream(server: &'static str) -> (RawUpstream, Gateway) {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 64\r\n\r\n");
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(500));
            wire.send("data: .\n");
        }
    });
    let options = Options { server, upstream: Some(upstream.address()), ..Options::default() };
    let gateway = Gateway::with(&options);
    (upstream, gateway)
}

#[test]
fn a_connection_that_idles_is_closed_before_its_first_request_and_after_its_answers() {
    let gateway = Gateway::with(&Options { server: "limits = { idle = \"1s\" }", ..Options::default() });
    for requests in [0, 1, 3] {
        let mut client = gateway.connect();
        for _ in 0..requests {
            client.send(get("/public/a"));
            assert_eq!(client.answer().1, "hello from the upstream");
        }
        let answered = Instant::now();

        assert!(client.is_closed_within(SOON), "after {requests} requests");
        assert!(answered.elapsed() > Duration::from_millis(900), "{:?}", answered.elapsed());
    }
}

#[test]
fn an_answer_may_take_longer_than_its_client_may_idle() {
    let (_upstream, gateway) = in_front_of_a_slow_stream("limits = { idle = \"1s\" }");
    let mut client = gateway.connect();

    client.send(get("/public/stream"));

    assert_eq!(client.answer().1, "data: .\n".repeat(8));
    assert!(client.is_closed_within(SOON));
}

#[test]
fn half_a_head_behind_a_request_is_waited_for_once_the_answer_has_ended() {
    let (_upstream, gateway) = in_front_of_a_slow_stream("limits = { head_timeout = \"1s\" }");
    let mut client = gateway.connect();

    client.send(get("/public/stream") + "GET /public/b HTTP/1.1\r\nHost: mem");

    assert_eq!(client.answer().1, "data: .\n".repeat(8));
    let answered = Instant::now();
    while !client.is_closed_within(Duration::from_millis(50)) {
        assert!(answered.elapsed() < SOON, "a head may take for ever");
        client.send("a");
    }
}

#[test]
fn half_a_head_that_comes_during_an_answer_is_waited_for_once_it_has_ended() {
    let (_upstream, gateway) = in_front_of_a_slow_stream("limits = { head_timeout = \"1s\" }");
    let mut client = gateway.connect();

    client.send(get("/public/stream"));
    client.until("data: .\n");
    client.send("GET /public/b HTTP/1.1\r\nHost: mem");

    assert_eq!(client.exactly(56), "data: .\n".repeat(7).into_bytes());
    assert!(client.is_closed_within(SOON));
}

#[test]
fn a_head_that_began_during_an_answer_is_answered_when_it_ends_in_time() {
    let upstream = RawUpstream::serving(|wire| {
        for _ in 0..2 {
            wire.head();
            std::thread::sleep(Duration::from_secs(3));
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway = Gateway::with(&Options {
        server: "limits = { head_timeout = \"1s\" }",
        upstream: Some(upstream.address()),
        ..Options::default()
    });
    let mut client = gateway.connect();
    let second = get("/public/b");
    let (begin, end) = second.split_at(20);

    client.send(get("/public/a") + begin);
    assert_eq!(client.answer().1, "ok");
    client.send(end);

    assert_eq!(client.answer().1, "ok");
}

#[test]
fn a_body_that_stalls_is_cut_off() {
    let gateway = Gateway::with(&Options { server: "limits = { body_idle = \"1s\" }", ..Options::default() });
    let mut client = gateway.connect();

    client.send(
        get("/public/a").replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\nabc"),
    );

    assert!(client.is_closed_within(SOON));
    assert!(gateway.upstream().requests().iter().all(|request| request.body.len() < 9));
}

#[test]
fn a_body_that_drips_is_cut_off_and_one_that_comes_slowly_is_not() {
    for (rate, is_borne) in [(1000, false), (1, true)] {
        let server = format!("limits = {{ body_idle = \"1s\", body_rate = {rate} }}");
        let gateway = Gateway::with(&Options { server: server.leak(), ..Options::default() });
        let mut client = gateway.connect();
        client.send(
            get("/public/a").replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 60\r\n\r\n"),
        );

        // Never silent for as long as it may be.
        let is_cut_off = (0..60).any(|_| {
            client.send("a");
            client.is_closed_within(Duration::from_millis(100))
        });

        assert_ne!(is_cut_off, is_borne, "{rate}");
        assert_eq!(gateway.upstream().requests().iter().any(|request| request.body.len() == 60), is_borne);
    }
}

#[test]
fn the_rest_of_a_body_that_has_been_answered_is_owed_all_the_same() {
    let (upstream, ended) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        wire.rest()
    });
    let options = Options {
        server: "limits = { body_idle = \"1s\" }",
        upstream: Some(upstream.address()),
        ..Options::default()
    };
    let gateway = Gateway::with(&options);
    let mut client = gateway.connect();

    client.send(
        get("/public/a").replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\nabc"),
    );
    assert_eq!(client.answer().1, "ok");

    assert!(client.is_closed_within(SOON));
    assert_eq!(ended.recv().unwrap(), "abc", "and the app waits no longer");
}

/// A gateway in front of an upstream that answers without end, and what tells whether it was left alone in the end.
fn in_front_of_an_endless_answer(server: &'static str) -> (std::sync::mpsc::Receiver<bool>, Gateway) {
    let (upstream, left) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let begun = Instant::now();
        while wire.send_while_taken(64 * 1024) > 0 && begun.elapsed() < SOON {}
        wire.is_closed_within(SOON)
    });
    let options = Options { server, upstream: Some(upstream.address()), ..Options::default() };
    (left, Gateway::with(&options))
}

#[test]
fn an_answer_that_nobody_takes_frees_the_app_whatever_the_client_says_meanwhile() {
    let (left, gateway) = in_front_of_an_endless_answer("limits = { body_idle = \"1s\" }");
    let mut client = gateway.connect();

    client.send(get("/public/a"));
    client.send("GET /public/b HTTP/1.1\r\nHost: mem");

    assert!(left.recv().unwrap());
    drop(client);
}

#[test]
fn an_answer_may_be_taken_slowly() {
    let (_left, gateway) = in_front_of_an_endless_answer("limits = { body_idle = \"2s\" }");
    let mut client = gateway.connect();

    client.send(get("/public/a"));

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        assert_eq!(client.exactly(32 * 1024).len(), 32 * 1024);
        std::thread::sleep(Duration::from_millis(100));
    }
}
