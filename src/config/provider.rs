//! `[[provider]]`: what the operator knows about a vendor, checked and turned into that vendor's settings.

use std::collections::HashSet;
use std::sync::Arc;

use url::Url;

use super::assemble::{Mistakes, at};
use super::secret::SecretText;
use super::structure::Path;
use super::{Config, DaxkoApi, DaxkoEnvironment, DaxkoTable, EncodingChoice, PointersTable, ProviderTable};
use crate::member::ProviderName;
use crate::provider::claims::Pointers;
use crate::provider::daxko::{self, Daxko};
use crate::provider::token_endpoint::Encoding;
use crate::provider::{Provider, Registered};
use crate::route::is_loopback_host;
use crate::secret::Secret;

const PRODUCTION_API: &str = "https://api.daxko.com";

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

/// The name of a provider.
pub(super) fn name(table: &ProviderTable) -> &str {
    let ProviderTable::Daxko(table) = table;
    &table.name
}

/// Whether a provider is simulated.
pub(super) fn is_sandbox(table: &ProviderTable) -> bool {
    let ProviderTable::Daxko(table) = table;
    table.environment == DaxkoEnvironment::Sandbox
}

/// The providers in their order; nothing in the place of one that is wrong.
pub(super) fn assemble(
    config: &Config,
    sandbox: &SandboxedDaxko,
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
                "\"production\", \"train\", \"demo\" or \"data-validation\"",
                "in the sandbox anybody can sign in as anybody",
            );
        }
        let ProviderTable::Daxko(table) = table;
        providers.push(daxko(table, &path, sandbox, mistakes));
    }
    providers
}

fn daxko(
    table: &DaxkoTable,
    path: &Path,
    sandbox: &SandboxedDaxko,
    mistakes: &mut Mistakes<'_>,
) -> Option<Registered> {
    let DaxkoApi::V3 = table.api;
    let name = ProviderName::new(table.name.clone()).ok();
    if name.is_none() {
        let help = "the name is part of the redirect URI that Daxko knows";
        let expected = "1 to 64 characters of a-z 0-9 -";
        mistakes.note_with_help(&path.key("name"), "this name does not fit into a path", expected, help);
    }
    let simulated = (table.environment == DaxkoEnvironment::Sandbox).then_some(sandbox);
    let client =
        required(table.client, simulated.map(|sandbox| sandbox.client), &path.key("client"), mistakes);
    let client_id = required(
        table.client_id.clone().filter(|id| !id.trim().is_empty()),
        simulated.map(|sandbox| sandbox.client_id.clone()),
        &path.key("client_id"),
        mistakes,
    );
    let client_secret = credential(
        table.client_secret.as_ref(),
        simulated.map(|sandbox| &sandbox.client_secret),
        &path.key("client_secret"),
        mistakes,
    );
    let refresh_token = credential(
        table.refresh_token.as_ref(),
        simulated.map(|sandbox| &sandbox.refresh_token),
        &path.key("refresh_token"),
        mistakes,
    );
    let (authorize_url, api_base_url) = addresses(table, path, sandbox, mistakes);
    let pointers = pointers(&table.identity, &path.key("identity"), mistakes);
    let timeout = mistakes.duration(table.timeout.as_ref(), 10, &path.key("timeout"));
    for name in table.authorize_params.keys() {
        let ours = ["response_type", "client_id", "redirect_uri", "scope", "state"];
        if ours.contains(&name.as_str()) {
            let path = path.key("authorize_params").key(name.as_str());
            mistakes.note(&path, "the gateway sends this parameter itself", "another parameter");
        }
    }
    let settings = daxko::Settings {
        name: name.clone()?,
        client: client?,
        client_id: client_id?,
        client_secret: client_secret?,
        refresh_token: refresh_token?,
        authorize_url: authorize_url?,
        api_base_url: api_base_url?,
        token_encoding: match table.token_encoding {
            None | Some(EncodingChoice::Multipart) => Encoding::Multipart,
            Some(EncodingChoice::Form) => Encoding::Form,
            Some(EncodingChoice::Json) => Encoding::Json,
        },
        authorize_params: table.authorize_params.clone().into_iter().collect(),
        pointers: pointers?,
        timeout,
    };
    let title = table.title.clone().unwrap_or_else(|| table.name.clone());
    match Daxko::new(settings) {
        Ok(daxko) => Some(Registered {
            name: name?,
            title,
            provider: Arc::new(daxko) as Arc<dyn Provider>,
            memberships: None,
        }),
        Err(error) => {
            let help = "on Debian the package `ca-certificates` has the root certificates";
            mistakes.note_with_help(path, format!("this machine cannot speak TLS: {error}"), "", help);
            None
        }
    }
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
            "this credential holds blanks or other characters that Daxko's never do",
            "visible ASCII",
        );
    }
    is_text.then_some(secret)
}

