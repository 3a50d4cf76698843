//! Partners API v1: partner tokens, their refreshing, and the exchange of a code.

use reqwest::{StatusCode, multipart};
use serde_json::json;

use crate::harness::{NEIGHBOUR_CALLBACK, answer, error, settings, token};
use crate::partners::{API, Partners, refresh_token};
use member_gateway::sandbox::daxko::Settings;

const ROSA: &str = "/partners/api/v1/members/400007995-00";
const FORTNIGHT: u64 = 14 * 86400;

#[tokio::test]
async fn client_credentials_in_json_buy_a_partner_token_without_a_bearer() {
    let partners = Partners::start();
    let granted = partners.grant(&[]).await;
    assert_eq!(granted.0, StatusCode::OK);
    assert_eq!(granted.1["expires_in"], json!(3600), "a number");
    assert_eq!(granted.1["token_type"], "Bearer");
    assert_eq!(partners.get(ROSA, &token(&granted)).await.0, StatusCode::OK);
    assert_ne!(refresh_token(&granted), token(&granted));
}

#[tokio::test]
async fn a_partner_token_is_asked_for_in_json_alone() {
    let partners = Partners::start();
    let account = Settings::default();
    let fields = [
        ("grant_type", "client_credentials"),
        ("scope", "OPS_4711"),
        ("client_id", "lakes_web"),
        ("client_secret", &*account.password),
    ];
    let post = || partners.0.http.post(partners.0.url("/partners/auth/token"));
    error(400, "invalid_request", &answer(post().form(&fields)).await);
    let parts = fields.iter().fold(multipart::Form::new(), |form, (name, value)| {
        form.text((*name).to_owned(), (*value).to_owned())
    });
    error(400, "invalid_request", &answer(post().multipart(parts)).await);
    for body in ["", "{", "[]", "{\"grant_type\":7}"] {
        let request = post().header("content-type", "application/json").body(body);
        error(400, "invalid_request", &answer(request).await);
    }
}

#[tokio::test]
async fn a_code_buys_a_member_token_in_all_three_encodings() {
    let partners = Partners::start();
    let account = Settings::default();
    for media_type in ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"] {
        let code = partners.code(&[]).await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", crate::harness::CALLBACK),
            ("client_id", "lakes_web"),
            ("client_secret", &*account.password),
        ];
        let post = partners.0.http.post(partners.0.url("/partners/token"));
        let request = match media_type {
            "application/json" => {
                let object: serde_json::Map<_, _> =
                    fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                post.json(&object)
            }
            "multipart/form-data" => {
                post.multipart(fields.iter().fold(multipart::Form::new(), |form, (name, value)| {
                    form.text((*name).to_owned(), (*value).to_owned())
                }))
            }
            _ => post.form(&fields),
        };
        let granted = answer(request).await;
        assert_eq!(granted.1["expires_in"], json!(600), "{media_type}");
        let (status, rosa) = partners.get(&format!("{API}/members/me"), &token(&granted)).await;
        assert_eq!((status, &rosa["member_id"]), (StatusCode::OK, &json!("400007995-00")), "{media_type}");
        assert_eq!(rosa["member_unit_id"], "400007995");
    }
}

#[tokio::test]
async fn d07_another_redirect_uri_in_the_exchange_is_invalid_grant() {
    let partners = Partners::start();
    let code = partners.code(&[]).await;
    let elsewhere = "https://members.example.org/_gateway/callback/ymca/";
    error(400, "invalid_grant", &partners.exchange(&code, &[("redirect_uri", elsewhere)]).await);
    assert_eq!(partners.exchange(&code, &[]).await.0, StatusCode::OK, "the code is still unspent");
}

#[tokio::test]
async fn d08_a_code_that_was_used_is_invalid_grant() {
    let partners = Partners::start();
    let code = partners.code(&[]).await;
    assert_eq!(partners.exchange(&code, &[]).await.0, StatusCode::OK);
    error(400, "invalid_grant", &partners.exchange(&code, &[]).await);
    assert_eq!(partners.0.last().refused_by, Some("a code is used once"));
}

#[tokio::test]
async fn d08_a_code_older_than_ten_minutes_is_invalid_grant() {
    let partners = Partners::start();
    let (early, late) = (partners.code(&[]).await, partners.code(&[]).await);
    partners.0.advance(599);
    assert_eq!(partners.exchange(&early, &[]).await.0, StatusCode::OK);
    partners.0.advance(1);
    error(400, "invalid_grant", &partners.exchange(&late, &[]).await);
}

#[tokio::test]
async fn d08_a_made_up_code_is_invalid_grant() {
    let partners = Partners::start();
    error(400, "invalid_grant", &partners.exchange(&"A".repeat(43), &[]).await);
}

#[tokio::test]
async fn d08_a_code_of_another_client_id_is_invalid_grant() {
    let partners = Partners::start();
    let theirs = [
        ("client_id", "harbor_kiosk"),
        ("redirect_uri", NEIGHBOUR_CALLBACK),
        ("scope", "clientIntegrationId:OPS_4712"),
        ("username", "ines"),
        ("password", "ines-sails"),
    ];
    let code = partners.code(&theirs).await;
    error(400, "invalid_grant", &partners.exchange(&code, &[("redirect_uri", NEIGHBOUR_CALLBACK)]).await);
    assert_eq!(partners.0.last().refused_by, Some("the code was issued to another client_id"));
}

