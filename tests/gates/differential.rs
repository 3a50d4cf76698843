//! Gate R15: the same requests, read by the gateway and by nginx, HAProxy and Apache behind it.
//!
//! Each request has a target of its own. What an app behind the gateway has read is what the gateway let pass: as many
//! requests, with these targets and nobody else's identity, however odd they were and whatever stood around them.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cookies::Numbers;
use crate::harness::{Gateway, Options, eventually, free_address};
use crate::{metrics, scaled};

/// Requests to each of the three.
const REQUESTS: usize = scaled(900, 34_000);
const MEMBER: &str = "400007995-00";

/// A program that says with each answer what it has read, and counts.
struct App {
    name: &'static str,
    process: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl App {
    fn start(name: &'static str, file: &str, text: &str, command: &[&str]) -> Self {
        let (address, folder) = (free_address(), tempfile::tempdir().unwrap());
        let text = text.replace("ADDRESS", &address.to_string());
        let text = text.replace("FOLDER", folder.path().to_str().unwrap());
        std::fs::write(folder.path().join(file), text).unwrap();
        let path = std::env::join_paths(["/usr/sbin", "/usr/bin", "/sbin", "/bin"]).unwrap();
        let mut process = Command::new(command[0]);
        process.args(&command[1..]).current_dir(folder.path()).env("PATH", path);
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = process.spawn().unwrap_or_else(|error| panic!("scripts/test installs {name}: {error}"));
        eventually("the app listens", || TcpStream::connect(address).is_ok());
        Self { name, process, folder, address }
    }

    fn nginx() -> Self {
        let text = r#"daemon off; master_process off; pid nginx.pid; error_log error.log crit;
events { worker_connections 512; }
http {
    log_format seen "$request $http_x_member_id $status";
    access_log seen.log seen;
    client_body_temp_path body; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    keepalive_requests 1000000;
    merge_slashes off;
    server {
        listen ADDRESS;
        location / {
            add_header X-Saw-Target $request_uri always;
            add_header X-Saw-Member "<$http_x_member_id>" always;
            return 200 ok;
        }
    }
}
"#;
        Self::start("nginx", "nginx.conf", text, &["nginx", "-p", ".", "-c", "nginx.conf", "-e", "stderr"])
    }

    fn haproxy() -> Self {
        let text = r#"global
    stats socket FOLDER/stats.sock
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 5s
frontend seen
    bind ADDRESS
    http-request return status 200 hdr X-Saw-Target "%[url]" hdr X-Saw-Member "<%[req.hdr(x-member-id)]>" content-type text/plain string ok
"#;
        Self::start("HAProxy", "haproxy.cfg", text, &["haproxy", "-f", "haproxy.cfg"])
    }

    fn apache() -> Self {
        let text = r#"ServerRoot FOLDER
ServerName localhost
Listen ADDRESS
PidFile httpd.pid
ErrorLog FOLDER/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
DocumentRoot FOLDER
AllowEncodedSlashes NoDecode
MaxKeepAliveRequests 0
LogFormat "%r %{X-Member-Id}i %>s" seen
CustomLog FOLDER/seen.log seen
Header always set X-Saw-Line "expr=%{THE_REQUEST}"
Header always set X-Saw-Member "expr=<%{HTTP:X-Member-Id}>"
"#;
        Self::start("Apache", "httpd.conf", text, &["apache2", "-d", ".", "-f", "httpd.conf", "-DFOREGROUND"])
    }

    /// How many requests it has read.
    fn read(&self) -> usize {
        if self.name == "HAProxy" { self.haproxys_count() } else { self.lines().lines().count() }
    }

    fn lines(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("seen.log")).unwrap_or_default()
    }

    /// What it has read, where it writes that down: targets, each with the member.
    fn log(&self) -> Vec<(String, String)> {
        let lines = self.lines();
        let lines = lines.lines().filter_map(|line| {
            // Whoever only looked whether it listens has asked for nothing.
            let (_, rest) = line.split_once(' ')?;
            let (target, rest) = rest.split_once(" HTTP/1.1 ")?;
            // Where a target is none for it, it has not looked at fields, and does nothing.
            let (member, _) = rest.split_once(' ').filter(|(_, status)| *status != "400")?;
            Some((target.to_owned(), if member == "-" { String::new() } else { member.to_owned() }))
        });
        lines.collect()
    }

