//! `[[provider]]`: what the operator knows about a vendor, checked and turned into that vendor's settings.
//!
//! What all vendors have in common is here; each vendor's own keys are read in the file of its name.

pub(super) mod daxko;
pub(super) mod identity_source;
pub(super) mod xoxoday;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use url::Url;

use super::assemble::{Surroundings, at};
use super::mistakes::Mistakes;
use super::relay::Relayed;
use super::secret::SecretText;
use super::structure::Path;
use super::{Config, EncodingChoice, ProviderTable};
use crate::member::ProviderName;
use crate::provider::daxko::Daxko;
use crate::provider::restraint::Restraint;
use crate::provider::token_endpoint::Encoding;
use crate::provider::{Provider, Registered};
use crate::route::is_loopback_host;
use crate::secret::Secret;

/// The built-in simulations of the vendors.
#[derive(Clone, Debug)]
pub struct Sandboxed {
    /// Daxko.
    pub daxko: SandboxedDaxko,
    /// Xoxoday.
    pub xoxoday: SandboxedXoxoday,
}

/// The built-in simulation of Daxko, and the credentials it takes.
#[derive(Clone, Debug)]
pub struct SandboxedDaxko {
    /// Where it is.
    pub base_url: Url,
    /// A client that is granted to the username.
    pub client: u64,
    /// Its API username.
    pub client_id: String,
    /// Its API password.
    pub client_secret: Secret,
    /// Its refresh token.
    pub refresh_token: Secret,
}

/// The built-in simulation of Xoxoday, and the credentials it takes.
#[derive(Clone, Debug)]
pub struct SandboxedXoxoday {
    /// Base of its OAuth addresses.
    pub oauth_url: Url,
    /// A client that is registered there.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// What `[[provider]]` is asked, whichever vendor it is of.
trait Vendor {
    /// What all of them have.
    fn common(&self) -> Common<'_>;

    /// What follows from the table without being written there.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The vendor itself.
    fn provider(
        &self,
        path: &Path,
        config: &Config,
        surroundings: &Surroundings,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Built>;
}

/// What the tables of all vendors have in common.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    /// The name of the provider.
    pub(super) name: &'a str,
    /// What members read.
    pub(super) title: Option<&'a str>,
    /// What they see.
    pub(super) logo: Option<&'a str>,
    /// Whether it is simulated.
    pub(super) is_sandbox: bool,
    /// How many sign-ins it is asked about at a time.
    pub(super) calls: Option<u16>,
    /// The environments beyond the sandbox, for whoever has to choose another one.
    pub(super) environments: &'static str,
}

/// A vendor that is ready.
struct Built {
    registered: Registered,
    /// The same once more, where it is Daxko: there are commands for its API alone.
    daxko: Option<Arc<Daxko>>,
    /// Its API for apps, where it is served.
    relay: Option<Relayed>,
}

impl From<Registered> for Built {
    fn from(registered: Registered) -> Self {
        Self { registered, daxko: None, relay: None }
    }
}

impl ProviderTable {
    fn vendor(&self) -> &dyn Vendor {
        match self {
            Self::Daxko(table) => table,
            Self::Xoxoday(table) => table,
        }
    }

    /// What all vendors' tables have.
    pub(super) fn common(&self) -> Common<'_> {
        self.vendor().common()
    }
}

/// The name of a provider.
pub(super) fn name(table: &ProviderTable) -> &str {
    table.common().name
}

/// Whether a provider is simulated.
pub(super) fn is_sandbox(table: &ProviderTable) -> bool {
    table.common().is_sandbox
}

/// What an operator should know about the providers although it is no mistake.
pub(super) fn notes(config: &Config) -> Vec<String> {
    let is_unused = |table: &&ProviderTable| {
        !config.site.iter().any(|site| site.providers.iter().any(|it| it == name(table)))
    };
    let unused = config.provider.iter().filter(is_unused);
    let unused = unused.map(|table| format!("provider \"{}\": no site names it in `providers`", name(table)));
    config.provider.iter().flat_map(|table| table.vendor().notes()).chain(unused).collect()
}

/// All providers that could be built.
#[derive(Default)]
pub(super) struct Providers {
    /// In the order of the config; nothing in the place of one that is wrong.
    pub(super) registered: Vec<Option<Registered>>,
    /// Those of Daxko once more.
    pub(super) daxkos: Vec<(ProviderName, Arc<Daxko>)>,
    /// Their APIs for apps, each with the place of its provider.
    pub(super) relays: Vec<(Path, Relayed)>,
}

