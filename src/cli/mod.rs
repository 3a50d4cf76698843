//! The commands, one file each.
//!
//! Exit status: 0 done, 1 failed while running, 2 usage or configuration error. Standard error carries logs and errors,
//! standard output carries what was asked for and nothing else.

pub mod check;
pub mod daxko;
pub mod doctor;
pub mod explain;
pub mod keygen;
mod notify;
mod online;
pub mod revoke;
pub mod run;
pub mod schema;
pub mod simulations;
pub mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::diagnostics::{Problems, Source};
use crate::roots;

/// An authentication gateway in front of member sites.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Arguments {
    /// Configuration file.
    #[arg(long, global = true, default_value = "gateway.toml", value_name = "PATH")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve; this is what happens without a command.
    Run {
        /// Take the listening sockets over from the gateway that runs, by way of `handover` in [server]; it ends.
        #[arg(long)]
        takeover: bool,
    },
    /// Validate the configuration and print what would be served.
    Check {
        /// Ask the vendors, too: whether they take the credentials, which redirect URIs they know, what time it is.
        #[arg(long)]
        online: bool,
    },
    /// Set a provider up at Daxko, or fetch a token for its API.
    Daxko {
        #[command(subcommand)]
        command: daxko::Command,
    },
    /// Look at everything that the gateway needs on this machine and around it, and say what to do about what is wrong.
    Doctor {
        /// Ask no vendor.
        #[arg(long)]
        offline: bool,
        /// The gateway has not been started yet: addresses at which nothing serves are as they should be.
        #[arg(long)]
        before_start: bool,
    },
    /// Print what would become of a request: site, rule, every reading of its path, the answer or what the app would get.
    Explain(explain::Arguments),
    /// Print a fresh key in the form that the configuration takes.
    Keygen {
        /// What the key is for.
        #[arg(default_value = "session")]
        kind: keygen::Kind,
    },
    /// Ask the running gateway, over its admin address, to end sessions.
    Revoke(revoke::Arguments),
    /// Read the head of one request on standard input and say whether its member signature holds, and why not.
    Verify {
        /// The time at which it should hold, in seconds since 1970; now, if not given.
        #[arg(long, value_name = "SECONDS")]
        at: Option<u64>,
    },
    /// Print the JSON Schema of gateway.toml.
    Schema {
        /// Print the reference for people instead, as Markdown.
        #[arg(long)]
        reference: bool,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What ends a command early.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration file cannot be read.
    #[error("cannot read {path}: {source}\n\nName another configuration file with --config PATH.")]
    NoConfig {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The configuration is not as it should be.
    #[error("{0}")]
    Config(Box<Problems>),
    /// What was given to the command makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Something failed while running.
    #[error("{0}")]
    Failed(String),
    /// Somebody has closed standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::NoConfig { .. } | Self::Config(_) | Self::Usage(_) => 2,
            Self::Failed(_) | Self::Output(_) => 1,
        }
    }
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        Self::Config(Box::new(problems))
    }
}

/// Does what the arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    let output = &mut io::stdout().lock();
    let outcome = match command.unwrap_or(Command::Run { takeover: false }) {
        Command::Run { takeover } => run::command(&config, takeover),
        Command::Check { online } => check::command(&config, online, output),
        Command::Daxko { command } => daxko::command(&config, &command, output),
        Command::Doctor { offline, before_start } => doctor::command(&config, offline, before_start, output),
        Command::Explain(arguments) => explain::command(&config, &arguments, output),
        Command::Keygen { kind } => keygen::command(kind, output),
        Command::Revoke(arguments) => revoke::command(&config, arguments),
        Command::Verify { at } => verify::command(&config, at, &mut io::stdin().lock(), output),
        Command::Schema { reference } => schema::command(reference, output),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "member-gateway", output);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is where an operator looks")]
            {
                eprintln!("{error}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Looks whether the vendors could be believed, whatever the configuration says.
fn trusts_somebody() -> Result<(), CommandError> {
    roots::are_there().map_err(|error| {
        CommandError::Failed(format!(
            "this machine cannot speak TLS: {error}\n\nInstall its root certificates (on Debian the package `ca-certificates`), or name a file of them in SSL_CERT_FILE."
        ))
    })
}

/// Reads the configuration file, and the folder its relative paths start at.
fn source(path: &Path) -> Result<(Source, PathBuf), CommandError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| CommandError::NoConfig { path: name.clone(), source })?;
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    Ok((Source::new(name, text), folder.to_owned()))
}
