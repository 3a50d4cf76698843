//! `run`: serve, until a signal says otherwise.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use super::CommandError;
use crate::config::ProviderTable;
use crate::config::assemble::{self, Assembled, Loaded, Surroundings};
use crate::config::diagnostics::Source;
use crate::config::provider::{self, SandboxedDaxko, SandboxedXoxoday};
use crate::gateway::Worker;
use crate::identity::keys::{Algorithm, SigningKey};
use crate::sandbox::daxko::{self, Daxko};
use crate::sandbox::legacy_app::{self, LegacyApp, VerificationKey};
use crate::sandbox::xoxoday::{self, Xoxoday};
use crate::secret::Secret;
use crate::server::{self, Listeners, Running};
use crate::time::Clock;

/// How long what is under way may take once the gateway is to stop.
const GRACE: Duration = Duration::from_secs(30);

/// A gateway that is serving.
#[derive(Debug)]
pub struct Started {
    /// The sockets and the workers.
    pub running: Running,
    /// The built-in sandbox, where the configuration uses it.
    pub sandbox: Option<Sandbox>,
    /// Whether a site has the sample app of the sandbox for an upstream.
    pub uses_sample_app: bool,
    /// The public addresses of the sites.
    pub sites: Vec<String>,
}

/// The built-in simulations of the vendors, and the sample app.
#[derive(Clone)]
pub struct Sandbox {
    /// Daxko.
    pub daxko: Daxko,
    /// Xoxoday, where a provider is simulated by it.
    pub xoxoday: Option<Xoxoday>,
    /// The app.
    pub app: LegacyApp,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

/// Serves what the configuration says until SIGTERM or SIGINT.
///
/// # Errors
/// Where the configuration is not as it should be, or an address is taken.
pub fn command(config: &Path) -> Result<(), CommandError> {
    crate::telemetry::start();
    let (source, folder) = super::source(config)?;
    let started = start(&source, folder, Clock::System)?;
    greet(&started, config);
    let failed = |error: std::io::Error| CommandError::Failed(format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(until_told_to_stop()).map_err(failed)?;
    tracing::info!("stopping: what is under way may finish");
    started.running.drain(GRACE);
    Ok(())
}

async fn until_told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => tracing::warn!("this version does not reload its configuration: restart it instead"),
        }
    }
}

/// Starts to serve: the sandbox first where it is used, then the rooms, then the sockets.
///
/// # Errors
/// Where the configuration is not as it should be, or an address is taken.
pub fn start(source: &Source, folder: PathBuf, clock: Clock) -> Result<Started, CommandError> {
    let loaded = assemble::load(source)?;
    let uses_sandbox = loaded.uses_sandbox();
    let failed = |error: std::io::Error| CommandError::Failed(format!("the sandbox cannot start: {error}"));
    let free = || TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (for_daxko, for_app) = (free().map_err(failed)?, free().map_err(failed)?);
    let for_xoxoday = free().map_err(failed)?;
    let settings = daxko::Settings {
        valid_redirect_uris: Some(loaded.redirect_uris_at_daxko()),
        ..daxko::Settings::default()
    };
    let of_xoxoday = xoxoday::Settings {
        redirect_uris: loaded.redirect_uris_at_xoxoday(),
        ..xoxoday::Settings::default()
    };
    let surroundings = Surroundings {
        folder,
        clock: clock.clone(),
        daxko: sandboxed(&settings, for_daxko.local_addr().map_err(failed)?),
        xoxoday: sandboxed_xoxoday(&of_xoxoday, for_xoxoday.local_addr().map_err(failed)?),
        app: for_app.local_addr().map_err(failed)?,
    };
    let assembled = loaded.assemble(&surroundings)?;
    for warning in &assembled.warnings {
        tracing::warn!("{warning}");
    }
    let sandbox = if uses_sandbox {
        let keys = verification_keys(&assembled);
        let app = legacy_app::serve(for_app, keys, clock.clone(), fields(&loaded)).map_err(failed)?;
        let xoxoday = if loaded.uses_sandboxed_xoxoday() {
            Some(Xoxoday::serve(for_xoxoday, of_xoxoday, clock.clone()).map_err(failed)?)
        } else {
            None
        };
        Some(Sandbox { daxko: Daxko::serve(for_daxko, settings, clock).map_err(failed)?, xoxoday, app })
    } else {
        None
    };
    let Assembled { gateway, listen, limits, .. } = assembled;
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let listeners = Listeners::bind(&listen, workers).map_err(|error| {
        CommandError::Failed(format!(
            "{error}: {}\n\nStop the program that listens there, or change `listen` in [server] of the configuration.",
            error.source
        ))
    })?;
    let sites = gateway.sites.iter().map(|site| site.origin.as_str().to_owned()).collect();
    let gateway = Arc::new(gateway);
    let running = server::serve(listeners, limits, move |ticker| Worker::new(Arc::clone(&gateway), ticker))
        .map_err(|error| CommandError::Failed(format!("the workers cannot start: {error}")))?;
    Ok(Started { running, sandbox, uses_sample_app: loaded.uses_sample_app(), sites })
}

