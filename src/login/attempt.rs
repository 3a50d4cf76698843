//! One login of one tab: its state, where it was going, how old it is.
//!
//! The attempt lives in the browser, sealed, in a cookie of its own. So several tabs can log in at once, and an answer
//! from the vendor counts only in the browser that asked (RFC 6749 §10.12).
//!
//! ```text
//! used 1 | state 32 | started 8 | provider as length 1 + text | return_to
//! ```

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes};

use super::return_to::ReturnTo;
use crate::member::ProviderName;
use crate::provider::State;
use crate::secret::same_bytes;
use crate::time::UnixTime;

/// How long a login may take.
pub const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A login under way, or one that is over.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    state: [u8; 32],
    /// Which provider was asked: an answer from another one is not its answer.
    pub provider: ProviderName,
    /// Where the member was going.
    pub return_to: ReturnTo,
    /// When it began.
    pub started: UnixTime,
    /// Whether an answer has come. The cookie stays, so that the back button finds its way.
    pub used: bool,
}

impl Attempt {
    /// A login that begins now, with a state nobody can guess.
    #[must_use]
    pub const fn begin(state: [u8; 32], provider: ProviderName, return_to: ReturnTo, now: UnixTime) -> Self {
        Self { state, provider, return_to, started: now, used: false }
    }

    /// The state as it travels through the vendor and back.
    #[must_use]
    pub fn state(&self) -> State {
        State(URL_SAFE_NO_PAD.encode(self.state))
    }

    /// Whether `state` is this attempt's, in constant time.
    #[must_use]
    pub fn has_state(&self, state: &str) -> bool {
        same_bytes(URL_SAFE_NO_PAD.encode(self.state).as_bytes(), state.as_bytes())
    }

    /// Whether an answer may still come at `now`.
    #[must_use]
    pub fn is_fresh_at(&self, now: UnixTime) -> bool {
        self.started <= now.plus(Duration::from_secs(60)) && now < self.started.plus(LIFETIME)
    }

    /// How many seconds the cookie has left.
    #[must_use]
    pub fn seconds_left_at(&self, now: UnixTime) -> u64 {
        self.started.plus(LIFETIME).since(now).as_secs()
    }

    /// The bytes to be sealed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let provider = self.provider.as_str();
        let mut bytes = vec![u8::from(self.used)];
        bytes.extend(self.state);
        bytes.extend(self.started.0.to_be_bytes());
        bytes.push(u8::try_from(provider.len()).expect("a provider's name has at most 64 characters"));
        bytes.extend_from_slice(provider.as_bytes());
        bytes.extend_from_slice(self.return_to.as_str().as_bytes());
        bytes
    }

    /// The attempt in bytes that have been opened; nothing where they do not hold one.
    #[must_use]
    pub fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        let used = match bytes.try_get_u8().ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mut state = [0; 32];
        bytes.try_copy_to_slice(&mut state).ok()?;
        let started = UnixTime(bytes.try_get_u64().ok()?);
        let length = usize::from(bytes.try_get_u8().ok()?);
        if length > bytes.len() {
            return None;
        }
        let provider = ProviderName::new(bytes.split_to(length)).ok()?;
        let return_to = ReturnTo::new(std::str::from_utf8(&bytes).ok()?);
        Some(Self { state, provider, return_to, started, used })
    }
}

/// What tells the cookies of two attempts apart: a digest of the state, so that the state itself stands nowhere bare.
#[must_use]
pub fn tag(state: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, state.as_bytes()).as_ref()[..9])
}

/// Whether a text could be such a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        let provider = ProviderName::new("ymca").unwrap();
        Attempt::begin([3; 32], provider, ReturnTo::new("/classes?week=2"), UnixTime(1_795_300_000))
    }

    #[test]
    fn an_attempt_survives_its_journey_through_bytes() {
        let used = Attempt { used: true, ..attempt() };
        for attempt in [attempt(), used] {
            assert!(Attempt::from_bytes(attempt.to_bytes().into()) == Some(attempt));
        }
    }

    #[test]
    fn bytes_that_are_cut_hold_no_attempt() {
        let bytes = attempt().to_bytes();
        for end in 0..bytes.len() - attempt().return_to.as_str().len() {
            assert!(Attempt::from_bytes(Bytes::copy_from_slice(&bytes[..end])).is_none(), "first {end}");
        }
    }

    #[test]
    fn only_its_own_state_is_taken() {
        let State(own) = attempt().state();
        assert_eq!(own.len(), 43, "256 bits as base64url");
        assert!(attempt().has_state(&own));
        for other in ["", &own[..42], &format!("{own}A"), &own.to_lowercase(), "A"] {
            assert!(!attempt().has_state(other), "{other}");
        }
    }

    #[test]
    fn an_attempt_lasts_for_half_an_hour() {
        assert!(attempt().is_fresh_at(UnixTime(1_795_300_000 + 1799)));
        assert!(!attempt().is_fresh_at(UnixTime(1_795_300_000 + 1800)));
        assert!(!attempt().is_fresh_at(UnixTime(1_795_300_000 - 61)));
    }

    #[test]
    fn the_cookie_of_an_attempt_lasts_as_long_as_the_attempt() {
        assert_eq!(attempt().seconds_left_at(UnixTime(1_795_300_000)), 1800);
        assert_eq!(attempt().seconds_left_at(UnixTime(1_795_300_000 + 1799)), 1);
        assert_eq!(attempt().seconds_left_at(UnixTime(1_795_300_000 + 1801)), 0);
    }

    #[test]
    fn a_tag_tells_attempts_apart_and_does_not_tell_their_state() {
        let State(state) = attempt().state();
        assert_ne!(tag(&state), tag("another"));
        assert!(!state.contains(&tag(&state)));
        for text in [&tag(&state), "abcDEF012-_9"] {
            assert!(is_tag(text), "{text}");
        }
        for text in ["", "abcDEF012-_", "abcDEF012-_90", "abcDEF012-_ ", "abcDEF012-_;"] {
            assert!(!is_tag(text), "{text}");
        }
    }
}
