//! A running simulation, and the few requests every test needs.

use std::net::TcpListener;
use std::time::Duration;

use member_gateway::sandbox::daxko::{Account, Daxko, RecordedRequest, Settings};
use member_gateway::time::{Clock, ManualClock, UnixTime};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

pub(crate) const CALLBACK: &str = "https://members.example.org/_gateway/callback/ymca";
pub(crate) const NEIGHBOUR_CALLBACK: &str = "https://harbor.example.org/callback";
pub(crate) const SCOPE: &str = "client:4711 member:basic_info";

pub(crate) struct Sandbox {
    pub(crate) daxko: Daxko,
    pub(crate) clock: ManualClock,
    pub(crate) http: Client,
}

pub(crate) fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// A client that goes where it is told and nowhere else.
pub(crate) fn client() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .expect("a client")
}

/// The sample account with one redirect URI saved, and a second API username beside it.
pub(crate) fn settings() -> Settings {
    Settings {
        valid_redirect_uris: Some(vec![CALLBACK.into()]),
        neighbours: vec![Account {
            username: "harbor_kiosk".into(),
            password: "ffeeddccbbaa99887766554433221100".into(),
            refresh_token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.harbor.sig".into(),
            clients: vec![4712],
            valid_redirect_uris: Some(vec![NEIGHBOUR_CALLBACK.into()]),
            sign_up_url: String::new(),
            forgot_password_url: String::new(),
        }],
        ..Settings::default()
    }
}

impl Sandbox {
    pub(crate) fn start() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let clock = ManualClock::starting_at(UnixTime(1_795_300_000));
        let daxko = Daxko::serve(free_port(), settings, Clock::Manual(clock.clone())).expect("a sandbox");
        Self { daxko, clock, http: client() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.daxko.base_url())
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The rule that refused the last request.
    pub(crate) fn last(&self) -> RecordedRequest {
        self.daxko.requests().pop().expect("a request was made")
    }

    /// The form, asked for with the usual parameters after some of them were replaced; an empty value removes one.
    pub(crate) async fn form(&self, changes: &[(&str, &str)]) -> Response {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        self.raw_form(&query.extend_pairs(authorization_request(changes)).finish()).await
    }

    pub(crate) async fn raw_form(&self, query: &str) -> Response {
        self.http.get(self.url(&format!("/online/auth?{query}"))).send().await.expect("an answer")
    }

    pub(crate) async fn log_in(&self, changes: &[(&str, &str)]) -> Response {
        let mut form = vec![("username", "rosa"), ("password", "rosa-swims")];
        form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        form.extend(authorization_request(changes));
        self.http.post(self.url("/online/auth")).form(&form).send().await.expect("an answer")
    }

    /// Logs in and returns the code.
    pub(crate) async fn code(&self, changes: &[(&str, &str)]) -> String {
        query_of(&self.log_in(changes).await, "code").expect("a code")
    }

    /// A token request with a bearer, of fields; an empty value removes one.
    pub(crate) fn token_request(
        &self,
        path: &str,
        usual: &[(&str, &str)],
        changes: &[(&str, &str)],
    ) -> RequestBuilder {
        let account = Settings::default();
        let mut fields = vec![("client_id", "lakes_web"), ("client_secret", account.password.as_str())];
        fields.extend(usual);
        let request = self.http.post(self.url(path)).form(&changed(&fields, changes));
        request.bearer_auth(account.refresh_token)
    }

    pub(crate) fn exchange_request(&self, code: &str, changes: &[(&str, &str)]) -> RequestBuilder {
        let usual = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        self.token_request("/v3/partners/oauth2/members/token", &usual, changes)
    }

    pub(crate) async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        answer(self.exchange_request(code, changes)).await
    }

    pub(crate) async fn client_grant(&self, changes: &[(&str, &str)]) -> (StatusCode, Value) {
        let usual = [("grant_type", "client_credentials"), ("scope", "client:4711")];
        answer(self.token_request("/v3/partners/oauth2/token", &usual, changes)).await
    }

    pub(crate) async fn client_token(&self) -> String {
        token(&self.client_grant(&[]).await)
    }

    pub(crate) async fn member_token(&self, username: &str, password: &str) -> String {
        let code = self.code(&[("username", username), ("password", password)]).await;
        token(&self.exchange(&code, &[]).await)
    }

    pub(crate) async fn get(&self, path: &str, bearer: &str) -> (StatusCode, Value) {
        let request = self.http.get(self.url(path));
        answer(if bearer.is_empty() { request } else { request.bearer_auth(bearer) }).await
    }

    pub(crate) async fn put_settings(&self, body: &Value) -> StatusCode {
        let bearer = self.client_token().await;
        let request = self.http.put(self.url("/v3/partners/oauth2/members/settings"));
        request.bearer_auth(bearer).json(body).send().await.expect("an answer").status()
    }
}

pub(crate) fn authorization_request<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("response_type", "code"),
        ("client_id", "lakes_web"),
        ("redirect_uri", CALLBACK),
        ("scope", SCOPE),
        ("state", "q7Zk3n"),
    ];
    changed(&usual, changes)
}

pub(crate) fn changed<'a>(
    usual: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut fields = usual.to_vec();
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    fields
}

/// Status and JSON of an answer; null where there is none.
pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    (status, response.json().await.unwrap_or(Value::Null))
}

pub(crate) fn token(granted: &(StatusCode, Value)) -> String {
    assert_eq!(granted.0, StatusCode::OK, "{}", granted.1);
    granted.1["access_token"].as_str().expect("a token").to_owned()
}

pub(crate) fn location(response: &Response) -> String {
    let field = response.headers().get("location").expect("a redirect");
    field.to_str().expect("visible ASCII").to_owned()
}

/// A parameter of the address a response redirects to.
pub(crate) fn query_of(response: &Response, name: &str) -> Option<String> {
    let url = Url::parse(&location(response)).expect("an absolute address");
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

pub(crate) fn error(status: u16, code: &str, got: &(StatusCode, Value)) {
    assert_eq!((got.0.as_u16(), &got.1["error"]), (status, &json!(code)), "{}", got.1);
}
