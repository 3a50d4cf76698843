//! What was written → the rooms themselves, or every mistake at once.
//!
//! Each table becomes the type of the room it configures. A mistake is noted where it stands and the rest is read on, so
//! that an operator sees all of them together; what is returned in place of a mistaken value is never served.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::diagnostics::{Problem, Problems, Source};
pub use super::mistakes::Kept;
use super::mistakes::Mistakes;
use super::provider::{self, Providers, Sandboxed};
use super::pruning::{self, Pruned};
use super::relay::{self, Neighbours, Relayed};
use super::session::{self, Ring};
use super::structure::{self, Document, Outline, Path};
use super::{Config, ForwardedChoice, ProviderTable, SiteTable, UpstreamChoice};
use super::{bridge, log, pages, rules, server, signature, site, tls, upstream};
use crate::gateway::Gateway;
use crate::gateway::site::Site;
use crate::gateway::starts::Starts;
use crate::gateway::via::Pseudonym;
use crate::identity::Identity;
use crate::identity::jwt::Jwt;
use crate::login::Login;
use crate::member::ProviderName;
use crate::provider::Registered;
use crate::provider::daxko::Daxko;
use crate::provider::running::RunningProviders;
use crate::random;
use crate::revocation::{self, Revocations};
use crate::route::{Origin, Scheme, Sites};
use crate::secret::Secret;
use crate::server::tls::Tls;
use crate::server::{Limits, Listen};
use crate::session::cookie::Cookies;
use crate::session::seal::Purpose;
use crate::telemetry::Telemetry;
use crate::telemetry::access_log::Destination;
use crate::time::Clock;
use crate::upstream::fields::ForwardedStyle;

/// A configuration file that is well formed, with the places of everything in it.
#[derive(Clone)]
pub struct Loaded {
    /// What is written.
    pub config: Config,
    document: Document,
    /// What is wrong with the lines that are left out of all this.
    misshapen: Option<Problems>,
    /// Which lines these are.
    lost: Vec<Path>,
}

/// What a configuration needs to know beyond the file.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where relative paths start: the folder of the file.
    pub folder: PathBuf,
    /// Where the time comes from.
    pub clock: Clock,
    /// The built-in simulations of the vendors.
    pub vendors: Sandboxed,
    /// The built-in sample app.
    pub app: SocketAddr,
    /// What the process tells of itself.
    pub telemetry: Arc<Telemetry>,
    /// Stand-ins for keys that are not configured.
    pub random_keys: RandomKeys,
    /// The providers that are there already.
    pub providers: RunningProviders,
    /// The sessions that have been ended.
    pub revocations: Arc<Revocations>,
}

/// Random keys in the place of those that are not configured, each made when it is first asked for. Clones have the same
/// keys, so that nobody is signed out when a configuration is read again.
#[derive(Clone, Debug, Default)]
pub struct RandomKeys(Arc<Mutex<HashMap<String, Secret>>>);

impl RandomKeys {
    /// The key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Secret {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.entry(name.to_owned()).or_insert_with(|| Secret::new(random::bytes::<32>())).clone()
    }
}

/// All that is needed to serve.
#[derive(Debug)]
pub struct Assembled {
    /// The hall, with all its rooms.
    pub gateway: Gateway,
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Where operators ask, if anywhere.
    pub admin_listen: Option<SocketAddr>,
    /// Where the access log goes, if there is one.
    pub access_log: Option<Destination>,
    /// What listeners with TLS share.
    pub tls: Option<Tls>,
    /// Where the next process asks for the listening sockets.
    pub handover: Option<PathBuf>,
    /// What clients may take.
    pub limits: Limits,
    /// How is kept which sessions have been ended.
    pub revocation: revocation::Settings,
    /// All providers, in the order of the config, used by a site or not.
    pub providers: Vec<Registered>,
    /// Those of Daxko once more: there are commands for its API alone.
    pub daxkos: Vec<(ProviderName, Arc<Daxko>)>,
    /// Their APIs for apps, and where they are served.
    pub relays: Vec<Relayed>,
    /// What an operator should know although it is no mistake.
    pub warnings: Vec<String>,
    /// What follows from the configuration without being written there.
    pub notes: Vec<String>,
    /// The keys with which each site signs, for those who verify; in the order of the sites.
    pub signing_keys: Vec<SiteKeys>,
    /// Where secrets are kept.
    pub kept: Vec<Kept>,
}

