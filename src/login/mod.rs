//! Login: the authorization code flow (RFC 6749 §4.1) as two functions, whichever vendor it serves.
//!
//! [`Login::start`] seals an attempt into a cookie and says where the browser goes. [`Login::finish`] takes the vendor's
//! answer: first the state, against the attempt of this very browser; only then the code or the error. A code that comes
//! with somebody else's state stays unspent; one that comes with its own is spent once, at once, and never retried. A
//! login that failed never starts again by itself.

pub mod attempt;
pub mod return_to;

use std::time::Duration;

use http::header::HeaderValue;

use crate::member::{Member, ProviderName};
use crate::message::Fields;
use crate::provider::restraint::LeftAlone;
use crate::provider::{AuthorizationCode, ProviderError, RedirectUri, Registered, complaint};
use crate::random;
use crate::route::Origin;
use crate::secret::Secret;
use crate::session::cookie::Cookies;
use crate::session::seal::{KeyRing, Purpose, Seal};
use crate::time::UnixTime;
use attempt::Attempt;
use return_to::ReturnTo;

/// Logins that may be under way in one browser; the oldest makes way for a ninth.
const MOST_ATTEMPTS: usize = 8;
/// What all their cookies together may measure: servers in front of us often take no more than 8 KiB of cookies.
const MOST_OCTETS: usize = 6 * 1024;

/// So many attempts, within such a time, lead nowhere.
const LOOP: usize = 5;
const LOOP_TIME: Duration = Duration::from_secs(60);

/// The logins of one site.
#[derive(Clone, Debug)]
pub struct Login {
    origin: Origin,
    seal: Seal,
    providers: Vec<Registered>,
}

/// A login that has begun.
#[derive(Debug)]
pub struct Started {
    /// Where the browser goes.
    pub location: String,
    /// The attempt's cookie, and deletions of those that made way.
    pub cookies: Vec<HeaderValue>,
}

/// A login that does not begin, since those before it led nowhere.
#[derive(Debug)]
pub struct Looping {
    /// Where the member was going.
    pub return_to: ReturnTo,
    /// Deletions of the attempts that were counted: whoever goes on begins anew.
    pub cookies: Vec<HeaderValue>,
}

/// An attempt among the cookies of a request.
struct Known<'a> {
    tag: &'a str,
    octets: usize,
    /// Nothing where it cannot be opened.
    attempt: Option<Attempt>,
}

/// A login that has succeeded.
#[derive(Debug)]
pub struct Finished {
    /// Who it is.
    pub member: Member,
    /// When the vendor last said that the membership is active.
    pub vouched: UnixTime,
    /// Where the member was going.
    pub return_to: ReturnTo,
    /// The attempt's cookie, marked used.
    pub cookie: HeaderValue,
}

