//! `[server]` and the tables in it, as written.

use schemars::JsonSchema;
use serde::Deserialize;

/// `[server]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTable {
    /// Addresses to listen on: IP address and port, or the path of a Unix socket such as `"unix:/run/mg.sock"`; or
    /// `{ address = "…", tls = false }` for plain HTTP beside TLS, or `{ address = "…", redirect = true }` for plain HTTP
    /// that is answered with a redirect to https. They change with a restart or a hand-over only. Default:
    /// `["127.0.0.1:8080"]`.
    pub listen: Option<Vec<ListenChoice>>,
    /// Address for operators: IP address and port, such as `"127.0.0.1:9901"`. `/livez`, `/readyz`, `/metrics`
    /// and `/revoke` are there and nowhere else; nobody is asked for a password, so let it be a loopback address or one that only your
    /// monitoring can reach. It is not read again on SIGHUP. Default: none.
    pub admin_listen: Option<String>,
    /// TLS towards browsers. With it every address of `listen` speaks TLS that does not say otherwise; without it the
    /// gateway speaks plain HTTP.
    pub tls: Option<TlsTable>,
    /// Networks (CIDR) of the proxies in front of the gateway. From them, and from nobody else, `X-Forwarded-For`,
    /// `X-Forwarded-Host` and `Forwarded` are believed, and questions about requests of others answered
    /// (`/_gateway/auth`). Default: nobody.
    pub trusted_proxies: Vec<String>,
    /// What tells the upstream where a request came from: `"x"` for `X-Forwarded-*` and `X-Real-IP`, `"rfc7239"` for
    /// `Forwarded`, `"both"` or `"none"`. Default: `"x"`.
    pub forwarded: ForwardedChoice,
    /// Where a new process asks this one for its listening sockets, such as `"unix:/run/member-gateway/handover"`: with
    /// `run --takeover` it serves in its place without one refused connection. Default: nowhere.
    pub handover: Option<String>,
    /// What a client may take of size and time.
    pub limits: LimitsTable,
}

/// An address to listen on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ListenChoice {
    /// IP address and port, or a Unix socket.
    Address(String),
    /// The same, and what is spoken there.
    Table(ListenTable),
}

/// An address to listen on, and what is spoken there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTable {
    /// IP address and port, or `"unix:"` and a path.
    pub address: String,
    /// Whether TLS is spoken there. Default: yes where `[server.tls]` is set; never at a Unix socket.
    pub tls: Option<bool>,
    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2, which names its client. It is
    /// taken from `trusted_proxies`; whoever else comes, and whoever does not begin with it, is turned away. Default:
    /// false.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Permissions of a Unix socket, in octal: who may write to its file may connect. Default: `"0660"`.
    pub mode: Option<String>,
    /// Answers every request, over plain HTTP, with a redirect (308) to the https address of the same site, and
    /// `/_gateway/health` itself. Default: false.
    #[serde(default)]
    pub redirect: bool,
    /// Whether HTTP/2 is spoken there without TLS (`h2c`), besides HTTP/1.1, with clients that begin with it unasked
    /// (RFC 9113 §3.3): a proxy in front that is told to. Default: false. With TLS, HTTP/2 is always spoken.
    #[serde(default)]
    pub h2c: bool,
}

/// `[server.tls]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    /// Certificates. A browser gets one that bears the name it asks for, and otherwise the first. Their files are read
    /// again when they change.
    pub certificates: Vec<CertificateTable>,
    /// How long browsers come with https only once they have been here: `Strict-Transport-Security` on https sites, over
    /// TLS of the gateway's own. It is hard to take back: begin with `"1h"`, end at `"365d"`; `"0s"` takes an earlier
    /// one back. What an app says itself stands. Default: not sent.
    pub hsts: Option<String>,
}

/// One of the certificates.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateTable {
    /// PEM file of the certificate and, behind it, of those that lead to its root.
    pub cert: String,
    /// PEM file of its private key, without a passphrase. It may be the same file.
    pub key: String,
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
    /// Number of cookies of a request, from 50 to 1000; more get 431. A browser keeps some 180 for a site, so more are no
    /// browser's, or somebody has planted them there. Default: 200.
    pub cookies: Option<u16>,
    /// Number of fields of a request, from 8 to 1000; more get 431. Default: 100.
    pub fields: Option<u16>,
    /// Between two reads of the body of a request, and how long a client may leave an answer unread; WebSockets are exempt.
    /// Default: `"30s"`.
    pub body_idle: Option<String>,
    /// Octets of the body of a request that come in a second at least, while it is waited for; whoever falls behind by
    /// `body_idle` is cut off, so that nobody keeps an app busy by sending a letter now and then. 0 for any pace.
    /// Default: 100.
    pub body_rate: Option<u32>,
    /// Between two requests on one connection. Default: `"75s"`.
    pub idle: Option<String>,
    /// Connections in all; more are closed as they come. Each may need a second file descriptor for its app, so the process
    /// should be allowed twice as many. From 100; default: 20000.
    pub connections: Option<u32>,
    /// Connections from one address, or one network of IPv6 (/64); more are closed as they come. Many members may share an
    /// address, at a club or on the phone, and each browser opens up to six. Not for `trusted_proxies`, nor for
    /// connections from this machine; with the PROXY protocol it counts for the clients it names. From 10; default: 1000.
    pub connections_per_peer: Option<u32>,
    /// Sign-ins that may begin from one address, or one network of IPv6 (/64), within a minute; more get 429. Whoever
    /// begins thousands has the vendor's page opened thousands of times in your name; a whole club behind one address is
    /// not that many. Not for connections from this machine; behind a proxy list it in `trusted_proxies`, or all members
    /// count as one. Default: 300.
    pub login_starts: Option<u32>,
    /// Memory that requests and answers under way over HTTP/2 may hold, for each core. A few octets of HTTP/2 can stand for
    /// tens of thousands, a hundred requests share a connection, and whoever does not read leaves the answers here. Beyond
    /// it, a connection with more than a few streams has new ones refused, which makes browsers ask again
    /// (REFUSED_STREAM). An ordinary request counts as 66 KiB, one with a body as 130 KiB, and so does a WebSocket until it is
    /// open; from then on it counts as 32 KiB, and what waits in it. From 1 MiB; default: `"10MiB"`.
    pub http2_bytes: Option<String>,
}
