//! A tour of every page of the gateway's own, for whoever wants to look at them all.
//!
//! One site has everything that an operator can say; others are there for what it takes another site to see. The error
//! page is reached by references that are sealed here, so that every cause has its turn.

use member_gateway::gateway::failure::{Cause, Failure, Reference};
use member_gateway::login::return_to::ReturnTo;
use member_gateway::member::ProviderName;
use member_gateway::secret::Secret;
use member_gateway::session::seal::{KeyRing, Purpose};
use member_gateway::time::Clock;
use serde_json::json;

use crate::addresses::free_address;
use crate::chromium::Browser;
use crate::site::Site;

/// What a browser asks for: the tags of the languages.
pub(crate) const LANGUAGES: [&str; 3] = ["en", "es", "fr"];

const CAUSES: [(&str, Cause); 11] = [
    ("sign-in-stale", Cause::Stale),
    ("sign-in-malformed", Cause::Malformed),
    ("sign-in-denied", Cause::Denied),
    ("no-identity", Cause::NoIdentity),
    ("not-in-directory", Cause::NotInDirectory),
    ("ambiguous-in-directory", Cause::AmbiguousInDirectory),
    ("lapsed", Cause::Lapsed),
    ("loop", Cause::Loop),
    ("sign-in-not-set-up", Cause::VendorRefuses),
    ("sign-in-broken", Cause::VendorBroken),
    ("sign-in-away", Cause::VendorAway),
];

/// Keeps the pages where they are whose scripts would go on at once.
const STAY: &str = "
    Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('stay') } });
    if (location.host.startsWith('fragment.')) {
        const encode = window.encodeURIComponent;
        window.encodeURIComponent = () => { window.encodeURIComponent = encode; throw new Error('stay') };
    }
";

/// A gateway with all its pages, and a browser in front of it.
pub(crate) struct Tour {
    site: Site,
    port: u16,
    pub(crate) browser: Browser,
}

impl Tour {
    pub(crate) async fn start() -> Self {
        let (port, nobody) = (free_address().port(), free_address().port());
        let more = format!(
            r##"
            [session]
            keys = ["c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY"]

            [[provider]]
            name = "lakes"
            kind = "daxko"
            title = "Lakeside Boat Club"
            logo = "tests/data/badge.svg"
            environment = "sandbox"

            [[site]]
            public_url = "http://club.localhost:{port}"
            upstream = "sandbox"
            providers = ["ymca", "lakes"]

            [site.pages]
            name = "Seven Lakes members"
            logo = "tests/data/logo.svg"
            colour = "#b5179e"
            contact = "desk@lakes.example"

            [site.pages.help]
            en = "The front desk is open from 6 am to 10 pm."
            es = "La recepción abre de 6 a 22 horas."
            fr = "L’accueil est ouvert de 6 h à 22 h."

            [[site.rule]]
            path = "/staff/**"
            access = "deny"

            [[site.rule]]
            path = "/board/**"
            access = "member"
            allow = {{ member_unit_id = ["1"] }}

            [site.rule.remedy]
            en = "These are the minutes of the board. Ask at the front desk for a copy."
            es = "Estas son las actas de la junta. Pida una copia en la recepción."
            fr = "Ce sont les procès-verbaux du conseil. Demandez-en une copie à l’accueil."

            [[site]]
            public_url = "http://down.localhost:{port}"
            upstream = ["http://127.0.0.1:{nobody}"]
            providers = ["ymca"]
            pages = {{ contact = "+1 555 0100" }}
            [[site.rule]]
            path = "/**"
            access = "public"

            [[site]]
            public_url = "http://fragment.localhost:{port}"
            upstream = "sandbox"
            providers = ["ymca"]
            login = {{ preserve = ["fragment"] }}
            "##
        );
        let site = Site::with(port, &format!("http://localhost:{port}"), &more);
        Self { site, port, browser: Browser::open().await }
    }

