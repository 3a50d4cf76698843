//! Logs: one line for an event, on standard error.
//!
//! Neither a cookie, a code, a token, a state nor the name of a person ever gets here; whoever writes an event leaves
//! them out. Text from outside is escaped by the formatter, so that one event stays one line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts to log. `RUST_LOG` chooses what: `info`, `debug`, `member_gateway=debug`.
pub fn start() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    // A second start, in a test, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
