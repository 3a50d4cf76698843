//! Clients of HTTP/2 that take their answers slowly, and those that do not take them at all.

use std::time::{Duration, Instant};

use crate::harness::RawUpstream;
use crate::http2_abuse::{
    DATA, RST_STREAM, WINDOW_UPDATE, ask, begin, frame, frames, gateway, until, window,
};

const SOON: Duration = Duration::from_secs(15);
/// Between two things that a client does; less than it may be silent.
const A_MOMENT: Duration = Duration::from_millis(100);
/// Longer than a client may be silent, with two ticks to notice it and something to spare.
const LONG: Duration = Duration::from_secs(3);

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
    for length in [6000, 1_000_000] {
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
