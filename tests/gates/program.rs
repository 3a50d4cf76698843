//! The program as an operator runs it, and what it says.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::load::PATIENCE;

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
}

impl Program {
    /// Starts it in this folder.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_member-gateway"));
        command.current_dir(folder).args(arguments).env("RUST_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        let (tell, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self { process, log }
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
