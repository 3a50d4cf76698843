//! `[[provider]]` with `kind = "xoxoday"`, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::secret::SecretText;
use crate::config::{EncodingChoice, IdentitySourceTable};

/// `[[provider]]` with `kind = "xoxoday"`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct XoxodayTable {
    /// Name of the provider, `[a-z0-9-]+`: part of the callback path, so part of the redirect URI that Xoxoday knows.
    pub name: String,
    /// What members read where they choose how to sign in. Default: the name.
    pub title: Option<String>,
    /// A picture beside the title: an SVG, PNG, WebP or JPEG file of at most 64 KiB.
    pub logo: Option<String>,
    /// `"production"`, `"staging"`, or `"sandbox"`: the built-in simulation, for sites on loopback only. Default:
    /// `"production"`.
    #[serde(default)]
    pub environment: XoxodayEnvironment,
    /// The client id that Xoxoday has given out. Not needed in the sandbox.
    pub client_id: Option<String>,
    /// The client secret that belongs to it. Not needed in the sandbox.
    pub client_secret: Option<SecretText>,
    /// The scopes that Xoxoday has registered for the client, each a word. Default: `["user_session"]`, which the
    /// company grant cannot do without.
    pub scopes: Option<Vec<String>>,
    /// Which token the code is exchanged for: `"company"`, whose answer holds the member's address, or `"user"`, whose
    /// answer says nothing about the member. Default: `"company"`.
    #[serde(default)]
    pub grant: XoxodayGrant,
    /// Base of the OAuth addresses, which end in `/v1/oauth/…` below it. Default: `https://accounts.xoxoday.com/chef` in
    /// production, `https://stagingaccount.xoxoday.com/chef` in staging.
    pub oauth_url: Option<String>,
    /// Where members sign in. Default: `/v1/oauth/authorize` below `oauth_url`.
    pub authorize_url: Option<String>,
    /// How the code exchange is written: `"json"`, `"form"` or `"multipart"`. Default: `"json"`, as Xoxoday documents it.
    pub token_encoding: Option<EncodingChoice>,
    /// Further parameters of the authorization request.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    /// How long each answer may take. Default: `"10s"`.
    pub timeout: Option<String>,
    /// How many sign-ins the vendor is asked about at a time. Whoever comes back from it beyond that gets 503 and can try
    /// again, so that a slow vendor does not fill the gateway with those who wait. Default: 64.
    pub calls: Option<u16>,
    /// Who signed in: Xoxoday itself has neither member ids nor units.
    #[serde(default)]
    pub identity: IdentitySourceTable,
}

/// The environments that Xoxoday documents, and ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum XoxodayEnvironment {
    /// The real one.
    #[default]
    Production,
    /// For tests.
    Staging,
    /// The built-in simulation.
    Sandbox,
}

/// Which token a code is exchanged for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum XoxodayGrant {
    /// A company's; the answer holds the address of whoever consented.
    #[default]
    Company,
    /// A user's.
    User,
}