/// Builds the providers.
pub(super) fn assemble(
    config: &Config,
    surroundings: &Surroundings,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Providers {
    let mut known = HashSet::new();
    let mut providers = Providers::default();
    for (index, table) in config.provider.iter().enumerate() {
        let path = at(["provider"]).index(index);
        let common = table.common();
        if !known.insert(common.name) {
            mistakes.note(&path.key("name"), "two providers have this name", "each name once");
        }
        if common.is_sandbox && !on_loopback {
            mistakes.note_with_help(
                &path.key("environment"),
                "the sandbox is for sites on loopback, and not every site is",
                common.environments,
                "in the sandbox anybody can sign in as anybody",
            );
        }
        let built = table.vendor().provider(&path, config, surroundings, mistakes);
        let Some(Built { registered, daxko, relay }) = built else {
            providers.registered.push(None);
            continue;
        };
        providers.daxkos.extend(daxko.map(|daxko| (registered.name.clone(), daxko)));
        providers.relays.extend(relay.map(|relay| (path, relay)));
        providers.registered.push(Some(registered));
    }
    providers
}

/// What every vendor's table has, checked.
struct Shared {
    name: ProviderName,
    title: String,
    calls: u16,
}

impl Shared {
    /// Checks the name and the title.
    fn read(table: &impl Vendor, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Self> {
        let Common { name, title, calls, .. } = table.common();
        let title = title.unwrap_or(name).to_owned();
        let name = ProviderName::new(name.to_owned()).ok();
        if name.is_none() {
            let help = "the name is part of the redirect URI that the vendor knows";
            let expected = "1 to 64 characters of a-z 0-9 -";
            mistakes.note_with_help(&path.key("name"), "this name does not fit into a path", expected, help);
        }
        let calls = calls.unwrap_or(64);
        if calls == 0 {
            mistakes.note(&path.key("calls"), "then nobody could sign in", "at least 1");
        }
        Some(Self { name: name?, title, calls })
    }

    /// The vendor under this name; or a note, where the machine has no TLS set-up.
    fn register<P: Provider + 'static>(
        self,
        provider: Result<Arc<P>, reqwest::Error>,
        path: &Path,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Registered> {
        match provider {
            Ok(provider) => {
                let restraint = Arc::new(Restraint::new(self.calls));
                Some(Registered {
                    name: self.name,
                    title: self.title,
                    provider,
                    restraint,
                    memberships: None,
                })
            }
            Err(error) => {
                let help = "on Debian the package `ca-certificates` has the root certificates";
                mistakes.note_with_help(path, format!("this machine cannot speak TLS: {error}"), "", help);
                None
            }
        }
    }
}

/// Further parameters of the authorization request; those that the gateway sends itself are not the operator's.
fn authorize_params(
    written: &BTreeMap<String, String>,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Vec<(String, String)> {
    for name in written.keys() {
        let ours = ["response_type", "client_id", "redirect_uri", "scope", "state"];
        if ours.contains(&name.as_str()) {
            let path = path.key("authorize_params").key(name.as_str());
            mistakes.note(&path, "the gateway sends this parameter itself", "another parameter");
        }
    }
    written.clone().into_iter().collect()
}

/// How a token request is written; `default` is the vendor's own way.
fn encoding(written: Option<EncodingChoice>, default: Encoding) -> Encoding {
    match written {
        None => default,
        Some(EncodingChoice::Multipart) => Encoding::Multipart,
        Some(EncodingChoice::Form) => Encoding::Form,
        Some(EncodingChoice::Json) => Encoding::Json,
    }
}

/// Whether a text is a JSON pointer (RFC 6901) to something within a document.
fn is_pointer(text: &str) -> bool {
    text.starts_with('/')
        && text.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'))
}

/// A key that has to be written, except where the sandbox knows better.
fn required<T>(
    written: Option<T>,
    simulated: Option<T>,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Option<T> {
    let value = written.or(simulated);
    if value.is_none() {
        let help = "the vendor gives it out; docs/daxko.md and docs/xoxoday.md say what to ask for";
        let message = format!("{} is missing", mistakes.name(path));
        mistakes.note_with_help(path, message, "a value, outside the sandbox", help);
    }
    value
}

fn credential(
    written: Option<&SecretText>,
    simulated: Option<&Secret>,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Option<Secret> {
    let Some(text) = written else { return required(None, simulated.cloned(), path, mistakes) };
    let secret = mistakes.secret(text, path)?;
    // It is sent in a field or in a form; pasted blanks around it are forgiven, anything else in it is a mistake.
    let is_text = secret.expose_str().is_some_and(|text| {
        let text = text.trim();
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if !is_text {
        mistakes.note(
            path,
            "this credential holds blanks or other characters that a vendor's never do",
            "visible ASCII",
        );
    }
    is_text.then_some(secret)
}

fn vendor_url(text: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Url> {
    let url =
        Url::parse(text.trim()).ok().filter(|url| url.has_host() && matches!(url.scheme(), "https" | "http"));
    let Some(url) = url else {
        mistakes.note(path, "this is no address", "\"https://…\"");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        mistakes.note(path, "credentials have no place in an address", "client_id and client_secret");
        return None;
    }
    if url.scheme() == "http" && !url.host_str().is_some_and(is_loopback_host) {
        mistakes.note(path, "secrets would travel in the clear", "https://, beyond loopback");
        return None;
    }
    Some(url)
}