    /// Calls with each page in each language, while the browser shows it.
    pub(crate) async fn visits(&self, look: impl AsyncFn(&Browser, &str, &str)) {
        let browser = &self.browser;
        browser.devtools("Network.enable", json!({})).await;
        for language in LANGUAGES {
            let headers = json!({ "headers": { "Accept-Language": language } });
            browser.devtools("Network.setExtraHTTPHeaders", headers).await;
            for (name, url) in self.pages_of_a_stranger() {
                self.visit(&url).await;
                look(browser, &name, language).await;
            }
            self.visits_as_a_member(language, &look).await;
            self.visits_what_goes_on_by_itself(language, &look).await;
            browser.devtools("Network.clearBrowserCookies", json!({})).await;
        }
    }

    async fn visit(&self, url: &str) {
        // What the console says is that of this page.
        self.browser.console().await;
        self.browser.visit(url).await;
    }

    fn club(&self, path: &str) -> String {
        format!("http://club.localhost:{}{path}", self.port)
    }

    fn pages_of_a_stranger(&self) -> Vec<(String, String)> {
        let port = self.port;
        let pages = [
            ("chooser", self.club("/_gateway/login?return_to=%2Fclasses")),
            ("sign-out", self.club("/_gateway/logout")),
            ("error-unknown", self.club("/_gateway/error")),
            ("not-found", self.club("/_gateway/nothing-of-that-name")),
            ("denied-by-rule", self.club("/staff/rota")),
            ("no-such-site", format!("http://127.0.0.1:{port}/")),
            ("upstream-down", format!("http://down.localhost:{port}/classes?week=2")),
            ("without-branding", self.site.at("/_gateway/logout")),
        ];
        let pages = pages.into_iter().map(|(name, url)| (name.to_owned(), url));
        pages.chain(CAUSES.map(|(name, cause)| (name.to_owned(), self.error_page(cause)))).collect()
    }

    /// The address of the error page that tells of this.
    fn error_page(&self, cause: Cause) -> String {
        let keys = Secret::new(*b"session-key-of-the-tests-0123456");
        let ring = KeyRing::new([&keys]).expect("a key of 32 octets");
        let failure = Failure {
            cause,
            return_to: ReturnTo::new("/classes?week=2"),
            provider: ProviderName::new("lakes").ok(),
            reference: Reference::new(),
        };
        let origin = self.club("");
        let sealed = failure.sealed(&ring.bind(Purpose::Failure, &origin), Clock::System.now());
        format!("{origin}/_gateway/error?ref={sealed}")
    }

    async fn visits_as_a_member(&self, language: &str, look: impl AsyncFn(&Browser, &str, &str)) {
        let browser = &self.browser;
        browser.visit(&self.club("/_gateway/login?provider=lakes&return_to=%2Fbook")).await;
        browser.logs_in_at_daxko().await;
        browser.arrives_at(&self.club("/book")).await;
        for (name, path) in
            [("chooser-remembers", "/_gateway/login"), ("other-members-only", "/board/minutes")]
        {
            self.visit(&self.club(path)).await;
            look(browser, name, language).await;
        }
    }

    /// Pages with a script, which would be gone before anybody could look at them.
    async fn visits_what_goes_on_by_itself(&self, language: &str, look: impl AsyncFn(&Browser, &str, &str)) {
        let browser = &self.browser;
        browser.devtools("Page.enable", json!({})).await;
        let stay = json!({ "source": STAY });
        let script = browser.devtools("Page.addScriptToEvaluateOnNewDocument", stay).await;
        self.visit(&self.club("/_gateway/form")).await;
        look(browser, "form-sent", language).await;
        self.visit(&self.club("/book")).await;
        let session = json!({ "name": "member-session", "url": self.club("/") });
        browser.devtools("Network.deleteCookies", session).await;
        browser.click("main form button").await;
        browser.sees("#lost:not([hidden])").await;
        look(browser, "form-kept", language).await;
        self.visit(&format!("http://fragment.localhost:{}/classes#late", self.port)).await;
        browser.sees("#next").await;
        look(browser, "fragment-kept", language).await;
        browser.devtools("Page.removeScriptToEvaluateOnNewDocument", script).await;
    }
}