/// The signing keys of one site.
#[derive(Clone, Debug)]
pub struct SiteKeys {
    /// In the order of the config; the first one signs.
    pub keys: Vec<signature::KeyMaterial>,
    /// Made at the start, for want of others: no other process has them.
    pub are_random: bool,
}

/// Reads a configuration file. Where lines of it are no part of any configuration, the rest is read on, so that
/// [`Loaded::assemble`] can report all mistakes together.
///
/// # Errors
/// [`Problems`] lists what is wrong with the shape of the file, where nothing can be read past that.
pub fn load(source: &Source) -> Result<Loaded, Problems> {
    static OUTLINE: LazyLock<Outline> = LazyLock::new(|| Outline::new(super::json_schema()));
    match structure::check(source, &OUTLINE) {
        Ok(document) => match toml::from_str(&source.text) {
            Ok(config) => Ok(Loaded { config, document, misshapen: None, lost: Vec::new() }),
            // Whatever the schema lets pass and serde does not; the message may quote the file, so it is not shown.
            Err(error) => {
                let span = error.span().unwrap_or_default();
                Err(document.problems(vec![Problem::new(span, "this value is not understood")]))
            }
        },
        Err(problems) => {
            let rest = pruning::without(&source.text, problems.as_slice());
            let read_on = rest.and_then(|Pruned { text, lost }| {
                let rest = Source::new(source.name.as_str(), text);
                let document = structure::check(&rest, &OUTLINE).ok()?;
                Some((toml::from_str(&rest.text).ok()?, document, lost))
            });
            match read_on {
                Some((config, document, lost)) => {
                    Ok(Loaded { config, document, misshapen: Some(problems), lost })
                }
                None => Err(problems),
            }
        }
    }
}

impl Loaded {
    /// Whether anything of the built-in sandbox is used.
    #[must_use]
    pub fn uses_sandbox(&self) -> bool {
        self.config.provider.iter().any(provider::is_sandbox) || self.uses_sample_app()
    }

    /// The names of the providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.config.provider.iter().map(provider::name)
    }

    /// Whether a provider is simulated.
    #[must_use]
    pub fn simulates(&self, provider: &ProviderName) -> bool {
        let is_it = |table: &&ProviderTable| provider::name(table) == provider.as_str();
        self.config.provider.iter().find(is_it).is_some_and(provider::is_sandbox)
    }

    /// Whether one of these providers is simulated.
    #[must_use]
    pub fn simulates_any(&self, is_meant: impl Fn(&ProviderTable) -> bool) -> bool {
        self.config.provider.iter().any(|table| is_meant(table) && provider::is_sandbox(table))
    }

    /// The redirect URIs of all sites through these providers.
    #[must_use]
    pub fn redirect_uris(&self, is_meant: impl Fn(&ProviderTable) -> bool) -> Vec<String> {
        let mut uris = Vec::new();
        for site in &self.config.site {
            let Ok(origin) = Origin::parse(&site.public_url) else { continue };
            let meant = self.config.provider.iter().filter(|table| is_meant(table)).map(provider::name);
            let named = meant.filter(|name| site.providers.iter().any(|used| used == name));
            uris.extend(named.map(|name| format!("{}/_gateway/callback/{name}", origin.as_str())));
        }
        uris
    }

    /// Whether a site has the sample app for an upstream.
    #[must_use]
    pub fn uses_sample_app(&self) -> bool {
        let is_sample = |site: &SiteTable| match &site.upstream {
            UpstreamChoice::One(name) => name == "sandbox",
            UpstreamChoice::Several(names) => names.iter().any(|name| name == "sandbox"),
        };
        self.config.site.iter().any(is_sample)
    }

    /// Builds the rooms.
    ///
    /// # Errors
    /// [`Problems`] lists every mistake.
    pub fn assemble(&self, surroundings: &Surroundings) -> Result<Assembled, Problems> {
        let mut mistakes = Mistakes::new(&self.document, &surroundings.folder, &self.lost);
        let assembled = assemble(&self.config, surroundings, &mut mistakes);
        let found = mistakes.into_problems();
        if let Some(misshapen) = &self.misshapen {
            return Err(misshapen.clone().with(found));
        }
        match assembled {
            Some(assembled) if found.is_empty() => Ok(assembled),
            Some(_) | None => Err(self.document.problems(found)),
        }
    }
}

