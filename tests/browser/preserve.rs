//! What a member has typed outlives the session, in a browser that runs the scripts which see to it.

use serde_json::json;

use crate::chromium::{Browser, free_port};
use crate::site::Site;

#[tokio::test]
async fn a_form_that_is_sent_after_the_session_has_ended_arrives_after_the_login() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/book").await;
    browser.types("#note", "Ünïcode & a \"quotation\"").await;
    browser.devtools("Network.clearBrowserCookies", json!({})).await;

    browser.click("main form button").await;
    browser.logs_in_at_daxko().await;

    browser.arrives_at(&site.at("/book")).await;
    assert_eq!(browser.text("h1").await, "Thank you");
    assert_eq!(browser.text("dd[data-name=note]").await, "Ünïcode & a \"quotation\"");
    browser.is_known_to_the_app().await;
    // The 401 itself is a line of the console; that a script or a style was not allowed would be another.
    assert!(browser.console().await.iter().all(|line| line["source"] == "network"));
}

#[tokio::test]
async fn an_upload_arrives_after_the_login() {
    let (site, browser) = (Site::start(), Browser::open().await);
    browser.signs_in(&site, "/book").await;
    browser.evaluate("document.querySelector('main form').enctype = 'multipart/form-data'").await;
    browser.types("#note", "by the lake").await;
    browser.devtools("Network.clearBrowserCookies", json!({})).await;

    browser.click("main form button").await;
    browser.logs_in_at_daxko().await;

    browser.arrives_at(&site.at("/book")).await;
    assert!(browser.text("main").await.contains("by the lake"));
}

#[tokio::test]
async fn a_fragment_is_there_again_after_the_login() {
    let port = free_port();
    let origin = format!("http://localhost:{port}");
    let site = Site::with(port, &origin, "[site.login]\npreserve = [\"fragment\"]");
    let browser = Browser::open().await;

    browser.visit(&site.at("/classes?week=2#late-lanes")).await;
    browser.logs_in_at_daxko().await;

    browser.arrives_at(&site.at("/classes?week=2#late-lanes")).await;
}
