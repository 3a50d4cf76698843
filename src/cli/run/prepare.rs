//! Up to the moment at which it serves: the sandbox first where it is used, then the rooms, then the sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::relays::Bound;
use super::{Sandbox, Started};
use crate::admin::Admin;
use crate::cli::CommandError;
use crate::cli::simulations::{self, Simulation};
use crate::config::assemble::{self, Assembled, Loaded, RandomKeys, Surroundings};
use crate::config::diagnostics::Source;
use crate::gateway::site::Site;
use crate::gateway::{Gateway, Worker};
use crate::identity::keys::{Algorithm, SigningKey};
use crate::provider::running::RunningProviders;
use crate::revocation::{Reach, Revocations};
use crate::sandbox::legacy_app::{self, VerificationKey};
use crate::server::peer::TrustedProxies;
use crate::server::tls::{Certificate, Tls};
use crate::server::{self, Address, BindError, Door, Inherited, Limits, Listen, Listeners, Making, Service};
use crate::telemetry::Telemetry;
use crate::telemetry::access_log::Destination;
use crate::telemetry::metrics::{self, Certificates, Expiry, Revoked, TargetState, Targets};
use crate::time::Clock;
use crate::upstream::Upstream;
use crate::upstream::condition::{Condition, Counts};
use crate::upstream::target::Target;

/// A gateway that is ready to serve, but for its sockets.
pub(super) struct Prepared {
    loaded: Loaded,
    surroundings: Surroundings,
    pub(super) assembled: Assembled,
    sandbox: Option<Sandbox>,
}

