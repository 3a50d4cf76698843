//! Sessions: who has signed in, from when until when.
//!
//! A session lives in the member's browser, sealed; nothing is kept here. It ends when it has not been used for the
//! idle timeout, and in any case at its maximum age. Times are arguments. What this room leaves to others: how a
//! session comes about (`login`), and ending one early (`revocation`).
//!
//! ```text
//! id 16 | created 8 | active 8 | vouched 8 | then, each as length 1 + text: provider, member id, unit id, first name, last name, e-mail
//! ```

pub mod cookie;
pub mod seal;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes};

use crate::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use crate::time::UnixTime;

/// How far a replica's clock may be ahead of ours before its sessions are taken for forgeries.
const SKEW: Duration = Duration::from_secs(60);

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A session ends when it has not been used for so long.
    pub idle_timeout: Duration,
    /// A session ends so long after the login, used or not.
    pub max_age: Duration,
}

/// Names a session: to `revoke`, in the log. It opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// The id as it is printed; nothing where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// A member who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// New at every login.
    pub id: SessionId,
    /// Who it is.
    pub member: Member,
    /// When the login was.
    pub created: UnixTime,
    /// When the session was last sealed.
    pub active: UnixTime,
    /// When the vendor last said that the membership is active; the login, where nobody asks.
    pub vouched: UnixTime,
}

impl Session {
    /// The session of a member who has just signed in.
    #[must_use]
    pub const fn begin(id: SessionId, member: Member, vouched: UnixTime, now: UnixTime) -> Self {
        Self { id, member, created: now, active: now, vouched }
    }

    /// The earlier of its two ends.
    #[must_use]
    pub fn expires_at(&self, policy: &Policy) -> UnixTime {
        self.active.plus(policy.idle_timeout).min(self.created.plus(policy.max_age))
    }

    /// Whether the session counts at `now`. One from the future does not: it was not sealed by an honest clock.
    #[must_use]
    pub fn is_live_at(&self, now: UnixTime, policy: &Policy) -> bool {
        self.created <= self.active && self.active <= now.plus(SKEW) && now < self.expires_at(policy)
    }

    /// Whether half of the idle timeout has passed, so that the session is to be sealed anew.
    #[must_use]
    pub fn wants_renewal_at(&self, now: UnixTime, policy: &Policy) -> bool {
        now.since(self.active) >= policy.idle_timeout / 2
    }

    /// The same session, used at `now`.
    #[must_use]
    pub fn renewed_at(mut self, now: UnixTime) -> Self {
        self.active = self.active.max(now);
        self
    }

    /// The bytes to be sealed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Member { provider, id, unit_id, profile } = &self.member;
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(self.id.0);
        bytes.extend(self.created.0.to_be_bytes());
        bytes.extend(self.active.0.to_be_bytes());
        bytes.extend(self.vouched.0.to_be_bytes());
        for text in [provider.as_str(), id.as_str(), unit_id.as_str()] {
            put_text(&mut bytes, text);
        }
        for text in [&profile.first_name, &profile.last_name, &profile.email] {
            put_text(&mut bytes, text.as_deref().unwrap_or_default());
        }
        bytes
    }

    /// The session in bytes that have been opened; nothing where they do not hold one.
    #[must_use]
    pub fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        let mut id = [0; 16];
        bytes.try_copy_to_slice(&mut id).ok()?;
        let created = UnixTime(bytes.try_get_u64().ok()?);
        let active = UnixTime(bytes.try_get_u64().ok()?);
        let vouched = UnixTime(bytes.try_get_u64().ok()?);
        let provider = ProviderName::new(take_text(&mut bytes)?).ok()?;
        let member_id = MemberId::new(take_text(&mut bytes)?).ok()?;
        let unit_id = MemberUnitId::new(take_text(&mut bytes)?).ok()?;
        let mut optional = || {
            let text = take_text(&mut bytes)?;
            let text = std::str::from_utf8(&text).ok()?;
            Some((!text.is_empty()).then(|| text.to_owned()))
        };
        let profile = Profile { first_name: optional()?, last_name: optional()?, email: optional()? };
        let member = Member { provider, id: member_id, unit_id, profile };
        bytes.is_empty().then_some(Self { id: SessionId(id), member, created, active, vouched })
    }
}

