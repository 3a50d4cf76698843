//! The two token endpoints.

use reqwest::StatusCode;
use reqwest::multipart;
use serde_json::json;

use crate::harness::{NEIGHBOUR_CALLBACK, Sandbox, answer, error, settings, token};
use member_gateway::sandbox::daxko::Settings;

#[tokio::test]
async fn a_code_buys_a_member_token() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    let (status, granted) = sandbox.exchange(&code, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(granted["expires_in"], json!("600"), "a string, as in the tutorials");
    assert_eq!(granted["token_type"], "bearer");
}

#[tokio::test]
async fn client_credentials_buy_a_client_scoped_token() {
    let (status, granted) = Sandbox::start().client_grant(&[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(granted["expires_in"], json!("86400"));
}

#[tokio::test]
async fn all_three_encodings_of_a_body_are_read() {
    let sandbox = Sandbox::start();
    let account = Settings::default();
    let post =
        || sandbox.http.post(sandbox.url("/v3/partners/oauth2/token")).bearer_auth(&account.refresh_token);
    let fields = [
        ("grant_type", "client_credentials"),
        ("scope", "client:4711"),
        ("client_id", "lakes_web"),
        ("client_secret", &*account.password),
    ];
    let parts = fields.iter().fold(multipart::Form::new(), |form, (name, value)| {
        form.text((*name).to_owned(), (*value).to_owned())
    });
    let object: serde_json::Map<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();

    for (media_type, request) in [
        ("multipart/form-data", post().multipart(parts)),
        ("application/x-www-form-urlencoded", post().form(&fields)),
        ("application/json", post().json(&object)),
    ] {
        assert_eq!(answer(request).await.0, StatusCode::OK, "{media_type}");
        assert_eq!(sandbox.last().media_type, media_type);
    }
}

#[tokio::test]
async fn d07_another_redirect_uri_in_the_exchange_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    let elsewhere = "https://members.example.org/_gateway/callback/ymca/";
    error(400, "invalid_grant", &sandbox.exchange(&code, &[("redirect_uri", elsewhere)]).await);
    assert_eq!(
        sandbox.exchange(&code, &[]).await.0,
        StatusCode::OK,
        "a refused exchange leaves the code unspent"
    );
}

#[tokio::test]
async fn d08_a_code_that_was_used_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    assert_eq!(sandbox.exchange(&code, &[]).await.0, StatusCode::OK);
    error(400, "invalid_grant", &sandbox.exchange(&code, &[]).await);
    assert_eq!(sandbox.last().refused_by, Some("a code is used once"));
}

#[tokio::test]
async fn d08_a_code_older_than_ten_minutes_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let (early, late) = (sandbox.code(&[]).await, sandbox.code(&[]).await);
    sandbox.advance(599);
    assert_eq!(sandbox.exchange(&early, &[]).await.0, StatusCode::OK);
    sandbox.advance(1);
    error(400, "invalid_grant", &sandbox.exchange(&late, &[]).await);
    assert_eq!(sandbox.last().refused_by, Some("the code has expired"));
}

#[tokio::test]
async fn d08_a_made_up_code_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    error(400, "invalid_grant", &sandbox.exchange(&code[1..], &[]).await);
    error(400, "invalid_grant", &sandbox.exchange(&"A".repeat(43), &[]).await);
}

#[tokio::test]
async fn d08_a_code_of_another_client_id_is_invalid_grant() {
    let sandbox = Sandbox::start();
    let theirs = [
        ("client_id", "harbor_kiosk"),
        ("redirect_uri", NEIGHBOUR_CALLBACK),
        ("scope", "client:4712 member:basic_info"),
        ("username", "ines"),
        ("password", "ines-sails"),
    ];
    let code = sandbox.code(&theirs).await;
    error(400, "invalid_grant", &sandbox.exchange(&code, &[("redirect_uri", NEIGHBOUR_CALLBACK)]).await);
    assert_eq!(sandbox.last().refused_by, Some("the code was issued to another client_id"));
}

#[tokio::test]
async fn d09_a_wrong_secret_or_an_unknown_client_is_invalid_client() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    for change in [("client_secret", "wrong"), ("client_id", "nobody"), ("client_id", "4711")] {
        error(400, "invalid_client", &sandbox.exchange(&code, &[change]).await);
        error(400, "invalid_client", &sandbox.client_grant(&[change]).await);
    }
}

