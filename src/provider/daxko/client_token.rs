//! Daxko's client-scoped access token: what the API takes for everything beyond a login.
//!
//! The token is kept in memory until shortly before it expires and fetched once for all who wait for it. A token that
//! the API does not take (401) is replaced once, and only once in a while: a vendor that refuses every token gets no
//! stream of requests for more of them. A fetch that fails fails for everybody who waits, and for a moment after that.
//! Who asks, and for what, it does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::provider::ProviderError;
use crate::provider::token_endpoint::{self, Answer, Encoding, Http};
use crate::secret::Secret;
use crate::time::{Clock, UnixTime};

const ENDPOINT: &str = "client token endpoint";
/// A token is replaced so long before it expires.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a token lives whose answer does not say.
const UNSAID: Duration = Duration::from_secs(10 * 60);
/// After a failure nothing is fetched for so long, unless the vendor asks for more.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest wait a vendor can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A token that replaced a refused one is itself not replaced for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a token is asked for.
#[derive(Debug)]
pub(super) struct Grant {
    /// The token endpoint.
    pub(super) url: Url,
    /// The API username.
    pub(super) client_id: String,
    /// The API password.
    pub(super) client_secret: Secret,
    /// The client for which the token is: `client:4711`, or `OPS_4711`.
    pub(super) scope: String,
    /// What differs between the generations of the API.
    pub(super) manner: Manner,
}

/// What differs between the generations of the API.
#[derive(Debug)]
pub(super) enum Manner {
    /// v3: the partner's refresh token is the bearer and never changes
    /// (<https://api.daxko.com/v3/docs/tutorials/authentication>).
    RefreshTokenAsBearer {
        /// That refresh token.
        refresh_token: Secret,
        /// How the body is written.
        encoding: Encoding,
    },
    /// partners-v1: JSON without a bearer; each answer holds a new refresh token, which is good for one use
    /// (<https://docs.partners.daxko.com/tutorials/authentication>).
    RotatingRefreshToken,
}

/// A token, and how long it is good for.
pub(super) struct Token {
    pub(super) value: Secret,
    /// When the vendor stops taking it; nothing where its answer did not say.
    pub(super) expires: Option<UnixTime>,
    /// When it is replaced: shortly before that.
    usable_until: UnixTime,
    /// When it came, if it came for one that was refused.
    replaced_at: Option<UnixTime>,
    serial: u64,
}

/// The token of one provider.
#[derive(Debug)]
pub(super) struct ClientToken {
    grant: Grant,
    http: Http,
    /// How many fetches have ended. Whoever waited through the end of one takes what came of it.
    ended: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// Where refresh tokens rotate: the last one that came.
    refresh_token: Option<Secret>,
    failure: Option<Failure>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State([redacted])")
    }
}

/// The last fetch, where it has failed.
struct Failure {
    error: ProviderError,
    at: UnixTime,
    pause: Duration,
}

/// What an answer grants.
struct Granted {
    value: Secret,
    lifetime: Option<Duration>,
    refresh_token: Option<Secret>,
}

impl ClientToken {
    /// Nothing is fetched yet.
    pub(super) fn new(grant: Grant, http: Http) -> Self {
        Self { grant, http, ended: AtomicU64::new(0), state: Mutex::default() }
    }

