//! The admin address: whether the gateway lives and is ready, its metrics, and the ending of sessions. It is no part of any
//! site.
//!
//! Nobody is asked for a password here, which is why it usually is a loopback address. A page in a browser on the same
//! machine could reach that too, under a name of its own that leads to 127.0.0.1 (DNS rebinding): so a host that is not
//! this machine is refused there, and so is whatever a page of another origin sends.

pub mod revoke;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use crate::message::{Request, Response};
use crate::server::Incoming;
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::watch;

use crate::deadline::Watch;
use crate::drain::{Announced, Stage};
use crate::revocation::{Reach, Revocations};
use crate::route;
use crate::server::pace::Paced;
use crate::server::{Arrival, Respond};
use crate::telemetry::Telemetry;
use crate::telemetry::exposition::Format;
use crate::time::Clock;
use revoke::{NoTarget, Question};

/// More than a question ever holds.
const MOST_QUESTION: usize = 4 * 1024;
const TEXT: &str = "text/plain; charset=utf-8";

/// What answers at the admin address.
#[derive(Clone, Debug)]
pub struct Admin {
    telemetry: Arc<Telemetry>,
    revocations: Arc<Revocations>,
    clock: Clock,
    /// Whether the gateway takes no more requests.
    draining: watch::Receiver<Announced>,
    /// Only this machine can reach it.
    is_local: bool,
}

impl Admin {
    /// Answers at this address, for a gateway that tells when it drains.
    #[must_use]
    pub const fn new(
        address: SocketAddr,
        telemetry: Arc<Telemetry>,
        revocations: Arc<Revocations>,
        clock: Clock,
        draining: watch::Receiver<Announced>,
    ) -> Self {
        Self { telemetry, revocations, clock, draining, is_local: address.ip().is_loopback() }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let fields = request.headers();
        // A program that looks after the gateway never says where a page of it came from.
        let is_foreign = fields.contains_key(ORIGIN)
            || (self.is_local
                && !route::authority(fields, request.uri(), request.version()).is_ok_and(is_this_machine));
        if is_foreign {
            return text(StatusCode::FORBIDDEN, "Ask for 127.0.0.1 or localhost, and not from a page.\n");
        }
        let answer = match request.uri().path() {
            "/readyz" if self.draining.borrow().stage > Stage::Serving => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            "/readyz" if !self.revocations.are_known(self.clock.now()) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the store of revocations is not there: members are refused\n",
            ),
            "/readyz" if self.revocations.reach() != Reach::There => text(
                StatusCode::OK,
                "ok, but the store of revocations is lost: what is known goes on to count, and no more can be added\n",
            ),
            "/livez" | "/readyz" => text(StatusCode::OK, "ok\n"),
            "/metrics" => {
                let accept = fields.get(ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
                let format = Format::accepted_by(accept);
                plain(StatusCode::OK, format.content_type(), self.telemetry.metrics.expose(format))
            }
            "/revoke" if *request.method() == Method::POST => return self.revoke(request).await,
            "/revoke" => return not_allowed("This is for POST.\n", "POST"),
            _ => return text(StatusCode::NOT_FOUND, "There are /livez, /readyz, /metrics and /revoke.\n"),
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer;
        }
        not_allowed("This is for GET.\n", "GET, HEAD")
    }

    /// Ends sessions.
    async fn revoke(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (mut head, body) = request.into_parts();
        let body = Limited::new(Paced::new(body, &mut head.extensions), MOST_QUESTION).collect().await;
        let question = body
            .map_err(|_| NoTarget::Unintelligible)
            .and_then(|body| Question::parse(&body.to_bytes())?.revocation(self.clock.now()));
        let revocation = match question {
            Ok(revocation) => revocation,
            Err(reason) => return plain(StatusCode::BAD_REQUEST, TEXT, format!("{reason}\n")),
        };
        let kind = revocation.target.kind().name();
        let provider = revocation.provider.clone().map(tracing::field::display);
        if let Err(error) = self.revocations.revoke(revocation).await {
            tracing::error!(kind, provider, %error, "an operator wanted to end sessions, and none has ended");
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                format!("No session has ended: {error}. Ask again when /readyz says that it is there.\n"),
            );
        }
        tracing::info!(kind, provider, "sessions were ended by an operator");
        self.telemetry.metrics.revocations.of([kind]).one();
        let mut done = text(StatusCode::NO_CONTENT, "");
        done.headers_mut().remove(CONTENT_TYPE);
        done
    }
}

impl Respond for Admin {
    type Body = Full<Bytes>;

    async fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        _: Arrival,
        _: Rc<Watch>,
    ) -> Response<Full<Bytes>> {
        self.answer(request).await
    }
}

/// Whether an authority names this machine and nothing that somebody else's DNS could lead here.
fn is_this_machine(authority: &[u8]) -> bool {
    let Some((host, _)) = route::host_and_port(authority) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn not_allowed(why: &'static str, allowed: &'static str) -> Response<Full<Bytes>> {
    let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, why);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    plain(status, TEXT, text)
}

fn plain(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_no_dns_can_lead_here_are_this_machine() {
        for authority in ["localhost", "LOCALHOST:9901", "127.0.0.1:9901", "127.1.2.3", "[::1]:9901"] {
            assert!(is_this_machine(authority.as_bytes()), "{authority}");
        }
        for authority in
            ["", "evil.test", "localhost.evil.test", "127.0.0.1.evil.test:9901", "192.0.2.7", "[2001:db8::1]"]
        {
            assert!(!is_this_machine(authority.as_bytes()), "{authority}");
        }
    }
}
