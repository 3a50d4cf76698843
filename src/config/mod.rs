//! `gateway.toml` as written.
//!
//! The tables here are plain: text where the file has text, defaults where it has nothing. Their doc comments are the
//! reference that operators read (`docs/configuration.md`), by way of the JSON Schema. What the text means is decided in
//! one step, [`assemble`], which either builds the rooms or reports every mistake at once.

pub mod assemble;
mod conformance;
pub mod diagnostics;
mod masking;
mod pages;
mod places;
pub mod provider;
mod pruning;
pub mod reference;
mod rules;
mod schema;
pub mod secret;
mod server;
pub mod signature;
mod site;
pub mod structure;
pub mod units;

#[cfg(test)]
mod sample;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use secret::SecretText;

/// The whole of `gateway.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the gateway listens, whom it believes, what it tolerates.
    #[serde(default)]
    pub server: ServerTable,
    /// How long members stay signed in, and the keys that seal their cookies.
    #[serde(default)]
    pub session: SessionTable,
    /// What the upstream apps are told about members, and how it is signed.
    #[serde(default)]
    pub identity: IdentityTable,
    /// The vendors through whom members sign in.
    #[serde(default)]
    pub provider: Vec<ProviderTable>,
    /// The sites: public addresses, each with the app behind it.
    pub site: Vec<SiteTable>,
}

/// `[server]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTable {
    /// Addresses to listen on: IP address and port. Default: `["127.0.0.1:8080"]`.
    pub listen: Option<Vec<String>>,
    /// Networks (CIDR) of the proxies in front of the gateway. From them, and from nobody else, `X-Forwarded-For`,
    /// `X-Forwarded-Host` and `Forwarded` are believed. Default: nobody.
    pub trusted_proxies: Vec<String>,
    /// What tells the upstream where a request came from: `"x"` for `X-Forwarded-*` and `X-Real-IP`, `"rfc7239"` for
    /// `Forwarded`, `"both"` or `"none"`. Default: `"x"`.
    pub forwarded: ForwardedChoice,
    /// What a client may take of size and time.
    pub limits: LimitsTable,
}

/// What tells the upstream where a request came from.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForwardedChoice {
    /// `X-Forwarded-*` and `X-Real-IP`.
    #[default]
    X,
    /// `Forwarded` (RFC 7239).
    Rfc7239,
    /// All of them.
    Both,
    /// None of them.
    None,
}

/// `[server.limits]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// For the head of a request, from its first byte to its last. Default: `"10s"`.
    pub head_timeout: Option<String>,
    /// Size of the head of a request, from 8 KiB to 1 MiB; a longer one gets 431. Default: `"64KiB"`.
    pub head_bytes: Option<String>,
    /// Size of the target of a request; a longer one gets 414. Default: `"16KiB"`.
    pub target_bytes: Option<String>,
    /// Number of fields of a request, from 8 to 1000; more get 431. Default: 100.
    pub fields: Option<u16>,
    /// Between two reads of the body of a request. Default: `"30s"`.
    pub body_idle: Option<String>,
    /// Between two requests on one connection. Default: `"75s"`.
    pub idle: Option<String>,
}

/// `[session]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionTable {
    /// Keys that seal the cookies: 32 bytes each, as base64url without padding (`member-gateway keygen session`). The
    /// first one seals, all of them open, so that a key can be replaced without signing anybody out. Needed as soon as
    /// a site is not on loopback.
    pub keys: Option<Vec<SecretText>>,
    /// A session that is not used for so long ends. Default: `"1h"`.
    pub idle_timeout: Option<String>,
    /// A session ends so long after the login in any case. Default: `"12h"`.
    pub max_age: Option<String>,
}

