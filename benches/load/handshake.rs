//! Full handshakes: every request comes over a connection of its own.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::LocalSet;

use crate::closed::{Tally, measure};
use crate::plan::{Outcome, Plan};
use crate::wire::Dialer;

pub(crate) async fn run(plan: &Plan) -> io::Result<Vec<Outcome>> {
    let tallies: Vec<Rc<Tally>> = plan.targets.iter().map(|_| Rc::default()).collect();
    let tasks = LocalSet::new();
    for (target, tally) in plan.targets.iter().zip(&tallies) {
        let dialer = Rc::new(Dialer::new(target)?);
        for _ in 0..target.connections {
            let (dialer, tally) = (Rc::clone(&dialer), Rc::clone(tally));
            tasks.spawn_local(async move {
                let mut buffer = vec![0; 16 * 1024];
                loop {
                    let began = Instant::now();
                    tally.note(began, &dialer.once(&mut buffer).await);
                }
            });
        }
    }
    tasks.run_until(measure(plan, &tallies)).await
}
