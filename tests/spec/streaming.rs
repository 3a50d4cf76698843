//! Bodies in both directions: as fast as whoever reads them, never held back, and in no more memory than a buffer.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::harness::{Gateway, RawUpstream, head};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LARGE: usize = 64 * 1024 * 1024;
/// More than all the buffers of all the sockets on the way.
const UNDER_WAY: usize = 48 * 1024 * 1024;

#[test]
fn a_large_body_goes_on_as_fast_as_the_upstream_reads_it() {
    let go_on = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&go_on);
    let upstream = RawUpstream::serving(move |wire| {
        wire.head();
        waits.wait();
        wire.exactly(LARGE);
        wire.send(OK);
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    client.send(head("POST /public/a", &format!("Content-Length: {LARGE}\r\n")));
    let taken = client.send_while_taken(LARGE);
    assert!(taken < UNDER_WAY, "{taken} bytes are under way to an upstream that does not read");
    go_on.wait();
    client.send(vec![0; LARGE - taken]);

    assert_eq!(client.answer().1, "ok");
}

#[test]
fn a_large_answer_comes_as_fast_as_the_client_reads_it() {
    let (upstream, told) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
        let taken = wire.send_while_taken(LARGE);
        wire.send(vec![0; LARGE - taken]);
        taken
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    client.send(head("GET /public/a", ""));
    client.head();
    // Long enough for the upstream to find that nobody takes any more.
    assert!(told.recv_timeout(Duration::from_secs(2)).is_err());
    assert_eq!(client.exactly(LARGE).len(), LARGE);

    let taken = told.recv().unwrap();
    assert!(taken < UNDER_WAY, "{taken} bytes are under way to a client that does not read");
}

#[test]
fn an_answer_may_begin_before_the_request_has_ended() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n");
        wire.until("late");
        wire.send("4\r\nlate\r\n0\r\n\r\n");
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    client.send(head("POST /public/a", "Content-Length: 4\r\n"));
    client.until("early");
    client.send("late");

    client.until("late\r\n0\r\n\r\n");
}

#[test]
fn events_pass_as_they_come() {
    let heard = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&heard);
    let upstream = RawUpstream::serving(move |wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..3 {
            wire.send("9\r\ndata: 1\n\n\r\n");
            waits.wait();
        }
        wire.send("0\r\n\r\n");
    });
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();

    client.send(head("GET /public/a", ""));

    // The next event is sent when this one has been heard.
    for _ in 0..3 {
        client.until("data: 1\n\n");
        heard.wait();
    }
    client.until("0\r\n\r\n");
}
