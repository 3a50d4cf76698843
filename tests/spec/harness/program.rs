//! The program as an operator runs it: in a folder, with arguments, to its end.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use super::wire::{PATIENCE, eventually};

/// A folder of an operator.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// One with this gateway.toml.
    pub fn with(configuration: &str) -> Self {
        Self::empty().and("gateway.toml", configuration)
    }

    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The same with one more file.
    pub fn and(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path().join(name), text).unwrap();
        self
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program in this folder, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_member-gateway"));
        command.current_dir(self.path()).args(arguments).env("RUST_LOG", "info");
        command
    }
}

/// A program that has come to its end.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub output: String,
    pub errors: String,
}

/// Runs the program with something to read on standard input.
pub fn member_gateway(folder: &Folder, arguments: &[&str], input: &str) -> Ended {
    let mut command = folder.command(arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    // It need not read what it is given.
    let _ = running.stdin.take().unwrap().write_all(input.as_bytes());
    let (over, waiting) = mpsc::channel::<()>();
    let process = running.id();
    std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            send_signal("KILL", process);
        }
    });
    let ended = running.wait_with_output().unwrap();
    drop(over);
    Ended {
        status: ended.status.code().expect("it ends by itself"),
        output: String::from_utf8(ended.stdout).unwrap(),
        errors: String::from_utf8(ended.stderr).unwrap(),
    }
}

fn send_signal(name: &str, process: u32) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// A program that serves, and is ended with its test.
pub struct Running(Child);

impl Running {
    /// Starts it in a folder whose gateway.toml names this address, and waits until it serves there.
    pub fn start(folder: &Folder, address: SocketAddr) -> Self {
        Self::serving(&mut folder.command(&["run"]), address)
    }

    /// Starts it by this command, and waits until it serves at this address.
    pub fn serving(command: &mut Command, address: SocketAddr) -> Self {
        let mut running = Self::spawn(command);
        eventually("the program serves", || {
            assert!(running.is_there(), "the program ends instead of serving");
            TcpStream::connect(address).is_ok()
        });
        running
    }

    /// Starts it, and keeps what it says on standard error to be asked for.
    pub fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Everything it says on standard error, as it comes.
    pub fn log(&mut self) -> Log {
        let log = Arc::<Mutex<String>>::default();
        let heard = Arc::clone(&log);
        let errors = self.errors();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                heard.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Log(log)
    }

    /// What it says on standard error.
    pub fn errors(&mut self) -> ChildStderr {
        self.0.stderr.take().unwrap()
    }

    pub fn is_there(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Sends it a signal: `TERM`, `INT`, `HUP`, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        send_signal(name, self.0.id());
    }

    /// Waits for its end; its exit status, unless a signal has ended it.
    pub fn ended(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

/// What a program has said on standard error.
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// Waits until it has said this.
    pub fn says(&self, words: &str) {
        eventually(words, || self.has_said(words));
    }

    /// Whether it has said this by now.
    pub fn has_said(&self, words: &str) -> bool {
        self.0.lock().unwrap().contains(words)
    }

    /// All that it has said so far.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
