//! Our cookies: their names and attributes, and how they are taken out of what a browser sends.
//!
//! On https sites a name starts with `__Host-`, which a browser only takes from that very host, over https and for all
//! paths (RFC 6265bis §4.1.3.2). A site on plain-HTTP loopback cannot have that. Either way all the gateway's names are
//! the gateway's: none reaches an upstream, and an upstream can set none.

use cookie::{Cookie, SameSite};
use http::header::{COOKIE, HeaderValue, SET_COOKIE};

use super::seal::{KeyRing, Purpose, Seal};
use super::{Policy, Session};
use crate::member::ProviderName;
use crate::message::Fields;
use crate::random;
use crate::time::UnixTime;

const SESSION: &str = "member-session";
const ATTEMPT: &str = "member-login-";
/// Which provider was chosen the last time. It means nothing else: whoever forges it moves a button.
const LAST_PROVIDER: &str = "member-provider";
const A_YEAR: u64 = 365 * 24 * 60 * 60;
const HOST_PREFIX: &str = "__Host-";

/// The cookies of one site: their names, their attributes, and the seal of the session.
#[derive(Clone, Debug)]
pub struct Cookies {
    secure: bool,
    session: String,
    attempt: String,
    last_provider: String,
    policy: Policy,
    seal: Seal,
}

impl Cookies {
    /// The cookies of the site at `site`; `secure` where it is an https site.
    #[must_use]
    pub fn new(ring: &KeyRing, site: &str, secure: bool, policy: Policy) -> Self {
        let prefix = if secure { HOST_PREFIX } else { "" };
        Self {
            secure,
            session: format!("{prefix}{SESSION}"),
            attempt: format!("{prefix}{ATTEMPT}"),
            last_provider: format!("{prefix}{LAST_PROVIDER}"),
            policy,
            seal: ring.bind(Purpose::Session, site),
        }
    }

    /// How long sessions last.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the cookies of a request say about its session.
    #[must_use]
    pub fn session(&self, fields: &Fields, now: UnixTime) -> Presented {
        let mut presented = Presented::Nothing;
        for (name, value) in pairs(fields) {
            if name != self.session.as_bytes() {
                continue;
            }
            let opened = self.seal.open(value).and_then(Session::from_bytes);
            match (opened.filter(|session| session.is_live_at(now, &self.policy)), &presented) {
                // Of several that open the newest counts: an older one may be a copy that somebody planted.
                (Some(session), Presented::Session(known)) if session.active <= known.active => {}
                (Some(session), _) => presented = Presented::Session(session),
                (None, Presented::Nothing) => presented = Presented::Unreadable,
                (None, Presented::Unreadable | Presented::Session(_)) => {}
            }
        }
        presented
    }

    /// All sessions of a request that still count: a browser can hold one for a path, too.
    pub fn sessions<'a>(&'a self, fields: &'a Fields, now: UnixTime) -> impl Iterator<Item = Session> + 'a {
        let own = pairs(fields).filter(|(name, _)| *name == self.session.as_bytes());
        let opened = own.filter_map(|(_, value)| self.seal.open(value).and_then(Session::from_bytes));
        opened.filter(move |session| session.is_live_at(now, &self.policy))
    }

    /// The field that gives the browser its session. Without a Max-Age, so that it ends with the browser at the latest.
    #[must_use]
    pub fn set_session(&self, session: &Session) -> HeaderValue {
        self.set(&self.session, &self.seal.seal(&session.to_bytes(), random::bytes()), None)
    }

    /// The field that takes the session from the browser.
    #[must_use]
    pub fn delete_session(&self) -> HeaderValue {
        self.set(&self.session, "", Some(0))
    }