#[tokio::test]
async fn d10_another_grant_type_is_unsupported() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    let other = &[("grant_type", "client_credentials")];
    error(400, "unsupported_grant_type", &sandbox.exchange(&code, other).await);
    let other = &[("grant_type", "authorization_code")];
    error(400, "unsupported_grant_type", &sandbox.client_grant(other).await);
}

#[tokio::test]
async fn d10_a_missing_field_is_invalid_request() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    for name in ["grant_type", "client_id", "client_secret", "code", "redirect_uri"] {
        error(400, "invalid_request", &sandbox.exchange(&code, &[(name, "")]).await);
    }
    for name in ["grant_type", "client_id", "client_secret", "scope"] {
        error(400, "invalid_request", &sandbox.client_grant(&[(name, "")]).await);
    }
    assert_eq!(sandbox.exchange(&code, &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn d10_a_body_that_cannot_be_read_is_invalid_request() {
    let sandbox = Sandbox::start();
    let account = Settings::default();
    for (media_type, body) in [
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "{\"grant_type\":7}"),
        ("multipart/form-data", "--b\r\n"),
        ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx"),
        ("text/plain", "grant_type=client_credentials"),
        ("application/x-www-form-urlencoded", "grant_type=client_credentials&grant_type=client_credentials"),
    ] {
        let post =
            sandbox.http.post(sandbox.url("/v3/partners/oauth2/token")).bearer_auth(&account.refresh_token);
        error(400, "invalid_request", &answer(post.header("content-type", media_type).body(body)).await);
    }
}

#[tokio::test]
async fn d11_a_token_request_without_the_refresh_token_is_401() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    let (client, member) = (sandbox.client_token().await, sandbox.member_token("jin", "jin-rows").await);
    let usual = [("grant_type", "client_credentials"), ("scope", "client:4711")];
    for bearer in ["", "made-up", &client, &member] {
        for request in [
            sandbox.exchange_request(&code, &[]),
            sandbox.token_request("/v3/partners/oauth2/token", &usual, &[]),
        ] {
            let mut request = request.build().unwrap();
            request.headers_mut().remove("authorization");
            if !bearer.is_empty() {
                request.headers_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
            }
            let answer = sandbox.http.execute(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{bearer:?}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(sandbox.exchange(&code, &[]).await.0, StatusCode::OK, "the code is still unspent");
}

#[tokio::test]
async fn d11_the_refresh_token_of_another_username_is_401() {
    let sandbox = Sandbox::start();
    let neighbour = settings().neighbours.remove(0);
    let theirs = [("client_id", &*neighbour.username), ("client_secret", &*neighbour.password)];
    let (status, _) = sandbox.client_grant(&theirs).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn d15_a_client_scoped_token_lives_for_a_day_and_a_new_one_works() {
    let sandbox = Sandbox::start();
    let old = sandbox.client_token().await;
    sandbox.advance(86399);
    assert_eq!(sandbox.get("/v3/members/400007995-00", &old).await.0, StatusCode::OK);
    sandbox.advance(1);
    assert_eq!(sandbox.get("/v3/members/400007995-00", &old).await.0, StatusCode::UNAUTHORIZED);
    let new = sandbox.client_token().await;
    assert_eq!(sandbox.get("/v3/members/400007995-00", &new).await.0, StatusCode::OK);
}

#[tokio::test]
async fn d16_a_client_that_is_not_granted_is_invalid_scope() {
    let sandbox = Sandbox::start();
    for scope in ["client:4712", "client:99", "client:", "member:basic_info", "client:4711 client:4712"] {
        error(400, "invalid_scope", &sandbox.client_grant(&[("scope", scope)]).await);
    }
}

#[tokio::test]
async fn no_secret_code_or_token_is_remembered() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    let member = token(&sandbox.exchange(&code, &[]).await);
    sandbox.get("/v3/members/me", &member).await;
    let seen = format!("{:?}", sandbox.daxko.requests());
    let account = Settings::default();
    for secret in [&code, &member, &account.password, &account.refresh_token, "rosa-swims", "q7Zk3n"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    assert!(seen.contains("lakes_web"), "what is no secret can be seen");
}
