//! Assertions kept: the JWT of a session is made once and goes out with each request of its, for half of its time.
//!
//! To sign one costs as much as all the rest of a request. Each worker keeps its own, for each site, without a lock, and a
//! reload begins with none; so no key outlives its configuration here. Only who has been admitted is given one, and none
//! holds longer than the session. There are so many places and no more: the id of a session, which is random, leads to
//! one, and whoever comes to it next makes it theirs.
//!
//! ✗ Whether a session counts has been decided before.

use std::cell::RefCell;

use http::HeaderValue;

use crate::identity::Identity;
use crate::identity::jwt::LIFETIME;
use crate::session::{Policy, Session, SessionId};
use crate::time::UnixTime;

/// Sessions whose JWT a worker keeps for one site. A JWT has some 700 octets; with the longest ids there are, 3 KiB.
const KEPT: usize = 1024;

/// The JWTs that one worker keeps for one site.
#[derive(Debug)]
pub(super) struct Assertions(RefCell<Vec<Option<Kept>>>);

#[derive(Clone, Debug)]
struct Kept {
    session: SessionId,
    made: UnixTime,
    /// From now on a fresh one is made, so that an app that is slow has half of the time left.
    fresh_until: UnixTime,
    until: UnixTime,
    jwt: HeaderValue,
}

impl Kept {
    /// Whether it is this session's, and as good as a new one.
    fn serves(&self, session: &Session, ends: UnixTime, now: UnixTime) -> bool {
        self.session == session.id && self.made <= now && now < self.fresh_until && self.until <= ends
    }
}

impl Assertions {
    /// None yet; for a site that sends none, not even the places.
    pub(super) fn of_site(identity: &Identity) -> Self {
        let places = if identity.jwt().is_some() { KEPT } else { 0 };
        Self(RefCell::new(vec![None; places]))
    }

    /// The JWT for a request of this session. `id` makes a new one another than the one before.
    pub(super) fn for_session(
        &self,
        session: &Session,
        policy: &Policy,
        identity: &Identity,
        now: UnixTime,
        id: impl FnOnce() -> [u8; 16],
    ) -> Option<HeaderValue> {
        let [first, second, ..] = session.id.0;
        let place = usize::from(u16::from_be_bytes([first, second])) % KEPT;
        let ends = session.expires_at(policy);
        let mut places = self.0.borrow_mut();
        let kept = places.get_mut(place)?;
        if let Some(kept) = kept
            && kept.serves(session, ends, now)
        {
            return Some(kept.jwt.clone());
        }
        let until = now.plus(LIFETIME).min(ends);
        let jwt = identity.assert(&session.member, now, until, id())?;
        let fresh_until = now.plus(until.since(now) / 2);
        *kept = Some(Kept { session: session.id, made: now, fresh_until, until, jwt: jwt.clone() });
        Some(jwt)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderName;

    use super::*;
    use crate::identity::jwt::Jwt;
    use crate::identity::keys::{Algorithm, SigningKey, SigningKeys};
    use crate::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime(1_795_300_000);
    const POLICY: Policy =
        Policy { idle_timeout: Duration::from_secs(3600), max_age: Duration::from_secs(12 * 3600) };

    fn identity() -> Identity {
        let secret = Secret::new(*b"0123456789abcdef0123456789abcdef");
        let keys = vec![SigningKey::new("ed", Algorithm::Ed25519, &secret).unwrap()];
        let jwt = Jwt::new(HeaderName::from_static("x-member-assertion"), "https://members.example.org");
        let keys = SigningKeys::new(keys).unwrap();
        Identity::new(Vec::new(), &[], keys, Duration::from_secs(60)).with_jwt(jwt)
    }

    fn session(id: [u8; 16], member: &'static str) -> Session {
        let member = Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new(member).unwrap(),
            unit_id: MemberUnitId::new("1").unwrap(),
            profile: Profile::default(),
        };
        Session::begin(SessionId(id), member, NOW, NOW)
    }

    /// A site's assertions, and how many have been made.
    struct Site(Identity, Assertions, u32);

    impl Site {
        fn new() -> Self {
            let identity = identity();
            let assertions = Assertions::of_site(&identity);
            Self(identity, assertions, 0)
        }

        fn asked(&mut self, session: &Session, seconds: u64) -> HeaderValue {
            let Self(identity, assertions, made) = self;
            let now = NOW.plus(Duration::from_secs(seconds));
            let id = || {
                *made += 1;
                [made.to_be_bytes(); 4].concat().try_into().unwrap()
            };
            assertions.for_session(session, &POLICY, identity, now, id).unwrap()
        }
    }

    fn expiry(jwt: &HeaderValue) -> u64 {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let claims = URL_SAFE_NO_PAD.decode(jwt.to_str().unwrap().split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["exp"].as_u64().unwrap()
    }

    #[test]
    fn the_jwt_of_a_session_is_made_once_for_half_of_its_time() {
        let (mut site, session) = (Site::new(), session([1; 16], "a"));
        let first = site.asked(&session, 0);
        assert_eq!(site.asked(&session, 29), first);
        assert_eq!(site.2, 1);
        assert_ne!(site.asked(&session, 30), first);
        assert_eq!(site.2, 2);
    }

    #[test]
    fn no_session_is_given_the_jwt_of_another_one_not_even_in_the_same_place() {
        let mut other = [1; 16];
        other[15] = 2;
        let mut site = Site::new();
        let jwts = [
            site.asked(&session([1; 16], "a"), 0),
            site.asked(&session(other, "b"), 0),
            site.asked(&session([1; 16], "a"), 0),
        ];
        assert!(jwts[0] != jwts[1] && jwts[1] != jwts[2]);
        assert_eq!(site.2, 3);
    }

    #[test]
    fn a_jwt_ends_with_its_session() {
        let (mut site, session) = (Site::new(), session([1; 16], "a"));
        assert_eq!(expiry(&site.asked(&session, 0)), NOW.0 + 60);
        assert_eq!(expiry(&site.asked(&session, 3540)), NOW.0 + 3600);
        assert_eq!(expiry(&site.asked(&session, 3590)), NOW.0 + 3600);
        assert_eq!(expiry(&site.asked(&session, 3599)), NOW.0 + 3600);
    }

    #[test]
    fn an_older_copy_of_the_cookie_is_given_none_that_outlives_it() {
        let (mut site, old) = (Site::new(), session([1; 16], "a"));
        let renewed = old.clone().renewed_at(NOW.plus(Duration::from_secs(3580)));
        assert_eq!(expiry(&site.asked(&renewed, 3580)), NOW.0 + 3640);
        assert_eq!(expiry(&site.asked(&old, 3581)), NOW.0 + 3600);
    }

    #[test]
    fn a_clock_that_was_set_back_is_given_a_jwt_of_its_own_time() {
        let (mut site, session) = (Site::new(), session([1; 16], "a"));
        let first = site.asked(&session, 10);
        assert_ne!(site.asked(&session, 9), first);
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let mut site = Site::new();
        for number in 0..3000_u16 {
            let [high, low] = number.to_be_bytes();
            let mut id = [7; 16];
            (id[0], id[1]) = (high, low);
            site.asked(&session(id, "a"), 0);
        }
        assert_eq!(site.1.0.borrow().iter().flatten().count(), KEPT);
    }
}
