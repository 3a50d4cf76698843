//! The relay: Daxko's API for upstream apps, with the client-scoped token attached.
//!
//! An app that wants more than the identity fields asks here, as it would ask Daxko, and never sees a token: who may ask is
//! the [`gate`]'s matter, what may be asked for that of [`paths`]. The token is fetched once for all who wait for it, and
//! one that the API does not take (401) is replaced, once for all, and the request repeated. Bodies of at most 1 MiB are
//! held for that. Larger ones are streamed; then the 401 goes on to the app, with a field that says why, and the token is
//! replaced all the same, so that whoever asks again gets an answer.
//!
//! It is a cold path: one thread for each address, and reqwest towards the vendor, as everywhere towards vendors, so that
//! TLS, proxies and resolution are the same for all calls.

mod body;
mod content;
mod fields;
pub mod gate;
pub mod paths;
mod record;
mod refusal;
mod sieve;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode, Uri};
use reqwest::Url;

pub use self::body::{Body, Broken};
use self::body::{Source, VendorBody};
use self::content::Content;
pub use self::fields::REASON;
use self::gate::Gate;
use self::paths::{Closed, Paths};
use self::record::{Desk, Outcome, Record};
use self::refusal::{METHODS, Refusal};
use self::sieve::Sieve;
use crate::deadline::Watch;
use crate::message::{Fields, Request, Response};
use crate::provider::daxko::Daxko;
use crate::provider::daxko::access::AccessToken;
use crate::provider::inspection::described;
use crate::provider::quota::Quota;
use crate::roots;
use crate::server::Incoming;
use crate::server::pace::Paced;
use crate::server::{Arrival, Respond};
use crate::telemetry::Telemetry;
use crate::time::{Clock, UnixTime};

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection to the vendor is used again for so long.
const POOLED: Duration = Duration::from_secs(20);

/// What the operator has configured for one provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose API it is.
    pub daxko: Arc<Daxko>,
    /// How hard it is pressed.
    pub quota: Arc<Quota>,
    /// Who may ask.
    pub gate: Gate,
    /// For what.
    pub paths: Paths,
    /// How long the vendor may take to begin its answer.
    pub timeout: Duration,
}

/// The relay of one provider.
pub struct Relay {
    daxko: Arc<Daxko>,
    quota: Arc<Quota>,
    gate: Gate,
    paths: Paths,
    timeout: Duration,
    client: reqwest::Client,
    clock: Clock,
    telemetry: Arc<Telemetry>,
}

