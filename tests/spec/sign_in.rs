//! Signing in: from a deep link through the vendor and back to it.

use member_gateway::sandbox::daxko::Daxko;

use crate::harness::{Gateway, Options, parameter};

#[tokio::test]
async fn a_stranger_signs_in_and_arrives_where_they_were_going() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let page = browser.visit("/classes?week=2").await;

    assert_eq!((page.status.as_u16(), page.path_and_query()), (200, "/classes?week=2"));
    assert_eq!(gateway.upstream().last_request().field("x-member-id"), "400007995-00");
}

#[tokio::test]
async fn two_tabs_that_start_at_once_both_arrive() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let first = browser.up_to_the_callback("/classes?week=1").await;
    let second = browser.up_to_the_callback("/book").await;

    assert_eq!(browser.go(&second).await.location(), "/book");
    assert_eq!(browser.go(&first).await.location(), "/classes?week=1");
}

#[tokio::test]
async fn everybody_the_vendor_knows_arrives_as_themselves() {
    let gateway = Gateway::with_sandbox();

    for member in Daxko::members().iter().filter(|member| member.client == 4711) {
        let mut browser = gateway.browser();
        browser.member = (member.username, member.password);
        assert_eq!(browser.visit("/").await.status, 200, "{}", member.username);
        let request = gateway.upstream().last_request();
        assert_eq!(request.field("x-member-id"), member.member_id);
        assert_eq!(request.field("x-member-unit-id"), member.member_unit_id);
        assert_eq!(request.field("x-member-provider"), "ymca");
    }
}

#[tokio::test]
async fn a_member_is_not_asked_again() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let before = gateway.daxko().requests().len();

    for path in ["/", "/classes", "/book?class=7"] {
        assert_eq!(browser.go(path).await.status, 200, "{path}");
    }

    assert_eq!((gateway.daxko().requests().len(), gateway.upstream().requests().len()), (before, 3));
}

#[tokio::test]
async fn the_code_is_redeemed_once_and_the_callback_leads_to_an_address_without_it() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes?week=2").await;

    let page = browser.go(&callback).await;

    assert_eq!((page.status.as_u16(), page.location()), (303, "/classes?week=2"));
    assert_eq!((gateway.exchanges(), page.body.as_str()), (1, ""));
}

#[tokio::test]
async fn the_vendor_is_asked_with_the_parameters_it_documents_and_no_others() {
    let gateway = Gateway::with_sandbox();

    let page = gateway.browser().go("/classes").await;

    let url = url::Url::parse(page.location()).unwrap();
    let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["response_type", "scope", "state", "client_id", "redirect_uri"]);
    assert_eq!(page.location_parameter("redirect_uri"), "https://members.localhost/_gateway/callback/ymca");
    assert_eq!(page.location_parameter("client_id"), "lakes_web");
}

#[tokio::test]
async fn every_attempt_has_a_state_of_its_own_that_nobody_can_guess() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let first = browser.go("/").await.location_parameter("state");
    let second = browser.go("/").await.location_parameter("state");

    assert_ne!(first, second);
    assert!(first.len() >= 43, "256 bits: {first}");
    assert!(!browser.cookies().iter().any(|(name, value)| name.contains(&first) || value.contains(&first)));
}

#[tokio::test]
async fn neither_code_nor_state_nor_token_reaches_the_upstream() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;

    browser.visit(&callback).await;

    let request = gateway.upstream().last_request();
    assert_eq!(request.target, "/classes");
    for name in ["code", "state"] {
        let secret = parameter(&callback, name).unwrap();
        assert!(!request.head().contains(&secret), "{name}");
    }
    assert!(!request.has("authorization") && !request.head().contains("eyJ"), "{}", request.head());
}

#[tokio::test]
async fn a_link_to_the_login_itself_signs_in_and_leads_to_the_front_page() {
    let gateway = Gateway::with_sandbox();

    assert_eq!(gateway.browser().visit("/_gateway/login").await.path_and_query(), "/");
}

#[tokio::test]
async fn a_member_who_signs_in_again_becomes_whom_they_sign_in_as() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    browser.member = ("tomasz", "tomasz-runs");

    browser.visit("/_gateway/login").await;

    assert_eq!(gateway.upstream().last_request().field("x-member-id"), "400011208-00");
}

#[tokio::test]
async fn each_site_has_logins_of_its_own() {
    let more =
        "[[site]]\npublic_url = \"https://other.localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]";
    let gateway = Gateway::with(&Options { more, ..Options::USUAL });
    let mut browser = gateway.signed_in().await;

    let stranger = browser.go("https://other.localhost/").await;
    assert_eq!(stranger.status, 302);
    assert_eq!(stranger.location_parameter("redirect_uri"), "https://other.localhost/_gateway/callback/ymca");

    assert_eq!(browser.visit("https://other.localhost/").await.status, 200);
    assert!(browser.cookies_of("other.localhost").contains_key("__Host-member-session"));
}