/// A text too long for its length octet is left out: only the optional parts of a profile can be.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let (length, text) = u8::try_from(text.len()).map_or((0, ""), |length| (length, text));
    bytes.push(length);
    bytes.extend_from_slice(text.as_bytes());
}

fn take_text(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::from(bytes.try_get_u8().ok()?);
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy =
        Policy { idle_timeout: Duration::from_secs(3600), max_age: Duration::from_secs(12 * 3600) };
    const LOGIN: UnixTime = UnixTime(1_795_300_000);

    fn session() -> Session {
        let member = Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new("300418822-01").unwrap(),
            unit_id: MemberUnitId::new("300418822").unwrap(),
            profile: Profile { first_name: Some("Noor".into()), ..Profile::default() },
        };
        Session::begin(SessionId([9; 16]), member, LOGIN, LOGIN)
    }

    fn after(seconds: u64) -> UnixTime {
        LOGIN.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_session_survives_its_journey_through_bytes() {
        assert_eq!(Session::from_bytes(session().to_bytes().into()), Some(session()));
    }

    #[test]
    fn bytes_that_are_cut_or_drawn_out_hold_no_session() {
        let bytes = session().to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Session::from_bytes(Bytes::copy_from_slice(&bytes[..end])), None, "first {end}");
        }
        assert_eq!(Session::from_bytes([bytes, vec![0]].concat().into()), None);
    }

    #[test]
    fn a_name_too_long_to_keep_is_left_out_and_the_session_holds() {
        let mut long = session();
        long.member.profile.last_name = Some("é".repeat(128));
        let kept = Session::from_bytes(long.to_bytes().into()).unwrap();
        assert_eq!((kept.member.id, kept.member.profile.last_name), (long.member.id, None));
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_for_the_idle_timeout() {
        assert!(session().is_live_at(after(3599), &POLICY));
        assert!(!session().is_live_at(after(3600), &POLICY));
    }

    #[test]
    fn a_session_ends_at_its_maximum_age_however_much_it_is_used() {
        let used = (1..24).fold(session(), |session, half_hour| session.renewed_at(after(half_hour * 1800)));
        assert!(used.is_live_at(after(12 * 3600 - 1), &POLICY));
        assert!(!used.is_live_at(after(12 * 3600), &POLICY));
        assert!(!used.renewed_at(after(12 * 3600)).is_live_at(after(12 * 3600), &POLICY));
    }

    #[test]
    fn a_session_wants_renewal_once_half_of_the_idle_timeout_has_passed() {
        assert!(!session().wants_renewal_at(after(1799), &POLICY));
        assert!(session().wants_renewal_at(after(1800), &POLICY));
    }

    #[test]
    fn a_session_from_the_future_is_none_beyond_a_minute() {
        assert!(session().is_live_at(UnixTime(LOGIN.0 - 60), &POLICY));
        assert!(!session().is_live_at(UnixTime(LOGIN.0 - 61), &POLICY));
    }

    #[test]
    fn no_time_is_too_large_or_too_small() {
        for now in [UnixTime(0), UnixTime(u64::from(u32::MAX) + 1), UnixTime(u64::MAX)] {
            assert!(!session().is_live_at(now, &POLICY), "{now:?}");
        }
    }

    #[test]
    fn the_id_of_a_session_is_read_as_it_is_printed() {
        let printed = session().id.to_string();
        assert_eq!(printed, "CQkJCQkJCQkJCQkJCQkJCQ");
        assert_eq!(SessionId::parse(&printed), Some(session().id));
        assert_eq!(format!("{:?}", session().id), format!("SessionId({printed})"));
        for text in ["", &printed[1..], &format!("{printed}CQkJ"), "CQkJCQkJCQkJCQkJCQkJC!"] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
