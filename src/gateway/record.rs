//! The record of one request: what the hall notes down on the way, for the metrics and the access log.
//!
//! It is opened with the head of the request and travels in the body of the answer; when that is dropped, be it sent to its
//! end or not, the record is closed. It holds no query, no cookie and no field, and of the member only a keyed hash.
//!
//! It counts and writes at the `Desk` of its worker, so it takes no lock, and allocates nothing that the request would not.

#[cfg(feature = "otel")]
mod span;
#[cfg(not(feature = "otel"))]
mod unrecorded;

use std::cell::Cell;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::body::{Body, Broken};
use super::desk::{Desk, NONE, Place, SiteDesk};
use crate::field_lines::Lines;
use crate::message::{Fields, Request, Response};
use crate::random;
use crate::server::Incoming;
use crate::server::peer::Client;
use crate::server::{Arrival, Entrance};
use crate::session::Session;
use crate::telemetry::line::Line;
use crate::telemetry::trace::{TRACEPARENT, TraceParent, Tracing, write_hex};
use crate::upstream::UpstreamError;

#[cfg(feature = "otel")]
use span::Spanned;
#[cfg(not(feature = "otel"))]
use unrecorded::Spanned;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How a request ended, for the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The upstream's answer.
    Served,
    /// An answer of the gateway's own paths, or the redirect to https.
    Own,
    /// Somebody was sent to sign in.
    Login,
    /// Somebody was told to sign in.
    Unauthorized,
    /// Another proxy, which asked about the request, may let it through.
    Admitted,
    /// A rule, or what the vendor says of the membership, keeps somebody out.
    Denied,
    /// The request was no good.
    Refused,
    /// The client left before all of the answer was sent.
    Aborted,
    /// The upstream could not be reached.
    UpstreamConnect,
    /// The upstream did not answer in time.
    UpstreamSilent,
    /// The upstream's answer was none.
    UpstreamAnswer,
    /// The upstream was not asked, for it has enough to do.
    UpstreamFull,
    /// The upstream's answer broke off.
    UpstreamBroken,
    /// The session ended before the answer did.
    SessionOver,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Own => "own",
            Self::Login => "login",
            Self::Unauthorized => "unauthorized",
            Self::Admitted => "admitted",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Aborted => "aborted",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamSilent => "upstream_silent",
            Self::UpstreamAnswer => "upstream_answer",
            Self::UpstreamFull => "upstream_full",
            Self::UpstreamBroken => "upstream_broken",
            Self::SessionOver => "session_over",
        }
    }
}

/// Under which id a request is known to all programs that it passes.
#[derive(Debug)]
enum RequestId {
    /// Somebody in front has given it.
    Given(HeaderValue),
    /// Made here.
    Made([u8; 16]),
}

/// The request id that somebody in front has given, if it is one.
fn given_id(fields: &Fields) -> Option<&HeaderValue> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
    let mut ids = fields.get_all(X_REQUEST_ID);
    match (ids.next(), ids.next()) {
        (Some(id), None) if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(fits) => Some(id),
        (Some(_), _) | (None, _) => None,
    }
}

/// What is known of one request. It goes with the answer from one hand to the next, and is too large to be moved each time.
pub(super) struct Record {
    desk: Rc<Desk>,
    started: Instant,
    method: Method,
    /// Only where there is an access log, or the request is part of a trace that is recorded.
    path: Option<PathAndQuery>,
    version: Version,
    arrival: Arrival,
    client: Option<IpAddr>,
    request_id: RequestId,
    /// As the upstream gets it.
    trace: Option<TraceParent>,
    spanned: Spanned,
    /// The trace begins here.
    is_new_trace: bool,
    site: Option<usize>,
    place: Place,
    session: Option<([u8; 16], [u8; 8])>,
    outcome: Option<Outcome>,
    status: Option<StatusCode>,
    /// When the request was handed on.
    asked: Option<Instant>,
    /// Which target of its site's upstream had it last; the upstream writes it.
    pub(super) target: Cell<Option<usize>>,
    /// How long the head of the answer took.
    upstream: Option<Duration>,
    bytes: u64,
    /// That of the answer, once there is one.
    body: Body,
}

