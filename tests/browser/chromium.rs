//! A headless Chromium with a fresh profile, driven by a chromedriver of its own. Both end when the browser is dropped.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use crate::addresses::free_address;

/// How long anything may take before a test gives up on it, on a slow machine too. Nobody waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at something that is not there yet.
const GLANCE: Duration = Duration::from_millis(25);

/// Held by the browser that runs.
static TURN: Mutex<()> = Mutex::const_new(());

/// A browser with one person in front of it.
pub(crate) struct Browser {
    client: Client,
    // In this order: the driver ends its browser, then the profile can go, then it is the turn of the next.
    _driver: Driver,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// A browser that has never been anywhere.
    pub(crate) async fn open() -> Self {
        let turn = TURN.lock().await;
        let chromium = program("chromium");
        let driver = Driver::start(&program("chromedriver")).await;
        let profile = TempDir::new().expect("a folder for the profile");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--ignore-certificate-errors",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "timeouts": { "script": PATIENCE.as_millis() as u64 },
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is written as an object") };
        let client = ClientBuilder::rustls()
            .expect("a connector")
            .capabilities(capabilities)
            .connect(&driver.url(""))
            .await
            .expect("Chromium starts");
        Self { client, _driver: driver, _profile: profile, _turn: turn }
    }

    pub(crate) async fn visit(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url} does not load: {error}"));
    }

    pub(crate) async fn go_back(&self) {
        self.client.back().await.expect("the browser goes back");
    }

    pub(crate) async fn go_forward(&self) {
        self.client.forward().await.expect("the browser goes forward");
    }

    /// Opens another tab and turns to it.
    pub(crate) async fn open_tab(&self) {
        let tab = self.client.new_window(true).await.expect("another tab");
        self.client.switch_to_window(tab.handle).await.expect("the new tab is there");
    }

    /// Turns to a tab, counted from 0 in the order in which they were opened.
    pub(crate) async fn turn_to_tab(&self, number: usize) {
        let tabs = self.client.windows().await.expect("a list of tabs");
        self.client.switch_to_window(tabs[number].clone()).await.expect("the tab is there");
    }

    /// The address of the page that is shown.
    pub(crate) async fn address(&self) -> String {
        self.client.current_url().await.map_or_else(|error| error.to_string(), String::from)
    }

    /// Waits until the page at this address is shown.
    pub(crate) async fn arrives_at(&self, url: &str) {
        self.eventually(&format!("to arrive at {url}"), || async {
            (self.address().await == url && self.is_loaded().await).then_some(())
        })
        .await;
    }

    /// Waits until there is such an element.
    pub(crate) async fn sees(&self, selector: &str) {
        self.eventually(&format!("to see {selector}"), || async {
            self.client.find(Locator::Css(selector)).await.ok()
        })
        .await;
    }

    /// The text of an element, once the element is there.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.eventually(&format!("to read {selector}"), || async {
            self.client.find(Locator::Css(selector)).await.ok()?.text().await.ok()
        })
        .await
    }

    /// Whether there is such an element on the page that is shown now.
    pub(crate) async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.expect("a list of elements").is_empty()
    }

    /// Clicks an element, once it is there.
    pub(crate) async fn click(&self, selector: &str) {
        self.eventually(&format!("to click {selector}"), || async {
            self.client.find(Locator::Css(selector)).await.ok()?.click().await.ok()
        })
        .await;
    }

    /// Types into an empty field, or behind what is in it.
    pub(crate) async fn types(&self, selector: &str, text: &str) {
        self.eventually(&format!("to type into {selector}"), || async {
            self.client.find(Locator::Css(selector)).await.ok()?.send_keys(text).await.ok()
        })
        .await;
    }

    /// What a script says about the page.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("the script runs")
    }

    /// What a script says about the page when it comes to its end: it calls its last argument with that.
    pub(crate) async fn evaluate_later(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.expect("the script runs to its end")
    }

    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a screenshot")
    }

    /// All cookies of the browser, of every site, as the Chrome DevTools Protocol describes them.
    pub(crate) async fn cookies(&self) -> Vec<Value> {
        let mut answer = self.devtools("Network.getAllCookies", json!({})).await;
        let Value::Array(cookies) = answer["cookies"].take() else { panic!("no list of cookies: {answer}") };
        cookies
    }

    /// The cookie of that name, if the browser has it.
    pub(crate) async fn cookie(&self, name: &str) -> Option<Value> {
        self.cookies().await.into_iter().find(|cookie| cookie["name"] == name)
    }

    /// A command of the Chrome DevTools Protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.issue("goog/cdp/execute", body).await
    }

    /// What the console has said since it was asked last.
    pub(crate) async fn console(&self) -> Vec<Value> {
        let entries = self.issue("se/log", json!({ "type": "browser" })).await;
        entries.as_array().expect("a list of entries").clone()
    }

    async fn issue(&self, endpoint: &'static str, body: Value) -> Value {
        let answer = self.client.issue_cmd(Extension { endpoint, body: body.to_string() }).await;
        answer.unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    async fn is_loaded(&self) -> bool {
        let state = self.client.execute("return document.readyState", Vec::new()).await;
        state.is_ok_and(|state| state == "complete")
    }

    /// Looks again and again until there is something; a page may change under every single look.
    async fn eventually<T, F: Future<Output = Option<T>>>(&self, what: &str, look: impl Fn() -> F) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            if Instant::now() > deadline {
                let page = self.client.source().await.unwrap_or_default();
                panic!(
                    "waited in vain {what}; the browser is at {} and shows:\n{page}",
                    self.address().await
                );
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}

/// A command of chromedriver's that the WebDriver standard does not have.
#[derive(Debug)]
struct Extension {
    endpoint: &'static str,
    body: String,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, url::ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.endpoint))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.clone()))
    }
}

/// A running chromedriver.
struct Driver {
    child: Child,
    address: SocketAddr,
}

impl Driver {
    async fn start(chromedriver: &str) -> Self {
        let port = free_address().port();
        let child = Command::new(chromedriver)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let driver = Self { child, address: (Ipv4Addr::LOCALHOST, port).into() };
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let deadline = Instant::now() + PATIENCE;
        while !driver.is_ready(&http).await {
            assert!(Instant::now() < deadline, "chromedriver does not become ready");
            tokio::time::sleep(GLANCE).await;
        }
        driver
    }

    async fn is_ready(&self, http: &reqwest::Client) -> bool {
        let Ok(answer) = http.get(self.url("status")).send().await else { return false };
        answer.json().await.is_ok_and(|status: Value| status["value"]["ready"] == true)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Asks it to end its browsers and itself. Killed, it would leave them behind.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /shutdown HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        if self.shut_down().is_ok() {
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(GLANCE);
            }
        }
        // A destructor has nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program is that these tests cannot do without. The folders of the system's own programs count too: not
/// everybody has them in the path.
pub(crate) fn program(name: &str) -> String {
    let search = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; command -v \"$0\"";
    let found = Command::new("sh").args(["-c", search, name]).output().expect("there is a shell");
    let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    assert!(
        found.status.success() && !path.is_empty(),
        "{name} is not installed, and without it no page was tested in a browser; run scripts/test, which installs \
         it or says how"
    );
    path
}
