//! A gateway on a free port with the built-in sandbox behind it, in this process.

use std::path::PathBuf;
use std::time::Duration;

use member_gateway::cli::run::{self, Started};
use member_gateway::config::diagnostics::Source;
use member_gateway::sandbox::daxko::Faults;
use member_gateway::time::Clock;

use crate::chromium::{Browser, free_port};

/// The sample member whom Daxko's form is filled in for.
pub(crate) const MEMBER: &str = "400007995-00";
/// The unit of that member.
pub(crate) const UNIT: &str = "400007995";

/// A running gateway.
pub(crate) struct Site {
    origin: String,
    started: Option<Started>,
}

impl Site {
    /// One site on plain HTTP, with the sample app.
    pub(crate) fn start() -> Self {
        let port = free_port();
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
        let source = Source::new("gateway.toml", config);
        let started = run::start(&source, PathBuf::from("."), Clock::System).expect("the gateway starts");
        Self { origin: origin.to_owned(), started: Some(started) }
    }

    /// An address on the site.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// What goes wrong at Daxko on demand.
    pub(crate) fn faults(&self) -> &Faults {
        let sandbox = self.started.as_ref().and_then(|started| started.sandbox.as_ref());
        sandbox.expect("the configuration uses the sandbox").daxko.faults()
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

    /// Visits a page of the app as a stranger, and signs in on the way.
    pub(crate) async fn signs_in(&self, site: &Site, path: &str) {
        self.visit(&site.at(path)).await;
        self.logs_in_at_daxko().await;
        self.arrives_at(&site.at(path)).await;
        self.is_known_to_the_app().await;
    }

    /// Sees a page of the app that was told who is there, in a way it can believe.
    pub(crate) async fn is_known_to_the_app(&self) {
        assert_eq!(self.text("#member-id").await, MEMBER);
        assert_eq!(self.text("#member-unit-id").await, UNIT);
        assert_eq!(self.text("#signature").await, "valid");
    }
}
