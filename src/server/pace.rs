//! The pace of a request's body, where each request of a connection has its own.
//!
//! Over HTTP/1.1 the connection itself sees when a client stops sending. Over HTTP/2 many bodies share one, and only whoever
//! reads a body knows that it is waited for: what the upstream does not take yet, the client owes to nobody.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Extensions;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

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

/// How long a body may be waited for between two of its pieces.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    due: Due,
    credit: Arc<Credit>,
    /// Whether the answer has begun. From then on both sides may talk as they like, and be silent.
    answered: Arc<AtomicBool>,
}

impl Pace {
    /// The deadline is kept in `due`.
    pub(super) fn new(due: Due, owed: Owed) -> Self {
        Self { due, credit: Arc::new(Credit::new(owed)), answered: Arc::default() }
    }

    /// The answer has begun.
    pub(super) fn is_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
        self.due.clear();
    }

    /// A piece has come, of so many octets, or the end.
    fn is_heard(&self, octets: usize) {
        if self.credit.heard(octets, &self.due) {
            self.due.clear();
        }
    }
}

/// The body of a request, with the deadline it came with.
#[derive(Debug)]
pub struct Paced {
    incoming: Incoming,
    pace: Option<Pace>,
}

impl Paced {
    /// The body of the request with these extensions.
    #[must_use]
    pub fn new(incoming: Incoming, extensions: &mut Extensions) -> Self {
        Self { incoming, pace: extensions.remove() }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        if let Some(pace) = self.pace.as_ref().filter(|pace| !pace.answered.load(Ordering::Relaxed)) {
            match &frame {
                Poll::Pending => pace.credit.wait(&pace.due),
                Poll::Ready(Some(Ok(frame))) => pace.is_heard(frame.data_ref().map_or(0, Bytes::len)),
                Poll::Ready(Some(Err(_)) | None) => pace.due.clear(),
            }
        }
        frame
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
