//! The load that `scripts/bench` puts on the gateway and on what stands beside it.
//!
//! A plan comes as JSON on standard input, a report goes as JSON to standard output; the script decides what is compared
//! with what. All targets of a plan get their load at the same time, from one thread, and the time their processes spend is read at the
//! same two instants: what the machine does meanwhile hits all of them alike. An answer counts if its status and its length
//! are the expected ones, and a plan with any other answer says how many there were.

mod closed;
mod ended;
mod handshake;
mod held;
mod idle;
mod plan;
mod usage;
mod wire;

use std::io::{self, Read, Write};
use std::process::ExitCode;

use plan::{Kind, Plan};

#[expect(clippy::print_stderr, reason = "whoever started it reads there why it failed")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    // `cargo bench` runs every target, with an argument of its own and without a plan; `cargo test --benches` with neither.
    if std::env::args().len() > 1 {
        return Ok(());
    }
    let mut text = String::new();
    // One line, since a plan that holds connections open goes on until standard input ends.
    if io::stdin().read_line(&mut text)? == 0 {
        return Ok(());
    }
    let plan: Plan = serde_json::from_str(&text)?;
    match &plan.kind {
        Kind::Closed => report(&current_thread()?.block_on(closed::run(&plan))?),
        Kind::Handshake => report(&current_thread()?.block_on(handshake::run(&plan))?),
        Kind::Held { rate } => report(&held::run(&plan, *rate)?),
        Kind::Ended { file, key, count } => {
            current_thread()?.block_on(ended::keep(file, key, *count))?;
            report(count)
        }
        Kind::Idle => {
            let runtime = current_thread()?;
            let held = runtime.block_on(idle::open(&plan))?;
            report(&held.len())?;
            io::stdin().read_to_end(&mut Vec::new())?;
            drop(held);
            Ok(())
        }
    }
}

fn current_thread() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn report(report: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(report)?;
    text.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
