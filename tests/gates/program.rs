//! The program as an operator runs it, and what it says.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::load::PATIENCE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_member-gateway");

/// A gateway.toml that serves everybody. `number` makes it another one.
pub(crate) fn configuration(address: SocketAddr, app: SocketAddr, number: usize) -> String {
    format!(
        "[server]\nlisten = [\"{address}\"]\nhandover = \"unix:handover\"\n\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"https://members.localhost\"\nupstream = [\"http://{app}\"]\nproviders = [\"ymca\"]\n\n\
         [[site.rule]]\npath = \"/number-{number}\"\naccess = \"deny\"\n\n\
         [[site.rule]]\npath = \"/**\"\naccess = \"public\"\n"
    )
}

/// One that runs, and is ended with its test.
pub(crate) struct Program {
    process: Child,
    log: mpsc::Receiver<String>,
    /// The log, where nobody is to read it.
    _unread: Option<ChildStderr>,
}

impl Program {
    /// Starts it in this folder.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::of(Command::new(PROGRAM).args(arguments), folder)
    }

    /// Starts it by way of a shell, which first does what `preparation` says.
    pub(crate) fn prepared(folder: &Path, preparation: &str) -> Self {
        let script = format!("{preparation} exec {PROGRAM} run");
        Self::of(Command::new("sh").args(["-c", &script]), folder)
    }

    /// Starts it with a log that nobody reads.
    pub(crate) fn unread(folder: &Path) -> Self {
        let mut process = Self::spawn(Command::new(PROGRAM).arg("run"), folder);
        let unread = process.stderr.take();
        let (_, log) = mpsc::channel();
        Self { process, log, _unread: unread }
    }

    fn spawn(command: &mut Command, folder: &Path) -> Child {
        command.current_dir(folder).env("RUST_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn of(command: &mut Command, folder: &Path) -> Self {
        let mut process = Self::spawn(command, folder);
        let errors = BufReader::new(process.stderr.take().unwrap());
        let (tell, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self { process, log, _unread: None }
    }

    /// Waits until it says this.
    pub(crate) fn says(&self, words: &str) {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it never says {words:?}"));
            if line.contains(words) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// What it holds in memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The same once it has grown no more for a while.
    pub(crate) fn resident_at_rest(&self) -> u64 {
        const NOTHING: u64 = 256;
        let (mut most, mut since) = (self.resident(), Instant::now());
        while since.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.resident();
            if now > most + NOTHING {
                (most, since) = (now, Instant::now());
            }
        }
        most
    }

    /// The time of processors that it has had, in hundredths of a second, as Linux counts it.
    pub(crate) fn processor_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // Behind the name, which ends with the last bracket, utime and stime are the 12th and 13th (proc(5)).
        let (_, rest) = stat.rsplit_once(')').unwrap();
        rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Ends it without a word.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
