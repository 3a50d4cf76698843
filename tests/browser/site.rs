//! A gateway on a free port with the built-in sandbox behind it, in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use member_gateway::cli::run::{self, Sandbox, Started};
use member_gateway::config::diagnostics::Source;
use member_gateway::sandbox::daxko::Faults;
use member_gateway::sandbox::xoxoday::Xoxoday;
use member_gateway::time::{Clock, ManualClock};

use serde_json::json;

use crate::addresses::free_address;
use crate::chromium::Browser;

/// The sample member whom Daxko's form is filled in for.
pub(crate) const MEMBER: &str = "400007995-00";
/// The unit of that member.
pub(crate) const UNIT: &str = "400007995";
/// Whom Xoxoday's form is filled in for; the address is all that is known, so it is the unit as well.
pub(crate) const ACCOUNT: &str = "rosa.alvarez@example.org";
/// What the repository comes with: both vendors in the sandbox, for members to choose from.
const AS_IT_COMES: &str = include_str!("../../gateway.toml");

/// A running gateway.
pub(crate) struct Site {
    origin: String,
    started: Option<Started>,
}

impl Site {
    /// One site on plain HTTP, with the sample app.
    pub(crate) fn start() -> Self {
        let port = free_address().port();
        Self::behind(port, &format!("http://localhost:{port}"))
    }

    /// A gateway that listens on one port and is known to browsers under another address.
    pub(crate) fn behind(port: u16, origin: &str) -> Self {
        Self::with(port, origin, "")
    }

    /// The same, with more written at the end of the configuration.
    pub(crate) fn with(port: u16, origin: &str, more: &str) -> Self {
        let config = format!(
            r#"
            [server]
            listen = ["127.0.0.1:{port}"]
            trusted_proxies = ["127.0.0.1"]

            [[provider]]
            name = "ymca"
            kind = "daxko"
            title = "YMCA of the Seven Lakes"
            environment = "sandbox"

            [[site]]
            public_url = "{origin}"
            upstream = "sandbox"
            providers = ["ymca"]

            [site.pages]
            name = "Seven Lakes members"

            [[site.rule]]
            path = "/assets/**"
            access = "public"

            [[site.rule]]
            path = "/staff/**"
            access = "deny"

            [[site.rule]]
            path = "/board/**"
            access = "member"
            allow = {{ member_unit_id = ["1"] }}
            {more}"#
        );
        Self::configured(origin, config, Clock::System)
    }

    /// One with TLS of its own, in front of this app; operators may ask at `admin`.
    pub(crate) fn with_tls(folder: &Path, app: SocketAddr, admin: u16) -> Self {
        let port = free_address().port();
        let origin = format!("https://localhost:{port}");
        let names = vec!["localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(folder.join("site.pem"), made.cert.pem()).expect("the file is written");
        std::fs::write(folder.join("site.key"), made.signing_key.serialize_pem())
            .expect("the file is written");
        let config = format!(
            r#"
            [server]
            listen = ["127.0.0.1:{port}"]
            admin_listen = "127.0.0.1:{admin}"

            [[server.tls.certificates]]
            cert = "site.pem"
            key = "site.key"

            [[provider]]
            name = "ymca"
            kind = "daxko"
            environment = "sandbox"

            [[site]]
            public_url = "{origin}"
            upstream = "http://{app}"
            providers = ["ymca"]"#
        );
        Self::configured_in(folder, &origin, config, Clock::System)
    }

    /// The site of the repository's own `gateway.toml`.
    pub(crate) fn as_it_comes() -> Self {
        Self::edited(&[])
    }

    /// The same, with some of its words replaced.
    pub(crate) fn edited(edits: &[(&str, &str)]) -> Self {
        Self::edited_at(Clock::System, edits)
    }

    /// The same, where time stands still: what counts by the minute does so on a slow machine as well.
    pub(crate) fn standing_still(edits: &[(&str, &str)]) -> Self {
        Self::edited_at(Clock::Manual(ManualClock::starting_at(Clock::System.now())), edits)
    }

    fn edited_at(clock: Clock, edits: &[(&str, &str)]) -> Self {
        let mut config = AS_IT_COMES.to_owned();
        let port = free_address().port().to_string();
        for (old, new) in [("8080", port.as_str())].iter().chain(edits) {
            assert!(config.contains(old), "gateway.toml has no {old}");
            config = config.replace(old, new);
        }
        Self::configured(&format!("http://localhost:{port}"), config, clock)
    }

    fn configured(origin: &str, config: String, clock: Clock) -> Self {
        Self::configured_in(Path::new("."), origin, config, clock)
    }

    fn configured_in(folder: &Path, origin: &str, config: String, clock: Clock) -> Self {
        let source = Source::new("gateway.toml", config);
        let started = run::start(&source, folder.to_owned(), clock).expect("the gateway starts");
        Self { origin: origin.to_owned(), started: Some(started) }
    }

    /// An address on the site.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// What goes wrong at Daxko on demand.
    pub(crate) fn faults(&self) -> &Faults {
        self.sandbox().vendors.daxko.faults()
    }

    /// The simulation of Xoxoday.
    pub(crate) fn xoxoday(&self) -> &Xoxoday {
        self.sandbox().vendors.xoxoday.as_ref().expect("a provider is simulated by it")
    }

    /// The simulations and the sample app.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        let sandbox = self.started.as_ref().and_then(|started| started.sandbox.as_ref());
        sandbox.expect("the configuration uses the sandbox")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(started) = self.started.take() {
            started.running.drain(Duration::ZERO);
        }
    }
}

