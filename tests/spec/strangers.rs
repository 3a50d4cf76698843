//! Strangers: what somebody gets who has not signed in.

use http::Method;
use serde_json::Value;

use crate::harness::{Browser, Gateway, NAVIGATION, Options, Page};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
const TWO_PROVIDERS: Options = Options {
    provider: "title = \"YMCA of the Seven Lakes\"",
    providers: Some("\"ymca\", \"club\""),
    more: "[[provider]]\nname = \"club\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\ntitle = \"Harbour Club\"",
    ..Options::USUAL
};

async fn get(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    browser.request(Method::GET, path, fields, "").await
}

fn is_for_the_vendor(gateway: &Gateway, page: &Page) -> bool {
    page.status == 302 && page.location().starts_with(&format!("{}/online/auth?", gateway.daxko().base_url()))
}

#[tokio::test]
async fn a_navigation_is_sent_to_the_vendor() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let page = browser.go("/classes?week=2").await;
    let head = browser.request(Method::HEAD, "/classes", &NAVIGATION, "").await;

    assert!(is_for_the_vendor(&gateway, &page), "{page:?}");
    assert!(is_for_the_vendor(&gateway, &head), "{head:?}");
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn where_the_browser_is_too_old_for_fetch_metadata_accept_tells_a_navigation() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    assert!(is_for_the_vendor(&gateway, &get(&mut browser, "/classes", &[HTML]).await));
    for fields in [
        &[][..],
        &[("accept", "*/*")],
        &[("accept", "application/json")],
        &[HTML, ("x-requested-with", "XMLHttpRequest")],
    ] {
        assert_eq!(get(&mut browser, "/classes", fields).await.status, 401, "{fields:?}");
    }
}

#[tokio::test]
async fn fetch_metadata_outweighs_accept() {
    let gateway = Gateway::with_sandbox();

    for mode in ["cors", "no-cors", "same-origin", "websocket"] {
        let page = get(&mut gateway.browser(), "/classes", &[HTML, ("sec-fetch-mode", mode)]).await;
        assert_eq!(page.status, 401, "{mode}");
    }
}

#[tokio::test]
async fn a_frame_is_told_and_not_redirected() {
    let gateway = Gateway::with_sandbox();

    for kind in ["iframe", "frame", "embed", "object"] {
        let fields = [HTML, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", kind)];
        let page = get(&mut gateway.browser(), "/classes", &fields).await;
        assert_eq!((page.status.as_u16(), page.set_cookies().len()), (401, 0), "{kind}");
        assert_eq!(page.field("content-type"), "application/problem+json", "{kind}");
    }
}

#[tokio::test]
async fn where_there_are_several_providers_a_navigation_is_sent_to_the_chooser_page() {
    let gateway = Gateway::with(&TWO_PROVIDERS);
    let mut browser = gateway.browser();

    let page = browser.go("/classes?week=2").await;
    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (302, 0));
    assert_eq!(page.location(), "/_gateway/login?return_to=%2Fclasses%3Fweek%3D2");

    let chooser = browser.visit("/classes?week=2").await;
    assert_eq!(chooser.status, 200);
    for (title, name) in [("YMCA of the Seven Lakes", "ymca"), ("Harbour Club", "club")] {
        assert!(chooser.body.contains(title), "{}", chooser.body);
        let link = format!("href=\"/_gateway/login?provider={name}&amp;return_to=%2Fclasses%3Fweek%3D2\"");
        assert!(chooser.body.contains(&link), "{}", chooser.body);
    }
}

#[tokio::test]
async fn who_has_chosen_a_provider_signs_in_there() {
    let gateway = Gateway::with(&TWO_PROVIDERS);
    let mut browser = gateway.browser();

    let page = browser.visit("/_gateway/login?provider=club&return_to=%2Fclasses").await;

    assert_eq!((page.status.as_u16(), page.path_and_query()), (200, "/classes"));
    assert_eq!(gateway.upstream().last_request().field("x-member-provider"), "club");
}

#[tokio::test]
async fn a_provider_that_is_not_the_sites_is_not_a_choice() {
    let gateway = Gateway::with(&TWO_PROVIDERS);

    let page = gateway.browser().go("/_gateway/login?provider=evil&return_to=%2Fclasses").await;

    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0));
    assert!(page.body.contains("Harbour Club"), "{}", page.body);
}

#[tokio::test]
async fn a_form_posted_from_elsewhere_goes_to_the_login_that_returns_to_the_same_path() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let navigation =
        [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "cross-site")];

    for method in [Method::POST, Method::PUT] {
        let page = browser.request(method, "/book?class=7", &navigation, "seat=3").await;
        assert_eq!(page.status, 303);
        assert_eq!(page.location(), "/_gateway/login?return_to=%2Fbook%3Fclass%3D7");
    }
    assert_eq!(
        browser.visit("/_gateway/login?return_to=%2Fbook%3Fclass%3D7").await.path_and_query(),
        "/book?class=7"
    );
}

#[tokio::test]
async fn a_script_is_told_where_to_sign_in() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    for method in [Method::GET, Method::POST, Method::DELETE] {
        let page = browser.fetch(method, "/classes", &[]).await;
        assert_eq!((page.status.as_u16(), page.field("content-type")), (401, "application/problem+json"));
        let problem: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(problem["login_url"], "https://members.localhost/_gateway/login?return_to=%2F");
        assert_eq!((&problem["status"], page.location()), (&Value::from(401), ""));
    }
    assert!(browser.attempts().is_empty(), "a script starts no login");
}

