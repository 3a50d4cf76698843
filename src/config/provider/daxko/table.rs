//! `[[provider]]` with `kind = "daxko"`, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::EncodingChoice;
use crate::config::secret::SecretText;

/// `[[provider]]` with `kind = "daxko"`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaxkoTable {
    /// Name of the provider, `[a-z0-9-]+`: part of the callback path, so part of the redirect URI that Daxko knows.
    pub name: String,
    /// What members read where they choose how to sign in. Default: the name.
    pub title: Option<String>,
    /// A picture beside the title: an SVG, PNG, WebP or JPEG file of at most 64 KiB.
    pub logo: Option<String>,
    /// `"production"`, `"train"`, `"demo"`, `"data-validation"`, or `"sandbox"`: the built-in simulation, for sites on
    /// loopback only. Default: `"production"`.
    #[serde(default)]
    pub environment: DaxkoEnvironment,
    /// Generation of the API: `"v3"`, the Operations API, or `"partners-v1"`, its successor. Default: `"v3"`.
    #[serde(default)]
    pub api: DaxkoApi,
    /// Number of the Daxko Operations client (the association). Not needed in the sandbox.
    pub client: Option<u64>,
    /// With `partners-v1`, and in place of `client`: the client as Daxko writes it, with the prefix of its product, such as
    /// `"CA_123"`. Default: `"OPS_"` and the number in `client`.
    pub client_integration_id: Option<String>,
    /// API username. Not needed in the sandbox.
    pub client_id: Option<String>,
    /// API password. Not needed in the sandbox.
    pub client_secret: Option<SecretText>,
    /// The partner's refresh token. Needed for `v3`, and for `token_bearer = "refresh_token"`; not in the sandbox.
    pub refresh_token: Option<SecretText>,
    /// What the log-in form should link to; `member-gateway daxko settings` writes it there.
    #[serde(default)]
    pub links: LinksTable,
    /// Base of the API, with or without its version. Needed for `train`, `demo` and `data-validation`, whose addresses
    /// Daxko gives out on request. Default: `"https://api.daxko.com"`, with `partners-v1`
    /// `"https://api.partners.daxko.com/api"`.
    pub api_base_url: Option<String>,
    /// Where members sign in. Needed with `partners-v1` for `train`, `demo` and `data-validation`. Default: that of the
    /// environment.
    pub authorize_url: Option<String>,
    /// Where codes are exchanged. Default: that of the API; with `partners-v1` `token` beside `authorize_url`.
    pub token_url: Option<String>,
    /// Where client-scoped tokens come from. Default: that of the API; with `partners-v1` `/auth/token` on its host.
    pub partner_token_url: Option<String>,
    /// Where a member's token says whose it is. Default: `members/me` of the API.
    pub userinfo_url: Option<String>,
    /// How the code exchange is written: `"multipart"`, `"form"` or `"json"`. Default: `"multipart"`, as Daxko documents
    /// it; with `partners-v1` `"form"`.
    pub token_encoding: Option<EncodingChoice>,
    /// What authorises the code exchange: `"refresh_token"`, `"access_token"` (the client-scoped one) or `"none"`.
    /// Default: `"refresh_token"`, as Daxko documents it; with `partners-v1` `"none"`.
    pub token_bearer: Option<BearerChoice>,
    /// Further parameters of the authorization request.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// A login proves a password, not a membership: Daxko lets people log in whose membership has ended. `"member"`:
    /// the person has to be active; `"unit"`: the person's unit has to be. Either costs a call to Daxko at each login.
    /// Default: `"no"`.
    #[serde(default)]
    pub require_active: RequireActive,
    /// How often that is asked again while a session lasts, in the background; at least `"1m"`.
    /// Default: `"1h"`.
    pub recheck: Option<String>,
    /// How much longer the last good answer counts while Daxko cannot be asked. Default: `"24h"`.
    pub recheck_grace: Option<String>,
    /// How long each answer of Daxko may take. Default: `"10s"`.
    pub timeout: Option<String>,
    /// How many sign-ins the vendor is asked about at a time. Whoever comes back from it beyond that gets 503 and can try
    /// again, so that a slow vendor does not fill the gateway with those who wait. Default: 64.
    pub calls: Option<u16>,
    /// Where the ids stand in Daxko's answer.
    #[serde(default)]
    pub identity: PointersTable,
    /// Where apps ask Daxko's API, without credentials of their own: an IP address and a port, such as `"127.0.0.1:8091"`.
    /// The gateway attaches its client-scoped token to what comes there and sends it to Daxko (docs/api-relay.md).
    /// Whoever gets there reads all members, so beyond loopback it needs an `api_key`, and speaks TLS where there is
    /// `[server.tls]`. Default: nowhere.
    pub api_listen: Option<String>,
    /// What apps send there as `Authorization: Bearer …`: 24 characters of visible ASCII or more. Default: none, for
    /// programs on this machine alone.
    pub api_key: Option<SecretText>,
    /// Names under which apps ask there, beside `localhost` and addresses. Any other is refused, for a page in a browser
    /// could come under it.
    #[serde(default)]
    pub api_hosts: Vec<String>,
    /// Which paths of the API are open there, as patterns of a rule. Those where tokens are handed out,
    /// `/v3/partners/oauth2/**` and `/v3/members/oauth2/**`, are open only to a pattern that names them.
    /// Default: `["/v3/**"]`, with `partners-v1` `["/v1/**"]`.
    pub api_paths: Option<Vec<String>>,
    /// How many calls of apps are under way to Daxko at a time, over all providers with the same API username; others
    /// wait. Default: 32.
    pub api_calls: Option<u16>,
    /// How long Daxko may take to begin an answer to an app. Default: `"60s"`.
    pub api_timeout: Option<String>,
}

/// `links` of a provider. A link that is not set is left as it is at Daxko; a blank one is removed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinksTable {
    /// Page for those who have no account yet. It leads away from the login for good, so it cannot be a callback.
    pub sign_up: Option<String>,
    /// Page for those who do not know their password. With `partners-v1` a blank one means Daxko's own page.
    pub forgot_password: Option<String>,
}

/// The environments that Daxko documents, and ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DaxkoEnvironment {
    /// The real one.
    #[default]
    Production,
    /// For training.
    Train,
    /// For demonstrations.
    Demo,
    /// For the validation of migrated data.
    DataValidation,
    /// The built-in simulation.
    Sandbox,
}

/// Whose membership has to be active.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequireActive {
    /// Nobody's.
    #[default]
    No,
    /// The person's.
    Member,
    /// The unit's.
    Unit,
}

/// Generations of Daxko's API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DaxkoApi {
    /// The Operations API v3.
    #[default]
    V3,
    /// The Partners API v1.
    PartnersV1,
}

/// What authorises a code exchange.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BearerChoice {
    /// The partner's refresh token.
    RefreshToken,
    /// The client-scoped access token.
    AccessToken,
    /// Nothing.
    None,
}

/// `[provider.identity]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PointersTable {
    /// JSON pointer (RFC 6901) to the member id. Default: `"/member_id"`.
    pub member_id: Option<String>,
    /// JSON pointer to the unit id. Default: `"/member_unit_id"`.
    pub member_unit_id: Option<String>,
}
