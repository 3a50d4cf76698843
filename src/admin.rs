//! The admin address: whether the gateway lives and is ready, and its metrics. It is no part of any site.
//!
//! Nobody is asked for a password here, which is why it usually is a loopback address. A page in a browser on the same
//! machine could reach that too, under a name of its own that leads to 127.0.0.1 (DNS rebinding): so a host that is not
//! this machine is refused there, and so is whatever a page of another origin sends.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::watch;

use crate::deadline::Watch;
use crate::drain::{Announced, Stage};
use crate::route;
use crate::server::{Arrival, Respond};
use crate::telemetry::Telemetry;
use crate::telemetry::exposition::Format;

const TEXT: &str = "text/plain; charset=utf-8";

/// What answers at the admin address.
#[derive(Clone, Debug)]
pub struct Admin {
    telemetry: Arc<Telemetry>,
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
        draining: watch::Receiver<Announced>,
    ) -> Self {
        Self { telemetry, draining, is_local: address.ip().is_loopback() }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
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
            "/livez" | "/readyz" => text(StatusCode::OK, "ok\n"),
            "/metrics" => {
                let accept = fields.get(ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
                let format = Format::accepted_by(accept);
                plain(StatusCode::OK, format.content_type(), self.telemetry.metrics.expose(format))
            }
            _ => return text(StatusCode::NOT_FOUND, "There are /livez, /readyz and /metrics.\n"),
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer;
        }
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "This is for GET.\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        refusal
    }
}

impl Respond for Admin {
    type Body = Full<Bytes>;

    fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        _: Arrival,
        _: Rc<Watch>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + 'static {
        std::future::ready(self.answer(&request))
    }
}

/// Whether an authority names this machine and nothing that somebody else's DNS could lead here.
fn is_this_machine(authority: &[u8]) -> bool {
    let Some((host, _)) = route::host_and_port(authority) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
