//! What the kernel says of this process, under the names that Prometheus has for it. Where it says nothing, so do we.

use super::exposition::Page;

/// Ticks in which Linux tells processes of their time (`USER_HZ`), on every machine that Rust runs on.
const TICKS: u64 = 100;

pub(super) fn expose(page: &mut Page, started_at: u64) {
    page.gauge("process_start_time_seconds", "When the process began to serve.", [], [([], started_at)]);
    page.gauge("process_resident_memory_bytes", "Resident memory.", [], resident().map(|bytes| ([], bytes)));
    page.gauge("process_open_fds", "Open file descriptors.", [], open_fds().map(|open| ([], open)));
    page.gauge(
        "process_max_fds",
        "Most file descriptors that may be open.",
        [],
        max_fds().map(|max| ([], max)),
    );
    let seconds = cpu_ticks().map(|ticks| ([], ticks / TICKS));
    page.totals(
        "process_cpu_seconds_total",
        "Time spent computing, in whole seconds.",
        [],
        seconds.into_iter(),
    );
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn open_fds() -> Option<u64> {
    // The one that reads the folder is in it.
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()?.checked_sub(1)
}

fn max_fds() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in parentheses and may hold anything; behind it the time is the 12th and 13th value.
    let (_, values) = stat.rsplit_once(')')?;
    let mut values = values.split_whitespace().skip(11).map(|value| value.parse::<u64>().ok());
    values.next()??.checked_add(values.next()??)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_says_all_of_it() {
        assert!(resident().unwrap() > 100_000);
        assert!(open_fds().unwrap() >= 3);
        assert!(max_fds().unwrap() > open_fds().unwrap());
        assert!(cpu_ticks().is_some());
    }
}
