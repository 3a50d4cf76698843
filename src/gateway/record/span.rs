//! The spans of one request: what it was here, and the call to the upstream beneath it.
//!
//! They say what the access log says, in the words that OpenTelemetry has for it
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>), and less of the people: no query, no field, no
//! address of a client, and nothing of a member or a session. They are made when the record is closed, so the way of a
//! request knows nothing of them but their numbers.

use std::time::{Instant, UNIX_EPOCH};

use http::Method;
use http::uri::PathAndQuery;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use super::super::desk::{Desk, NONE, SiteDesk};
use super::{Outcome, Record, protocol};
use crate::route;
use crate::server::Entrance;
use crate::telemetry::spans::{Places, Span, Spans};
use crate::telemetry::trace::TraceParent;

/// No honest path is longer; what is behind is cut off, as in the access log.
const MOST: usize = 1024;

/// The places of a request in its trace, where it is recorded.
pub(super) struct Spanned(Option<Places>);

impl Spanned {
    /// Decides whether a request is recorded. In the trace that comes back the upstream's place is below ours, if it is.
    pub(super) fn begin(
        desk: &Desk,
        came: Option<TraceParent>,
        made: Option<TraceParent>,
    ) -> (Self, Option<TraceParent>) {
        let trace = came.or(made);
        let spans = desk.gateway.telemetry.spans();
        let places = spans.zip(trace).and_then(|(spans, trace)| spans.places(&trace, came.is_some()));
        match (places, trace) {
            (Some(places), Some(trace)) => (Self(Some(places)), Some(trace.under(places.call, true))),
            (Some(_) | None, trace) => (Self(None), trace),
        }
    }

    pub(super) const fn is_recorded(&self) -> bool {
        self.0.is_some()
    }
}

impl Record {
    /// Sends the spans of a request that is over.
    pub(super) fn send_spans(&self, site: &SiteDesk) {
        let gateway = &self.desk.gateway;
        if let (Some(places), Some(trace), Some(spans)) =
            (self.spanned.0, self.trace, gateway.telemetry.spans())
        {
            let ended = Instant::now();
            spans.send(self.served(site, places, trace.trace_id, ended));
            if let Some(asked) = self.asked {
                self.send_call(spans, site, places, trace.trace_id, (asked, ended));
            }
        }
    }

    fn span(&self, trace_id: [u8; 16], (began, ended): (Instant, Instant)) -> Span {
        let now = UNIX_EPOCH + self.desk.gateway.clock.since_1970();
        Span {
            trace_id,
            id: [0; 8],
            parent: None,
            kind: SpanKind::Server,
            name: String::new(),
            began: now.checked_sub(began.elapsed()).unwrap_or(UNIX_EPOCH),
            took: ended.saturating_duration_since(began),
            attributes: Vec::with_capacity(12),
            failed: false,
        }
    }

    /// What happened here.
    fn served(&self, site: &SiteDesk, places: Places, trace_id: [u8; 16], ended: Instant) -> Span {
        let rule = site.rules.get(self.place.0).map_or(NONE, |(name, _)| name);
        let route = rule.find('/').map(|at| &rule[at..]);
        let method = method(&self.method);
        let (secure, authority) = match site.name.split_once("://") {
            Some((scheme, authority)) => (scheme == "https", Some(authority)),
            None => (self.arrival.entrance == Entrance::Tls, None),
        };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", if secure { "https" } else { "http" }),
            KeyValue::new("url.path", self.path_alone()),
            KeyValue::new("network.protocol.version", protocol(self.version).1.trim_start_matches("HTTP/")),
            KeyValue::new("member_gateway.rule", rule.to_owned()),
            KeyValue::new("member_gateway.outcome", self.outcome.unwrap_or(Outcome::Aborted).name()),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        if let Some(authority) = authority {
            attributes.push(KeyValue::new("member_gateway.site", site.name.clone()));
            attributes.extend(server(authority, secure));
        }
        attributes.extend(self.arrival.tls.map(|tls| KeyValue::new("tls.protocol.version", tls.number())));
        attributes.extend(self.answered());
        let error = self.error(500);
        attributes.extend(error.clone().map(|error| KeyValue::new("error.type", error)));
        Span {
            id: places.here,
            parent: places.parent.map(|parent| (parent, true)),
            name: route
                .map_or_else(|| named(method).to_owned(), |route| format!("{} {route}", named(method))),
            attributes,
            failed: error.is_some(),
            ..self.span(trace_id, (self.started, ended))
        }
    }

