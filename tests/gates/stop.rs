//! Gate R21: the process is told to end, or ended without a word, and comes back.

use std::time::{Duration, Instant};

use crate::harness::{Gateway, Options, eventually, free_address, raw_to};
use crate::load::{Load, app};
use crate::program::{Program, configuration};
use crate::scaled;

/// How often it is told to end under load.
const ENDS: usize = scaled(3, 20);

#[test]
fn who_is_being_served_is_served_to_the_end_and_the_process_ends_well() {
    let (address, app, folder) = (free_address(), app(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("gateway.toml"), configuration(address, app, 0)).unwrap();
    for _ in 0..ENDS {
        let program = Program::start(folder.path(), &["run"]);
        program.says("serving");
        let load = Load::until_refused(address, 4);
        load.goes_on_for(100);
        let since = Instant::now();
        program.signal("TERM");
        assert_eq!(program.ended(), Some(0));
        println!("R21 ended under load after {} ms", since.elapsed().as_millis());
        // Five times the grace.
        assert!(since.elapsed() < Duration::from_secs(150));
        load.end().is_flawless();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_it_serves_again_and_every_session_holds() {
    let (address, folder) = (free_address(), tempfile::tempdir().unwrap());
    // One with the same keys signs somebody in.
    let app = app();
    let before = Gateway::with(&Options { upstream: Some(app), real_time: true, ..Options::USUAL });
    let cookie = before.member().await;
    let text = before.configuration.replace("127.0.0.1:0", &address.to_string());
    drop(before);
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let ask = format!("GET /api/a HTTP/1.1\r\nHost: members.localhost\r\n{cookie}Connection: close\r\n\r\n");
    for _ in 0..ENDS {
        let program = Program::start(folder.path(), &["run"]);
        let since = Instant::now();
        eventually("it serves", || std::net::TcpStream::connect(address).is_ok());
        let answer = raw_to(address, &ask);
        println!("R21 serves {} ms after its start", since.elapsed().as_millis());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(since.elapsed() < Duration::from_secs(5));
        program.kill();
    }
}
