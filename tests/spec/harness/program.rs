//! The program as an operator runs it: in a folder, with arguments, to its end.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

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
    let ended = running.wait_with_output().unwrap();
    Ended {
        status: ended.status.code().expect("no signal ended it"),
        output: String::from_utf8(ended.stdout).unwrap(),
        errors: String::from_utf8(ended.stderr).unwrap(),
    }
}
