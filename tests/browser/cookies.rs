//! Cookies, as the browser itself lists them.

use member_gateway::time::Clock;
use serde_json::{Value, json};

use crate::addresses::free_address;
use crate::chromium::Browser;
use crate::nginx::Nginx;
use crate::site::Site;

#[tokio::test]
async fn on_plain_http_the_session_cookie_is_out_of_reach_of_scripts_and_ends_with_the_browser() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;

    let cookie = browser.cookie("member-session").await.expect("a session");
    assert_eq!(attributes(&cookie), attributes_with(false), "{cookie}");
    assert_eq!(cookie["domain"], "localhost", "without a Domain, for this host alone");
    assert_eq!(browser.evaluate("return document.cookie").await, "");
}

#[tokio::test]
async fn a_login_attempt_is_kept_for_half_an_hour_at_most() {
    let (site, browser) = (Site::start(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.sees_daxkos_form().await;
    assert_is_attempt(&browser.cookies().await);

    // A used one stays, so that the back button finds its way; it does not live longer for it.
    browser.logs_in_at_daxko().await;
    browser.is_known_to_the_app().await;
    let cookies = browser.cookies().await;
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert_is_attempt(&cookies);
}

#[tokio::test]
async fn behind_tls_the_session_cookie_belongs_to_this_host_and_to_https_alone() {
    let (port, gateway) = (free_address().port(), free_address().port());
    let site = Site::behind(gateway, &format!("https://members.localhost:{port}"));
    let _nginx = Nginx::start("members.localhost", port, gateway);
    let browser = Browser::open().await;

    browser.signs_in(&site, "/classes?week=2").await;

    let cookie = browser.cookie("__Host-member-session").await.expect("a session");
    assert_eq!(attributes(&cookie), attributes_with(true), "{cookie}");
    assert_eq!(cookie["domain"], "members.localhost", "without a Domain, for this host alone");
    let cookies = browser.cookies().await;
    assert!(
        cookies.iter().all(|cookie| name(cookie).starts_with("__Host-") && cookie["secure"] == true),
        "{cookies:?}"
    );
    assert_eq!(cookies.len(), 2, "{cookies:?}");
}

#[tokio::test]
async fn a_cookie_that_was_tampered_with_leads_to_signing_in_and_is_taken_away() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;
    let good = browser.cookie("member-session").await.expect("a session");
    let good = good["value"].as_str().expect("text");

    let elsewhere = Site::start();
    browser.signs_in(&elsewhere, "/classes?week=3").await;
    let of_another_gateway = browser.cookie("member-session").await.expect("a session");

    let middle = good.len() / 2;
    let other = if &good[middle..=middle] == "A" { "B" } else { "A" };
    let one_character_changed = format!("{}{other}{}", &good[..middle], &good[middle + 1..]);
    for value in [
        one_character_changed.as_str(),
        &good[1..],
        "garbage",
        of_another_gateway["value"].as_str().expect("text"),
    ] {
        plant(&browser, &site, value).await;
        browser.visit(&site.at("/classes?week=2")).await;
        browser.sees_daxkos_form().await;
        assert!(browser.cookie("member-session").await.is_none(), "{value} is still there");
    }

    plant(&browser, &site, good).await;
    browser.visit(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;
    plant(&browser, &site, "garbage").await;
    browser.signs_in(&site, "/classes?week=2").await;
}

/// Gives the browser a session cookie that the gateway never made, or made for somebody else.
async fn plant(browser: &Browser, site: &Site, value: &str) {
    let cookie = json!({ "name": "member-session", "value": value, "url": site.at("/"), "httpOnly": true, "sameSite": "Lax" });
    let answer = browser.devtools("Network.setCookie", cookie).await;
    assert_eq!(answer["success"], true, "{answer}");
}

fn name(cookie: &Value) -> &str {
    cookie["name"].as_str().expect("a cookie has a name")
}

fn attributes(cookie: &Value) -> Value {
    json!({
        "httpOnly": cookie["httpOnly"],
        "secure": cookie["secure"],
        "sameSite": cookie["sameSite"],
        "path": cookie["path"],
        "session": cookie["session"],
        "expires": cookie["expires"].as_f64(),
    })
}

fn attributes_with(secure: bool) -> Value {
    json!({ "httpOnly": true, "secure": secure, "sameSite": "Lax", "path": "/", "session": true, "expires": -1.0 })
}

fn assert_is_attempt(cookies: &[Value]) {
    let attempts: Vec<_> =
        cookies.iter().filter(|cookie| name(cookie).starts_with("member-login-")).collect();
    let [attempt] = attempts[..] else { panic!("not one attempt: {cookies:?}") };
    assert_eq!(attempt["httpOnly"], true);
    assert_eq!(attempt["sameSite"], "Lax");
    assert_eq!(attempt["session"], false);
    let left = attempt["expires"].as_f64().expect("a time") - Clock::System.now().0 as f64;
    // The browser rounds, and a slow machine takes its time.
    assert!((1500.0..=1801.0).contains(&left), "{left} seconds");
}
