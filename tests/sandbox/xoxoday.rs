//! A running simulation of Xoxoday, and the few requests every test of it needs.

use std::time::Duration;

use member_gateway::sandbox::xoxoday::{Client, RecordedRequest, Settings, Switches, Xoxoday};
use member_gateway::time::{Clock, ManualClock, UnixTime};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::harness::{answer, changed, client, free_port, query_of};

pub(crate) const CALLBACK: &str = "https://members.example.org/_gateway/callback/rewards";
pub(crate) const NEIGHBOUR_CALLBACK: &str = "https://harbor.example.org/callback";
pub(crate) const NEIGHBOUR: &str = "00112233445566778899aabbccddeeff";

pub(crate) struct Sandbox {
    pub(crate) xoxoday: Xoxoday,
    pub(crate) clock: ManualClock,
    pub(crate) http: reqwest::Client,
}

/// The sample client with one redirect URI and a third scope registered, and a second client beside it.
pub(crate) fn settings() -> Settings {
    let scopes = ["user_session", "company_session", "profile_read"].map(str::to_owned);
    Settings {
        redirect_uris: vec![CALLBACK.into()],
        scopes: scopes.to_vec(),
        neighbours: vec![Client {
            client_id: NEIGHBOUR.into(),
            client_secret: "harbor-secret".into(),
            company: "Harbor".into(),
            redirect_uris: vec![NEIGHBOUR_CALLBACK.into()],
            scopes: vec!["user_session".into()],
        }],
        ..Settings::default()
    }
}

impl Sandbox {
    pub(crate) fn start() -> Self {
        Self::with(settings())
    }

    pub(crate) fn switched(switches: Switches) -> Self {
        Self::with(Settings { switches, ..settings() })
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let clock = ManualClock::starting_at(UnixTime(1_795_300_000));
        let xoxoday = Xoxoday::serve(free_port(), settings, Clock::Manual(clock.clone())).expect("a sandbox");
        Self { xoxoday, clock, http: client() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/chef{path}", self.xoxoday.base_url())
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The rule that refused the last request.
    pub(crate) fn last(&self) -> RecordedRequest {
        self.xoxoday.requests().pop().expect("a request was made")
    }

    /// The authorization request of a browser with these cookies; an empty value removes a parameter.
    pub(crate) async fn authorize(&self, cookies: &str, changes: &[(&str, &str)]) -> Response {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(authorization_request(changes)).finish();
        self.raw_authorize(cookies, &query).await
    }

    pub(crate) async fn raw_authorize(&self, cookies: &str, query: &str) -> Response {
        let request = self.http.get(self.url(&format!("/v1/oauth/authorize?{query}")));
        request.header("cookie", cookies).send().await.expect("an answer")
    }

    /// Sends a form, with the authorization request it carries along.
    pub(crate) async fn submit(
        &self,
        path: &str,
        cookies: &str,
        fields: &[(&str, &str)],
        changes: &[(&str, &str)],
    ) -> Response {
        let mut form = authorization_request(changes);
        form.extend(fields);
        let request = self.http.post(self.url(path)).header("cookie", cookies).form(&form);
        request.send().await.expect("an answer")
    }

    /// Logs a sample account in and returns the browser's cookies.
    pub(crate) async fn log_in(&self, place: usize) -> String {
        let account = Xoxoday::accounts()[place];
        let fields = [("email", account.email), ("password", account.password)];
        cookies_of(&self.submit("/login", "", &fields, &[]).await)
    }

    pub(crate) async fn decide(&self, cookies: &str, decision: &str, changes: &[(&str, &str)]) -> Response {
        self.submit("/consent", cookies, &[("decision", decision)], changes).await
    }

    /// Logs the first sample account in, allows, and returns the code.
    pub(crate) async fn code(&self, changes: &[(&str, &str)]) -> String {
        let cookies = self.log_in(0).await;
        query_of(&self.decide(&cookies, "allow", changes).await, "code").expect("a code")
    }

    /// A token request of fields; an empty value removes one.
    pub(crate) fn token_request(
        &self,
        grant: &str,
        usual: &[(&str, &str)],
        changes: &[(&str, &str)],
    ) -> RequestBuilder {
        let own = Settings::default();
        let mut fields = vec![("client_id", &*own.client_id), ("client_secret", &*own.client_secret)];
        fields.extend(usual);
        let body: Map<String, Value> = changed(&fields, changes)
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        self.http.post(self.url(&format!("/v1/oauth/token/{grant}"))).json(&body)
    }

    pub(crate) async fn exchange(
        &self,
        grant: &str,
        code: &str,
        changes: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let usual = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        answer(self.token_request(grant, &usual, changes)).await
    }

    pub(crate) async fn refresh(
        &self,
        grant: &str,
        token: &str,
        changes: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let usual = [("grant_type", "refresh_token"), ("refresh_token", token)];
        answer(self.token_request(grant, &usual, changes)).await
    }

    /// A pair of the first sample account's.
    pub(crate) async fn pair(&self, grant: &str) -> Value {
        let code = self.code(&[]).await;
        let (status, pair) = self.exchange(grant, &code, &[]).await;
        assert_eq!(status, StatusCode::OK, "{pair}");
        pair
    }

    pub(crate) async fn validate(&self, bearer: &str) -> (StatusCode, Value) {
        answer(self.http.get(self.url("/v1/oauth/token")).bearer_auth(bearer)).await
    }

    pub(crate) async fn post(&self, path: &str, bearer: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.http.post(self.url(path)).bearer_auth(bearer).json(body)).await
    }

    /// POSTs to a control endpoint.
    pub(crate) async fn order(&self, path: &str, order: &Value) -> StatusCode {
        let url = format!("{}/sandbox/{path}", self.xoxoday.base_url());
        answer(self.http.post(url).json(order)).await.0
    }
}

pub(crate) fn authorization_request<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("client_id", "9a31c0de5f7742d08b6e14a2f3c5d7e9"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "user_session,company_session"),
        ("state", "q7Zk3n"),
    ];
    changed(&usual, changes)
}

/// What a response sets, as a browser sends it back.
pub(crate) fn cookies_of(response: &Response) -> String {
    let fields = response.headers().get_all("set-cookie").iter();
    let pairs = fields.filter_map(|field| field.to_str().ok()?.split(';').next());
    pairs.collect::<Vec<_>>().join("; ")
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a string in {value}"))
}
