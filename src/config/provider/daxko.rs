//! `[[provider]]` with `kind = "daxko"`: environments, credentials and pointers, checked and turned into Daxko's settings.

pub(in crate::config) mod table;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{
    Built, Common, Shared, Vendor, authorize_params, credential, encoding, is_pointer, required, vendor_url,
};
use crate::config::assemble::Surroundings;
use crate::config::mistakes::Mistakes;
use crate::config::relay;
use crate::config::structure::Path;
use crate::config::{
    BearerChoice, Config, DaxkoApi, DaxkoEnvironment, DaxkoTable, LinksTable, PointersTable, RequireActive,
};
use crate::provider::Registered;
use crate::provider::claims::Pointers;
use crate::provider::daxko::generation::{self, below};
use crate::provider::daxko::member_settings::{Links, is_callback};
use crate::provider::daxko::{self, Bearer, Daxko, Generation};
use crate::provider::membership::{Membership, Memberships, Policy, Subject};
use crate::provider::token_endpoint::Encoding;
use crate::route::Origin;

/// More often, and the checks would be the most of what Daxko has to answer.
const LEAST_RECHECK: Duration = Duration::from_secs(60);

impl Vendor for DaxkoTable {
    fn common(&self) -> Common<'_> {
        Common {
            name: &self.name,
            title: self.title.as_deref(),
            logo: self.logo.as_deref(),
            calls: self.calls,
            is_sandbox: self.environment == DaxkoEnvironment::Sandbox,
            environments: "\"production\", \"train\", \"demo\" or \"data-validation\"",
        }
    }

    fn provider(
        &self,
        path: &Path,
        config: &Config,
        surroundings: &Surroundings,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Built> {
        provider(self, path, config, surroundings, mistakes)
    }
}

/// Daxko, as a provider.
fn provider(
    table: &DaxkoTable,
    path: &Path,
    config: &Config,
    surroundings: &Surroundings,
    mistakes: &mut Mistakes<'_>,
) -> Option<Built> {
    let sandbox = &surroundings.vendors.daxko;
    let shared = Shared::read(table, path, mistakes);
    let simulated = (table.environment == DaxkoEnvironment::Sandbox).then_some(sandbox);
    let client = client(table, path, simulated.map(|sandbox| sandbox.client), mistakes);
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
    let default_bearer = match table.api {
        DaxkoApi::V3 => BearerChoice::RefreshToken,
        DaxkoApi::PartnersV1 => BearerChoice::None,
    };
    let bearer = table.token_bearer.unwrap_or(default_bearer);
    let needs_refresh_token = table.api == DaxkoApi::V3 || matches!(bearer, BearerChoice::RefreshToken);
    // Where nothing needs it, it may still stand there from before.
    let refresh_token = (needs_refresh_token || table.refresh_token.is_some()).then(|| {
        let simulated = simulated.map(|sandbox| &sandbox.refresh_token);
        credential(table.refresh_token.as_ref(), simulated, &path.key("refresh_token"), mistakes)
    });
    let refresh_token = refresh_token.flatten();
    let addresses = Addresses::read(table, path, surroundings, mistakes);
    let pointers = pointers(&table.identity, &path.key("identity"), mistakes);
    let links = links(&table.links, &path.key("links"), config, mistakes);
    let timeout = mistakes.duration(table.timeout.as_ref(), 10, &path.key("timeout"));
    let authorize_params = authorize_params(&table.authorize_params, path, mistakes);
    let policy = membership(table, path, mistakes);
    let version = match table.api {
        DaxkoApi::V3 => "v3",
        DaxkoApi::PartnersV1 => "v1",
    };
    let relay = relay::read(table, path, version, mistakes);
    let shared = shared?;
    let (default_encoding, generation) = match table.api {
        DaxkoApi::V3 => (Encoding::Multipart, Generation::V3 { refresh_token: refresh_token.clone()? }),
        DaxkoApi::PartnersV1 => (Encoding::Form, Generation::PartnersV1),
    };
    let addresses = addresses?;
    let settings = daxko::Settings {
        name: shared.name.clone(),
        generation,
        client: client?,
        client_id: client_id?,
        client_secret: client_secret?,
        authorize_url: addresses.authorize,
        api_base_url: addresses.api_base,
        token_url: addresses.token,
        client_token_url: addresses.client_token,
        userinfo_url: addresses.userinfo,
        token_encoding: encoding(table.token_encoding, default_encoding),
        token_bearer: match bearer {
            BearerChoice::RefreshToken => Bearer::RefreshToken(refresh_token?),
            BearerChoice::AccessToken => Bearer::AccessToken,
            BearerChoice::None => Bearer::Nothing,
        },
        authorize_params,
        pointers: pointers?,
        links: links?,
        timeout,
    };
    let running = &surroundings.providers;
    let daxko = running.daxko(settings, surroundings.clock.clone());
    let memberships = daxko.as_ref().ok().zip(policy).map(|(daxko, policy)| {
        let vendor: Arc<dyn Membership> = Arc::<Daxko>::clone(daxko);
        let remembered = running.remembered(daxko.memberships_of(policy.subject));
        Arc::new(Memberships::new(vendor, policy, remembered))
    });
    let kept = daxko.as_ref().ok().map(Arc::clone);
    let registered = shared.register(daxko, path, mistakes)?;
    let relay = kept
        .as_ref()
        .zip(relay)
        .and_then(|(daxko, written)| relay::assemble(written, daxko, path, surroundings, mistakes));
    Some(Built { registered: Registered { memberships, ..registered }, daxko: kept, relay })
}

