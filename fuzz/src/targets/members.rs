//! What several targets need: keys, a site, a member and the session of one.

use std::sync::OnceLock;
use std::time::Duration;

use member_gateway::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use member_gateway::secret::Secret;
use member_gateway::session::cookie::Cookies;
use member_gateway::session::seal::KeyRing;
use member_gateway::session::{Policy, Session, SessionId};
use member_gateway::time::UnixTime;

/// When everything here happens.
pub const NOW: UnixTime = UnixTime(1_795_300_000);
/// The key that seals, as it is and as a configuration has it.
pub const SESSION_KEY: &str = "session-key-of-the-fuzz-targets!";
/// The key that signs.
pub const SIGNING_KEY: &str = "signing-key-of-the-fuzz-targets!";
/// The public address of the site.
pub const SITE: &str = "https://members.localhost";
/// Its host.
pub const HOST: &str = "members.localhost";

/// A ring with the key.
pub fn ring() -> KeyRing {
    KeyRing::new([&Secret::new(SESSION_KEY)]).expect("a key")
}

/// The name of the one provider.
pub fn provider() -> ProviderName {
    ProviderName::new("ymca").expect("a name")
}

/// Somebody who has signed in.
pub fn session() -> Session {
    let member = Member {
        provider: provider(),
        id: MemberId::new("300418822-01").expect("an id"),
        unit_id: MemberUnitId::new("300418822").expect("an id"),
        profile: Profile::default(),
    };
    Session::begin(SessionId([7; 16]), member, NOW, NOW)
}

/// The cookies of the site.
pub fn cookies() -> &'static Cookies {
    static COOKIES: OnceLock<Cookies> = OnceLock::new();
    COOKIES.get_or_init(|| {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        Cookies::new(&ring(), SITE, true, Policy { idle_timeout: hours(1), max_age: hours(12) })
    })
}

/// The value of the session's cookie; the same one throughout.
pub fn sealed_session() -> &'static str {
    static SEALED: OnceLock<String> = OnceLock::new();
    SEALED.get_or_init(|| {
        let set = cookies().set_session(&session());
        let text = set.to_str().expect("ASCII");
        let value = text.split_once('=').and_then(|(_, rest)| rest.split_once(';')).expect("a cookie").0;
        value.to_owned()
    })
}
