//! `run`: serve, until a signal says otherwise.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::CommandError;
use super::notify::Notify;
use super::simulations::{self, Simulation, Vendors};
use crate::admin::Admin;
use crate::config::FormatChoice;
use crate::config::assemble::{self, Assembled, Loaded, RandomKeys, Surroundings};
use crate::config::diagnostics::Source;
use crate::gateway::{Gateway, Worker};
use crate::identity::keys::{Algorithm, SigningKey};
use crate::provider::Registered;
use crate::provider::running::RunningProviders;
use crate::sandbox::legacy_app::{self, LegacyApp, VerificationKey};
use crate::server::handover::{self, Office, Predecessor};
use crate::server::peer::TrustedProxies;
use crate::server::tls::{Certificate, Tls};
use crate::server::{
    self, Address, BindError, Door, Inherited, Limits, Listen, Listeners, Making, Running, Service,
};
use crate::telemetry::access_log::Destination;
use crate::telemetry::metrics::{Certificates, Expiry};
use crate::telemetry::{self, EventFormat, Telemetry};
use crate::time::Clock;

/// How long what is under way may take once the gateway is to stop.
const GRACE: Duration = Duration::from_secs(30);
/// How long a gateway that hands over may take to give the admin address up.
const ADMIN_PATIENCE: Duration = Duration::from_secs(3);
/// Between two tries.
const ADMIN_PAUSE: Duration = Duration::from_millis(50);

