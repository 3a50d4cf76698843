//! Connections that have had one answer and stay open.

use std::io;

use crate::plan::Plan;
use crate::wire::{Dialer, Wire, exchange};

/// One after the other: what is measured is what they cost while nothing happens.
pub(crate) async fn open(plan: &Plan) -> io::Result<Vec<Box<dyn Wire>>> {
    let mut held = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    for target in &plan.targets {
        let dialer = Dialer::new(target)?;
        for _ in 0..target.connections {
            let mut wire = dialer.dial().await?;
            exchange(&mut *wire, target, &mut buffer).await?;
            held.push(wire);
        }
    }
    Ok(held)
}
