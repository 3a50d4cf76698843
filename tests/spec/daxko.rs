//! Daxko, seen from the gateway: each rule of its API either kept by every login, or its breach told to the member.
//!
//! The numbers are those of the sandbox's own tests, where the refusals themselves are pinned.

use http::Method;
use member_gateway::sandbox::daxko::{Daxko, Endpoint, Fault, RecordedRequest, Settings};
use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::{Browser, Gateway, Options, Page, parameter, with_parameter};

const TOKEN: &str = "/v3/partners/oauth2/members/token";

/// All that the vendor was asked in the course of one good login.
async fn requests_of_a_login() -> (Gateway, Vec<RecordedRequest>) {
    let gateway = Gateway::with_sandbox();
    gateway.signed_in().await;
    let requests = gateway.daxko().requests();
    (gateway, requests)
}

/// A login with a provider that is configured in another way; where it ends, and that nobody is signed in.
async fn fails_with(provider: &'static str) -> (Gateway, Page) {
    let gateway = Gateway::with(&Options { provider, ..Options::USUAL });
    let mut browser = gateway.browser();
    let page = browser.visit("/classes").await;
    assert_eq!(browser.session_cookie(), None, "{provider}");
    assert!(gateway.upstream().requests().is_empty(), "{provider}");
    (gateway, page)
}

async fn refused(browser: &mut Browser, callback: &str, status: u16) {
    let page = browser.visit(callback).await;
    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", status));
    assert_eq!(browser.session_cookie(), None);
}

/// Registers other redirect URIs than those of the gateway, by Daxko's own call.
async fn register(gateway: &Gateway, uris: &[&str]) {
    let base = gateway.daxko().base_url();
    let account = Settings::default();
    let client = Client::builder().no_proxy().build().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "client:4711"),
        ("client_id", &account.username),
        ("client_secret", &account.password),
    ];
    let request = client.post(format!("{base}/v3/partners/oauth2/token")).form(&form);
    let token: Value =
        request.bearer_auth(&account.refresh_token).send().await.unwrap().json().await.unwrap();
    let links = json!({ "sign_up": { "url": "" }, "forgot_password": { "url": "" } });
    let settings = json!({ "settings": { "valid_redirect_uris": uris, "links": links } });
    let request = client.put(format!("{base}/v3/partners/oauth2/members/settings")).json(&settings);
    let answer = request.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), 204);
}

#[tokio::test]
async fn d01_a_redirect_uri_that_is_not_registered_ends_at_the_vendor() {
    let gateway = Gateway::with_sandbox();

    for uri in [
        "https://members.localhost/_gateway/callback/YMCA",
        "https://members.localhost/_gateway/callback/ymca/",
        "https://members.localhost:443/_gateway/callback/ymca",
        "https://members.localhost/_gateway/callback/ymca?a=b",
    ] {
        register(&gateway, &[uri]).await;
        let mut browser = gateway.browser();
        let page = browser.visit("/classes").await;
        assert_eq!((page.status.as_u16(), page.url.path()), (400, "/online/auth"), "{uri}");
        assert_eq!(browser.session_cookie(), None, "{uri}");
    }
    register(&gateway, &["https://members.localhost/_gateway/callback/ymca"]).await;
    assert_eq!(gateway.browser().visit("/classes").await.path_and_query(), "/classes");
}

#[tokio::test]
async fn d02_a_client_the_vendor_does_not_know_ends_at_the_vendor() {
    for provider in ["client_id = \"nobody\"", "client = 4799"] {
        let (gateway, page) = fails_with(provider).await;
        assert_eq!((page.status.as_u16(), page.url.path()), (400, "/online/auth"), "{provider}");
        assert_eq!(gateway.exchanges(), 0, "{provider}");
    }
}

#[tokio::test]
async fn d03_the_scope_is_written_as_the_documentation_writes_it() {
    let gateway = Gateway::with_sandbox();

    let page = gateway.browser().go("/").await;

    assert!(page.location().contains("&scope=client:4711+member:basic_info&"), "{}", page.location());
    assert_eq!(gateway.browser().go(page.location()).await.status, 200);
}

