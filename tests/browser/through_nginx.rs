//! A member behind an nginx that holds the certificate: it passes everything on, or keeps the requests and asks.

use crate::addresses::free_address;
use crate::chromium::Browser;
use crate::nginx::Nginx;
use crate::site::Site;

const HOST: &str = "members.localhost";

/// Out of a deep link to the vendor and back to it, and out for good.
async fn signs_in_and_out(site: &Site) {
    let browser = Browser::open().await;
    browser.visit(&site.at("/classes?week=2")).await;
    browser.sees_daxkos_form().await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/classes?week=2")).await;
    assert_eq!(browser.text("h1").await, "Classes, week 2");
    browser.is_known_to_the_app().await;
    assert!(browser.cookie("__Host-member-session").await.is_some());

    browser.click("a[href='/_gateway/logout']").await;
    browser.arrives_at(&site.at("/_gateway/logout")).await;
    browser.click("main form button").await;
    // The front page is for members, so it asks at once.
    browser.sees_daxkos_form().await;
    assert!(browser.cookie("__Host-member-session").await.is_none());
    browser.visit(&site.at("/classes?week=2")).await;
    browser.sees_daxkos_form().await;
}

#[tokio::test]
async fn a_member_signs_in_and_out_through_an_nginx_that_passes_everything_on() {
    let (port, gateway) = (free_address().port(), free_address().port());
    let site = Site::behind(gateway, &format!("https://{HOST}:{port}"));
    let _nginx = Nginx::start(HOST, port, gateway);

    signs_in_and_out(&site).await;
}

#[tokio::test]
async fn a_member_signs_in_and_out_through_an_nginx_that_asks() {
    let (port, gateway) = (free_address().port(), free_address().port());
    let site = Site::behind(gateway, &format!("https://{HOST}:{port}"));
    let _nginx = Nginx::asking(HOST, port, gateway, site.sandbox().app.address());

    signs_in_and_out(&site).await;
}
