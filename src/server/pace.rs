//! The pace of a request's body, where each request of a connection has its own.
//!
//! Over HTTP/1.1 the connection itself sees when a client stops sending. Over HTTP/2 many bodies share one, and only whoever
//! reads a body knows that it is waited for: what the upstream does not take yet, the client owes to nobody.
//!
//! An answer may begin before the body has ended. While it goes on, both sides may talk as they like; once it is complete the
//! client owes the rest again, or it would keep an app waiting for nothing.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::Extensions;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Interval;

use super::incoming::{BrokenOff, Incoming, OnUpgrade};
use crate::deadline::{Due, TICK};

/// What a client owes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    /// How long it may be silent.
    pub(super) idle: Duration,
    /// Octets a second that it sends at least; any number where there is none.
    pub(super) rate: Option<NonZeroU32>,
}

/// How long a client is still waited for. Time that it lets pass is used up, and each octet pays some of it back, up to all:
/// so a body that only drips ends like one that has stopped.
#[derive(Debug)]
pub(super) struct Credit {
    owed: Owed,
    /// Microseconds.
    left: AtomicU64,
    /// When it began to be waited for, in milliseconds of the worker, or [`NOT_AWAITED`].
    since: AtomicU64,
}

const NOT_AWAITED: u64 = u64::MAX;

impl Credit {
    pub(super) fn new(owed: Owed) -> Self {
        Self { owed, left: AtomicU64::new(micros(owed.idle)), since: AtomicU64::new(NOT_AWAITED) }
    }

    /// Another body begins.
    pub(super) fn renew(&self) {
        self.left.store(micros(self.owed.idle), Ordering::Relaxed);
        self.since.store(NOT_AWAITED, Ordering::Relaxed);
    }

    /// The client is waited for. Where it is already, it gets no more time.
    pub(super) fn wait(&self, due: &Due) {
        let now = millis(due.now());
        if self.since.load(Ordering::Relaxed) == NOT_AWAITED {
            self.since.store(now, Ordering::Relaxed);
        }
        let waited = now.saturating_sub(self.since.load(Ordering::Relaxed)) * 1000;
        let left = self.left.load(Ordering::Relaxed).saturating_sub(waited);
        if self.is_enough(left) {
            due.set(Duration::from_micros(left));
        } else {
            due.set_if_clear(Duration::from_micros(left));
        }
    }

    /// So many octets have come. Where that is enough, nobody is waited for any more.
    pub(super) fn heard(&self, octets: usize, due: &Due) -> bool {
        let since = self.since.swap(NOT_AWAITED, Ordering::Relaxed);
        let most = micros(self.owed.idle);
        let left = self.owed.rate.map_or(most, |rate| {
            let waited = millis(due.now()).saturating_sub(since) * 1000;
            let paid = octets as u64 * 1_000_000 / u64::from(rate.get());
            self.left.load(Ordering::Relaxed).saturating_sub(waited).saturating_add(paid).min(most)
        });
        self.left.store(left, Ordering::Relaxed);
        self.is_enough(left)
    }

    /// A deadline is kept late by up to a tick, and time is counted in ticks: whoever has less left has none to lose, or each
    /// octet would be given another.
    fn is_enough(&self, left: u64) -> bool {
        left > micros(TICK).min(micros(self.owed.idle) / 2)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NOT_AWAITED - 1)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(NOT_AWAITED - 1)
}

/// How far the answer is while its request's body still comes.
const NOT_BEGUN: u8 = 0;
const BEGUN: u8 = 1;
const COMPLETE: u8 = 2;

/// What the body of a request and its answer know of each other.
#[derive(Debug)]
struct Shared {
    credit: Credit,
    answer: AtomicU8,
    /// Whoever waits for more of the body.
    reader: AtomicWaker,
}

/// How long a body may be waited for between two of its pieces.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    due: Due,
    shared: Arc<Shared>,
}

impl Pace {
    /// The deadline is kept in `due`.
    pub(super) fn new(due: Due, owed: Owed) -> Self {
        let answer = AtomicU8::new(NOT_BEGUN);
        Self {
            due,
            shared: Arc::new(Shared { credit: Credit::new(owed), answer, reader: AtomicWaker::new() }),
        }
    }

    /// The answer has begun. From then on both sides may talk as they like, and be silent.
    pub(super) fn is_answered(&self) {
        self.shared.answer.store(BEGUN, Ordering::Relaxed);
        self.due.clear();
    }

