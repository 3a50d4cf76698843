//! Logs: what an operator reads at the most talkative setting, and what nobody ever reads there.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use member_gateway::sandbox::daxko::Settings;
use serde_json::Value;

use crate::harness::{Browser, Folder, Log, Running, free_address, parameter, raw_to, with_parameter};

const SESSION_KEY: &str = "c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY";
const SIGNING_KEY: &str = "c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY";

/// The program itself, at `RUST_LOG=trace`.
struct Program {
    child: Child,
    address: SocketAddr,
    /// Reads what it says after its greeting, so that it never waits for a reader.
    log: Option<JoinHandle<String>>,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        let config = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[log]\naccess = \"stderr\"\n[session]\nkeys = [\"{SESSION_KEY}\"]\n\
             [identity]\nfirst_name = \"X-Member-First-Name\"\nlast_name = \"X-Member-Last-Name\"\n\
             [identity.signature]\n\
             keys = [{{ id = \"k\", algorithm = \"hmac-sha256\", key = \"{SIGNING_KEY}\" }}]\n\
             [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
             [[site]]\npublic_url = \"https://members.localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n\
             [[site.rule]]\npath = \"/board/**\"\naccess = \"deny\"\n"
        );
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_member-gateway"))
            .args(["run", "--config"])
            .arg(&path)
            .env("RUST_LOG", "trace")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("run `member-gateway check`") {
            assert!(stderr.read_line(&mut greeting).unwrap() > 0, "{greeting}");
        }
        let listen = greeting.split("listen=\"").nth(1).unwrap_or_else(|| panic!("{greeting}"));
        let address = listen.split('"').next().unwrap().parse().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Self { child, address, log: Some(log) }
    }

    /// Ends it in order, so that it writes its last lines, and returns its log.
    fn end(mut self) -> String {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &process]).status().unwrap().success());
        self.log.take().unwrap().join().unwrap()
    }
}

/// A test that fails must not leave it running.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn no_secret_no_code_no_cookie_and_no_name_stands_in_the_log() {
    let program = Program::start();
    let mut canaries = Vec::new();
    let mut browser = Browser::new(program.address);

    // A good login, its back button, a page, a code under a foreign state, a made-up code, and rubbish for a cookie.
    let callback = browser.up_to_the_callback("/classes?week=2").await;
    assert_eq!(browser.go(&callback).await.location(), "/classes?week=2");
    assert_eq!(browser.visit("/classes").await.status, 200);
    browser.go(&callback).await;
    let mut other = Browser::new(program.address);
    other.visit(&with_parameter(&callback, "state", Some("canary-state"))).await;
    let second = other.up_to_the_callback("/book").await;
    let failed = other.go(&with_parameter(&second, "code", Some("canary-code"))).await;
    let sealed = failed.location_parameter("ref");
    let page = other.visit(failed.location()).await;
    other.set_cookie("__Host-member-session", "canary-cookie");
    other.go("/classes").await;
    let number = page.body.split("<strong>").nth(1).unwrap().split('<').next().unwrap().to_owned();

    for address in [&callback, &second] {
        canaries.extend([parameter(address, "code").unwrap(), parameter(address, "state").unwrap()]);
    }
    canaries.extend(browser.cookies().into_values().chain(other.cookies().into_values()));
    let account = Settings::default();
    canaries.extend([account.password, account.refresh_token, sealed]);
    canaries.extend(
        ["canary-", "Rosa", "Alvarez", "rosa-swims", SESSION_KEY, SIGNING_KEY, "eyJ"].map(str::to_owned),
    );
    let log = program.end();

    assert!(log.contains("\"path\":\"/_gateway/callback/ymca\""), "the access log is among it: {log}");
    assert!(log.contains("signed in") && log.contains("a sign-in failed"), "{log}");
    assert!(log.contains(&number), "the reference number of the page: {number}");
    for canary in canaries {
        let line = log.lines().find(|line| line.contains(&canary));
        assert_eq!(line, None, "{canary}");
    }
}

