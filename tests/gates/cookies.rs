//! Gate R13: millions of cookies that nobody has sealed; and a million that somebody has, of which no two are alike.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderValue};
use member_gateway::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use member_gateway::message::Fields;
use member_gateway::secret::Secret;
use member_gateway::session::cookie::{Cookies, Presented};
use member_gateway::session::seal::KeyRing;
use member_gateway::session::{Policy, Session, SessionId};
use member_gateway::time::UnixTime;
use rustix::time::{ClockId, clock_gettime};

use crate::harness::NOW;
use crate::scaled;

const TRIES: usize = scaled(200_000, 10_000_000);
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// xorshift64*: the same numbers each time, and not the gateway's own.
pub(crate) struct Numbers(u64);

impl Numbers {
    /// The first of different rows.
    pub(crate) const fn row(number: u64) -> Self {
        Self(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap()
    }

    fn letter(&mut self) -> u8 {
        BASE64URL[self.next() % BASE64URL.len()]
    }
}

fn cookies() -> Cookies {
    cookies_under(b"0123456789abcdef0123456789abcdef")
}

fn cookies_under(key: &[u8; 32]) -> Cookies {
    let ring = KeyRing::new([&Secret::new(*key)]).unwrap();
    let policy = Policy { idle_timeout: Duration::from_secs(3600), max_age: Duration::from_secs(43_200) };
    Cookies::new(&ring, "https://members.localhost", true, policy)
}

fn a_session(begun: UnixTime) -> Session {
    let member = Member {
        provider: ProviderName::new("ymca").unwrap(),
        id: MemberId::new("400007995-00").unwrap(),
        unit_id: MemberUnitId::new("400007995").unwrap(),
        profile: Profile::default(),
    };
    Session::begin(SessionId([7; 16]), member, begun, begun)
}

/// The value of a cookie that is good.
fn sealed(cookies: &Cookies) -> (String, Vec<u8>) {
    name_and_value(cookies, &a_session(NOW))
}

/// The same for the gateway of the tests, of a session that began then.
pub(crate) fn sealed_at(begun: UnixTime) -> (String, Vec<u8>) {
    name_and_value(&cookies_under(b"session-key-of-the-tests-0123456"), &a_session(begun))
}

fn name_and_value(cookies: &Cookies, session: &Session) -> (String, Vec<u8>) {
    let set = cookies.set_session(session);
    let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
    (name.to_owned(), value.as_bytes().to_vec())
}

/// One that differs from the good one, in one of several ways.
fn changed(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut value = good.to_vec();
    match numbers.next() % 4 {
        0 => (0..good.len()).for_each(|at| value[at] = numbers.letter()),
        1 => value.truncate(numbers.next() % good.len()),
        2 => {
            let more = 1 + numbers.next() % 8;
            value.extend((0..more).map(|_| numbers.letter()));
        }
        3 => {
            let at = numbers.next() % good.len();
            // Another letter than it was.
            while value[at] == good[at] {
                value[at] = numbers.letter();
            }
        }
        _ => unreachable!("a remainder of four"),
    }
    value
}

fn presented(cookies: &Cookies, name: &str, value: &[u8]) -> Presented {
    let field = [name.as_bytes(), b"=", value].concat();
    let mut fields = Fields::new();
    fields.insert(COOKIE, HeaderValue::from_bytes(&field).unwrap());
    cookies.session(&fields, NOW)
}

/// The time that a processor has spent on this thread, whoever else it works for.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

#[test]
fn no_cookie_that_was_made_up_changed_or_cut_off_is_accepted() {
    let cookies = cookies();
    let (name, good) = sealed(&cookies);
    assert!(matches!(presented(&cookies, &name, &good), Presented::Session(_)));
    let since = Instant::now();
    let (accepted, spent) = std::thread::scope(|scope| {
        let threads = [1, 2].map(|row| {
            let (cookies, name, good) = (&cookies, &name, &good);
            scope.spawn(move || {
                let mut numbers = Numbers::row(row);
                let tries = (0..TRIES / 2).filter(|_| {
                    let value = changed(good, &mut numbers);
                    matches!(presented(cookies, name, &value), Presented::Session(_))
                });
                (tries.count(), spent())
            })
        });
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.fold((0, Duration::ZERO), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    let (took, spent) = (since.elapsed().as_secs_f64(), spent.as_secs_f64());
    println!("R13: {TRIES} cookies in {took:.1} s, {spent:.1} s of a processor, {accepted} accepted");
    assert_eq!(accepted, 0);
}

/// AES-GCM gives away its key for authentication where a nonce comes twice (NIST SP 800-38D §8), and a state that comes twice is
/// known to somebody.
#[test]
fn no_nonce_and_no_state_comes_twice() {
    const NONCE: std::ops::Range<usize> = 5..29;
    let (cookies, sealings) = (cookies(), scaled(20_000, 1_000_000));
    let nonces: HashSet<[u8; 24]> = (0..sealings)
        .map(|_| URL_SAFE_NO_PAD.decode(sealed(&cookies).1).unwrap()[NONCE].try_into().unwrap())
        .collect();
    let states: HashSet<[u8; 32]> = (0..sealings).map(|_| member_gateway::random::bytes()).collect();
    assert_eq!((nonces.len(), states.len()), (sealings, sealings));
}