    /// The login attempts among the cookies: what stands behind the common part of the name, and the value.
    pub fn attempts<'a>(&'a self, fields: &'a Fields) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        pairs(fields).filter_map(|(name, value)| {
            let tag = std::str::from_utf8(name).ok()?.strip_prefix(&self.attempt)?;
            Some((tag, value))
        })
    }

    /// The field that gives the browser a login attempt for so many seconds.
    #[must_use]
    pub fn set_attempt(&self, tag: &str, sealed: &str, max_age: u64) -> HeaderValue {
        self.set(&format!("{}{tag}", self.attempt), sealed, Some(max_age))
    }

    /// The field that takes a login attempt from the browser.
    #[must_use]
    pub fn delete_attempt(&self, tag: &str) -> HeaderValue {
        self.set_attempt(tag, "", 0)
    }

    /// What the browser remembers as the provider of the last time: any text, perhaps several.
    pub fn last_provider<'a>(&'a self, fields: &'a Fields) -> impl Iterator<Item = &'a str> {
        let own = pairs(fields).filter(|(name, _)| *name == self.last_provider.as_bytes());
        own.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The field by which the browser remembers a provider for a year, for the chooser page alone.
    #[must_use]
    pub fn set_last_provider(&self, provider: &ProviderName) -> HeaderValue {
        self.set(&self.last_provider, provider.as_str(), Some(A_YEAR))
    }

    /// A deletion carries the same attributes as what it deletes, or the browser would ignore it.
    fn set(&self, name: &str, value: &str, max_age: Option<u64>) -> HeaderValue {
        let mut cookie = Cookie::new(name, value);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_secure(self.secure);
        cookie.set_same_site(SameSite::Lax);
        if let Some(seconds) = max_age {
            cookie.set_max_age(cookie::time::Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)));
        }
        HeaderValue::try_from(cookie.to_string())
            .expect("names are checked, and values are base64url or a provider's name")
    }
}

/// What a request had to show for a session.
#[derive(Debug)]
pub enum Presented {
    /// No cookie of that name.
    Nothing,
    /// Cookies of that name, none of which opens or still counts.
    Unreadable,
    /// A session.
    Session(Session),
}

/// All cookies of a request, as RFC 6265bis §5.7.3 writes them: split at semicolons, blanks trimmed, nothing unquoted.
fn pairs(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields.get_all(COOKIE).flat_map(|line| pieces(line.as_bytes())).filter_map(pair)
}

/// What stands between the semicolons of a line. Cookies are long and semicolons few, so they are searched for.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (piece, after) = match memchr::memchr(b';', line) {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        rest = after;
        Some(piece)
    })
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii();
    let equals = memchr::memchr(b'=', text)?;
    Some((text[..equals].trim_ascii_end(), text[equals + 1..].trim_ascii_start()))
}

/// Whether a cookie's name is one of the gateway's, on any site. Browsers compare the prefix regardless of case.
fn is_ours(name: &[u8]) -> bool {
    // Nearly every other cookie is told by its first letter.
    if !matches!(name.first(), Some(b'm' | b'M' | b'_')) {
        return false;
    }
    let starts_with = |text: &[u8], prefix: &str| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let bare = ["__Host-Http-", "__Host-", "__Secure-", "__Http-"]
        .iter()
        .find(|prefix| starts_with(name, prefix))
        .map_or(name, |prefix| &name[prefix.len()..]);
    let is = |own: &str| bare.eq_ignore_ascii_case(own.as_bytes());
    is(SESSION) || is(LAST_PROVIDER) || starts_with(bare, ATTEMPT)
}

/// A line of cookies without the gateway's, which may leave nothing of it; all others stay as they came. Nothing where it
/// holds none of the gateway's.
#[must_use]
pub fn without_ours(line: &HeaderValue) -> Option<Vec<u8>> {
    let line = line.as_bytes();
    let mut kept: Option<Vec<u8>> = None;
    let (mut count, mut at) = (0, 0);
    for piece in pieces(line) {
        if pair(piece).is_some_and(|(name, _)| is_ours(name)) {
            // What stands before it, without the semicolon.
            kept.get_or_insert_with(|| {
                let mut text = Vec::with_capacity(line.len());
                text.extend_from_slice(&line[..at.max(1) - 1]);
                text
            });
        } else {
            if let Some(kept) = &mut kept {
                if count > 0 {
                    kept.push(b';');
                }
                kept.extend_from_slice(piece);
            }
            count += 1;
        }
        at += piece.len() + 1;
    }
    let mut kept = kept?;
    kept.truncate(kept.trim_ascii_end().len());
    kept.drain(..kept.len() - kept.trim_ascii_start().len());
    Some(kept)
}