impl Browser {
    /// Waits for Daxko's form.
    pub(crate) async fn sees_daxkos_form(&self) {
        self.sees("form[action='/online/auth'] #username").await;
    }

    /// Sends Daxko's form as it is filled in.
    pub(crate) async fn logs_in_at_daxko(&self) {
        self.click("form[action='/online/auth'] button").await;
    }

    /// Chooses one of several ways to sign in.
    pub(crate) async fn chooses(&self, provider: &str) {
        self.click(&format!("ul.choices a[href*='provider={provider}&']")).await;
    }

    /// Waits for Xoxoday's form.
    pub(crate) async fn sees_xoxodays_form(&self) {
        self.sees("form[action='/chef/login'] #email").await;
    }

    /// Sends Xoxoday's form as it is filled in, and waits to be asked for consent.
    pub(crate) async fn logs_in_at_xoxoday(&self) {
        self.click("form[action='/chef/login'] button").await;
        self.is_asked_for_consent().await;
    }

    /// Waits for the question whether the site may know who it is.
    pub(crate) async fn is_asked_for_consent(&self) {
        self.sees("form[action='/chef/consent'] button").await;
    }

    /// Presses Allow.
    pub(crate) async fn allows(&self) {
        self.click("form[action='/chef/consent'] button[value=allow]").await;
    }

    /// Presses Deny.
    pub(crate) async fn denies(&self) {
        self.click("form[action='/chef/consent'] button[value=deny]").await;
    }

    /// Visits a page of the app as a stranger, and signs in on the way with Xoxoday.
    pub(crate) async fn signs_in_with_xoxoday(&self, site: &Site, path: &str) {
        self.visit(&site.at(path)).await;
        self.chooses("rewards").await;
        self.logs_in_at_xoxoday().await;
        self.allows().await;
        self.arrives_at(&site.at(path)).await;
        self.is_known_by_the_address().await;
    }

    /// Visits a page of the app as a stranger, and signs in on the way.
    pub(crate) async fn signs_in(&self, site: &Site, path: &str) {
        self.visit(&site.at(path)).await;
        self.logs_in_at_daxko().await;
        self.arrives_at(&site.at(path)).await;
        self.is_known_to_the_app().await;
    }

    /// Sees a page of the app that was told who is there, in a way it can believe.
    pub(crate) async fn is_known_to_the_app(&self) {
        self.is_known_as(MEMBER, UNIT, "ymca").await;
    }

    /// The same, of somebody who came by way of Xoxoday.
    pub(crate) async fn is_known_by_the_address(&self) {
        self.is_known_as(ACCOUNT, ACCOUNT, "rewards").await;
    }

    async fn is_known_as(&self, member_id: &str, member_unit_id: &str, provider: &str) {
        assert_eq!(self.text("#member-id").await, member_id);
        assert_eq!(self.text("#member-unit-id").await, member_unit_id);
        assert_eq!(self.text("#provider").await, provider);
        assert_eq!(self.text("#signature").await, "valid");
    }

    /// Loses the session as if it had run out; what else the browser knows stays.
    pub(crate) async fn loses_the_session(&self, site: &Site) {
        let session = json!({ "name": "member-session", "url": site.at("/") });
        self.devtools("Network.deleteCookies", session).await;
    }

    /// Whether the cookies of this browser are a session.
    pub(crate) async fn has_a_session(&self) -> bool {
        self.cookie("member-session").await.is_some()
    }
}
