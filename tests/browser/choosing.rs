//! Several ways to sign in: the page to choose from, and what becomes of logins that are under way at once.

use crate::chromium::Browser;
use crate::site::Site;

#[tokio::test]
async fn two_tabs_that_sign_in_at_two_vendors_each_arrive_at_their_own_place_and_the_later_login_counts() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.chooses("ymca").await;
    browser.sees_daxkos_form().await;
    browser.open_tab().await;
    browser.visit(&site.at("/book?class=Rowing")).await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;

    // The tab that was opened last is done first.
    browser.allows().await;
    browser.arrives_at(&site.at("/book?class=Rowing")).await;
    browser.is_known_by_the_address().await;
    browser.turn_to_tab(0).await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;

    browser.turn_to_tab(1).await;
    browser.visit(&site.at("/classes?week=3")).await;
    browser.arrives_at(&site.at("/classes?week=3")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn after_signing_out_the_way_that_was_used_the_last_time_comes_first() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    assert_eq!(browser.text("ul.choices li:first-child").await, "YMCA of the Seven Lakes");
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    browser.allows().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.click("a[href='/_gateway/logout']").await;
    browser.click("main form button").await;

    // The front page is for members, so it asks at once.
    let first = browser.text("ul.choices li:first-child").await;
    assert_eq!(first, "Seven Lakes Rewards\nLast time you used this one");
    assert!(!browser.has_a_session().await);
    assert!(!browser.has("ul.choices li:nth-child(2) .note").await);
    browser.chooses("ymca").await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn who_goes_back_from_the_vendor_may_choose_another() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);

    browser.visit(&site.at("/classes?week=2")).await;
    browser.chooses("ymca").await;
    browser.sees_daxkos_form().await;
    browser.go_back().await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    browser.allows().await;

    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_by_the_address().await;
}