/// A gateway that is serving.
#[derive(Debug)]
pub struct Started {
    /// The sockets and the workers.
    pub running: Running<Worker>,
    /// The admin address, where there is one.
    pub admin: Option<Running<Admin>>,
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
    limits: Limits,
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
    telemetry::start(event_format(&source));
    let failed = |error: io::Error| CommandError::Failed(format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut signals = Signals::listen(&runtime).map_err(failed)?;
    let notify = Notify::from_environment();

    let prepared = Prepared::new(&source, folder, Clock::System)?;
    let (mut inherited, predecessor) = prepared.inheritance(takeover)?;
    let mut started = prepared.serve(&mut inherited)?;
    if let Some(predecessor) = predecessor {
        match predecessor.relieve(inherited) {
            Ok(()) => {
                tracing::info!("the gateway before has handed over, and ends when it has done its work");
            }
            Err(error) => {
                tracing::error!(%error, "the gateway before does not answer, and may go on to serve beside this one: end it by hand");
            }
        }
    }
    started.open_admin()?;
    greet(&started, config);
    let (office, handed_over) = started.open_office()?;
    notify.ready();

    let end = runtime.block_on(serve_on(&mut started, &mut signals, handed_over, &notify, config));
    notify.stopping();
    let (running, admin, telemetry) = (started.running, started.admin, started.telemetry);
    let drained = runtime.spawn_blocking(move || match end {
        End::Told => {
            tracing::info!("stopping: what is under way may finish");
            office.iter().for_each(handover::Closing::close);
            running.drain(GRACE);
            telemetry.finish();
        }
        End::HandedOver(listeners) => {
            tracing::info!("another process has taken over: what is under way here may finish");
            // The other one waits for its address.
            admin.iter().for_each(Running::stop);
            running.hand_over(listeners, GRACE);
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

/// How events are to be written; as people read them where the configuration cannot be read.
fn event_format(source: &Source) -> EventFormat {
    match assemble::load(source).map(|loaded| loaded.config.log.format) {
        Ok(FormatChoice::Json) => EventFormat::Json,
        Ok(FormatChoice::Text) | Err(_) => EventFormat::Text,
    }
}

/// Hears of the listeners whose sockets another process has taken.
type HandedOver = oneshot::Receiver<Arc<[usize]>>;

/// Why the gateway ends.
enum End {
    /// By a signal.
    Told,
    /// Another process serves, from the sockets of these listeners.
    HandedOver(Arc<[usize]>),
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
            listeners = &mut handed_over, if can_be_taken_over => match listeners {
                Ok(listeners) => return End::HandedOver(listeners),
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

/// Starts to serve: the sandbox first where it is used, then the rooms, then the sockets.
///
/// # Errors
/// Where the configuration is not as it should be, or an address is taken.
pub fn start(source: &Source, folder: PathBuf, clock: Clock) -> Result<Started, CommandError> {
    let mut started = Prepared::new(source, folder, clock)?.serve(&mut Inherited::default())?;
    started.open_admin()?;
    Ok(started)
}

/// A gateway that is ready to serve, but for its sockets.
struct Prepared {
    loaded: Loaded,
    surroundings: Surroundings,
    assembled: Assembled,
    sandbox: Option<Sandbox>,
}

impl Prepared {
    fn new(source: &Source, folder: PathBuf, clock: Clock) -> Result<Self, CommandError> {
        let loaded = assemble::load(source)?;
        let uses_sandbox = loaded.uses_sandbox();
        let failed = |error: io::Error| CommandError::Failed(format!("the sandbox cannot start: {error}"));
        let for_app = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(failed)?;
        let vendors = simulations::Prepared::new(&loaded, Simulation::SetUp).map_err(failed)?;
        let surroundings = Surroundings {
            folder,
            clock: clock.clone(),
            vendors: vendors.sandboxed().map_err(failed)?,
            app: for_app.local_addr().map_err(failed)?,
            telemetry: Arc::default(),
            random_keys: RandomKeys::default(),
            providers: RunningProviders::default(),
        };
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
        Ok(Self { loaded, surroundings, assembled, sandbox })
    }

    /// The listening sockets that are there already: those of a gateway that hands over, or of systemd.
    fn inheritance(&self, takeover: bool) -> Result<(Inherited, Option<Predecessor>), CommandError> {
        if takeover {
            let Some(path) = &self.assembled.handover else {
                return Err(CommandError::Usage(
                    "there is no `handover` in [server]\n\nWith handover = \"unix:/run/member-gateway/handover\" the next process can take over from this one."
                        .to_owned(),
                ));
            };
            let found = Predecessor::find(path).map_err(|error| {
                CommandError::Failed(format!(
                    "nothing can be taken over at unix:{}: {error}\n\nThe gateway there serves on. Is it run by the same user, and of this version?",
                    path.display()
                ))
            })?;
            if let Some((predecessor, inherited)) = found {
                return Ok((inherited, Some(predecessor)));
            }
            tracing::info!("there is no gateway to take over from: this one begins by itself");
        }
        let inherited = Inherited::from_systemd().map_err(|error| {
            CommandError::Failed(format!("{error}\n\nIts socket unit needs ListenStream= for each address."))
        })?;
        Ok((inherited, None))
    }

    /// Listens and serves. What is inherited and not configured stays in `inherited`.
    fn serve(self, inherited: &mut Inherited) -> Result<Started, CommandError> {
        let Self { loaded, surroundings, assembled, sandbox } = self;
        let Assembled { gateway, listen, admin_listen, access_log, handover, tls, limits, providers, .. } =
            assembled;
        let telemetry = Arc::clone(&surroundings.telemetry);
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let listeners =
            Listeners::bind(&listen, workers, inherited).map_err(|error| taken(&error, "listen"))?;
        if inherited.is_of_systemd()
            && let rest = inherited.rest()
            && !rest.is_empty()
        {
            return Err(CommandError::Failed(format!(
                "systemd hands over {}, which is no address of `listen` in [server]\n\nMake `listen` and the ListenStream= of the socket unit agree.",
                rest.join(", ")
            )));
        }
        log_to(&telemetry, access_log)?;
        if let Some(tls) = &tls {
            telemetry.metrics.serves(expiries(tls.clone()));
            tls.keep_current(surroundings.clock.clone()).map_err(|error| {
                CommandError::Failed(format!("the certificates cannot be watched: {error}"))
            })?;
        }
        telemetry.metrics.started(surroundings.clock.now());
        let gateway = Arc::new(gateway);
        let running = server::serve(listeners, &service(&gateway, limits))
            .map_err(|error| CommandError::Failed(format!("the workers cannot start: {error}")))?;
        Ok(Started {
            running,
            admin: None,
            telemetry,
            sandbox,
            uses_sample_app: loaded.uses_sample_app(),
            sites: sites(&gateway),
            gateway,
            surroundings,
            providers,
            listen,
            admin_listen,
            limits,
            handover,
            tls,
        })
    }
}

fn service(gateway: &Arc<Gateway>, limits: Limits) -> Service<Worker> {
    let trusted_proxies = gateway.trusted_proxies.clone();
    let gateway = Arc::clone(gateway);
    Service::new(limits, trusted_proxies, move |making: &Making<'_, Worker>| {
        Worker::new(Arc::clone(&gateway), making)
    })
}

fn sites(gateway: &Gateway) -> Vec<String> {
    gateway.sites.iter().map(|site| site.origin.as_str().to_owned()).collect()
}

impl Started {
    /// Serves what a new configuration says, from the next request on. Those under way keep what they have, and so do
    /// listeners.
    ///
    /// # Errors
    /// Where it is not as it should be. Nothing is changed then.
    pub fn reload(&mut self, source: &Source) -> Result<(), CommandError> {
        let loaded = assemble::load(source)?;
        let runs = |sandbox: &Sandbox| simulations::all_run(&loaded, &sandbox.vendors);
        if loaded.uses_sandbox() && !self.sandbox.as_ref().is_some_and(runs) {
            return Err(CommandError::Failed(
                "the sandbox of this configuration does not run: it starts with the gateway only\n\nRestart the gateway."
                    .to_owned(),
            ));
        }
        let assembled = loaded.assemble(&self.surroundings)?;
        for warning in &assembled.warnings {
            tracing::warn!("{warning}");
        }
        let Assembled {
            mut gateway, listen, admin_listen, access_log, handover, tls, limits, providers, ..
        } = assembled;
        log_to(&self.telemetry, access_log)?;
        let is_same = listen.len() == self.listen.len()
            && listen.iter().zip(&self.listen).all(|(new, old)| new.is_like(old));
        if !is_same {
            tracing::warn!(
                "`listen` differs, and stays as it was: restart, or take over with run --takeover"
            );
        }
        if admin_listen != self.admin_listen {
            tracing::warn!(
                "`admin_listen` differs, and stays as it was: restart, or take over with run --takeover"
            );
        }
        if handover != self.handover {
            tracing::warn!("`handover` differs, and stays as it was: restart");
        }
        if let (Some(serving), Some(new)) = (&self.tls, &tls) {
            serving.take_certificates_of(new);
        }
        for Registered { name, provider, .. } in &providers {
            let mut running = self.providers.iter().filter(|running| running.name == *name);
            if running.any(|running| !Arc::ptr_eq(&running.provider, provider)) {
                tracing::info!(provider = %name, "the provider has changed: its tokens and connections begin anew");
            }
        }
        self.providers = providers;
        gateway.follow(&self.gateway);
        self.gateway = Arc::new(gateway);
        self.running.exchange(service(&self.gateway, limits));
        self.sites = sites(&self.gateway);
        Ok(())
    }

    /// Opens the admin address, where there is to be one. A gateway that hands over gives it up at about this time.
    fn open_admin(&mut self) -> Result<(), CommandError> {
        let Some(address) = self.admin_listen else { return Ok(()) };
        let listen = [Listen::new(Address::Tcp(address), Door::Plain)];
        let begun = Instant::now();
        let listeners = loop {
            match Listeners::bind(&listen, 1, &mut Inherited::default()) {
                Err(error)
                    if error.source.kind() == io::ErrorKind::AddrInUse
                        && begun.elapsed() < ADMIN_PATIENCE =>
                {
                    std::thread::sleep(ADMIN_PAUSE);
                }
                bound => break bound.map_err(|error| taken(&error, "admin_listen"))?,
            }
        };
        let admin = Admin::new(address, Arc::clone(&self.telemetry), self.running.draining());
        let service = Service::new(self.limits, TrustedProxies::default(), move |_: &Making<'_, Admin>| {
            Rc::new(admin.clone())
        });
        let running = server::serve(listeners, &service)
            .map_err(|error| CommandError::Failed(format!("the admin address cannot be served: {error}")))?;
        self.admin = Some(running);
        Ok(())
    }

    /// Opens the place at which the next process asks for the sockets, where there is to be one. The other end hears when
    /// one has taken over.
    fn open_office(&self) -> Result<(Option<handover::Closing>, HandedOver), CommandError> {
        let (tell, told) = oneshot::channel();
        let Some(path) = &self.handover else { return Ok((None, told)) };
        let office = Office::open(path).and_then(|office| {
            office.wait(self.running.offered(), move |listeners| {
                // Where nobody listens the process ends already.
                let _ = tell.send(listeners);
            })
        });
        let office = office.map_err(|error| {
            CommandError::Failed(format!(
                "the hand-over cannot be prepared at unix:{}: {error}\n\nThe folder has to be there and writable; of a gateway that runs there, `run --takeover` takes over.",
                path.display()
            ))
        })?;
        Ok((Some(office), told))
    }
}

fn log_to(telemetry: &Telemetry, destination: Option<Destination>) -> Result<(), CommandError> {
    telemetry
        .log_to(destination)
        .map_err(|error| CommandError::Failed(format!("the access log cannot be opened: {error}")))
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
