//! Connections that each send the next request when the answer is there.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::plan::{Outcome, Plan, Target};
use crate::usage::processor_seconds;
use crate::wire::{Dialer, exchange};

/// As much as one read takes in.
const BUFFER: usize = 256 * 1024;

/// What the connections to one target have come to.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) counts: Cell<bool>,
    pub(crate) latencies: RefCell<Vec<Duration>>,
    pub(crate) failures: Cell<usize>,
    pub(crate) complaint: RefCell<Option<String>>,
}

impl Tally {
    pub(crate) fn note(&self, began: Instant, result: &io::Result<()>) {
        match result {
            Ok(()) if self.counts.get() => self.latencies.borrow_mut().push(began.elapsed()),
            Ok(()) => {}
            Err(error) => {
                self.failures.set(self.failures.get() + 1);
                self.complaint.borrow_mut().get_or_insert_with(|| error.to_string());
            }
        }
    }
}

pub(crate) async fn run(plan: &Plan) -> io::Result<Vec<Outcome>> {
    let tallies: Vec<Rc<Tally>> = plan.targets.iter().map(|_| Rc::default()).collect();
    let tasks = LocalSet::new();
    for (target, tally) in plan.targets.iter().zip(&tallies) {
        let (target, dialer) = (Rc::new(target.clone()), Rc::new(Dialer::new(target)?));
        for _ in 0..target.connections {
            let (target, dialer, tally) = (Rc::clone(&target), Rc::clone(&dialer), Rc::clone(tally));
            tasks.spawn_local(async move { keep_asking(&target, &dialer, &tally).await });
        }
    }
    tasks.run_until(measure(plan, &tallies)).await
}

async fn keep_asking(target: &Target, dialer: &Dialer, tally: &Tally) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut wire = match dialer.dial().await {
            Ok(wire) => wire,
            Err(error) => {
                tally.note(Instant::now(), &Err(error));
                // Whoever takes no connections is not asked a million times for one.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        loop {
            let began = Instant::now();
            let result = exchange(&mut *wire, target, &mut buffer).await;
            tally.note(began, &result);
            if result.is_err() {
                break;
            }
        }
    }
}

/// Waits for the warm-up, then counts for the seconds of the plan.
pub(crate) async fn measure(plan: &Plan, tallies: &[Rc<Tally>]) -> io::Result<Vec<Outcome>> {
    let used = || plan.targets.iter().map(|target| processor_seconds(&target.processes)).collect();
    tokio::time::sleep(Duration::from_secs_f64(plan.warm_up)).await;
    tallies.iter().for_each(|tally| tally.counts.set(true));
    let (began, before): (_, io::Result<Vec<f64>>) = (Instant::now(), used());
    tokio::time::sleep(Duration::from_secs_f64(plan.seconds)).await;
    let (seconds, after): (_, io::Result<Vec<f64>>) = (began.elapsed().as_secs_f64(), used());
    let used = after?.into_iter().zip(before?).map(|(after, before)| after - before);
    let outcomes = plan.targets.iter().zip(tallies).zip(used).map(|((target, tally), used)| {
        let latencies = tally.latencies.take();
        Outcome::new(target, latencies, tally.failures.get(), tally.complaint.take(), seconds, used)
    });
    Ok(outcomes.collect())
}
