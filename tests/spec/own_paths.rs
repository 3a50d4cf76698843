//! The gateway's own paths: everything below `/_gateway/`.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Gateway, NAVIGATION, NOW, Options, Page};

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");
const ED25519: &str =
    "{ id = \"2026-12\", algorithm = \"ed25519\", key = \"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\" }";

fn ask(gateway: &Gateway, target: &str, fields: &str) -> String {
    gateway.raw(format!("GET {target} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n"))
}

/// What every answer of the gateway's own carries.
fn is_guarded(page: &Page, what: &str) {
    assert_eq!(page.field("cache-control"), "no-store", "{what}");
    assert_eq!(page.field("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(page.field("referrer-policy"), "no-referrer", "{what}");
    let policy = page.field("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{what}: {policy}"
    );
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{what}: {policy}");
}

#[tokio::test]
async fn unknown_names_are_404_for_strangers_and_members_alike() {
    let gateway = Gateway::with_sandbox();
    let mut member = gateway.signed_in().await;

    for browser in [&mut gateway.browser(), &mut member] {
        for path in [
            "/_gateway",
            "/_gateway/",
            "/_gateway/x",
            "/_gateway/login/",
            "/_gateway/login/x",
            "/_gateway/Login",
            "/_gateway/callback",
            "/_gateway/callback/",
            "/_gateway/callback/evil?code=a&state=b",
            "/_gateway/callback/ymca/x",
        ] {
            assert_eq!(browser.go(path).await.status, 404, "{path}");
        }
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_wrong_method_is_405_and_says_which_are_right() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    for (path, allow) in [
        ("/_gateway/login", "GET, HEAD"),
        ("/_gateway/callback/ymca", "GET"),
        ("/_gateway/error", "GET, HEAD"),
        ("/_gateway/logout", "GET, HEAD, POST"),
        ("/_gateway/session", "GET, HEAD"),
        ("/_gateway/keys", "GET, HEAD"),
        ("/_gateway/health", "GET, HEAD"),
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            if allow.contains(method.as_str()) {
                continue;
            }
            let page = browser.request(method.clone(), path, &[], "").await;
            assert_eq!((page.status.as_u16(), page.field("allow")), (405, allow), "{method} {path}");
        }
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn nothing_of_them_reaches_the_upstream_in_any_reading_of_the_path() {
    let everything_is_public = "[[site.rule]]\npath = \"/**\"\naccess = \"public\"";
    let gateway = Gateway::with(&Options { more: everything_is_public, ..Options::USUAL });

    for target in [
        "/_gateway/x",
        "/%5fgateway/session",
        "/_%67ateway/session",
        "/%255fgateway/session",
        "//_gateway/session",
        "/./_gateway/session",
        "/a/../_gateway/session",
        "/a/%2e%2e/_gateway/session",
        "/a/..%2f_gateway/session",
        "/a/..;/_gateway/session",
        "/_gateway;a=b/session",
        "/_gateway%2fsession",
        "/%2f_gateway/session",
        "/a\\..\\_gateway\\session",
        "/_gateway%5csession",
        "/_gateway%00/session",
        "/_gateway/../_gateway/session",
        "/public/../_gateway/callback/ymca?code=a",
        "/_gateway%3fa",
    ] {
        let answer = ask(&gateway, target, "Host: members.localhost\r\n");
        let refused = answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 ");
        assert!(refused, "{target}: {answer}");
    }
    assert!(gateway.upstream().requests().is_empty());
    assert!(ask(&gateway, "/_gatewayish", "Host: members.localhost\r\n").starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn no_rule_applies_to_them() {
    let everything_is_denied = "[[site.rule]]\npath = \"/**\"\naccess = \"deny\"";
    let gateway = Gateway::with(&Options { more: everything_is_denied, ..Options::USUAL });
    let mut browser = gateway.browser();

    assert_eq!(browser.go("/classes").await.status, 403);
    assert_eq!(browser.go("/_gateway/login").await.status, 302);
    assert_eq!(browser.go("/_gateway/logout").await.status, 200);
    assert_eq!(browser.go("/_gateway/session").await.status, 401);
}

#[tokio::test]
async fn health_answers_under_any_host() {
    let gateway = Gateway::with_sandbox();

    for host in ["members.localhost", "evil.test", "127.0.0.1:8080", "10.0.0.7"] {
        let answer = ask(&gateway, "/_gateway/health", &format!("Host: {host}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok\n"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn everything_else_under_an_unknown_host_is_421() {
    let gateway = Gateway::with_sandbox();
    let paths =
        ["/", "/public/x", "/_gateway/login", "/_gateway/session", "/_gateway/callback/ymca?code=a&state=b"];

    for path in paths {
        for host in ["evil.test", "members.localhost.evil.test", "members.localhost:8443", "127.0.0.1"] {
            let answer = ask(&gateway, path, &format!("Host: {host}\r\n"));
            assert!(answer.starts_with("HTTP/1.1 421 "), "{host} {path}: {answer}");
            assert!(!answer.contains("set-cookie") && !answer.contains("location"), "{answer}");
        }
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_host_given_twice_or_not_at_all_is_400() {
    let gateway = Gateway::with_sandbox();

    for fields in ["", "Host: members.localhost\r\nHost: members.localhost\r\n", "Host: a b\r\n", "Host:\r\n"]
    {
        let answer = ask(&gateway, "/public/x", fields);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields:?}: {answer}");
    }
}

#[tokio::test]
async fn the_session_says_who_it_is_and_until_when() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    let page = browser.fetch(Method::GET, "/_gateway/session", &[]).await;

    assert_eq!((page.status.as_u16(), page.field("content-type")), (200, "application/json"));
    let mut session: Value = serde_json::from_str(&page.body).unwrap();
    let id = session.as_object_mut().unwrap().remove("session_id").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 22, "128 bits: {id}");
    let expected = json!({
        "authenticated": true,
        "provider": "ymca",
        "member_id": "400007995-00",
        "member_unit_id": "400007995",
        "expires_at": NOW.0 + 3600,
    });
    assert_eq!(session, expected);
}

#[tokio::test]
async fn without_a_session_that_is_401_and_says_no_more() {
    let gateway = Gateway::with_sandbox();

    let page = gateway.browser().go("/_gateway/session").await;

    assert_eq!((page.status.as_u16(), page.body.as_str()), (401, "{\"authenticated\":false}"));
    assert_eq!((page.set_cookies().len(), page.location()), (0, ""));
}

#[tokio::test]
async fn the_id_of_a_session_opens_nothing() {
    let gateway = Gateway::with_sandbox();
    let id = gateway.signed_in().await.session().await["session_id"].as_str().unwrap().to_owned();
    let mut browser = gateway.browser();
    browser.set_cookie("__Host-member-session", &id);

    assert_eq!(browser.session().await["authenticated"], false);
}

#[tokio::test]
async fn shared_keys_are_never_published() {
    let gateway = Gateway::with_sandbox();

    let page = gateway.browser().go("/_gateway/keys").await;

    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "{\"keys\":[]}"));
}

#[tokio::test]
async fn the_public_half_of_a_key_pair_is_published_as_a_jwk() {
    let gateway = Gateway::with(&Options { signing_keys: Some(ED25519), ..Options::USUAL });

    let page = gateway.browser().go("/_gateway/keys").await;

    let set: Value = serde_json::from_str(&page.body).unwrap();
    let key = &set["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["kid"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("2026-12"))
    );
    // RFC 8032 §7.1, test 1.
    assert_eq!(key["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert!(key.get("d").is_none() && !page.body.contains("nWGxne"), "{}", page.body);
}

#[tokio::test]
async fn the_sign_out_page_has_one_button_and_signs_nobody_out() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    let page = browser.go("/_gateway/logout?return_to=/goodbye").await;

    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0));
    assert_eq!(page.body.matches("<button").count(), 1, "{}", page.body);
    assert!(page.body.contains("<form method=\"post\" action=\"/_gateway/logout\">"), "{}", page.body);
    assert!(page.body.contains("name=\"return_to\" value=\"/goodbye\""), "{}", page.body);
    assert_eq!(browser.session().await["authenticated"], true);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_leads_to_the_front_page_or_where_it_was_told() {
    let gateway = Gateway::with_sandbox();

    for (body, place) in
        [("", "/"), ("return_to=%2Fgoodbye%3Fa", "/goodbye?a"), ("return_to=//evil.test", "/")]
    {
        let mut browser = gateway.signed_in().await;
        let fields = [&NAVIGATION[..3], &[SAME_ORIGIN]].concat();
        let page = browser.request(Method::POST, "/_gateway/logout", &fields, body).await;
        assert_eq!((page.status.as_u16(), page.location()), (303, place));
        let line = page.set_cookie("__Host-member-session");
        assert_eq!(line, "__Host-member-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
        assert_eq!(browser.go("/classes").await.status, 302);
    }
}

#[tokio::test]
async fn an_old_browser_signs_out_by_its_origin() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    let fields = [("origin", "https://members.localhost")];
    assert_eq!(browser.request(Method::POST, "/_gateway/logout", &fields, "").await.status, 303);
}

#[tokio::test]
async fn no_other_site_can_sign_anybody_out() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    for fields in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://members.localhost")],
        &[("origin", "https://evil.test")],
        &[("origin", "null")],
        &[("origin", "http://members.localhost")],
    ] {
        let page = browser.request(Method::POST, "/_gateway/logout", fields, "").await;
        assert_eq!((page.status.as_u16(), page.set_cookies().len()), (403, 0), "{fields:?}");
    }
    assert_eq!(browser.session().await["authenticated"], true);
}

#[tokio::test]
async fn whoever_only_looks_at_a_callback_spends_nothing() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;

    for method in [Method::HEAD, Method::OPTIONS, Method::POST] {
        let page = browser.request(method, &callback, &NAVIGATION, "").await;
        assert_eq!((page.status.as_u16(), page.field("allow"), page.set_cookies().len()), (405, "GET", 0));
    }

    assert_eq!(gateway.exchanges(), 0);
    assert_eq!(browser.go(&callback).await.location(), "/classes");
}

#[tokio::test]
async fn every_answer_of_the_gateways_own_is_neither_stored_nor_sniffed_nor_framed() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    is_guarded(&browser.go(&callback).await, "the callback");
    let failed = browser.clone().go("/_gateway/callback/ymca?state=x").await;
    is_guarded(&failed, "the callback, for a member");
    browser.forget_cookie("__Host-member-session");
    let failed = browser.go(&callback).await;
    is_guarded(&failed, "the callback, in vain");
    is_guarded(&browser.go(failed.location()).await, "the error page");

    let mut member = gateway.signed_in().await;
    is_guarded(&member.go("/_gateway/session").await, "a session");
    is_guarded(&member.go("/staff/x").await, "a member who is not named");
    is_guarded(&member.request(Method::POST, "/_gateway/logout", &[], "").await, "a foreign sign-out");
    is_guarded(&member.request(Method::POST, "/_gateway/logout", &[SAME_ORIGIN], "").await, "a sign-out");
    for path in [
        "/classes",
        "/api/x",
        "/denied/x",
        "/_gateway/login",
        "/_gateway/error",
        "/_gateway/logout",
        "/_gateway/session",
        "/_gateway/keys",
        "/_gateway/health",
        "/_gateway/x",
        "https://unknown.localhost/",
    ] {
        is_guarded(&gateway.browser().go(path).await, path);
    }
    is_guarded(&gateway.browser().request(Method::POST, "/book", &NAVIGATION, "").await, "the login first");
    is_guarded(&gateway.browser().request(Method::PUT, "/_gateway/keys", &[], "").await, "a wrong method");
}
