//! The desk of one worker, where the counters of each site lie ready, and its page of the access log.
//!
//! What is counted is looked up by name once, when the desk is made; from then on a `Record` finds
//! it by its place, without a lock.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use http::Method;

use super::Gateway;
use super::failure::Cause;
use super::site::Site;
use crate::route::rule::Rule;
use crate::server::{Crowded, Entrance, Event};
use crate::session::Session;
use crate::telemetry::access_log::{self, Notebook};
use crate::telemetry::count::{Count, Histogram, Level};
use crate::telemetry::metrics::{Metrics, Statuses};

/// What stands for a site, or a rule, where a request has come to none. Neither is ever called so: both hold a slash.
pub(super) const NONE: &str = "none";
/// The limits for which connections are turned away, and streams.
const TURNED_AWAY: [&str; 3] = ["connections", "connections_per_peer", "http2_bytes"];
/// Hashes of members that a worker remembers: a session is asked for many times in a row.
const REMEMBERED: usize = 1024;

/// What one worker has at hand for its records.
pub(super) struct Desk {
    pub(super) gateway: Arc<Gateway>,
    pub(super) in_flight: Arc<Level>,
    /// HTTP/1.0, HTTP/1.1, HTTP/2
    pub(super) protocols: [Arc<Count>; 3],
    /// Connections taken and there, by [`Entrance`].
    connections: [(Arc<Count>, Arc<Level>); 3],
    /// TLS handshakes that came about, and those that did not.
    handshakes: [Arc<Count>; 2],
    /// In the order of [`TURNED_AWAY`].
    turned_away: [Arc<Count>; TURNED_AWAY.len()],
    sites: Vec<SiteDesk>,
    /// For requests that are for no site.
    nowhere: SiteDesk,
    pub(super) notebook: Option<Notebook>,
    /// Hashes of members, each in the place that its session's id leads to.
    hashes: RefCell<Vec<([u8; 16], [u8; 8])>>,
}

/// The counters of one site.
pub(super) struct SiteDesk {
    pub(super) name: String,
    pub(super) duration: Arc<Histogram>,
    pub(super) upstream: Arc<Histogram>,
    pub(super) bytes: Arc<Count>,
    /// The targets of its upstream, in their order, and the requests that went there.
    targets: Vec<(String, Arc<Count>)>,
    /// In the order of [`Place`].
    pub(super) rules: Vec<(String, Arc<Statuses>)>,
}

impl SiteDesk {
    /// A target of its upstream, and the requests that went there.
    pub(super) fn target(&self, index: Option<usize>) -> Option<&(String, Arc<Count>)> {
        self.targets.get(index?)
    }
}

/// Which rule a request came to: its place among the counters of its site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(pub(super) usize);

impl Place {
    pub(super) const NONE: Self = Self(0);
    pub(super) const OWN: Self = Self(1);
    const DEFAULT: Self = Self(2);

    pub(super) const fn written(place: Option<usize>) -> Self {
        match place {
            Some(place) => Self(3 + place),
            None => Self::DEFAULT,
        }
    }
}

impl SiteDesk {
    fn new(metrics: &Metrics, name: &str, rules: &[Rule], targets: Vec<String>) -> Self {
        let named = |rule: &Rule| match &rule.methods {
            Some(methods) => {
                let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
                format!("{} {}", methods.join(","), rule.pattern)
            }
            None => rule.pattern.to_string(),
        };
        let ours = [NONE, "gateway", "default"].map(str::to_owned);
        let rules = ours.into_iter().chain(rules.iter().map(named));
        Self {
            name: name.to_owned(),
            duration: metrics.duration.of([name]),
            upstream: metrics.upstream.of([name]),
            bytes: metrics.bytes.of([name]),
            targets: targets
                .into_iter()
                .map(|target| {
                    let count = metrics.target_requests.of([name, &target]);
                    (target, count)
                })
                .collect(),
            rules: rules.map(|rule| (rule.clone(), metrics.requests.of([name, &rule]))).collect(),
        }
    }
}

impl Desk {
    /// The desk of a worker that serves this gateway; to be made on its thread, for it hands its page over by itself.
    pub(super) fn new(gateway: Arc<Gateway>) -> Rc<Self> {
        let metrics = &gateway.telemetry.metrics;
        let notebook = gateway.telemetry.notebook(&gateway.clock);
        let sites = gateway.sites.iter().map(|site| {
            prepare_logins(metrics, site);
            let targets = site.upstream.targets().map(|(target, _)| target.to_string());
            SiteDesk::new(metrics, site.origin.as_str(), site.rules.written(), targets.collect())
        });
        let desk = Rc::new(Self {
            in_flight: metrics.in_flight.of([]),
            protocols: ["HTTP/1.0", "HTTP/1.1", "HTTP/2"].map(|protocol| metrics.protocols.of([protocol])),
            connections: ["plain", "tls", "redirect"].map(|listener| {
                (metrics.connections.of([listener]), metrics.connections_open.of([listener]))
            }),
            turned_away: TURNED_AWAY.map(|limit| metrics.turned_away.of([limit])),
            handshakes: ["ok", "failed"].map(|result| metrics.handshakes.of([result])),
            sites: sites.collect(),
            nowhere: SiteDesk::new(metrics, NONE, &[], Vec::new()),
            hashes: RefCell::new(vec![Default::default(); if notebook.is_some() { REMEMBERED } else { 0 }]),
            notebook,
            gateway,
        });
        if desk.notebook.is_some() {
            tokio::task::spawn_local(turn_pages(Rc::downgrade(&desk)));
        }
        desk
    }

    /// Counts connections.
    pub(super) fn notice(&self, entrance: Entrance, event: Event) {
        let (taken, open) = &self.connections[match entrance {
            Entrance::Plain => 0,
            Entrance::Tls => 1,
            Entrance::Redirect => 2,
        }];
        let [shaken, not_shaken] = &self.handshakes;
        match event {
            Event::Opened => {
                taken.one();
                open.up();
                if entrance == Entrance::Tls {
                    shaken.one();
                }
            }
            Event::Closed => open.down(),
            Event::NotShaken => not_shaken.one(),
            Event::TurnedAway(Crowded::All) => self.turned_away[0].one(),
            Event::TurnedAway(Crowded::Address) => self.turned_away[1].one(),
            Event::StreamRefused => self.turned_away[2].one(),
        }
    }

    /// The hash of the member of a session.
    pub(super) fn hash(&self, session: &Session) -> [u8; 8] {
        let id = session.id.0;
        let mut hashes = self.hashes.borrow_mut();
        let place = usize::from(u16::from_be_bytes([id[0], id[1]])) % REMEMBERED;
        let hash =
            || self.gateway.member_hash.of(session.member.provider.as_str(), session.member.id.as_str());
        match hashes.get_mut(place) {
            Some((known, hash)) if *known == id => *hash,
            Some(entry) => {
                *entry = (id, hash());
                entry.1
            }
            None => hash(),
        }
    }

    pub(super) fn site(&self, site: Option<usize>) -> &SiteDesk {
        site.and_then(|index| self.sites.get(index)).unwrap_or(&self.nowhere)
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

/// A counter that is there before it counts is seen to grow from nothing to one.
fn prepare_logins(metrics: &Metrics, site: &Site) {
    for provider in site.login.providers() {
        let name = provider.name.as_str();
        let _: [Arc<Count>; 2] = [metrics.logins_started.of([name]), metrics.logins_finished.of([name])];
        for cause in Cause::ALL {
            let _: Arc<Count> = metrics.logins_failed.of([name, cause.name()]);
        }
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
