//! Metrics: what is counted, under which labels.
//!
//! The values of labels come from the configuration or from a list in the source, never from outside, so that nobody who
//! sends requests can make more of them. No path, no host and no member is among them.

mod relays;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use super::count::{Count, Family, Histogram, Level, Tally};
use super::exposition::{Format, Page};
use super::process;
use crate::time::UnixTime;
pub use relays::Relays;

/// The classes of statuses (RFC 9110 §15), and none where the client left before there was one.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Answers by the class of their status.
#[derive(Debug, Default)]
pub struct Statuses([Count; CLASSES.len()]);

impl Statuses {
    /// One more answer; none for a client that left before.
    pub fn one(&self, status: Option<StatusCode>) {
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        self.0[if class < CLASSES.len() { class } else { 0 }].one();
    }
}

impl Tally for Statuses {
    type Sum = [u64; CLASSES.len()];

    fn add_to(&self, sum: &mut Self::Sum) {
        for (sum, count) in sum.iter_mut().zip(&self.0) {
            *sum += count.get();
        }
    }
}

/// A certificate, as far as its end is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Its file.
    pub file: String,
    /// The last instant at which it holds.
    pub until: UnixTime,
}

/// Says until when the certificates hold that are served now.
pub type Certificates = Box<dyn Fn() -> Vec<Expiry> + Send>;

/// A target of an upstream, as it is at the moment of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetState {
    /// The site whose app it is.
    pub site: String,
    /// Its address, as the operator wrote it.
    pub target: String,
    /// Whether requests go there.
    pub in_rotation: bool,
    /// What the health checks say; nothing where there are none.
    pub healthy: Option<bool>,
    /// Connections that were opened.
    pub connects: u64,
    /// Connections that could not be opened.
    pub refusals: u64,
    /// Requests that went on from there to another connection.
    pub repeats: u64,
}

impl TargetState {
    fn labels(&self) -> [&str; 2] {
        [&self.site, &self.target]
    }
}

/// Says how the targets of all upstreams are that are served now.
pub type Targets = Box<dyn Fn() -> Vec<TargetState> + Send>;

/// What is known of revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// How many, by kind.
    pub known: Vec<(&'static str, u64)>,
    /// Whether the place is there where they are kept.
    pub store_is_up: bool,
    /// How many wait for that place to be there again.
    pub waiting: u64,
}

/// Says what is known of revocations now.
pub type Revocations = Box<dyn Fn() -> Revoked + Send>;

/// All that is counted.
#[derive(Default)]
pub struct Metrics {
    /// Requests, by site and rule; of each the answers by class.
    pub requests: Family<Statuses, 2>,
    /// Requests, by the version of HTTP.
    pub protocols: Family<Count, 1>,
    /// Requests whose answer has not ended.
    pub in_flight: Family<Level, 0>,
    /// From the head of a request to the end of its answer, by site.
    pub duration: Family<Histogram, 1>,
    /// From handing a request on to the head of the answer, by site.
    pub upstream: Family<Histogram, 1>,
    /// Requests to which an upstream gave no answer, by site and cause.
    pub upstream_errors: Family<Count, 2>,
    /// Requests by site and the target that had them last.
    pub target_requests: Family<Count, 2>,
    /// Octets of the contents of answers, by site.
    pub bytes: Family<Count, 1>,
    /// Sessions that were not let through, by site and cause.
    pub sessions_rejected: Family<Count, 2>,
    /// Revocations that were asked of this process, by kind.
    pub revocations: Family<Count, 1>,
    /// Sign-ins that began, by provider.
    pub logins_started: Family<Count, 1>,
    /// Sign-ins that succeeded, by provider.
    pub logins_finished: Family<Count, 1>,
    /// Sign-ins that did not, by provider and cause.
    pub logins_failed: Family<Count, 2>,
    /// Calls to vendors, by provider and outcome.
    pub vendor_calls: Family<Count, 2>,
    /// How long they took, by provider.
    pub vendor_duration: Family<Histogram, 1>,
    /// Client-scoped tokens that were asked for, by provider and result.
    pub client_tokens: Family<Count, 2>,
    /// What apps ask a vendor's API.
    pub relays: Relays,
    /// Connections that were taken, by kind of listener.
    pub connections: Family<Count, 1>,
    /// Connections that are there, by kind of listener.
    pub connections_open: Family<Level, 1>,
    /// Connections that were turned away, and streams that were refused, by the limit they came to.
    pub turned_away: Family<Count, 1>,
    /// TLS handshakes, by result.
    pub handshakes: Family<Count, 1>,
    /// Readings of the configuration after the first, by result.
    pub reloads: Family<Count, 1>,
    /// Lines of the access log that nobody will read.
    pub lines_dropped: Arc<Count>,
    configured_at: AtomicU64,
    started_at: AtomicU64,
    certificates: Mutex<Option<Certificates>>,
    targets: Mutex<Option<Targets>>,
    revoked: Mutex<Option<Revocations>>,
}

