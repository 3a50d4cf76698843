//! Quota: how hard an API is pressed by those who use it through us.
//!
//! Vendors count calls for each API username, over all programs that use it
//! (<https://api.daxko.com/v3/docs/tutorials/getting_started>), so all of ours share one quota: so many calls at a time,
//! and others wait for a place. A vendor that says 429 is left alone for as long as it asks, or ever longer where it does
//! not say, and then tried with one call before the others. Meanwhile callers are told when to come again, which costs
//! the vendor nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::time::{Clock, UnixTime};

/// The first pause, where the vendor asks for none; each after it is twice as long.
const FIRST_PAUSE: u64 = 1;
/// The longest pause, whatever the vendor asks for.
const LONGEST_PAUSE: u64 = 60;
/// So long is waited for what comes of the one call after a pause.
const TRIAL: u64 = 5;

/// The quota of one API username.
#[derive(Debug)]
pub struct Quota {
    most: u16,
    places: Arc<Semaphore>,
    /// So many of them, rounded up from half, are for calls whose end somebody else decides.
    streams: Arc<Semaphore>,
    pause: Arc<Mutex<Pause>>,
}

/// Whether the vendor is left alone. Of several quotas of one username all share it.
#[derive(Debug, Default)]
struct Pause {
    /// Pauses in a row; none where all is well.
    in_a_row: u32,
    until: UnixTime,
    /// How many there have been in all. What was begun before one says nothing about its end.
    count: u64,
}

/// Why there is no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCall {
    /// The vendor has said that it was asked too often.
    #[error("the vendor has asked for a pause, which lasts for {seconds} s more")]
    Paused {
        /// So long it still lasts.
        seconds: u64,
    },
    /// As many calls as there may be are under way, and none has ended.
    #[error("as many calls to the vendor are under way as there may be")]
    Full,
}

/// How the request of a call is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// All of it is here.
    Whole,
    /// As it comes from whoever asks, who may be slow: such calls leave places to the others.
    Streamed,
}

/// A call that is under way. Its place is free again when this is dropped.
#[derive(Debug)]
pub struct Call {
    _place: OwnedSemaphorePermit,
    _stream: Option<OwnedSemaphorePermit>,
    pause: Arc<Mutex<Pause>>,
    begun_after: u64,
}

impl Quota {
    /// So many calls at a time.
    #[must_use]
    pub fn new(most: u16) -> Self {
        let places = |count: u16| Arc::new(Semaphore::new(usize::from(count)));
        Self { most, places: places(most), streams: places(most.div_ceil(2)), pause: Arc::default() }
    }

    /// How many calls there may be at a time.
    #[must_use]
    pub const fn most(&self) -> u16 {
        self.most
    }

    /// Another number of calls at a time, of the same username.
    #[must_use]
    pub fn with(&self, most: u16) -> Self {
        Self { pause: Arc::clone(&self.pause), ..Self::new(most) }
    }

    /// Begins a call, after a wait for a place of `patience` at the most.
    ///
    /// # Errors
    /// [`NoCall`] where the vendor is not to be asked now.
    pub async fn begin(&self, sending: Sending, clock: &Clock, patience: Duration) -> Result<Call, NoCall> {
        self.paused().passes(clock.now())?;
        let places = async {
            let stream = match sending {
                Sending::Whole => None,
                Sending::Streamed => Some(Arc::clone(&self.streams).acquire_owned().await?),
            };
            Ok::<_, AcquireError>((stream, Arc::clone(&self.places).acquire_owned().await?))
        };
        let places = tokio::time::timeout(patience, places).await;
        let Ok(Ok((stream, place))) = places else { return Err(NoCall::Full) };
        // Whoever has waited may have waited into a pause.
        let begun_after = self.paused().begins(clock.now())?;
        Ok(Call { _place: place, _stream: stream, pause: Arc::clone(&self.pause), begun_after })
    }

