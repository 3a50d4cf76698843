//! Gate R8: no file descriptor is left, no room on the disk, and nobody reads what is logged.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{eventually, free_address, raw_to};
use crate::load::{Load, app};
use crate::program::{Program, configuration};
use crate::scaled;

const MOST_DESCRIPTORS: usize = 256;
const CLIENTS: usize = scaled(600, 5_000);
const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n";

/// A gateway with this at the end of its configuration, started after `preparation`.
fn serving(preparation: &str, more: &str) -> (Program, SocketAddr, tempfile::TempDir) {
    let (address, folder) = (free_address(), tempfile::tempdir().unwrap());
    let text = configuration(address, app(), 0) + more;
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let program = Program::prepared(folder.path(), preparation);
    (program, address, folder)
}

fn is_served(address: SocketAddr) -> bool {
    raw_to(address, REQUEST).starts_with("HTTP/1.1 200 ")
}

#[test]
fn without_a_descriptor_left_those_who_are_there_are_served_and_the_others_wait() {
    let (program, address, _folder) = serving(&format!("ulimit -n {MOST_DESCRIPTORS};"), "");
    program.says("serving");
    let load = Load::with_fields(&[address], 2, "");
    load.goes_on_for(100);

    let crowd: Vec<TcpStream> = (0..CLIENTS).map_while(|_| TcpStream::connect(address).ok()).collect();
    program.says("no connection can be accepted just now");
    println!("R8 before: {}", load.seen().waits());
    let quiet = (program.processor_time(), Instant::now());
    load.goes_on_during(Duration::from_secs(scaled(1, 10) as u64));
    let spent = program.processor_time() - quiet.0;
    let share = spent as f64 / quiet.1.elapsed().as_secs_f64();
    println!(
        "R8 with {} who wait: {}, {share:.0} % of a core, load included",
        crowd.len(),
        load.seen().waits()
    );
    let seen = load.end();
    seen.is_flawless();
    // Whoever is accepted and says nothing may stay; alone they cost nearly nothing.
    let alone = (program.processor_time(), Instant::now());
    while alone.1.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let share = (program.processor_time() - alone.0) as f64 / alone.1.elapsed().as_secs_f64();
    println!("R8 with {} who wait and nobody else: {share:.0} % of a core", crowd.len());
    assert!(share < 100.0, "it goes round and round: {share:.0} %");

    drop(crowd);
    let since = Instant::now();
    eventually("newcomers are served again", || is_served(address));
    println!("R8 served again after {} ms", since.elapsed().as_millis());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn a_full_disk_a_closed_pipe_and_one_that_nobody_reads_hold_no_request_up() {
    for (name, preparation, access) in [
        ("a full disk", "", "file:/dev/full"),
        ("a pipe that was closed", "mkfifo pipe; (exec 3<pipe) & exec >pipe;", "stdout"),
        ("a pipe that nobody reads", "mkfifo pipe; (exec 3<pipe; exec sleep 60) & exec >pipe;", "stdout"),
    ] {
        let (program, address, _folder) = serving(preparation, &format!("\n[log]\naccess = \"{access}\"\n"));
        program.says("serving");
        let load = Load::with_fields(&[address], 4, "");
        load.goes_on_for(scaled(2_000, 50_000));
        println!("R8 {name}: {}", load.seen().waits());
        load.end().is_flawless();
        program.signal("TERM");
        assert_eq!(program.ended(), Some(0), "{name}");
    }
}

#[test]
fn events_that_nobody_reads_hold_no_request_up() {
    // Nobody listens there: each request for it is an event.
    let (address, away, folder) = (free_address(), free_address(), tempfile::tempdir().unwrap());
    let text = configuration(address, away, 0);
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let program = Program::unread(folder.path());
    eventually("it serves", || TcpStream::connect(address).is_ok());
    let requests = scaled(1_000, 5_000);
    let since = Instant::now();
    for _ in 0..requests {
        let answer = raw_to(address, REQUEST);
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
    println!("R8 {requests} events that nobody reads: {} ms", since.elapsed().as_millis());
    program.signal("TERM");
    assert_eq!(program.ended(), Some(0));
}