/// A login that has failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: LoginError,
    /// Where the member was going, as far as that is known.
    pub return_to: ReturnTo,
    /// The attempt's cookie, marked used.
    pub cookie: Option<HeaderValue>,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No attempt of this browser has that state: a stray link, a bookmark, cleared cookies, somebody else's answer.
    #[error("the answer belongs to no login of this browser")]
    UnknownAttempt,
    /// The attempt has had its answer: the back button, or a link followed twice.
    #[error("the login has had its answer already")]
    UsedAttempt,
    /// The attempt is older than half an hour.
    #[error("the login took longer than half an hour")]
    ExpiredAttempt,
    /// The answer is none: parameters given twice, or neither code nor error.
    #[error("the vendor's answer is not well formed")]
    Malformed,
    /// The member, or the vendor on the member's behalf, said no.
    #[error("the vendor says that access was denied (access_denied)")]
    Denied,
    /// Another error of RFC 6749 §4.1.2.1.
    #[error("the vendor answers with an error{}", .0.as_ref().map(|code| format!(": {code}")).unwrap_or_default())]
    Vendor(Option<String>),
    /// The vendor was not asked, and the code is unspent.
    #[error(transparent)]
    LeftAlone(#[from] LeftAlone),
    /// The code did not become a member.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// The parameters of the vendor's answer, each given once.
struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

impl Answer {
    /// Nothing where one of the three is given twice: of two values nobody could say which one was meant.
    fn parse(query: &str) -> Option<Self> {
        let mut answer = Self { state: None, code: None, error: None };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut answer.state,
                "code" => &mut answer.code,
                "error" => &mut answer.error,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(answer)
    }
}

impl Login {
    /// The logins of the site at `origin`, through these providers.
    #[must_use]
    pub fn new(ring: &KeyRing, origin: Origin, providers: Vec<Registered>) -> Self {
        Self { seal: ring.bind(Purpose::Attempt, origin.as_str()), origin, providers }
    }

    /// The providers of the site, in the order of the config.
    #[must_use]
    pub fn providers(&self) -> &[Registered] {
        &self.providers
    }

    /// The provider of that name, if the site has it.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Registered> {
        self.providers.iter().find(|provider| provider.name.as_str() == name)
    }

    /// The provider that vouches under this name, if the site has it.
    #[must_use]
    pub fn registered(&self, name: &ProviderName) -> Option<&Registered> {
        self.providers.iter().find(|provider| provider.name == *name)
    }

    /// The redirect URI of a provider on this site, as it has to be registered with the vendor.
    #[must_use]
    pub fn redirect_uri(&self, provider: &ProviderName) -> RedirectUri {
        RedirectUri(format!("{}/_gateway/callback/{provider}", self.origin.as_str()))
    }

    /// Begins a login through `provider`; `fields` are those of the request, with the attempts under way.
    ///
    /// # Errors
    /// [`Looping`] where this browser has just been through it five times.
    pub fn start(
        &self,
        provider: &Registered,
        return_to: ReturnTo,
        cookies: &Cookies,
        fields: &Fields,
        now: UnixTime,
    ) -> Result<Started, Looping> {
        let attempt = Attempt::begin(random::bytes(), provider.name.clone(), return_to, now);
        let state = attempt.state();
        let sealed = self.seal.seal(&attempt.to_bytes(), random::bytes());
        let known = self.known(cookies, fields);
        let in_vain = in_vain(&known, &attempt.return_to, sealed.len(), now);
        if !in_vain.is_empty() {
            let cookies = in_vain.into_iter().map(|tag| cookies.delete_attempt(tag)).collect();
            return Err(Looping { return_to: attempt.return_to, cookies });
        }
        let mut set = make_way(known, cookies, sealed.len(), now);
        set.push(cookies.set_attempt(&attempt::tag(&state.0), &sealed, attempt::LIFETIME.as_secs()));
        let redirect_uri = self.redirect_uri(&provider.name);
        Ok(Started { location: provider.provider.authorization_request(&redirect_uri, &state), cookies: set })
    }

    /// The attempts of this browser.
    fn known<'a>(&self, cookies: &'a Cookies, fields: &'a Fields) -> Vec<Known<'a>> {
        let known = cookies.attempts(fields).filter(|(tag, _)| attempt::is_tag(tag));
        // A browser of ours never has many more; whoever sends hundreds does not get hundreds of deletions back.
        let known = known.take(2 * MOST_ATTEMPTS).map(|(tag, sealed)| {
            let attempt = self.seal.open(sealed).and_then(Attempt::from_bytes);
            Known { tag, octets: sealed.len(), attempt }
        });
        known.collect()
    }

    /// Takes the vendor's answer to the callback of `provider`.
    ///
    /// # Errors
    /// [`Failed`] says why, and where the member was going.
    pub async fn finish(
        &self,
        provider: &Registered,
        query: &str,
        cookies: &Cookies,
        fields: &Fields,
        now: UnixTime,
    ) -> Result<Finished, Failed> {
        let stray = |error| Failed { error, return_to: ReturnTo::default(), cookie: None };
        let Some(answer) = Answer::parse(query) else { return Err(stray(LoginError::Malformed)) };
        let state = answer.state.as_deref().unwrap_or_default();
        // The state comes before anything else: a code from somebody else's login must stay unused.
        let attempt =
            self.attempt_of(state, cookies, fields).filter(|attempt| attempt.provider == provider.name);
        let Some(mut attempt) = attempt else { return Err(stray(LoginError::UnknownAttempt)) };
        let return_to = attempt.return_to.clone();
        if attempt.used || !attempt.is_fresh_at(now) {
            let error = if attempt.used { LoginError::UsedAttempt } else { LoginError::ExpiredAttempt };
            return Err(Failed { error, return_to, cookie: None });
        }
        attempt.used = true;
        let sealed = self.seal.seal(&attempt.to_bytes(), random::bytes());
        let cookie = cookies.set_attempt(&attempt::tag(state), &sealed, attempt.seconds_left_at(now));
        match self.redeem(provider, answer, now).await {
            Ok((member, vouched)) => Ok(Finished { member, vouched, return_to, cookie }),
            Err(error) => Err(Failed { error, return_to, cookie: Some(cookie) }),
        }
    }

    /// Who it is, and since when the membership is known to be active.
    async fn redeem(
        &self,
        provider: &Registered,
        answer: Answer,
        now: UnixTime,
    ) -> Result<(Member, UnixTime), LoginError> {
        let code = match (answer.code, answer.error.as_deref()) {
            (None, Some("access_denied")) => return Err(LoginError::Denied),
            (None, Some(code)) => return Err(LoginError::Vendor(complaint::error_code(code))),
            (Some(code), None) if is_code(&code) => AuthorizationCode(Secret::new(code)),
            (Some(_), None | Some(_)) | (None, None) => return Err(LoginError::Malformed),
        };
        let redirect_uri = self.redirect_uri(&provider.name);
        let call = provider.restraint.begin(now)?;
        let redeemed = provider.provider.redeem(&code, &redirect_uri).await;
        call.ended(&redeemed, now);
        let member = redeemed?;
        let vouched = match &provider.memberships {
            Some(memberships) => memberships.at_login(&member, now).await?,
            None => now,
        };
        Ok((member, vouched))
    }

    /// The attempt of this browser that has this state.
    fn attempt_of(&self, state: &str, cookies: &Cookies, fields: &Fields) -> Option<Attempt> {
        let tag = attempt::tag(state);
        cookies
            .attempts(fields)
            .filter(|(name, _)| *name == tag)
            .filter_map(|(_, sealed)| self.seal.open(sealed).and_then(Attempt::from_bytes))
            .find(|attempt| attempt.has_state(state))
    }
}

