//! What a member has typed outlives the session, in a browser that runs the scripts which see to it.

use std::fs;

use http::Response;
use serde_json::json;
use tempfile::TempDir;

use crate::addresses::free_address;
use crate::chromium::Browser;
use crate::site::{ACCOUNT, Site};
use crate::upstream::Upstream;

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
async fn a_form_goes_by_the_page_to_choose_from_and_through_xoxoday() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);
    browser.signs_in_with_xoxoday(&site, "/book?class=Rowing").await;
    browser.types("#note", "Ünïcode & a \"quotation\",\nin two lines + 100 %").await;
    browser.loses_the_session(&site).await;

    browser.click("main form button").await;
    browser.chooses("rewards").await;
    browser.is_asked_for_consent().await;
    browser.allows().await;

    browser.arrives_at(&site.at("/book")).await;
    assert_eq!(browser.text("h1").await, "Thank you");
    assert_eq!(browser.text("dd[data-name=class]").await, "Rowing");
    let note = browser.evaluate("return document.querySelector('dd[data-name=note]').textContent").await;
    assert_eq!(note, "Ünïcode & a \"quotation\",\nin two lines + 100 %");
    browser.is_known_by_the_address().await;
    assert!(browser.console().await.iter().all(|line| line["source"] == "network"));
}

#[tokio::test]
async fn an_upload_arrives_byte_for_byte() {
    let app = Upstream::start();
    app.answers(|_| Response::new(UPLOAD.into()));
    let upstream = format!("upstream = [\"http://{}\"]", app.address());
    let (site, browser) = (Site::edited(&[("upstream = \"sandbox\"", &upstream)]), Browser::open().await);
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("rowing.bin");
    // Every octet there is, and what ends a line or a part.
    let octets: Vec<u8> = (0..=255).chain(*b"\r\n--\r\n\n\r\0--x\r\n").cycle().take(100_000).collect();
    fs::write(&file, &octets).expect("the file is written");
    browser.visit(&site.at("/photos?album=7")).await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    browser.allows().await;
    browser.types("#photo", file.to_str().expect("text")).await;
    browser.types("#note", "by the läke").await;
    browser.loses_the_session(&site).await;

    browser.click("button").await;
    browser.chooses("rewards").await;
    browser.is_asked_for_consent().await;
    browser.allows().await;
    browser.arrives_at(&site.at("/photos?album=7")).await;

    let arrived: Vec<_> = app.requests().into_iter().filter(|request| request.method == "POST").collect();
    let [arrived] = &arrived[..] else { panic!("{} uploads", arrived.len()) };
    assert_eq!(arrived.target, "/photos?album=7");
    assert_eq!(arrived.field("x-member-id"), ACCOUNT);
    let boundary = arrived.field("content-type").strip_prefix("multipart/form-data; boundary=");
    let boundary = boundary.expect("the type that the browser gave it");
    let whole = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n").as_bytes(),
        b"by the l\xe4ke\r\n",
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"rowing.bin\"\r\n"
        )
        .as_bytes(),
        b"Content-Type: application/octet-stream\r\n\r\n",
        &octets,
        format!("\r\n--{boundary}--\r\n").as_bytes(),
    ]
    .concat();
    assert!(arrived.body == whole, "{} octets arrived of {}", arrived.body.len(), whole.len());
}

/// A page where something is uploaded to its own address. Old apps speak old character sets.
const UPLOAD: &str = "<!DOCTYPE html><meta charset=windows-1252><title>Photos</title><form method=post enctype=multipart/form-data>\
    <input id=note name=note><input id=photo name=photo type=file><button>Send</button></form>";

#[tokio::test]
async fn a_form_that_another_site_posts_is_not_sent_after_the_login() {
    let (site, browser) = (Site::as_it_comes(), Browser::open().await);
    // To the browser 127.0.0.1 and localhost are strangers to each other.
    browser.visit(&format!("{}/book?class=Rowing", site.sandbox().app.base_url())).await;
    let action = site.at("/book");
    browser.evaluate(&format!("document.querySelector('main form').action = '{action}'")).await;

    browser.click("main form button").await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    browser.allows().await;

    browser.arrives_at(&action).await;
    assert_eq!(browser.text("h1").await, "Book a class", "it was not sent");
    assert!(!browser.has("#booking").await);
    browser.is_known_by_the_address().await;
}

#[tokio::test]
async fn a_fragment_is_there_again_after_the_login() {
    let port = free_address().port();
    let origin = format!("http://localhost:{port}");
    let site = Site::with(port, &origin, "[site.login]\npreserve = [\"fragment\"]");
    let browser = Browser::open().await;

    browser.visit(&site.at("/classes?week=2#late-lanes")).await;
    browser.logs_in_at_daxko().await;

    browser.arrives_at(&site.at("/classes?week=2#late-lanes")).await;
}

/// What keeps both, as `[site.login]` says it.
const BOTH: &str = "providers = [\"ymca\", \"rewards\"]\nlogin = { preserve = [\"form\", \"fragment\"] }";

#[tokio::test]
async fn a_fragment_goes_by_the_page_to_choose_from_and_through_either_vendor() {
    let site = Site::edited(&[("providers = [\"ymca\", \"rewards\"]", BOTH)]);
    let browser = Browser::open().await;

    browser.visit(&site.at("/classes?week=2#late-lanes")).await;
    browser.chooses("rewards").await;
    browser.logs_in_at_xoxoday().await;
    browser.allows().await;
    browser.arrives_at(&site.at("/classes?week=2#late-lanes")).await;
    browser.is_known_by_the_address().await;

    browser.loses_the_session(&site).await;
    browser.visit(&site.at("/book?class=Rowing#/day/3?sort=time&x=%2F")).await;
    browser.chooses("ymca").await;
    browser.logs_in_at_daxko().await;
    browser.arrives_at(&site.at("/book?class=Rowing#/day/3?sort=time&x=%2F")).await;
    browser.is_known_to_the_app().await;
}

#[tokio::test]
async fn where_fragments_are_kept_forms_are_as_well() {
    let site = Site::edited(&[("providers = [\"ymca\", \"rewards\"]", BOTH)]);
    let browser = Browser::open().await;
    browser.signs_in_with_xoxoday(&site, "/book#form").await;
    browser.types("#note", "by the lake").await;
    browser.loses_the_session(&site).await;

    browser.click("main form button").await;
    browser.chooses("ymca").await;
    browser.logs_in_at_daxko().await;

    browser.arrives_at(&site.at("/book")).await;
    assert_eq!(browser.text("dd[data-name=note]").await, "by the lake");
    browser.is_known_to_the_app().await;
}