impl Relay {
    /// A relay with these settings.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn new(settings: Settings, clock: Clock, telemetry: Arc<Telemetry>) -> Result<Self, reqwest::Error> {
        let Settings { daxko, quota, gate, paths, timeout } = settings;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(roots::client())
            .redirect(reqwest::redirect::Policy::none())
            // What may be repeated, and when, is decided here.
            .retry(reqwest::retry::never())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .pool_idle_timeout(POOLED)
            .user_agent(concat!("member-gateway/", env!("CARGO_PKG_VERSION")));
        let is_loopback = daxko.api().host_str().is_some_and(crate::route::is_loopback_host);
        // A proxy named in the environment is meant for the way out, not for this machine.
        let builder = if is_loopback { builder.no_proxy() } else { builder };
        Ok(Self { client: builder.build()?, daxko, quota, gate, paths, timeout, clock, telemetry })
    }

    /// The name of its provider.
    #[must_use]
    pub fn name(&self) -> &str {
        self.daxko.name().as_str()
    }

    /// Base of the API that it serves.
    #[must_use]
    pub fn api(&self) -> &Url {
        self.daxko.api()
    }

    /// What is open of it.
    #[must_use]
    pub const fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Whether whoever asks has to know a key.
    #[must_use]
    pub const fn needs_key(&self) -> bool {
        self.gate.key.is_some()
    }

    async fn relay(
        &self,
        request: Request<Incoming>,
        record: &mut Record,
    ) -> Result<Response<VendorBody>, Refusal> {
        self.gate.admit(&request)?;
        if !METHODS.split(", ").any(|method| request.method() == method) {
            return Err(Refusal::Method);
        }
        let (mut head, body) = request.into_parts();
        let url = self.address(&head.uri)?;
        let body = Paced::new(body, &mut head.extensions);
        let mut content = Content::read(body).await.map_err(|_| Refusal::Body)?;
        // Not before the body is here: whoever does not send would have a place that others wait for.
        let call = self.quota.begin(content.sending(), &self.clock, PATIENCE).await?;
        fields::to_vendor(&mut head.headers);
        let question = Question { method: head.method, url, fields: head.headers };

        let mut token = self.daxko.access_token().await?;
        let mut answer = self.ask(&question, &mut content, &token, record).await?;
        let mut reason = None;
        if answer.status() == StatusCode::UNAUTHORIZED {
            match self.daxko.access_token_instead_of(&token).await? {
                Some(another) if content.is_there() => {
                    drop(answer);
                    token = another;
                    answer = self.ask(&question, &mut content, &token, record).await?;
                }
                Some(_) => reason = Some("body-too-large-to-repeat"),
                None => reason = Some("token-just-renewed"),
            }
        }

        let status = answer.status();
        let (mut head, body) = answer.into_parts();
        let is_coded = fields::is_coded(&head.headers);
        fields::to_app(&mut head.headers, token.expose(), &question.url, self.api());
        if status == StatusCode::TOO_MANY_REQUESTS {
            let now = self.clock.now();
            let seconds = call.was_too_much(retry_after(&head.headers, now), now);
            head.headers.insert(RETRY_AFTER, seconds.into());
        } else {
            call.was_taken();
        }
        if is_coded {
            return Err(Refusal::Coded);
        }
        if let Some(reason) = reason {
            head.headers.insert(REASON, HeaderValue::from_static(reason));
        }
        // What the connection to the vendor spoke is none of the app's business.
        let mut answer = Response::new(VendorBody::new(body, Sieve::new(token.expose()), call));
        *answer.status_mut() = status;
        *answer.headers_mut() = head.headers;
        Ok(answer)
    }

    /// Where at the vendor a request is for.
    fn address(&self, target: &Uri) -> Result<Url, Closed> {
        self.paths.admit(target.path().as_bytes())?;
        let path = format!("{}{}", self.api().path().trim_end_matches('/'), target.path());
        let mut url = self.api().clone();
        url.set_path(&path);
        url.set_query(target.query());
        // A URL puts right what it is given. What was judged is what has to be asked for.
        if url.path() == path { Ok(url) } else { Err(Closed::Unreadable) }
    }

    /// Sends a question, and waits for the head of the answer.
    async fn ask(
        &self,
        question: &Question,
        content: &mut Content,
        token: &AccessToken,
        record: &mut Record,
    ) -> Result<Response<reqwest::Body>, Refusal> {
        let (body, progress) = content.send();
        let mut request = reqwest::Request::new(question.method.clone(), question.url.clone());
        *request.headers_mut() = question.fields.clone().into();
        request.headers_mut().insert(AUTHORIZATION, token.bearer());
        *request.body_mut() = body;
        record.is_asked();
        let mut asked = std::pin::pin!(self.client.execute(request));
        let answer = loop {
            let due = progress.since() + self.timeout;
            tokio::select! {
                answer = &mut asked => break answer,
                () = tokio::time::sleep_until(due) => {
                    if progress.since() + self.timeout <= due {
                        return Err(Refusal::Silent);
                    }
                }
            }
        };
        match answer {
            // Nobody has asked for another protocol.
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => Err(Refusal::NoAnswer),
            Ok(answer) => {
                record.is_answered(answer.status());
                Ok(http::Response::from(answer).into())
            }
            Err(_) if progress.is_broken() => Err(Refusal::Body),
            // The address holds ids, so it does not travel with the error.
            Err(error) => Err(Refusal::Away(error.without_url())),
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({})", self.name())
    }
}

/// What the vendor is asked, beside the body and the token.
struct Question {
    method: Method,
    url: Url,
    fields: Fields,
}

/// How long the vendor asks us to wait (RFC 9110 §10.2.3).
fn retry_after(fields: &Fields, now: UnixTime) -> Option<Duration> {
    let text = fields.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let date = |text| httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(UnixTime(date(text)?.as_secs()).since(now)),
    }
}

/// What answers at the address of a relay; one for each worker.
pub struct Worker(Rc<Desk>);

impl Worker {
    /// To be made on the worker's thread.
    #[must_use]
    pub fn new(relay: Arc<Relay>) -> Rc<Self> {
        Rc::new(Self(Desk::new(relay)))
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.relay.fmt(f)
    }
}

impl Respond for Worker {
    type Body = Body;

    async fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        arrival: Arrival,
        _: Rc<Watch>,
    ) -> Response<Body> {
        let relay = Arc::clone(&self.0.relay);
        let mut record = Record::open(&self.0, request.method(), request.uri().path(), arrival.peer);
        let (answer, outcome) = match relay.relay(request, &mut record).await {
            Ok(answer) => (answer.map(Source::Vendor), Outcome::Served),
            Err(refusal) => {
                let (provider, path) = (relay.name(), record.shape());
                if refusal.is_noteworthy() {
                    let error = described(&refusal);
                    tracing::warn!(provider, path, error, "a request to the API has no answer");
                } else {
                    tracing::debug!(provider, path, %refusal, "a request to the API is refused");
                }
                (refusal.answer().map(|text| Source::Own(Some(text))), refusal.outcome())
            }
        };
        let (status, is_empty) = (answer.status(), answer.body().is_over());
        record.answers(status, outcome, is_empty);
        answer.map(|source| Body::new(source, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_asks_for_a_wait_in_seconds_or_until_a_date() {
        let now = UnixTime(784_111_777);
        for (text, seconds) in [
            ("20", Some(20)),
            (" 20 ", Some(20)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            let fields = Fields::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&fields, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