#[tokio::test]
async fn a_loop_is_told_once_as_a_warning_with_the_number_of_its_page() {
    let program = Program::start();
    let mut browser = Browser::new(program.address);
    for _ in 0..5 {
        browser.go("/classes").await;
    }

    let page = browser.go("/classes").await;
    let page = browser.go(page.location()).await;
    browser.go(page.url.as_str()).await;
    let number = page.body.split("<strong>").nth(1).unwrap().split('<').next().unwrap();
    let log = program.end();

    let told: Vec<&str> = log.lines().filter(|line| line.contains("goes round in circles")).collect();
    assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains(number), "{number} in {told:?}");
}

#[tokio::test]
async fn a_refusal_names_its_site_as_a_failed_sign_in_does_and_the_rule_behind_it() {
    let program = Program::start();
    let mut browser = Browser::new(program.address);

    let page = browser.visit("/board/canary-minutes").await;
    let number = page.body.split("<strong>").nth(1).unwrap().split('<').next().unwrap();
    let log = program.end();

    let told: Vec<&str> =
        log.lines().filter(|line| line.contains("refused") && line.contains(number)).collect();
    assert_eq!(told.len(), 1, "{number} in {log}");
    for words in ["site=\"https://members.localhost\"", "rule=\"/board/**\"", "status=403"] {
        assert!(told[0].contains(words), "{words} in {}", told[0]);
    }
    assert!(!told[0].contains("canary"), "{}", told[0]);
}

/// What a program has said, every line of it as the JSON that it has to be.
fn events(log: &Log) -> Vec<Value> {
    log.text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn as_json_each_event_is_a_line_whatever_is_told() {
    let config = |listen: &str| {
        format!(
            "[server]\nlisten = [\"{listen}\"]\n[log]\nformat = \"json\"\n\
             [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nclient = 9991\nclient_id = \"c\"\n\
             client_secret = \"s\"\nrefresh_token = \"r\"\n\
             [[site]]\npublic_url = \"http://localhost\"\nupstream = \"http://{nobody}\"\nproviders = [\"ymca\"]\n\
             [[site.rule]]\npath = \"/public/**\"\naccess = \"public\"\n",
            nobody = free_address(),
        )
    };
    let folder = Folder::with(&config("127.0.0.1:0"));
    let mut running = Running::spawn(&mut folder.command(&["run"]));
    let log = running.log();
    log.says("\"message\":\"serving\"");
    let serving = events(&log).into_iter().find(|event| event["message"] == "serving").unwrap();
    let address: SocketAddr = serving["listen"].as_str().unwrap().parse().unwrap();

    raw_to(address, b"GET / HTTP/1.1\r\nHost: \"},{\"a\\\r\nConnection: close\r\n\r\n");
    raw_to(
        address,
        "GET /public/x HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: from-in-front\r\nConnection: close\r\n\r\n",
    );
    log.says("an upstream failed");
    // The report of a mistake has many lines.
    std::fs::write(folder.path().join("gateway.toml"), config("127.0.0.1:0").replace("format", "fromat"))
        .unwrap();
    running.signal("HUP");
    log.says("the configuration is not taken");
    running.signal("TERM");
    running.ended();

    let events = events(&log);
    for event in &events {
        for name in ["timestamp", "level", "target", "message"] {
            assert!(event[name].is_string(), "{name} in {event}");
        }
    }
    let failed = events.iter().find(|event| event["message"] == "an upstream failed").unwrap();
    assert_eq!((&failed["level"], &failed["request_id"]), (&"WARN".into(), &"from-in-front".into()));
    assert_eq!(failed["site"], "http://localhost");
    let host = events.iter().find_map(|event| event["host"].as_str()).expect("the odd host is told");
    assert!(host.contains("},{"), "{host}");
    let mistake = events.iter().find(|event| event["level"] == "ERROR").unwrap();
    assert!(mistake["message"].as_str().unwrap().contains("did you mean"), "{mistake}");
}
