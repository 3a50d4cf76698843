//! Members who could sign in and are not let in all the same.

use http::header::LOCATION;
use http::{Response, StatusCode};

use crate::chromium::Browser;
use crate::site::Site;
use crate::upstream::Upstream;

#[tokio::test]
async fn who_has_lapsed_reads_so_and_whom_to_ask() {
    let site = Site::edited(&[
        ("name = \"ymca\"", "name = \"ymca\"\nrequire_active = \"unit\""),
        (
            "name = \"Seven Lakes members\"",
            "name = \"Seven Lakes members\"\nhelp = \"The front desk is open from 6 am to 10 pm.\"\n\
             contact = \"desk@lakes.example\"",
        ),
    ]);
    let browser = Browser::open().await;

    browser.visit(&site.at("/classes?week=2")).await;
    browser.chooses("ymca").await;
    browser.click("a[href*='400003316-00']").await;
    browser.sees("a[href*='400003316-00'][aria-current]").await;
    browser.logs_in_at_daxko().await;

    browser.sees("main .reference").await;
    assert_eq!(browser.text("h1").await, "Your membership is not active.");
    assert_eq!(browser.text("main .help").await, "The front desk is open from 6 am to 10 pm.");
    assert!(browser.has("main .contact a[href='mailto:desk@lakes.example']").await);
    assert!(!browser.has_a_session().await);

    // Somebody else of the house may have a membership.
    browser.click("main .button").await;
    browser.sees_daxkos_form().await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn who_is_sent_to_sign_in_again_and_again_reads_why_and_goes_on_with_the_button() {
    let app = Upstream::start();
    app.answers(|_| {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::FOUND;
        let login = "/_gateway/login?return_to=/classes".parse().expect("an address");
        response.headers_mut().insert(LOCATION, login);
        response
    });
    let upstream = format!("upstream = [\"http://{}\"]", app.address());
    let site = Site::standing_still(&[("upstream = \"sandbox\"", &upstream)]);
    let browser = Browser::open().await;

    browser.visit(&site.at("/classes")).await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    for _ in 1..5 {
        browser.allows().await;
        browser.chooses("rewards").await;
        browser.is_asked_for_consent().await;
    }
    browser.allows().await;
    browser.chooses("rewards").await;

    browser.sees("main .reference").await;
    assert_eq!(browser.text("h1").await, "Signing in goes round in circles.");
    assert!(browser.has("main ul.points").await);
    assert!(!browser.has("script, meta[http-equiv]").await, "nothing goes on by itself");

    app.answers(|_| Response::new("<!DOCTYPE html><title>Classes</title><h1>Classes</h1>".into()));
    browser.click("main .button").await;
    browser.is_asked_for_consent().await;
    browser.allows().await;
    browser.arrives_at(&site.at("/classes")).await;
    assert_eq!(browser.text("h1").await, "Classes");
}
