//! Clients of HTTP/2 that take their answers slowly, and those that do not take them at all.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::harness::RawUpstream;
use crate::http2_abuse::{
    DATA, HEADERS, PING, RST_STREAM, WINDOW_UPDATE, ask, begin, frame, frames, gateway, until, window,
};

const SOON: Duration = Duration::from_secs(15);
/// Between two things that a client does; less than it may be silent.
const A_MOMENT: Duration = Duration::from_millis(100);
/// Longer than a client may be silent, with two ticks to notice it and something to spare.
const LONG: Duration = Duration::from_secs(3);

/// An answer that is never all on its way.
const LARGE: usize = 100_000_000;

/// An app with an answer of so many octets.
fn app(length: usize) -> RawUpstream {
    RawUpstream::serving(move |wire| {
        wire.head();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        wire.send_while_taken(length);
        wire.rest();
    })
}

#[test]
fn an_answer_may_be_taken_slowly_and_so_may_its_end_and_whoever_stops_is_not_waited_for() {
    // One that is given to h2 at once, to its end, and one of which the next piece has to wait.
    for length in [6000, LARGE] {
        let upstream = app(length);
        let gateway = gateway("limits = { body_idle = \"1s\" }", Some(&upstream));
        let mut wire = begin(&gateway, &window([0; 4]));
        wire.send(ask(1, "/public/a"));

        let begun = Instant::now();
        while begun.elapsed() < LONG {
            wire.send(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 100]));
            assert_eq!(frames(&mut wire, DATA, 1)[0].1.len(), 100, "of {length}");
            assert!(!wire.hears_within(A_MOMENT), "of {length}: what there is no window for");
        }

        if length == 6000 {
            assert!(wire.is_closed_within(SOON) || wire.is_closed_within(SOON));
        } else {
            until(&mut wire, RST_STREAM);
        }
    }
}

#[test]
fn a_stream_whose_window_stays_shut_is_reset_however_often_its_client_pings() {
    let upstream = app(LARGE);
    let gateway = gateway("limits = { body_idle = \"1s\" }", Some(&upstream));
    let mut wire = begin(&gateway, &window([0; 4]));
    wire.send(ask(1, "/public/a"));
    until(&mut wire, HEADERS);

    let begun = Instant::now();
    let mut answered = 0;
    while !wire.hears_within(A_MOMENT) {
        assert!(begun.elapsed() < SOON, "its stream is still there");
        wire.send(frame(PING, 0, 0, &[7; 8]));
        assert_eq!(wire.exactly(17)[3], PING);
        answered += 1;
    }

    assert_eq!(frames(&mut wire, RST_STREAM, 1)[0].0, 1);
    assert!(answered > 0);
    // It was no more than the one stream.
    wire.send(ask(3, "/_gateway/health"));
    assert_eq!(frames(&mut wire, HEADERS, 1)[0].0, 3);
}

#[test]
fn the_end_of_an_answer_that_stays_where_it_is_ends_the_connection_however_often_its_client_pings() {
    let upstream = app(6000);
    let gateway = gateway("limits = { body_idle = \"1s\" }", Some(&upstream));
    let mut wire = begin(&gateway, &window([0, 0, 0, 4]));
    wire.send(ask(1, "/public/a"));
    until(&mut wire, DATA);

    let begun = Instant::now();
    while begun.elapsed() < SOON {
        wire.send(frame(PING, 0, 0, &[7; 8]));
        // The first thing that is heard is the answer to the ping.
        if wire.is_closed_within(A_MOMENT) || wire.is_closed_within(A_MOMENT) {
            return;
        }
    }
    panic!("the connection is still there");
}

#[test]
fn whoever_pings_and_reads_nothing_is_not_waited_for() {
    let (upstream, left) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
        while wire.send_while_taken(1024 * 1024) > 0 {}
        wire.is_closed_within(SOON)
    });
    let gateway = gateway("limits = { body_idle = \"1s\" }", Some(&upstream));
    let mut wire = begin(&gateway, &window([0x7f, 0xff, 0xff, 0xff]));
    wire.send(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]));
    wire.send(ask(1, "/public/a"));

    let is_left = loop {
        wire.send(frame(PING, 0, 0, &[7; 8]));
        match left.recv_timeout(A_MOMENT) {
            Ok(is_left) => break is_left,
            Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
        }
    };

    assert!(is_left);
    // Not the stream alone has ended.
    let begun = Instant::now();
    while !wire.is_closed_within(A_MOMENT) {
        assert!(begun.elapsed() < SOON, "the connection is still there");
    }
}