/// `[identity]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityTable {
    /// Field that names the person. Default: `"X-Member-Id"`.
    pub member_id: Option<String>,
    /// Field that names the person's unit, usually the household. Default: `"X-Member-Unit-Id"`.
    pub member_unit_id: Option<String>,
    /// Field that names the provider; ids are only unique together with it. Default: `"X-Member-Provider"`.
    pub provider: Option<String>,
    /// Field for the given name, such as `"X-Member-First-Name"`. Not sent unless it is set. What is not ASCII is
    /// percent-encoded UTF-8.
    pub first_name: Option<String>,
    /// Field for the family name. Not sent unless it is set.
    pub last_name: Option<String>,
    /// Field for the e-mail address. Not sent unless it is set.
    pub email: Option<String>,
    /// Further fields that must never arrive from a client, such as `"Remote-User"`, in any spelling.
    pub strip: Vec<String>,
    /// How the identity fields are signed (RFC 9421).
    pub signature: SignatureTable,
}

/// `[identity.signature]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignatureTable {
    /// How long a signature holds; whole seconds, at most `"1h"`. Default: `"60s"`.
    pub ttl: Option<String>,
    /// Signing keys; the first one signs. The public halves of all asymmetric ones are published at `/_gateway/keys`.
    /// Needed as soon as a site is not on loopback.
    pub keys: Option<Vec<SigningKeyTable>>,
}

/// One of the signing keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyTable {
    /// Name of the key, which goes into the `keyid` parameter: 1 to 64 characters of `A-Z a-z 0-9 . _ : -`.
    pub id: String,
    /// `"hmac-sha256"`: gateway and app share the key. `"ed25519"`, `"ecdsa-p256-sha256"`: the app needs the public key
    /// only; a signature costs some 15 to 20 µs instead of half a microsecond.
    pub algorithm: AlgorithmChoice,
    /// The key: base64url without padding, 32 bytes or more for hmac, the 32-byte seed for ed25519; or a PKCS #8 PEM
    /// file for ed25519 and ecdsa-p256 (`member-gateway keygen`).
    pub key: SecretText,
}

/// The algorithm of a signing key.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum AlgorithmChoice {
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// EdDSA on curve 25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA on curve P-256 with SHA-256.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
}

/// `[[provider]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "there are a handful of them, read once")]
pub enum ProviderTable {
    /// Daxko Operations.
    Daxko(DaxkoTable),
    /// The Xoxoday storefront.
    Xoxoday(XoxodayTable),
}

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
    /// How often that is asked again while a session lasts, in the background. Default: `"1h"`.
    pub recheck: Option<String>,
    /// How much longer the last good answer counts while Daxko cannot be asked. Default: `"24h"`.
    pub recheck_grace: Option<String>,
    /// How long each answer of Daxko may take. Default: `"10s"`.
    pub timeout: Option<String>,
    /// Where the ids stand in Daxko's answer.
    #[serde(default)]
    pub identity: PointersTable,
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

