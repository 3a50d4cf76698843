//! The record of one request to the relay, for the metrics and the access log. It holds no query and no field, and of the
//! path its shape alone: paths hold ids of people.

use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::{Broken, Relay};
use crate::provider::inspection::described;
use crate::telemetry::access_log::{self, Notebook};
use crate::telemetry::count::{Count, Histogram, Level};
use crate::telemetry::line::Line;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With the vendor's answer.
    Served,
    /// It was not for whoever asked, or not for anybody.
    Refused,
    /// It came too often, or too many at a time.
    Throttled,
    /// There was no token to ask with.
    NoToken,
    /// The vendor gave no answer.
    VendorAway,
    /// It gave none in time.
    VendorSilent,
    /// Its answer broke off.
    VendorBroken,
    /// The app left before the answer was sent.
    Aborted,
}

impl Outcome {
    /// In the order in which they are declared.
    const NAMES: [&'static str; 8] = [
        "served",
        "refused",
        "throttled",
        "no_token",
        "vendor_away",
        "vendor_silent",
        "vendor_broken",
        "aborted",
    ];

    const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What a worker has at hand for its records.
pub(super) struct Desk {
    pub(super) relay: Arc<Relay>,
    in_flight: Arc<Level>,
    requests: [Arc<Count>; Outcome::NAMES.len()],
    duration: Arc<Histogram>,
    /// Answers of the vendor that said 429.
    too_many: Arc<Count>,
    /// Requests that were sent once more with another token.
    repeats: Arc<Count>,
    notebook: Option<Notebook>,
}

impl Desk {
    /// To be made on the thread of the worker, for it hands its page of the access log over by itself.
    pub(super) fn new(relay: Arc<Relay>) -> Rc<Self> {
        let (metrics, name) = (&relay.telemetry.metrics.relays, relay.name());
        let desk = Rc::new(Self {
            in_flight: metrics.in_flight.of([name]),
            requests: Outcome::NAMES.map(|outcome| metrics.requests.of([name, outcome])),
            duration: metrics.duration.of([name]),
            too_many: metrics.too_many.of([name]),
            repeats: metrics.repeats.of([name]),
            notebook: relay.telemetry.notebook(&relay.clock),
            relay,
        });
        if desk.notebook.is_some() {
            tokio::task::spawn_local(turn_pages(Rc::downgrade(&desk)));
        }
        desk
    }
}

/// Hands the page over again and again, for as long as the desk is there.
async fn turn_pages(desk: Weak<Desk>) {
    loop {
        tokio::time::sleep(access_log::TURN).await;
        let Some(desk) = desk.upgrade() else { return };
        if let Some(notebook) = &desk.notebook {
            notebook.turn();
        }
    }
}

/// What is known of one request.
pub(super) struct Record {
    desk: Rc<Desk>,
    started: Instant,
    client: IpAddr,
    method: Method,
    shape: String,
    status: Option<StatusCode>,
    outcome: Option<Outcome>,
    /// All of the answer was sent.
    complete: bool,
    asked: Option<Instant>,
    vendor: Option<Duration>,
    bytes: u64,
}

impl Record {
    /// Opens the record of a request whose head has come.
    pub(super) fn open(desk: &Rc<Desk>, method: &Method, path: &str, client: IpAddr) -> Self {
        desk.in_flight.up();
        Self {
            desk: Rc::clone(desk),
            started: Instant::now(),
            client,
            method: method.clone(),
            shape: desk.relay.paths.shape(path.as_bytes()),
            status: None,
            outcome: None,
            complete: false,
            asked: None,
            vendor: None,
            bytes: 0,
        }
    }

    /// What may be said of the path.
    pub(super) fn shape(&self) -> &str {
        &self.shape
    }

    /// The vendor is asked.
    pub(super) fn is_asked(&mut self) {
        if self.asked.replace(Instant::now()).is_some() {
            self.desk.repeats.one();
        }
    }

    /// The head of its answer is there.
    pub(super) fn is_answered(&mut self, status: StatusCode) {
        self.vendor = self.asked.map(|asked| asked.elapsed());
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.desk.too_many.one();
        }
    }

    /// This is going to be sent.
    pub(super) fn answers(&mut self, status: StatusCode, outcome: Outcome, is_empty: bool) {
        (self.status, self.outcome) = (Some(status), Some(outcome));
        self.complete = is_empty || self.method == Method::HEAD;
    }

    pub(super) const fn sent(&mut self, octets: usize) {
        self.bytes += octets as u64;
    }

    pub(super) const fn is_complete(&mut self) {
        self.complete = true;
    }

    /// The vendor's answer does not come to its end.
    pub(super) fn breaks_off(&mut self, error: &Broken) {
        (self.outcome, self.complete) = (Some(Outcome::VendorBroken), true);
        let (provider, path) = (self.desk.relay.name(), &self.shape);
        let error = described(error);
        tracing::warn!(provider, path, error, "an answer of the API is broken off");
    }

    fn outcome(&self) -> Outcome {
        self.outcome.filter(|_| self.complete).unwrap_or(Outcome::Aborted)
    }

    fn write(&self, line: &mut Line<'_>, took: Duration) {
        line.text("relay", self.desk.relay.name().as_bytes());
        line.address("client", self.client.to_canonical());
        line.text("method", self.method.as_str().as_bytes());
        line.text("path", self.shape.as_bytes());
        if let Some(status) = self.status {
            line.number("status", u64::from(status.as_u16()));
        }
        line.text("outcome", self.outcome().name().as_bytes());
        line.number("bytes", self.bytes);
        line.millis("duration_ms", took);
        if let Some(vendor) = self.vendor {
            line.millis("vendor_ms", vendor);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let desk = &self.desk;
        let took = self.started.elapsed();
        desk.in_flight.down();
        desk.requests[self.outcome() as usize].one();
        desk.duration.observe(took);
        if let Some(notebook) = &desk.notebook {
            notebook.add(self.started, |line| self.write(line, took));
        }
    }
}
