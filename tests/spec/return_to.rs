//! Coming back: to a place on this site, whoever asks for another one.

use http::Method;
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::harness::{Browser, Gateway, SITE};

/// The payloads of the corpus, one a line.
fn payloads() -> impl Iterator<Item = String> {
    let lines = include_str!("../data/open_redirects.txt").lines().filter(|line| !line.starts_with("# "));
    lines.map(|line| line.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r").replace("\\0", "\0"))
}

fn login(place: &str) -> String {
    format!(
        "/_gateway/login?provider=ymca&return_to={}",
        byte_serialize(place.as_bytes()).collect::<String>()
    )
}

/// A whole login, and where it leads.
async fn arrives_at(browser: &mut Browser, start: &str) -> String {
    let callback = browser.up_to_the_callback(start).await;
    browser.go(&callback).await.location().to_owned()
}

fn stays(location: &str, payload: &str) {
    let url = Url::parse(SITE).unwrap().join(location).unwrap();
    assert_eq!(url.origin(), Url::parse(SITE).unwrap().origin(), "{payload:?} → {location}");
    let plain = location.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    assert!(location.starts_with('/') && !location.starts_with("//") && plain, "{payload:?} → {location}");
    assert!(!url.path().starts_with("//"), "{payload:?} → {location}");
}

#[tokio::test]
async fn no_login_leads_away_from_the_site() {
    let gateway = Gateway::with_sandbox();

    for payload in payloads() {
        stays(&arrives_at(&mut gateway.browser(), &login(&payload)).await, &payload);
    }
}

#[tokio::test]
async fn no_sign_out_leads_away_from_the_site() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let fields = [("sec-fetch-site", "same-origin")];

    for payload in payloads() {
        let place: String = byte_serialize(payload.as_bytes()).collect();
        let body = format!("return_to={place}");
        stays(browser.request(Method::POST, "/_gateway/logout", &fields, &body).await.location(), &payload);
        let address = format!("/_gateway/logout?return_to={place}");
        stays(browser.request(Method::POST, &address, &fields, "").await.location(), &payload);
    }
}

#[tokio::test]
async fn a_strangers_own_address_leads_back_to_this_site_or_nowhere() {
    let gateway = Gateway::with_sandbox();

    for target in ["//evil.test/x", "/%2fevil.test", "/.//evil.test", "/%5cevil.test", "/a/..//evil.test"] {
        let mut browser = gateway.browser();
        let head = "Host: members.localhost\r\nConnection: close\r\nSec-Fetch-Mode: navigate";
        let answer = gateway.raw(format!("GET {target} HTTP/1.1\r\n{head}\r\n\r\n"));
        if answer.starts_with("HTTP/1.1 400 ") {
            continue;
        }
        let field = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{target}: {answer}")).to_owned()
        };
        let cookie = field("set-cookie: ");
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        browser.set_cookie(name, value);
        let form = browser.go(&field("location: ")).await;
        let callback = browser.submit_form(&form).await.location().to_owned();
        stays(browser.go(&callback).await.location(), target);
    }
}

#[tokio::test]
async fn a_place_on_this_site_is_kept_with_its_query_and_fragment() {
    let gateway = Gateway::with_sandbox();

    for place in
        ["/", "/classes?week=2", "/a/b;c=d?e=f&g=%2F#h", "/a?next=https://evil.test/", "/a//b", "/@a:b"]
    {
        assert_eq!(arrives_at(&mut gateway.browser(), &login(place)).await, place);
    }
}

#[tokio::test]
async fn a_place_that_is_too_long_loses_its_query_and_then_itself() {
    let gateway = Gateway::with_sandbox();
    let long = "x".repeat(1024);

    for (place, arrives) in [
        (format!("/classes?{long}"), "/classes".to_owned()),
        (format!("/{long}"), "/".to_owned()),
        (format!("/{}", &long[1..]), format!("/{}", &long[1..])),
    ] {
        assert_eq!(arrives_at(&mut gateway.browser(), &login(&place)).await, arrives);
        assert_eq!(arrives_at(&mut gateway.browser(), &place).await, arrives);
    }
}

#[tokio::test]
async fn the_gateways_own_paths_are_no_place_to_come_back_to() {
    let gateway = Gateway::with_sandbox();

    for place in
        ["/_gateway/login", "/_gateway/logout", "/%5fgateway/login", "/a/../_gateway/login", "/_gateway"]
    {
        assert_eq!(arrives_at(&mut gateway.browser(), &login(place)).await, "/", "{place}");
    }
}

#[tokio::test]
async fn of_two_places_neither_leads_away() {
    let gateway = Gateway::with_sandbox();

    for query in ["return_to=/a&return_to=//evil.test", "return_to=//evil.test&return_to=/a"] {
        let start = format!("/_gateway/login?provider=ymca&{query}");
        stays(&arrives_at(&mut gateway.browser(), &start).await, query);
    }
}

#[tokio::test]
async fn what_a_client_says_about_the_host_changes_no_address() {
    let gateway = Gateway::with_sandbox();
    let redirect_uri = "redirect_uri=https%3A%2F%2Fmembers.localhost%2F_gateway%2Fcallback%2Fymca";

    for (target, fields) in [
        ("/", "Host: members.localhost\r\nX-Forwarded-Host: evil.test"),
        ("/", "Host: members.localhost\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 81"),
        ("/", "Host: members.localhost\r\nForwarded: host=evil.test;proto=http"),
        ("/", "Host: members.localhost\r\nX-Original-URL: https://evil.test/\r\nX-Rewrite-URL: //evil.test"),
        ("/", "Host: MEMBERS.localhost:443"),
        ("http://members.localhost/", "Host: members.localhost"),
        (
            "/_gateway/login",
            "Host: members.localhost\r\nX-Forwarded-Host: evil.test\r\nReferer: https://evil.test/",
        ),
    ] {
        let head = "Connection: close\r\nSec-Fetch-Mode: navigate";
        let answer = gateway.raw(format!("GET {target} HTTP/1.1\r\n{fields}\r\n{head}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 302 "), "{fields}: {answer}");
        assert!(answer.contains(redirect_uri) && !answer.contains("evil"), "{fields}: {answer}");
    }
}

#[tokio::test]
async fn a_target_and_a_host_that_contradict_each_other_are_400() {
    let gateway = Gateway::with_sandbox();

    for (target, host) in [
        ("http://evil.test/", "members.localhost"),
        ("http://members.localhost/", "evil.test"),
        ("http://members.localhost@evil.test/", "members.localhost"),
    ] {
        let answer =
            gateway.raw(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target} {host}: {answer}");
    }
}