#[tokio::test]
async fn d04_the_redirect_uri_has_no_query_and_the_answer_may_have_any() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    assert!(callback.starts_with("https://members.localhost/_gateway/callback/ymca?code="), "{callback}");

    let (code, state) = (parameter(&callback, "code").unwrap(), parameter(&callback, "state").unwrap());
    let turned = format!("/_gateway/callback/ymca?a=b&state={state}&c&code={code}&&");
    assert_eq!(browser.go(&turned).await.location(), "/classes");
}

#[tokio::test]
async fn d05_the_state_is_of_characters_nobody_changes_and_comes_back_as_it_was() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let start = browser.go("/classes").await;
    let state = start.location_parameter("state");
    assert!(state.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{state}");

    let form = browser.go(start.location()).await;
    let callback = browser.submit_form(&form).await.location().to_owned();
    assert_eq!(parameter(&callback, "state"), Some(state));
    refused(&mut browser, &with_parameter(&callback, "state", None), 400).await;
}

#[tokio::test]
async fn d06_a_wrong_password_stays_at_the_vendor_and_the_attempt_holds() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let start = browser.go("/classes").await;
    let form = browser.go(start.location()).await;

    for (username, password) in [("rosa", "wrong"), ("nobody", "rosa-swims")] {
        browser.member = (username, password);
        let again = browser.submit_form(&form).await;
        assert_eq!((again.status.as_u16(), again.location()), (200, ""));
    }
    browser.member = ("rosa", "rosa-swims");
    let page = browser.submit_form(&form).await;

    assert_eq!(browser.go(page.location()).await.location(), "/classes");
}

#[tokio::test]
async fn d07_the_redirect_uri_of_the_exchange_is_that_of_the_authorization_request() {
    let (_gateway, requests) = requests_of_a_login().await;

    let uri = |path: &str| {
        let request = requests.iter().find(|request| request.path == path).unwrap();
        request.parameters.iter().find(|(name, _)| name == "redirect_uri").unwrap().1.clone()
    };

    assert_eq!(uri("/online/auth"), uri(TOKEN));
}

#[tokio::test]
async fn d08_a_code_that_was_used_before_signs_nobody_in() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let first = browser.up_to_the_callback("/classes").await;
    browser.go(&first).await;
    browser.forget_cookie("__Host-member-session");

    let second = browser.up_to_the_callback("/book").await;
    refused(&mut browser, &with_parameter(&second, "code", parameter(&first, "code").as_deref()), 400).await;
}

#[tokio::test]
async fn d08_a_code_older_than_ten_minutes_signs_nobody_in() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;

    gateway.later(600);
    refused(&mut browser, &callback, 400).await;
    assert_eq!(browser.visit("/classes").await.path_and_query(), "/classes", "a click later it works");
}

#[tokio::test]
async fn d08_a_code_that_was_made_up_signs_nobody_in() {
    let gateway = Gateway::with_sandbox();

    for code in ["made-up", "a b&c=d%", "'\"<>"] {
        let mut browser = gateway.browser();
        let callback = browser.up_to_the_callback("/classes").await;
        refused(&mut browser, &with_parameter(&callback, "code", Some(code)), 400).await;
    }
    assert_eq!(gateway.exchanges(), 3);
}

#[tokio::test]
async fn d09_a_wrong_secret_is_the_operators_matter() {
    let (gateway, page) = fails_with("client_secret = \"wrong\"").await;

    assert_eq!((page.status.as_u16(), page.url.path()), (502, "/_gateway/error"));
    assert_eq!(gateway.exchanges(), 1);
    assert!(page.body.contains("This is not your mistake."), "{}", page.body);
}

#[tokio::test]
async fn d10_the_exchange_has_all_its_fields_once_as_multipart() {
    let (_gateway, requests) = requests_of_a_login().await;

    let exchange: Vec<_> = requests.iter().filter(|request| request.path == TOKEN).collect();

    assert_eq!(exchange.len(), 1);
    assert_eq!(
        (&exchange[0].method, exchange[0].media_type.as_str()),
        (&Method::POST, "multipart/form-data")
    );
    let names: Vec<&str> = exchange[0].parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grant_type", "client_id", "client_secret", "code", "redirect_uri"]);
    assert_eq!(exchange[0].parameters[0].1, "authorization_code");
}

