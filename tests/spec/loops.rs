//! Loops: a browser that is sent to sign in again and again is told why, and by whom it can be mended.

use crate::harness::{Browser, Gateway, NAVIGATION, Options, Page};

const CONTACT: Options = Options { site: "pages = { contact = \"+1 555 0100\" }", ..Options::USUAL };

/// The page of a loop, having looked that the browser went there and not to the vendor.
async fn told(browser: &mut Browser, path: &str) -> Page {
    let page = browser.go(path).await;
    assert_eq!(page.status, 303, "{path} leads to {}", page.location());
    let page = browser.go(page.location()).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("Signing in goes round in circles."), "{}", page.body);
    page
}

async fn starts(browser: &mut Browser, path: &str) {
    let page = browser.go(path).await;
    assert!(page.location().contains("/online/auth?"), "{path} leads to {}", page.location());
}

#[tokio::test]
async fn after_five_attempts_in_a_minute_for_one_place_the_page_explains_it() {
    let gateway = Gateway::with(&CONTACT);
    let mut browser = gateway.browser();
    for _ in 0..5 {
        starts(&mut browser, "/classes?week=2").await;
        gateway.later(11);
    }

    let page = told(&mut browser, "/classes?week=2").await;

    for word in ["cookies", "clock", "reference number", "Contact:", "tel:+15550100"] {
        assert!(page.body.contains(word), "{word} in {}", page.body);
    }
    assert_eq!(page.body.matches("class=\"button").count(), 1, "one button: {}", page.body);
    assert!(!page.body.contains("<script"), "nothing goes on by itself");
}

#[tokio::test]
async fn the_button_goes_on_and_the_count_starts_anew() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    for _ in 0..5 {
        starts(&mut browser, "/classes").await;
    }
    let page = told(&mut browser, "/classes").await;
    assert!(browser.attempts().is_empty(), "{:?}", browser.attempts());

    let button = page.body.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");

    assert_eq!(browser.visit(&button).await.path_and_query(), "/classes");
}

#[tokio::test]
async fn five_sign_ins_that_were_answered_are_a_loop_whatever_their_places() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    for round in 0..5 {
        let callback = browser.up_to_the_callback(&format!("/_gateway/login?return_to=/?t={round}")).await;
        assert_eq!(browser.go(&callback).await.status, 303);
    }

    told(&mut browser, "/_gateway/login?return_to=/?t=5").await;

    assert!(browser.session_cookie().is_some(), "a session that is there stays");
}

#[tokio::test]
async fn eight_tabs_at_once_are_no_loop() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    for tab in 0..12 {
        starts(&mut browser, &format!("/tab/{tab}")).await;
    }
}

#[tokio::test]
async fn attempts_of_more_than_a_minute_are_no_loop() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    for _ in 0..20 {
        starts(&mut browser, "/classes").await;
        gateway.later(15);
    }
}

#[tokio::test]
async fn a_long_place_is_noticed_although_fewer_of_its_attempts_fit_into_a_browser() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let place = format!("/classes?{}", "x".repeat(1000));
    for _ in 0..4 {
        starts(&mut browser, &place).await;
    }
    told(&mut browser, &place).await;
}

#[tokio::test]
async fn attempts_of_other_tabs_outlive_the_page_of_a_loop() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/book").await;
    for _ in 0..5 {
        starts(&mut browser, "/classes").await;
    }
    told(&mut browser, "/classes").await;

    assert_eq!(browser.go(&callback).await.location(), "/book");
}

#[tokio::test]
async fn prefetches_do_not_count() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let prefetch = [&NAVIGATION[..], &[("sec-purpose", "prefetch")]].concat();
    for _ in 0..9 {
        browser.request(http::Method::GET, "/classes", &prefetch, "").await;
    }
    starts(&mut browser, "/classes").await;
}

#[tokio::test]
async fn a_browser_without_any_cookies_ends_on_the_error_page_at_once() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    for _ in 0..6 {
        let callback = browser.up_to_the_callback("/classes").await;
        browser.clear_cookies();
        let page = browser.visit(&callback).await;
        assert_eq!((page.status.as_u16(), page.url.path()), (400, "/_gateway/error"));
    }
}

#[tokio::test]
async fn a_picture_or_a_script_that_names_the_login_starts_none() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    starts(&mut browser, "/classes").await;
    let under_way = browser.attempts();

    for (mode, dest) in [("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("no-cors", "style")]
    {
        for round in 0..12 {
            let fields = [("accept", "*/*"), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            let path = format!("/_gateway/login?return_to=/classes?{}", round % 2);
            let page = browser.request(http::Method::GET, &path, &fields, "").await;
            assert_eq!(page.status, 401, "{dest}: {}", page.location());
        }
    }

    assert_eq!(browser.attempts(), under_way, "what somebody else has put into a page ends no login");
    starts(&mut browser, "/classes?0").await;
}