#[tokio::test]
async fn a_script_comes_back_to_the_page_it_runs_on() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    for (referrer, place) in [
        ("https://members.localhost/classes?week=2", "%2Fclasses%3Fweek%3D2"),
        ("https://members.localhost.evil.test/x", "%2F"),
        ("https://members.localhost@evil.test/x", "%2F"),
        ("https://evil.test/x", "%2F"),
    ] {
        let page = browser.fetch(Method::GET, "/api/next", &[("referer", referrer)]).await;
        let problem: Value = serde_json::from_str(&page.body).unwrap();
        let expected = format!("https://members.localhost/_gateway/login?return_to={place}");
        assert_eq!(problem["login_url"], expected, "{referrer}");
    }
}

#[tokio::test]
async fn only_the_sites_own_scripts_can_read_the_401() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    for origin in ["https://members.localhost", "https://evil.test", "null"] {
        let page = browser.fetch(Method::GET, "/classes", &[("origin", origin)]).await;
        assert_eq!(page.field("access-control-allow-origin"), "https://members.localhost", "{origin}");
    }
}

#[tokio::test]
async fn a_preflight_passes_as_anonymous() {
    let gateway = Gateway::with_sandbox();
    let preflight = [("origin", "https://app.test"), ("access-control-request-method", "PUT")];

    let page = gateway.browser().request(Method::OPTIONS, "/api/classes", &preflight, "").await;

    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "hello from the upstream"));
    let request = gateway.upstream().last_request();
    assert!(!request.has("x-member-id") && !request.has("signature") && !request.has("cookie"));
}

#[tokio::test]
async fn what_carries_cookies_credentials_or_a_body_is_no_preflight() {
    let gateway = Gateway::with_sandbox();
    let preflight = [("origin", "https://app.test"), ("access-control-request-method", "PUT")];
    for (more, body) in
        [(&[("cookie", "app=1")][..], ""), (&[("authorization", "Basic YTpi")], ""), (&[], "a=1")]
    {
        let fields = [&preflight[..], more].concat();
        let page = gateway.browser().request(Method::OPTIONS, "/api/classes", &fields, body).await;
        assert_eq!(page.status, 401, "{more:?} {body}");
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_preflight_does_not_pass_a_rule_that_denies() {
    let gateway = Gateway::with_sandbox();
    let preflight = [("origin", "https://app.test"), ("access-control-request-method", "PUT")];

    let page = gateway.browser().request(Method::OPTIONS, "/denied/x", &preflight, "").await;

    assert_eq!(page.status, 403);
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn options_without_a_preflights_fields_is_no_preflight() {
    let gateway = Gateway::with_sandbox();

    for fields in [&[][..], &[("origin", "https://app.test")], &[("access-control-request-method", "PUT")]] {
        let page = gateway.browser().request(Method::OPTIONS, "/classes", fields, "").await;
        assert_eq!(page.status, 401, "{fields:?}");
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_websocket_handshake_gets_401() {
    let gateway = Gateway::with_sandbox();
    let handshake = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "https://members.localhost"),
    ];

    let page = get(&mut gateway.browser(), "/live", &[&handshake[..], &[HTML]].concat()).await;

    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (401, 0));
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_prefetch_starts_no_attempt() {
    let gateway = Gateway::with_sandbox();

    for purpose in ["prefetch", "prefetch;prerender"] {
        for path in ["/classes", "/_gateway/login?provider=ymca"] {
            let mut browser = gateway.browser();
            let page =
                get(&mut browser, path, &[&NAVIGATION[..], &[("sec-purpose", purpose)]].concat()).await;
            assert_eq!((page.status.as_u16(), page.location()), (401, ""), "{path}");
            assert!(browser.attempts().is_empty(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_rule_can_wish_for_401_in_any_case() {
    let gateway = Gateway::with_sandbox();

    assert_eq!(gateway.browser().go("/api/classes").await.status, 401);
}

#[tokio::test]
async fn a_rule_can_wish_for_the_login_in_any_case() {
    let more = "[[site.rule]]\npath = \"/app/**\"\naccess = \"member\"\nunauthenticated = \"login\"";
    let gateway = Gateway::with(&Options { more, ..Options::USUAL });
    let mut browser = gateway.browser();

    assert!(is_for_the_vendor(&gateway, &browser.fetch(Method::GET, "/app/classes", &[]).await));
    let posted = browser.fetch(Method::POST, "/app/classes", &[]).await;
    assert_eq!(
        (posted.status.as_u16(), posted.location()),
        (303, "/_gateway/login?return_to=%2Fapp%2Fclasses")
    );
}

#[tokio::test]
async fn no_answer_to_a_stranger_is_kept_by_a_cache() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let posted = browser.request(Method::POST, "/book", &NAVIGATION, "").await;

    for page in [browser.go("/classes").await, posted, browser.fetch(Method::GET, "/classes", &[]).await] {
        assert_eq!(page.field("cache-control"), "no-store", "{}", page.status);
    }
}
