//! A gateway on free ports, a browser with a cookie jar, an upstream that remembers.

mod addresses;
mod browser;
pub mod http2;
mod modern;
mod program;
mod redis;
mod tls;
mod upstream;
mod wire;

pub use addresses::free_address;
pub use browser::{Browser, NAVIGATION, Page, parameter, with_parameter};
pub use modern::{Modern, Pieces, answer, trailers};
pub use program::{Ended, Folder, Log, Running, member_gateway};
pub use redis::Redis;
pub use tls::{Authority, Secured, client, trusting};
pub use upstream::{Recorded, Upstream};
pub use wire::{RawUpstream, Wire, eventually};

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use member_gateway::cli::run::{self, Started};
use member_gateway::config::diagnostics::Source;
use member_gateway::sandbox::daxko::Daxko;
use member_gateway::sandbox::xoxoday::Xoxoday;
use member_gateway::time::{Clock, ManualClock, UnixTime};

/// The site of nearly all tests: https, though TLS ends in front of the gateway.
pub const SITE: &str = "https://members.localhost";
/// When the tests take place.
pub const NOW: UnixTime = UnixTime(1_795_300_000);
/// The key that signs, as `gateway.toml` has it.
pub const SIGNING_KEY: &str = "c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY";

/// A gateway that serves one site in front of an upstream that remembers, with the sandbox for a vendor.
pub struct Gateway {
    started: Started,
    /// Its gateway.toml.
    pub configuration: String,
    /// The time of the gateway, its vendor and its upstream.
    pub clock: ManualClock,
    upstream: Upstream,
}

/// What a test changes about the configuration.
#[derive(Clone, Default)]
pub struct Options {
    /// Other addresses to listen on: the inside of the list.
    pub listen: Option<&'static str>,
    /// Where the files of its configuration are.
    pub folder: Option<PathBuf>,
    /// Further keys of `[server]`.
    pub server: &'static str,
    /// Further keys of `[session]`.
    pub session: &'static str,
    /// Further keys of `[identity]`.
    pub identity: &'static str,
    /// Further keys of `[[provider]]`.
    pub provider: &'static str,
    /// Further keys of `[[site]]`, in front of its rules.
    pub site: &'static str,
    /// Whole tables at the end.
    pub more: &'static str,
    /// Other session keys: the inside of the list.
    pub session_keys: Option<&'static str>,
    /// Another signing key: the inside of the list.
    pub signing_keys: Option<&'static str>,
    /// Another upstream.
    pub upstream: Option<SocketAddr>,
    /// Other upstreams: the inside of the list.
    pub upstreams: Option<String>,
    /// It is now, for those who look at a clock of their own.
    pub real_time: bool,
    /// Other providers of the site: the inside of the list.
    pub providers: Option<&'static str>,
}

impl Options {
    /// Nothing is changed; for constants, which cannot call `default`.
    pub const USUAL: Self = Self {
        listen: None,
        folder: None,
        server: "",
        session: "",
        identity: "",
        provider: "",
        site: "",
        more: "",
        session_keys: None,
        signing_keys: None,
        upstream: None,
        upstreams: None,
        real_time: false,
        providers: None,
    };
}

/// Hundreds of tests in one process would otherwise run out of file descriptors.
impl Drop for Gateway {
    fn drop(&mut self) {
        self.started.running.stop();
        self.started.admin.iter().for_each(member_gateway::server::Running::stop);
        self.started.relays.stop();
    }
}

impl Gateway {
    /// The usual one.
    pub fn with_sandbox() -> Self {
        Self::with(&Options::default())
    }

    /// One that differs from the usual.
    pub fn with(options: &Options) -> Self {
        let upstream = Upstream::start();
        let clock = ManualClock::starting_at(NOW);
        let text = configuration(options, options.upstream.unwrap_or(upstream.address()));
        let time = if options.real_time { Clock::System } else { Clock::Manual(clock.clone()) };
        let folder = options.folder.clone().unwrap_or_else(|| ".".into());
        let started = run::start(&Source::new("gateway.toml", &*text), folder, time);
        let started = started.unwrap_or_else(|error| panic!("{error}"));
        Self { started, configuration: text, clock, upstream }
    }

    /// The usual one, with this upstream in place of the one that remembers.
    pub fn in_front_of(upstream: &RawUpstream) -> Self {
        Self::with(&Options { upstream: Some(upstream.address()), ..Options::default() })
    }

    /// The usual one, with these upstreams in its place and further keys of the site.
    pub fn between(upstreams: &[SocketAddr], site: &'static str) -> Self {
        let listed: Vec<String> = upstreams.iter().map(|address| format!("\"http://{address}\"")).collect();
        Self::with(&Options { upstreams: Some(listed.join(", ")), site, ..Options::default() })
    }

    /// Has it read another configuration, with the same upstream unless that differs, too.
    pub fn reload(&mut self, options: &Options) -> Result<(), String> {
        let text = configuration(options, options.upstream.unwrap_or(self.upstream.address()));
        self.started.reload(&Source::new("gateway.toml", &*text)).map_err(|error| error.to_string())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.started.running.addresses()[0]
    }

