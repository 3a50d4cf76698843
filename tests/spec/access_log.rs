//! The access log: a line of JSON for each request, and what stands in none.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use http::Method;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::harness::{
    Authority, Folder, Gateway, Options, RawUpstream, Secured, client, eventually, free_address, head,
    last_head, raw_to,
};

const LOG: &str = "[log]\naccess = \"file:access.log\"";

/// A gateway that writes one, and the folder in which it is.
fn gateway(options: &Options) -> (Gateway, Folder) {
    let folder = Folder::empty();
    let gateway =
        Gateway::with(&Options { folder: Some(folder.path().to_owned()), more: LOG, ..options.clone() });
    (gateway, folder)
}

fn text(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("access.log")).unwrap_or_default()
}

/// The lines, once there are so many.
fn lines(folder: &Folder, count: usize) -> Vec<Value> {
    eventually("the lines are written", || text(folder.path()).lines().count() >= count);
    let text = text(folder.path());
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), count, "{text}");
    lines
}

#[tokio::test]
async fn a_request_is_a_line_that_says_what_became_of_it() {
    let (gateway, folder) = gateway(&Options::USUAL);
    gateway.forwards("GET /public/page?secret=1", "X-Request-Id: from-the-proxy.1\r\n");
    let line = &lines(&folder, 1)[0];
    for (name, value) in [
        ("request_id", "from-the-proxy.1"),
        ("site", "https://members.localhost"),
        ("rule", "/public/**"),
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("path", "/public/page"),
        ("protocol", "HTTP/1.1"),
        ("scheme", "http"),
        ("outcome", "served"),
    ] {
        assert_eq!(line[name], value, "{name} in {line}");
    }
    assert!(line["status"] == 200 && line["bytes"].is_u64(), "{line}");
    assert!(line["duration_ms"].as_f64() >= line["upstream_ms"].as_f64(), "{line}");
    let time = line["time"].as_str().unwrap();
    assert!(time.starts_with("2026-11-21T2") && time.ends_with('Z') && time.len() == 24, "{line}");
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32, "{line}");
    assert!(line.get("session").is_none() && line.get("member").is_none(), "{line}");
}

#[tokio::test]
async fn a_member_is_a_hash_and_a_session_the_name_that_revoke_takes() {
    let (gateway, folder) = gateway(&Options::USUAL);
    let mut browser = gateway.signed_in().await;
    let session = browser.session().await;
    let mut again = gateway.signed_in().await;
    again.fetch(Method::GET, "/api/second", &[]).await;
    browser.fetch(Method::GET, "/api/first", &[]).await;

    eventually("both are written", || {
        ["/api/first", "/api/second"].iter().all(|path| text(folder.path()).contains(path))
    });
    let all = text(folder.path());
    let line = |path: &str| -> Value {
        serde_json::from_str(all.lines().find(|line| line.contains(path)).unwrap()).unwrap()
    };
    let (first, second) = (line("/api/first"), line("/api/second"));
    assert_eq!(first["session"], session["session_id"]);
    assert_ne!(first["session"], second["session"]);
    assert_eq!(first["member"], second["member"], "one person has one hash");
    assert_eq!(first["member"].as_str().unwrap().len(), 16, "{first}");
    assert!(!all.contains("400007995") && !all.contains("Rosa"), "{all}");
}

#[tokio::test]
async fn no_query_no_code_no_state_and_no_cookie_is_in_it() {
    let (gateway, folder) = gateway(&Options::USUAL);
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/page?canary-query=1").await;
    browser.go(&callback).await;
    browser.visit("/page?canary-query=1").await;
    let failed = browser.go("/_gateway/callback/ymca?code=canary-code&state=canary-state").await;
    browser.go(failed.location()).await;
    gateway
        .raw(last_head("GET /public/x?canary-query", "User-Agent: canary-agent\r\nReferer: canary-page\r\n"));
    eventually("the last one is written", || text(folder.path()).contains("/public/x"));

    let text = text(folder.path());
    assert!(text.contains("\"path\":\"/_gateway/callback/ymca\""), "{text}");
    let cookies = browser.cookies().into_values();
    let given = ["code", "state"].map(|name| crate::harness::parameter(&callback, name).unwrap());
    for canary in cookies.chain(given).chain(["canary", "code=", "state=", "ref="].map(str::to_owned)) {
        assert!(!text.contains(&canary), "{canary} in {text}");
    }
}

#[tokio::test]
async fn a_method_of_any_length_makes_no_long_line() {
    let (gateway, folder) = gateway(&Options::USUAL);
    gateway.raw(last_head(&format!("{} /public/page", "M".repeat(10_000)), ""));
    let line = &lines(&folder, 1)[0];
    let method = line["method"].as_str().unwrap();
    assert!(method.starts_with("MMMM") && method.len() < 2000, "{line}");
}

#[tokio::test]
async fn a_path_cannot_break_out_of_its_line() {
    let (gateway, folder) = gateway(&Options::USUAL);
    let mut path =
        b"GET /public/\"},{\"status\":200\\\xe2\x80\xa8\x7f HTTP/1.1\r\nHost: members.localhost\r\n".to_vec();
    path.extend_from_slice(b"Connection: close\r\n\r\n");
    gateway.raw(path);
    gateway.raw(last_head("GET /public/%0d%0a%22", ""));
    eventually("both are written", || text(folder.path()).contains("%0d%0a%22"));
    for line in text(folder.path()).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["status"].is_u64(), "{line}");
    }
}

