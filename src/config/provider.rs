//! `[[provider]]`: what the operator knows about a vendor, checked and turned into that vendor's settings.
//!
//! What all vendors have in common is here; each vendor's own keys are read in the file of its name.

pub(super) mod daxko;
pub(super) mod identity_source;
pub(super) mod xoxoday;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use url::Url;

use super::assemble::{Mistakes, Surroundings, at};
use super::secret::SecretText;
use super::structure::Path;
use super::{Config, DaxkoEnvironment, EncodingChoice, ProviderTable, XoxodayEnvironment};
use crate::member::ProviderName;
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

/// The name of a provider.
pub(super) fn name(table: &ProviderTable) -> &str {
    match table {
        ProviderTable::Daxko(table) => &table.name,
        ProviderTable::Xoxoday(table) => &table.name,
    }
}

/// Whether a provider is simulated.
pub(super) fn is_sandbox(table: &ProviderTable) -> bool {
    match table {
        ProviderTable::Daxko(table) => table.environment == DaxkoEnvironment::Sandbox,
        ProviderTable::Xoxoday(table) => table.environment == XoxodayEnvironment::Sandbox,
    }
}

/// The environments beyond the sandbox, for whoever has to choose another one.
fn environments(table: &ProviderTable) -> &'static str {
    match table {
        ProviderTable::Daxko(_) => "\"production\", \"train\", \"demo\" or \"data-validation\"",
        ProviderTable::Xoxoday(_) => "\"production\" or \"staging\"",
    }
}

/// What an operator should know about the providers although it is no mistake.
pub(super) fn notes(config: &Config) -> Vec<String> {
    let of = |table: &ProviderTable| match table {
        ProviderTable::Daxko(_) => Vec::new(),
        ProviderTable::Xoxoday(table) => xoxoday::notes(table),
    };
    config.provider.iter().flat_map(of).collect()
}

/// The providers in their order; nothing in the place of one that is wrong.
pub(super) fn assemble(
    config: &Config,
    surroundings: &Surroundings,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Vec<Option<Registered>> {
    let mut known = HashSet::new();
    let mut providers = Vec::new();
    for (index, table) in config.provider.iter().enumerate() {
        let path = at(["provider"]).index(index);
        if !known.insert(name(table)) {
            mistakes.note(&path.key("name"), "two providers have this name", "each name once");
        }
        if is_sandbox(table) && !on_loopback {
            mistakes.note_with_help(
                &path.key("environment"),
                "the sandbox is for sites on loopback, and not every site is",
                environments(table),
                "in the sandbox anybody can sign in as anybody",
            );
        }
        let provider = match table {
            ProviderTable::Daxko(table) => daxko::provider(table, &path, config, surroundings, mistakes),
            ProviderTable::Xoxoday(table) => xoxoday::provider(table, &path, surroundings, mistakes),
        };
        providers.push(provider);
    }
    providers
}

/// What every vendor's table has, checked.
struct Shared {
    name: ProviderName,
    title: String,
}

impl Shared {
    /// Checks the name and the title.
    fn read(name: &str, title: Option<&String>, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Self> {
        let title = title.map_or_else(|| name.to_owned(), Clone::clone);
        let name = ProviderName::new(name.to_owned()).ok();
        if name.is_none() {
            let help = "the name is part of the redirect URI that the vendor knows";
            let expected = "1 to 64 characters of a-z 0-9 -";
            mistakes.note_with_help(&path.key("name"), "this name does not fit into a path", expected, help);
        }
        Some(Self { name: name?, title })
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
                Some(Registered { name: self.name, title: self.title, provider, memberships: None })
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
        mistakes.note(path, format!("{} is missing", mistakes.name(path)), "a value, outside the sandbox");
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
