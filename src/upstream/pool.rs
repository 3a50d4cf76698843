//! One worker's connections to the targets of an upstream, and which target gets a request.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::condition::Standing;
use super::dial::{self, Wanted};
use super::outgoing::Head;
use super::{Balance, Protocol, Reuse, TrailerFilter, Upstream, http1, http2};
use crate::deadline::Ticker;
use http::Method;
use http::uri::PathAndQuery;
use tokio::sync::Semaphore;

/// Connections of HTTP/2 that a worker opens to one target. When all are full, requests wait for each other.
const MOST_SHARED: usize = 8;
/// How often those are closed that have idled for too long.
const SWEEP: Duration = Duration::from_secs(5);

/// One worker's connections to one upstream.
pub struct Pool {
    pub(super) upstream: Upstream,
    pub(super) trailers: TrailerFilter,
    /// One for each target.
    lanes: Vec<Lane>,
    /// Where the search for a target begins; it moves on, so that those that are as good as each other take turns.
    next: Cell<usize>,
    ticker: Ticker,
}

/// The connections to one target.
struct Lane {
    /// Requests of this worker that it is serving.
    busy: Cell<usize>,
    /// In the order in which they became idle.
    idle: RefCell<Vec<Idle>>,
    /// Those that carry several requests at a time.
    shared: RefCell<Vec<Rc<http2::Connection>>>,
    /// Held while one that may be shared is opened: whoever waits may find room in it.
    opening: Semaphore,
    /// Whether a connection could be shared, as far as the settings go.
    might_share: bool,
    /// Whether the last one that was opened can.
    may_share: Cell<bool>,
}

struct Idle {
    connection: Box<http1::Connection>,
    since: Duration,
}

/// What carries a request.
pub(super) enum Carrier {
    /// A connection that it has for itself.
    Own(Box<http1::Connection>),
    /// A stream among others.
    Stream(http2::Exchange),
}

impl Lane {
    fn new(might_share: bool) -> Self {
        Self {
            busy: Cell::new(0),
            idle: RefCell::default(),
            shared: RefCell::default(),
            opening: Semaphore::new(1),
            might_share,
            may_share: Cell::new(might_share),
        }
    }

    /// A stream of a connection that has room for it, or that has to do because there can be no other.
    fn stream(&self) -> Option<http2::Exchange> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|connection| connection.is_open());
        let with_room = shared.iter().find(|connection| connection.has_room());
        let least = || shared.iter().min_by_key(|connection| connection.streams());
        let found = with_room.or_else(|| if shared.len() < MOST_SHARED { None } else { least() });
        found.map(http2::Exchange::begin)
    }
}

impl Pool {
    /// A pool without connections. It is to be made on the worker that uses it, for it closes what idles too long.
    #[must_use]
    pub fn new(upstream: Upstream, ticker: &Ticker, trailers: TrailerFilter) -> Rc<Self> {
        upstream.look_after();
        let protocol = upstream.settings().protocol;
        let might_share = |secure| match protocol {
            Protocol::Http2 => true,
            Protocol::Auto => secure,
            Protocol::Http1 => false,
        };
        let targets = upstream.settings().targets.iter();
        let lanes = targets.map(|target| Lane::new(might_share(target.is_secure()))).collect();
        let pool = Rc::new(Self { upstream, trailers, lanes, next: Cell::new(0), ticker: ticker.clone() });
        tokio::task::spawn_local(sweep(Rc::downgrade(&pool)));
        pool
    }

    /// What its connections lead to.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// A head for a request to it, that begins so.
    #[must_use]
    pub fn head(&self, method: &Method, target: &PathAndQuery) -> Head {
        if self.lanes.iter().any(|lane| lane.might_share) {
            Head::undecided(target.clone())
        } else {
            Head::octets(method, target)
        }
    }

    /// Whether as many requests are under way as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.lanes.iter().map(|lane| lane.busy.get()).sum::<usize>() >= self.upstream.settings().in_flight
    }

    /// Whether there is more than one target.
    pub(super) fn has_a_choice(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Chooses a target among those not tried yet, and counts the request there for as long as the lease is held.
    ///
    /// Where all are left out, all are chosen from: an app that may be down is a better answer than none.
    pub(super) fn choose(self: &Rc<Self>, tried: &Tried) -> Lease {
        let index = if self.has_a_choice() { self.best(tried) } else { 0 };
        let lane = &self.lanes[index];
        lane.busy.set(lane.busy.get() + 1);
        Lease { pool: Rc::clone(self), index, carrier: None }
    }

    fn best(&self, tried: &Tried) -> usize {
        let count = self.lanes.len();
        let first = self.next.get();
        self.next.set((first + 1) % count);
        let in_turn = || (first..count).chain(0..first);
        let load = |&index: &usize| match self.upstream.settings().balance {
            Balance::LeastBusy => self.lanes[index].busy.get(),
            Balance::RoundRobin => 0,
        };
        let mut well = None;
        for index in in_turn().filter(|&index| !tried.has(index)) {
            match self.upstream.condition(index).standing(|| self.upstream.now()) {
                Standing::Trial => return index,
                Standing::In if well.is_none_or(|best| load(&index) < load(&best)) => well = Some(index),
                Standing::In | Standing::Out => {}
            }
        }
        let left = in_turn().filter(|&index| !tried.has(index)).min_by_key(load);
        well.or(left).unwrap_or(first)
    }

    fn reuse(&self) -> Reuse {
        self.upstream.settings().reuse
    }

    fn is_fresh(&self, idle: &Idle) -> bool {
        !self.is_past(idle.since, self.reuse().idle) && !self.is_past(idle.connection.since, self.reuse().age)
    }

    fn is_past(&self, since: Duration, limit: Duration) -> bool {
        self.ticker.elapsed().saturating_sub(since) >= limit
    }

    /// Closes what has idled too long or was closed by the other side, and gives what is too old nothing more to do.
    fn sweep(&self) {
        let Reuse { idle: longest, age, .. } = self.reuse();
        for lane in &self.lanes {
            lane.idle.borrow_mut().retain(|idle| self.is_fresh(idle) && idle.connection.is_quiet());
            if lane.idle.borrow().is_empty() {
                // An app may have learnt HTTP/2 since.
                lane.may_share.set(lane.might_share);
            }
            lane.shared.borrow_mut().retain(|connection| {
                let is_idle = connection.streams() == 0 && self.is_past(connection.idle_since.get(), longest);
                connection.is_open() && !is_idle && !self.is_past(connection.since, age)
            });
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle: usize = self.lanes.iter().map(|lane| lane.idle.borrow().len()).sum();
        write!(f, "Pool({:?}, {idle} idle)", self.upstream.settings().targets)
    }
}

/// Closes what is of no more use, for as long as the pool is there.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep();
    }
}

