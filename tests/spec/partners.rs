//! Daxko's Partners API v1, seen from the gateway: the same login by other addresses, scopes and tokens.

use http::Method;
use member_gateway::sandbox::daxko::{Endpoint, Fault, RecordedRequest};

use crate::harness::{Folder, Gateway, Options, member_gateway};

const TOKEN: &str = "/partners/token";
const PARTNERS: &str = "api = \"partners-v1\"";

fn gateway(provider: &'static str) -> Gateway {
    Gateway::with(&Options { provider, ..Options::USUAL })
}

fn exchange(gateway: &Gateway) -> RecordedRequest {
    gateway.daxko().requests().into_iter().find(|request| request.path == TOKEN).unwrap()
}

#[tokio::test]
async fn a_stranger_signs_in_and_arrives_where_they_were_going() {
    let gateway = gateway(PARTNERS);

    let page = gateway.browser().visit("/classes?week=2").await;

    assert_eq!(page.path_and_query(), "/classes?week=2", "{}", page.body);
    assert_eq!(gateway.upstream().last_request().field("x-member-id"), "400007995-00");
    assert_eq!(gateway.upstream().last_request().field("x-member-unit-id"), "400007995");
    let requests = gateway.daxko().requests();
    let asked: Vec<(&str, &str)> =
        requests.iter().map(|request| (request.method.as_str(), request.path.as_str())).collect();
    let form = "/partners/authorize";
    let me = "/partners/api/v1/members/me";
    assert_eq!(asked, [("GET", form), ("POST", form), ("POST", TOKEN), ("GET", me)]);
}

#[tokio::test]
async fn the_scope_names_the_integration_and_nothing_else() {
    let page = gateway(PARTNERS).browser().go("/").await;

    assert!(page.location().contains("&scope=clientIntegrationId%3AOPS_4711&"), "{}", page.location());
}

#[tokio::test]
async fn a_client_of_another_product_is_written_with_its_prefix() {
    let page = gateway("api = \"partners-v1\"\nclient_integration_id = \"CA_123\"").browser().go("/").await;

    assert!(page.location().contains("&scope=clientIntegrationId%3ACA_123&"), "{}", page.location());
}

#[tokio::test]
async fn the_exchange_is_a_form_without_a_bearer_unless_told_otherwise() {
    for (provider, media_type) in [
        (PARTNERS, "application/x-www-form-urlencoded"),
        ("api = \"partners-v1\"\ntoken_encoding = \"json\"", "application/json"),
        ("api = \"partners-v1\"\ntoken_encoding = \"multipart\"", "multipart/form-data"),
    ] {
        let gateway = gateway(provider);
        gateway.signed_in().await;

        let exchange = exchange(&gateway);
        assert_eq!((&exchange.method, exchange.media_type.as_str()), (&Method::POST, media_type));
        let mut names: Vec<&str> = exchange.parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["client_id", "client_secret", "code", "grant_type", "redirect_uri"]);
    }
}

#[tokio::test]
async fn the_bearer_of_the_exchange_is_a_setting() {
    for (provider, partner_tokens) in [
        ("api = \"partners-v1\"\ntoken_bearer = \"none\"", 0),
        ("api = \"partners-v1\"\ntoken_bearer = \"refresh_token\"", 0),
        ("api = \"partners-v1\"\ntoken_bearer = \"access_token\"", 1),
    ] {
        let gateway = gateway(provider);
        gateway.signed_in().await;
        gateway.signed_in().await;

        let requests = gateway.daxko().requests();
        let fetched = requests.iter().filter(|request| request.path == "/partners/auth/token").count();
        assert_eq!(fetched, partner_tokens, "{provider}");
    }
}

#[tokio::test]
async fn a_used_code_and_a_vendor_on_a_bad_day_are_told_as_in_v3() {
    let gateway = gateway(PARTNERS);
    for (endpoint, fault, status) in [
        (Endpoint::MemberToken, Fault::Status(503), 503),
        (Endpoint::MemberToken, Fault::Html, 502),
        (Endpoint::MembersMe, Fault::WithoutField("member_id".into()), 502),
    ] {
        let mut browser = gateway.browser();
        let callback = browser.up_to_the_callback("/classes").await;
        gateway.daxko().faults().next(endpoint, fault.clone());

        let page = browser.visit(&callback).await;

        assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", status), "{fault:?}");
        assert_eq!(browser.session_cookie(), None);
    }
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    gateway.later(600);
    assert_eq!(browser.visit(&callback).await.status, 400);
}