impl Metrics {
    /// The gateway serves, with a configuration that was read just now.
    pub fn started(&self, now: UnixTime) {
        self.started_at.store(now.0, Ordering::Relaxed);
        self.configured_at.store(now.0, Ordering::Relaxed);
        // What is there from the start is seen to grow from nothing to one.
        for result in ["ok", "failed"] {
            let _: Arc<Count> = self.reloads.of([result]);
        }
    }

    /// The configuration was read again: and is served now, or was no good.
    pub fn reloaded(&self, succeeded: bool, now: UnixTime) {
        self.reloads.of([if succeeded { "ok" } else { "failed" }]).one();
        if succeeded {
            self.configured_at.store(now.0, Ordering::Relaxed);
        }
    }

    /// A session on this site was not let through.
    pub fn rejects(&self, site: &str, cause: &'static str) {
        self.sessions_rejected.of([site, cause]).one();
    }

    /// From now on these certificates are served.
    pub fn serves(&self, certificates: Certificates) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificates);
    }

    /// From now on requests go to these targets.
    pub fn forwards_to(&self, targets: Targets) {
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = Some(targets);
    }

    /// From now on these revocations count.
    pub fn heeds(&self, revoked: Revocations) {
        *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) = Some(revoked);
    }

    /// Everything, for Prometheus to read.
    #[must_use]
    pub fn expose(&self, format: Format) -> String {
        let mut page = Page::new(format);
        self.expose_requests(&mut page);
        self.expose_targets(&mut page);
        self.expose_people(&mut page);
        self.expose_vendors(&mut page);
        self.relays.expose(&mut page);
        self.expose_server(&mut page);
        process::expose(&mut page, self.started_at.load(Ordering::Relaxed));
        page.finish()
    }

    fn expose_requests(&self, page: &mut Page) {
        let requests = self.requests.sums();
        let samples = requests.iter().flat_map(|([site, rule], statuses)| {
            let seen = CLASSES.into_iter().zip(*statuses).filter(|(_, count)| *count > 0);
            seen.map(move |(class, count)| ([site.as_str(), rule, class], count))
        });
        page.totals(
            "member_gateway_requests_total",
            "Requests by site, rule and class of the answer's status; none where the client left before.",
            ["site", "rule", "status"],
            samples,
        );
        page.counters(
            "member_gateway_requests_by_protocol_total",
            "Requests by version of HTTP.",
            ["protocol"],
            &self.protocols,
        );
        page.levels(
            "member_gateway_requests_in_flight",
            "Requests whose answer has not ended.",
            [],
            &self.in_flight,
        );
        page.histograms(
            "member_gateway_request_duration_seconds",
            "From the head of a request to the end of its answer, by site.",
            ["site"],
            &self.duration,
        );
        page.counters(
            "member_gateway_response_body_bytes_total",
            "Octets of the contents of answers, by site.",
            ["site"],
            &self.bytes,
        );
        page.histograms(
            "member_gateway_upstream_duration_seconds",
            "From handing a request on to the head of the upstream's answer, by site.",
            ["site"],
            &self.upstream,
        );
        page.counters(
            "member_gateway_upstream_errors_total",
            "Requests to which the upstream gave no answer, by site and cause.",
            ["site", "cause"],
            &self.upstream_errors,
        );
    }

    fn expose_targets(&self, page: &mut Page) {
        const LABELS: [&str; 2] = ["site", "target"];
        page.counters(
            "member_gateway_upstream_requests_total",
            "Requests by site and the target that had them last.",
            LABELS,
            &self.target_requests,
        );
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let targets = targets.as_ref().map(|targets| targets()).unwrap_or_default();
        page.gauge(
            "member_gateway_upstream_in_rotation",
            "1 where requests go to the target; 0 where it is left out for as long as there is another.",
            LABELS,
            targets.iter().map(|state| (state.labels(), u64::from(state.in_rotation))),
        );
        page.gauge(
            "member_gateway_upstream_healthy",
            "What the health checks say of a target, where it has some.",
            LABELS,
            targets.iter().filter_map(|state| Some((state.labels(), u64::from(state.healthy?)))),
        );
        page.totals(
            "member_gateway_upstream_connections_total",
            "Connections that were opened to a target.",
            LABELS,
            targets.iter().map(|state| (state.labels(), state.connects)),
        );
        page.totals(
            "member_gateway_upstream_connection_failures_total",
            "Connections that could not be opened to a target.",
            LABELS,
            targets.iter().map(|state| (state.labels(), state.refusals)),
        );
        page.totals(
            "member_gateway_upstream_repeats_total",
            "Requests that went on to another connection, since the target gave no answer.",
            LABELS,
            targets.iter().map(|state| (state.labels(), state.repeats)),
        );
    }

    fn expose_people(&self, page: &mut Page) {
        page.counters(
            "member_gateway_logins_started_total",
            "Sign-ins that began, by provider.",
            ["provider"],
            &self.logins_started,
        );
        page.counters(
            "member_gateway_logins_finished_total",
            "Sign-ins that succeeded, by provider.",
            ["provider"],
            &self.logins_finished,
        );
        page.counters(
            "member_gateway_logins_failed_total",
            "Sign-ins that did not succeed, by provider and cause.",
            ["provider", "cause"],
            &self.logins_failed,
        );
        page.counters(
            "member_gateway_sessions_rejected_total",
            "Requests whose session was not let through, by site and cause.",
            ["site", "cause"],
            &self.sessions_rejected,
        );
        page.counters(
            "member_gateway_revocations_total",
            "Revocations that were asked of this process, by kind.",
            ["kind"],
            &self.revocations,
        );
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        let Revoked { known, store_is_up, waiting } =
            revoked.as_ref().map(|revoked| revoked()).unwrap_or_default();
        page.gauge(
            "member_gateway_revocations_known",
            "Revocations that are known and may still end a session, by kind.",
            ["kind"],
            known.into_iter().map(|(kind, known)| ([kind], known)),
        );
        page.gauge(
            "member_gateway_revocation_store_up",
            "Whether the place is there where revocations are kept.",
            [],
            [([], u64::from(store_is_up))],
        );
        page.gauge(
            "member_gateway_revocations_waiting",
            "Sign-outs that wait for the store of revocations to be there again.",
            [],
            [([], waiting)],
        );
    }

    fn expose_vendors(&self, page: &mut Page) {
        page.counters(
            "member_gateway_vendor_calls_total",
            "Calls of this gateway to a vendor, by provider and outcome.",
            ["provider", "outcome"],
            &self.vendor_calls,
        );
        page.histograms(
            "member_gateway_vendor_call_duration_seconds",
            "From calling a vendor to the end of its answer, by provider.",
            ["provider"],
            &self.vendor_duration,
        );
        page.counters(
            "member_gateway_client_tokens_total",
            "Client-scoped tokens that were asked for, by provider and result.",
            ["provider", "result"],
            &self.client_tokens,
        );
    }

    fn expose_server(&self, page: &mut Page) {
        page.counters(
            "member_gateway_connections_total",
            "Connections that were taken, by kind of listener.",
            ["listener"],
            &self.connections,
        );
        page.levels(
            "member_gateway_connections_open",
            "Connections that are there, by kind of listener.",
            ["listener"],
            &self.connections_open,
        );
        page.counters(
            "member_gateway_turned_away_total",
            "Connections turned away and streams refused, by the limit they came to.",
            ["limit"],
            &self.turned_away,
        );
        page.counters(
            "member_gateway_tls_handshakes_total",
            "TLS handshakes by result.",
            ["result"],
            &self.handshakes,
        );
        page.counters(
            "member_gateway_config_reloads_total",
            "Readings of the configuration after the first, by result.",
            ["result"],
            &self.reloads,
        );
        page.gauge(
            "member_gateway_config_timestamp_seconds",
            "When the configuration that is served was read.",
            [],
            [([], self.configured_at.load(Ordering::Relaxed))],
        );
        let certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let certificates = certificates.as_ref().map(|certificates| certificates()).unwrap_or_default();
        page.gauge(
            "member_gateway_certificate_expiry_timestamp_seconds",
            "The last instant at which a certificate holds.",
            ["file"],
            certificates.iter().map(|Expiry { file, until }| ([file.as_str()], until.0)),
        );
        page.totals(
            "member_gateway_access_log_dropped_lines_total",
            "Lines of the access log that were given up, since they could not be written as fast as they came.",
            [],
            [([], self.lines_dropped.get())].into_iter(),
        );
        page.gauge(
            "member_gateway_build_info",
            "Always 1; the label says which version runs.",
            ["version"],
            [([env!("CARGO_PKG_VERSION")], 1)],
        );
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_named_for_what_it_measures_and_explained() {
        let metrics = Metrics::default();
        metrics.started(UnixTime(1_795_300_000));
        let page = metrics.expose(Format::Prometheus);
        let mut names = Vec::new();
        for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(name.starts_with("member_gateway_") || name.starts_with("process_"), "{name}");
            assert!(page.contains(&format!("# HELP {name} ")), "{name}");
            assert!(!names.contains(&name), "{name} stands there twice");
            names.push(name);
        }
    }

    #[test]
    fn a_reload_that_failed_leaves_the_time_of_the_one_that_counts() {
        let metrics = Metrics::default();
        metrics.started(UnixTime(1000));
        metrics.reloaded(true, UnixTime(2000));
        metrics.reloaded(false, UnixTime(3000));
        let page = metrics.expose(Format::Prometheus);
        for line in [
            "member_gateway_config_timestamp_seconds 2000\n",
            "member_gateway_config_reloads_total{result=\"ok\"} 1\n",
            "member_gateway_config_reloads_total{result=\"failed\"} 1\n",
            "process_start_time_seconds 1000\n",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
    }

    #[test]
    fn a_status_that_does_not_exist_is_counted_all_the_same() {
        let statuses = Statuses::default();
        statuses.one(StatusCode::from_u16(999).ok());
        statuses.one(Some(StatusCode::OK));
        statuses.one(None);
        let mut sum = [0; 6];
        statuses.add_to(&mut sum);
        assert_eq!(sum, [2, 0, 1, 0, 0, 0]);
    }
}
