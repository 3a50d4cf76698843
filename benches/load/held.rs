//! A held rate: requests are due at fixed instants, and latency counts from the instant a request was due.
//!
//! A server that stalls cannot slow the load down and so hide what it kept waiting (coordinated omission). Each connection has
//! a thread that blocks: the kernel wakes it within some 50 µs, where the timers of tokio have a grain of a millisecond.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::plan::{Outcome, Plan, Target};
use crate::usage::processor_seconds;
use crate::wire::Answer;

pub(crate) fn run(plan: &Plan, rate: f64) -> io::Result<Vec<Outcome>> {
    plan.targets.iter().map(|target| hold(plan, target, rate)).collect()
}

fn hold(plan: &Plan, target: &Target, rate: f64) -> io::Result<Outcome> {
    let counted_from = Instant::now() + Duration::from_secs_f64(plan.warm_up);
    let until = counted_from + Duration::from_secs_f64(plan.seconds);
    let start = Instant::now();
    thread::scope(|threads| {
        let connections: Vec<_> = (0..target.connections)
            .map(|number| {
                let first = start + Duration::from_secs_f64(number as f64 / rate);
                let step = Duration::from_secs_f64(target.connections as f64 / rate);
                threads.spawn(move || ask_on_time(target, first, step, counted_from, until))
            })
            .collect();
        sleep_until(counted_from);
        let before = processor_seconds(&target.processes)?;
        sleep_until(until);
        let used = processor_seconds(&target.processes)? - before;
        let mut latencies = Vec::new();
        let (mut failures, mut complaint) = (0, None);
        for connection in connections {
            match connection.join().map_err(|_| io::Error::other("a connection's thread panicked"))? {
                Ok(measured) => latencies.extend(measured),
                Err(error) => {
                    failures += 1;
                    complaint = Some(error.to_string());
                }
            }
        }
        Ok(Outcome::new(target, latencies, failures, complaint, plan.seconds, used))
    })
}

/// Asks whenever it is time; a request that became due during another's answer goes out late, and its latency says so.
fn ask_on_time(
    target: &Target,
    first: Instant,
    step: Duration,
    counted_from: Instant,
    until: Instant,
) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(target.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut buffer = vec![0; 64 * 1024];
    let mut latencies = Vec::new();
    let mut due = first;
    while due < until {
        sleep_until(due);
        stream.write_all(target.request.as_bytes())?;
        let mut answer = Answer::new(target.length);
        loop {
            let read = stream.read(answer.room(&mut buffer))?;
            if answer.advance(&buffer, read)? {
                break;
            }
        }
        if due >= counted_from {
            latencies.push(due.elapsed());
        }
        due += step;
    }
    Ok(latencies)
}

fn sleep_until(instant: Instant) {
    thread::sleep(instant.saturating_duration_since(Instant::now()));
}
