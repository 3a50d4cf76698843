//! What is no sign-in, whatever it looks like: credentials for others, conditions, cookies that are nearly good.

use http::Method;

use crate::harness::{Gateway, NAVIGATION, last_head};

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

/// A reason would help nobody but a forger.
#[tokio::test]
async fn a_cookie_that_is_worth_nothing_gets_the_same_answer_whatever_is_wrong_with_it() {
    let gateway = Gateway::with_sandbox();
    let good = gateway.signed_in().await.session_cookie().unwrap();
    let other_keys = Gateway::with(&crate::harness::Options {
        session_keys: Some("\"b3RoZXIta2V5LW9mLXRoZS10ZXN0cy0wMTIzNDU2Nzg\""),
        ..crate::harness::Options::default()
    });
    let of_another_key = other_keys.signed_in().await.session_cookie().unwrap();
    let attempt = gateway.browser().go("/").await.set_cookie("__Host-member-login-");
    let attempt = attempt.split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
    let mut flipped = good.clone().into_bytes();
    flipped[100] ^= 1;
    gateway.later(3600);

    let mut answers = Vec::new();
    for cookie in
        ["!".to_owned(), "AA".to_owned(), String::from_utf8(flipped).unwrap(), of_another_key, attempt, good]
    {
        let mut browser = gateway.browser();
        browser.set_cookie("__Host-member-session", &cookie);
        let page = browser.request(Method::GET, "/api/classes", &NAVIGATION, "").await;
        let mut fields: Vec<String> =
            page.fields.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        fields.retain(|field| !field.starts_with("date: "));
        // Each problem has a number of its own, of which the length is the same.
        let body: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        let words = ["type", "title", "status", "detail", "login_url"].map(|name| body[name].to_string());
        answers.push((page.status, fields, words, page.body.len()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(answers[0].0, 401);
}
