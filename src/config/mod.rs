//! `gateway.toml` as written.
//!
//! The tables here, and those of the vendors in `provider`, are plain: text where the file has text, defaults where it
//! has nothing. Their doc comments are the reference that operators read (`docs/configuration.md`), by way of the JSON
//! Schema. What the text means is decided in one step, [`assemble`], which either builds the rooms or reports every
//! mistake at once.

pub mod assemble;
mod bridge;
mod client_tls;
mod conformance;
pub mod diagnostics;
mod likeness;
mod log;
mod masking;
mod mistakes;
mod pages;
mod places;
pub mod provider;
mod pruning;
pub mod reference;
pub mod relay;
mod rules;
mod schema;
pub mod secret;
mod server;
mod session;
pub mod signature;
mod site;
pub mod structure;
mod tls;
pub mod units;
mod upstream;

#[cfg(test)]
mod sample;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::bridge::{BasicTable, BridgeTable, HoldsChoice, RemoteUserTable};
pub use self::log::table::*;
pub use self::provider::daxko::table::*;
pub use self::provider::identity_source::table::*;
pub use self::provider::xoxoday::table::*;
pub use self::server::table::*;
pub use self::upstream::table::*;
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
    /// What is logged of requests, and where.
    #[serde(default)]
    pub log: LogTable,
    /// The vendors through whom members sign in.
    #[serde(default)]
    pub provider: Vec<ProviderTable>,
    /// The sites: public addresses, each with the app behind it.
    pub site: Vec<SiteTable>,
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
    /// Where is kept whose sessions have been ended: `"memory"`, which a restart forgets; `"file:"` and a path, for one
    /// gateway or several on one machine; or the address of a Redis that gateways share: `"redis://host:6379/0"`,
    /// `"rediss://…"` for TLS, `"unix://…"` for a socket, with a password where it has one. What is kept is sealed with the keys of the sessions. It changes with a restart
    /// only. `docs/sessions.md`. Default: `"memory"`.
    pub store: Option<SecretText>,
    /// Whom a `store` with `rediss://` has to be vouched for by, and what it is shown.
    pub store_tls: Option<StoreTlsTable>,
    /// What becomes of members while `store` is lost: `"serve"`, they go on, and what is known counts; `"refuse"`, after a
    /// minute they get 503. Default: `"serve"`.
    pub outage: OutageChoice,
}

/// `[session.store_tls]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreTlsTable {
    /// PEM file of the authorities whose certificates are trusted, in place of those that this machine trusts.
    pub ca: Option<String>,
    /// PEM file of the certificate that the gateway shows to Redis, which wants one unless `tls-auth-clients` says
    /// otherwise, and those that lead to its root.
    pub cert: Option<String>,
    /// PEM file of its private key, without a passphrase. It may be the same file.
    pub key: Option<String>,
}

/// What becomes of members while the store of revocations is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutageChoice {
    /// What is known counts.
    #[default]
    Serve,
    /// They get 503 after a minute.
    Refuse,
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
    /// A JWT (RFC 7519) beside the fields, for apps whose framework knows nothing else: `docs/verify/jwt.md`. It is signed
    /// by the first of the signing keys that is no hmac key, and part of what the signature covers. Not sent unless this
    /// table is there.
    pub jwt: Option<JwtTable>,
}

/// `[identity.jwt]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtTable {
    /// Field that holds the JWT. Default: `"X-Member-Assertion"`.
    pub field: Option<String>,
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

/// `[[site]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteTable {
    /// Public address: scheme, host and port. The scheme decides whether cookies are `Secure`; the host selects the
    /// site. `http://` for loopback only.
    pub public_url: String,
    /// The app behind the site: `["http://127.0.0.1:3000"]`, `["https://app.internal"]`, `["unix:/run/app.sock"]`,
    /// several of them, or `"sandbox"` for the built-in sample app: `docs/upstreams.md`.
    pub upstream: UpstreamChoice,
    /// Names of the providers through whom members sign in here.
    pub providers: Vec<String>,
    /// Rules match regardless of case, for upstreams that do the same, such as IIS. Default: false.
    #[serde(default)]
    pub ignore_case: bool,
    /// Which of several upstreams gets a request: `"least_busy"`, the one that is serving the fewest, or `"round_robin"`,
    /// one after the other. Default: `"least_busy"`.
    #[serde(default)]
    pub balance: BalanceChoice,
    /// Which HTTP the upstream speaks: `"http/1.1"`; `"h2"`, HTTP/2, over `http://` without asking first; or `"auto"`,
    /// HTTP/2 over `https://` where the upstream offers it, and otherwise HTTP/1.1. Default: `"auto"`.
    #[serde(default)]
    pub protocol: ProtocolChoice,
    /// How TLS is spoken to upstreams with `https://`.
    pub upstream_tls: Option<UpstreamTlsTable>,
    /// Whether the upstreams are asked for their health. Default: they are not, and what happens to requests tells.
    pub health: Option<HealthTable>,
    /// How long the upstream may take.
    #[serde(default)]
    pub timeouts: TimeoutsTable,
    /// Requests that may be under way to the app, for each core; more get 503 and `Retry-After`. So an app that is stuck
    /// does not fill the gateway, and is not buried when it comes back. WebSockets do not count, event streams do.
    /// Default: 4096.
    pub in_flight: Option<u32>,
    /// How long connections to the upstream are used again.
    #[serde(default)]
    pub pool: PoolTable,
    /// What the gateway's own pages say.
    #[serde(default)]
    pub pages: PagesTable,
    /// What outlives a login.
    #[serde(default)]
    pub login: LoginTable,
    /// For an app that cannot be changed: who the member is, in the words it knows already. The app has to be out of reach for
    /// everybody but the gateway: `docs/bridges.md`.
    pub bridge: Option<BridgeTable>,
    /// Signing keys for this site alone, in place of those of `[identity.signature]`.
    pub signature: Option<SignatureTable>,
    /// Who may see what. The first rule that matches counts; where none does, a session is needed.
    #[serde(default)]
    pub rule: Vec<RuleTable>,
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
    /// Memory that all forms may take which are being kept or come back, each octet counted twice. Nobody has to be signed in
    /// to post one. A form for which there is no room is not kept: whoever posted it signs in first, as above the limit; one that
    /// comes back gets 503, and can be sent again. At least twice what the largest takes sealed; default: `"32MiB"`, or that.
    pub preserve_memory: Option<String>,
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
    /// With `access = "member"`: only these members; others get 403. Where several lists are given, each has to name the
    /// member.
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
