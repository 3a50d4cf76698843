//! The gates: what has to hold under load, in bad company, and when what the gateway depends on fails.
//!
//! Each file is one gate. `scripts/gates` runs it optimised and at full scale and prints its figures; without optimisation,
//! as in `scripts/test`, it runs at a scale that fits between other tests. What counts is what failed, what came twice, what
//! was let in and what was left over; times are printed, and fail only where they are far beyond what anybody would bear.

#![allow(clippy::unwrap_used, reason = "what is not there makes the test fail, as it should")]
#![allow(clippy::print_stdout, reason = "the figures are for whoever asks for them with --nocapture")]

#[path = "../spec/harness/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it is that of the specification")]
mod harness;
mod load;
mod metrics;
mod program;

mod aborts;
mod bomb;
mod clock;
mod cookies;
mod descriptors;
mod differential;
mod executor;
mod handover;
mod hostile_app;
mod idle;
mod killed;
mod reload;
mod revocation_store;
mod slow_clients;
mod stop;
mod timing;
mod vendor;

/// How much of something: `full` where a gate is asked for by itself, and so built optimised.
const fn scaled(brief: usize, full: usize) -> usize {
    if cfg!(debug_assertions) { brief } else { full }
}
