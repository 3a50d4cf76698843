//! Xoxoday: errors and faults on demand, the switches, and what is remembered of a request.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{answer, query_of};
use crate::xoxoday::{Sandbox, text};
use member_gateway::sandbox::xoxoday::{
    Endpoint, ErrorShape, Fault, OldRefreshToken, ResponseShape, Settings, Switches, Visitor,
};

/// What the documents say a client may be told.
fn shapes() -> [(ErrorShape, u16, &'static str, Value); 7] {
    let limit = "auth.request_limit_exceeded";
    [
        (
            ErrorShape::InvalidRequest,
            400,
            "invalid_request",
            json!({ "error": "invalid_request", "error_description": "missing/invalid parameters" }),
        ),
        (
            ErrorShape::InvalidToken,
            401,
            "invalid_token",
            json!({ "error": "invalid_token", "error_description": "invalid/expired token" }),
        ),
        (
            ErrorShape::PasswordReset,
            401,
            "password_reset",
            json!({ "success": 0, "error_message_id": "auth.token_error" }),
        ),
        (ErrorShape::TooManyRefreshes, 429, "too_many_refreshes", json!({ "message": limit })),
        (
            ErrorShape::RateLimit,
            429,
            "rate_limit",
            json!({ "errors": [{ "message": limit, "penaltySeconds": 60 }] }),
        ),
        (
            ErrorShape::ApiError,
            404,
            "api_error",
            json!({ "code": 404, "errorId": "PLE10030", "errorInfo": "This error was asked for.", "error": "Not found" }),
        ),
        (ErrorShape::Unauthorized, 401, "unauthorized", json!({ "error": "Unauthorized" })),
    ]
}

#[tokio::test]
async fn x19_every_documented_error_comes_when_it_is_asked_for() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    for (shape, status, _, body) in shapes() {
        sandbox.xoxoday.faults().next(Endpoint::CompanyToken, shape);
        let got = sandbox.exchange("company", &code, &[]).await;
        assert_eq!((got.0.as_u16(), got.1), (status, body), "{shape:?}");
    }
    let (status, _) = sandbox.exchange("company", &code, &[]).await;
    assert_eq!(status, StatusCode::OK, "the code is still unspent");
}

#[tokio::test]
async fn x19_every_documented_error_can_be_asked_for_over_http() {
    let sandbox = Sandbox::start();
    for (_, status, name, body) in shapes() {
        let order = json!({ "endpoint": "validate", "fault": { "error": name } });
        assert_eq!(sandbox.order("faults", &order).await, StatusCode::NO_CONTENT, "{name}");
        let got = sandbox.validate("any").await;
        assert_eq!((got.0.as_u16(), got.1), (status, body), "{name}");
    }
    for order in [
        json!({ "endpoint": "user_token", "fault": { "status": 503 } }),
        json!({ "endpoint": "sso", "fault": "html", "until_cleared": true }),
        json!({ "endpoint": "user_details", "fault": { "too_many_requests": { "retry_after": 7 } } }),
    ] {
        assert_eq!(sandbox.order("faults", &order).await, StatusCode::NO_CONTENT, "{order}");
    }
    for order in [
        json!({ "endpoint": "nowhere", "fault": "html" }),
        json!({ "endpoint": "sso", "fault": { "error": "none_of_theirs" } }),
    ] {
        assert_eq!(sandbox.order("faults", &order).await, StatusCode::BAD_REQUEST, "{order}");
    }
}

#[tokio::test]
async fn an_error_redirect_goes_back_to_the_site_but_never_to_a_stranger() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    let faults = sandbox.xoxoday.faults();
    for error in ["server_error", "access_denied"] {
        faults.always(Endpoint::Authorize, Fault::ErrorRedirect(error.into()));
        faults.always(Endpoint::Consent, Fault::ErrorRedirect(error.into()));
        for refused in [sandbox.authorize("", &[]).await, sandbox.decide(&cookies, "allow", &[]).await] {
            assert_eq!(query_of(&refused, "error").as_deref(), Some(error));
            assert_eq!(query_of(&refused, "state").as_deref(), Some("q7Zk3n"));
        }
        let stranger = [("redirect_uri", "https://attacker.example/")];
        for untrusted in
            [sandbox.authorize("", &stranger).await, sandbox.decide(&cookies, "allow", &stranger).await]
        {
            assert_eq!(untrusted.status(), StatusCode::BAD_REQUEST);
            assert!(untrusted.headers().get("location").is_none());
        }
    }
}

