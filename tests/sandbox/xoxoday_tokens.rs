//! Xoxoday: the token endpoints of both grants.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{answer, error};
use crate::xoxoday::{CALLBACK, NEIGHBOUR, NEIGHBOUR_CALLBACK, Sandbox, text};
use member_gateway::sandbox::xoxoday::{ExpiresIn, OldRefreshToken, ResponseShape, Settings, Switches};

const HOUR: u64 = 3600;
const DAY: u64 = 86400;

fn inside(access_token: &str) -> Value {
    let decoded = STANDARD.decode(access_token).expect("standard base64");
    serde_json::from_slice(&decoded).expect("JSON")
}

#[tokio::test]
async fn a_code_buys_a_pair_of_the_documented_form() {
    let pair = Sandbox::start().pair("company").await;
    assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("bearer"), &json!(30 * DAY)));
    let refresh_token = text(&pair, "refresh_token");
    assert!(refresh_token.len() == 40 && refresh_token.bytes().all(|it| it.is_ascii_hexdigit()));
    let token = inside(text(&pair, "access_token"));
    assert_eq!(token["tokenContent"]["issuedFor"], "A club that does not exist");
    assert_eq!(token["tokenContent"]["token_type"], "COMPANY");
    assert_eq!(token["tokenContent"]["issuedAt"], json!(1_795_300_000_000_u64));
    assert_eq!(token["tokenContent"]["expiresAt"], "2026-12-21T22:26:40.000Z");
    assert_eq!(text(&token, "a_t").len(), 40);
    assert!(!token.to_string().contains("rosa"), "no user is inside");
}

#[tokio::test]
async fn the_newer_shape_says_when_both_tokens_expire() {
    let shape = Switches { response_shape: ResponseShape::New, ..Switches::default() };
    let sandbox = Sandbox::switched(shape);
    let pair = sandbox.pair("user").await;
    let at = |days: u64| json!(((1_795_300_000 + days * DAY) * 1000).to_string());
    assert_eq!((&pair["access_token_expiry"], &pair["refresh_token_expiry"]), (&at(15), &at(30)));
    let token = inside(text(&pair, "access_token"));
    assert_eq!(token["tokenContent"]["token_type"], "USER");
    assert!(
        token["tokenContent"]["expiresAt"].is_u64() && text(&token, "a_t").split('.').count() == 5,
        "{token}"
    );
    let (_, valid) = sandbox.validate(text(&pair, "access_token")).await;
    assert_eq!(valid["refresh_token_expiry"], at(30));
}

#[tokio::test]
async fn expires_in_may_be_a_string() {
    let sandbox = Sandbox::switched(Switches { expires_in: ExpiresIn::String, ..Switches::default() });
    assert_eq!(sandbox.pair("user").await["expires_in"], json!((15 * DAY).to_string()));
}

#[tokio::test]
async fn a_body_is_read_as_json_whatever_its_media_type_says() {
    let sandbox = Sandbox::start();
    let own = Settings::default();
    for media_type in
        [None, Some("application/x-www-form-urlencoded"), Some("text/plain"), Some("application/json")]
    {
        let code = sandbox.code(&[]).await;
        let body = json!({
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": own.client_id,
            "client_secret": own.client_secret,
        });
        let mut request = sandbox.http.post(sandbox.url("/v1/oauth/token/company")).body(body.to_string());
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        assert_eq!(answer(request).await.0, StatusCode::OK, "{media_type:?}");
    }
}

#[tokio::test]
async fn x02_the_exchange_takes_a_registered_url_and_not_only_its_domain() {
    let sandbox = Sandbox::start();
    for uri in
        ["https://members.example.org/elsewhere", "https://MEMBERS.example.org/_gateway/callback/rewards"]
    {
        let change = ("redirect_uri", uri);
        let code = sandbox.code(&[change]).await;
        error(400, "invalid_grant", &sandbox.exchange("company", &code, &[change]).await);
        assert_eq!(
            sandbox.last().refused_by,
            Some("the redirect_uri is a registered one, and not only its domain")
        );
    }
}

#[tokio::test]
async fn x07_a_code_that_was_used_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    assert_eq!(sandbox.exchange("company", &code, &[]).await.0, StatusCode::OK);
    error(400, "invalid_grant", &sandbox.exchange("company", &code, &[]).await);
    error(400, "invalid_grant", &sandbox.exchange("user", &code, &[]).await);
    assert_eq!(sandbox.last().refused_by, Some("a code is used once"));
}

#[tokio::test]
async fn x07_a_code_older_than_five_minutes_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let (early, late) = (sandbox.code(&[]).await, sandbox.code(&[]).await);
    sandbox.advance(299);
    assert_eq!(sandbox.exchange("company", &early, &[]).await.0, StatusCode::OK);
    sandbox.advance(1);
    error(400, "invalid_grant", &sandbox.exchange("company", &late, &[]).await);
    assert_eq!(sandbox.last().refused_by, Some("the code has expired"));
}

