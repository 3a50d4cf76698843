//! Signing out.

use crate::chromium::Browser;
use crate::site::Site;

#[tokio::test]
async fn signing_out_takes_the_cookie_away_and_the_next_page_asks_who_is_there() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;

    browser.click("a[href='/_gateway/logout']").await;
    browser.arrives_at(&site.at("/_gateway/logout")).await;
    assert_eq!(browser.text("h1").await, "Would you like to sign out?");
    assert!(browser.cookie("member-session").await.is_some(), "to look at the page signs nobody out");
    browser.click("main form button").await;

    // The front page is for members, so it asks at once.
    browser.sees_daxkos_form().await;
    assert!(browser.cookie("member-session").await.is_none());
    browser.visit(&site.at("/classes")).await;
    browser.sees_daxkos_form().await;
}

#[tokio::test]
async fn whoever_stays_goes_back_to_where_they_were() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;

    browser.visit(&site.at("/_gateway/logout?return_to=/classes?week=2")).await;
    browser.click("main a.button").await;

    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn the_back_button_after_signing_out_shows_nothing_of_the_members() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/classes?week=2").await;
    browser.visit(&site.at("/_gateway/logout")).await;
    browser.click("main form button").await;
    browser.sees_daxkos_form().await;

    browser.go_back().await;
    browser.arrives_at(&site.at("/_gateway/logout")).await;
    browser.go_back().await;
    browser.sees_daxkos_form().await;
    assert!(!browser.has("#member-id").await);
}
