//! `[[provider]]` with `kind = "xoxoday"`: environments, grants and scopes, checked and turned into Xoxoday's settings.

pub(in crate::config) mod table;

use url::Url;

use super::identity_source::{self, Context};
use super::{Built, Common, SandboxedXoxoday, Shared, Vendor};
use super::{authorize_params, credential, encoding, required, vendor_url};
use crate::config::assemble::Surroundings;
use crate::config::mistakes::Mistakes;
use crate::config::structure::Path;
use crate::config::{Config, XoxodayEnvironment, XoxodayGrant, XoxodayTable};
use crate::provider::Registered;
use crate::provider::token_endpoint::Encoding;
use crate::provider::xoxoday::{self, Grant};

/// The scope without which no company token is given out.
const USER_SESSION: &str = "user_session";

impl Vendor for XoxodayTable {
    fn common(&self) -> Common<'_> {
        Common {
            name: &self.name,
            title: self.title.as_deref(),
            logo: self.logo.as_deref(),
            calls: self.calls,
            is_sandbox: self.environment == XoxodayEnvironment::Sandbox,
            environments: "\"production\" or \"staging\"",
        }
    }

    fn notes(&self) -> Vec<String> {
        let notes = identity_source::notes(&self.identity).into_iter();
        notes.map(|note| format!("provider \"{}\": {note}", self.name)).collect()
    }

    fn provider(
        &self,
        path: &Path,
        _: &Config,
        surroundings: &Surroundings,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Built> {
        provider(self, path, surroundings, mistakes).map(Built::from)
    }
}

/// Xoxoday, as a provider.
fn provider(
    table: &XoxodayTable,
    path: &Path,
    surroundings: &Surroundings,
    mistakes: &mut Mistakes<'_>,
) -> Option<Registered> {
    let shared = Shared::read(table, path, mistakes);
    let simulated =
        (table.environment == XoxodayEnvironment::Sandbox).then_some(&surroundings.vendors.xoxoday);
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
    let scopes = scopes(table, path, mistakes);
    let addresses = addresses(table, path, &surroundings.vendors.xoxoday, mistakes);
    let timeout = mistakes.duration(table.timeout.as_ref(), 10, &path.key("timeout"));
    let context = Context {
        names_nobody: table.grant == XoxodayGrant::User,
        userinfo_url: addresses.as_ref().map(|(oauth_url, _)| xoxoday::below(oauth_url, "api")),
        is_foreign: &|host: &str| is_mixed(table.environment, host),
        timeout,
        running: &surroundings.providers,
    };
    let identity = identity_source::identity(&table.identity, &path.key("identity"), &context, mistakes);
    let authorize_params = authorize_params(&table.authorize_params, path, mistakes);
    let (oauth_url, authorize_url) = addresses?;
    let shared = shared?;
    let settings = xoxoday::Settings {
        name: shared.name.clone(),
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes?,
        grant: match table.grant {
            XoxodayGrant::Company => Grant::Company,
            XoxodayGrant::User => Grant::User,
        },
        oauth_url,
        authorize_url,
        token_encoding: encoding(table.token_encoding, Encoding::Json),
        authorize_params,
        identity: identity?,
        timeout,
    };
    let xoxoday = surroundings.providers.xoxoday(settings, surroundings.clock.clone());
    shared.register(xoxoday, path, mistakes)
}

