//! Signing in, when all goes well and when it does not.

use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::chromium::Browser;
use crate::site::{MEMBER, Site};

#[tokio::test]
async fn a_deep_link_leads_through_daxkos_form_back_to_itself_with_one_click() {
    let (site, browser) = (Site::start(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.sees_daxkos_form().await;
    browser.logs_in_at_daxko().await;

    browser.arrives_at(&site.at("/classes?week=2")).await;
    assert_eq!(browser.text("h1").await, "Classes, week 2");
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn two_tabs_that_sign_in_at_once_each_arrive_at_their_own_place() {
    let (site, browser) = (Site::start(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.sees_daxkos_form().await;
    browser.open_tab().await;
    browser.visit(&site.at("/book?class=Rowing")).await;
    browser.sees_daxkos_form().await;

    browser.turn_to_tab(0).await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;
    browser.turn_to_tab(1).await;
    browser.sees_daxkos_form().await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/book?class=Rowing")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn the_back_button_after_signing_in_leads_to_no_error() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;

    // There is nothing of the gateway's to go back to: before the app comes the form.
    browser.go_back().await;
    browser.sees("form[action='/online/auth'] #username, #member-id").await;
    browser.go_forward().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;

    // The form once more: its login has had its answer, and who is signed in just goes on.
    browser.go_back().await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn who_was_denied_reads_so_and_may_try_again_but_nothing_starts_by_itself() {
    let (site, browser) = (Site::start(), Browser::open().await);
    site.faults().next(Endpoint::LogIn, Fault::ErrorRedirect("access_denied".into()));

    browser.visit(&site.at("/classes?week=2")).await;
    browser.logs_in_at_daxko().await;

    browser.sees("main .reference").await;
    assert!(browser.address().await.starts_with(&site.at("/_gateway/error?ref=")));
    assert_eq!(browser.text("h1").await, "You were not signed in.");
    assert!(is_reference(&browser.text("main .reference strong").await));
    assert!(!browser.has("script, meta[http-equiv]").await, "nothing on the page can start a login");

    browser.click("main .button").await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn when_daxko_fails_the_button_of_the_error_page_tries_again() {
    let (site, browser) = (Site::start(), Browser::open().await);
    site.faults().next(Endpoint::MemberToken, Fault::Status(500));

    browser.visit(&site.at("/classes?week=2")).await;
    browser.logs_in_at_daxko().await;

    assert!(is_reference(&browser.text("main .reference strong").await));
    assert_eq!(browser.text("h1").await, "Sign-in is not available at the moment.");
    assert!(!browser.address().await.contains("code="), "the code is out of the address");

    browser.click("main .button").await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn a_page_that_was_open_before_signing_in_elsewhere_needs_no_second_login() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;

    browser.open_tab().await;
    browser.visit(&site.at("/book")).await;
    browser.arrives_at(&site.at("/book")).await;
    assert_eq!(browser.text("#member-id").await, MEMBER);
}

#[tokio::test]
async fn a_window_that_the_app_opened_still_knows_it_after_signing_in() {
    let (site, browser) = (Site::start(), Browser::open().await);

    browser.visit(&site.at("/assets/style.css")).await;
    browser.evaluate("window.open('/book')").await;
    browser.turn_to_tab(1).await;
    browser.logs_in_at_daxko().await;

    browser.arrives_at(&site.at("/book")).await;
    browser.is_known_to_the_app().await;
    assert_eq!(browser.evaluate("return opener.location.pathname").await, "/assets/style.css");
}

/// As `7K2M-90QX`.
fn is_reference(text: &str) -> bool {
    text.len() == 9
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_alphanumeric() })
}