#[tokio::test]
async fn x07_a_made_up_code_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    error(400, "invalid_grant", &sandbox.exchange("company", &code[1..], &[]).await);
    error(400, "invalid_grant", &sandbox.exchange("user", &"0".repeat(32), &[]).await);
}

#[tokio::test]
async fn x07_a_code_of_another_client_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let theirs = [("client_id", NEIGHBOUR), ("redirect_uri", NEIGHBOUR_CALLBACK), ("scope", "user_session")];
    let code = sandbox.code(&theirs).await;
    let change = [("redirect_uri", NEIGHBOUR_CALLBACK)];
    error(400, "invalid_grant", &sandbox.exchange("company", &code, &change).await);
    assert_eq!(sandbox.last().refused_by, Some("the code was issued to another client_id"));
}

#[tokio::test]
async fn x08_another_redirect_uri_than_the_authorization_requests_is_invalid_grant() {
    let sandbox = Sandbox::with(Settings {
        redirect_uris: vec![CALLBACK.into(), format!("{CALLBACK}/2")],
        ..Settings::default()
    });
    let code = sandbox.code(&[]).await;
    let other = [("redirect_uri", "https://members.example.org/_gateway/callback/rewards/2")];
    error(400, "invalid_grant", &sandbox.exchange("company", &code, &other).await);
    let spent = sandbox.exchange("company", &code, &[]).await;
    assert_eq!(spent.0, StatusCode::OK, "a refused exchange leaves the code unspent");
}

#[tokio::test]
async fn x09_a_wrong_secret_or_an_unknown_client_is_unauthorized() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    let pair = sandbox.pair("company").await;
    for change in [("client_secret", "wrong"), ("client_id", "nobody"), ("client_id", NEIGHBOUR)] {
        error(401, "unauthorized_client", &sandbox.exchange("company", &code, &[change]).await);
        error(
            401,
            "unauthorized_client",
            &sandbox.refresh("company", text(&pair, "refresh_token"), &[change]).await,
        );
    }
}

#[tokio::test]
async fn x10_a_missing_field_is_invalid_request() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    for name in ["grant_type", "client_id", "client_secret", "code", "redirect_uri"] {
        error(400, "invalid_request", &sandbox.exchange("company", &code, &[(name, "")]).await);
    }
    for name in ["grant_type", "client_id", "client_secret", "refresh_token"] {
        error(400, "invalid_request", &sandbox.refresh("user", "any", &[(name, "")]).await);
    }
}

#[tokio::test]
async fn x10_a_body_that_is_no_json_is_invalid_request() {
    let sandbox = Sandbox::start();
    for body in
        ["", "{", "[]", "null", "{\"grant_type\":7}", "grant_type=authorization_code", "\u{0}\u{fffd}"]
    {
        let request = sandbox.http.post(sandbox.url("/v1/oauth/token/company")).body(body);
        error(400, "invalid_request", &answer(request).await);
    }
}

#[tokio::test]
async fn x10_another_grant_type_is_unsupported() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    for grant_type in ["client_credentials", "password", "Authorization_Code"] {
        let got = sandbox.exchange("company", &code, &[("grant_type", grant_type)]).await;
        error(400, "unsupported_grant_type", &got);
    }
}

