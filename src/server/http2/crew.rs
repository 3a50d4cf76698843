//! Tasks for streams. A task that has run one waits for the next, instead of being given back to the system.
//!
//! What answers a request takes some kilobytes while it does so. A browser begins streams by the dozen and ends them within
//! milliseconds; room that was used just now is at hand, and in the cache of the processor.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// How many tasks wait for another stream, on one worker.
const MOST_AT_REST: usize = 128;

/// What a task does, again and again.
pub(super) trait Work: 'static {
    fn run(self) -> impl Future<Output = ()> + 'static;
}

/// The tasks of one worker.
pub(in crate::server) struct Crew<W> {
    at_rest: RefCell<Vec<Rc<Hand<W>>>>,
}

/// One task, as others see it.
struct Hand<W> {
    work: Cell<Option<W>>,
    waker: Cell<Option<Waker>>,
}

impl<W> Default for Crew<W> {
    fn default() -> Self {
        Self { at_rest: RefCell::default() }
    }
}

impl<W: Work> Crew<W> {
    /// Runs this on a task of its own.
    pub(super) fn take_on(self: &Rc<Self>, work: W) {
        let Some(hand) = self.at_rest.borrow_mut().pop() else {
            let hand = Hand { work: Cell::new(Some(work)), waker: Cell::default() };
            tokio::task::spawn_local(serve(Rc::clone(self), Rc::new(hand)));
            return;
        };
        hand.work.set(Some(work));
        if let Some(waker) = hand.waker.take() {
            waker.wake();
        }
    }

    /// Whether this one may wait for more.
    fn rests(&self, hand: &Rc<Hand<W>>) -> bool {
        let mut at_rest = self.at_rest.borrow_mut();
        let has_room = at_rest.len() < MOST_AT_REST;
        if has_room {
            at_rest.push(Rc::clone(hand));
        }
        has_room
    }
}

/// What one task does.
async fn serve<W: Work>(crew: Rc<Crew<W>>, hand: Rc<Hand<W>>) {
    loop {
        let work = poll_fn(|cx| match hand.work.take() {
            Some(work) => Poll::Ready(work),
            None => {
                hand.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        });
        work.await.run().await;
        if !crew.rests(&hand) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;
    use tokio::task::{Id, LocalSet, yield_now};

    use super::*;

    /// Says on which task it runs, and ends when it may.
    struct Errand {
        seen: Rc<RefCell<Vec<Id>>>,
        may_end: Rc<Notify>,
    }

    impl Work for Errand {
        async fn run(self) {
            self.seen.borrow_mut().push(tokio::task::id());
            self.may_end.notified().await;
        }
    }

    /// Runs so many at a time, several times; and says on which tasks they ran, and how many wait for more.
    async fn run(at_a_time: usize, times: usize) -> (Vec<Id>, usize) {
        let (crew, seen, may_end) = (Rc::<Crew<Errand>>::default(), Rc::default(), Rc::new(Notify::new()));
        let errands = async {
            for round in 1..=times {
                for _ in 0..at_a_time {
                    crew.take_on(Errand { seen: Rc::clone(&seen), may_end: Rc::clone(&may_end) });
                }
                while seen.borrow().len() < round * at_a_time {
                    yield_now().await;
                }
                may_end.notify_waiters();
                while crew.at_rest.borrow().len() < at_a_time.min(MOST_AT_REST) {
                    yield_now().await;
                }
            }
        };
        LocalSet::new().run_until(errands).await;
        (seen.take(), crew.at_rest.borrow().len())
    }

    #[tokio::test]
    async fn a_task_that_has_run_one_stream_runs_the_next() {
        let (seen, _) = run(1, 3).await;
        assert_eq!(seen, [seen[0]; 3]);
    }

    #[tokio::test]
    async fn streams_at_the_same_time_run_on_tasks_of_their_own_and_few_of_these_stay() {
        let (mut seen, at_rest) = run(MOST_AT_REST + 3, 1).await;
        seen.sort_by_key(ToString::to_string);
        seen.dedup();
        assert_eq!((seen.len(), at_rest), (MOST_AT_REST + 3, MOST_AT_REST));
    }
}