fn scopes(table: &XoxodayTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Vec<String>> {
    let Some(scopes) = &table.scopes else { return Some(vec![USER_SESSION.to_owned()]) };
    let path = path.key("scopes");
    let is_word = |scope: &String| {
        !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
    };
    let mut all_good = true;
    for (index, _) in scopes.iter().enumerate().filter(|(_, scope)| !is_word(scope)) {
        let expected = "[\"user_session\", \"company_session\"]: one word each";
        mistakes.note(&path.index(index), "this is no scope", expected);
        all_good = false;
    }
    if table.grant == XoxodayGrant::Company && !scopes.iter().any(|scope| scope == USER_SESSION) {
        let help = "Xoxoday exchanges a code for a company token only where this scope was asked for";
        mistakes.note_with_help(
            &path,
            "the company grant needs the scope user_session",
            "\"user_session\" among them",
            help,
        );
        all_good = false;
    } else if scopes.is_empty() {
        mistakes.note(&path, "there is no scope", "at least one that Xoxoday has registered");
        all_good = false;
    }
    all_good.then(|| scopes.clone())
}

/// The OAuth base, and where members sign in: both of the same environment.
fn addresses(
    table: &XoxodayTable,
    path: &Path,
    sandbox: &SandboxedXoxoday,
    mistakes: &mut Mistakes<'_>,
) -> Option<(Url, Url)> {
    let fixed = |text: &str| Url::parse(text).expect("an address of Xoxoday's");
    let (oauth_path, authorize_path) = (path.key("oauth_url"), path.key("authorize_url"));
    let oauth_url = match &table.oauth_url {
        Some(text) => own(text, &oauth_path, mistakes).map(xoxoday::oauth_url),
        None => Some(match table.environment {
            XoxodayEnvironment::Production => fixed("https://accounts.xoxoday.com/chef"),
            XoxodayEnvironment::Staging => fixed("https://stagingaccount.xoxoday.com/chef"),
            XoxodayEnvironment::Sandbox => sandbox.oauth_url.clone(),
        }),
    };
    let authorize_url = match &table.authorize_url {
        Some(text) => own(text, &authorize_path, mistakes),
        None => oauth_url.as_ref().map(|oauth_url| xoxoday::below(oauth_url, "authorize")),
    };
    let written = [
        (&oauth_path, oauth_url.as_ref().filter(|_| table.oauth_url.is_some())),
        (&authorize_path, authorize_url.as_ref().filter(|_| table.authorize_url.is_some())),
    ];
    for (path, url) in written {
        if url.and_then(Url::host_str).is_some_and(|host| is_mixed(table.environment, host)) {
            let expected = "one environment for both addresses";
            let help = "say in `environment` which one is meant; without it, it is \"production\"";
            mistakes.note_with_help(path, "this address belongs to another environment", expected, help);
        }
    }
    Some((oauth_url?, authorize_url?))
}

fn own(text: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Url> {
    let url = vendor_url(text, path, mistakes)?;
    if url.query().is_some() || url.fragment().is_some() {
        mistakes.note(
            path,
            "this address has a query or a fragment",
            "further parameters in authorize_params",
        );
        return None;
    }
    Some(url)
}

/// Whether a host of Xoxoday's is none of this environment: a test login would end up with real data, or the reverse.
/// In its staging hosts the first label begins with `staging`, but for `canvas`.
fn is_mixed(environment: XoxodayEnvironment, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let Some(rest) = host.strip_suffix("xoxoday.com").filter(|rest| rest.is_empty() || rest.ends_with('.'))
    else {
        return false;
    };
    let is_staging = rest.contains("staging") || rest == "canvas.";
    match environment {
        XoxodayEnvironment::Production => is_staging,
        XoxodayEnvironment::Staging => !is_staging,
        XoxodayEnvironment::Sandbox => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_that_xoxoday_documents_belongs_to_one_environment() {
        for host in ["accounts.xoxoday.com", "stores.xoxoday.com", "compass.xoxoday.com"] {
            assert!(!is_mixed(XoxodayEnvironment::Production, host), "{host}");
            assert!(is_mixed(XoxodayEnvironment::Staging, host), "{host}");
            assert!(is_mixed(XoxodayEnvironment::Sandbox, host), "{host}");
        }
        for host in [
            "stagingaccount.xoxoday.com",
            "stagingaccount.xoxoday.com.",
            "stagingstores.xoxoday.com",
            "canvas.xoxoday.com",
        ] {
            assert!(is_mixed(XoxodayEnvironment::Production, host), "{host}");
            assert!(!is_mixed(XoxodayEnvironment::Staging, host), "{host}");
        }
        for host in ["127.0.0.1", "accounts.notxoxoday.com", "xoxoday.com.example.org"] {
            assert!(!is_mixed(XoxodayEnvironment::Staging, host), "{host}");
        }
    }
}