#[tokio::test]
async fn the_outcome_says_how_it_ended() {
    let (gateway, folder) = gateway(&Options::USUAL);
    for (line, fields) in [
        ("GET /public/served", ""),
        ("GET /login", "Accept: text/html\r\n"),
        ("GET /api/unauthorized", ""),
        ("GET /denied/denied", ""),
        ("GET /_gateway/health", ""),
        ("GET /_gateway/session", ""),
        ("TRACE /refused", ""),
    ] {
        gateway.raw(last_head(line, fields));
    }
    let lines = lines(&folder, 7);
    for (path, outcome, status) in [
        ("/public/served", "served", 200),
        ("/login", "login", 302),
        ("/api/unauthorized", "unauthorized", 401),
        ("/denied/denied", "denied", 403),
        ("/_gateway/health", "own", 200),
        ("/_gateway/session", "own", 401),
        ("/refused", "refused", 501),
    ] {
        let line = lines.iter().find(|line| line["path"] == path).unwrap();
        assert!(line["outcome"] == outcome && line["status"] == status, "{line}");
    }
}

#[tokio::test]
async fn a_client_who_leaves_and_an_upstream_that_breaks_off_are_told_apart() {
    let upstream = RawUpstream::serving(|wire| {
        let head = wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbeginning");
        if head.contains("/public/leaves") {
            wire.rest();
        }
    });
    let (gateway, folder) = gateway(&Options { upstream: Some(upstream.address()), ..Options::USUAL });
    let mut leaves = gateway.connect();
    leaves.send(head("GET /public/leaves", ""));
    leaves.until("beginning");
    drop(leaves);
    gateway.raw(last_head("GET /public/breaks", ""));

    let lines = lines(&folder, 2);
    for (path, outcome) in [("/public/leaves", "aborted"), ("/public/breaks", "upstream_broken")] {
        let line = lines.iter().find(|line| line["path"] == path).unwrap();
        assert!(line["outcome"] == outcome && line["status"] == 200 && line["bytes"] == 9, "{line}");
    }
}

#[tokio::test]
async fn a_line_names_the_target_that_had_the_request_also_where_it_gave_no_answer() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    let away = free_address();
    let (gateway, folder) = gateway(&Options { upstream: Some(upstream.address()), ..Options::USUAL });
    gateway.raw(last_head("GET /public/there", ""));
    gateway.raw(last_head("GET /_gateway/session", ""));
    // Two workers may have had them, and each writes when it will.
    let mut written = lines(&folder, 2);
    written.sort_by_key(|line| line["path"].as_str().map(str::to_owned));
    assert!(written[0].get("upstream").is_none(), "{}", written[0]);
    assert_eq!(written[1]["upstream"], format!("http://{}", upstream.address()));

    let (gateway, folder) = self::gateway(&Options { upstream: Some(away), ..Options::USUAL });
    gateway.raw(last_head("GET /public/away", ""));
    let line = &lines(&folder, 1)[0];
    assert_eq!(line["outcome"], "upstream_connect", "{line}");
    assert_eq!(line["upstream"], format!("http://{away}"), "{line}");
}

#[tokio::test]
async fn an_app_behind_a_unix_socket_is_named_by_its_path() {
    let place = Folder::empty();
    let socket = place.path().join("app.sock");
    let app = UnixListener::bind(&socket).unwrap();
    let target = format!("unix:{}", socket.display());
    let (gateway, folder) = gateway(&Options { upstreams: Some(format!("\"{target}\"")), ..Options::USUAL });
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = app.accept().unwrap();
        assert!(socket.read(&mut [0; 8192]).unwrap() > 0);
        socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    });
    gateway.raw(last_head("GET /public/x", ""));
    serving.join().unwrap();
    assert_eq!(lines(&folder, 1)[0]["upstream"], target);
}

#[tokio::test]
async fn the_version_of_tls_is_that_of_the_browsers_connection() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["members.localhost"]);
    let folder = Folder::empty().and("site.pem", &certificate).and("site.key", &key);
    let gateway = Gateway::with(&Options {
        listen: Some("\"127.0.0.1:0\", { address = \"127.0.0.1:0\", tls = false }"),
        server: "tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }",
        folder: Some(folder.path().to_owned()),
        more: LOG,
        ..Options::USUAL
    });
    let [tls, plain] = gateway.addresses() else { panic!("two listeners") };
    for version in [&TLS12, &TLS13] {
        let config = Arc::new(client(&[version]));
        let mut browser = Secured::to(*tls, "members.localhost", &config).unwrap();
        browser.send(last_head("GET /_gateway/session", ""));
        browser.rest();
    }
    raw_to(*plain, last_head("GET /_gateway/session", ""));

    let lines = lines(&folder, 3);
    let versions: Vec<Option<&str>> = lines.iter().map(|line| line["tls"].as_str()).collect();
    for version in [Some("1.2"), Some("1.3"), None] {
        assert!(versions.contains(&version), "{version:?} in {versions:?}");
    }
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_made_anew() {
    let (gateway, folder) = gateway(&Options::USUAL);
    gateway.forwards("GET /public/before", "");
    lines(&folder, 1);
    std::fs::rename(folder.path().join("access.log"), folder.path().join("access.log.1")).unwrap();
    gateway.reopen_log();
    gateway.forwards("GET /public/after", "");
    assert_eq!(lines(&folder, 1)[0]["path"], "/public/after");
}

#[tokio::test]
async fn it_is_off_unless_somebody_wants_it() {
    let folder = Folder::empty();
    let gateway = Gateway::with(&Options { folder: Some(folder.path().to_owned()), ..Options::USUAL });
    gateway.forwards("GET /public/x", "");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
