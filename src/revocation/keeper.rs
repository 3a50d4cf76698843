//! The keeper: a thread of its own that stands between requests and where revocations are kept.
//!
//! Requests never wait for a disk or a network to learn who has been signed out; only whoever ends a session waits here to
//! hear that it is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Revocation;
use crate::time::UnixTime;

/// How long whoever ends a session waits to hear that it is kept.
const PATIENCE: Duration = Duration::from_secs(5);

/// A revocation has not been kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of revocations cannot be reached")]
pub struct NotKept;

/// What becomes of a revocation that cannot be kept just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nothing: whoever asked for it is told so, and asks again.
    Now,
    /// It is kept as soon as it can be.
    Eventually,
}

/// What the keeper is told.
pub(super) enum Order {
    /// To keep this.
    Keep(Item),
    /// To write all that is known anew: the key that seals is another one.
    Reseal,
}

/// A revocation that is to be kept, and who waits for it.
pub(super) struct Item {
    revocation: Revocation,
    duty: Duty,
    reply: Option<oneshot::Sender<()>>,
}

/// The way to the keeper.
#[derive(Debug)]
pub(super) struct Keeper(pub(super) mpsc::UnboundedSender<Order>);

impl Keeper {
    pub(super) async fn keep(&self, revocation: Revocation, duty: Duty) -> Result<(), NotKept> {
        let (reply, kept) = oneshot::channel();
        let item = Item { revocation, duty, reply: Some(reply) };
        self.0.send(Order::Keep(item)).map_err(|_| NotKept)?;
        match tokio::time::timeout(PATIENCE, kept).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotKept),
        }
    }

    pub(super) fn reseal(&self) {
        // Where the keeper has gone, nothing is kept any more.
        let _ = self.0.send(Order::Reseal);
    }
}

/// What the keeper has still to do.
#[derive(Default)]
pub(super) struct Outbox {
    items: Vec<Item>,
    pub(super) reseal: bool,
}

impl Outbox {
    pub(super) fn take(&mut self, order: Order) {
        match order {
            Order::Keep(item) => self.items.push(item),
            Order::Reseal => self.reseal = true,
        }
    }

    /// What is to be kept. Whoever has gone without waiting for it has been told that it is not.
    pub(super) fn revocations(&mut self) -> Vec<Revocation> {
        let is_wanted = |item: &Item| {
            item.duty == Duty::Eventually || item.reply.as_ref().is_some_and(|reply| !reply.is_closed())
        };
        self.items.retain(is_wanted);
        self.items.iter().map(|item| item.revocation.clone()).collect()
    }

    /// All of it is kept.
    pub(super) fn kept(&mut self) {
        for reply in self.items.drain(..).filter_map(|item| item.reply) {
            // Who has gone meanwhile does not hear of it.
            let _ = reply.send(());
        }
    }

    /// None of it could be kept.
    pub(super) fn not_kept(&mut self) {
        self.items.retain(|item| item.duty == Duty::Eventually);
        self.items.iter_mut().for_each(|item| item.reply = None);
    }

    pub(super) const fn len(&self) -> usize {
        self.items.len()
    }
}

/// Whether the place can be reached where revocations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It has not been reached yet, so nothing is known of earlier revocations.
    NotYet,
    /// It is there.
    There,
    /// It has been lost at this instant; what was known then is still known.
    Lost(UnixTime),
}

const NOT_YET: u8 = 0;
const THERE: u8 = 1;
const LOST: u8 = 2;

/// The same as the keeper tells it, and as requests ask for it without waiting.
#[derive(Debug)]
pub(super) struct Condition {
    state: AtomicU8,
    lost_at: AtomicU64,
    /// Somebody has been told that it cannot be reached for the first time.
    is_told: AtomicBool,
    /// Sign-outs that wait to be kept.
    waiting: AtomicUsize,
}

impl Default for Condition {
    /// Where revocations are kept nowhere but here, all of them are known.
    fn default() -> Self {
        Self {
            state: AtomicU8::new(THERE),
            lost_at: AtomicU64::new(0),
            is_told: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Condition {
    pub(super) fn reach(&self) -> Reach {
        match self.state.load(Ordering::Acquire) {
            NOT_YET => Reach::NotYet,
            LOST => Reach::Lost(UnixTime(self.lost_at.load(Ordering::Relaxed))),
            _ => Reach::There,
        }
    }

    /// The place has not been reached yet.
    pub(super) fn begin(&self) {
        self.state.store(NOT_YET, Ordering::Release);
    }

    /// The place is there, and all that it holds is known.
    pub(super) fn reached(&self) {
        if self.state.swap(THERE, Ordering::AcqRel) != THERE {
            tracing::info!("the store of revocations is there");
        }
    }

    /// The place cannot be reached.
    pub(super) fn lost(&self, error: &dyn std::error::Error, now: UnixTime) {
        if self.state.load(Ordering::Relaxed) == THERE {
            self.lost_at.store(now.0, Ordering::Relaxed);
            self.state.store(LOST, Ordering::Release);
            tracing::error!(%error, "the store of revocations is lost: what is known goes on to count");
        } else if !self.is_told.swap(true, Ordering::Relaxed) {
            let help = "see to it that it runs, that `store` in [session] is its address, and that `store_tls` vouches for it where it speaks TLS";
            tracing::warn!(%error, help, "the store of revocations cannot be reached");
        } else {
            tracing::debug!(%error, "the store of revocations cannot be reached");
        }
    }

    pub(super) fn set_waiting(&self, number: usize) {
        self.waiting.store(number, Ordering::Relaxed);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Has `work` done on a thread of its own, with a runtime for itself.
pub(super) fn hire<F>(work: impl FnOnce() -> F + Send + 'static) -> std::io::Result<()>
where
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("revocations".to_owned());
    thread.spawn(move || runtime.block_on(work())).map(drop)
}

/// What all hands of the keeper share.
pub(super) type Shared = Arc<super::Shared>;
