//! Partners API v1: what its tests share, and the case of each generation that is none of the other's business.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::harness::{CALLBACK, Sandbox, answer, authorization_request, changed, query_of, token};
use member_gateway::sandbox::daxko::Settings;

pub(crate) const SCOPE: &str = "clientIntegrationId:OPS_4711";
pub(crate) const API: &str = "/partners/api/v1";
pub(crate) const SETTINGS: &str = "/partners/api/v1/partners/oauth2/members/settings";

/// The same sandbox, asked in the way of the newer API.
pub(crate) struct Partners(pub(crate) Sandbox);

impl Partners {
    pub(crate) fn start() -> Self {
        Self(Sandbox::start())
    }

    /// The form, asked for with the usual parameters after some of them were replaced; an empty value removes one.
    pub(crate) async fn form(&self, changes: &[(&str, &str)]) -> Response {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(changed(&authorization_request(&[("scope", SCOPE)]), changes))
            .finish();
        self.raw_form(&query).await
    }

    pub(crate) async fn raw_form(&self, query: &str) -> Response {
        let url = self.0.url(&format!("/partners/authorize?{query}"));
        self.0.http.get(url).send().await.expect("an answer")
    }

    pub(crate) async fn log_in(&self, changes: &[(&str, &str)]) -> Response {
        let mut usual = authorization_request(&[("scope", SCOPE)]);
        usual.extend([("username", "rosa"), ("password", "rosa-swims")]);
        let request = self.0.http.post(self.0.url("/partners/authorize")).form(&changed(&usual, changes));
        request.send().await.expect("an answer")
    }

    pub(crate) async fn code(&self, changes: &[(&str, &str)]) -> String {
        query_of(&self.log_in(changes).await, "code").expect("a code")
    }

    /// The exchange, without a bearer.
    pub(crate) fn exchange_request(&self, code: &str, changes: &[(&str, &str)]) -> RequestBuilder {
        let account = Settings::default();
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("client_id", "lakes_web"),
            ("client_secret", &*account.password),
        ];
        self.0.http.post(self.0.url("/partners/token")).form(&changed(&usual, changes))
    }

    pub(crate) async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        answer(self.exchange_request(code, changes)).await
    }

    pub(crate) async fn member_token(&self, username: &str, password: &str) -> String {
        let code = self.code(&[("username", username), ("password", password)]).await;
        token(&self.exchange(&code, &[]).await)
    }

    /// A request to the endpoint of partner tokens, in JSON.
    async fn partner_request(&self, usual: &[(&str, &str)], changes: &[(&str, &str)]) -> (StatusCode, Value) {
        let fields = changed(usual, changes).into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
        let body: serde_json::Map<_, _> = fields.collect();
        answer(self.0.http.post(self.0.url("/partners/auth/token")).json(&body)).await
    }

    pub(crate) async fn grant(&self, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        let account = Settings::default();
        let usual = [
            ("client_id", "lakes_web"),
            ("client_secret", &*account.password),
            ("scope", "OPS_4711"),
            ("grant_type", "client_credentials"),
        ];
        self.partner_request(&usual, changes).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        let usual =
            [("client_id", "lakes_web"), ("refresh_token", refresh_token), ("grant_type", "refresh_token")];
        self.partner_request(&usual, changes).await
    }

    pub(crate) async fn partner_token(&self) -> String {
        token(&self.grant(&[]).await)
    }

    pub(crate) async fn get(&self, path: &str, bearer: &str) -> (StatusCode, Value) {
        self.0.get(path, bearer).await
    }

    pub(crate) async fn put_settings(&self, body: &Value) -> StatusCode {
        let request = self.0.http.put(self.0.url(SETTINGS)).bearer_auth(self.partner_token().await);
        request.json(body).send().await.expect("an answer").status()
    }
}

pub(crate) fn refresh_token(granted: &(StatusCode, Value)) -> String {
    granted.1["refresh_token"].as_str().expect("a refresh token").to_owned()
}

#[tokio::test]
async fn both_generations_sign_the_same_member_in_side_by_side() {
    let partners = Partners::start();
    let new = partners.member_token("jin", "jin-rows").await;
    let old = partners.0.member_token("jin", "jin-rows").await;
    let (status, jin) = partners.get(&format!("{API}/members/me"), &new).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(jin["member_id"], "400007995-01");
    assert_eq!(partners.0.get("/v3/members/me", &old).await, (status, jin));
}

#[tokio::test]
async fn a_code_of_one_generation_is_worth_nothing_in_the_other() {
    let partners = Partners::start();
    let (new, old) = (partners.code(&[]).await, partners.0.code(&[]).await);
    for got in [partners.0.exchange(&new, &[]).await, partners.exchange(&old, &[]).await] {
        crate::harness::error(400, "invalid_grant", &got);
    }
}

#[tokio::test]
async fn a_token_of_one_generation_reads_nothing_of_the_other() {
    let partners = Partners::start();
    let (new, old) = (partners.partner_token().await, partners.0.client_token().await);
    for path in ["members/400007995-00", "units/400007995", "partners/oauth2/members/settings"] {
        assert_eq!(partners.get(&format!("{API}/{path}"), &old).await.0, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(partners.get(&format!("/v3/{path}"), &new).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    let member = partners.member_token("rosa", "rosa-swims").await;
    assert_eq!(partners.get("/v3/members/me", &member).await.0, StatusCode::UNAUTHORIZED);
    let member = partners.0.member_token("rosa", "rosa-swims").await;
    assert_eq!(partners.get(&format!("{API}/members/me"), &member).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_method_or_path_is_said_to_be_so() {
    let partners = Partners::start();
    for (path, allowed) in
        [("/partners/token", "POST"), ("/partners/auth/token", "POST"), ("/partners/authorize", "GET, POST")]
    {
        let answer = partners.0.http.delete(partners.0.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.headers()["allow"], allowed, "{path}");
    }
    for path in
        ["/partners/", "/partners/api/members/me", "/partners/api/v1/units/", "/partners/v3/members/me"]
    {
        assert_eq!(partners.get(path, "").await.0, StatusCode::NOT_FOUND, "{path}");
    }
}