fn assemble(config: &Config, surroundings: &Surroundings, mistakes: &mut Mistakes<'_>) -> Option<Assembled> {
    let tls = tls::tls(config, mistakes);
    let hsts = tls::hsts(config, mistakes);
    let listen = server::listen(config, tls.as_ref(), mistakes);
    let handover = server::handover(config, &listen, mistakes);
    let limits = server::limits(config, mistakes);
    let head_limits = server::head_limits(config, mistakes);
    let starts = Arc::new(Starts::new(config.server.limits.login_starts.unwrap_or(300)));
    let trusted_proxies = server::trusted_proxies(config, mistakes);
    let origins = origins(config, mistakes);
    let on_loopback = origins.iter().flatten().all(Origin::is_loopback);
    let mut warnings = Vec::new();
    server::warn(config, &mut warnings);
    let admin_listen = log::admin(config, &listen, &mut warnings, mistakes);
    let access_log = log::access(config, mistakes);

    let policy = session::policy(&config.session, mistakes);
    let random_keys = &surroundings.random_keys;
    let ring = session::key_ring(&config.session, random_keys, on_loopback, &mut warnings, mistakes);
    let store = session::store(&config.session, ring.as_ref(), &mut warnings, mistakes);
    let names = signature::field_names(&config.identity, mistakes);
    let jwt_field = signature::jwt_field(&config.identity, names.as_ref(), mistakes);
    let signature = &config.identity.signature;
    let shared =
        signature::keys(signature, &at(["identity", "signature"]), random_keys, on_loopback, mistakes);
    let all_have_their_own = config.site.iter().all(|site| site.signature.is_some());
    if let (Some(keys), Some(_), false) = (&shared, &jwt_field, all_have_their_own) {
        signature::check_jwt_key(keys, &at(["identity", "signature", "keys"]), mistakes);
    }
    if shared.as_ref().is_some_and(|keys| keys.are_random) {
        warnings.push(
            "no identity.signature.keys: identity fields are signed with a random key that changes at every start"
                .to_owned(),
        );
    }
    let Providers { registered: providers, daxkos, mut relays } =
        provider::assemble(config, surroundings, on_loopback, mistakes);
    let neighbours = Neighbours { listen: &listen, admin: admin_listen };
    neighbours.settle(&mut relays, tls.as_ref(), &mut warnings, mistakes);

    let logos = pages::provider_logos(config, mistakes);
    let mut sites = Vec::new();
    let mut signing_keys = Vec::new();
    for (index, table) in config.site.iter().enumerate() {
        let path = at(["site"]).index(index);
        let own = table
            .signature
            .as_ref()
            .map(|own| signature::keys(own, &path.key("signature"), random_keys, on_loopback, mistakes));
        if let (Some(Some(keys)), Some(_)) = (&own, &jwt_field) {
            signature::check_jwt_key(keys, &path.key("signature").key("keys"), mistakes);
        }
        let keys = own.unwrap_or_else(|| shared.clone());
        let upstream =
            upstream::upstream(table, &path, origins[index].as_ref(), surroundings, on_loopback, mistakes);
        if let Some(upstream) = &upstream {
            upstream::warn(table, upstream, &listen, &mut warnings);
            log::keep_apart(admin_listen, upstream, &path, mistakes);
            relay::keep_apart(&relays, upstream, &path, mistakes);
        }
        let bridge = table.bridge.as_ref().map(|bridge| {
            let names = names.iter().flatten().map(|(_, name)| name).chain(&jwt_field);
            bridge::bridge(bridge, &path.key("bridge"), &names.cloned().collect::<Vec<_>>(), mistakes)
        });
        if let (Some(bridge), Some(upstream)) = (&bridge, &upstream) {
            bridge::warn(&table.public_url, bridge, upstream, &mut warnings);
        }
        let rules = rules::rules(table, &path, config, mistakes);
        rules::warn(table, &rules, &mut warnings);
        let remedies = rules::remedies(table, &path, mistakes);
        let host = origins[index].as_ref().map_or("site", Origin::authority);
        let pages = pages::pages(table, &path, host, &logos, mistakes);
        let site_providers = site::providers(table, &path, &providers, config, mistakes);
        let (Some(origin), Some(ring), Some(keys), Some(upstream), Some(names)) =
            (origins[index].clone(), ring.as_ref().map(|ring| &ring.keys), keys, upstream, &names)
        else {
            continue;
        };
        let Some(signing) = keys.signing_keys() else { continue };
        let strip = signature::strip(&config.identity, mistakes);
        let mut identity = Identity::new(names.clone(), &strip, signing, keys.ttl);
        if let Some(field) = &jwt_field {
            identity = identity.with_jwt(Jwt::new(field.clone(), origin.as_str()));
        }
        if let Some(bridge) = bridge {
            identity = identity.with_bridge(bridge);
        }
        let secure = origin.scheme() == Scheme::Https;
        sites.push(Site {
            pages,
            rules,
            remedies,
            cookies: Cookies::new(ring, origin.as_str(), secure, policy),
            login: Login::new(ring, origin.clone(), site_providers),
            starts: Arc::clone(&starts),
            failures: ring.bind(Purpose::Failure, origin.as_str()),
            preserve: site::preserve(table, &path, ring.bind(Purpose::Form, origin.as_str()), mistakes),
            identity: Arc::new(identity),
            upstream,
            telemetry: Arc::clone(&surroundings.telemetry),
            revocations: Arc::clone(&surroundings.revocations),
            origin,
        });
        signing_keys.push(SiteKeys { keys: keys.material, are_random: keys.are_random });
    }
    if config.site.is_empty() {
        mistakes.note(&at(["site"]), "there is no site", "at least one [[site]]");
    }
    let origins: Vec<Origin> = origins.into_iter().flatten().collect();
    if let Some(tls) = &tls {
        tls::warn(tls, &listen, &origins, surroundings.clock.now(), &mut warnings);
    }
    let ring = ring.filter(|_| sites.len() == config.site.len());
    ring.map(|Ring { keys, member_hash, .. }| Assembled {
        gateway: Gateway {
            authorities: Sites::new(origins),
            sites,
            trusted_proxies,
            forwarded: match config.server.forwarded {
                ForwardedChoice::X => ForwardedStyle::X,
                ForwardedChoice::Rfc7239 => ForwardedStyle::Rfc7239,
                ForwardedChoice::Both => ForwardedStyle::Both,
                ForwardedChoice::None => ForwardedStyle::Neither,
            },
            head_limits,
            hsts,
            clock: surroundings.clock.clone(),
            pseudonym: Pseudonym::default(),
            telemetry: Arc::clone(&surroundings.telemetry),
            revocations: Arc::clone(&surroundings.revocations),
            tracing: log::tracing(config),
            member_hash,
        },
        listen,
        admin_listen,
        access_log,
        handover,
        tls,
        limits,
        revocation: revocation::Settings {
            store,
            outage: session::outage(&config.session),
            seal: keys.bind(Purpose::Revocation, ""),
            max_age: policy.max_age,
        },
        providers: providers.into_iter().flatten().collect(),
        daxkos,
        relays: relays.into_iter().map(|(_, relayed)| relayed).collect(),
        warnings,
        notes: provider::notes(config),
        signing_keys,
        kept: mistakes.take_kept(),
    })
}

pub(super) fn at<const N: usize>(keys: [&str; N]) -> Path {
    Path::from(keys)
}

/// The public address of each site; nothing in the place of one that is wrong.
fn origins(config: &Config, mistakes: &mut Mistakes<'_>) -> Vec<Option<Origin>> {
    let mut known = HashSet::new();
    let mut origins = Vec::new();
    for (index, site) in config.site.iter().enumerate() {
        let path = at(["site"]).index(index).key("public_url");
        let origin = match Origin::parse(&site.public_url) {
            Ok(origin) if origin.scheme() == Scheme::Http && !origin.is_loopback() => {
                mistakes.note_with_help(
                    &path,
                    "a public site needs https",
                    "https://, or a loopback host such as localhost",
                    "where TLS ends in front of the gateway, it is still https that members see",
                );
                None
            }
            Ok(origin) if !known.insert(origin.authority().to_owned()) => {
                mistakes.note(&path, "two sites have this host", "each host once");
                None
            }
            Ok(origin) => Some(origin),
            Err(error) => {
                let message = format!("this address {error}");
                mistakes.note(&path, message, "scheme, host and port: \"https://members.example.org\"");
                None
            }
        };
        origins.push(origin);
    }
    origins
}
