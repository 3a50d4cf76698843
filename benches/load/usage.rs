//! The processor time of a group of processes.

use std::fs;
use std::io;

/// How many ticks `/proc` counts for a second. Linux has shown programs no other number on any architecture in use.
const TICKS: f64 = 100.0;

/// utime and stime (proc(5), fields 14 and 15) of all of them, in seconds.
pub(crate) fn processor_seconds(processes: &[u32]) -> io::Result<f64> {
    processes.iter().map(|process| of(*process)).sum()
}

fn of(process: u32) -> io::Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path)?;
    // The name of the program is in brackets and may hold anything, brackets and blanks included.
    let ticks = text.rsplit_once(')').and_then(|(_, rest)| {
        let mut fields = rest.split_ascii_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(user + system)
    });
    let ticks = ticks.ok_or_else(|| io::Error::other(format!("{path} does not read as expected")))?;
    Ok(ticks as f64 / TICKS)
}
