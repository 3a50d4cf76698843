//! WebSockets by the thousand, all at the same time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::harness::eventually;
use crate::site::{NAME, Site, script};

/// How many. The gateway needs two files for each, and here may have 20 000.
const COUNT: usize = 9000;
/// The least that a process has to be allowed to open.
const FILES: usize = 2 * COUNT + 500;

/// A process of the script, to talk with by lines.
struct Party {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Party {
    fn start(arguments: &[&str]) -> Self {
        let mut command = script("websockets_echo.py");
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { input: process.stdin.take(), output, process }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn nine_thousand_websockets_echo_at_the_same_time() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    assert!(
        limit.is_none_or(|limit| limit >= FILES as u64),
        "a process may open {limit:?} files at most, and {COUNT} tunnels take {FILES}: raise the hard limit (ulimit -H -n)"
    );
    let mut app = Party::start(&["serve"]);
    let site = Site::in_front_of(format!("127.0.0.1:{}", app.line()).parse().unwrap(), "");
    let (before, files) = (site.memory(), site.files());

    let address = site.plain.to_string();
    let mut clients = Party::start(&["open", &address, NAME, "/public/chat", &COUNT.to_string()]);
    assert_eq!(clients.line(), format!("open {COUNT}"));
    assert!(site.files() >= 2 * COUNT, "{} files", site.files());
    let each = (site.memory() - before) as f64 / COUNT as f64;
    println!("{COUNT} WebSockets: {each:.1} KiB each, in a build without optimisation");
    clients.input.as_mut().unwrap().write_all(b"\n").unwrap();
    assert_eq!(clients.line(), format!("echoed {COUNT}"));

    drop(clients.input.take());
    assert!(clients.process.wait().unwrap().success());
    eventually("what the tunnels took is given back", || site.files() < files + 100);
}