    /// Where all its listeners are, in the order of the config.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.started.running.addresses()
    }

    /// Where its operators ask.
    pub fn admin(&self) -> SocketAddr {
        self.started.admin.as_ref().expect("the configuration has an admin_listen").addresses()[0]
    }

    /// Where apps ask the vendor's API.
    pub fn relay(&self) -> SocketAddr {
        self.relays().next().expect("the configuration has an api_listen")
    }

    /// The same, of all providers.
    pub fn relays(&self) -> impl Iterator<Item = SocketAddr> {
        self.started.relays.addresses()
    }

    /// Tells it to take no more requests.
    pub fn stop(&self) {
        self.started.running.stop();
    }

    /// Tells it that the file of its access log was moved away.
    pub fn reopen_log(&self) {
        self.started.telemetry.reopen();
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(self.address())
    }

    /// A browser that has signed in as the sandbox's first member.
    pub async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let page = browser.visit("/").await;
        assert_eq!(page.status, 200, "{}", page.body);
        self.upstream.forget();
        browser
    }

    /// The `Cookie` line of somebody who has signed in, for requests written by hand. Whatever the upstream is, it is
    /// not asked.
    pub async fn member(&self) -> String {
        let mut browser = self.browser();
        let callback = browser.up_to_the_callback("/").await;
        assert_eq!(browser.go(&callback).await.status, 303);
        format!("Cookie: __Host-member-session={}\r\n", browser.session_cookie().unwrap())
    }

    /// A connection to write requests to by hand.
    pub fn connect(&self) -> Wire {
        Wire::to(self.address())
    }

    /// What the upstream gets of a request with this line and these fields.
    pub fn forwards(&self, line: &str, fields: &str) -> Recorded {
        self.upstream.forget();
        let answer = self.raw(last_head(line, fields));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{line}: {answer}");
        self.upstream.last_request()
    }

    /// The legacy app.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The simulated vendor.
    pub fn daxko(&self) -> &Daxko {
        &self.started.sandbox.as_ref().expect("the usual configuration has a sandbox").vendors.daxko
    }

    /// The other simulated vendor, where the configuration has it.
    pub fn xoxoday(&self) -> &Xoxoday {
        let sandbox = self.started.sandbox.as_ref().expect("the configuration has a sandbox");
        sandbox.vendors.xoxoday.as_ref().expect("the configuration has a sandboxed Xoxoday")
    }

    /// How many times a code was brought to the vendor.
    pub fn exchanges(&self) -> usize {
        let requests = self.daxko().requests();
        requests.iter().filter(|request| request.path == "/v3/partners/oauth2/members/token").count()
    }

    /// Moves the time.
    pub fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Sends bytes over a connection of their own and reads until the gateway closes it or has been silent for long.
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        raw_to(self.address(), bytes)
    }
}

/// The same, to any address.
pub fn raw_to(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A gateway that has seen enough may close before everything is written.
    let _ = socket.write_all(bytes.as_ref());
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request to the usual site, as a head with these fields.
pub fn head(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: members.localhost\r\n{fields}\r\n")
}

/// The same for a connection that ends with it.
pub fn last_head(line: &str, fields: &str) -> String {
    head(line, &format!("{fields}Connection: close\r\n"))
}

fn configuration(options: &Options, upstream: SocketAddr) -> String {
    let Options { server, session, identity, provider, site, more, signing_keys, providers, .. } = options;
    let own_keys = format!("{{ id = \"2026-11\", algorithm = \"hmac-sha256\", key = \"{SIGNING_KEY}\" }}");
    let signing_keys = signing_keys.map_or(own_keys, str::to_owned);
    let session_keys = options.session_keys.unwrap_or("\"c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\"");
    let providers = providers.unwrap_or("\"ymca\"");
    let listen = options.listen.unwrap_or("\"127.0.0.1:0\"");
    let upstreams = options.upstreams.clone().unwrap_or_else(|| format!("\"http://{upstream}\""));
    format!(
        r#"
[server]
listen = [{listen}]
{server}

[session]
keys = [{session_keys}]
{session}

[identity]
{identity}

[identity.signature]
keys = [{signing_keys}]

[[provider]]
name = "ymca"
kind = "daxko"
environment = "sandbox"
{provider}

[[site]]
public_url = "{SITE}"
upstream = [{upstreams}]
providers = [{providers}]
{site}

[[site.rule]]
path = "/public/**"
access = "public"

[[site.rule]]
path = "/optional/**"
access = "optional"

[[site.rule]]
path = "/denied/**"
access = "deny"

[[site.rule]]
path = "/api/**"
access = "member"
unauthenticated = "401"

[[site.rule]]
path = "/staff/**"
access = "member"
allow = {{ member_unit_id = ["400011208"] }}

{more}
"#
    )
}
