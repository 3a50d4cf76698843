//! The error page: why a sign-in did not work, and how to try again.

use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::harness::{Browser, Gateway, Options, Page, parameter, with_parameter};

/// A sign-in that ends with an error of the vendor's form.
async fn failed(gateway: &Gateway, browser: &mut Browser, path: &str, error: &str) -> Page {
    gateway.daxko().faults().next(Endpoint::LogIn, Fault::ErrorRedirect(error.into()));
    let callback = browser.up_to_the_callback(path).await;
    browser.visit(&callback).await
}

/// Every address in a page.
fn links(page: &Page) -> Vec<String> {
    let ends = |text: &str| text.split('"').next().unwrap().replace("&amp;", "&");
    page.body.split("href=\"").skip(1).map(ends).collect()
}

fn says_nothing(page: &Page) -> bool {
    page.status == 400 && page.body.contains("There is nothing to tell any more.")
}

#[tokio::test]
async fn the_page_says_in_plain_words_what_happened_and_has_a_reference_number() {
    let gateway = Gateway::with_sandbox();

    let page = failed(&gateway, &mut gateway.browser(), "/classes", "access_denied").await;

    assert_eq!((page.status.as_u16(), page.field("content-type")), (403, "text/html; charset=utf-8"));
    assert!(page.body.contains("You were not signed in."), "{}", page.body);
    let number = page.body.split("<strong>").nth(1).unwrap().split('<').next().unwrap();
    assert!(number.len() == 9 && number.as_bytes()[4] == b'-', "{number}");
}

#[tokio::test]
async fn the_status_says_whose_matter_it_is() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    assert_eq!(browser.visit("/_gateway/callback/ymca?state=x&code=y").await.status, 400);
    assert_eq!(failed(&gateway, &mut browser, "/", "access_denied").await.status, 403);
    assert_eq!(failed(&gateway, &mut browser, "/", "server_error").await.status, 502);
    gateway.daxko().faults().next(Endpoint::MemberToken, Fault::Status(503));
    let callback = browser.up_to_the_callback("/").await;
    assert_eq!(browser.visit(&callback).await.status, 503);
}

#[tokio::test]
async fn the_button_starts_again_towards_the_same_place() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let page = failed(&gateway, &mut browser, "/classes?week=2", "access_denied").await;

    let button = links(&page).remove(0);

    assert_eq!(button, "/_gateway/login?provider=ymca&return_to=%2Fclasses%3Fweek%3D2");
    assert_eq!(browser.visit(&button).await.path_and_query(), "/classes?week=2");
}

#[tokio::test]
async fn neither_code_nor_state_stands_in_any_address_after_the_callback() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    gateway.daxko().faults().next(Endpoint::MemberToken, Fault::Status(500));

    let redirect = browser.go(&callback).await;
    let page = browser.visit(redirect.location()).await;

    for name in ["code", "state"] {
        let secret = parameter(&callback, name).unwrap();
        assert!(!redirect.location().contains(&secret) && !page.body.contains(&secret), "{name}");
        assert!(!page.url.as_str().contains(&secret), "{name}");
    }
}

#[tokio::test]
async fn the_page_never_starts_a_login_by_itself() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let page = failed(&gateway, &mut browser, "/classes", "server_error").await;

    assert_eq!((page.location(), page.field("refresh"), page.set_cookies().len()), ("", "", 0));
    for word in ["http-equiv", "<script", "<iframe", "<img", "<form"] {
        assert!(!page.body.contains(word), "{word}: {}", page.body);
    }
}

#[tokio::test]
async fn without_a_valid_reference_the_page_is_neutral() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    for path in [
        "/_gateway/error",
        "/_gateway/error?ref=",
        "/_gateway/error?ref=access_denied",
        "/_gateway/error?ref=AAAA",
    ] {
        let page = browser.go(path).await;
        assert!(says_nothing(&page), "{path}: {}", page.body);
        assert_eq!(links(&page)[0], "/_gateway/login?return_to=%2F");
    }
}

#[tokio::test]
async fn a_reference_that_was_changed_anywhere_is_worth_nothing() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let page = failed(&gateway, &mut browser, "/classes", "access_denied").await;
    let sealed = parameter(page.url.as_str(), "ref").unwrap();
    assert_eq!(browser.go(page.url.as_str()).await.status, 403, "as it is, it can be opened again");

    for at in (0..sealed.len()).step_by(9).chain([sealed.len() - 1]) {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let page = browser.go(&with_parameter(page.url.as_str(), "ref", Some(&changed))).await;
        assert!(says_nothing(&page), "character {at}");
    }
}

#[tokio::test]
async fn after_half_an_hour_the_page_is_neutral() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let page = failed(&gateway, &mut browser, "/classes", "access_denied").await;

    gateway.later(1799);
    assert_eq!(browser.go(page.url.as_str()).await.status, 403);
    gateway.later(1);
    assert!(says_nothing(&browser.go(page.url.as_str()).await));
}

#[tokio::test]
async fn the_reference_of_another_site_is_worth_nothing() {
    let more =
        "[[site]]\npublic_url = \"https://other.localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]";
    let gateway = Gateway::with(&Options { more, ..Options::USUAL });
    let mut browser = gateway.browser();
    let page = failed(&gateway, &mut browser, "/classes", "access_denied").await;

    let elsewhere = page.url.as_str().replace("members.localhost", "other.localhost");
    assert!(says_nothing(&browser.go(&elsewhere).await));
}

#[tokio::test]
async fn a_session_is_no_reference_and_a_reference_no_session() {
    let gateway = Gateway::with_sandbox();
    let mut member = gateway.signed_in().await;
    let session = member.session_cookie().unwrap();
    assert!(says_nothing(&member.go(&format!("/_gateway/error?ref={session}")).await));

    let mut browser = gateway.browser();
    let page = failed(&gateway, &mut browser, "/classes", "access_denied").await;
    browser.set_cookie("__Host-member-session", &parameter(page.url.as_str(), "ref").unwrap());
    assert_eq!(browser.session().await["authenticated"], false);
}
