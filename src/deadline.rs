//! Deadlines without timers: one coarse tick for all connections of a worker.
//!
//! A timer for each request would cost more than signing it. So a deadline is a number that is written when a wait
//! begins; twice a second one sweep over all connections wakes those whose number has passed. Deadlines are therefore
//! kept late, by up to one tick where they are a multiple of it and by up to two otherwise, and never early. A sweep over
//! ten thousand takes half a millisecond, and over a hundred thousand a hundred times as long, so ticks are not finer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

/// Time between two sweeps.
pub const TICK: Duration = Duration::from_millis(500);

const NEVER: u64 = u64::MAX;

/// The sweep of one worker.
#[derive(Clone, Debug)]
pub struct Ticker {
    /// Milliseconds since the worker began, as of the last tick.
    now: Arc<AtomicU64>,
    watches: Rc<RefCell<Slab<Rc<Watch>>>>,
}

impl Default for Ticker {
    fn default() -> Self {
        Self { now: Arc::new(AtomicU64::new(0)), watches: Rc::default() }
    }
}

impl Ticker {
    /// Ticks until it is dropped.
    pub async fn run(self) {
        let started = Instant::now();
        let mut interval = tokio::time::interval(TICK);
        loop {
            interval.tick().await;
            self.tick(whole_ticks(started.elapsed()));
        }
    }

    /// One sweep: it is so long since the worker began.
    pub fn tick(&self, elapsed: Duration) {
        self.now.store(millis(elapsed), Ordering::Relaxed);
        for (_, watch) in self.watches.borrow().iter() {
            if (watch.client.is_past() || watch.writing.is_past() || watch.upstream.is_past())
                && let Some(waker) = watch.waker.borrow().as_ref()
            {
                waker.wake_by_ref();
            }
        }
    }

    /// Time since the worker began, as of the last tick.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now.load(Ordering::Relaxed))
    }

    /// A watch over one connection, for as long as it is held.
    #[must_use]
    pub fn watch(&self) -> Watched {
        Watched::new(&self.now, &self.watches)
    }
}

/// The deadlines of one connection: two for its client, one for the upstream that is serving it.
#[derive(Debug)]
pub struct Watch {
    /// What the client is waited for, to send.
    pub client: Due,
    /// What it is waited for, to take what is written.
    pub writing: Due,
    /// What the upstream is waited for.
    pub upstream: Due,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// Says who is to be woken when a deadline has passed: the task that looks at them.
    pub fn wakes(&self, waker: &Waker) {
        let mut current = self.waker.borrow_mut();
        if !current.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *current = Some(waker.clone());
        }
    }

    /// The same as for another watch.
    pub fn wakes_whom(&self, other: &Self) {
        self.waker.borrow_mut().clone_from(&other.waker.borrow());
    }
}

/// A [`Watch`] that ends with its owner.
#[derive(Debug)]
pub struct Watched {
    watch: Rc<Watch>,
    key: usize,
    watches: Rc<RefCell<Slab<Rc<Watch>>>>,
}

impl Watched {
    fn new(now: &Arc<AtomicU64>, watches: &Rc<RefCell<Slab<Rc<Watch>>>>) -> Self {
        let times = Times::beginning(now);
        let due = |which| Due { times: Arc::clone(&times), which };
        let (client, writing, upstream) = (due(Which::Client), due(Which::Writing), due(Which::Upstream));
        let watch = Rc::new(Watch { client, writing, upstream, waker: RefCell::default() });
        let key = watches.borrow_mut().insert(Rc::clone(&watch));
        Self { watch, key, watches: Rc::clone(watches) }
    }

    /// A watch beside it, over a part of the connection that has deadlines of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(&self.watch.client.times.now, &self.watches)
    }

    /// What the client is waited for, to send or to take.
    #[must_use]
    pub fn client(&self) -> &Due {
        &self.watch.client
    }

    /// The watch, to be shared within the connection.
    #[must_use]
    pub fn share(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watches.borrow_mut().remove(self.key);
    }
}

/// The deadlines of one watch, in one place: a watch is made for each stream of HTTP/2.
#[derive(Debug)]
struct Times {
    /// Milliseconds since the worker began, as of the last tick.
    now: Arc<AtomicU64>,
    at: [AtomicU64; 3],
}

impl Times {
    fn beginning(now: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { now: Arc::clone(now), at: [const { AtomicU64::new(NEVER) }; 3] })
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

/// Which of them.
#[derive(Clone, Copy, Debug)]
enum Which {
    Client,
    Writing,
    Upstream,
}

/// One deadline. Clones are the same deadline.
#[derive(Clone, Debug)]
pub struct Due {
    times: Arc<Times>,
    which: Which,
}

impl Due {
    /// Another one, by the same clock.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { times: Times::beginning(&self.times.now), which: self.which }
    }