    /// The call to the upstream: to the head of its answer, or for as long as there was none.
    fn send_call(
        &self,
        spans: &Spans,
        site: &SiteDesk,
        places: Places,
        trace_id: [u8; 16],
        (asked, ended): (Instant, Instant),
    ) {
        let method = method(&self.method);
        let mut attributes = vec![KeyValue::new("http.request.method", method)];
        if let Some((target, _)) = site.target(self.target.get()) {
            match (target.split_once("://"), target.strip_prefix("unix:")) {
                (Some((scheme, authority)), _) => {
                    attributes.extend(server(authority, scheme == "https"));
                    let base = target.strip_suffix('/').unwrap_or(target);
                    attributes.push(KeyValue::new("url.full", format!("{base}{}", self.path_alone())));
                }
                (None, Some(path)) => {
                    attributes.push(KeyValue::new("server.address", path.to_owned()));
                    attributes.push(KeyValue::new("network.transport", "unix"));
                }
                (None, None) => {}
            }
        }
        // Without an answer of the app the status is one of ours.
        attributes.extend(self.upstream.and_then(|_| self.answered()));
        let error = if self.upstream.is_some() { self.error(400) } else { Some(self.outcome_name()) };
        attributes.extend(error.clone().map(|error| KeyValue::new("error.type", error)));
        let ended = self.upstream.map_or(ended, |took| asked + took);
        spans.send(Span {
            id: places.call,
            parent: Some((places.here, false)),
            kind: SpanKind::Client,
            name: named(method).to_owned(),
            attributes,
            failed: error.is_some(),
            ..self.span(trace_id, (asked, ended))
        });
    }

    fn answered(&self) -> Option<KeyValue> {
        self.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status.as_u16())))
    }

    fn outcome_name(&self) -> String {
        self.outcome.unwrap_or(Outcome::Aborted).name().to_owned()
    }

    /// What went wrong, where statuses from `least` on say that something did: a 404 is an error to whoever asked, and not
    /// to whoever answered.
    fn error(&self, least: u16) -> Option<String> {
        match self.outcome {
            Some(
                Outcome::UpstreamConnect
                | Outcome::UpstreamSilent
                | Outcome::UpstreamAnswer
                | Outcome::UpstreamFull
                | Outcome::UpstreamBroken,
            ) => Some(self.outcome_name()),
            Some(
                Outcome::Served
                | Outcome::Own
                | Outcome::Login
                | Outcome::Unauthorized
                | Outcome::Admitted
                | Outcome::Denied
                | Outcome::Refused
                | Outcome::Aborted
                | Outcome::SessionOver,
            )
            | None => {
                self.status.filter(|status| status.as_u16() >= least).map(|status| status.as_str().to_owned())
            }
        }
    }

    fn path_alone(&self) -> String {
        let path = self.path.as_ref().map_or("", PathAndQuery::path);
        path.get(..path.floor_char_boundary(MOST)).unwrap_or(path).to_owned()
    }
}

/// A method that is known, or that it is another: what anybody could make up is in no span.
fn method(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::CONNECT,
        Method::TRACE,
    ];
    let names = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    known.iter().zip(names).find_map(|(known, name)| (known == method).then_some(name)).unwrap_or("_OTHER")
}

/// A method in the name of a span.
const fn named(method: &'static str) -> &'static str {
    match method.as_bytes() {
        b"_OTHER" => "HTTP",
        _ => method,
    }
}

/// Who was asked.
fn server(authority: &str, secure: bool) -> impl Iterator<Item = KeyValue> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let found = route::host_and_port(authority.as_bytes()).map(|(host, port)| {
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        [KeyValue::new("server.address", host.to_owned()), KeyValue::new("server.port", i64::from(port))]
    });
    found.into_iter().flatten()
}
