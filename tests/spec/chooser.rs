//! The chooser page: several ways to sign in, and the one of the last time in front.

use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::harness::{Browser, Gateway, Options, Page};

const TWO_PROVIDERS: Options = Options {
    provider: "title = \"Lakes & <Rivers>\"\nlogo = \"tests/data/badge.svg\"",
    providers: Some("\"ymca\", \"club\""),
    more: "[[provider]]\nname = \"club\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\ntitle = \"Harbour Club\"",
    ..Options::USUAL
};
const REMEMBERED: &str = "__Host-member-provider";

/// The names of the providers in the order in which a page offers them.
fn offered(page: &Page) -> Vec<&str> {
    page.body.split("provider=").skip(1).map(|rest| rest.split('&').next().unwrap()).collect()
}

async fn chooser(browser: &mut Browser) -> Page {
    browser.go("/_gateway/login?return_to=%2Fclasses").await
}

#[tokio::test]
async fn it_offers_the_operators_titles_and_logos_in_the_order_of_the_config() {
    let gateway = Gateway::with(&TWO_PROVIDERS);

    let page = chooser(&mut gateway.browser()).await;

    assert_eq!(offered(&page), ["ymca", "club"]);
    assert!(page.body.contains("<span>Lakes &amp; &lt;Rivers&gt;</span>"), "{}", page.body);
    assert_eq!(page.body.matches("<img src=\"data:image/svg+xml;base64,").count(), 1, "{}", page.body);
    assert!(page.field("content-security-policy").contains(" img-src data:;"));
    assert!(!page.body.contains("Last time"), "{}", page.body);
}

#[tokio::test]
async fn the_choice_of_the_last_time_comes_first_and_says_so() {
    let gateway = Gateway::with(&TWO_PROVIDERS);
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/_gateway/login?provider=club").await;

    let line = browser.go(&callback).await.set_cookie(REMEMBERED);
    assert_eq!(line, "__Host-member-provider=club; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=31536000");

    let page = chooser(&mut browser).await;
    assert_eq!(offered(&page), ["club", "ymca"]);
    let (first, rest) = page.body.split_once("provider=ymca").unwrap();
    assert!(first.contains("Last time you used this one") && !rest.contains("Last time"), "{}", page.body);
}

#[tokio::test]
async fn a_template_of_it_is_filled_with_the_same_and_escapes_it() {
    let site = "pages = { templates = \"tests/data/templates\" }";
    let gateway = Gateway::with(&Options { site, ..TWO_PROVIDERS });
    let mut browser = gateway.browser();
    browser.set_cookie(REMEMBERED, "club");

    let page = chooser(&mut browser).await;

    let path = "&#x2f;_gateway&#x2f;login?provider=club&amp;return_to=%2Fclasses";
    let first =
        format!("<li><a href=\"{path}\">Harbour Club</a> <small>Last time you used this one</small></li>");
    assert!(page.body.contains(&first), "{}", page.body);
    assert!(page.body.contains("alt=\"\">Lakes &amp; &lt;Rivers&gt;</a>"), "{}", page.body);
}

/// The page of a login that was refused at the vendor.
async fn refused(gateway: &Gateway) -> Page {
    gateway.daxko().faults().next(Endpoint::LogIn, Fault::ErrorRedirect("access_denied".into()));
    gateway.browser().visit("/_gateway/login?provider=ymca&return_to=%2Fclasses").await
}

#[tokio::test]
async fn whoever_was_refused_in_one_way_is_offered_another_and_loses_no_place() {
    let another = "href=\"/_gateway/login?return_to=%2Fclasses\">Sign in another way</a>";

    let page = refused(&Gateway::with(&TWO_PROVIDERS)).await;
    assert_eq!(page.status, 403);
    assert!(page.body.contains(another) && page.body.contains("Sign in again"), "{}", page.body);

    let page = refused(&Gateway::with_sandbox()).await;
    assert!(
        !page.body.contains("another way") && page.body.contains("Go to the front page"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn with_one_provider_there_is_nothing_to_remember() {
    let gateway = Gateway::with_sandbox();
    assert!(!gateway.signed_in().await.cookies().contains_key(REMEMBERED));
}

#[tokio::test]
async fn a_value_that_names_no_provider_of_the_site_is_ignored() {
    let gateway = Gateway::with(&TWO_PROVIDERS);

    for value in ["evil", "", "CLUB", "<script>", "\"club\"", "%63lub"] {
        let mut browser = gateway.browser();
        browser.set_cookie(REMEMBERED, value);
        let page = chooser(&mut browser).await;
        assert_eq!(offered(&page), ["ymca", "club"], "{value}");
        assert!(!page.body.contains("Last time") && !page.body.contains("<script"), "{value}");
    }
}

#[tokio::test]
async fn what_is_remembered_chooses_nothing_and_signs_nobody_in() {
    let gateway = Gateway::with(&TWO_PROVIDERS);
    let mut browser = gateway.browser();
    browser.set_cookie(REMEMBERED, "club");

    let page = chooser(&mut browser).await;
    assert_eq!((page.status.as_u16(), page.set_cookies().len()), (200, 0));
    assert_eq!(browser.session().await["authenticated"], false);
}

#[tokio::test]
async fn it_never_reaches_the_upstream() {
    let gateway = Gateway::with(&TWO_PROVIDERS);
    let mut browser = gateway.browser();
    browser.visit("/_gateway/login?provider=club").await;
    browser.set_cookie("member-provider", "club");
    browser.set_cookie("theme", "dark");

    browser.go("/classes").await;

    assert_eq!(gateway.upstream().last_request().field("cookie"), "theme=dark");
}