#[tokio::test]
async fn d09_a_wrong_secret_or_an_unknown_client_is_invalid_client() {
    let partners = Partners::start();
    let code = partners.code(&[]).await;
    for change in [("client_secret", "wrong"), ("client_id", "nobody"), ("client_id", "OPS_4711")] {
        error(400, "invalid_client", &partners.exchange(&code, &[change]).await);
        error(400, "invalid_client", &partners.grant(&[change]).await);
    }
}

#[tokio::test]
async fn d10_another_grant_type_is_unsupported_and_a_missing_field_invalid_request() {
    let partners = Partners::start();
    let granted = partners.grant(&[]).await;
    let code = partners.code(&[]).await;
    error(
        400,
        "unsupported_grant_type",
        &partners.exchange(&code, &[("grant_type", "client_credentials")]).await,
    );
    error(400, "unsupported_grant_type", &partners.grant(&[("grant_type", "authorization_code")]).await);
    for name in ["grant_type", "client_id", "client_secret", "code", "redirect_uri"] {
        error(400, "invalid_request", &partners.exchange(&code, &[(name, "")]).await);
    }
    for name in ["grant_type", "client_id", "client_secret", "scope"] {
        error(400, "invalid_request", &partners.grant(&[(name, "")]).await);
    }
    for name in ["grant_type", "client_id", "refresh_token"] {
        error(400, "invalid_request", &partners.refresh(&refresh_token(&granted), &[(name, "")]).await);
    }
}

#[tokio::test]
async fn d11_a_bearer_is_neither_needed_nor_minded() {
    let partners = Partners::start();
    let refresh_token = Settings::default().refresh_token;
    for bearer in ["made-up", &refresh_token, &partners.partner_token().await] {
        let code = partners.code(&[]).await;
        let request = partners.exchange_request(&code, &[]).bearer_auth(bearer);
        assert_eq!(answer(request).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn d15_an_access_token_lives_for_an_hour_and_a_new_one_works() {
    let partners = Partners::start();
    let old = partners.partner_token().await;
    partners.0.advance(3599);
    assert_eq!(partners.get(ROSA, &old).await.0, StatusCode::OK);
    partners.0.advance(1);
    assert_eq!(partners.get(ROSA, &old).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(partners.get(ROSA, &partners.partner_token().await).await.0, StatusCode::OK);
}

#[tokio::test]
async fn d16_a_client_that_is_not_granted_is_invalid_scope() {
    let partners = Partners::start();
    for scope in ["OPS_4712", "OPS_99", "OPS_", "4711", "CA_4711", "client:4711", "OPS_4711 OPS_4712"] {
        error(400, "invalid_scope", &partners.grant(&[("scope", scope)]).await);
    }
}

#[tokio::test]
async fn refreshing_takes_no_secret_and_replaces_the_refresh_token() {
    let partners = Partners::start();
    let first = partners.grant(&[]).await;
    let second = partners.refresh(&refresh_token(&first), &[]).await;
    assert_eq!((second.0, &second.1["expires_in"]), (StatusCode::OK, &json!(3600)));
    assert_eq!(partners.get(ROSA, &token(&second)).await.0, StatusCode::OK);
    assert_ne!(refresh_token(&second), refresh_token(&first));
    assert_eq!(partners.refresh(&refresh_token(&second), &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_that_was_replaced_is_401() {
    let partners = Partners::start();
    let old = refresh_token(&partners.grant(&[]).await);
    assert_eq!(partners.refresh(&old, &[]).await.0, StatusCode::OK);
    assert_eq!(partners.refresh(&old, &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(partners.0.last().refused_by, Some("a refresh token is replaced when it is used"));
}

#[tokio::test]
async fn a_refresh_token_lives_for_a_fortnight_and_refreshing_begins_another() {
    let partners = Partners::start();
    let (early, late) =
        (refresh_token(&partners.grant(&[]).await), refresh_token(&partners.grant(&[]).await));
    partners.0.advance(FORTNIGHT - 1);
    let renewed = partners.refresh(&early, &[]).await;
    assert_eq!(renewed.0, StatusCode::OK);
    partners.0.advance(1);
    assert_eq!(partners.refresh(&late, &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(partners.0.last().refused_by, Some("the refresh token has expired"));
    assert_eq!(partners.refresh(&refresh_token(&renewed), &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_serves_its_own_client_id_alone() {
    let partners = Partners::start();
    let granted = partners.grant(&[]).await;
    let ours = refresh_token(&granted);
    let neighbour = settings().neighbours.remove(0).username;
    assert_eq!(partners.refresh(&ours, &[("client_id", &neighbour)]).await.0, StatusCode::UNAUTHORIZED);
    error(400, "invalid_client", &partners.refresh(&ours, &[("client_id", "nobody")]).await);
    let v3 = Settings::default().refresh_token;
    for other in ["made-up", &v3, &token(&granted)] {
        assert_eq!(partners.refresh(other, &[]).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(partners.refresh(&ours, &[]).await.0, StatusCode::OK, "it is still unspent");
}

#[tokio::test]
async fn no_secret_or_token_is_remembered() {
    let partners = Partners::start();
    let granted = partners.grant(&[]).await;
    let refreshed = partners.refresh(&refresh_token(&granted), &[]).await;
    let member = partners.member_token("rosa", "rosa-swims").await;
    partners.get(&format!("{API}/members/me"), &member).await;
    let seen = format!("{:?}", partners.0.daxko.requests());
    for secret in [
        &token(&granted),
        &refresh_token(&granted),
        &token(&refreshed),
        &refresh_token(&refreshed),
        &member,
        &Settings::default().password,
    ] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    assert!(seen.contains("OPS_4711"), "what is no secret can be seen");
}
