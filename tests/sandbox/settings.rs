//! The settings of an API username.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{CALLBACK, Sandbox};
use member_gateway::sandbox::daxko::Settings;

const PATH: &str = "/v3/partners/oauth2/members/settings";

fn document() -> Value {
    json!({ "settings": {
        "valid_redirect_uris": [CALLBACK],
        "links": { "sign_up": { "url": "https://www.example.org/join" }, "forgot_password": { "url": "" } },
    } })
}

#[tokio::test]
async fn d17_settings_that_were_saved_are_read_back_and_open_the_form() {
    let sandbox = Sandbox::with(Settings::default());
    assert_eq!(sandbox.put_settings(&document()).await, StatusCode::NO_CONTENT);
    let bearer = sandbox.client_token().await;
    assert_eq!(sandbox.get(PATH, &bearer).await, (StatusCode::OK, document()));
    let page = sandbox.form(&[]).await.text().await.unwrap();
    assert!(page.contains("https://www.example.org/join"), "{page}");
}

#[tokio::test]
async fn d17_a_body_that_leaves_something_out_is_refused_and_changes_nothing() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.client_token().await;
    let before = sandbox.get(PATH, &bearer).await;
    for pointer in [
        "/settings",
        "/settings/valid_redirect_uris",
        "/settings/links",
        "/settings/links/sign_up",
        "/settings/links/sign_up/url",
        "/settings/links/forgot_password",
        "/settings/links/forgot_password/url",
    ] {
        let mut body = document();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        assert_eq!(sandbox.put_settings(&body).await, StatusCode::BAD_REQUEST, "{pointer}");
    }
    let mut body = document();
    body["settings"]["links"]["sign_up"]["url"] = Value::Null;
    assert_eq!(sandbox.put_settings(&body).await, StatusCode::BAD_REQUEST);
    assert_eq!(sandbox.get(PATH, &bearer).await, before);
}

#[tokio::test]
async fn d17_a_put_replaces_everything() {
    let sandbox = Sandbox::start();
    let mut body = document();
    body["settings"]["valid_redirect_uris"] = json!(["https://other.example.org/cb"]);
    assert_eq!(sandbox.put_settings(&body).await, StatusCode::NO_CONTENT);
    assert_eq!(sandbox.form(&[]).await.status(), StatusCode::BAD_REQUEST, "the old redirect URI is gone");
    let form = sandbox.form(&[("redirect_uri", "https://other.example.org/cb")]).await;
    assert_eq!(form.status(), StatusCode::OK);
}

#[tokio::test]
async fn settings_that_were_never_saved_read_as_empty() {
    let sandbox = Sandbox::with(Settings::default());
    let bearer = sandbox.client_token().await;
    let (status, body) = sandbox.get(PATH, &bearer).await;
    assert_eq!((status, &body["settings"]["valid_redirect_uris"]), (StatusCode::OK, &json!([])));
}

#[tokio::test]
async fn a_redirect_uri_that_is_no_uri_ends_on_a_page() {
    let sandbox = Sandbox::start();
    let mut body = document();
    body["settings"]["valid_redirect_uris"] = json!(["https://a.example/\r\nSet-Cookie: a=b"]);
    sandbox.put_settings(&body).await;
    let answer = sandbox.log_in(&[("redirect_uri", "https://a.example/\r\nSet-Cookie: a=b")]).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.headers().get("set-cookie").is_none());
}
