//! Xoxoday: what access tokens open, and which of them open what.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{answer, error};
use crate::xoxoday::{Sandbox, text};
use member_gateway::sandbox::xoxoday::{Switches, UserDetails};

const DAY: u64 = 86400;
/// Every endpoint that takes a bearer, with a body it accepts.
const PROTECTED: [&str; 3] = ["/v1/oauth/token/create/user", "/v1/oauth/sso/stores/company", "/v1/oauth/api"];

fn body() -> Value {
    json!({
        "user_input": "mika@example.org",
        "scope": "user_session",
        "query": "query { fetchUserDetails { email first_name } }",
        "tpd": { "auth_token": "the site's secret", "unique_id": "400007995-02", "otp": "none" },
    })
}

#[tokio::test]
async fn an_access_token_is_valid_for_as_long_as_it_says() {
    let sandbox = Sandbox::start();
    let pair = sandbox.pair("user").await;
    let token = text(&pair, "access_token");
    sandbox.advance(DAY);
    let (status, valid) = sandbox.validate(token).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(valid, json!({ "access_token": token, "token_type": "bearer", "expires_in": 14 * DAY }));
}

#[tokio::test]
async fn x14_without_a_bearer_the_authorization_field_is_missing() {
    let sandbox = Sandbox::start();
    let pair = sandbox.pair("company").await;
    let token = text(&pair, "access_token");
    let mut requests = vec![sandbox.http.get(sandbox.url("/v1/oauth/token"))];
    requests.extend(PROTECTED.map(|path| sandbox.http.post(sandbox.url(path)).json(&body())));
    let get = || sandbox.http.get(sandbox.url("/v1/oauth/token"));
    requests.push(get().header("authorization", format!("Basic {token}")));
    requests.push(get().header("authorization", token));
    requests.push(get().header("authorization", "Bearer"));
    requests.push(get().bearer_auth(token).bearer_auth(token));
    for request in requests {
        let (status, body) = answer(request).await;
        let description = "missing/invalid parameters authorization header";
        let expected = json!({ "error": "invalid_request", "error_description": description });
        assert_eq!((status, body), (StatusCode::UNAUTHORIZED, expected));
    }
}

#[tokio::test]
async fn x15_a_bearer_that_is_unknown_or_a_refresh_token_is_invalid_token() {
    let sandbox = Sandbox::start();
    for grant in ["company", "user"] {
        let pair = sandbox.pair(grant).await;
        for bearer in ["made-up", text(&pair, "refresh_token"), &text(&pair, "access_token")[1..]] {
            let mut answers = vec![sandbox.validate(bearer).await];
            for path in PROTECTED {
                answers.push(sandbox.post(path, bearer, &body()).await);
            }
            for (status, body) in answers {
                let expected =
                    json!({ "error": "invalid_token", "error_description": "invalid/expired token" });
                assert_eq!((status, body), (StatusCode::UNAUTHORIZED, expected));
            }
        }
    }
}

#[tokio::test]
async fn x15_an_expired_bearer_is_invalid_token() {
    let sandbox = Sandbox::start();
    for (grant, days) in [("company", 30), ("user", 15)] {
        let pair = sandbox.pair(grant).await;
        let token = text(&pair, "access_token");
        sandbox.advance(days * DAY - 1);
        assert_eq!(sandbox.validate(token).await.0, StatusCode::OK);
        sandbox.advance(1);
        error(401, "invalid_token", &sandbox.validate(token).await);
    }
}

#[tokio::test]
async fn x18_a_users_bearer_is_no_companys() {
    let sandbox = Sandbox::start();
    let pair = sandbox.pair("user").await;
    for path in ["/v1/oauth/sso/stores/company", "/v1/oauth/token/create/user"] {
        error(401, "invalid_token", &sandbox.post(path, text(&pair, "access_token"), &body()).await);
        assert_eq!(sandbox.last().refused_by, Some("this takes a company's access token, not a user's"));
    }
}