impl Record {
    /// Opens the record of a request whose head has come.
    pub(super) fn open(desk: &Rc<Desk>, request: &Request<Incoming>, arrival: Arrival) -> Box<Self> {
        desk.in_flight.up();
        let fields = request.headers();
        let known = match desk.gateway.tracing {
            Tracing::Make | Tracing::Pass => TraceParent::of(fields),
            Tracing::Off => None,
        };
        let makes = known.is_none() && desk.gateway.tracing == Tracing::Make;
        let made = makes.then(|| TraceParent::new(random::nonce()));
        let request_id = given_id(fields).cloned().map_or_else(
            // One number for both, where both are ours.
            || RequestId::Made(made.map_or_else(random::nonce, |trace| trace.trace_id)),
            RequestId::Given,
        );
        let (spanned, trace) = Spanned::begin(desk, known, made);
        let keeps_path = desk.notebook.is_some() || spanned.is_recorded();
        Box::new(Self {
            desk: Rc::clone(desk),
            started: Instant::now(),
            method: request.method().clone(),
            path: keeps_path.then(|| request.uri().path_and_query().cloned()).flatten(),
            version: request.version(),
            arrival,
            client: None,
            request_id,
            is_new_trace: makes,
            trace,
            spanned,
            site: None,
            place: Place::NONE,
            session: None,
            outcome: None,
            status: None,
            asked: None,
            target: Cell::new(None),
            upstream: None,
            bytes: 0,
            body: Body::NONE,
        })
    }

    /// It is known who asks.
    pub(super) fn is_from(&mut self, client: &Client) {
        self.client = Some(client.address);
    }

    /// It is for this site.
    pub(super) fn is_for(&mut self, site: usize) {
        self.site = Some(site);
    }

    /// It is for one of the gateway's own paths.
    pub(super) fn is_for_us(&mut self) {
        (self.place, self.outcome) = (Place::OWN, Some(Outcome::Own));
    }

    /// It is a question about this request, of which it is then the record.
    pub(super) fn is_about(&mut self, request: &Request<Incoming>) {
        self.method = request.method().clone();
        if self.path.is_some() {
            self.path = request.uri().path_and_query().cloned();
        }
    }

    /// The request that was asked about may go on.
    pub(super) fn is_admitted(&mut self) {
        self.outcome = Some(Outcome::Admitted);
    }

    /// It falls under the rule in this place of the config, or under the last one, which stands in none.
    pub(super) fn falls_under(&mut self, place: Option<usize>) {
        self.place = Place::written(place);
    }

    /// It is a member's.
    pub(super) fn belongs_to(&mut self, session: &Session) {
        if self.desk.notebook.is_some() {
            self.session = Some((session.id.0, self.desk.hash(session)));
        }
    }

    /// Somebody without a session is not let through.
    pub(super) fn is_turned_away(&mut self, answer: StatusCode) {
        let is_told = answer == StatusCode::UNAUTHORIZED;
        self.outcome = Some(if is_told { Outcome::Unauthorized } else { Outcome::Login });
    }

    /// Whether the client's `X-Request-Id` is the one under which it is known.
    pub(super) const fn keeps_id(&self) -> bool {
        matches!(self.request_id, RequestId::Given(_))
    }

    /// Whether the client's `traceparent` goes on.
    pub(super) fn keeps_parent(&self) -> bool {
        !self.begins_trace() && !self.spanned.is_recorded()
    }

    /// Whether the client's `tracestate` goes on: what vendors said of another trace says nothing of one that begins here.
    pub(super) fn keeps_state(&self) -> bool {
        !self.begins_trace()
    }

    fn begins_trace(&self) -> bool {
        match self.desk.gateway.tracing {
            Tracing::Make => self.is_new_trace,
            Tracing::Pass => self.trace.is_none(),
            Tracing::Off => false,
        }
    }

    /// Writes the ids under which the next program knows it, too, as far as the client's do not go on.
    pub(super) fn write_ids(&self, lines: &mut impl Lines) {
        if let RequestId::Made(id) = &self.request_id {
            let mut text = [0; 32];
            write_hex(id, &mut text);
            lines.text(&X_REQUEST_ID, &text);
        }
        if !self.keeps_parent()
            && let Some(trace) = &self.trace
        {
            lines.text(&TRACEPARENT, &trace.text());
        }
    }

    /// It is handed on.
    pub(super) fn is_asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// The head of the upstream's answer is there.
    pub(super) fn is_served(&mut self) {
        self.upstream = self.asked.map(|asked| asked.elapsed());
        self.outcome = Some(Outcome::Served);
    }

    /// The upstream gave no answer.
    pub(super) fn failed(&mut self, error: &UpstreamError) {
        let (outcome, cause) = match error {
            UpstreamError::Connect { .. } => (Outcome::UpstreamConnect, "connect"),
            UpstreamError::Silent { .. } => (Outcome::UpstreamSilent, "silent"),
            UpstreamError::Answer { .. } => (Outcome::UpstreamAnswer, "answer"),
            UpstreamError::Ambiguous { .. } => (Outcome::UpstreamAnswer, "ambiguous"),
            UpstreamError::Full => (Outcome::UpstreamFull, "full"),
            UpstreamError::RequestBody(_) => {
                self.outcome = Some(Outcome::Aborted);
                return;
            }
        };
        self.outcome = Some(outcome);
        self.desk
            .gateway
            .telemetry
            .metrics
            .upstream_errors
            .of([&self.desk.site(self.site).name, cause])
            .one();
    }

