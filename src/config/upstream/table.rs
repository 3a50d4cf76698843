//! The keys about the way to an upstream, as written.

use schemars::JsonSchema;
use serde::Deserialize;

/// One upstream, or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UpstreamChoice {
    /// An address, or `sandbox`.
    One(String),
    /// Addresses, between which requests are balanced.
    Several(Vec<String>),
}

/// Which of several upstreams gets a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalanceChoice {
    /// The one that is serving the fewest.
    #[default]
    LeastBusy,
    /// One after the other.
    RoundRobin,
}

/// Which HTTP is spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub enum ProtocolChoice {
    /// What both ends agree on.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2
    #[serde(rename = "h2")]
    Http2,
}

/// `[site.upstream_tls]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTlsTable {
    /// PEM file of the authorities whose certificates are trusted, in place of those that this machine trusts.
    pub ca: Option<String>,
    /// PEM file of the certificate that the gateway shows to the upstream, and those that lead to its root.
    pub cert: Option<String>,
    /// PEM file of its private key, without a passphrase. It may be the same file.
    pub key: Option<String>,
    /// The name that the upstream's certificate bears, and that it is asked for. Default: the host of the upstream.
    pub server_name: Option<String>,
}

/// `[site.health]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthTable {
    /// What each upstream is asked for, with GET. Default: `"/"`.
    pub path: Option<String>,
    /// Between two questions. Default: `"5s"`.
    pub interval: Option<String>,
    /// How long an answer may take. Default: `"2s"`.
    pub timeout: Option<String>,
    /// The status of a good answer: `[200, 204]`. Default: any from 200 to 299.
    pub status: Option<Vec<u16>>,
    /// So many bad answers in a row, or none at all, and the upstream gets no requests while there is another. Default: 3.
    pub fall: Option<u32>,
    /// So many good ones in a row, and it gets them again. Default: 2.
    pub rise: Option<u32>,
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

/// `[site.pool]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolTable {
    /// A connection that has idled for so long is closed; shorter than the upstream's own limit. Default: `"15s"`.
    pub idle: Option<String>,
    /// A connection that is so old is not used again. Default: `"5m"`.
    pub age: Option<String>,
    /// Idle connections that each worker keeps for one address. Default: 256.
    pub most_idle: Option<u16>,
}
