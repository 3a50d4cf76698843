//! Drain: how those at work learn that the gateway is to end, and how a worker learns that nobody is at work any more.
//!
//! It goes in stages, for a client may send its next request at the very moment at which its idle connection is closed,
//! and nobody would answer. So at first whoever asks is still answered, and told that this was the last answer
//! (RFC 9112 §9.6); only then what idles is closed.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing ends.
    #[default]
    Serving,
    /// No connection is accepted any more, and the next answer on each is its last.
    LastAnswers,
    /// What idles is closed, and WebSockets are asked to end.
    Closing,
}

/// What is announced to all workers.
#[derive(Clone, Debug, Default)]
pub struct Announced {
    /// How far it has come.
    pub stage: Stage,
    /// The numbers of the listeners whose sockets another process accepts from.
    pub handed_over: Arc<[usize]>,
}

/// One worker's ear for what is announced. Clones belong to the same worker.
#[derive(Clone, Debug)]
pub struct Draining {
    announced: watch::Receiver<Announced>,
    at_work: mpsc::WeakSender<Infallible>,
}

/// Somebody is at work, and the worker waits for as long as this is there.
#[derive(Debug)]
pub struct AtWork(
    #[expect(dead_code, reason = "it is there to be dropped")] Option<mpsc::Sender<Infallible>>,
);

/// The worker's end: it waits until nobody is at work.
#[derive(Debug)]
pub struct Rest {
    own: mpsc::Sender<Infallible>,
    others: mpsc::Receiver<Infallible>,
}

impl Draining {
    /// For one worker.
    #[must_use]
    pub fn new(announced: watch::Receiver<Announced>) -> (Self, Rest) {
        let (own, others) = mpsc::channel(1);
        (Self { announced, at_work: own.downgrade() }, Rest { own, others })
    }

    /// Whether it has come so far.
    #[must_use]
    pub fn has_reached(&self, stage: Stage) -> bool {
        self.announced.borrow().stage >= stage
    }

    /// Whether another process accepts from the sockets of this listener.
    #[must_use]
    pub fn is_handed_over(&self, listener: usize) -> bool {
        self.announced.borrow().handed_over.contains(&listener)
    }

    /// Waits until it has come so far.
    pub async fn reaches(mut self, stage: Stage) {
        if self.announced.wait_for(|announced| announced.stage >= stage).await.is_err() {
            // Nobody is left who could announce anything.
            pending::<()>().await;
        }
    }

    /// Has the worker wait for something that no connection waits for.
    #[must_use]
    pub fn begin(&self) -> AtWork {
        AtWork(self.at_work.upgrade())
    }
}

impl Rest {
    /// Waits until nobody is at work.
    pub async fn comes(self) {
        let Self { own, mut others } = self;
        drop(own);
        others.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stage: Stage) -> Announced {
        Announced { stage, ..Announced::default() }
    }

    #[tokio::test]
    async fn whoever_waits_for_a_stage_hears_of_a_later_one_too() {
        let (announce, announced) = watch::channel(Announced::default());
        let (draining, _rest) = Draining::new(announced);
        assert!(!draining.has_reached(Stage::LastAnswers));
        announce.send_replace(at(Stage::Closing));
        draining.clone().reaches(Stage::LastAnswers).await;
        assert!(draining.has_reached(Stage::Closing));
    }

    #[tokio::test]
    async fn a_worker_rests_when_nobody_is_at_work() {
        let (_announce, announced) = watch::channel(Announced::default());
        let (draining, rest) = Draining::new(announced);
        let work = draining.begin();
        let mut rests = std::pin::pin!(rest.comes());
        let mut is_at_rest = || {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            rests.as_mut().poll(&mut cx).is_ready()
        };
        assert!(!is_at_rest());
        drop(work);
        assert!(is_at_rest());
    }
}
