//! `daxko settings` and `daxko token`: the one-time set-up at Daxko, and a token for its API.
//!
//! Daxko replaces all settings of an API username with what it is sent, those of other sites included. So they are read
//! first, what the configuration names is merged in, and afterwards they are read again: what counts is what Daxko then
//! says. Secrets are not printed, except where `--show` asks for one.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use clap::Subcommand;

use super::CommandError;
use super::online::{Online, printable};
use super::simulations::Simulation;
use crate::provider::daxko::member_settings::Line;
use crate::provider::daxko::{Daxko, Issued};
use crate::provider::inspection::Registration;

/// What there is to do at Daxko.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register the redirect URIs and links of the configuration: read the settings of the API username, show what
    /// changes, write them, read them back.
    Settings {
        /// Name of the provider in the configuration.
        #[arg(long, value_name = "NAME")]
        provider: String,
        /// Show what would change and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Drop what the configuration does not name.
        #[arg(long)]
        replace: bool,
    },
    /// Fetch a client-scoped access token and print when it expires.
    Token {
        /// Name of the provider in the configuration.
        #[arg(long, value_name = "NAME")]
        provider: String,
        /// Print the token itself on standard output, and when it expires on standard error.
        #[arg(long)]
        show: bool,
    },
}

/// Does it.
///
/// # Errors
/// Where the configuration is not as it should be, or Daxko does not do as it is told.
pub fn command(config: &Path, command: &Command, output: &mut impl Write) -> Result<(), CommandError> {
    match command {
        Command::Settings { provider, dry_run, replace } => {
            let online = Online::start(config, Simulation::Fresh)?;
            let (registered, daxko) = online.daxko(provider)?;
            let registration = online.registration(registered);
            online.wait(settings(
                daxko,
                &registration,
                Manner { dry_run: *dry_run, replace: *replace },
                output,
            ))
        }
        Command::Token { provider, show } => {
            let online = Online::start(config, Simulation::Fresh)?;
            let (_, daxko) = online.daxko(provider)?;
            token(&online.wait(daxko.issue())?, *show, output)
        }
    }
}

/// How the settings are written, and whether.
#[derive(Clone, Copy)]
struct Manner {
    dry_run: bool,
    replace: bool,
}

async fn settings(
    daxko: &Daxko,
    registration: &Registration,
    manner: Manner,
    output: &mut impl Write,
) -> Result<(), CommandError> {
    let saved = daxko.read_settings().await?.document;
    let wanted = daxko.wanted_settings(&saved, registration, manner.replace);
    let lines = saved.compared_with(&wanted);
    print(&lines, output)?;
    writeln!(output)?;
    if let Some(link) = wanted.links_to_a_callback(&registration.hosts).first() {
        return Err(CommandError::Failed(format!(
            "the link {link} leads to a callback of this gateway; nothing was written\n\n\
             Whoever follows it brings no authorization code. Set `links.{link}` of the provider to a page for people, or \
             to \"\" for no link."
        )));
    }
    if wanted.redirect_uris().is_empty() {
        return Err(CommandError::Failed(
            "no site uses this provider, so there is no redirect URI to register; nothing was written\n\n\
             Name the provider in `providers` of a [[site]]."
                .to_owned(),
        ));
    }
    if saved.is_the_same_as(&wanted) {
        writeln!(output, "Nothing to do: Daxko has what the configuration says.")?;
        return Ok(());
    }
    if manner.replace {
        warn_of_what_is_dropped(&lines, manner);
    }
    if manner.dry_run {
        writeln!(output, "Nothing was written: this was a dry run.")?;
        return Ok(());
    }
    daxko.write_settings(&wanted).await?;
    let now = daxko.read_settings().await?.document;
    if !now.agrees_with(&wanted) {
        writeln!(output, "Written, but what Daxko has now is something else:\n")?;
        print(&wanted.compared_with(&now), output)?;
        return Err(CommandError::Failed(
            "Daxko has not saved what it was sent\n\nRun the command again in a minute; if it stays so, ask Daxko."
                .to_owned(),
        ));
    }
    writeln!(output, "Written, and read back: Daxko has what the configuration says.")?;
    Ok(())
}

/// Line by line, with the signs of a diff.
fn print(lines: &[Line], output: &mut impl Write) -> Result<(), CommandError> {
    for line in lines {
        let (sign, text) = match line {
            Line::Added(text) => ('+', text),
            Line::Dropped(text) => ('-', text),
            Line::Kept(text) => (' ', text),
        };
        writeln!(output, "{sign} {}", printable(text))?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "this is where whoever typed the command looks")]
fn warn_of_what_is_dropped(lines: &[Line], manner: Manner) {
    let dropped = lines.iter().filter(|line| matches!(line, Line::Dropped(_))).count();
    if dropped == 0 {
        return;
    }
    let verb = if manner.dry_run { "would drop" } else { "drops" };
    eprintln!(
        "warning: --replace {verb} the lines marked with -; another site of the same API username may need them"
    );
}

#[expect(
    clippy::print_stderr,
    reason = "the token alone goes to standard output, for another program to take"
)]
fn token(issued: &Issued, show: bool, output: &mut impl Write) -> Result<(), CommandError> {
    let until = issued.expires.map_or_else(
        || "for a time that Daxko has not told".to_owned(),
        |expires| {
            // Year 9999 is the last that the format can write.
            let seconds = Duration::from_secs(expires.0.min(253_402_300_799));
            format!("until {}", httpdate::fmt_http_date(UNIX_EPOCH + seconds))
        },
    );
    let sentence = format!("Daxko has granted a token for {}, good {until}.", issued.scope);
    if show {
        eprintln!("{sentence}");
        writeln!(output, "{}", issued.token.expose_str().unwrap_or_default())?;
    } else {
        writeln!(output, "{sentence}")?;
    }
    Ok(())
}