    /// The token that is good now; fetched if there is none.
    pub(super) async fn current(&self, clock: &Clock) -> Result<Arc<Token>, ProviderError> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        let now = clock.now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.usable_until) {
            return Ok(Arc::clone(token));
        }
        self.fetch(&mut state, seen, None, clock).await
    }

    /// The token to try in place of one the API did not take; nothing where there is no point in another one yet.
    pub(super) async fn instead_of(
        &self,
        refused: &Token,
        clock: &Clock,
    ) -> Result<Option<Arc<Token>>, ProviderError> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        let now = clock.now();
        match &state.token {
            // Somebody else was refused as well, and quicker.
            Some(token) if token.serial != refused.serial && now < token.usable_until => {
                return Ok(Some(Arc::clone(token)));
            }
            Some(token) if token.replaced_at.is_some_and(|at| at <= now && now.since(at) < PATIENCE) => {
                return Ok(None);
            }
            Some(_) | None => {}
        }
        state.token = None;
        self.fetch(&mut state, seen, Some(now), clock).await.map(Some)
    }

    /// Fetches a token, unless a fetch has just failed. Should whoever waits for this go away, the next in line fetches.
    async fn fetch(
        &self,
        state: &mut State,
        seen: u64,
        replaced_at: Option<UnixTime>,
        clock: &Clock,
    ) -> Result<Arc<Token>, ProviderError> {
        let ended = self.ended.load(Ordering::Acquire);
        if let Some(failure) = &state.failure {
            let now = clock.now();
            if ended != seen || (failure.at <= now && now.since(failure.at) < failure.pause) {
                return Err(failure.error.clone());
            }
        }
        let outcome = self.ask(state).await;
        let now = clock.now();
        self.ended.store(ended + 1, Ordering::Release);
        self.http.calls().token(outcome.is_ok());
        match outcome {
            Ok(granted) => {
                let lifetime = granted.lifetime.unwrap_or(UNSAID);
                // A token that lives no longer than the margin would never be used, and one that lives for no time at all
                // would be fetched for every request.
                let margin = MARGIN.min(lifetime / 2);
                let usable = lifetime.saturating_sub(margin).max(PAUSE);
                let token = Arc::new(Token {
                    value: granted.value,
                    expires: granted.lifetime.map(|lifetime| now.plus(lifetime)),
                    usable_until: now.plus(usable),
                    replaced_at,
                    serial: ended + 1,
                });
                state.token = Some(Arc::clone(&token));
                state.refresh_token = granted.refresh_token;
                state.failure = None;
                Ok(token)
            }
            Err(error) => {
                state.failure = Some(Failure { error: error.clone(), at: now, pause: pause(&error) });
                Err(error)
            }
        }
    }

    async fn ask(&self, state: &mut State) -> Result<Granted, ProviderError> {
        let Grant { client_id, client_secret, scope, manner, .. } = &self.grant;
        let (client_id, secret) = (client_id.trim(), token_endpoint::text(client_secret));
        let credentials = [
            ("client_id", client_id),
            ("client_secret", &*secret),
            ("scope", scope),
            ("grant_type", "client_credentials"),
        ];
        let Manner::RefreshTokenAsBearer { refresh_token, encoding } = manner else {
            // It is good for one use, whatever comes of it.
            if let Some(refresh_token) = state.refresh_token.take() {
                let refresh_token = token_endpoint::text(&refresh_token);
                let parameters = [
                    ("client_id", client_id),
                    ("refresh_token", &*refresh_token),
                    ("grant_type", "refresh_token"),
                ];
                let request = self.http.post(&self.grant.url, Encoding::Json, &parameters);
                let answer = self.http.ask(request, ENDPOINT).await?;
                // Too old, or used already: the credentials still hold.
                if !matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST) {
                    return granted(&answer);
                }
            }
            let request = self.http.post(&self.grant.url, Encoding::Json, &credentials);
            return granted(&self.http.ask(request, ENDPOINT).await?);
        };
        let request = self.http.post(&self.grant.url, *encoding, &credentials);
        let request = request.bearer_auth(token_endpoint::text(refresh_token));
        granted(&self.http.ask(request, ENDPOINT).await?)
    }
}

fn granted(answer: &Answer) -> Result<Granted, ProviderError> {
    let token = token_endpoint::token_response(answer, ENDPOINT).map_err(|error| {
        // There is no code here: what is refused are the credentials.
        if matches!(error, ProviderError::CodeRefused) {
            let (status, error) = (answer.status.as_u16(), Some("invalid_grant".to_owned()));
            return ProviderError::ClientRefused { endpoint: ENDPOINT, status, error };
        }
        error
    })?;
    let field = |name: &str| answer.json.as_ref().and_then(|json| json.get(name));
    let refresh_token = field("refresh_token").and_then(Value::as_str);
    Ok(Granted {
        value: token.access_token,
        lifetime: field("expires_in").and_then(lifetime),
        refresh_token: refresh_token.filter(|token| !token.is_empty()).map(Secret::new),
    })
}

/// Daxko's tutorials write the seconds as text, its API definition as a number.
fn lifetime(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::String(text) => text.trim().parse().ok()?,
        Value::Number(number) => number.as_u64()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(Duration::from_secs(seconds))
}

fn pause(error: &ProviderError) -> Duration {
    let ProviderError::Busy { retry_after: Some(seconds), .. } = error else { return PAUSE };
    Duration::from_secs(*seconds).clamp(PAUSE, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lifetime_is_text_or_a_number_and_nothing_else() {
        for (expires_in, seconds) in [
            (json!("86400"), Some(86_400)),
            (json!(" 3600 "), Some(3_600)),
            (json!(3600), Some(3_600)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!("soon"), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!(null), None),
            (json!({}), None),
        ] {
            assert_eq!(lifetime(&expires_in), seconds.map(Duration::from_secs), "{expires_in}");
        }
    }

    #[test]
    fn a_vendor_may_ask_for_a_wait_of_a_minute_and_no_more() {
        let busy = |retry_after| ProviderError::Busy { endpoint: ENDPOINT, status: 429, retry_after };
        for (retry_after, seconds) in
            [(None, 5), (Some(0), 5), (Some(30), 30), (Some(3_600), 60), (Some(u64::MAX), 60)]
        {
            assert_eq!(pause(&busy(retry_after)), Duration::from_secs(seconds), "{retry_after:?}");
        }
    }
}
