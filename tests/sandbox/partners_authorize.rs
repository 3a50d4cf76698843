//! Partners API v1: the authorization request and the log-in form.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{CALLBACK, Sandbox, location, query_of, settings};
use crate::partners::Partners;
use member_gateway::sandbox::daxko::{Endpoint, Fault, Settings};

/// 400, a page, no redirect, and the rule in words.
async fn assert_refused(response: Response, rule: &str) {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.headers().get("location").is_none());
    let page = response.text().await.expect("a page");
    assert!(page.contains(rule), "{page}");
}

#[tokio::test]
async fn d01_before_the_settings_are_saved_there_is_no_form() {
    let partners = Partners(Sandbox::with(Settings::default()));
    let saved = "PUT /partners/api/v1/partners/oauth2/members/settings once";
    assert_refused(partners.form(&[]).await, saved).await;
    assert_refused(partners.log_in(&[]).await, saved).await;
}

#[tokio::test]
async fn d01_a_redirect_uri_is_compared_character_for_character() {
    let partners = Partners::start();
    for uri in [
        "https://members.example.org/_gateway/callback/ymca/",
        "https://members.example.org/_gateway/callback/YMCA",
        "https://members.example.org:443/_gateway/callback/ymca",
        "https://members.example.org/_gateway/callback/ymca?a=1",
        "https://attacker.example/",
        "",
    ] {
        assert_refused(partners.form(&[("redirect_uri", uri)]).await, "character for character").await;
        assert_refused(partners.log_in(&[("redirect_uri", uri)]).await, "character for character").await;
    }
    assert_eq!(partners.form(&[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn d02_an_unknown_client_id_or_another_response_type_is_refused() {
    let partners = Partners::start();
    assert_refused(partners.form(&[("client_id", "OPS_4711")]).await, "no API username").await;
    for response_type in ["token", ""] {
        assert_refused(partners.form(&[("response_type", response_type)]).await, "response_type").await;
    }
}

#[tokio::test]
async fn d02_the_scope_of_v3_names_no_client_here() {
    let partners = Partners::start();
    for scope in [
        "client:4711 member:basic_info",
        "client:4711",
        "client:OPS_4711",
        "OPS_4711",
        "clientIntegrationId:4711",
        "clientIntegrationId:CA_4711",
        "clientintegrationid:OPS_4711",
        "clientIntegrationId:OPS_4711 clientIntegrationId:OPS_4712",
        "",
    ] {
        assert_refused(partners.form(&[("scope", scope)]).await, "names no client").await;
        assert_refused(partners.log_in(&[("scope", scope)]).await, "names no client").await;
    }
}

#[tokio::test]
async fn d02_the_scope_of_partners_v1_names_no_client_at_v3() {
    let sandbox = Sandbox::start();
    for scope in ["clientIntegrationId:OPS_4711", "clientIntegrationId:OPS_4711 member:basic_info"] {
        assert_refused(sandbox.form(&[("scope", scope)]).await, "names no client").await;
        assert_refused(sandbox.log_in(&[("scope", scope)]).await, "names no client").await;
    }
}

#[tokio::test]
async fn d02_a_client_that_is_not_granted_is_refused() {
    let partners = Partners::start();
    assert_refused(partners.form(&[("scope", "clientIntegrationId:OPS_4712")]).await, "not granted").await;
}

#[tokio::test]
async fn d03_the_colon_of_the_scope_may_be_bare_or_encoded() {
    let partners = Partners::start();
    for scope in
        ["clientIntegrationId:OPS_4711", "clientIntegrationId%3AOPS_4711", "clientIntegrationId%3aOPS_4711"]
    {
        let query = format!(
            "response_type=code&client_id=lakes_web&state=s&scope={scope}&\
             redirect_uri=https%3A%2F%2Fmembers.example.org%2F_gateway%2Fcallback%2Fymca"
        );
        assert_eq!(partners.raw_form(&query).await.status(), StatusCode::OK, "{scope}");
    }
}

#[tokio::test]
async fn d04_a_code_is_appended_to_the_query_a_redirect_uri_has() {
    let with_query = format!("{CALLBACK}?site=2");
    let saved = Settings { valid_redirect_uris: Some(vec![with_query.clone()]), ..settings() };
    let answer = Partners(Sandbox::with(saved)).log_in(&[("redirect_uri", &with_query)]).await;
    assert!(location(&answer).starts_with(&format!("{with_query}&code=")), "{}", location(&answer));
}

#[tokio::test]
async fn d05_a_state_comes_back_byte_for_byte_or_not_at_all() {
    let partners = Partners::start();
    let state = "-._~:/?#[]@!$&'()*+,;= %2B%\"<>\\^`{|}ü";
    let answer = partners.log_in(&[("state", state)]).await;
    assert_eq!(query_of(&answer, "state").as_deref(), Some(state));
    let answer = partners.log_in(&[("state", "")]).await;
    assert!(!location(&answer).contains("state"), "{}", location(&answer));
}

#[tokio::test]
async fn d06_a_wrong_password_or_an_unknown_user_stays_on_the_form() {
    let partners = Partners::start();
    for (username, password) in [("rosa", "wrong"), ("nobody", "rosa-swims"), ("ines", "ines-sails")] {
        let answer = partners.log_in(&[("username", username), ("password", password)]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let page = answer.text().await.unwrap();
        assert!(page.contains("do not match") && page.contains("action=\"/partners/authorize\""), "{page}");
    }
}

#[tokio::test]
async fn the_form_and_its_links_stay_in_their_generation() {
    let partners = Partners::start();
    let page = partners.form(&[]).await.text().await.unwrap();
    assert!(page.contains("action=\"/partners/authorize\"") && !page.contains("/online/auth"), "{page}");
    let link = page.split("href=\"").find(|rest| rest.contains("sandbox_member=400007995-01")).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let page = partners.0.http.get(partners.0.url(&link)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("value=\"jin-rows\""), "{page}");
}

#[tokio::test]
async fn without_a_forgotten_password_link_the_vendor_shows_its_own() {
    let partners = Partners::start();
    for url in [Value::Null, json!(""), json!(" ")] {
        let body = json!({
            "valid_redirect_uris": [CALLBACK],
            "links": { "sign_up": { "url": "" }, "forgot_password": { "url": url } },
        });
        assert_eq!(partners.put_settings(&body).await, StatusCode::NO_CONTENT);
        let page = partners.form(&[]).await.text().await.unwrap();
        assert!(page.contains("href=\"/partners/forgot_password\""), "{url}: {page}");
        assert!(!page.contains("Create an account"), "{page}");
    }
    let built_in = partners.0.http.get(partners.0.url("/partners/forgot_password"));
    assert_eq!(built_in.send().await.unwrap().status(), StatusCode::OK);

    let page = partners.0.form(&[]).await.text().await.unwrap();
    assert!(!page.contains("Forgot"), "v3 shows no link of its own: {page}");
}

#[tokio::test]
async fn a_forgotten_password_link_that_is_saved_replaces_the_vendors_own() {
    let saved = Settings { forgot_password_url: "https://www.example.org/new".into(), ..settings() };
    let page = Partners(Sandbox::with(saved)).form(&[]).await.text().await.unwrap();
    assert!(page.contains("href=\"https://www.example.org/new\""), "{page}");
    assert!(!page.contains("/partners/forgot_password"), "{page}");
}

#[tokio::test]
async fn a_fault_of_an_endpoint_happens_in_this_generation_too() {
    let partners = Partners::start();
    partners.0.daxko.faults().next(Endpoint::Authorize, Fault::ErrorRedirect("access_denied".into()));
    assert_eq!(query_of(&partners.form(&[]).await, "error").as_deref(), Some("access_denied"));
    partners.0.daxko.faults().next(Endpoint::ClientToken, Fault::Status(503));
    assert_eq!(partners.grant(&[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    partners.0.daxko.faults().next(Endpoint::MemberToken, Fault::Status(500));
    assert_eq!(partners.exchange("any", &[]).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(partners.form(&[]).await.status(), StatusCode::OK);
}