    /// `req_tot` of its frontend, as its socket tells it (management guide §9.1).
    fn haproxys_count(&self) -> usize {
        let mut socket =
            std::os::unix::net::UnixStream::connect(self.folder.path().join("stats.sock")).unwrap();
        socket.write_all(b"show stat\n").unwrap();
        let mut table = String::new();
        socket.read_to_string(&mut table).unwrap();
        let column = table.lines().next().unwrap().split(',').position(|name| name == "req_tot").unwrap();
        let line = table.lines().find(|line| line.starts_with("seen,FRONTEND,")).unwrap();
        line.split(',').nth(column).unwrap().parse().unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Apache's children end with it where it is told, and not killed.
        let told = Command::new("kill").args(["-s", "TERM", &self.process.id().to_string()]).status();
        if told.is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// One request, and what may be read of it.
struct Asked {
    bytes: Vec<u8>,
    target: String,
    has_session: bool,
}

fn one<'a>(numbers: &mut Numbers, choices: &[&'a str]) -> &'a str {
    choices[numbers.next() % choices.len()]
}

/// A request as nobody but a fuzzer writes it. Its body, where it says there is one, is there.
fn request(numbers: &mut Numbers, number: &str, cookie: &str, is_last: bool) -> Asked {
    let method = one(numbers, &["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"]);
    let start =
        one(numbers, &["/public/", "/public/", "/optional/", "/optional/", "/m/", "/api/", "/denied/"]);
    let middle = one(
        numbers,
        &[
            "a", "a/b", "a%20b", "a//b", "a;b=c", "a%2fb", "..%2fm", "../m", "%2e%2e/m", "./a", "a/.", "%2e",
            "a%25b", "a%2500", "a%5cb", "%c3%a4", "a+b", "a'b", "a|b", "A", "a%41", "a,b", "a:b", "a@b",
            "~a", "a%zz", "a%",
        ],
    );
    let target = format!("{start}{middle}?id={number}");
    let has_session = numbers.next().is_multiple_of(2);
    let mut fields = Vec::new();
    if has_session {
        fields.push(cookie.trim_end().to_owned());
    }
    let odd = [
        "X-Member-Id: forged",
        "x-member-id: forged",
        "X_Member_Id: forged",
        "X-Member-Id : forged",
        "X-Member_Id: forged",
        " X-Member-Id: forged",
        "Connection: X-Member-Id",
        "Connection: keep-alive, signature",
        "Cookie: a=b; c=d",
        "X-Forwarded-Host: elsewhere.example",
        "X-Original-URL: /denied/x",
        "Accept: */*",
        "Expect: 100-continue",
        "TE: trailers",
        "Upgrade: h2c",
        "Transfer_Encoding: chunked",
        "Content_Length: 5",
        "X: a\r\n folded",
        "Host: members.localhost",
        "Content-Length: 0",
        "Transfer-Encoding: identity",
        "Range: bytes=0-1",
    ];
    for _ in 0..numbers.next() % 3 {
        fields.push(one(numbers, &odd).to_owned());
    }
    let body = match numbers.next() % 8 {
        0 => {
            fields.push("Content-Length: 11".to_owned());
            "GET /smug a"
        }
        1 => {
            fields.push("Transfer-Encoding: chunked".to_owned());
            "5\r\nGET /\r\n0\r\n\r\n"
        }
        2 => {
            let name = one(numbers, &["Transfer-Encoding: Chunked", "Transfer-Encoding: chunked, chunked"]);
            fields.push(name.to_owned());
            "1;a=\"b\"\r\nx\r\n0\r\nX-Member-Id: forged\r\n\r\n"
        }
        _ => "",
    };
    if is_last {
        fields.push("Connection: close".to_owned());
    }
    let lines = fields.iter().map(|field| format!("{field}\r\n")).collect::<String>();
    let bytes = format!("{method} {target} HTTP/1.1\r\nHost: members.localhost\r\n{lines}\r\n{body}");
    Asked { bytes: bytes.into_bytes(), target, has_session }
}