/// Production, and what is written about it.
fn check(provider: &str) -> (i32, String) {
    let folder = Folder::with(&format!(
        "[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nclient_id = \"lakes_web\"\nclient_secret = \"s\"\n{provider}\n\n\
         [[site]]\npublic_url = \"https://members.localhost\"\nupstream = [\"http://127.0.0.1:3000\"]\nproviders = [\"ymca\"]\n"
    ));
    let ended = member_gateway(&folder, &["check"], "");
    (ended.status, ended.errors)
}

#[test]
fn production_needs_no_address_and_no_refresh_token() {
    assert_eq!(check("api = \"partners-v1\"\nclient = 4711"), (0, String::new()));
    assert_eq!(check("api = \"partners-v1\"\nclient_integration_id = \"OPS_4711\""), (0, String::new()));
}

#[test]
fn what_cannot_be_meant_is_an_error_that_says_so() {
    let demo = "environment = \"demo\"\napi_base_url = \"https://demo-api.partners.daxko.com\"";
    for (keys, words) in [
        (String::new(), "`client` in [[provider]] is missing"),
        ("client_integration_id = \"4711\"".to_owned(), "this names no client"),
        ("client_integration_id = \"OPS 4711\"".to_owned(), "this names no client"),
        ("client_integration_id = \"ops_4711\"".to_owned(), "this names no client"),
        ("client_integration_id = \"OPS_\"".to_owned(), "this names no client"),
        ("client = 4711\nclient_integration_id = \"OPS_4711\"".to_owned(), "one of the two"),
        (
            "client = 4711\ntoken_bearer = \"refresh_token\"".to_owned(),
            "`refresh_token` in [[provider]] is missing",
        ),
        (format!("client = 4711\n{demo}"), "this environment needs an authorize_url"),
        (
            "client = 4711\nenvironment = \"train\"\nauthorize_url = \"https://operations-train.example/\""
                .to_owned(),
            "this environment needs an api_base_url",
        ),
        (
            "client = 4711\napi_base_url = \"https://demo-api.partners.daxko.com\"".to_owned(),
            "another environment",
        ),
        (
            format!(
                "client = 4711\n{demo}\nauthorize_url = \"https://operations.oauth2.partners.daxko.com/authorize\""
            ),
            "another environment",
        ),
        (
            "client = 4711\ntoken_url = \"https://operations-train.oauth2.partners.daxko.com/token\""
                .to_owned(),
            "another environment",
        ),
        (
            "client = 4711\nuserinfo_url = \"https://demo-api.partners.daxko.com/v1/members/me\"".to_owned(),
            "another environment",
        ),
        (
            "client = 4711\npartner_token_url = \"https://demo-api.partners.daxko.com/auth/token\""
                .to_owned(),
            "another environment",
        ),
        ("client = 4711\napi_base_url = \"https://api.daxko.com\"".to_owned(), "another `api`"),
        (
            "client = 4711\nauthorize_url = \"https://operations.daxko.com/online/auth\"".to_owned(),
            "another `api`",
        ),
        ("client = 4711\ntoken_url = \"http://login.example.org/token\"".to_owned(), "in the clear"),
    ] {
        let (status, errors) = check(&format!("api = \"partners-v1\"\n{keys}"));

        assert!(status == 2 && errors.contains(words), "{keys}: no {words:?} in\n{errors}");
    }
    for (keys, words) in [
        ("client = 4711\nclient_integration_id = \"OPS_4711\"", "api = \"partners-v1\""),
        ("client = 4711\napi_base_url = \"https://api.partners.daxko.com/api\"", "another `api`"),
    ] {
        let (status, errors) = check(&format!("refresh_token = \"eyJ\"\n{keys}"));

        assert!(status == 2 && errors.contains(words), "{keys}: no {words:?} in\n{errors}");
    }
}
