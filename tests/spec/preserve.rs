//! What a member has typed outlives the session.

use std::time::Duration;

use http::Method;

use crate::harness::{Browser, Gateway, Options, Page, eventually, head};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// Posts a form as a browser does.
async fn post(browser: &mut Browser, path: &str, fields: &[(&str, &str)], body: &str) -> Page {
    browser
        .request(Method::POST, path, &[&[NAVIGATE, ("sec-fetch-dest", "document")], fields].concat(), body)
        .await
}

/// What the page gives its script to keep.
fn attribute(page: &Page, name: &str) -> String {
    let value = page.body.split(&format!("data-{name}=\"")).nth(1).expect("the attribute is there");
    value.split('"').next().unwrap().replace("&amp;", "&")
}

/// Does what the scripts of the pages do: keeps the form, signs in, sends it again.
async fn sign_in_and_send(browser: &mut Browser, page: &Page) -> Page {
    let arrived = browser.visit(&attribute(page, "next")).await;
    assert_eq!((arrived.status.as_u16(), arrived.path_and_query()), (200, "/_gateway/form"));
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("member-gateway-form", &attribute(page, "sealed"))
        .finish();
    post(browser, &attribute(page, "target"), &[FORM, OWN], &body).await
}

#[tokio::test]
async fn a_form_of_the_site_that_is_posted_after_the_session_has_ended_arrives_whole_after_the_login() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let page = post(&mut browser, "/book?class=7", &[FORM, OWN], "name=Noor+Haddad&note=%F0%9F%8F%8A").await;
    assert_eq!((page.status.as_u16(), page.field("cache-control")), (401, "no-store"));
    assert!(!page.body.contains("Haddad"), "what was typed stands nowhere bare");
    let answer = sign_in_and_send(&mut browser, &page).await;

    assert_eq!(answer.status, 200);
    let arrived = gateway.upstream().last_request();
    assert_eq!((arrived.method.as_str(), arrived.target.as_str()), ("POST", "/book?class=7"));
    assert_eq!(arrived.field("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(arrived.body, "name=Noor+Haddad&note=%F0%9F%8F%8A");
    assert_eq!(arrived.field("x-member-id"), "400007995-00");
}

#[tokio::test]
async fn an_upload_arrives_whole_too() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let multipart = ("content-type", "multipart/form-data; boundary=b0");
    let body = format!(
        "--b0\r\ncontent-disposition: form-data; name=\"f\"\r\n\r\n{}\r\n--b0--\r\n",
        "x".repeat(200_000)
    );

    let page = post(&mut browser, "/upload", &[multipart, OWN], &body).await;
    sign_in_and_send(&mut browser, &page).await;

    let arrived = gateway.upstream().last_request();
    assert_eq!(arrived.field("content-type"), "multipart/form-data; boundary=b0");
    assert_eq!(arrived.body, body);
}

#[tokio::test]
async fn a_form_above_the_limit_or_posted_from_elsewhere_is_sent_to_sign_in_first() {
    let gateway =
        Gateway::with(&Options { site: "login = { preserve_limit = \"1KiB\" }", ..Options::default() });
    let mut browser = gateway.browser();
    let large = "x".repeat(1025);
    for (fields, body) in [
        (&[FORM, OWN][..], large.as_str()),
        (&[FORM, ("sec-fetch-site", "cross-site")], "a=1"),
        (&[FORM, ("sec-fetch-site", "same-site")], "a=1"),
        (&[FORM, ("origin", "https://evil.test")], "a=1"),
        (&[("content-type", "application/json"), OWN], "{}"),
    ] {
        let page = post(&mut browser, "/book", fields, body).await;
        assert_eq!(page.status, 303, "{fields:?}");
        assert_eq!(page.location(), "/_gateway/login?return_to=%2Fbook");
    }
    assert_eq!(post(&mut browser, "/book", &[FORM, OWN], &large[..1024]).await.status, 401);
}

#[test]
fn forms_take_so_much_memory_and_no_more() {
    // Room for five of a KiB, which is held twice.
    let gateway = Gateway::with(&Options {
        site: "login = { preserve_limit = \"1KiB\", preserve_memory = \"11KiB\" }",
        ..Options::default()
    });
    let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin\r\n\
                  Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1024\r\n";
    let begun = || {
        let mut form = gateway.connect();
        form.send(head("POST /book", fields) + &"x".repeat(1023));
        form
    };
    let is_kept = || {
        let mut form = begun();
        form.send("x");
        form.answer().0.starts_with("HTTP/1.1 401 ")
    };

    let mut others: Vec<_> = (0..5).map(|_| begun()).collect();
    eventually("there is no room beside five forms that do not end", || {
        let is_kept = is_kept();
        // Whichever comes while there is no room for it is turned away, and comes again.
        for other in &mut others {
            if other.hears_within(Duration::from_millis(1)) {
                *other = begun();
            }
        }
        !is_kept
    });
    drop(others);
    eventually("once they have gone there is room again", is_kept);
}

#[tokio::test]
async fn without_preserve_every_form_is_sent_to_sign_in_first() {
    let gateway = Gateway::with(&Options { site: "login = { preserve = [] }", ..Options::default() });

    assert_eq!(post(&mut gateway.browser(), "/book", &[FORM, OWN], "a=1").await.status, 303);
}

#[tokio::test]
async fn a_kept_form_is_taken_only_at_its_own_address_and_from_the_site_itself() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let page = post(&mut gateway.browser(), "/book", &[FORM, OWN], "a=1").await;
    let body = format!("member-gateway-form={}", attribute(&page, "sealed"));

    assert_eq!(post(&mut browser, "/transfer", &[FORM, OWN], &body).await.status, 400);
    gateway.later(3600);
    let mut browser = gateway.signed_in().await;
    assert_eq!(post(&mut browser, "/book", &[FORM, OWN], &body).await.status, 400);
    assert!(gateway.upstream().requests().is_empty());

    // From elsewhere it is a form like any other; what it holds is noise to the app.
    post(&mut browser, "/book", &[FORM, ("sec-fetch-site", "same-site")], &body).await;
    assert_eq!(gateway.upstream().last_request().body, body);
}

#[tokio::test]
async fn the_forms_of_members_pass_untouched() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let large = format!("a={}", "x".repeat(1_000_000));
    for body in ["", "a=1", "member-gateway-forms=1", "member-gateway", large.as_str()] {
        assert_eq!(post(&mut browser, "/book", &[FORM, OWN], body).await.status, 200);
        assert_eq!(gateway.upstream().last_request().body, body);
    }
}

#[tokio::test]
async fn with_fragment_a_page_takes_it_along_to_the_login() {
    let gateway =
        Gateway::with(&Options { site: "login = { preserve = [\"fragment\"] }", ..Options::default() });
    let mut browser = gateway.browser();

    let page = browser.go("/app?x=1").await;

    assert_eq!(page.status, 401);
    assert!(page.body.contains("/_gateway/login?return_to=%2Fapp%3Fx%3D1\""), "{}", page.body);
    // What its script does.
    let arrived = browser.visit("/_gateway/login?return_to=%2Fapp%3Fx%3D1%23%2Fdeep").await;
    assert_eq!(arrived.url.fragment(), Some("/deep"));
}
