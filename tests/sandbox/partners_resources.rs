//! Partners API v1: the settings, and who may read what.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{CALLBACK, Sandbox};
use crate::partners::{API, Partners, SETTINGS, refresh_token};
use member_gateway::sandbox::daxko::Settings;

const ME: &str = "/partners/api/v1/members/me";
const RESOURCES: [&str; 3] =
    ["/partners/api/v1/members/400007995-00", "/partners/api/v1/units/400007995", SETTINGS];

fn document() -> Value {
    json!({
        "valid_redirect_uris": [CALLBACK],
        "links": { "sign_up": { "url": "https://www.example.org/join" }, "forgot_password": { "url": null } },
    })
}

#[tokio::test]
async fn d12_a_refresh_token_reads_nothing() {
    let partners = Partners::start();
    let refresh = refresh_token(&partners.grant(&[]).await);
    for bearer in [refresh, Settings::default().refresh_token] {
        for path in RESOURCES.into_iter().chain([ME]) {
            assert_eq!(partners.get(path, &bearer).await.0, StatusCode::UNAUTHORIZED, "{path}");
            let rule = "the refresh token is for the token endpoints alone";
            assert_eq!(partners.0.last().refused_by, Some(rule), "{path}");
        }
    }
}

#[tokio::test]
async fn d13_nobody_is_named_without_a_live_member_token() {
    let partners = Partners::start();
    let partner = partners.partner_token().await;
    for bearer in ["", "made-up", &partner] {
        assert_eq!(partners.get(ME, bearer).await.0, StatusCode::UNAUTHORIZED, "{bearer:?}");
    }
    let member = partners.member_token("rosa", "rosa-swims").await;
    partners.0.advance(599);
    assert_eq!(partners.get(ME, &member).await.0, StatusCode::OK);
    partners.0.advance(1);
    assert_eq!(partners.get(ME, &member).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn d14_a_member_token_reads_nothing_else() {
    let partners = Partners::start();
    let member = partners.member_token("rosa", "rosa-swims").await;
    for path in RESOURCES {
        assert_eq!(partners.get(path, &member).await.0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(partners.get(path, "").await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn d17_settings_that_were_saved_are_read_back_and_open_the_form() {
    let partners = Partners(Sandbox::with(Settings::default()));
    assert_eq!(partners.put_settings(&document()).await, StatusCode::NO_CONTENT);
    let bearer = partners.partner_token().await;
    assert_eq!(partners.get(SETTINGS, &bearer).await, (StatusCode::OK, document()));
    let page = partners.form(&[]).await.text().await.unwrap();
    assert!(page.contains("https://www.example.org/join"), "{page}");
}

#[tokio::test]
async fn d17_a_wrapped_body_or_one_that_leaves_something_out_is_refused_and_changes_nothing() {
    let partners = Partners::start();
    let bearer = partners.partner_token().await;
    let before = partners.get(SETTINGS, &bearer).await;
    let wrapped = json!({ "settings": document() });
    assert_eq!(partners.put_settings(&wrapped).await, StatusCode::BAD_REQUEST);
    for pointer in [
        "/valid_redirect_uris",
        "/links",
        "/links/sign_up",
        "/links/sign_up/url",
        "/links/forgot_password",
        "/links/forgot_password/url",
    ] {
        let mut body = document();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        assert_eq!(partners.put_settings(&body).await, StatusCode::BAD_REQUEST, "{pointer}");
    }
    let mut body = document();
    body["links"]["sign_up"]["url"] = Value::Null;
    assert_eq!(
        partners.put_settings(&body).await,
        StatusCode::BAD_REQUEST,
        "only the other link may be null"
    );
    assert_eq!(partners.get(SETTINGS, &bearer).await, before);
}

#[tokio::test]
async fn d17_a_put_replaces_everything() {
    let partners = Partners::start();
    let mut body = document();
    body["valid_redirect_uris"] = json!(["https://other.example.org/cb"]);
    assert_eq!(partners.put_settings(&body).await, StatusCode::NO_CONTENT);
    assert_eq!(partners.form(&[]).await.status(), StatusCode::BAD_REQUEST, "the old redirect URI is gone");
    let form = partners.form(&[("redirect_uri", "https://other.example.org/cb")]).await;
    assert_eq!(form.status(), StatusCode::OK);
}

#[tokio::test]
async fn each_generation_keeps_settings_of_its_own() {
    let partners = Partners(Sandbox::with(Settings::default()));
    assert_eq!(partners.put_settings(&document()).await, StatusCode::NO_CONTENT);
    assert_eq!(partners.0.form(&[]).await.status(), StatusCode::BAD_REQUEST, "v3 was never saved");
    let wrapped = json!({ "settings": {
        "valid_redirect_uris": ["https://other.example.org/cb"],
        "links": { "sign_up": { "url": "" }, "forgot_password": { "url": "" } },
    } });
    assert_eq!(partners.0.put_settings(&wrapped).await, StatusCode::NO_CONTENT);
    let bearer = partners.partner_token().await;
    assert_eq!(partners.get(SETTINGS, &bearer).await.1, document());
}

#[tokio::test]
async fn d18_members_and_units_of_another_client_are_not_found() {
    let partners = Partners::start();
    let bearer = partners.partner_token().await;
    for path in ["members/410000402-00", "units/410000402", "members/0"] {
        assert_eq!(partners.get(&format!("{API}/{path}"), &bearer).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn d19_an_inactive_member_logs_in_and_reads_as_inactive() {
    let partners = Partners::start();
    let member = partners.member_token("dele", "dele-rests").await;
    assert_eq!(partners.get(ME, &member).await.1["member_id"], "400003316-00");
    let bearer = partners.partner_token().await;
    let (_, record) = partners.get(&format!("{API}/members/400003316-00"), &bearer).await;
    assert_eq!(record["active"], false);
    let (_, unit) = partners.get(&format!("{API}/units/400003316"), &bearer).await;
    assert_eq!(unit["status"], "Inactive");
}

#[tokio::test]
async fn members_and_units_read_as_in_v3() {
    let partners = Partners::start();
    let (new, old) = (partners.partner_token().await, partners.0.client_token().await);
    for path in ["members/400007995-02", "units/400007995?include_inactive=true"] {
        let expected = partners.get(&format!("/v3/{path}"), &old).await;
        assert_eq!(expected.0, StatusCode::OK);
        assert_eq!(partners.get(&format!("{API}/{path}"), &new).await, expected, "{path}");
    }
}
