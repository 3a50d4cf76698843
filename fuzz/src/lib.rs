//! The targets of `fuzz_targets/`, as functions; `tests/fuzz` runs the same ones without libFuzzer and without bounds.

pub mod targets;

use std::alloc::System;
use std::sync::Once;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// No input keeps a processor for longer.
const MOST_TIME: Duration = Duration::from_millis(100);
/// Nor does one ask for more memory, all it gives back in between included.
const MOST_OCTETS: usize = 64 * 1024 * 1024;

/// Runs a target within its bounds. It is named as a function, so that its binary holds nothing of the others: libFuzzer
/// looks at every edge in a binary after each input, whether it can be reached or not.
///
/// # Panics
/// Where it does not hold, or is beyond one of them.
pub fn run(target: fn(&[u8]), bytes: &[u8]) {
    // What is made once for all inputs is no input's doing.
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        outlive_closed_sockets();
        target(b"");
    });
    let allocated = Region::new(ALLOCATOR);
    let begun = processor_time();
    target(bytes);
    let (time, octets) = (processor_time().saturating_sub(begun), allocated.change().bytes_allocated);
    assert!(time <= MOST_TIME, "it takes {time:?}");
    assert!(octets <= MOST_OCTETS, "it takes {octets} octets");
}

/// libFuzzer brings a `main` that is not Rust's, so nobody has set SIGPIPE aside, and what is written to a connection that
/// the other side has closed would end the process.
fn outlive_closed_sockets() {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
    let _context = runtime.enter();
    let _stays = signal(SignalKind::pipe()).expect("a handler");
}

/// Of this thread alone: nothing else that the machine does counts.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