#[tokio::test]
async fn a_field_may_be_missing_or_be_anything_however_deep_it_is() {
    let sandbox = Sandbox::start();
    let faults = sandbox.xoxoday.faults();
    for value in [json!(null), json!(""), json!(7), json!(["a"]), json!("a\r\nb")] {
        let code = sandbox.code(&[]).await;
        faults.next(Endpoint::CompanyToken, Fault::WithField { name: "email".into(), value: value.clone() });
        assert_eq!(sandbox.exchange("company", &code, &[]).await.1["email"], value);
    }
    let code = sandbox.code(&[]).await;
    faults.next(Endpoint::CompanyToken, Fault::WithoutField("access_token".into()));
    let (status, body) = sandbox.exchange("company", &code, &[]).await;
    assert_eq!((status, body.get("access_token")), (StatusCode::OK, None), "a 200 without a token");

    let user = sandbox.pair("user").await;
    let query = json!({ "query": Settings::default().user_details_query });
    let address = "/data/fetchUserDetails/email";
    faults.next(Endpoint::UserDetails, Fault::WithoutField(address.into()));
    let (_, body) = sandbox.post("/v1/oauth/api", text(&user, "access_token"), &query).await;
    assert_eq!(body, json!({ "data": { "fetchUserDetails": { "first_name": "Rosa" } } }));
    faults.next(Endpoint::UserDetails, Fault::WithField { name: address.into(), value: json!(7) });
    let (_, body) = sandbox.post("/v1/oauth/api", text(&user, "access_token"), &query).await;
    assert_eq!(body["data"]["fetchUserDetails"]["email"], 7);
}

#[tokio::test]
async fn a_connection_closed_in_the_exchange_leaves_the_code_unspent() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    sandbox.xoxoday.faults().always(Endpoint::UserToken, Fault::ClosedConnection);
    let usual = [("grant_type", "authorization_code"), ("code", &*code)];
    assert!(sandbox.token_request("user", &usual, &[]).send().await.is_err());
    sandbox.xoxoday.faults().clear();
    assert_eq!(sandbox.exchange("user", &code, &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_switches_can_be_set_while_it_runs() {
    let sandbox = Sandbox::start();
    let pair = sandbox.pair("company").await;
    assert_eq!(pair.get("access_token_expiry"), None);
    let new = Switches { response_shape: ResponseShape::New, ..sandbox.xoxoday.switches() };
    sandbox.xoxoday.switch(new);
    assert!(sandbox.pair("company").await.get("access_token_expiry").is_some());
}

#[tokio::test]
async fn the_switches_can_be_set_over_http_one_by_one_and_put_back() {
    let start = Switches { response_shape: ResponseShape::New, ..Switches::default() };
    let sandbox = Sandbox::switched(start);
    let order = json!({ "visitor": "denied-first" });
    assert_eq!(sandbox.order("switches", &order).await, StatusCode::NO_CONTENT);
    let order = json!({ "expires_in": "string", "old_refresh_token": "dead", "user_details": "with-ids" });
    assert_eq!(sandbox.order("switches", &order).await, StatusCode::NO_CONTENT);
    let switches = sandbox.xoxoday.switches();
    assert_eq!((switches.response_shape, switches.visitor), (ResponseShape::New, Visitor::DeniedFirst));
    assert_eq!(switches.old_refresh_token, OldRefreshToken::Dead);
    assert_eq!(sandbox.pair("user").await["expires_in"], json!((15 * 86400).to_string()));
    for order in [json!({ "visitor": "nobody" }), json!({ "colour": "red" }), json!("new")] {
        assert_eq!(sandbox.order("switches", &order).await, StatusCode::BAD_REQUEST, "{order}");
    }
    let url = format!("{}/sandbox/switches", sandbox.xoxoday.base_url());
    assert_eq!(answer(sandbox.http.delete(&url)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(sandbox.xoxoday.switches(), start);
    let simple =
        sandbox.http.post(&url).header("content-type", "text/plain").body("{\"visitor\":\"denied-first\"}");
    assert_eq!(answer(simple).await.0, StatusCode::BAD_REQUEST, "no page of another origin sets a switch");
}

#[tokio::test]
async fn no_address_secret_code_or_token_is_remembered() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    let (_, company) = sandbox.exchange("company", &code, &[]).await;
    let (access, refresh) = (text(&company, "access_token"), text(&company, "refresh_token"));
    sandbox.refresh("company", refresh, &[]).await;
    let order = json!({
        "user_input": "mika@example.org",
        "scope": "user_session",
        "tpd": { "auth_token": "the site's secret", "unique_id": "400007995-02" },
    });
    let for_user = json!({ "user_input": "mika@example.org", "scope": "user_session" });
    sandbox.post("/v1/oauth/token/create/user", access, &for_user).await;
    let (_, sso) = sandbox.post("/v1/oauth/sso/stores/company", access, &order).await;
    let sso = text(&sso["data"], "ssoToken");
    sandbox.http.get(sandbox.url(&format!("/v1/oauth/redirect/stores/{sso}"))).send().await.unwrap();
    sandbox.http.post(sandbox.url(&format!("/v1/oauth/redirect/stores/{sso}"))).send().await.unwrap();
    let new = [
        ("name", "Ida Berg"),
        ("email", "ida@example.org"),
        ("country_code", "+46"),
        ("phone", "5550100"),
        ("password", "ida-skates"),
    ];
    sandbox.submit("/signup", "", &new, &[]).await;

    let seen = format!("{:?}", sandbox.xoxoday.requests());
    let own = Settings::default();
    for secret in [
        &*code,
        access,
        refresh,
        sso,
        &own.client_secret,
        "q7Zk3n",
        "rosa-swims",
        "example.org\"",
        "rosa.alvarez",
        "mika",
        "400007995-02",
        "the site's secret",
        "Ida",
        "ida@",
        "ida-skates",
        "5550100",
    ] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    assert!(seen.contains(&own.client_id), "what is no secret can be seen");
}