#[tokio::test]
async fn d10_another_encoding_is_a_setting() {
    for (provider, media_type) in [
        ("token_encoding = \"form\"", "application/x-www-form-urlencoded"),
        ("token_encoding = \"json\"", "application/json"),
    ] {
        let gateway = Gateway::with(&Options { provider, ..Options::USUAL });
        gateway.signed_in().await;
        let requests = gateway.daxko().requests();
        let exchange = requests.iter().find(|request| request.path == TOKEN).unwrap();
        assert_eq!(exchange.media_type, media_type);
    }
}

#[tokio::test]
async fn d11_a_wrong_refresh_token_is_the_operators_matter() {
    let (gateway, page) = fails_with("refresh_token = \"eyJ.wrong.token\"").await;

    assert_eq!((page.status.as_u16(), page.url.path()), (502, "/_gateway/error"));
    assert_eq!(gateway.exchanges(), 1);
}

#[tokio::test]
async fn d11_credentials_are_taken_with_the_blanks_they_were_pasted_with() {
    let provider = "client_id = \" lakes_web\\n\"\nclient_secret = \" 0f1e2d3c4b5a69788796a5b4c3d2e1f0 \"";
    let gateway = Gateway::with(&Options { provider, ..Options::USUAL });

    assert_eq!(gateway.browser().visit("/classes").await.path_and_query(), "/classes");
}

#[tokio::test]
async fn d12_each_token_goes_to_the_endpoint_that_takes_it() {
    let (_gateway, requests) = requests_of_a_login().await;

    for request in &requests {
        assert_eq!(request.refused_by, None, "{request:?}");
    }
    assert!(requests.iter().any(|request| request.path == "/v3/members/me"));
}

#[tokio::test]
async fn d13_a_member_token_that_is_not_taken_signs_nobody_in() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    gateway.daxko().faults().next(Endpoint::MembersMe, Fault::Status(401));

    refused(&mut browser, &callback, 502).await;
    assert_eq!(gateway.exchanges(), 1);
}

#[tokio::test]
async fn d14_a_login_asks_who_it_is_and_nothing_else() {
    let (_gateway, requests) = requests_of_a_login().await;

    let asked: Vec<(&str, &str)> =
        requests.iter().map(|request| (request.method.as_str(), request.path.as_str())).collect();
    let expected =
        [("GET", "/online/auth"), ("POST", "/online/auth"), ("POST", TOKEN), ("GET", "/v3/members/me")];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn d15_a_login_needs_no_client_scoped_token_however_old_the_gateway_is() {
    let gateway = Gateway::with_sandbox();
    gateway.later(100 * 86_400);

    assert_eq!(gateway.browser().visit("/classes").await.path_and_query(), "/classes");
    assert!(!gateway.daxko().requests().iter().any(|request| request.path == "/v3/partners/oauth2/token"));
}

#[tokio::test]
async fn d16_a_client_that_was_not_granted_signs_nobody_in() {
    let (gateway, page) = fails_with("client = 4712").await;

    assert_eq!((page.status.as_u16(), page.url.path()), (400, "/online/auth"));
    let refusal = gateway.daxko().requests().pop().unwrap().refused_by;
    assert_eq!(refusal, Some("The client of the scope is not granted to this client_id."));
}

#[tokio::test]
async fn d17_a_gateway_that_serves_changes_no_settings() {
    let (gateway, _) = requests_of_a_login().await;
    gateway.browser().visit("/_gateway/callback/ymca?state=x").await;

    assert!(!gateway.daxko().requests().iter().any(|request| request.path.ends_with("/settings")));
}

#[tokio::test]
async fn d18_a_member_of_another_client_does_not_get_in() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let other = Daxko::members().iter().find(|member| member.client == 4712).unwrap();
    browser.member = (other.username, other.password);
    let start = browser.go("/classes").await;
    let form = browser.go(start.location()).await;

    let again = browser.submit_form(&form).await;

    assert_eq!((again.status.as_u16(), again.location()), (200, ""));
    assert_eq!((browser.session_cookie(), gateway.exchanges()), (None, 0));
}

#[tokio::test]
async fn d19_a_login_proves_a_password_and_not_a_membership() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let lapsed = Daxko::members().iter().find(|member| !member.active).unwrap();
    browser.member = (lapsed.username, lapsed.password);

    assert_eq!(browser.visit("/classes").await.path_and_query(), "/classes");
    assert_eq!(gateway.upstream().last_request().field("x-member-id"), lapsed.member_id);
}
