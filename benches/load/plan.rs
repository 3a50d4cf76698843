//! What is to be done, as the script writes it, and what came of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Deserialize)]
pub(crate) struct Plan {
    #[serde(flatten)]
    pub(crate) kind: Kind,
    /// How long before anything counts.
    pub(crate) warm_up: f64,
    pub(crate) seconds: f64,
    pub(crate) targets: Vec<Target>,
}

/// The kinds of load.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Every connection sends its next request when it has the answer.
    Closed,
    /// Every request comes over a connection and a full handshake of its own.
    Handshake,
    /// So many requests each second, whether answers come or not.
    Held { rate: f64 },
    /// Connections that have had one answer and stay.
    Idle,
    /// None: a file is written of so many sessions that have ended, sealed with a key as the configuration has it.
    Ended { file: PathBuf, key: String, count: u64 },
}

/// Where load goes.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The processes whose time is counted.
    pub(crate) processes: Vec<u32>,
    pub(crate) connections: usize,
    /// The request, as it goes over the wire.
    pub(crate) request: String,
    /// The length of the content of every answer; the status is 200.
    pub(crate) length: usize,
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
}

/// TLS 1.3 to a target.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) host: String,
    /// PEM file of the certificate, which is its own root.
    pub(crate) certificate: String,
    pub(crate) exchange: Exchange,
}

/// The key exchange that is offered; no other is.
#[derive(Deserialize, Clone, Copy)]
pub(crate) enum Exchange {
    X25519,
    X25519MLKEM768,
}

/// What one target did.
#[derive(Serialize)]
pub(crate) struct Outcome {
    name: String,
    requests: usize,
    failures: usize,
    /// What was wrong the first time.
    complaint: Option<String>,
    seconds: f64,
    processor_seconds: f64,
    /// Latencies, in microseconds.
    p50: f64,
    p90: f64,
    p99: f64,
}

impl Outcome {
    pub(crate) fn new(
        target: &Target,
        mut latencies: Vec<Duration>,
        failures: usize,
        complaint: Option<String>,
        seconds: f64,
        processor_seconds: f64,
    ) -> Self {
        latencies.sort_unstable();
        let at = |share: usize| {
            let index = (latencies.len() * share / 100).min(latencies.len().saturating_sub(1));
            latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        let (p50, p90, p99) = (at(50), at(90), at(99));
        Self {
            name: target.name.clone(),
            requests: latencies.len(),
            failures,
            complaint,
            seconds,
            processor_seconds,
            p50,
            p90,
            p99,
        }
    }
}
