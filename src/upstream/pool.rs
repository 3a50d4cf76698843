//! One worker's connections to the targets of an upstream, and which target gets a request.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::condition::Standing;
use super::http1::{self, Connection};
use super::{Balance, Reuse, TrailerFilter, Upstream, dial};
use crate::deadline::Ticker;

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
#[derive(Default)]
struct Lane {
    /// Requests of this worker that it is serving.
    busy: Cell<usize>,
    /// In the order in which they became idle.
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Duration,
}

impl Pool {
    /// A pool without connections. It is to be made on the worker that uses it, for it closes what idles too long.
    #[must_use]
    pub fn new(upstream: Upstream, ticker: &Ticker, trailers: TrailerFilter) -> Rc<Self> {
        upstream.look_after();
        let lanes = upstream.settings().targets.iter().map(|_| Lane::default()).collect();
        let pool = Rc::new(Self { upstream, trailers, lanes, next: Cell::new(0), ticker: ticker.clone() });
        tokio::task::spawn_local(sweep(Rc::downgrade(&pool)));
        pool
    }

    /// What its connections lead to.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
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
        Lease { pool: Rc::clone(self), index, connection: None }
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
        let now = self.ticker.elapsed();
        let Reuse { idle: longest, age, .. } = self.reuse();
        now.saturating_sub(idle.since) < longest && now.saturating_sub(idle.connection.since) < age
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle: usize = self.lanes.iter().map(|lane| lane.idle.borrow().len()).sum();
        write!(f, "Pool({:?}, {idle} idle)", self.upstream.settings().targets)
    }
}

/// Closes what has idled too long, for as long as the pool is there.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        for lane in &pool.lanes {
            lane.idle.borrow_mut().retain(|idle| pool.is_fresh(idle));
        }
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

/// A request's place at a target, and the connection that serves it, to be returned to its lane.
pub(super) struct Lease {
    pub(super) pool: Rc<Pool>,
    pub(super) index: usize,
    pub(super) connection: Option<Connection>,
}

impl Lease {
    /// An idle connection that is still good, the one used last first.
    pub(super) async fn pooled(&self) -> Option<Connection> {
        loop {
            let mut idle = self.lane().idle.borrow_mut().pop()?;
            if self.pool.is_fresh(&idle) && idle.connection.sender.ready().await.is_ok() {
                return Some(idle.connection);
            }
        }
    }

    /// A new connection.
    pub(super) async fn open(&self) -> io::Result<Connection> {
        let socket = dial::dial(&self.pool.upstream, self.index).await?;
        http1::over(socket, self.pool.ticker.elapsed()).await
    }

    /// The exchange is over, and nothing of it is left in the connection.
    pub(super) fn give_back(mut self) {
        let Some(connection) = self.connection.take().filter(|connection| !connection.sender.is_closed())
        else {
            return;
        };
        let mut idle = self.lane().idle.borrow_mut();
        if idle.len() < self.pool.reuse().most_idle {
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
        let busy = &self.lane().busy;
        busy.set(busy.get().saturating_sub(1));
    }
}