/// How a token request is written.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingChoice {
    /// `multipart/form-data`
    Multipart,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/json`
    Json,
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

/// `[provider.identity]` of a vendor that has no member ids of its own
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySourceTable {
    /// Where the ids come from: `"token"`, the answer of the code exchange; `"userinfo"`, a further call with the member's
    /// token; `"directory"`, the operator's own list of addresses. Default: `"token"`.
    pub from: IdentitySourceChoice,
    /// JSON pointer (RFC 6901) to the member id in the answer that `from` names. Default: `"/email"`; in the answer of a
    /// directory behind a URL `"/member_id"`. Not for a directory in a file, whose columns say it.
    pub member_id: Option<String>,
    /// The unit id: a JSON pointer into the same answer, `{ value = "…" }` for one that all members share, or
    /// `{ same_as = "member_id" }`. Default: `{ same_as = "member_id" }`; in the answer of a directory behind a URL
    /// `"/member_unit_id"`.
    pub member_unit_id: Option<UnitIdChoice>,
    /// JSON pointer to the given name in the vendor's answer. Not read unless it is set.
    pub first_name: Option<String>,
    /// JSON pointer to the family name in the vendor's answer. Not read unless it is set.
    pub last_name: Option<String>,
    /// JSON pointer to the e-mail address in the vendor's answer, by which a directory is asked. Default: `"/email"`.
    pub email: Option<String>,
    /// An id that is an e-mail address is written in lower case (ASCII), however the member typed it. Default: true; a
    /// directory's ids are taken as they are.
    pub lowercase: Option<bool>,
    /// The call that says who signed in.
    pub userinfo: Option<UserinfoTable>,
    /// The operator's list of addresses and ids.
    pub directory: Option<DirectoryTable>,
}

/// Where the ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdentitySourceChoice {
    /// The answer of the code exchange.
    #[default]
    Token,
    /// A further call with the member's token.
    Userinfo,
    /// The operator's own list of addresses.
    Directory,
}

/// The unit of a vendor that may have none.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UnitIdChoice {
    /// A JSON pointer (RFC 6901).
    Pointer(String),
    /// One unit for everybody.
    Value(UnitIdValue),
    /// The member alone.
    SameAs(UnitIdSameAs),
}

/// One unit for everybody.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitIdValue {
    /// The id of the unit.
    pub value: String,
}

/// A unit of one member.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitIdSameAs {
    /// Always `"member_id"`.
    pub same_as: SameAsChoice,
}

/// What the unit id is the same as.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameAsChoice {
    /// The member id.
    MemberId,
}

/// `[provider.identity.userinfo]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserinfoTable {
    /// `"GET"` or `"POST"`. Default: `"POST"` where there is a `body`, else `"GET"`.
    pub method: Option<UserinfoMethod>,
    /// The address that is asked, with the member's token as bearer. Default: `/v1/oauth/api` below `oauth_url`.
    pub url: Option<String>,
    /// Further fields of the request, each a text or a secret. `Content-Type` is `application/json` unless it is here.
    pub headers: BTreeMap<String, SecretText>,
    /// What is posted.
    pub body: Option<String>,
}

/// How the user-details call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum UserinfoMethod {
    /// Without a body.
    Get,
    /// With one.
    Post,
}

/// `[provider.identity.directory]`: either `file` or `url`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DirectoryTable {
    /// A CSV file with the columns `email`, `member_id` and `member_unit_id`, named in its first line; others are
    /// ignored. It is read again when it changes.
    pub file: Option<String>,
    /// An address with `{email}` in its path or query, which is asked for each login and answers with JSON.
    pub url: Option<String>,
    /// Fields of that request, such as `Authorization`, each a text or a secret.
    pub headers: BTreeMap<String, SecretText>,
    /// What becomes of a member whose address is not there: `"deny"`, they are not signed in. Default: `"deny"`.
    pub on_missing: OnMissingChoice,
}

/// What becomes of a member whose address a directory does not have.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingChoice {
    /// They are not signed in.
    #[default]
    Deny,
}

/// `[[site]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteTable {
    /// Public address: scheme, host and port. The scheme decides whether cookies are `Secure`; the host selects the
    /// site. `http://` for loopback only.
    pub public_url: String,
    /// The app behind the site: `["http://127.0.0.1:3000"]`, or `"sandbox"` for the built-in sample app.
    pub upstream: UpstreamChoice,
    /// Names of the providers through whom members sign in here.
    pub providers: Vec<String>,
    /// Rules match regardless of case, for upstreams that do the same, such as IIS. Default: false.
    #[serde(default)]
    pub ignore_case: bool,
    /// How long the upstream may take.
    #[serde(default)]
    pub timeouts: TimeoutsTable,
    /// What the gateway's own pages say.
    #[serde(default)]
    pub pages: PagesTable,
    /// What outlives a login.
    #[serde(default)]
    pub login: LoginTable,
    /// Signing keys for this site alone, in place of those of `[identity.signature]`.
    pub signature: Option<SignatureTable>,
    /// Who may see what. The first rule that matches counts; where none does, a session is needed.
    #[serde(default)]
    pub rule: Vec<RuleTable>,
}

/// One upstream, or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UpstreamChoice {
    /// An address, or `sandbox`.
    One(String),
    /// Addresses; at present one.
    Several(Vec<String>),
}

