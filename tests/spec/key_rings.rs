//! Key rings: keys are exchanged by a reload, and nobody is signed out who need not be.

use http::Method;

use crate::harness::{Browser, Folder, Gateway, Options};

/// The key of all other tests, and the next one.
const OLD: &str = "\"c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\"";
const NEW: &str = "\"bmV3LXNlc3Npb24ta2V5LW9mLXRoZS10ZXN0cy0wMTI\"";
const OLD_THEN_NEW: Options = Options {
    session_keys: Some(
        "\"c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\", \"bmV3LXNlc3Npb24ta2V5LW9mLXRoZS10ZXN0cy0wMTI\"",
    ),
    ..Options::USUAL
};
const NEW_THEN_OLD: Options = Options {
    session_keys: Some(
        "\"bmV3LXNlc3Npb24ta2V5LW9mLXRoZS10ZXN0cy0wMTI\", \"c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\"",
    ),
    ..Options::USUAL
};
const ONLY_OLD: Options = Options { session_keys: Some(OLD), ..Options::USUAL };
const ONLY_NEW: Options = Options { session_keys: Some(NEW), ..Options::USUAL };

const OLD_SIGNING: &str =
    "{ id = \"old\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }";
const BOTH_SIGNING: &str = "{ id = \"old\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }, \
                            { id = \"new\", algorithm = \"ed25519\", key = \"bmV3LWVkMjU1MTktc2VlZC1vZi10aGUtdGVzdHMtMDE\" }";
const EXCHANGED_SIGNING: &str = "{ id = \"new\", algorithm = \"ed25519\", key = \"bmV3LWVkMjU1MTktc2VlZC1vZi10aGUtdGVzdHMtMDE\" }, \
                                 { id = \"old\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }";
const NEW_SIGNING: &str =
    "{ id = \"new\", algorithm = \"ed25519\", key = \"bmV3LWVkMjU1MTktc2VlZC1vZi10aGUtdGVzdHMtMDE\" }";

async fn status(browser: &mut Browser) -> u16 {
    browser.fetch(Method::GET, "/api/classes", &[]).await.status.as_u16()
}

/// The key that has signed what the upstream gets, and those that are published.
async fn signing(gateway: &Gateway, browser: &mut Browser) -> (String, Vec<String>) {
    assert_eq!(status(browser).await, 200);
    let input = gateway.upstream().last_request().field("signature-input").to_owned();
    let signed_by = input.split("keyid=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = browser.fetch(Method::GET, "/_gateway/keys", &[]).await;
    let set: serde_json::Value = serde_json::from_str(&page.body).unwrap();
    let published = set["keys"].as_array().unwrap();
    (signed_by, published.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn a_session_key_is_exchanged_without_signing_anybody_out() {
    let mut gateway = Gateway::with(&ONLY_OLD);
    let (mut busy, mut idle) = (gateway.signed_in().await, gateway.signed_in().await);

    gateway.reload(&OLD_THEN_NEW).unwrap();
    gateway.reload(&NEW_THEN_OLD).unwrap();
    assert_eq!((status(&mut busy).await, status(&mut idle).await), (200, 200));
    let mut fresh = gateway.signed_in().await;
    gateway.later(1800);
    assert_eq!(status(&mut busy).await, 200, "and is sealed anew with the first key");
    gateway.reload(&ONLY_NEW).unwrap();

    assert_eq!((status(&mut busy).await, status(&mut fresh).await), (200, 200));
    assert_eq!(status(&mut idle).await, 401, "what the old key has sealed ends with it");
}

#[tokio::test]
async fn a_key_that_is_taken_out_ends_its_sessions_with_the_next_request() {
    let mut gateway = Gateway::with(&ONLY_OLD);
    let mut browser = gateway.signed_in().await;
    let mut connection = gateway.connect();
    let cookie = format!("Cookie: __Host-member-session={}\r\n", browser.session_cookie().unwrap());
    connection.send(crate::harness::head("GET /api/classes", &cookie));
    assert!(connection.answer().0.starts_with("HTTP/1.1 200 "));

    gateway.reload(&ONLY_NEW).unwrap();

    connection.send(crate::harness::head("GET /api/classes", &cookie));
    assert!(connection.answer().0.starts_with("HTTP/1.1 401 "), "on a connection that was there before, too");
    assert_eq!(status(&mut browser).await, 401);
    gateway.reload(&ONLY_OLD).unwrap();
    assert_eq!(browser.visit("/").await.status, 200);
}

#[tokio::test]
async fn a_key_behind_the_first_opens_what_another_gateway_seals_with_it() {
    let (first, second) = (Gateway::with(&NEW_THEN_OLD), Gateway::with(&OLD_THEN_NEW));
    for (here, there) in [(&first, &second), (&second, &first)] {
        let mut browser = here.signed_in().await.at(there);
        assert_eq!(status(&mut browser).await, 200);
    }
}

#[tokio::test]
async fn a_login_that_is_under_way_outlives_the_exchange() {
    let mut gateway = Gateway::with(&ONLY_OLD);
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;

    gateway.reload(&NEW_THEN_OLD).unwrap();

    assert_eq!(browser.go(&callback).await.location(), "/classes");
    assert_eq!(status(&mut browser).await, 200);
}

#[tokio::test]
async fn whom_an_operator_signed_out_stays_out_when_the_key_that_kept_it_is_gone() {
    let folder = Folder::empty();
    let with = |keys: &Options| Options {
        session: "store = \"file:revocations\"",
        server: "admin_listen = \"127.0.0.1:0\"",
        folder: Some(folder.path().to_owned()),
        ..keys.clone()
    };
    let mut gateway = Gateway::with(&with(&ONLY_OLD));
    gateway.reload(&with(&OLD_THEN_NEW)).unwrap();
    // Sealed with the new key by a gateway that has exchanged them already, and ended by one that has not.
    let ahead = Gateway::with(&with(&NEW_THEN_OLD));
    let mut browser = ahead.signed_in().await;
    let answer = crate::revocation::revoke(&gateway, r#"{"member_id": "400007995-00"}"#);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");

    gateway.reload(&with(&NEW_THEN_OLD)).unwrap();
    crate::harness::eventually("it is written anew", || {
        let answer = crate::revocation::revoke(&gateway, r#"{"member_id": "300418822-01"}"#);
        answer.starts_with("HTTP/1.1 204 ")
    });
    let restarted = Gateway::with(&with(&ONLY_NEW));

    assert_eq!(status(&mut browser.at(&restarted)).await, 401);
    crate::revocation::eventually_is(&mut browser, 401).await;
}

#[tokio::test]
async fn a_signing_key_is_published_before_it_signs_and_for_as_long_as_it_is_in_the_ring() {
    let with = |keys| Options { signing_keys: Some(keys), ..Options::USUAL };
    let mut gateway = Gateway::with(&with(OLD_SIGNING));
    let mut browser = gateway.signed_in().await;

    let mut seen = Vec::new();
    for keys in [OLD_SIGNING, BOTH_SIGNING, EXCHANGED_SIGNING, NEW_SIGNING] {
        gateway.reload(&with(keys)).unwrap();
        seen.push(signing(&gateway, &mut browser).await);
    }

    let told = |signed_by: &str, published: &[&str]| {
        (signed_by.to_owned(), published.iter().map(|&id| id.to_owned()).collect::<Vec<_>>())
    };
    let expected = [
        told("old", &["old"]),
        told("old", &["old", "new"]),
        told("new", &["new", "old"]),
        told("new", &["new"]),
    ];
    assert_eq!(seen, expected);
}