    /// The answer is complete, or has been given up.
    pub(super) fn is_over(&self) {
        self.shared.answer.store(COMPLETE, Ordering::Release);
        self.shared.reader.wake();
    }

    /// A piece has come, of so many octets, or the end.
    fn is_heard(&self, octets: usize) {
        if self.shared.credit.heard(octets, &self.due) {
            self.due.clear();
        }
    }
}

/// Why a body is not complete.
#[derive(Debug, thiserror::Error)]
pub enum Incomplete {
    /// It has broken off, or is not well formed.
    #[error(transparent)]
    Broken(#[from] BrokenOff),
    /// It has been answered, and the rest of it does not come in time.
    #[error("the rest of the body of a request that has been answered does not come")]
    Late,
}

/// The body of a request, with the deadline it came with.
#[derive(Debug)]
pub struct Paced {
    incoming: Incoming,
    pace: Option<Pace>,
    /// Looks after the deadline once the answer is complete, and with it the task that did so until then.
    looks: Option<Box<Interval>>,
}

impl Paced {
    /// The body of the request with these extensions.
    #[must_use]
    pub fn new(incoming: Incoming, extensions: &mut Extensions) -> Self {
        Self { incoming, pace: extensions.remove(), looks: None }
    }

    /// The connection as it is once it goes on in another protocol, where the request asks for one.
    pub fn on_upgrade(&mut self) -> Option<OnUpgrade> {
        self.incoming.on_upgrade()
    }

    /// Whether the rest of it has been waited for too long. Otherwise whoever waits is woken to ask again.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pace) = &mut self.pace else { return false };
        let looks = self.looks.get_or_insert_with(|| {
            // The stream has ended, and what its deadline is for now is not the body.
            pace.due = pace.due.another();
            Box::new(tokio::time::interval(TICK))
        });
        pace.shared.credit.wait(&pace.due);
        while looks.poll_tick(cx).is_ready() {
            if pace.due.is_past() {
                return true;
            }
        }
        false
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        let Some(pace) = &self.pace else { return frame.map_err(Incomplete::from) };
        if frame.is_pending() {
            pace.shared.reader.register(cx.waker());
        }
        match (pace.shared.answer.load(Ordering::Acquire), &frame) {
            (NOT_BEGUN, Poll::Pending) => pace.shared.credit.wait(&pace.due),
            (NOT_BEGUN, Poll::Ready(Some(Err(_)) | None)) => pace.due.clear(),
            (NOT_BEGUN | COMPLETE, Poll::Ready(Some(Ok(frame)))) => {
                pace.is_heard(frame.data_ref().map_or(0, Bytes::len));
            }
            (COMPLETE, Poll::Pending) if self.is_late(cx) => {
                return Poll::Ready(Some(Err(Incomplete::Late)));
            }
            _ => {}
        }
        frame.map_err(Incomplete::from)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Ticker;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether somebody who sends so many octets each second is waited for all along, for this many seconds.
    fn is_borne(octets: usize, rate: u32, seconds: u32) -> bool {
        let ticker = Ticker::default();
        let watch = ticker.watch();
        let credit = Credit::new(Owed { idle: 10 * SECOND, rate: NonZeroU32::new(rate) });
        (1..=seconds).all(|second| {
            credit.wait(watch.client());
            ticker.tick(second * SECOND);
            let in_time = !watch.client().is_past();
            if credit.heard(octets, watch.client()) {
                watch.client().clear();
            }
            in_time
        })
    }

    #[test]
    fn whoever_sends_at_the_pace_is_waited_for_and_whoever_drips_is_not() {
        assert!(is_borne(100, 100, 1000));
        assert!(is_borne(1_000_000, 100, 1000));
        assert!(!is_borne(50, 100, 30));
        assert!(is_borne(50, 100, 12), "not before it is as late as anybody may be");
        assert!(!is_borne(1, 100, 12));
        assert!(is_borne(1, 0, 1000), "where no pace is asked for");
    }

    #[test]
    fn nobody_saves_time_up() {
        let ticker = Ticker::default();
        let watch = ticker.watch();
        let credit = Credit::new(Owed { idle: 10 * SECOND, rate: NonZeroU32::new(100) });
        credit.heard(1_000_000, watch.client());
        credit.wait(watch.client());
        ticker.tick(12 * SECOND);
        assert!(watch.client().is_past());
    }
}