/// `[site.timeouts]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsTable {
    /// To accept a connection. Default: `"5s"`.
    pub connect: Option<String>,
    /// From the end of the request to the first byte of the answer. Default: `"60s"`.
    pub first_byte: Option<String>,
    /// Between two reads of the answer. Default: `"30s"`.
    pub idle: Option<String>,
}

/// `[site.pages]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PagesTable {
    /// What the pages call the site. Default: its host.
    pub name: Option<String>,
    /// A picture in place of the name: an SVG, PNG, WebP or JPEG file of at most 64 KiB, which becomes part of each page.
    pub logo: Option<String>,
    /// Colour of buttons and links, such as `"#0b5cad"`. Where it could not be read, in light or in dark, a lighter or
    /// darker shade of it is taken.
    pub colour: Option<String>,
    /// What helps whoever gets no further, on pages that say that something did not work.
    pub help: Option<LocalizedText>,
    /// Whom to ask, on the same pages. An e-mail address, a telephone number or an `https://` address by itself becomes
    /// a link.
    pub contact: Option<LocalizedText>,
    /// A folder of templates in place of the gateway's own pages: `docs/pages.md`.
    pub templates: Option<String>,
}

/// A text that members read: one for everybody, or one for each language.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LocalizedText {
    /// The same for everybody.
    One(String),
    /// One for each language.
    Each(LanguagesTable),
}

/// A text in several languages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguagesTable {
    /// English, also for whoever reads none of the others.
    pub en: String,
    /// Spanish.
    pub es: Option<String>,
    /// French.
    pub fr: Option<String>,
}

/// `[site.login]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoginTable {
    /// What is kept in the browser while a member signs in again: `"form"`, the body of a form that the site itself
    /// posted after the session had ended; `"fragment"`, what follows the `#` of an address. Both need script in the
    /// browser. Default: `["form"]`.
    pub preserve: Option<Vec<PreserveChoice>>,
    /// The largest body that is kept. Default: `"256KiB"`.
    pub preserve_limit: Option<String>,
}

/// What is kept while a member signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PreserveChoice {
    /// The body of a form.
    Form,
    /// The fragment of the address.
    Fragment,
}

/// `[[site.rule]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    /// The paths: anchored; `*` for any characters within one segment, `/**` at the end for that path and all below.
    pub path: String,
    /// The methods, such as `["GET", "HEAD"]`. Default: all.
    pub methods: Option<Vec<String>>,
    /// `"public"`: everybody, and the upstream is told of nobody. `"optional"`: everybody, and the upstream is told of
    /// members. `"member"`: members. `"deny"`: nobody.
    pub access: AccessChoice,
    /// What a stranger gets where a session is needed: `"auto"`, `"login"` or `"401"`. Default: `"auto"`.
    pub unauthenticated: Option<UnauthenticatedChoice>,
    /// With `access = "member"`: only these members; others get 403.
    pub allow: Option<AllowTable>,
    /// What whoever is turned away with 403 can do about it, in place of the site's `help`: a text, or one for each
    /// language. With `access = "deny"` or `allow`.
    pub remedy: Option<LocalizedText>,
    /// Further origins from which a WebSocket handshake is accepted.
    #[serde(default)]
    pub origins: Vec<String>,
}

/// Who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessChoice {
    /// Everybody, as nobody in particular.
    Public,
    /// Everybody, members as themselves.
    Optional,
    /// Members.
    Member,
    /// Nobody.
    Deny,
}

/// What a stranger gets.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub enum UnauthenticatedChoice {
    /// Navigations go to the login, everything else gets 401.
    #[serde(rename = "auto")]
    Auto,
    /// Always the login.
    #[serde(rename = "login")]
    Login,
    /// Always 401.
    #[serde(rename = "401")]
    Status401,
}

/// `allow` of a rule: every list that is given has to name the member.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllowTable {
    /// These persons.
    pub member_id: Option<Vec<String>>,
    /// These units.
    pub member_unit_id: Option<Vec<String>>,
    /// Members of these providers.
    pub provider: Option<Vec<String>>,
}

/// The JSON Schema of `gateway.toml`.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