/// Where members sign in, and where the API is: both of the same environment.
fn addresses(
    table: &DaxkoTable,
    path: &Path,
    sandbox: &SandboxedDaxko,
    mistakes: &mut Mistakes<'_>,
) -> (Option<Url>, Option<Url>) {
    let fixed = |text: &str| Some(Url::parse(text).expect("an address of Daxko's"));
    let (authorize, api) = match table.environment {
        DaxkoEnvironment::Production => {
            (fixed("https://operations.daxko.com/online/auth"), fixed(PRODUCTION_API))
        }
        DaxkoEnvironment::Train => (fixed("https://operations-train.daxko.com/online/auth"), None),
        DaxkoEnvironment::Demo => (fixed("https://operations-demo.daxko.com/online/auth"), None),
        DaxkoEnvironment::DataValidation => {
            (fixed("https://operations-data-validation.daxko.com/online/auth"), None)
        }
        DaxkoEnvironment::Sandbox => {
            (sandbox.base_url.join("/online/auth").ok(), Some(sandbox.base_url.clone()))
        }
    };
    let (authorize_path, api_path) = (path.key("authorize_url"), path.key("api_base_url"));
    let mut own = |text: &Option<String>, default: Option<Url>, path: &Path| match text {
        None => default,
        Some(text) => vendor_url(text, path, mistakes),
    };
    let authorize_url = own(&table.authorize_url, authorize, &authorize_path);
    let api_base_url = own(&table.api_base_url, api, &api_path).map(daxko::api_base_url);
    if api_base_url.is_none() && table.api_base_url.is_none() {
        mistakes.note_with_help(
            &api_path,
            "this environment needs an api_base_url",
            "api_base_url = \"https://…\"",
            "Daxko gives out the address of its test API together with the credentials",
        );
    }
    for (path, url) in [(&authorize_path, &authorize_url), (&api_path, &api_base_url)] {
        let Some(host) = url.as_ref().and_then(Url::host_str) else { continue };
        if is_mixed(table.environment, host) {
            mistakes.note(
                path,
                "this address belongs to another environment",
                "one environment for both addresses",
            );
        }
    }
    (authorize_url, api_base_url)
}

/// Whether a host of Daxko's is none of this environment: a test login would end up with real data, or the reverse.
fn is_mixed(environment: DaxkoEnvironment, host: &str) -> bool {
    if host != "daxko.com" && !host.ends_with(".daxko.com") {
        return false;
    }
    let named = ["train", "demo", "data-validation"].into_iter().find(|name| host.contains(name));
    match environment {
        DaxkoEnvironment::Production => named.is_some(),
        DaxkoEnvironment::Train => named != Some("train"),
        DaxkoEnvironment::Demo => named != Some("demo"),
        DaxkoEnvironment::DataValidation => named != Some("data-validation"),
        DaxkoEnvironment::Sandbox => true,
    }
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

fn pointers(table: &PointersTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Pointers> {
    let mut pointers = daxko::pointers();
    let written = [
        (&table.member_id, "member_id", &mut pointers.member_id),
        (&table.member_unit_id, "member_unit_id", &mut pointers.member_unit_id),
    ];
    let mut all_good = true;
    for (text, key, slot) in written {
        let Some(text) = text else { continue };
        let is_pointer = text.starts_with('/')
            && text.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'));
        if is_pointer {
            slot.clone_from(text);
        } else {
            mistakes.note(&path.key(key), "this is no JSON pointer (RFC 6901)", "such as \"/member_id\"");
            all_good = false;
        }
    }
    all_good.then_some(pointers)
}