/// What the configuration has to know of a simulation of Daxko at `address`.
pub(super) fn sandboxed(settings: &daxko::Settings, address: SocketAddr) -> SandboxedDaxko {
    SandboxedDaxko {
        base_url: Url::parse(&format!("http://{address}/")).expect("an address"),
        client: settings.clients.first().copied().unwrap_or_default(),
        client_id: settings.username.clone(),
        client_secret: Secret::new(settings.password.as_str()),
        refresh_token: Secret::new(settings.refresh_token.as_str()),
    }
}

/// What the configuration has to know of a simulation of Xoxoday at `address`.
pub(super) fn sandboxed_xoxoday(settings: &xoxoday::Settings, address: SocketAddr) -> SandboxedXoxoday {
    SandboxedXoxoday {
        oauth_url: Url::parse(&format!("http://{address}/chef")).expect("an address"),
        client_id: settings.client_id.clone(),
        client_secret: Secret::new(settings.client_secret.as_str()),
    }
}

impl Loaded {
    /// The redirect URIs of all sites through their providers at Daxko.
    pub(super) fn redirect_uris_at_daxko(&self) -> Vec<String> {
        self.redirect_uris(|provider| matches!(provider, ProviderTable::Daxko(_)))
    }

    /// The redirect URIs of all sites through their providers at Xoxoday.
    pub(super) fn redirect_uris_at_xoxoday(&self) -> Vec<String> {
        self.redirect_uris(|provider| matches!(provider, ProviderTable::Xoxoday(_)))
    }

    fn redirect_uris(&self, is_wanted: impl Fn(&ProviderTable) -> bool) -> Vec<String> {
        let mut uris = Vec::new();
        for site in &self.config.site {
            let Ok(origin) = crate::route::Origin::parse(&site.public_url) else { continue };
            let wanted =
                self.config.provider.iter().filter(|provider| is_wanted(provider)).map(provider::name);
            let named = wanted.filter(|name| site.providers.iter().any(|used| used == name));
            uris.extend(named.map(|name| format!("{}/_gateway/callback/{name}", origin.as_str())));
        }
        uris
    }
}

/// What the sample app needs to verify signatures: the shared key, or the public half of a key pair.
fn verification_keys(assembled: &Assembled) -> Vec<VerificationKey> {
    let materials = assembled.signing_keys.iter().flat_map(|site| &site.keys);
    materials
        .filter_map(|material| match material.algorithm {
            Algorithm::HmacSha256 => Some(VerificationKey::HmacSha256 {
                key_id: material.id.clone(),
                secret: material.secret.clone(),
            }),
            Algorithm::Ed25519 => {
                let key = SigningKey::new(&material.id, material.algorithm, &material.secret).ok()?;
                let public_key = key.ed25519_public_key()?;
                Some(VerificationKey::Ed25519 { key_id: material.id.clone(), public_key })
            }
            // The sample app verifies what most apps can.
            Algorithm::EcdsaP256Sha256 => None,
        })
        .collect()
}

fn fields(loaded: &Loaded) -> legacy_app::IdentityFields {
    let identity = &loaded.config.identity;
    let defaults = legacy_app::IdentityFields::default();
    let written = |name: &Option<String>, default: String| name.clone().unwrap_or(default);
    legacy_app::IdentityFields {
        member_id: written(&identity.member_id, defaults.member_id),
        member_unit_id: written(&identity.member_unit_id, defaults.member_unit_id),
        provider: written(&identity.provider, defaults.provider),
        optional: [&identity.first_name, &identity.last_name, &identity.email]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    }
}

/// Says on standard error what can be done now.
#[expect(clippy::print_stderr, reason = "this is where whoever started it looks")]
fn greet(started: &Started, config: &Path) {
    let addresses: Vec<String> = started.running.addresses().iter().map(ToString::to_string).collect();
    tracing::info!(listen = addresses.join(", "), sites = started.sites.join(", "), "serving");
    let Some(sandbox) = &started.sandbox else { return };
    let mut members = String::new();
    for member in Daxko::members() {
        if member.client == 4711 {
            let state = if member.active { "" } else { "  (inactive unit)" };
            members.push_str(&format!(
                "\n      {:<8} {:<14} member {}{state}",
                member.username, member.password, member.member_id
            ));
        }
    }
    let mut accounts = String::new();
    if sandbox.xoxoday.is_some() {
        accounts.push_str("\n\n  The sample accounts at Xoxoday:\n");
        for account in Xoxoday::accounts() {
            let state = if account.member_id.is_some() { "" } else { "  (no member)" };
            accounts.push_str(&format!("\n      {:<25} {}{state}", account.email, account.password));
        }
    }
    eprintln!(
        "
  This is the SANDBOX: Daxko is simulated at {daxko}{xoxoday}{app}.

  Open {sites}

  and sign in; the form is filled in already. The sample members:
{members}{accounts}

  For production edit {config}: give [[provider]] your vendor's credentials and another `environment`, give [[site]]
  your public_url and your app as upstream, and run `member-gateway check`. See docs/configuration.md.
",
        daxko = sandbox.daxko.base_url(),
        xoxoday = sandbox
            .xoxoday
            .as_ref()
            .map_or_else(String::new, |xoxoday| format!(", Xoxoday at {}", xoxoday.base_url())),
        app = if started.uses_sample_app {
            format!(", the app is a sample at {}", sandbox.app.base_url())
        } else {
            String::new()
        },
        sites = started.sites.join(" or "),
        config = config.display(),
    );
}