    fn paused(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// The vendor has served it, or refused it for a reason of its own.
    pub fn was_taken(&self) {
        self.paused().is_over(self.begun_after);
    }

    /// The vendor has said 429, and perhaps for how long. Returns the length of the pause.
    pub fn was_too_much(&self, retry_after: Option<Duration>, now: UnixTime) -> u64 {
        self.paused().begin(retry_after, self.begun_after, now)
    }

    fn paused(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pause {
    fn passes(&self, now: UnixTime) -> Result<(), NoCall> {
        let seconds = self.until.since(now).as_secs();
        // A clock that was set back leaves nobody out for longer than a pause can be.
        if self.in_a_row == 0 || seconds == 0 || seconds > LONGEST_PAUSE {
            return Ok(());
        }
        Err(NoCall::Paused { seconds })
    }

    /// Lets a call pass, and has others wait for it where it is the first after a pause.
    fn begins(&mut self, now: UnixTime) -> Result<u64, NoCall> {
        self.passes(now)?;
        if self.in_a_row > 0 {
            self.until = now.plus(Duration::from_secs(TRIAL));
        }
        Ok(self.count)
    }

    fn begin(&mut self, retry_after: Option<Duration>, begun_after: u64, now: UnixTime) -> u64 {
        // Of many calls under way each may be told the same: that is one pause, for as long as it holds.
        if begun_after == self.count || self.in_a_row == 0 {
            self.count += 1;
            self.in_a_row += 1;
            self.until = now;
        }
        let usual = FIRST_PAUSE << (self.in_a_row - 1).min(6);
        let seconds = retry_after.map_or(usual, |asked| asked.as_secs()).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.until = self.until.max(now.plus(Duration::from_secs(seconds)));
        self.until.since(now).as_secs()
    }

    fn is_over(&mut self, begun_after: u64) {
        if begun_after == self.count {
            self.in_a_row = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn at(seconds: u64) -> UnixTime {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn a_pause_lasts_for_as_long_as_is_asked_within_reason() {
        for (asked, lasts) in [(None, 1), (seconds(0), 1), (seconds(20), 20), (seconds(86_400), 60)] {
            let mut pause = Pause::default();
            assert_eq!(pause.begin(asked, 0, NOW), lasts);
            assert_eq!(pause.passes(at(lasts - 1)), Err(NoCall::Paused { seconds: 1 }), "{asked:?}");
            assert!(pause.passes(at(lasts)).is_ok(), "{asked:?}");
        }
    }

    #[test]
    fn pauses_in_a_row_grow_and_one_call_after_them_ends_it() {
        let mut pause = Pause::default();
        let mut now = NOW;
        for lasts in [1, 2, 4, 8, 16, 32, 60, 60] {
            let begun = pause.begins(now).unwrap();
            assert_eq!(pause.begin(None, begun, now), lasts);
            now = now.plus(Duration::from_secs(lasts));
        }
        let begun = pause.begins(now).unwrap();
        assert_eq!(pause.begins(now), Err(NoCall::Paused { seconds: TRIAL }), "one call is the first");
        pause.is_over(begun);
        assert!(pause.begins(now).is_ok() && pause.begins(now).is_ok());
        assert_eq!(pause.begin(None, pause.count, now), 1);
    }

    #[test]
    fn a_burst_that_is_told_so_many_times_begins_one_pause_and_what_began_before_does_not_end_it() {
        let mut pause = Pause::default();
        let burst: Vec<u64> = (0..8).map(|_| pause.begins(NOW).unwrap()).collect();
        for begun in burst {
            assert_eq!(pause.begin(None, begun, NOW), 1);
        }
        pause.is_over(0);
        assert!(pause.passes(NOW).is_err());
    }

    #[test]
    fn what_began_before_a_pause_and_is_told_so_after_its_end_begins_a_first_one() {
        let mut pause = Pause::default();
        let (told, late) = (pause.begins(NOW).unwrap(), pause.begins(NOW).unwrap());
        assert_eq!(pause.begin(None, told, NOW), 1);
        let trial = pause.begins(at(1)).unwrap();
        pause.is_over(trial);

        assert_eq!(pause.begin(None, late, at(1)), 1);
        assert_eq!(pause.passes(at(1)), Err(NoCall::Paused { seconds: 1 }));
        assert!(pause.passes(at(2)).is_ok());
    }

    #[test]
    fn a_trial_that_nobody_waits_for_is_followed_by_another() {
        let mut pause = Pause::default();
        pause.begin(None, 0, NOW);
        pause.begins(at(1)).unwrap();
        assert!(pause.begins(at(TRIAL)).is_err());
        assert!(pause.begins(at(1 + TRIAL)).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nobody_out() {
        let mut pause = Pause::default();
        pause.begin(seconds(60), 0, NOW);
        assert!(pause.passes(UnixTime(NOW.0 - 3600)).is_ok());
    }

    #[tokio::test]
    async fn there_are_so_many_calls_at_a_time_and_others_wait_for_a_place() {
        let (quota, clock) = (Quota::new(1), Clock::System);
        let first = quota.begin(Sending::Whole, &clock, Duration::ZERO).await.unwrap();
        assert_eq!(quota.begin(Sending::Whole, &clock, Duration::ZERO).await.unwrap_err(), NoCall::Full);
        let patience = Duration::from_secs(60);
        let (second, ()) = tokio::join!(quota.begin(Sending::Whole, &clock, patience), async { drop(first) });
        second.unwrap();
    }
}