/// The attempts that show a loop: five of the last minute that have had their answer, or that were going to this same
/// place. Several tabs that are opened at once go to several places and have had none.
fn in_vain<'a>(known: &[Known<'a>], return_to: &ReturnTo, octets: usize, now: UnixTime) -> Vec<&'a str> {
    // Of attempts with a long place a browser keeps fewer.
    let most = LOOP.min(MOST_OCTETS / octets.max(1));
    let recent = known.iter().filter_map(|known| Some((known.tag, known.attempt.as_ref()?)));
    let recent: Vec<(&str, &Attempt)> =
        recent.filter(|(_, attempt)| now.since(attempt.started) < LOOP_TIME).collect();
    let is_answered = |attempt: &Attempt| attempt.used;
    let goes_there = |attempt: &Attempt| attempt.return_to == *return_to;
    let count = |counts: &dyn Fn(&Attempt) -> bool| recent.iter().filter(|(_, one)| counts(one)).count();
    if count(&is_answered) < most && count(&goes_there) < most {
        return Vec::new();
    }
    recent.into_iter().filter(|(_, one)| is_answered(one) || goes_there(one)).map(|(tag, _)| tag).collect()
}

/// Deletions of the attempts that are over, unreadable, or the oldest where there are too many.
fn make_way(known: Vec<Known<'_>>, cookies: &Cookies, octets: usize, now: UnixTime) -> Vec<HeaderValue> {
    let mut deleted = Vec::new();
    let mut kept = Vec::new();
    for Known { tag, octets, attempt } in known {
        match attempt.filter(|attempt| attempt.is_fresh_at(now)) {
            Some(attempt) => kept.push((attempt.started, tag, octets)),
            None => deleted.push(cookies.delete_attempt(tag)),
        }
    }
    kept.sort_by_key(|(started, ..)| std::cmp::Reverse(*started));
    let mut total = octets;
    let mut places = MOST_ATTEMPTS - 1;
    for (_, tag, octets) in kept {
        total += octets;
        if places == 0 || total > MOST_OCTETS {
            deleted.push(cookies.delete_attempt(tag));
        } else {
            places -= 1;
        }
    }
    deleted
}

