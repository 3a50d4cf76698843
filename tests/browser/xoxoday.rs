//! Signing in with Xoxoday: log-in, consent, and what a member sees who says no.

use member_gateway::sandbox::xoxoday::{Switches, Visitor};

use crate::chromium::Browser;
use crate::site::Site;

/// How many logins have begun at Xoxoday.
fn begun(site: &Site) -> usize {
    let requests = site.xoxoday().requests();
    requests.iter().filter(|request| request.path == "/chef/v1/oauth/authorize").count()
}

/// Reads that the sign-in was refused, on a page with one button and nothing that starts by itself.
async fn reads_of_the_refusal(browser: &Browser, site: &Site) {
    browser.sees("main .reference").await;
    assert!(browser.address().await.starts_with(&site.at("/_gateway/error?ref=")));
    assert_eq!(browser.text("h1").await, "You were not signed in.");
    let buttons =
        browser.evaluate("return document.querySelectorAll('main .button:not(.quiet)').length").await;
    assert_eq!(buttons, 1);
    assert!(!browser.has("script, meta[http-equiv]").await, "nothing on the page can start a login");
    assert!(!browser.has_a_session().await);
}

#[tokio::test]
async fn a_stranger_chooses_xoxoday_consents_and_is_known_by_the_address() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.sees("ul.choices").await;
    assert!(browser.address().await.starts_with(&site.at("/_gateway/login?")));
    assert_eq!(browser.text("h1").await, "How would you like to sign in?");
    browser.chooses("rewards").await;
    browser.sees_xoxodays_form().await;
    browser.logs_in_at_xoxoday().await;
    browser.allows().await;

    browser.arrives_at(&site.at("/classes?week=2")).await;
    assert_eq!(browser.text("h1").await, "Classes, week 2");
    browser.is_known_by_the_address().await;
}

#[tokio::test]
async fn who_is_still_logged_in_at_xoxoday_signs_in_again_without_a_password() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);
    browser.signs_in_with_xoxoday(&site, "/classes?week=2").await;
    browser.loses_the_session(&site).await;

    browser.visit(&site.at("/book?class=Rowing")).await;
    browser.chooses("rewards").await;
    browser.is_asked_for_consent().await;
    assert!(!browser.has("input[type=password]").await);
    browser.allows().await;

    browser.arrives_at(&site.at("/book?class=Rowing")).await;
    browser.is_known_by_the_address().await;
}

#[tokio::test]
async fn whoever_has_no_account_yet_signs_up_on_the_way() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.chooses("rewards").await;
    browser.click("a[href^='/chef/signup?']").await;
    let answers = [("name", "Ada Okoye"), ("email", "Ada@Example.org"), ("country_code", "+1")];
    for (field, answer) in answers.into_iter().chain([("phone", "5550100"), ("password", "ada-skates")]) {
        browser.types(&format!("#{field}"), answer).await;
    }
    browser.click("form[action='/chef/signup'] button").await;
    let code = browser.text("#code").await;
    browser.types("#otp", &code).await;
    browser.click("form[action='/chef/signup/verify'] button").await;
    browser.is_asked_for_consent().await;
    browser.allows().await;

    browser.arrives_at(&site.at("/classes?week=2")).await;
    assert_eq!(browser.text("#member-id").await, "ada@example.org");
    assert_eq!(browser.text("#signature").await, "valid");
}

#[tokio::test]
async fn who_presses_deny_reads_so_and_may_try_again_but_nothing_starts_by_itself() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    let before = begun(&site);
    browser.denies().await;
    reads_of_the_refusal(&browser, &site).await;
    assert_eq!(begun(&site), before);

    browser.click("main .button:not(.quiet)").await;
    browser.is_asked_for_consent().await;
    browser.allows().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_by_the_address().await;
}

/// Some products of this vendor's deny whoever is not logged in yet, and show their form when the browser comes again.
#[tokio::test]
async fn who_is_denied_before_any_form_is_shown_reads_so_once_and_goes_on_with_the_button() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);
    site.xoxoday().switch(Switches { visitor: Visitor::DeniedFirst, ..Switches::default() });

    browser.visit(&site.at("/classes?week=2")).await;
    browser.chooses("rewards").await;
    reads_of_the_refusal(&browser, &site).await;
    assert_eq!(begun(&site), 1);

    browser.click("main .button:not(.quiet)").await;
    browser.sees_xoxodays_form().await;
    browser.logs_in_at_xoxoday().await;
    browser.allows().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_by_the_address().await;
}

#[tokio::test]
async fn the_back_button_after_signing_in_leads_to_no_error() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);
    browser.signs_in_with_xoxoday(&site, "/classes?week=2").await;

    // Before the app comes the question, and its login has had its answer: who is signed in just goes on.
    browser.go_back().await;
    browser.is_asked_for_consent().await;
    browser.allows().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_by_the_address().await;

    browser.go_back().await;
    browser.is_asked_for_consent().await;
    browser.denies().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_by_the_address().await;
}