/// Which targets a request has been to.
#[derive(Debug, Default)]
pub(super) struct Tried(Vec<usize>);

impl Tried {
    fn has(&self, index: usize) -> bool {
        self.0.contains(&index)
    }

    pub(super) fn add(&mut self, index: usize) {
        if !self.has(index) {
            self.0.push(index);
        }
    }

    /// Whether it has not been everywhere.
    pub(super) fn leaves_one_of(&self, pool: &Pool) -> bool {
        self.0.len() < pool.lanes.len()
    }
}

/// A request's place at a target, and what carries it, to be returned to its lane.
pub(super) struct Lease {
    pub(super) pool: Rc<Pool>,
    pub(super) index: usize,
    pub(super) carrier: Option<Carrier>,
}

impl Lease {
    /// A connection that is there and still good, the one used last first.
    pub(super) fn ready(&self, wanted: Wanted) -> Option<Carrier> {
        if wanted == Wanted::AsSettled
            && self.lane().may_share.get()
            && let Some(stream) = self.lane().stream()
        {
            return Some(Carrier::Stream(stream));
        }
        loop {
            let idle = self.lane().idle.borrow_mut().pop()?;
            if self.pool.is_fresh(&idle) && idle.connection.is_quiet() {
                return Some(Carrier::Own(idle.connection));
            }
        }
    }

    /// A new connection; or a stream of one that another request has opened just now.
    pub(super) async fn open(&self, wanted: Wanted) -> io::Result<Carrier> {
        let (upstream, lane) = (&self.pool.upstream, self.lane());
        if wanted == Wanted::AsSettled && lane.may_share.get() {
            let turn = tokio::time::timeout(upstream.settings().timeouts.connect, lane.opening.acquire());
            let _turn = turn.await.map_err(|_| io::ErrorKind::TimedOut)?.map_err(io::Error::other)?;
            if let Some(stream) = lane.stream() {
                return Ok(Carrier::Stream(stream));
            }
            // Whoever was before may have learnt that there is nothing to share here.
            if lane.may_share.get() {
                return self.open_shared().await;
            }
        }
        let (socket, _) = dial::dial(upstream, self.index, Wanted::Http1).await?;
        Ok(Carrier::Own(http1::Connection::over(socket, self.pool.ticker.elapsed())))
    }

    async fn open_shared(&self) -> io::Result<Carrier> {
        let (socket, is_http2) = dial::dial(&self.pool.upstream, self.index, Wanted::AsSettled).await?;
        let (lane, since) = (self.lane(), self.pool.ticker.elapsed());
        lane.may_share.set(is_http2);
        if !is_http2 {
            return Ok(Carrier::Own(http1::Connection::over(socket, since)));
        }
        let connection = Rc::new(http2::over(socket, since).await?);
        lane.shared.borrow_mut().push(Rc::clone(&connection));
        Ok(Carrier::Stream(http2::Exchange::begin(&connection)))
    }

    /// The exchange is over. The connection goes back where nothing of it is left in there.
    pub(super) fn give_back(mut self) {
        let Some(Carrier::Own(mut connection)) =
            self.carrier.take_if(|carrier| matches!(carrier, Carrier::Own(_)))
        else {
            return;
        };
        let mut idle = self.lane().idle.borrow_mut();
        if connection.is_reusable() && idle.len() < self.pool.reuse().most_idle {
            connection.idles();
            idle.push(Idle { connection, since: self.pool.ticker.elapsed() });
        }
    }

    /// What its target is called.
    pub(super) fn address(&self) -> String {
        self.pool.upstream.target(self.index).to_string()
    }

    fn lane(&self) -> &Lane {
        &self.pool.lanes[self.index]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Carrier::Stream(stream)) = &self.carrier {
            stream.connection.idle_since.set(self.pool.ticker.elapsed());
        }
        let busy = &self.lane().busy;
        busy.set(busy.get().saturating_sub(1));
    }
}