    fn at(&self) -> &AtomicU64 {
        &self.times.at[self.which as usize]
    }

    /// Sets the deadline to so long from now.
    pub fn set(&self, wait: Duration) {
        self.at().store(self.at_the_end_of(wait), Ordering::Relaxed);
    }

    fn at_the_end_of(&self, wait: Duration) -> u64 {
        // Up to one tick has passed since `now` was written.
        self.times.now().saturating_add(millis(wait + TICK)).min(NEVER - 1)
    }

    /// Time since the worker began, as of the last tick.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.times.now())
    }

    /// Sets the deadline unless one is set already.
    pub fn set_if_clear(&self, wait: Duration) {
        if self.at().load(Ordering::Relaxed) == NEVER {
            self.set(wait);
        }
    }

    /// Puts the deadline off to so long from now, where one is set that would be earlier.
    pub fn put_off(&self, wait: Duration) {
        if self.at().load(Ordering::Relaxed) < self.at_the_end_of(wait) {
            self.set(wait);
        }
    }

    /// Takes the deadline away.
    pub fn clear(&self) {
        self.at().store(NEVER, Ordering::Relaxed);
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.at().load(Ordering::Relaxed) <= self.times.now()
    }
}

/// The tick that this is, however late the worker gets to it. A deadline would otherwise miss its own tick by the
/// millisecond by which that one is more punctual, and wait for another.
fn whole_ticks(elapsed: Duration) -> Duration {
    let late = millis(elapsed) % millis(TICK);
    Duration::from_millis(millis(elapsed) - late)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
        let ticker = Ticker::default();
        let watched = ticker.watch();
        let due = &watched.share().client;
        due.set(Duration::from_secs(10));
        ticker.tick(Duration::from_millis(10_499));
        assert!(!due.is_past());
        ticker.tick(Duration::from_millis(10_500));
        assert!(due.is_past());
    }

    #[test]
    fn a_tick_that_comes_late_makes_no_deadline_later_by_another_one() {
        let ticker = Ticker::default();
        let watched = ticker.watch();
        let due = &watched.share().client;
        // One that comes late, and then one that does not.
        ticker.tick(whole_ticks(Duration::from_micros(1_503_999)));
        due.set(Duration::from_secs(1));
        ticker.tick(whole_ticks(Duration::from_millis(2_999)));
        assert!(!due.is_past());
        ticker.tick(whole_ticks(Duration::from_millis(3_000)));
        assert!(due.is_past());
    }

    #[test]
    fn a_sweep_wakes_those_whose_deadline_has_passed_and_nobody_else() {
        let ticker = Ticker::default();
        let [soon, late] = [ticker.watch(), ticker.watch()];
        let counts = [Arc::<Count>::default(), Arc::default()];
        for (watched, count) in [&soon, &late].into_iter().zip(&counts) {
            watched.share().wakes(&Arc::clone(count).into());
        }
        soon.share().upstream.set(Duration::from_secs(1));
        late.share().client.set(Duration::from_secs(9));
        ticker.tick(Duration::from_secs(2));
        assert_eq!(counts.each_ref().map(|count| count.0.load(Ordering::Relaxed)), [1, 0]);
        drop(soon);
        ticker.tick(Duration::from_secs(3));
        assert_eq!(counts[0].0.load(Ordering::Relaxed), 1, "a connection that has ended is not woken");
    }

    #[test]
    fn a_deadline_can_be_taken_away() {
        let ticker = Ticker::default();
        let watched = ticker.watch();
        let due = &watched.share().client;
        due.set(Duration::ZERO);
        due.clear();
        ticker.tick(Duration::from_secs(100));
        assert!(!due.is_past());
        due.set_if_clear(Duration::from_secs(1));
        due.set_if_clear(Duration::from_secs(100));
        ticker.tick(Duration::from_secs(102));
        assert!(due.is_past());
    }

    #[test]
    fn a_deadline_can_be_put_off_where_there_is_one() {
        let ticker = Ticker::default();
        let watched = ticker.watch();
        let due = &watched.share().client;
        due.put_off(Duration::from_secs(1));
        ticker.tick(Duration::from_secs(100));
        assert!(!due.is_past());
        due.set(Duration::from_secs(1));
        due.put_off(Duration::from_secs(100));
        due.put_off(Duration::from_secs(1));
        ticker.tick(Duration::from_secs(102));
        assert!(!due.is_past());
        ticker.tick(Duration::from_millis(200_500));
        assert!(due.is_past());
    }
}
