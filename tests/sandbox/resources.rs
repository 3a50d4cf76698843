//! Who may read what.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Sandbox, answer};
use member_gateway::sandbox::daxko::Settings;

const RESOURCES: [&str; 3] =
    ["/v3/members/400007995-00", "/v3/units/400007995", "/v3/partners/oauth2/members/settings"];

#[tokio::test]
async fn a_member_token_says_who_logged_in() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.member_token("rosa", "rosa-swims").await;
    let rosa = json!({
        "member_id": "400007995-00",
        "member_unit_id": "400007995",
        "name": { "first_name": "Rosa", "last_name": "Alvarez" },
    });
    assert_eq!(sandbox.get("/v3/members/me", &bearer).await, (StatusCode::OK, rosa));
}

#[tokio::test]
async fn a_member_may_have_no_last_name() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.member_token("mika", "mika-climbs").await;
    let (_, mika) = sandbox.get("/v3/members/me", &bearer).await;
    assert_eq!(mika["name"], json!({ "first_name": "Mika" }));
}

#[tokio::test]
async fn d12_the_refresh_token_reads_nothing() {
    let sandbox = Sandbox::start();
    let refresh_token = Settings::default().refresh_token;
    for path in RESOURCES.into_iter().chain(["/v3/members/me"]) {
        assert_eq!(sandbox.get(path, &refresh_token).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn d13_without_a_bearer_nobody_is_named() {
    let sandbox = Sandbox::start();
    let request = sandbox.http.get(sandbox.url("/v3/members/me"));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    for path in RESOURCES {
        assert_eq!(sandbox.get(path, "").await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn d13_a_member_token_expires_after_ten_minutes() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.member_token("rosa", "rosa-swims").await;
    sandbox.advance(599);
    assert_eq!(sandbox.get("/v3/members/me", &bearer).await.0, StatusCode::OK);
    sandbox.advance(1);
    assert_eq!(sandbox.get("/v3/members/me", &bearer).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn d13_a_client_scoped_token_names_nobody() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.client_token().await;
    assert_eq!(sandbox.get("/v3/members/me", &bearer).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn d14_a_member_token_reads_nothing_else() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.member_token("rosa", "rosa-swims").await;
    for path in RESOURCES {
        assert_eq!(sandbox.get(path, &bearer).await.0, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn d18_members_and_units_of_another_client_are_not_found() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.client_token().await;
    for path in ["/v3/members/410000402-00", "/v3/units/410000402", "/v3/members/0", "/v3/units/0"] {
        assert_eq!(sandbox.get(path, &bearer).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn d19_an_inactive_member_logs_in_and_reads_as_inactive() {
    let sandbox = Sandbox::start();
    let member = sandbox.member_token("dele", "dele-rests").await;
    let (_, dele) = sandbox.get("/v3/members/me", &member).await;
    assert_eq!(dele["member_id"], "400003316-00");
    let bearer = sandbox.client_token().await;
    let (_, record) = sandbox.get("/v3/members/400003316-00", &bearer).await;
    assert_eq!(record["active"], false);
    let (_, unit) = sandbox.get("/v3/units/400003316?include_inactive=true", &bearer).await;
    assert_eq!((&unit["status"], &unit["members"][0]["active"]), (&json!("Inactive"), &json!(false)));
    let (_, unit) = sandbox.get("/v3/units/400003316?include_inactive=false", &bearer).await;
    assert_eq!(unit["members"], json!([]));
}

#[tokio::test]
async fn an_active_household_reads_as_active() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.client_token().await;
    let (_, unit) = sandbox.get("/v3/units/400007995", &bearer).await;
    assert_eq!((&unit["status"], &unit["number_of_members"]), (&json!("Active"), &json!(3)));
    assert_eq!(unit["members"][0]["is_primary_member"], true);
    let (_, rosa) = sandbox.get("/v3/members/400007995-00", &bearer).await;
    let (_, jin) = sandbox.get("/v3/members/400007995%2D01", &bearer).await;
    assert_eq!(rosa["active"], true);
    assert_eq!(rosa["emails"], jin["emails"], "two of the household share an address");
}

#[tokio::test]
async fn another_method_or_path_is_said_to_be_so() {
    let sandbox = Sandbox::start();
    let post = sandbox.http.post(sandbox.url("/v3/members/me")).send().await.unwrap();
    assert_eq!(
        (post.status(), &post.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET".parse().unwrap())
    );
    let get = sandbox.http.get(sandbox.url("/v3/partners/oauth2/token")).send().await.unwrap();
    assert_eq!(
        (get.status(), &get.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
    for path in ["/", "/v3/members/", "/v3/members/a/b", "/v3/members/%ff", "//v3/members/me"] {
        let (status, _) = answer(sandbox.http.get(sandbox.url(path))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}