/// What the app says that it has read: targets, each with the member.
fn seen(answers: &str) -> Vec<(String, String)> {
    let read = answers.split("HTTP/1.1 ").filter_map(|answer| {
        let field = |wanted: &str| {
            let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
        };
        // The path that Apache tells is decoded; the line is as it came.
        let line = field("x-saw-line").and_then(|line| line.split(' ').nth(1));
        let target = line.or_else(|| field("x-saw-target"))?;
        Some((target.to_owned(), field("x-saw-member")?.trim_matches(['<', '>']).to_owned()))
    });
    read.collect()
}

/// Asks for all of it: whether each target was asked for with a session, and what the app says that it has read.
fn ask(
    gateway: &Gateway,
    cookie: &str,
    row: u64,
    count: usize,
) -> (HashMap<String, bool>, Vec<(String, String)>) {
    let mut numbers = Numbers::row(row);
    let (mut all, mut read) = (HashMap::new(), Vec::new());
    while all.len() < count {
        let length = 1 + numbers.next() % 4;
        let asked: Vec<Asked> = (1..=length)
            .map(|at| request(&mut numbers, &format!("{row}.{}", all.len() + at), cookie, at == length))
            .collect();
        let bytes: Vec<u8> = asked.iter().flat_map(|one| one.bytes.clone()).collect();
        let mut socket = TcpStream::connect(gateway.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Where one is refused, the connection ends, perhaps with answers that nobody has read.
        let _ = socket.write_all(&bytes);
        let mut answers = Vec::new();
        let _ = socket.read_to_end(&mut answers);
        let answered = seen(&String::from_utf8_lossy(&answers));
        let mut rest = asked.iter();
        for (target, _) in &answered {
            let in_order = rest.any(|one| one.target == *target);
            assert!(in_order, "nobody asked for {target}, or not then: {}", String::from_utf8_lossy(&bytes));
        }
        read.extend(answered);
        all.extend(asked.into_iter().map(|one| (one.target, one.has_session)));
    }
    (all, read)
}

/// Each was asked for, was read once, may be read, and is whose it is.
fn are_right(read: &[(String, String)], asked: &HashMap<String, bool>) {
    let mut once = HashSet::new();
    for (target, member) in read {
        let has_session = *asked.get(target).unwrap_or_else(|| panic!("nobody asked for {target}"));
        assert!(once.insert(target), "{target} was read twice");
        assert!(!target.starts_with("/denied/"), "{target}");
        let is_open = target.starts_with("/public/") || target.starts_with("/optional/");
        assert!(has_session || is_open, "a stranger at {target}");
        let is_named = has_session && !target.starts_with("/public/");
        assert_eq!(member, if is_named { MEMBER } else { "" }, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_reads_is_what_was_let_through_and_whose_it_is() {
    for app in [App::nginx(), App::haproxy(), App::apache()] {
        let gateway = Gateway::with(&Options {
            server: "admin_listen = \"127.0.0.1:0\"\n\
                     limits = { head_timeout = \"2s\", body_idle = \"2s\", idle = \"2s\", login_starts = 1000000 }",
            upstream: Some(app.address),
            ..Options::USUAL
        });
        let cookie = gateway.member().await;
        let before = app.read();
        let told = std::thread::scope(|scope| {
            let threads = [1, 2, 3, 4].map(|row| {
                let (gateway, cookie) = (&gateway, &cookie);
                scope.spawn(move || ask(gateway, cookie, row, REQUESTS / 4))
            });
            threads.map(|thread| thread.join().unwrap())
        });
        let (mut asked, mut answered) = (HashMap::new(), Vec::new());
        for (targets, answers) in told {
            asked.extend(targets);
            answered.extend(answers);
        }

        let passed =
            metrics::sum(gateway.admin(), "member_gateway_upstream_requests_total", &[]).round() as usize;
        // A log is written when it is written.
        eventually("the app has counted them", || app.read() - before >= passed);
        let (name, read) = (app.name, app.read() - before);
        let (all, answers) = (asked.len(), answered.len());
        println!("R15 {name}: {all} asked, {passed} let through, {read} read, {answers} answered");
        assert_eq!(read, passed, "{name}");
        are_right(&answered, &asked);
        // HAProxy writes none.
        are_right(&app.log(), &asked);
        assert!(answers > all / 8, "{name}: {answers}");
    }
}