impl Prepared {
    pub(super) fn new(source: &Source, folder: PathBuf, clock: Clock) -> Result<Self, CommandError> {
        let loaded = assemble::load(source)?;
        let uses_sandbox = loaded.uses_sandbox();
        let failed = |error: io::Error| CommandError::Failed(format!("the sandbox cannot start: {error}"));
        let for_app = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(failed)?;
        let vendors = simulations::Prepared::new(&loaded, Simulation::SetUp).map_err(failed)?;
        let telemetry = Arc::<Telemetry>::default();
        let surroundings = Surroundings {
            folder,
            clock: clock.clone(),
            vendors: vendors.sandboxed().map_err(failed)?,
            app: for_app.local_addr().map_err(failed)?,
            telemetry: Arc::clone(&telemetry),
            random_keys: RandomKeys::default(),
            providers: RunningProviders::counted_by(telemetry),
            revocations: Arc::default(),
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

    /// Sends traces, where the environment wants any.
    pub(super) fn trace(&self) -> Result<(), CommandError> {
        let help = "Mend the variables, or set OTEL_SDK_DISABLED=true.";
        self.surroundings
            .telemetry
            .trace()
            .map_err(|error| CommandError::Failed(format!("{error}\n\n{help}")))
    }

    /// Listens and serves, at the admin address too. What is inherited and not configured stays in `inherited`.
    pub(super) fn serve(self, inherited: &mut Inherited) -> Result<Started, CommandError> {
        let Self { loaded, surroundings, assembled, sandbox } = self;
        let Assembled {
            gateway,
            listen,
            admin_listen,
            access_log,
            handover,
            tls,
            limits,
            revocation,
            providers,
            relays,
            ..
        } = assembled;
        let telemetry = Arc::clone(&surroundings.telemetry);
        let begun = surroundings.revocations.begin(&revocation, &surroundings.clock);
        begun.map_err(|error| no_store(&error))?;
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let listeners = Listeners::bind(&listen, workers, inherited)
            .map_err(|error| taken(&error, "`listen` in [server]"))?;
        let admin = admin_listen.map(|address| admin_listener(address, inherited)).transpose()?;
        let relays = Bound::new(relays, inherited)?;
        if inherited.is_of_systemd()
            && let rest = inherited.rest()
            && !rest.is_empty()
        {
            return Err(CommandError::Failed(format!(
                "systemd hands over {}, which is neither in `listen` nor `admin_listen` in [server], nor the `api_listen` of a provider\n\nMake them and the ListenStream= of the socket unit agree.",
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
        telemetry.metrics.forwards_to(conditions(&gateway));
        telemetry.metrics.heeds(revoked(Arc::clone(&surroundings.revocations)));
        let gateway = Arc::new(gateway);
        let running = server::serve(listeners, &service(&gateway, limits))
            .map_err(|error| CommandError::Failed(format!("the workers cannot start: {error}")))?;
        let admin = admin.map(|(address, listeners)| {
            let (revocations, clock) = (Arc::clone(&surroundings.revocations), surroundings.clock.clone());
            let admin = Admin::new(address, Arc::clone(&telemetry), revocations, clock, running.draining());
            let made = move |_: &Making<'_, Admin>| Rc::new(admin.clone());
            let served = server::serve(listeners, &Service::new(limits, TrustedProxies::default(), made));
            served
                .map_err(|error| CommandError::Failed(format!("the admin address cannot be served: {error}")))
        });
        Ok(Started {
            running,
            admin: admin.transpose()?,
            relays: relays.serve(limits)?,
            telemetry,
            sandbox,
            uses_sample_app: loaded.uses_sample_app(),
            sites: sites(&gateway),
            gateway,
            surroundings,
            providers,
            listen,
            admin_listen,
            handover,
            tls,
        })
    }
}

pub(super) fn service(gateway: &Arc<Gateway>, limits: Limits) -> Service<Worker> {
    let trusted_proxies = gateway.trusted_proxies.clone();
    let gateway = Arc::clone(gateway);
    Service::new(limits, trusted_proxies, move |making: &Making<'_, Worker>| {
        Worker::new(Arc::clone(&gateway), making)
    })
}

pub(super) fn sites(gateway: &Gateway) -> Vec<String> {
    gateway.sites.iter().map(|site| site.origin.as_str().to_owned()).collect()
}

/// Listens where operators ask.
fn admin_listener(
    address: SocketAddr,
    inherited: &mut Inherited,
) -> Result<(SocketAddr, Listeners), CommandError> {
    let listen = [Listen::new(Address::Tcp(address), Door::Plain)];
    let listeners = Listeners::bind(&listen, 1, inherited)
        .map_err(|error| taken(&error, "`admin_listen` in [server]"))?;
    Ok((address, listeners))
}

pub(super) fn log_to(telemetry: &Telemetry, destination: Option<Destination>) -> Result<(), CommandError> {
    telemetry
        .log_to(destination)
        .map_err(|error| CommandError::Failed(format!("the access log cannot be opened: {error}")))
}

pub(super) fn taken(error: &BindError, key: &str) -> CommandError {
    CommandError::Failed(format!(
        "{error}: {}\n\nStop the program that listens there, or change {key} of the configuration.",
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

/// In which condition the targets of all sites are at the moment of asking.
pub(super) fn conditions(gateway: &Gateway) -> Targets {
    let of_site = |site: &Site| (site.origin.as_str().to_owned(), site.upstream.clone());
    let upstreams: Vec<(String, Upstream)> = gateway.sites.iter().map(of_site).collect();
    let of_upstream = |(site, upstream): &(String, Upstream)| {
        let has_checks = upstream.settings().health.is_some();
        let state = |(target, condition): (&Target, &Condition)| {
            let Counts { connects, refusals, repeats } = condition.counts();
            TargetState {
                site: site.clone(),
                target: target.to_string(),
                in_rotation: condition.is_in(),
                healthy: has_checks.then(|| condition.is_healthy()),
                connects,
                refusals,
                repeats,
            }
        };
        upstream.targets().map(state).collect::<Vec<_>>()
    };
    Box::new(move || upstreams.iter().flat_map(of_upstream).collect())
}

fn no_store(error: &io::Error) -> CommandError {
    CommandError::Failed(format!(
        "the file of `store` in [session] cannot be used: {error}\n\nIts folder has to be there, and writable by the user that runs the gateway."
    ))
}

/// What is known of revocations at the moment of asking.
fn revoked(revocations: Arc<Revocations>) -> metrics::Revocations {
    let number = |number: usize| number.try_into().unwrap_or(u64::MAX);
    Box::new(move || Revoked {
        known: revocations.known().map(|(kind, known)| (kind.name(), number(known))).to_vec(),
        store_is_up: revocations.reach() == Reach::There,
        waiting: number(revocations.waiting()),
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