    /// The id by which it is found in the log.
    pub(super) fn request_id(&self) -> String {
        match &self.request_id {
            RequestId::Given(id) => id.to_str().unwrap_or_default().to_owned(),
            RequestId::Made(id) => format!("{:032x}", u128::from_be_bytes(*id)),
        }
    }

    /// The answer, which takes the record along to its end.
    pub(super) fn with(mut self: Box<Self>, answer: Response<Body>) -> Response<Recorded> {
        let status = answer.status();
        self.status = Some(status);
        self.outcome.get_or_insert(match status {
            StatusCode::FORBIDDEN => Outcome::Denied,
            status if status.is_success() || status.is_redirection() => Outcome::Own,
            _ => Outcome::Refused,
        });
        answer.map(|body| {
            let is_over = self.method == Method::HEAD || body.is_end_stream();
            self.body = body;
            Recorded { is_over, record: self }
        })
    }

    fn write(&self, line: &mut Line<'_>, site: &SiteDesk, took: Duration) {
        match &self.request_id {
            RequestId::Given(id) => line.text("request_id", id.as_bytes()),
            RequestId::Made(id) => line.hex("request_id", id),
        }
        if let Some(trace) = &self.trace {
            line.hex("trace_id", &trace.trace_id);
        }
        line.text("site", site.name.as_bytes());
        line.text("rule", site.rules.get(self.place.0).map_or(NONE, |(name, _)| name).as_bytes());
        let peer = self.arrival.peer.to_canonical();
        let client = self.client.unwrap_or(peer);
        line.address("client", client);
        if client != peer {
            line.address("peer", peer);
        }
        line.text("method", self.method.as_str().as_bytes());
        line.text("path", self.path.as_ref().map_or("", PathAndQuery::path).as_bytes());
        line.word("protocol", protocol(self.version).1);
        line.word("scheme", if self.arrival.entrance == Entrance::Tls { "https" } else { "http" });
        if let Some(tls) = self.arrival.tls {
            line.word("tls", tls.number());
        }
        if let Some(status) = self.status {
            line.number("status", u64::from(status.as_u16()));
        }
        line.word("outcome", self.outcome.unwrap_or(Outcome::Aborted).name());
        line.number("bytes", self.bytes);
        line.millis("duration_ms", took);
        if let Some((target, _)) = site.target(self.target.get()) {
            line.text("upstream", target.as_bytes());
        }
        if let Some(upstream) = self.upstream {
            line.millis("upstream_ms", upstream);
        }
        if let Some((session, member)) = &self.session {
            line.base64("session", session);
            line.hex("member", member);
        }
    }
}

/// A version of HTTP: its place among the counters, and its name.
fn protocol(version: Version) -> (usize, &'static str) {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => (0, "HTTP/1.0"),
        Version::HTTP_2 => (2, "HTTP/2"),
        // The type may grow; what is served does not without this file.
        _ => (1, "HTTP/1.1"),
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let desk = &self.desk;
        desk.in_flight.down();
        let site = desk.site(self.site);
        let took = self.started.elapsed();
        site.duration.observe(took);
        site.bytes.add(self.bytes);
        if let Some((_, statuses)) = site.rules.get(self.place.0) {
            statuses.one(self.status);
        }
        desk.protocols[protocol(self.version).0].one();
        if let Some(upstream) = self.upstream {
            site.upstream.observe(upstream);
        }
        if let Some((_, requests)) = site.target(self.target.get()) {
            requests.one();
        }
        self.send_spans(site);
        if let Some(notebook) = &desk.notebook {
            notebook.add(self.started, |line| self.write(line, site, took));
        }
    }
}

/// The body of an answer with the record of its request.
pub struct Recorded {
    /// Nothing more is to come, or nobody waits for it.
    is_over: bool,
    record: Box<Record>,
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { is_over, record } = &mut *self;
        let polled = Pin::new(&mut record.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    record.bytes += data.len() as u64;
                }
                *is_over = *is_over || record.body.is_end_stream();
            }
            Poll::Ready(Some(Err(error))) => {
                record.outcome = Some(match error {
                    Broken::Upstream(_) => Outcome::UpstreamBroken,
                    Broken::SessionOver => Outcome::SessionOver,
                });
                *is_over = true;
            }
            Poll::Ready(None) => *is_over = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.record.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.record.body.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.is_over {
            self.record.outcome = Some(Outcome::Aborted);
        }
    }
}

impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorded")
    }
}