#[tokio::test]
async fn a_companys_bearer_makes_a_users_for_an_address_it_knows() {
    let sandbox = Sandbox::start();
    let company = sandbox.pair("company").await;
    let order = json!({ "user_input": "jin.kim@example.org", "scope": "user_session" });
    let path = "/v1/oauth/token/create/user";
    let (status, user) = sandbox.post(path, text(&company, "access_token"), &order).await;
    assert_eq!((status, user.get("email")), (StatusCode::OK, None));
    let query = body();
    let (_, details) = sandbox.post("/v1/oauth/api", text(&user, "access_token"), &query).await;
    assert_eq!(details["data"]["fetchUserDetails"]["email"], "Jin.Kim@Example.org");
    for (change, code) in [
        (json!({ "user_input": "jin.kim@example.org", "scope": "company_session" }), "invalid_scope"),
        (json!({ "user_input": "jin", "scope": "user_session" }), "invalid_request"),
        (json!({ "scope": "user_session" }), "invalid_request"),
        (json!([]), "invalid_request"),
    ] {
        error(400, code, &sandbox.post(path, text(&company, "access_token"), &change).await);
    }
}

#[tokio::test]
async fn a_companys_bearer_opens_the_store_as_any_address() {
    let sandbox = Sandbox::start();
    let company = sandbox.pair("company").await;
    let (status, sso) =
        sandbox.post("/v1/oauth/sso/stores/company", text(&company, "access_token"), &body()).await;
    assert_eq!(status, StatusCode::OK);
    let token = text(&sso["data"], "ssoToken");
    assert!(token.starts_with("eyJ"), "{token}");
    let store = || sandbox.http.get(sandbox.url(&format!("/v1/oauth/redirect/stores/{token}"))).send();
    sandbox.advance(14 * DAY - 1);
    let page = store().await.unwrap().text().await.unwrap();
    assert!(page.contains("mika@example.org") && page.contains("400007995-02"), "{page}");
    assert!(!format!("{:?}", sandbox.last()).contains(token), "a token in a path is masked");
    sandbox.advance(1);
    assert_eq!(store().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let made_up = sandbox.http.get(sandbox.url("/v1/oauth/redirect/stores/made-up")).send().await.unwrap();
    assert_eq!(made_up.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_users_bearer_reads_the_users_address_and_given_name() {
    let sandbox = Sandbox::start();
    let user = sandbox.pair("user").await;
    let (status, details) = sandbox.post("/v1/oauth/api", text(&user, "access_token"), &body()).await;
    assert_eq!(status, StatusCode::OK);
    let rosa = json!({ "email": "rosa.alvarez@example.org", "first_name": "Rosa" });
    assert_eq!(details, json!({ "data": { "fetchUserDetails": rosa } }));

    let company = sandbox.pair("company").await;
    error(
        401,
        "invalid_token",
        &sandbox.post("/v1/oauth/api", text(&company, "access_token"), &body()).await,
    );
    let other = json!({ "query": "query { everything }" });
    let (status, body) = sandbox.post("/v1/oauth/api", text(&user, "access_token"), &other).await;
    assert_eq!((status, &body["errorId"]), (StatusCode::NOT_FOUND, &json!("PLE10030")));
}

#[tokio::test]
async fn a_switch_has_the_user_details_carry_the_ids_of_a_member() {
    let with_ids = Switches { user_details: UserDetails::WithIds, ..Switches::default() };
    let sandbox = Sandbox::switched(with_ids);
    let user = sandbox.pair("user").await;
    let (_, details) = sandbox.post("/v1/oauth/api", text(&user, "access_token"), &body()).await;
    let details = &details["data"]["fetchUserDetails"];
    assert_eq!((text(details, "member_id"), text(details, "member_unit_id")), ("400007995-00", "400007995"));
}