/// Whose membership has to be active, and how often that is asked; nothing where nobody wants to know.
fn membership(table: &DaxkoTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Policy> {
    let (recheck_path, grace_path) = (path.key("recheck"), path.key("recheck_grace"));
    let recheck = mistakes.duration(table.recheck.as_ref(), 60 * 60, &recheck_path);
    let grace = mistakes.duration(table.recheck_grace.as_ref(), 24 * 60 * 60, &grace_path);
    let subject = match table.require_active {
        RequireActive::No => {
            let is_meant = mistakes.is_lost(&path.key("require_active"));
            for (written, place) in [(&table.recheck, &recheck_path), (&table.recheck_grace, &grace_path)] {
                if written.is_some() && !is_meant {
                    let message = "memberships are not checked, so there is nothing to check again";
                    mistakes.note(place, message, "require_active = \"member\" or \"unit\" beside it");
                }
            }
            return None;
        }
        RequireActive::Member => Subject::Member,
        RequireActive::Unit => Subject::Unit,
    };
    if recheck < LEAST_RECHECK {
        let help = "each member costs a request to Daxko so often, and Daxko counts them";
        mistakes.note_with_help(&recheck_path, "this is too often", "\"1m\" or more", help);
    }
    Some(Policy { subject, recheck, grace })
}

/// The client as its scope names it.
fn client(
    table: &DaxkoTable,
    path: &Path,
    simulated: Option<u64>,
    mistakes: &mut Mistakes<'_>,
) -> Option<String> {
    let Some(name) = &table.client_integration_id else {
        let number = required(table.client, simulated, &path.key("client"), mistakes)?;
        return Some(match table.api {
            DaxkoApi::V3 => number.to_string(),
            DaxkoApi::PartnersV1 => format!("OPS_{number}"),
        });
    };
    let path = path.key("client_integration_id");
    let fits = |text: &str, fits: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|byte| fits(&byte));
    let is_name = name.len() <= 64
        && name.split_once('_').is_some_and(|(product, client)| {
            fits(product, u8::is_ascii_uppercase)
                && fits(client, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        });
    if table.api == DaxkoApi::V3 {
        mistakes.note(&path, "v3 knows no such clients", "client = 4711, or api = \"partners-v1\"");
    } else if table.client.is_some() {
        mistakes.note(
            &path,
            "the client stands here twice",
            "one of the two: client or client_integration_id",
        );
    } else if !is_name {
        let expected = "the prefix of a product and its client: \"OPS_4711\" or \"CA_123\"";
        mistakes.note(&path, "this names no client", expected);
    } else {
        return Some(name.clone());
    }
    None
}

/// The addresses of Daxko, all of one environment and one generation.
struct Addresses {
    authorize: Url,
    api_base: Url,
    token: Url,
    client_token: Url,
    userinfo: Url,
}

impl Addresses {
    fn read(
        table: &DaxkoTable,
        path: &Path,
        surroundings: &Surroundings,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Self> {
        let mut good = true;
        // What is written, or else the default; nothing where what is written is wrong.
        let mut own = |text: &Option<String>,
                       key: &str,
                       default: Option<Url>,
                       mistakes: &mut Mistakes<'_>| {
            let Some(text) = text else { return default };
            let path = path.key(key);
            let url = vendor_url(text, &path, mistakes);
            good &= url.is_some();
            let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
            if is_mixed(table.environment, host) {
                let expected = "one environment for all addresses";
                let help = "say in `environment` which one is meant; without it, it is \"production\"";
                mistakes.note_with_help(&path, "this address belongs to another environment", expected, help);
            } else if is_of_the_other_generation(table.api, host) {
                let expected = "one generation for all addresses";
                mistakes.note(&path, "this address belongs to another `api`", expected);
            }
            url
        };
        let (form, base) = known(table, surroundings);
        let authorize = own(&table.authorize_url, "authorize_url", form, mistakes);
        let version = match table.api {
            DaxkoApi::V3 => "v3",
            DaxkoApi::PartnersV1 => "v1",
        };
        let api_base = own(&table.api_base_url, "api_base_url", base, mistakes);
        let api_base = api_base.map(|url| generation::api_base_url(url, version));
        let resource = |path: &str| api_base.as_ref().map(|base| below(base, &format!("{version}/{path}")));
        let (token, client_token) = match table.api {
            DaxkoApi::V3 => (resource("partners/oauth2/members/token"), resource("partners/oauth2/token")),
            DaxkoApi::PartnersV1 => (
                authorize.as_ref().map(generation::partners_token_url),
                api_base.as_ref().map(generation::partner_token_url),
            ),
        };
        let token = own(&table.token_url, "token_url", token, mistakes);
        let client_token = own(&table.partner_token_url, "partner_token_url", client_token, mistakes);
        let userinfo = own(&table.userinfo_url, "userinfo_url", resource("members/me"), mistakes);
        for (key, written, found) in [
            ("authorize_url", &table.authorize_url, &authorize),
            ("api_base_url", &table.api_base_url, &api_base),
        ] {
            if found.is_none() && written.is_none() {
                mistakes.note_with_help(
                    &path.key(key),
                    format!("this environment needs an {key}"),
                    &format!("{key} = \"https://…\""),
                    "Daxko gives out the addresses of its test systems together with the credentials",
                );
            }
        }
        if !good {
            return None;
        }
        Some(Self {
            authorize: authorize?,
            api_base: api_base?,
            token: token?,
            client_token: client_token?,
            userinfo: userinfo?,
        })
    }
}

/// The log-in form and the API base, as far as Daxko publishes them.
fn known(table: &DaxkoTable, surroundings: &Surroundings) -> (Option<Url>, Option<Url>) {
    let fixed = |text: &str| Some(Url::parse(text).expect("an address of Daxko's"));
    let sandbox = |path: &str| surroundings.vendors.daxko.base_url.join(path).ok();
    match (table.api, table.environment) {
        (DaxkoApi::V3, DaxkoEnvironment::Production) => {
            (fixed("https://operations.daxko.com/online/auth"), fixed("https://api.daxko.com"))
        }
        (DaxkoApi::V3, DaxkoEnvironment::Train) => {
            (fixed("https://operations-train.daxko.com/online/auth"), None)
        }
        (DaxkoApi::V3, DaxkoEnvironment::Demo) => {
            (fixed("https://operations-demo.daxko.com/online/auth"), None)
        }
        (DaxkoApi::V3, DaxkoEnvironment::DataValidation) => {
            (fixed("https://operations-data-validation.daxko.com/online/auth"), None)
        }
        (DaxkoApi::V3, DaxkoEnvironment::Sandbox) => (sandbox("/online/auth"), sandbox("/")),
        (DaxkoApi::PartnersV1, DaxkoEnvironment::Production) => (
            fixed("https://operations.oauth2.partners.daxko.com/authorize"),
            fixed("https://api.partners.daxko.com/api"),
        ),
        (DaxkoApi::PartnersV1, DaxkoEnvironment::Sandbox) => {
            (sandbox("/partners/authorize"), sandbox("/partners/api"))
        }
        (
            DaxkoApi::PartnersV1,
            DaxkoEnvironment::Train | DaxkoEnvironment::Demo | DaxkoEnvironment::DataValidation,
        ) => (None, None),
    }
}

fn is_daxko(host: &str) -> bool {
    host == "daxko.com" || host.ends_with(".daxko.com")
}

/// Whether a host of Daxko's is none of this environment: a test login would end up with real data, or the reverse.
fn is_mixed(environment: DaxkoEnvironment, host: &str) -> bool {
    if !is_daxko(host) {
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

/// Whether a host is known to belong to the other generation. Of most test systems nobody knows.
fn is_of_the_other_generation(api: DaxkoApi, host: &str) -> bool {
    match api {
        DaxkoApi::V3 => host.ends_with(".partners.daxko.com"),
        DaxkoApi::PartnersV1 => {
            host == "api.daxko.com"
                || is_daxko(host) && host.starts_with("operations") && host.matches('.').count() == 2
        }
    }
}

/// What the log-in form should link to. Nobody comes back from there with a code, so a callback is the wrong place.
fn links(table: &LinksTable, path: &Path, config: &Config, mistakes: &mut Mistakes<'_>) -> Option<Links> {
    let hosts: Vec<String> = config
        .site
        .iter()
        .filter_map(|site| Origin::parse(&site.public_url).ok())
        .map(|origin| origin.host().to_owned())
        .collect();
    let mut all_good = true;
    for (key, link) in [("sign_up", &table.sign_up), ("forgot_password", &table.forgot_password)] {
        let Some(address) = link.as_deref().map(str::trim).filter(|address| !address.is_empty()) else {
            continue;
        };
        let path = path.key(key);
        let url = Url::parse(address).ok();
        if !url.is_some_and(|url| url.has_host() && matches!(url.scheme(), "https" | "http")) {
            mistakes.note(&path, "this is no address", "\"https://…\"");
            all_good = false;
        } else if is_callback(address, &hosts) {
            mistakes.note_with_help(
                &path,
                "this link leads to a callback of this gateway",
                "a page for people",
                "whoever follows it brings no authorization code, and would end on an error page",
            );
            all_good = false;
        }
    }
    let links = Links { sign_up: table.sign_up.clone(), forgot_password: table.forgot_password.clone() };
    all_good.then_some(links)
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
        if is_pointer(text) {
            slot.clone_from(text);
        } else {
            mistakes.note(&path.key(key), "this is no JSON pointer (RFC 6901)", "such as \"/member_id\"");
            all_good = false;
        }
    }
    all_good.then_some(pointers)
}
