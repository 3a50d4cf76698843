//! Numbers that grow on every thread at once, without a lock and without threads in each other's way.
//!
//! Under the same labels each thread has a counter of its own; whoever reads adds them up. So counting is one addition to
//! memory that no other core writes. A counter is found by its labels, which takes a lock: whoever counts often does that
//! once and keeps it. What has been counted stays when the configuration is read again, for the labels are the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// A number that grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are at present. What one thread adds another may take away, so only the sum of all means something.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// One has come.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One has gone.
    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper bounds of the buckets of a [`Histogram`], in microseconds.
pub(super) const BOUNDS: [u64; 10] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 2_500_000, 10_000_000];

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The last one has no bound.
    buckets: [Count; BOUNDS.len() + 1],
    micros: Count,
}

impl Histogram {
    /// It took so long once more.
    pub fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].one();
        self.micros.add(micros);
    }
}

/// What all threads have observed together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) micros: u64,
}

/// What can be added up over threads.
pub trait Tally: Default {
    /// The sum.
    type Sum: Default;

    /// Adds what this thread has.
    fn add_to(&self, sum: &mut Self::Sum);
}

impl Tally for Count {
    type Sum = u64;

    fn add_to(&self, sum: &mut u64) {
        *sum += self.get();
    }
}

impl Tally for Level {
    type Sum = u64;

    fn add_to(&self, sum: &mut u64) {
        *sum = sum.wrapping_add(self.get());
    }
}

impl Tally for Histogram {
    type Sum = Observed;

    fn add_to(&self, sum: &mut Observed) {
        for (sum, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        sum.micros = sum.micros.wrapping_add(self.micros.get());
    }
}

/// The counters of all threads under the same labels.
type Threads<T> = Vec<(ThreadId, Arc<T>)>;

/// Counters of one kind, by the values of their labels.
pub struct Family<T, const LABELS: usize> {
    cells: Mutex<BTreeMap<[String; LABELS], Threads<T>>>,
}

impl<T, const LABELS: usize> Default for Family<T, LABELS> {
    fn default() -> Self {
        Self { cells: Mutex::default() }
    }
}

impl<T, const LABELS: usize> fmt::Debug for Family<T, LABELS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({})", self.cells.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

impl<T: Default, const LABELS: usize> Family<T, LABELS> {
    /// This thread's counter under these values.
    #[must_use]
    pub fn of(&self, values: [&str; LABELS]) -> Arc<T> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = cells.entry(values.map(str::to_owned)).or_default();
        let this = std::thread::current().id();
        match threads.iter().find(|(thread, _)| *thread == this) {
            Some((_, cell)) => Arc::clone(cell),
            None => {
                let cell = Arc::<T>::default();
                threads.push((this, Arc::clone(&cell)));
                cell
            }
        }
    }
}

impl<T: Tally, const LABELS: usize> Family<T, LABELS> {
    /// The sums over all threads, in the order of the values.
    pub(super) fn sums(&self) -> Vec<([String; LABELS], T::Sum)> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let sums = cells.iter().map(|(values, threads)| {
            let mut sum = T::Sum::default();
            threads.iter().for_each(|(_, cell)| cell.add_to(&mut sum));
            (values.clone(), sum)
        });
        sums.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_count_apart_and_are_read_together() {
        let family = Arc::new(Family::<Count, 1>::default());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let family = Arc::clone(&family);
                std::thread::spawn(move || {
                    let count = family.of(["a"]);
                    (0..1000).for_each(|_| count.one());
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        family.of(["b"]).add(7);
        assert_eq!(family.sums(), [(["a".to_owned()], 4000), (["b".to_owned()], 7)]);
    }

    #[test]
    fn the_same_labels_on_the_same_thread_are_the_same_counter() {
        let family = Family::<Count, 2>::default();
        assert!(Arc::ptr_eq(&family.of(["a", "b"]), &family.of(["a", "b"])));
        assert!(!Arc::ptr_eq(&family.of(["a", "b"]), &family.of(["ab", ""])));
    }

    #[test]
    fn what_ends_on_another_thread_than_it_began_on_has_ended() {
        let family = Arc::new(Family::<Level, 0>::default());
        family.of([]).up();
        family.of([]).up();
        let other = Arc::clone(&family);
        std::thread::spawn(move || other.of([]).down()).join().unwrap();
        assert_eq!(family.sums(), [([], 1)]);
    }

    #[test]
    fn a_time_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::default();
        for micros in [0, 1_000, 1_001, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut sum = Observed::default();
        histogram.add_to(&mut sum);
        assert_eq!(sum.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum.micros, 20_002_002);
    }
}
