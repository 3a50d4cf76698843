//! `[[provider]]` with `kind = "daxko"`: environments, credentials and pointers, checked and turned into Daxko's settings.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{
    SandboxedDaxko, Shared, authorize_params, credential, encoding, is_pointer, required, vendor_url,
};
use crate::config::assemble::{Mistakes, Surroundings};
use crate::config::structure::Path;
use crate::config::{DaxkoApi, DaxkoEnvironment, DaxkoTable, PointersTable, RequireActive};
use crate::provider::Registered;
use crate::provider::claims::Pointers;
use crate::provider::daxko::{self, Daxko};
use crate::provider::membership::{Membership, Memberships, Policy, Subject};
use crate::provider::token_endpoint::Encoding;

/// More often, and the checks would be the most of what Daxko has to answer.
const LEAST_RECHECK: Duration = Duration::from_secs(60);
const PRODUCTION_API: &str = "https://api.daxko.com";

/// Daxko, as a provider.
pub(super) fn provider(
    table: &DaxkoTable,
    path: &Path,
    surroundings: &Surroundings,
    mistakes: &mut Mistakes<'_>,
) -> Option<Registered> {
    let sandbox = &surroundings.daxko;
    let DaxkoApi::V3 = table.api;
    let shared = Shared::read(&table.name, table.title.as_ref(), path, mistakes);
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
    let authorize_params = authorize_params(&table.authorize_params, path, mistakes);
    let policy = membership(table, path, mistakes);
    let shared = shared?;
    let settings = daxko::Settings {
        name: shared.name.clone(),
        client: client?,
        client_id: client_id?,
        client_secret: client_secret?,
        refresh_token: refresh_token?,
        authorize_url: authorize_url?,
        api_base_url: api_base_url?,
        token_encoding: encoding(table.token_encoding, Encoding::Multipart),
        authorize_params,
        pointers: pointers?,
        timeout,
    };
    let daxko = Daxko::new(settings, surroundings.clock.clone()).map(Arc::new);
    let memberships = daxko.as_ref().ok().zip(policy).map(|(daxko, policy)| {
        let vendor: Arc<dyn Membership> = Arc::<Daxko>::clone(daxko);
        Arc::new(Memberships::new(vendor, policy))
    });
    shared.register(daxko, path, mistakes).map(|registered| Registered { memberships, ..registered })
}

/// Whose membership has to be active, and how often that is asked; nothing where nobody wants to know.
fn membership(table: &DaxkoTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Policy> {
    let (recheck_path, grace_path) = (path.key("recheck"), path.key("recheck_grace"));
    let recheck = mistakes.duration(table.recheck.as_ref(), 60 * 60, &recheck_path);
    let grace = mistakes.duration(table.recheck_grace.as_ref(), 24 * 60 * 60, &grace_path);
    let subject = match table.require_active {
        RequireActive::No => {
            for (written, path) in [(&table.recheck, &recheck_path), (&table.recheck_grace, &grace_path)] {
                if written.is_some() {
                    let message = "memberships are not checked, so there is nothing to check again";
                    mistakes.note(path, message, "require_active = \"member\" or \"unit\" beside it");
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
