//! What a client is waited for, and how long.
//!
//! It is waited for in three ways, each with a limit of its own: idle between requests, slow with a head, slow with a body.
//! While an answer is under way it owes nothing but the rest of its body.

use std::cell::Cell;

use crate::deadline::{Due, Watch};
use crate::server::connection::Limits;
use crate::server::framing::Phase;
use crate::server::pace::Credit;

pub(super) struct Deadlines {
    limits: Limits,
    /// When the client has taken too long to send.
    reading: Due,
    /// When it has taken too long to read.
    writing: Due,
    /// What it is waited for to send.
    awaited: Cell<Option<Phase>>,
    /// How long the body is still waited for.
    credit: Credit,
}

impl Deadlines {
    pub(super) fn new(limits: Limits, watch: &Watch) -> Self {
        Self {
            limits,
            reading: watch.client.clone(),
            writing: watch.writing.clone(),
            awaited: Cell::new(None),
            credit: Credit::new(limits.owed()),
        }
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The client is waited for, in this phase. Where it is already, it gets no more time: a head has to end within its time
    /// however often octets of it come.
    pub(super) fn waits_in(&self, phase: Phase) {
        if self.awaited.replace(Some(phase)) != Some(phase) {
            match phase {
                Phase::BetweenMessages => self.reading.set(self.limits.idle),
                Phase::Head => self.reading.set(self.limits.head_timeout),
                Phase::Body => self.credit.wait(&self.reading),
            }
        }
    }

    /// A request begins, of which the head has come.
    pub(super) fn begins(&self) {
        self.credit.renew();
        self.waits_no_more();
    }

    /// So many octets of its body have come.
    pub(super) fn hears(&self, octets: usize) {
        if self.credit.heard(octets, &self.reading) {
            self.waits_no_more();
        } else {
            // The deadline stands; what it waits for next is counted again.
            self.awaited.set(None);
        }
    }

    /// Nothing is wanted of the client any more but that it reads, for which it gets as much time as for a head.
    pub(super) fn lingers(&self) {
        self.waits_no_more();
        self.reading.set(self.limits.head_timeout);
    }

    /// The client owes nothing.
    fn waits_no_more(&self) {
        self.awaited.set(None);
        self.reading.clear();
    }

    /// The client takes what is written, or not.
    pub(super) fn is_taken(&self, taken: bool) {
        if taken {
            self.writing.clear();
        } else {
            self.writing.set_if_clear(self.limits.body_idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::limits;
    use super::*;
    use crate::deadline::Ticker;

    /// Whether a body is waited for that comes in so many octets ten times a second, for this many seconds.
    fn is_borne(octets: usize, seconds: u32) -> bool {
        let ticker = Ticker::default();
        let watch = ticker.watch().share();
        let deadlines = Deadlines::new(limits(), &watch);
        (1..=10 * seconds).all(|tenth| {
            deadlines.waits_in(Phase::Body);
            if tenth.is_multiple_of(5) {
                ticker.tick(tenth * Duration::from_millis(100));
            }
            let in_time = !watch.client.is_past();
            deadlines.hears(octets);
            in_time
        })
    }

    #[test]
    fn a_body_below_the_rate_is_given_up_however_close_it_comes_and_one_at_the_rate_never_is() {
        for octets in [1, 5, 6, 7, 8] {
            assert!(!is_borne(octets, 120), "{octets}");
        }
        for octets in [10, 11, 1000] {
            assert!(is_borne(octets, 600), "{octets}");
        }
    }
}
