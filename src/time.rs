//! The time of day, read in one place.
//!
//! Every room takes the instant as an argument; only [`Clock::now`] asks the machine for it. So a test says what time
//! it is, and no test waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cookie::time::OffsetDateTime;

/// Whole seconds since 1970-01-01T00:00:00Z, as RFC 9421 §2.3 and our cookies count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// This instant plus `duration`, at most the last instant that can be written.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// How long ago `earlier` was; nothing if it has not come yet.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// As people in any country read it, to the minute.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        let Ok(time) = OffsetDateTime::from_unix_timestamp(seconds) else { return f.write_str("…") };
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        write!(f, "{year}-{month:02}-{day:02} {:02}:{:02} UTC", time.hour(), time.minute())
    }
}

/// Where the time comes from: the machine, or a test's hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own clock.
    #[default]
    System,
    /// A clock that stands still until it is set.
    Manual(ManualClock),
}

impl Clock {
    /// What time it is. A machine whose clock stands before 1970 is taken to be at 1970.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place")]
            Self::System => {
                UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
            }
            Self::Manual(clock) => UnixTime(clock.0.load(Ordering::Relaxed)),
        }
    }

    /// The same in milliseconds, for logs.
    #[must_use]
    pub fn millis(&self) -> u64 {
        u64::try_from(self.since_1970().as_millis()).unwrap_or(u64::MAX)
    }

    /// The same as exactly as the machine knows it, for traces.
    #[must_use]
    pub fn since_1970(&self) -> Duration {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place")]
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Manual(clock) => Duration::from_secs(clock.0.load(Ordering::Relaxed)),
        }
    }
}

/// A clock that is moved by hand. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn starting_at(now: UnixTime) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    /// Sets the clock to any instant, backwards too.
    pub fn set(&self, now: UnixTime) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_for_people_and_none_is_too_large() {
        assert_eq!(UnixTime(1_795_300_000).to_string(), "2026-11-21 22:26 UTC");
        assert_eq!(UnixTime(u64::MAX).to_string(), "…");
    }
}
