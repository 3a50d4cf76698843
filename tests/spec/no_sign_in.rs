//! What is no sign-in, whatever it looks like: credentials for others, conditions, cookies that are nearly good.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use member_gateway::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use member_gateway::secret::Secret;
use member_gateway::session::cookie::Cookies;
use member_gateway::session::seal::KeyRing;
use member_gateway::session::{Policy, Session, SessionId};
use member_gateway::time::UnixTime;

use crate::harness::{Gateway, NOW, SITE, last_head};

#[test]
fn no_credentials_count_but_the_session() {
    let gateway = Gateway::with_sandbox();
    for (target, fields) in [
        ("/api/a", "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MDAwMDc5OTUtMDAifQ.\r\n"),
        ("/api/a", "Authorization: Basic cm9zYTpyb3NhLXN3aW1z\r\n"),
        ("/api/a?access_token=eyJ&id_token=eyJ&member_id=400007995-00", ""),
        ("/api/a", "X-Member-Id: 400007995-00\r\nX-Member-Unit-Id: 400007995\r\n"),
        ("/api/a", "Cookie: member-session=a; access_token=b; __Secure-member-session=c\r\n"),
    ] {
        let answer = gateway.raw(last_head(&format!("GET {target}"), fields));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{target} {fields}: {answer}");
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[test]
fn no_condition_and_no_range_gets_a_stranger_anything_of_the_app() {
    let gateway = Gateway::with_sandbox();
    for line in ["GET /api/a", "HEAD /api/a", "OPTIONS /api/a", "POST /api/a"] {
        let answer = gateway.raw(last_head(
            line,
            "Range: bytes=0-0\r\nIf-None-Match: *\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
             If-Match: \"a\"\r\nIf-Range: \"a\"\r\n",
        ));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{line}: {answer}");
        let fields = answer.to_lowercase();
        for name in ["etag", "last-modified", "accept-ranges", "content-range", "allow:"] {
            assert!(!fields.contains(&format!("\r\n{name}")), "{line}: {answer}");
        }
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn the_vendor_hears_nothing_that_stands_in_the_address_of_a_login() {
    let gateway = Gateway::with_sandbox();
    let usual = gateway.browser().go("/_gateway/login?provider=ymca&return_to=/a").await;
    let odd = gateway
        .browser()
        .go("/_gateway/login?provider=ymca&return_to=/a&scope=admin&prompt=none&redirect_uri=https://evil.test/&state=x&login_hint=rosa")
        .await;

    let parameters = |location: &str| {
        let url = url::Url::parse(location).unwrap();
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        pairs.retain(|(name, _)| name != "state");
        (url.host_str().unwrap().to_owned(), url.path().to_owned(), pairs)
    };
    assert_eq!(parameters(odd.location()), parameters(usual.location()));
    assert!(!odd.location().contains("evil"), "{}", odd.location());
}

/// The session of the sandbox's first member, as this vendor says it, sealed by this key for this site.
fn sealed(key: &[u8; 32], site: &str, provider: &'static str, begun: UnixTime) -> String {
    let ring = KeyRing::new([&Secret::new(*key)]).unwrap();
    let hours = |number: u64| Duration::from_secs(3600 * number);
    let policy = Policy { idle_timeout: hours(1), max_age: hours(12) };
    let member = Member {
        provider: ProviderName::new(provider).unwrap(),
        id: MemberId::new("400007995-00").unwrap(),
        unit_id: MemberUnitId::new("400007995").unwrap(),
        profile: Profile::default(),
    };
    let session = Session::begin(SessionId([7; 16]), member, begun, begun);
    let set = Cookies::new(&ring, site, true, policy).set_session(&session);
    let (_, value) = set.to_str().unwrap().split_once('=').unwrap();
    value.split(';').next().unwrap().to_owned()
}

/// An answer as it came, octet for octet, without its date; and with zeros for what is new each time: the number of a problem,
/// the state of an attempt and its cookie.
fn lasting(answer: &str) -> String {
    let new_each_time =
        [("\"reference\":\"", '"'), ("set-cookie: __Host-member-login-", ';'), ("state=", '&')];
    let mut text = String::new();
    for line in answer.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")) {
        let found = new_each_time.iter().find_map(|(before, end)| {
            let at = line.find(before)? + before.len();
            let length = line[at..].find([*end, '\r']).unwrap_or(line.len() - at);
            Some((&line[..at], length, &line[at + length..]))
        });
        match found {
            Some((before, length, after)) => text.extend([before, &"0".repeat(length), after]),
            None => text.push_str(line),
        }
    }
    text
}

/// A reason would help nobody but a forger.
#[tokio::test]
async fn a_cookie_that_is_worth_nothing_gets_the_same_answer_whatever_is_wrong_with_it() {
    const KEY: &[u8; 32] = b"session-key-of-the-tests-0123456";
    let gateway = Gateway::with_sandbox();
    let attempt = gateway.browser().go("/").await.set_cookie("__Host-member-login-");
    let attempt = attempt.split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
    let mut signed_out = gateway.signed_in().await;
    let ended = signed_out.session_cookie().unwrap();
    let same_origin = [("sec-fetch-site", "same-origin")];
    assert_eq!(signed_out.request(Method::POST, "/_gateway/logout", &same_origin, "").await.status, 303);
    let good = sealed(KEY, SITE, "ymca", NOW);
    let flipped = |at: usize| {
        let mut bytes = URL_SAFE_NO_PAD.decode(&good).unwrap();
        bytes[at] ^= 1;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let ago = |seconds: u64| UnixTime(NOW.0 - seconds);
    let worthless = [
        ("no base64url", "!".to_owned()),
        ("base64url with its padding", format!("{good}==")),
        ("too short", "AA".to_owned()),
        ("cut off", good[..good.len() - 4].to_owned()),
        ("drawn out", format!("{good}AAAA")),
        ("of another version", flipped(0)),
        ("with the id of another key", flipped(1)),
        ("with another nonce", flipped(5)),
        ("with another content", flipped(29)),
        ("with another tag", flipped(URL_SAFE_NO_PAD.decode(&good).unwrap().len() - 1)),
        ("of an unknown key", sealed(b"other-key-of-the-tests-012345678", SITE, "ymca", NOW)),
        ("for another purpose", attempt),
        ("for another site", sealed(KEY, "https://rewards.localhost", "ymca", NOW)),
        ("of another provider", sealed(KEY, SITE, "rewards", NOW)),
        ("idle for too long", sealed(KEY, SITE, "ymca", ago(3600))),
        ("beyond its maximum age", sealed(KEY, SITE, "ymca", ago(12 * 3600))),
        ("from the future", sealed(KEY, SITE, "ymca", UnixTime(NOW.0 + 3600))),
        ("of somebody who has signed out", ended),
    ];
    for (target, fields, status) in [
        ("/api/classes", "", "401 Unauthorized"),
        ("/classes", "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", "302 Found"),
        ("/_gateway/session", "", "401 Unauthorized"),
    ] {
        let answer = |name: &str, value: &str| {
            let fields = format!("{fields}Cookie: {name}={value}\r\n");
            lasting(&gateway.raw(last_head(&format!("GET {target}"), &fields)))
        };
        let is_good = answer("__Host-member-session", &good);
        assert!(is_good.starts_with("HTTP/1.1 200 "), "{target}: {is_good}");
        let first = answer("__Host-member-session", &worthless[0].1);
        assert!(first.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{first}");
        for (what, value) in &worthless {
            assert_eq!(answer("__Host-member-session", value), first, "{target}: {what}");
        }
        // Under another name it is no cookie of ours, and so nothing that could be taken away.
        let nobody = answer("a", "b");
        for name in
            ["member-session", "__Host-member-sessio", "__host-member-session", "__Secure-member-session"]
        {
            assert_eq!(answer(name, &good), nobody, "{target}: {name}");
        }
    }
}
