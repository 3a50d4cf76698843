//! Upstreams: a request goes to the legacy app, the answer streams back. Nothing here knows who the member is.
//!
//! An [`Upstream`] is what all workers share: where the targets are, and what is known of them. Each worker has a [`Pool`]
//! of its own, with a lane of connections for each target. A connection goes back to its lane when the answer has been
//! read to its end, the request had been written to its end before, and nothing about either makes it doubtful where one
//! message ends and the next begins; otherwise it is dropped, and with it whatever might still be in it.

mod background;
pub mod body;
pub mod condition;
mod dial;
pub mod fields;
mod forward;
pub mod health;
pub mod http1;
mod http2;
pub mod outgoing;
mod pool;
mod resolve;
mod rest;
pub mod target;
pub mod tls;
pub mod upgrade;
pub mod websocket;

use std::io;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use http::header::HeaderName;

use crate::server::pace::Incomplete;
use condition::Condition;
use health::Checks;
pub use pool::Pool;
use resolve::Name;
use target::{Place, Target};
use tls::Tls;

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// From the end of the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two reads of an answer.
    pub idle: Duration,
}

/// Which of several targets gets a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The one that is serving the fewest requests of this worker.
    #[default]
    LeastBusy,
    /// One after the other.
    RoundRobin,
}

/// Which HTTP is spoken to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Over TLS what both ends agree on, HTTP/2 if they can (RFC 7301); otherwise HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1
    Http1,
    /// HTTP/2, without TLS by prior knowledge (RFC 9113 §3.3).
    Http2,
}

/// For how long a connection is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// It may idle for so long; most upstreams close theirs later than this.
    pub idle: Duration,
    /// It may be so old, or it would never see that a name leads elsewhere now.
    pub age: Duration,
    /// So many idle ones a worker keeps for one target.
    pub most_idle: usize,
}

impl Default for Reuse {
    fn default() -> Self {
        Self { idle: Duration::from_secs(15), age: Duration::from_secs(5 * 60), most_idle: 256 }
    }
}

/// Where a site's app is, as the operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its targets, at least one.
    pub targets: Vec<Target>,
    /// Which of them gets a request.
    pub balance: Balance,
    /// Which HTTP they speak.
    pub protocol: Protocol,
    /// How TLS is spoken to those with https; there where there is one.
    pub tls: Option<Tls>,
    /// Whether, and how, they are asked for their health.
    pub health: Option<Checks>,
    /// How long they may take.
    pub timeouts: Timeouts,
    /// How long connections to them are used.
    pub reuse: Reuse,
    /// So many requests of one worker are under way to all of them.
    pub in_flight: usize,
}

/// An upstream as all workers share it. Clones are the same upstream.
#[derive(Clone, Debug)]
pub struct Upstream {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
}

/// What the workers find out and tell each other.
#[derive(Debug)]
struct Shared {
    /// One for each target.
    conditions: Vec<Condition>,
    /// One for each target that is looked up.
    names: Vec<Option<Arc<Name>>>,
    /// From when the times in `conditions` are counted.
    since: Instant,
    looked_after: Once,
}

/// What is written about them is the same; what is known of them need not be.
impl PartialEq for Upstream {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Upstream {}

impl Upstream {
    /// An upstream that nobody has asked yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let name = |target: &Target| match target.place() {
            Place::Name(host, port) => Some(Arc::new(Name::new(host, *port))),
            Place::Address(_) | Place::Path(_) => None,
        };
        let shared = Shared {
            conditions: settings.targets.iter().map(|_| Condition::default()).collect(),
            names: settings.targets.iter().map(name).collect(),
            since: Instant::now(),
            looked_after: Once::new(),
        };
        Self { settings: Arc::new(settings), shared: Arc::new(shared) }
    }

    /// What the operator wrote.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Goes on with what is known already, where another upstream is the same: a reload forgets no target's condition.
    pub fn continue_from(&mut self, former: &Self) {
        if self == former {
            self.clone_from(former);
        }
    }

    /// Each target, and in which condition it is.
    pub fn targets(&self) -> impl Iterator<Item = (&Target, &Condition)> {
        self.settings.targets.iter().zip(&self.shared.conditions)
    }

    /// Opens a connection to one of the targets, as a request would have it, and closes it again. True where HTTP/2 would be
    /// spoken over it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn reach(&self, index: usize) -> io::Result<bool> {
        self.look_after();
        dial::dial(self, index, dial::Wanted::AsSettled).await.map(|(_, is_http2)| is_http2)
    }

    fn target(&self, index: usize) -> &Target {
        &self.settings.targets[index]
    }

    fn condition(&self, index: usize) -> &Condition {
        &self.shared.conditions[index]
    }

    async fn addresses(&self, index: usize) -> io::Result<Arc<[std::net::SocketAddr]>> {
        match &self.shared.names[index] {
            Some(name) => name.addresses().await,
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The time by which the targets' conditions go.
    fn now(&self) -> Duration {
        self.shared.since.elapsed()
    }

    /// Has the background look after it from now on, for as long as anybody has it.
    fn look_after(&self) {
        self.shared.looked_after.call_once(|| {
            for name in self.shared.names.iter().flatten() {
                let name = Arc::downgrade(name);
                background::run(move || Name::keep(name));
            }
            let checked = if self.settings.health.is_some() { self.settings.targets.len() } else { 0 };
            for index in 0..checked {
                let (settings, shared) = (Arc::clone(&self.settings), Arc::downgrade(&self.shared));
                background::run(move || health::keep(settings, shared, index));
            }
        });
    }

    /// A request found nobody there, or no answer.
    fn has_failed(&self, index: usize) {
        if self.condition(index).failed(self.now()) && self.settings.targets.len() > 1 {
            tracing::warn!(
                target = self.target(index).as_str(),
                "an upstream does not answer: others serve in its place"
            );
        }
    }

    fn has_answered(&self, index: usize) {
        if self.condition(index).answered() && self.settings.targets.len() > 1 {
            tracing::info!(target = self.target(index).as_str(), "an upstream answers again");
        }
    }
}

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It could not be reached.
    #[error("cannot connect to the upstream at {address}")]
    Connect {
        /// Where it should have been.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// It was reached and said nothing in time.
    #[error("the upstream at {address} did not answer in time")]
    Silent {
        /// Where it is.
        address: String,
    },
    /// As many requests are under way as the operator allows.
    #[error("as many requests are under way to the upstream as `in_flight` allows")]
    Full,
    /// The body of the request broke off.
    #[error("the body of the request broke off")]
    RequestBody(#[source] Incomplete),
    /// It answered with something that is no answer, or closed the connection.
    #[error("the upstream at {address} gave no proper answer")]
    Answer {
        /// Where it is.
        address: String,
        /// What was wrong.
        source: Fault,
    },
    /// It answered in a way that two readers would cut into messages differently (RFC 9112 §6.3).
    #[error("the upstream at {address} gave an answer whose length is ambiguous")]
    Ambiguous {
        /// Where it is.
        address: String,
    },
}

/// What was wrong with an answer, or with the way it should have come.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Over HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] http1::Fault),
    /// Over HTTP/2.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

/// Says whether a trailer of an answer may go to the client.
pub type TrailerFilter = Rc<dyn Fn(&HeaderName) -> bool>;
