//! `run`: serve, until a signal says otherwise.

mod prepare;
mod relays;
mod reload;
mod takeover;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::prepare::Prepared;
pub use self::relays::Relays;
use self::takeover::{Handed, HandedOver};
use super::CommandError;
use super::notify::Notify;
use super::simulations::Vendors;
use crate::admin::Admin;
use crate::config::FormatChoice;
use crate::config::assemble::{self, Surroundings};
use crate::config::diagnostics::Source;
use crate::gateway::{Gateway, Worker};
use crate::provider::Registered;
use crate::sandbox::legacy_app::LegacyApp;
use crate::server::tls::Tls;
use crate::server::{Inherited, Listen, Running, handover};
use crate::telemetry::{self, EventFormat, Events, Telemetry};
use crate::time::Clock;

/// How long what is under way may take once the gateway is to stop.
const GRACE: Duration = Duration::from_secs(30);

/// A gateway that is serving.
#[derive(Debug)]
pub struct Started {
    /// The sockets and the workers.
    pub running: Running<Worker>,
    /// The admin address, where there is one.
    pub admin: Option<Running<Admin>>,
    /// Where apps ask a vendor's API.
    pub relays: Relays,
    /// What the process tells of itself.
    pub telemetry: Arc<Telemetry>,
    /// The built-in sandbox, where the configuration uses it.
    pub sandbox: Option<Sandbox>,
    /// Whether a site has the sample app of the sandbox for an upstream.
    pub uses_sample_app: bool,
    /// The public addresses of the sites.
    pub sites: Vec<String>,
    gateway: Arc<Gateway>,
    surroundings: Surroundings,
    providers: Vec<Registered>,
    listen: Vec<Listen>,
    admin_listen: Option<SocketAddr>,
    handover: Option<PathBuf>,
    tls: Option<Tls>,
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

/// Serves what the configuration says until SIGTERM or SIGINT, or until another process takes over.
///
/// # Errors
/// Where the configuration is not as it should be, or an address is taken.
pub fn command(config: &Path, takeover: bool) -> Result<(), CommandError> {
    let (source, folder) = super::source(config)?;
    let events = telemetry::start(event_format(&source));
    let failed = |error: io::Error| CommandError::Failed(format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut signals = Signals::listen(&runtime).map_err(failed)?;
    let notify = Notify::from_environment();

    let prepared = Prepared::new(&source, folder, Clock::System)?;
    prepared.trace()?;
    let (mut inherited, predecessor) = prepared.inheritance(takeover)?;
    let mut started = prepared.serve(&mut inherited)?;
    // To read them takes longer than all that was done so far, and the workers answer meanwhile.
    super::trusts_somebody()?;
    if let Some(predecessor) = predecessor {
        takeover::relieve(predecessor, inherited);
    }
    greet(&started, config, &events);
    let (office, handed_over) = started.open_office()?;
    notify.ready();

    let end = runtime.block_on(serve_on(&mut started, &mut signals, handed_over, &notify, config));
    notify.stopping();
    let (running, admin, relays) = (started.running, started.admin, started.relays);
    let telemetry = started.telemetry;
    let drained = runtime.spawn_blocking(move || match end {
        End::Told => {
            tracing::info!("stopping: what is under way may finish");
            office.iter().for_each(handover::Closing::close);
            let begun = Instant::now();
            running.drain(GRACE);
            relays.drain(begun, GRACE);
            telemetry.finish();
        }
        End::HandedOver(Handed { successor, listeners }) => {
            tracing::info!("another process has taken over: what is under way here may finish");
            let mut listeners = listeners.into_iter();
            let for_members = listeners.next().unwrap_or_default();
            if let Some(admin) = &admin {
                admin.stop_beside_another(listeners.next().unwrap_or_default());
            }
            std::thread::scope(|scope| {
                scope.spawn(|| relays.hand_over(listeners, GRACE));
                running.hand_over(for_members, GRACE, || successor.may_go_on());
            });
            telemetry.finish();
        }
    });
    runtime.block_on(async {
        tokio::select! {
            drained = drained => if let Err(error) = drained {
                tracing::error!(%error, "stopping has panicked");
            },
            () = signals.stop() => tracing::warn!("told once more: what is under way is cut off"),
        }
    });
    runtime.shutdown_background();
    Ok(())
}

/// Starts to serve, without any sockets that were there before.
///
/// # Errors
/// Where the configuration is not as it should be, or an address is taken.
pub fn start(source: &Source, folder: PathBuf, clock: Clock) -> Result<Started, CommandError> {
    Prepared::new(source, folder, clock)?.serve(&mut Inherited::default())
}

/// How events are to be written; as people read them where the configuration cannot be read.
fn event_format(source: &Source) -> EventFormat {
    match assemble::load(source).map(|loaded| loaded.config.log.format) {
        Ok(FormatChoice::Json) => EventFormat::Json,
        Ok(FormatChoice::Text) | Err(_) => EventFormat::Text,
    }
}

/// Why the gateway ends.
enum End {
    /// By a signal.
    Told,
    /// Another process serves.
    HandedOver(Handed),
}

/// Reloads whenever it is told to, until it is to end.
async fn serve_on(
    started: &mut Started,
    signals: &mut Signals,
    handed_over: HandedOver,
    notify: &Notify,
    config: &Path,
) -> End {
    let mut handed_over = std::pin::pin!(handed_over);
    let mut can_be_taken_over = true;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return End::Told,
            _ = signals.interrupt.recv() => return End::Told,
            handed = &mut handed_over, if can_be_taken_over => match handed {
                Ok(handed) => return End::HandedOver(handed),
                Err(_) => can_be_taken_over = false,
            },
            _ = signals.hangup.recv() => {
                notify.reloading();
                started.telemetry.reopen();
                let reloaded = super::source(config).and_then(|(source, _)| started.reload(&source));
                started.telemetry.metrics.reloaded(reloaded.is_ok(), started.surroundings.clock.now());
                match reloaded {
                    Ok(()) => tracing::info!(sites = started.sites.join(", "), "the configuration was read again"),
                    Err(error) => tracing::error!("the configuration is not taken, and the one before stays:\n{error}"),
                }
                notify.ready();
            }
        }
    }
}

/// What an operator tells the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen(runtime: &Runtime) -> io::Result<Self> {
        let _context = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until it is to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Says on standard error what can be done now.
fn greet(started: &Started, config: &Path, events: &Events) {
    let mut bound = started.running.addresses().iter();
    let addresses: Vec<String> = started
        .listen
        .iter()
        .map(|listen| match listen.address.tcp() {
            Some(_) => bound.next().map(ToString::to_string).unwrap_or_default(),
            None => listen.address.to_string(),
        })
        .collect();
    tracing::info!(listen = addresses.join(", "), sites = started.sites.join(", "), "serving");
    if let Some(admin) = &started.admin {
        tracing::info!(listen = ?admin.addresses(), "the admin address");
    }
    for listen in started.relays.addresses() {
        tracing::info!(%listen, "the vendor's API for apps");
    }
    let Some(sandbox) = &started.sandbox else { return };
    events.say(&format!(
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
    ));
}
