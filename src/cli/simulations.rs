//! The built-in simulations of the vendors: where they are, what they know at the start, and who can sign in there.
//!
//! A configuration has to name a simulation's address before the simulation may serve, and there may be nothing to
//! simulate. So they are prepared first, and served once the rooms are known to be good.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use url::Url;

use crate::config::ProviderTable;
use crate::config::assemble::Loaded;
use crate::config::provider::{Sandboxed, SandboxedDaxko, SandboxedXoxoday};
use crate::sandbox::daxko::{self, Daxko};
use crate::sandbox::xoxoday::{self, Xoxoday};
use crate::secret::Secret;
use crate::time::Clock;

/// What a simulated vendor knows when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Simulation {
    /// Everything that a gateway needs to have registered.
    SetUp,
    /// Nothing yet, where the vendor has a command by which one sets it up.
    Fresh,
}

/// Simulations that have their addresses and do not serve yet.
pub(super) struct Prepared {
    daxko: (TcpListener, daxko::Settings),
    xoxoday: (TcpListener, xoxoday::Settings),
}

/// The simulations of the vendors.
#[derive(Clone)]
pub struct Vendors {
    /// Daxko.
    pub daxko: Daxko,
    /// Xoxoday, where a provider is simulated by it.
    pub xoxoday: Option<Xoxoday>,
}

const fn is_daxko(table: &ProviderTable) -> bool {
    matches!(table, ProviderTable::Daxko(_))
}

const fn is_xoxoday(table: &ProviderTable) -> bool {
    matches!(table, ProviderTable::Xoxoday(_))
}

impl Prepared {
    /// Takes an address for each, and tells them what the configuration would have registered.
    pub(super) fn new(loaded: &Loaded, simulation: Simulation) -> io::Result<Self> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let is_set_up = simulation == Simulation::SetUp;
        let daxko = daxko::Settings {
            valid_redirect_uris: is_set_up.then(|| loaded.redirect_uris(is_daxko)),
            ..daxko::Settings::default()
        };
        let xoxoday = xoxoday::Settings {
            redirect_uris: loaded.redirect_uris(is_xoxoday),
            ..xoxoday::Settings::default()
        };
        Ok(Self { daxko: (free()?, daxko), xoxoday: (free()?, xoxoday) })
    }

    /// What the configuration has to know of them.
    pub(super) fn sandboxed(&self) -> io::Result<Sandboxed> {
        let Self { daxko, xoxoday } = self;
        Ok(Sandboxed {
            daxko: sandboxed_daxko(&daxko.1, daxko.0.local_addr()?),
            xoxoday: sandboxed_xoxoday(&xoxoday.1, xoxoday.0.local_addr()?),
        })
    }

    /// Begins to serve those that the configuration uses.
    pub(super) fn serve(self, loaded: &Loaded, clock: &Clock) -> io::Result<Vendors> {
        let Self { daxko, xoxoday } = self;
        let daxko = Daxko::serve(daxko.0, daxko.1, clock.clone())?;
        let xoxoday =
            loaded.simulates_any(is_xoxoday).then(|| Xoxoday::serve(xoxoday.0, xoxoday.1, clock.clone()));
        Ok(Vendors { daxko, xoxoday: xoxoday.transpose()? })
    }
}

/// Whether all simulations that the configuration uses are among these.
pub(super) fn all_run(loaded: &Loaded, vendors: &Vendors) -> bool {
    vendors.xoxoday.is_some() || !loaded.simulates_any(is_xoxoday)
}

/// What a configuration has to know of simulations that are never going to serve.
pub(super) fn nowhere() -> Sandboxed {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    Sandboxed {
        daxko: sandboxed_daxko(&daxko::Settings::default(), nowhere),
        xoxoday: sandboxed_xoxoday(&xoxoday::Settings::default(), nowhere),
    }
}

fn sandboxed_daxko(settings: &daxko::Settings, address: SocketAddr) -> SandboxedDaxko {
    SandboxedDaxko {
        base_url: Url::parse(&format!("http://{address}/")).expect("an address"),
        client: settings.clients.first().copied().unwrap_or_default(),
        client_id: settings.username.clone(),
        client_secret: Secret::new(settings.password.as_str()),
        refresh_token: Secret::new(settings.refresh_token.as_str()),
    }
}

fn sandboxed_xoxoday(settings: &xoxoday::Settings, address: SocketAddr) -> SandboxedXoxoday {
    SandboxedXoxoday {
        oauth_url: Url::parse(&format!("http://{address}/chef")).expect("an address"),
        client_id: settings.client_id.clone(),
        client_secret: Secret::new(settings.client_secret.as_str()),
    }
}

impl Vendors {
    /// Who is simulated, and where.
    pub(super) fn addresses(&self) -> String {
        let Self { daxko, xoxoday } = self;
        let mut text = format!("Daxko is simulated at {}", daxko.base_url());
        if let Some(xoxoday) = xoxoday {
            text.push_str(&format!(", Xoxoday at {}", xoxoday.base_url()));
        }
        text
    }

    /// Who can sign in there.
    pub(super) fn people(&self) -> String {
        // Named one by one, so that none is forgotten.
        let Self { daxko: _, xoxoday } = self;
        let mut text = String::new();
        for member in Daxko::members().iter().filter(|member| member.client == 4711) {
            let state = if member.active { "" } else { "  (inactive unit)" };
            text.push_str(&format!(
                "\n      {:<8} {:<14} member {}{state}",
                member.username, member.password, member.member_id
            ));
        }
        if xoxoday.is_some() {
            text.push_str("\n\n  The sample accounts at Xoxoday:\n");
            for account in Xoxoday::accounts() {
                let state = if account.member_id.is_some() { "" } else { "  (unknown to Daxko)" };
                text.push_str(&format!("\n      {:<25} {}{state}", account.email, account.password));
            }
        }
        text
    }
}
