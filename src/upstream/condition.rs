//! The condition of a target: whether requests should go there, as far as all workers know together.
//!
//! Two voices say so. Requests themselves: a target that fails them one after the other is left out for a while, and one
//! request is then let through to see whether it is back. And the checks of [`super::health`], where an operator has
//! asked for them. Reading takes two loads without a lock, and where all is well nothing is written.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// So many requests have to fail one after the other before a target is left out: one may have met a restart.
const FALL: u32 = 3;
/// A target that was left out is tried again after so long.
pub const PAUSE: Duration = Duration::from_secs(5);

/// What is known of one target.
#[derive(Debug, Default)]
pub struct Condition {
    /// Requests that failed since one was answered.
    failures: AtomicU32,
    /// When a target that was left out is tried again, in milliseconds; 0 while it is not left out.
    again_at: AtomicU64,
    /// The checks say that it is not well.
    unhealthy: AtomicBool,
    connects: AtomicU64,
    refusals: AtomicU64,
    repeats: AtomicU64,
}

/// Whether a request should go to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    In,
    /// Yes, and it is the one that finds out whether the target is back.
    Trial,
    /// Not while there is another.
    Out,
}

/// What has happened at a target since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were opened.
    pub connects: u64,
    /// Connections that could not be opened.
    pub refusals: u64,
    /// Requests that went on to another connection, here or elsewhere, because this target did not answer.
    pub repeats: u64,
}

impl Condition {
    /// Whether a request should go there at `now`, counted from any fixed point. Of all that ask when a pause is over,
    /// one is told to try; the others wait for what it finds.
    pub(super) fn standing(&self, now: impl FnOnce() -> Duration) -> Standing {
        if self.unhealthy.load(Ordering::Relaxed) {
            return Standing::Out;
        }
        let again_at = self.again_at.load(Ordering::Relaxed);
        if again_at == 0 {
            return Standing::In;
        }
        let now = now();
        if millis(now) < again_at {
            return Standing::Out;
        }
        let later = millis(now + PAUSE);
        match self.again_at.compare_exchange(again_at, later, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Standing::Trial,
            Err(_) => Standing::Out,
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.again_at.swap(0, Ordering::Relaxed) != 0
    }

    /// A request found nobody, or no answer. True where the target is left out from now on and was not before.
    pub(super) fn failed(&self, now: Duration) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        failures >= FALL && self.again_at.swap(millis(now + PAUSE), Ordering::Relaxed) == 0
    }

    /// What the checks say. True where they said otherwise before.
    pub(super) fn is_found(&self, healthy: bool) -> bool {
        self.unhealthy.swap(!healthy, Ordering::Relaxed) == healthy
    }

    pub(super) fn count_connect(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refusal(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_repeat(&self) {
        self.repeats.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether requests go there as things are, for those who watch.
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.is_healthy() && self.again_at.load(Ordering::Relaxed) == 0
    }

    /// What the checks say; yes where there are none.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.unhealthy.load(Ordering::Relaxed)
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            connects: self.connects.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
            repeats: self.repeats.load(Ordering::Relaxed),
        }
    }
}

/// Never 0, which means something else.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn left_out() -> Condition {
        let condition = Condition::default();
        assert_eq!([(); 3].map(|()| condition.failed(START)), [false, false, true]);
        condition
    }

    #[test]
    fn a_target_that_fails_again_and_again_is_left_out() {
        let condition = left_out();
        assert_eq!(condition.standing(|| START), Standing::Out);
        assert!(!condition.failed(START), "that is known already");
    }

    #[test]
    fn failures_count_only_one_after_the_other() {
        let condition = Condition::default();
        for _ in 0..10 {
            assert!(!condition.failed(START));
            assert!(!condition.failed(START));
            assert!(!condition.answered());
        }
        assert_eq!(condition.standing(|| START), Standing::In);
    }

    #[test]
    fn after_a_pause_one_request_finds_out_and_the_others_wait() {
        let condition = left_out();
        assert_eq!(condition.standing(|| PAUSE), Standing::Trial);
        assert_eq!(condition.standing(|| PAUSE), Standing::Out);
        assert!(condition.answered());
        assert_eq!(condition.standing(|| PAUSE), Standing::In);
    }

    #[test]
    fn a_trial_that_fails_is_followed_by_another_pause() {
        let condition = left_out();
        assert_eq!(condition.standing(|| PAUSE), Standing::Trial);
        assert!(!condition.failed(PAUSE));
        assert_eq!(condition.standing(|| PAUSE * 2 - Duration::from_millis(1)), Standing::Out);
        assert_eq!(condition.standing(|| PAUSE * 2), Standing::Trial);
    }

    #[test]
    fn what_the_checks_say_goes_before_what_requests_met() {
        let condition = Condition::default();
        assert!(condition.is_found(false));
        assert!(!condition.answered());
        assert_eq!((condition.standing(|| START), condition.is_in()), (Standing::Out, false));
        assert!(condition.is_found(true));
        assert_eq!((condition.standing(|| START), condition.is_in()), (Standing::In, true));
    }
}
