//! `run`: serve, until a signal says otherwise.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::CommandError;
use super::simulations::{Prepared, Simulation, Vendors};
use crate::admin::Admin;
use crate::config::FormatChoice;
use crate::config::assemble::{self, Assembled, Loaded, Surroundings};
use crate::config::diagnostics::Source;
use crate::gateway::Worker;
use crate::identity::keys::{Algorithm, SigningKey};
use crate::sandbox::legacy_app::{self, LegacyApp, VerificationKey};
use crate::server::tls::{Certificate, Tls};
use crate::server::{self, BindError, Door, Listen, Listeners, Running};
use crate::telemetry::metrics::{Certificates, Expiry};
use crate::telemetry::{self, EventFormat, Telemetry};
use crate::time::Clock;
use tokio::signal::unix::{SignalKind, signal};

/// How long what is under way may take once the gateway is to stop.
const GRACE: Duration = Duration::from_secs(30);

/// A gateway that is serving.
#[derive(Debug)]
pub struct Started {
    /// The sockets and the workers.
    pub running: Running,
    /// The admin address, where there is one.
    pub admin: Option<Running>,
    /// What the process tells of itself.
    pub telemetry: Arc<Telemetry>,
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
    /// The vendors.
    pub vendors: Vendors,
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
    let (source, folder) = super::source(config)?;
    telemetry::start(event_format(&source));
    let started = start(&source, folder, Clock::System)?;
    greet(&started, config);
    let failed = |error: std::io::Error| CommandError::Failed(format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(until_told_to_stop(&started.telemetry)).map_err(failed)?;
    tracing::info!("stopping: what is under way may finish");
    started.running.drain(GRACE);
    started.telemetry.finish();
    Ok(())
}

/// How events are to be written; as people read them where the configuration cannot be read.
fn event_format(source: &Source) -> EventFormat {
    match assemble::load(source).map(|loaded| loaded.config.log.format) {
        Ok(FormatChoice::Json) => EventFormat::Json,
        Ok(FormatChoice::Text) | Err(_) => EventFormat::Text,
    }
}

async fn until_told_to_stop(telemetry: &Telemetry) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => {
                telemetry.reopen();
                tracing::warn!("this version does not reload its configuration: restart it instead");
            }
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
    let telemetry = Arc::<Telemetry>::default();
    let failed = |error: std::io::Error| CommandError::Failed(format!("the sandbox cannot start: {error}"));
    let for_app = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(failed)?;
    let vendors = Prepared::new(&loaded, Simulation::SetUp).map_err(failed)?;
    let surroundings = Surroundings {
        folder,
        clock: clock.clone(),
        vendors: vendors.sandboxed().map_err(failed)?,
        app: for_app.local_addr().map_err(failed)?,
        telemetry: Arc::clone(&telemetry),
    };
    let (time, clock_of) = (clock.clone(), clock.clone());
    let assembled = loaded.assemble(&surroundings)?;
    for warning in &assembled.warnings {
        tracing::warn!("{warning}");
    }
    let sandbox = if uses_sandbox {
        let keys = verification_keys(&assembled);
        let vendors = vendors.serve(&loaded, &clock).map_err(failed)?;
        let app = legacy_app::serve(for_app, keys, clock, fields(&loaded)).map_err(failed)?;
        Some(Sandbox { vendors, app })
    } else {
        None
    };
    let Assembled { gateway, listen, admin_listen, access_log, tls, limits, .. } = assembled;
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let listeners = Listeners::bind(&listen, workers).map_err(|error| taken(&error, "listen"))?;
    let door = |address| Listen { address, door: Door::Plain };
    let for_admin = admin_listen.map(|address| Listeners::bind(&[door(address)], 1)).transpose();
    let for_admin = for_admin.map_err(|error| taken(&error, "admin_listen"))?;
    telemetry
        .log_to(access_log)
        .map_err(|error| CommandError::Failed(format!("the access log cannot be opened: {error}")))?;
    if let Some(tls) = &tls {
        tls.keep_current(time)
            .map_err(|error| CommandError::Failed(format!("the certificates cannot be watched: {error}")))?;
        telemetry.metrics.serves(expiries(tls.clone()));
    }
    telemetry.metrics.started(clock_of.now());
    let sites = gateway.sites.iter().map(|site| site.origin.as_str().to_owned()).collect();
    let gateway = Arc::new(gateway);
    let failed = |error: std::io::Error| CommandError::Failed(format!("the workers cannot start: {error}"));
    let running = server::serve(listeners, limits, move |ticker| Worker::new(Arc::clone(&gateway), ticker))
        .map_err(failed)?;
    let admin = for_admin.zip(admin_listen).map(|(listeners, address)| {
        let admin = Admin::new(address, Arc::clone(&telemetry), running.draining());
        server::serve(listeners, limits, move |_| Rc::new(admin.clone()))
    });
    let admin = admin.transpose().map_err(failed)?;
    Ok(Started { running, admin, telemetry, sandbox, uses_sample_app: loaded.uses_sample_app(), sites })
}

fn taken(error: &BindError, key: &str) -> CommandError {
    CommandError::Failed(format!(
        "{error}: {}\n\nStop the program that listens there, or change `{key}` in [server] of the configuration.",
        error.source
    ))
}

/// Until when the certificates hold that are served at the moment of asking.
fn expiries(tls: Tls) -> Certificates {
    Box::new(move || {
        let expiry = |certificate: Arc<Certificate>| Expiry {
            file: certificate.files.certificate.display().to_string(),
            until: certificate.until(),
        };
        tls.certificates().into_iter().map(expiry).collect()
    })
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
    if let Some(admin) = &started.admin {
        tracing::info!(listen = ?admin.addresses(), "the admin address");
    }
    let Some(sandbox) = &started.sandbox else { return };
    eprintln!(
        "
  This is the SANDBOX: {vendors}{app}.

  Open {sites}

  and sign in; the form is filled in already. The sample members:
{people}

  For production edit {config}: give [[provider]] your vendor's credentials and another `environment`, give [[site]]
  your public_url and your app as upstream, and run `member-gateway check`. See docs/configuration.md.
",
        vendors = sandbox.vendors.addresses(),
        people = sandbox.vendors.people(),
        app = if started.uses_sample_app {
            format!(", the app is a sample at {}", sandbox.app.base_url())
        } else {
            String::new()
        },
        sites = started.sites.join(" or "),
        config = config.display(),
    );
}