/// Takes out of an answer what an upstream tries to set under the gateway's names.
pub fn remove_ours_set_by_upstream(fields: &mut Fields) {
    let is_forged = |line: &HeaderValue| {
        let text = line.as_bytes();
        let first = text.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        // Without an equals sign the whole text is the value of a nameless cookie, which some browsers send as a name.
        let name = first.split(|&byte| byte == b'=').find(|part| !part.trim_ascii().is_empty());
        name.is_some_and(|name| is_ours(name.trim_ascii()))
    };
    if !fields.get_all(SET_COOKIE).any(is_forged) {
        return;
    }
    let kept: Vec<HeaderValue> =
        fields.get_all(SET_COOKIE).filter(|line| !is_forged(line)).cloned().collect();
    fields.remove(SET_COOKIE);
    for line in kept {
        fields.append(SET_COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::member::{Member, MemberId, MemberUnitId, Profile};
    use crate::secret::Secret;
    use crate::session::SessionId;

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn cookies(secure: bool) -> Cookies {
        let ring = KeyRing::new([&Secret::new(*b"0123456789abcdef0123456789abcdef")]).unwrap();
        let policy = Policy { idle_timeout: Duration::from_secs(3600), max_age: Duration::from_secs(43_200) };
        Cookies::new(&ring, "members.example.org", secure, policy)
    }

    fn session(id: u8, active: u64) -> Session {
        let member = Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new("300418822-01").unwrap(),
            unit_id: MemberUnitId::new("300418822").unwrap(),
            profile: Profile::default(),
        };
        Session::begin(SessionId([id; 16]), member, UnixTime(active), UnixTime(active))
    }

    fn request(lines: &[&str]) -> Fields {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn sent_back(field: &HeaderValue) -> String {
        field.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_session_cookie_has_the_attributes_that_keep_it_safe() {
        let field = cookies(true).set_session(&session(1, NOW.0));
        let (value, attributes) = field.to_str().unwrap().split_once("; ").unwrap();
        assert!(value.starts_with("__Host-member-session="));
        assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/");
        assert!(value.len() < 400, "{} octets", value.len());
    }

    #[test]
    fn on_loopback_without_tls_the_cookie_has_a_name_a_browser_takes() {
        let field = cookies(false).set_session(&session(1, NOW.0));
        assert!(field.to_str().unwrap().starts_with("member-session="));
        assert!(!field.to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn a_deletion_has_the_attributes_of_what_it_deletes() {
        assert_eq!(
            cookies(true).delete_session(),
            "__Host-member-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"
        );
    }

    #[test]
    fn of_several_cookies_the_one_that_opens_counts_and_of_several_that_open_the_newest() {
        let cookies = cookies(true);
        let [old, new] = [(1, NOW.0 - 60), (2, NOW.0)]
            .map(|(id, active)| sent_back(&cookies.set_session(&session(id, active))));
        for lines in [
            vec![format!("{old}; {new}")],
            vec![format!("{new}; a=b; {old}")],
            vec![old, "__Host-member-session=rubbish".into(), new],
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let Presented::Session(found) = cookies.session(&request(&lines), NOW) else {
                panic!("{lines:?}")
            };
            assert_eq!(found.id, SessionId([2; 16]));
        }
    }

    #[test]
    fn a_name_that_is_not_exactly_ours_is_no_session() {
        let cookies = cookies(true);
        let value = sent_back(&cookies.set_session(&session(1, NOW.0)));
        let value = value.split_once('=').unwrap().1;
        for name in
            ["__HOST-member-session", "member-session", "__Host-Member-Session", "=__Host-member-session"]
        {
            let presented = cookies.session(&request(&[&format!("{name}={value}")]), NOW);
            assert!(matches!(presented, Presented::Nothing), "{name}");
        }
        let quoted = format!("a=\"; __Host-member-session={value}; b=\"");
        assert!(matches!(cookies.session(&request(&[&quoted]), NOW), Presented::Session(_)));
    }

    #[test]
    fn a_session_that_has_ended_is_unreadable() {
        let line = sent_back(&cookies(true).set_session(&session(1, NOW.0 - 3600)));
        assert!(matches!(cookies(true).session(&request(&[&line]), NOW), Presented::Unreadable));
    }

    #[test]
    fn our_cookies_are_taken_out_and_all_others_stay() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["a=1; b=2"], &["a=1; b=2"]),
            (&["a=1;b=2"], &["a=1;b=2"]),
            (&[";a=1;; member-session=x;b=2;"], &[";a=1;;b=2;"]),
            (&["member-session=x", "a=1", "member-provider=y;"], &["a=1"]),
            (&["a=1; __Host-member-session=x; b=\"2;3\""], &["a=1; b=\"2;3\""]),
            (&["__Host-member-session=x"], &[]),
            (&["member-session=x; member-login-abc=y; a=1"], &["a=1"]),
            (&["member-provider=ymca; __Host-member-provider=ymca; a=1"], &["a=1"]),
            (&["__secure-MEMBER-provider=x; member-providers=1"], &["member-providers=1"]),
            (&["__HOST-MEMBER-SESSION=x; a=1", "b=2"], &["a=1", "b=2"]),
            (&["__Secure-member-login-abc=y; a=1"], &["a=1"]),
            (&["a=1; member-session=x; b=2;member-session=y"], &["a=1; b=2"]),
            (&["a=1;; member-session=x; ; b=2"], &["a=1;; ; b=2"]),
            (
                &["member-sessions=1; my-member-session=2; member-login=3"],
                &["member-sessions=1; my-member-session=2; member-login=3"],
            ),
        ];
        for (sent, kept) in cases {
            let fields = request(sent);
            let lines = fields.get_all(COOKIE);
            let lines = lines.map(|line| without_ours(line).unwrap_or_else(|| line.as_bytes().to_vec()));
            let lines: Vec<Vec<u8>> = lines.filter(|line| !line.is_empty()).collect();
            let kept: Vec<&[u8]> = kept.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(lines, kept, "{sent:?}");
        }
    }

    #[test]
    fn an_upstream_cannot_set_cookies_under_our_names() {
        let mut fields: Fields = [
            "a=1; Path=/",
            "__Host-member-session=forged; Secure; Path=/",
            " __host-MEMBER-session =forged",
            "=__Host-member-session=forged",
            "member-login-x=forged",
            "member-provider=forged",
            "__Host-Member-Provider=forged; Secure; Path=/",
            "theme=member-session",
        ]
        .iter()
        .map(|line| (SET_COOKIE, HeaderValue::from_str(line).unwrap()))
        .collect();
        remove_ours_set_by_upstream(&mut fields);
        assert_eq!(fields.get_all(SET_COOKIE).collect::<Vec<_>>(), ["a=1; Path=/", "theme=member-session"]);
    }

    #[test]
    fn every_session_of_a_request_that_still_counts_is_told() {
        let cookies = cookies(true);
        let [one, two, ended] = [(1, NOW.0), (2, NOW.0 - 60), (3, NOW.0 - 3600)]
            .map(|(id, at)| sent_back(&cookies.set_session(&session(id, at))));
        let others = two.replace("__Host-member-session", "member-session");
        let fields = request(&[&format!("{one}; a=b; {ended}"), &others, &two]);
        let found: Vec<SessionId> = cookies.sessions(&fields, NOW).map(|session| session.id).collect();
        assert_eq!(found, [SessionId([1; 16]), SessionId([2; 16])]);
    }

    #[test]
    fn attempts_are_told_by_what_stands_behind_the_common_part_of_their_names() {
        let fields =
            request(&["__Host-member-login-abc=x; member-login-def=y; a=b", "__Host-member-login-ghi="]);
        let cookies = cookies(true);
        let attempts: Vec<(&str, &[u8])> = cookies.attempts(&fields).collect();
        assert_eq!(attempts, [("abc", &b"x"[..]), ("ghi", b"")]);
    }

    #[test]
    fn the_provider_of_the_last_time_is_remembered_for_a_year() {
        let cookies = cookies(true);
        let field = cookies.set_last_provider(&ProviderName::new("ymca").unwrap());
        assert_eq!(
            field,
            "__Host-member-provider=ymca; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=31536000"
        );
        let fields = request(&["a=b; __Host-member-provider=ymca; member-provider=rewards"]);
        assert_eq!(cookies.last_provider(&fields).collect::<Vec<_>>(), ["ymca"]);
    }
}
