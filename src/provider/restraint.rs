//! Restraint: how hard a vendor is pressed by those who sign in.
//!
//! A vendor that is slow is asked so many things at a time and no more; whoever comes then is told to come again, and costs
//! nothing meanwhile. One that has failed again and again is left alone for a while, and then tried with one sign-in before
//! the others. Members who have a session need none of this: they go on. What a vendor says of memberships is asked for
//! with a restraint of its own, in [`super::membership`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::ProviderError;
use crate::time::UnixTime;

/// After so many failures in a row it is the vendor, and no longer chance.
const ENOUGH: u32 = 5;
/// It is left alone for so long, unless it asks for more.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest wait a vendor can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is known of how a vendor copes.
#[derive(Debug)]
pub struct Restraint {
    calls: Semaphore,
    /// Failures since it last answered.
    failures: AtomicU32,
    /// Until then it is left alone, once it has failed often enough.
    until: AtomicU64,
}

/// Why a vendor is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftAlone {
    /// It has enough to do.
    #[error("the vendor is answering as many sign-ins as `calls` allows")]
    Busy,
    /// It has failed again and again.
    #[error("the vendor has failed {ENOUGH} times in a row and is left alone for a moment")]
    Down,
}

/// A sign-in that the vendor is asked about.
#[derive(Debug)]
pub struct Call<'a> {
    restraint: &'a Restraint,
    _permit: SemaphorePermit<'a>,
}

impl Restraint {
    /// At most so many calls at a time.
    #[must_use]
    pub const fn new(calls: u16) -> Self {
        Self {
            calls: Semaphore::const_new(calls as usize),
            failures: AtomicU32::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// Begins a call.
    ///
    /// # Errors
    /// [`LeftAlone`] where the vendor is not to be asked now.
    pub fn begin(&self, now: UnixTime) -> Result<Call<'_>, LeftAlone> {
        let permit = self.calls.try_acquire().map_err(|_| LeftAlone::Busy)?;
        if self.failures.load(Ordering::Relaxed) >= ENOUGH {
            let until = self.until.load(Ordering::Relaxed);
            // Whoever moves the end is the one who tries; the others wait for what comes of it. A clock that was set back
            // leaves nobody out for longer than a pause can be.
            let is_over = now.0 >= until || until - now.0 > LONGEST_PAUSE.as_secs();
            let tries = || {
                let next = now.plus(PAUSE).0;
                self.until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            };
            if !is_over || !tries() {
                return Err(LeftAlone::Down);
            }
        }
        Ok(Call { restraint: self, _permit: permit })
    }
}

impl Call<'_> {
    /// It has ended like this.
    pub fn ended<T>(self, outcome: &Result<T, ProviderError>, now: UnixTime) {
        let pause = match outcome {
            Err(ProviderError::Unreachable { .. }) => PAUSE,
            Err(ProviderError::Busy { retry_after, .. }) => {
                retry_after.map_or(PAUSE, Duration::from_secs).clamp(PAUSE, LONGEST_PAUSE)
            }
            // Whatever it says, it is there.
            Ok(_)
            | Err(
                ProviderError::CodeRefused
                | ProviderError::ClientRefused { .. }
                | ProviderError::Unintelligible { .. }
                | ProviderError::NoIdentity { .. }
                | ProviderError::NotInDirectory
                | ProviderError::AmbiguousInDirectory
                | ProviderError::Lapsed,
            ) => {
                self.restraint.failures.store(0, Ordering::Relaxed);
                return;
            }
        };
        self.restraint.until.store(now.plus(pause).0, Ordering::Relaxed);
        self.restraint.failures.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn at(seconds: u64) -> UnixTime {
        UnixTime(NOW.0 + seconds)
    }

    fn fails(restraint: &Restraint, now: UnixTime, retry_after: Option<u64>) {
        let busy = ProviderError::Busy { endpoint: "token endpoint", status: 503, retry_after };
        restraint.begin(now).unwrap().ended(&Err::<(), _>(busy), now);
    }

    #[test]
    fn so_many_calls_are_under_way_and_no_more() {
        let restraint = Restraint::new(2);
        let first = restraint.begin(NOW).unwrap();
        let _second = restraint.begin(NOW).unwrap();
        assert_eq!(restraint.begin(NOW).unwrap_err(), LeftAlone::Busy);
        drop(first);
        assert!(restraint.begin(NOW).is_ok());
    }

    #[test]
    fn a_vendor_that_fails_again_and_again_is_left_alone_and_tried_with_one() {
        let restraint = Restraint::new(64);
        for _ in 0..ENOUGH {
            fails(&restraint, NOW, None);
        }
        assert_eq!(restraint.begin(at(4)).unwrap_err(), LeftAlone::Down);
        let trial = restraint.begin(at(5)).unwrap();
        assert_eq!(restraint.begin(at(5)).unwrap_err(), LeftAlone::Down);
        trial.ended(&Ok(()), at(6));
        assert!(restraint.begin(at(6)).is_ok());
    }

    #[test]
    fn a_trial_that_fails_or_never_ends_is_followed_by_another() {
        let restraint = Restraint::new(64);
        for _ in 0..ENOUGH {
            fails(&restraint, NOW, None);
        }
        fails(&restraint, at(5), None);
        assert_eq!(restraint.begin(at(9)).unwrap_err(), LeftAlone::Down);
        drop(restraint.begin(at(10)).unwrap());
        assert_eq!(restraint.begin(at(14)).unwrap_err(), LeftAlone::Down);
        assert!(restraint.begin(at(15)).is_ok());
    }

    #[test]
    fn a_vendor_is_given_the_time_it_asks_for_within_reason() {
        for (asked, pause) in [(0, 5), (20, 20), (86_400, 60)] {
            let restraint = Restraint::new(64);
            for _ in 0..ENOUGH {
                fails(&restraint, NOW, Some(asked));
            }
            assert_eq!(restraint.begin(at(pause - 1)).unwrap_err(), LeftAlone::Down, "{asked}");
            assert!(restraint.begin(at(pause)).is_ok(), "{asked}");
        }
    }

    #[test]
    fn a_vendor_that_says_no_is_there() {
        let restraint = Restraint::new(64);
        for _ in 1..ENOUGH {
            fails(&restraint, NOW, None);
        }
        restraint.begin(NOW).unwrap().ended(&Err::<(), _>(ProviderError::CodeRefused), NOW);
        fails(&restraint, NOW, None);
        assert!(restraint.begin(NOW).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nobody_out() {
        let restraint = Restraint::new(64);
        for _ in 0..ENOUGH {
            fails(&restraint, NOW, None);
        }
        assert!(restraint.begin(UnixTime(NOW.0 - 3600)).is_ok());
    }
}
