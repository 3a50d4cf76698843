//! Token endpoints: RFC 6749 §4.1.3 and §5, over a client that follows no redirect and bounds every answer.
//!
//! The body encoding is a setting, for vendors differ: RFC 6749 wants a form, Daxko documents multipart, others JSON.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{ACCEPT, DATE, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode, Url, redirect};
use serde_json::Value;
use zeroize::Zeroizing;

use super::calls::Calls;
use super::complaint::complaint;
use super::{ProviderError, claims};
use crate::roots;
use crate::secret::Secret;
use crate::time::UnixTime;

/// More than any token or member needs.
const MOST: usize = 64 * 1024;

/// How the parameters of a token request are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `multipart/form-data`
    Multipart,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/json`
    Json,
}

/// An HTTP client for talking to one vendor.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    calls: Calls,
}

impl Http {
    /// A client that gives up after `timeout`.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn new(timeout: Duration, is_loopback: bool) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(roots::client())
            .redirect(redirect::Policy::none())
            // A code is spent by the first request that arrives: nothing is ever sent a second time.
            .retry(reqwest::retry::never())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .timeout(timeout)
            .user_agent(concat!("member-gateway/", env!("CARGO_PKG_VERSION")));
        // A proxy named in the environment is meant for the way out, not for this machine.
        let builder = if is_loopback { builder.no_proxy() } else { builder };
        Ok(Self { client: builder.build()?, calls: Calls::default() })
    }

    /// The same; what becomes of its calls is counted there.
    #[must_use]
    pub fn counted_by(self, calls: Calls) -> Self {
        Self { calls, ..self }
    }

    /// Sends a request and reads the answer, counted.
    pub(super) async fn ask(
        &self,
        request: RequestBuilder,
        endpoint: &'static str,
    ) -> Result<Answer, ProviderError> {
        self.calls.counting(ask(request, endpoint)).await
    }

    /// What becomes of its calls.
    pub(super) const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends a POST of these parameters.
    pub(super) fn post(&self, url: &Url, encoding: Encoding, parameters: &[(&str, &str)]) -> RequestBuilder {
        let request = self.client.post(url.clone());
        match encoding {
            Encoding::Form => request.form(parameters),
            Encoding::Json => {
                let object: serde_json::Map<String, Value> =
                    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
                request.json(&object)
            }
            Encoding::Multipart => {
                let form = parameters.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| {
                    form.text((*name).to_owned(), (*value).to_owned())
                });
                request.multipart(form)
            }
        }
    }

    /// Prepares a PUT of JSON.
    pub(super) fn put(&self, url: &Url, body: &Value) -> RequestBuilder {
        self.client.put(url.clone()).json(body)
    }

    /// Prepares a request.
    pub(super) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        self.client.request(method, url.clone())
    }

    /// Prepares a GET.
    pub(super) fn get(&self, url: &Url) -> RequestBuilder {
        self.client.get(url.clone())
    }
}

/// A credential as it is sent: without the blanks it was pasted with.
pub(super) fn text(secret: &Secret) -> String {
    secret.expose_str().unwrap_or_default().trim().to_owned()
}

/// An answer, read to its end.
pub struct Answer {
    /// Neither 429, nor a redirect, nor a 5xx: those are errors.
    pub status: StatusCode,
    retry_after: Option<u64>,
    /// Nothing where the body is no JSON.
    pub json: Option<Value>,
    /// Whether there is no body at all, or a blank one.
    pub is_empty: bool,
    /// What time it is at the vendor (RFC 9110 §6.6.1).
    pub date: Option<UnixTime>,
}

impl Answer {
    /// Reads an answer of which all has come. Whatever else it says, 429 and 5xx mean later, and nothing is followed.
    pub(super) fn read(
        endpoint: &'static str,
        status: StatusCode,
        retry_after: Option<u64>,
        date: Option<UnixTime>,
        body: &[u8],
    ) -> Result<Self, ProviderError> {
        let json = claims::parse(body);
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let wait = json.as_ref().and_then(complaint).and_then(|found| found.wait);
            let status = status.as_u16();
            return Err(ProviderError::Busy { endpoint, status, retry_after: retry_after.or(wait) });
        }
        if status.is_redirection() {
            let what = "it is a redirect, which is not followed";
            return Err(ProviderError::Unintelligible { endpoint, what });
        }
        Ok(Self { status, retry_after, json, is_empty: body.trim_ascii().is_empty(), date })
    }
}

/// What a vendor answers may hold a token, or a person.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({})", self.status)
    }
}

/// Sends a request and reads the answer, at most [`MOST`] bytes of it.
pub(super) async fn ask(request: RequestBuilder, endpoint: &'static str) -> Result<Answer, ProviderError> {
    // The address may hold an id or a secret, so it does not travel with the error.
    let unreachable = |error: reqwest::Error| ProviderError::Unreachable {
        endpoint,
        source: Arc::new(error.without_url()),
    };
    let mut response = request.header(ACCEPT, "application/json").send().await.map_err(unreachable)?;
    let status = response.status();
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let date = response.headers().get(DATE).and_then(|value| value.to_str().ok()).and_then(time_of);
    // It may hold tokens.
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MOST {
            return Err(ProviderError::Unintelligible { endpoint, what: "it is longer than 64 KiB" });
        }
        body.extend_from_slice(&chunk);
    }
    Answer::read(endpoint, status, retry_after, date, &body)
}

fn time_of(date: &str) -> Option<UnixTime> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixTime(since.as_secs()))
}

/// Whether an answer is a refusal, by its status or by what it says, and which.
pub(super) fn refused(answer: &Answer, endpoint: &'static str) -> Option<ProviderError> {
    let status = answer.status.as_u16();
    match answer.json.as_ref().and_then(complaint) {
        // Nothing the operator could mend, whatever the status.
        Some(found) if found.is_temporary => {
            Some(ProviderError::Busy { endpoint, status, retry_after: answer.retry_after.or(found.wait) })
        }
        Some(found) => Some(ProviderError::ClientRefused { endpoint, status, error: found.code }),
        None if !answer.status.is_success() => {
            Some(ProviderError::ClientRefused { endpoint, status, error: None })
        }
        None => None,
    }
}

/// What a successful token response is good for here (RFC 6749 §5.1).
pub(super) struct TokenResponse {
    pub(super) access_token: Secret,
}

/// Reads a token response, or the error of RFC 6749 §5.2.
pub(super) fn token_response(
    answer: &Answer,
    endpoint: &'static str,
) -> Result<TokenResponse, ProviderError> {
    if let Some(error) = refused(answer, endpoint) {
        let is_code = matches!(&error, ProviderError::ClientRefused { error: Some(code), .. } if code == "invalid_grant");
        return Err(if is_code { ProviderError::CodeRefused } else { error });
    }
    let Some(json) = &answer.json else {
        return Err(ProviderError::Unintelligible { endpoint, what: "it is no JSON" });
    };
    let is_bearer = json
        .get("token_type")
        .is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")));
    if !is_bearer {
        return Err(ProviderError::Unintelligible { endpoint, what: "its token is no bearer token" });
    }
    let token = json.get("access_token").and_then(Value::as_str).unwrap_or_default();
    // A token is sent in a field, so it can only be what a field can hold (RFC 6750 §2.1).
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ProviderError::Unintelligible { endpoint, what: "it holds no access token" });
    }
    Ok(TokenResponse { access_token: Secret::new(token) })
}
