//! Commands that talk to the vendors: the rooms of a configuration that is not going to be served, and whom to ask.
//!
//! A provider of the sandbox has its simulation in the process of the command, for as long as the command runs.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::simulations::{Prepared, Simulation, Vendors};
use super::{CommandError, source};
use crate::config::assemble::{self, Assembled, Loaded, RandomKeys, Surroundings};
use crate::member::ProviderName;
use crate::provider::daxko::Daxko;
use crate::provider::inspection::{Registration, advice, described};
use crate::provider::running::RunningProviders;
use crate::provider::{ProviderError, Registered};
use crate::time::Clock;

/// A configuration, and vendors who can be asked.
pub(super) struct Online {
    pub(super) loaded: Loaded,
    pub(super) assembled: Assembled,
    /// Where relative paths start.
    pub(super) folder: PathBuf,
    runtime: tokio::runtime::Runtime,
    /// It ends with the command.
    _vendors: Option<Vendors>,
}

impl Online {
    /// Reads the configuration, and starts the simulations that it names; says so on standard error.
    #[expect(clippy::print_stderr, reason = "this is where whoever typed the command looks")]
    pub(super) fn start(config: &Path, simulation: Simulation) -> Result<Self, CommandError> {
        let (source, folder) = source(config)?;
        let loaded = assemble::load(&source)?;
        let failed =
            |error: std::io::Error| CommandError::Failed(format!("the command cannot start: {error}"));
        let vendors = Prepared::new(&loaded, simulation).map_err(failed)?;
        let surroundings = Surroundings {
            folder: folder.clone(),
            clock: Clock::System,
            vendors: vendors.sandboxed().map_err(failed)?,
            app: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
            telemetry: Arc::default(),
            random_keys: RandomKeys::default(),
            providers: RunningProviders::default(),
            revocations: Arc::default(),
        };
        let assembled = loaded.assemble(&surroundings)?;
        let is_simulated = |provider: &Registered| loaded.simulates(&provider.name);
        let vendors = if assembled.providers.iter().any(is_simulated) {
            eprintln!(
                "This is the SANDBOX: vendors are simulated for this command alone, and forget everything afterwards."
            );
            Some(vendors.serve(&loaded, &Clock::System).map_err(failed)?)
        } else {
            None
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        Ok(Self { loaded, assembled, folder, runtime, _vendors: vendors })
    }

    /// The Daxko of this name.
    pub(super) fn daxko(&self, name: &str) -> Result<(&Registered, &Daxko), CommandError> {
        let found = self.assembled.providers.iter().find(|provider| provider.name.as_str() == name);
        let Some(provider) = found else {
            let names: Vec<&str> = self.daxkos().map(ProviderName::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(CommandError::Usage(format!(
                "no provider of the configuration is called {name:?}\n\nProviders with kind = \"daxko\": {names}."
            )));
        };
        let Some(daxko) = self.daxko_behind(provider) else {
            return Err(CommandError::Usage(format!(
                "the provider {name:?} is not of kind = \"daxko\"\n\nThis command is for Daxko alone; other vendors have no \
                 settings to write and no token to fetch."
            )));
        };
        Ok((provider, daxko))
    }

    fn daxkos(&self) -> impl Iterator<Item = &ProviderName> {
        self.assembled.daxkos.iter().map(|(name, _)| name)
    }

    fn daxko_behind(&self, provider: &Registered) -> Option<&Daxko> {
        let mut daxkos = self.assembled.daxkos.iter();
        daxkos.find(|(name, _)| *name == provider.name).map(|(_, daxko)| &**daxko)
    }

    /// What the configuration would have a vendor know.
    pub(super) fn registration(&self, provider: &Registered) -> Registration {
        let sites = &self.assembled.gateway.sites;
        let uris_of = |name: &ProviderName| {
            let sites = sites.iter().filter(|site| site.login.provider(name.as_str()).is_some());
            sites.map(|site| site.login.redirect_uri(name)).collect::<Vec<_>>()
        };
        let account = self.daxko_behind(provider).map(Daxko::account);
        let shares = |other: &&Registered| {
            let theirs = self.daxko_behind(other).map(Daxko::account);
            other.name != provider.name && account.is_some() && account == theirs
        };
        let others = self.assembled.providers.iter().filter(shares);
        Registration {
            redirect_uris: uris_of(&provider.name),
            shared: others.flat_map(|other| uris_of(&other.name)).collect(),
            hosts: sites.iter().map(|site| site.origin.host().to_owned()).collect(),
        }
    }

    /// Waits for an answer; an interrupt ends the process, as it does elsewhere.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }
}

/// A text as a terminal may show it: what a vendor sends could otherwise move the cursor, or have a line read from the
/// right (UAX #9), or hide a character.
pub(super) fn printable(text: &str) -> String {
    let is_hidden = |c: char| {
        let has_no_width = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{feff}');
        let turns_or_ends_lines = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
        c.is_control() || has_no_width || turns_or_ends_lines
    };
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

impl From<ProviderError> for CommandError {
    fn from(error: ProviderError) -> Self {
        let next = advice(&error);
        Self::Failed(format!("{}\n\nWhat to do: {next}.", described(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_sends_moves_no_cursor_and_turns_no_line_around() {
        let sent = "https://a.example/\u{1b}[2K\r\u{9b}1A\u{202e}gro.live\u{2066}\u{200f}\u{2028}\u{feff}\u{200b}café";
        let shown = "https://a.example/\u{fffd}[2K\u{fffd}\u{fffd}1A\u{fffd}gro.live\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}café";
        assert_eq!(printable(sent), shown);
    }
}