#[tokio::test]
async fn x11_a_company_grant_for_a_code_without_user_session_is_invalid_scope() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[("scope", "profile_read")]).await;
    error(400, "invalid_scope", &sandbox.exchange("company", &code, &[]).await);
    assert_eq!(sandbox.exchange("user", &code, &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn x12_another_last_segment_is_not_found() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    for segment in ["bearer", "Company", "", "company/", "create"] {
        assert_eq!(sandbox.exchange(segment, &code, &[]).await.0, StatusCode::NOT_FOUND, "{segment:?}");
    }
}

#[tokio::test]
async fn x13_a_users_response_names_nobody_and_a_companys_the_address_as_typed() {
    for response_shape in [ResponseShape::Old, ResponseShape::New] {
        let sandbox = Sandbox::switched(Switches { response_shape, ..Switches::default() });
        assert_eq!(sandbox.pair("user").await.get("email"), None);
        let cookies = sandbox.log_in(1).await;
        let allowed = sandbox.decide(&cookies, "allow", &[]).await;
        let code = crate::harness::query_of(&allowed, "code").unwrap();
        let (_, company) = sandbox.exchange("company", &code, &[]).await;
        assert_eq!(company["email"], "Jin.Kim@Example.org", "its case is kept");
    }
}

#[tokio::test]
async fn a_refresh_buys_a_new_pair_without_an_address() {
    let sandbox = Sandbox::start();
    for (grant, days) in [("company", 30), ("user", 15)] {
        let pair = sandbox.pair(grant).await;
        sandbox.advance(DAY);
        let (status, new) = sandbox.refresh(grant, text(&pair, "refresh_token"), &[]).await;
        assert_eq!((status, new.get("email")), (StatusCode::OK, None));
        assert_eq!(new["expires_in"], json!(days * DAY));
        for token in ["access_token", "refresh_token"] {
            assert_ne!(text(&new, token), text(&pair, token));
        }
        let (status, old) = sandbox.validate(text(&pair, "access_token")).await;
        assert_eq!(status, StatusCode::OK, "the old access token lives until its own expiry");
        assert_eq!(old["expires_in"], json!((days - 1) * DAY));
    }
}

#[tokio::test]
async fn x16_a_replaced_refresh_token_works_for_six_more_hours() {
    let sandbox = Sandbox::start();
    let pair = sandbox.pair("company").await;
    let old = text(&pair, "refresh_token");
    assert_eq!(sandbox.refresh("company", old, &[]).await.0, StatusCode::OK);
    sandbox.advance(6 * HOUR - 1);
    assert_eq!(sandbox.refresh("company", old, &[]).await.0, StatusCode::OK);
    sandbox.advance(1);
    error(401, "invalid_token", &sandbox.refresh("company", old, &[]).await);
}

#[tokio::test]
async fn x16_a_replaced_refresh_token_is_dead_at_once_where_the_switch_says_so() {
    let dead = Switches { old_refresh_token: OldRefreshToken::Dead, ..Switches::default() };
    let sandbox = Sandbox::switched(dead);
    let pair = sandbox.pair("user").await;
    let old = text(&pair, "refresh_token");
    let (status, new) = sandbox.refresh("user", old, &[]).await;
    assert_eq!(status, StatusCode::OK);
    error(401, "invalid_token", &sandbox.refresh("user", old, &[]).await);
    assert_eq!(sandbox.refresh("user", text(&new, "refresh_token"), &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn x16_a_refresh_token_that_expired_or_is_not_for_this_is_invalid_token() {
    let sandbox = Sandbox::start();
    let pair = sandbox.pair("user").await;
    let token = text(&pair, "refresh_token");
    let theirs = [("client_id", NEIGHBOUR), ("client_secret", "harbor-secret")];
    error(401, "invalid_token", &sandbox.refresh("user", token, &theirs).await);
    error(401, "invalid_token", &sandbox.refresh("company", token, &[]).await);
    error(401, "invalid_token", &sandbox.refresh("user", text(&pair, "access_token"), &[]).await);
    error(401, "invalid_token", &sandbox.refresh("user", "made-up", &[]).await);
    sandbox.advance(30 * DAY);
    error(401, "invalid_token", &sandbox.refresh("user", token, &[]).await);
}

#[tokio::test]
async fn x17_the_eleventh_pair_of_a_client_ends_the_oldest() {
    let sandbox = Sandbox::start();
    let mut pairs = Vec::new();
    for number in 0..10 {
        pairs.push(sandbox.pair(if number % 2 == 0 { "company" } else { "user" }).await);
    }
    let theirs = [("client_id", NEIGHBOUR), ("redirect_uri", NEIGHBOUR_CALLBACK), ("scope", "user_session")];
    let code = sandbox.code(&theirs).await;
    let change =
        [("redirect_uri", NEIGHBOUR_CALLBACK), ("client_id", NEIGHBOUR), ("client_secret", "harbor-secret")];
    assert_eq!(sandbox.exchange("user", &code, &change).await.0, StatusCode::OK);
    for pair in &pairs {
        let (status, _) = sandbox.validate(text(pair, "access_token")).await;
        assert_eq!(status, StatusCode::OK, "ten pairs live, whatever other clients do");
    }

    sandbox.pair("company").await;
    error(401, "invalid_token", &sandbox.validate(text(&pairs[0], "access_token")).await);
    error(401, "invalid_token", &sandbox.refresh("company", text(&pairs[0], "refresh_token"), &[]).await);
    assert_eq!(sandbox.validate(text(&pairs[1], "access_token")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn x17_a_pair_that_was_replaced_is_none_of_the_ten() {
    let sandbox = Sandbox::start();
    let first = sandbox.pair("company").await;
    for _ in 0..8 {
        sandbox.pair("company").await;
    }
    let last = sandbox.pair("company").await;
    assert_eq!(sandbox.refresh("company", text(&last, "refresh_token"), &[]).await.0, StatusCode::OK);
    assert_eq!(sandbox.validate(text(&first, "access_token")).await.0, StatusCode::OK);
    assert_eq!(sandbox.validate(text(&last, "access_token")).await.0, StatusCode::OK);
}