/// RFC 6749 Appendix A.11: visible ASCII and blanks. Longer than 4 KiB is nobody's code.
fn is_code(code: &str) -> bool {
    (1..=4096).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Policy;

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn ring() -> KeyRing {
        KeyRing::new([&Secret::new(*b"0123456789abcdef0123456789abcdef")]).unwrap()
    }

    fn cookies() -> Cookies {
        let policy = Policy { idle_timeout: Duration::from_secs(3600), max_age: Duration::from_secs(43_200) };
        Cookies::new(&ring(), "members.example.org", true, policy)
    }

    /// An attempt that began so many seconds ago.
    fn begun(age: u64, place: &str, used: bool) -> Attempt {
        let started = UnixTime(NOW.0 - age);
        let provider = ProviderName::new("ymca").unwrap();
        let mut attempt = Attempt::begin([3; 32], provider, ReturnTo::new(place), started);
        attempt.used = used;
        attempt
    }

    fn known(tag: &str, attempt: Attempt) -> Known<'_> {
        Known { tag, octets: 300, attempt: Some(attempt) }
    }

    const TAGS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    const PLACES: [&str; 5] = ["/1", "/2", "/3", "/4", "/5"];

    #[test]
    fn five_attempts_of_the_last_minute_that_were_answered_are_a_loop() {
        let answered = |ages: [u64; 5]| -> Vec<Known<'_>> {
            (0..5).map(|at| known(TAGS[at], begun(ages[at], PLACES[at], true))).collect()
        };
        let in_vain = |known: &[Known<'static>]| in_vain(known, &ReturnTo::new("/"), 300, NOW).join(" ");
        assert_eq!(in_vain(&answered([0, 10, 20, 30, 59])), "1 2 3 4 5");
        assert_eq!(in_vain(&answered([0, 10, 20, 30, 60])), "", "the last is too long ago");
        assert_eq!(in_vain(&answered([0, 10, 20, 30, 59])[1..]), "", "they are four");
        let mut with_another_tab = answered([0, 10, 20, 30, 40]);
        with_another_tab.push(known("6", begun(5, "/6", false)));
        assert_eq!(in_vain(&with_another_tab), "1 2 3 4 5");
    }

    #[test]
    fn five_attempts_to_one_place_are_a_loop_and_five_tabs_are_none() {
        let unanswered = |places: [&str; 5]| -> Vec<Known<'_>> {
            (0..5).map(|at| known(TAGS[at], begun(10, places[at], false))).collect()
        };
        let in_vain = |known: &[Known<'static>]| in_vain(known, &ReturnTo::new("/1"), 300, NOW).join(" ");
        assert_eq!(in_vain(&unanswered(["/1"; 5])), "1 2 3 4 5");
        assert_eq!(in_vain(&unanswered(["/1"; 5])[1..]), "", "they are four");
        assert_eq!(in_vain(&unanswered(["/1", "/1", "/1", "/1", "/2"])), "", "four of them go there");
        assert_eq!(in_vain(&unanswered(PLACES)), "");
    }

    #[test]
    fn of_attempts_so_long_that_a_browser_keeps_three_the_third_is_a_loop() {
        let long: Vec<Known<'_>> = TAGS[..3].iter().map(|tag| known(tag, begun(10, "/1", false))).collect();
        let in_vain = |known: &[Known<'static>]| in_vain(known, &ReturnTo::new("/1"), 2000, NOW).join(" ");
        assert_eq!(in_vain(&long), "1 2 3");
        assert_eq!(in_vain(&long[1..]), "");
    }

    /// The tags of the attempts that are deleted to make way for one of so many octets.
    fn deleted(known: Vec<Known<'_>>, octets: usize) -> Vec<String> {
        let named =
            |field: &HeaderValue| field.to_str().unwrap().split(['-', '=']).nth(3).unwrap().to_owned();
        make_way(known, &cookies(), octets, NOW).iter().map(named).collect()
    }

    #[test]
    fn the_oldest_attempts_make_way_for_one_too_many() {
        let ages = [70, 10, 90, 30, 40, 50, 60, 80, 20];
        let many: Vec<Known<'_>> = (0..9).map(|at| known(TAGS[at], begun(ages[at], "/", false))).collect();
        assert_eq!(deleted(many, 300), ["8", "3"]);
        let few = TAGS[..7].iter().map(|tag| known(tag, begun(10, "/", false)));
        assert_eq!(deleted(few.collect(), 300), [""; 0]);
    }

    #[test]
    fn attempts_make_way_where_all_together_are_too_long_for_a_server_in_front() {
        let long = |number: usize| -> Vec<Known<'_>> {
            let tags = TAGS[..number].iter().zip(10..);
            tags.map(|(tag, age)| Known { octets: 1024, ..known(tag, begun(age, "/", false)) }).collect()
        };
        assert_eq!(deleted(long(5), 1024), [""; 0], "six KiB are not too long");
        assert_eq!(deleted(long(5), 1025), ["5"]);
        assert_eq!(deleted(long(7), 1024), ["6", "7"]);
    }

    #[test]
    fn attempts_that_are_over_or_unreadable_make_way_always() {
        let known = vec![
            known("1", begun(1800, "/", false)),
            Known { tag: "2", octets: 300, attempt: None },
            known("3", begun(1799, "/", true)),
        ];
        assert_eq!(deleted(known, 300), ["1", "2"]);
    }

    #[test]
    fn of_hundreds_of_attempts_twice_as_many_are_read_as_a_browser_keeps() {
        let login = Login::new(&ring(), Origin::parse("https://members.example.org").unwrap(), Vec::new());
        let lines = (0..100).map(|number| {
            let line = format!("__Host-member-login-abcdefghij{number:02}=x");
            (http::header::COOKIE, HeaderValue::try_from(line).unwrap())
        });
        assert_eq!(login.known(&cookies(), &lines.collect()).len(), 16);
    }

    #[test]
    fn a_code_is_visible_ascii_and_blanks_and_no_longer_than_four_kib() {
        for code in ["a", "a b~!", &"x".repeat(4096)] {
            assert!(is_code(code), "{code}");
        }
        for code in ["", "a\tb", "a\u{7f}", "é", &"x".repeat(4097)] {
            assert!(!is_code(code), "{code:?}");
        }
    }
}
