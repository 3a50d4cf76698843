//! The table of path readings: what a path may mean to an app is never less closed than what it means to us.

use std::collections::BTreeSet;

use crate::framing::corpus::unescape;
use crate::harness::{Gateway, Options};

const RULES: &str = r#"
[[site.rule]]
path = "/news"
access = "public"

[[site.rule]]
path = "/files/*.css"
methods = ["GET"]
access = "public"

[[site.rule]]
path = "/a/*/c"
access = "public"
"#;
/// The same, and a site that is public but for what its rules close.
const OPEN: &str = r#"
[[site.rule]]
path = "/news"
access = "public"

[[site.rule]]
path = "/**"
access = "public"
"#;

/// One line of the table.
struct Row {
    line: &'static str,
    rules: &'static str,
    outcome: &'static str,
    method: &'static str,
    target: Vec<u8>,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("../data/path_readings.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(row).collect()
}

fn row(line: &'static str) -> Row {
    let columns: Vec<&str> = line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
    let [rules, outcome, method, target, _why] = columns[..] else { panic!("not five columns: {line}") };
    let mut bytes = Vec::new();
    unescape(&mut target.as_bytes(), &mut bytes, &mut None);
    Row { line, rules, outcome, method, target: bytes }
}

/// The gateways of the three sets of rules.
struct Gateways {
    closed: Gateway,
    open: Gateway,
    iis: Gateway,
}

impl Gateways {
    fn start() -> Self {
        let closed = Options { more: RULES, ..Options::USUAL };
        let open = Options { more: OPEN, ..Options::USUAL };
        let iis = Options { more: RULES, site: "ignore_case = true", ..Options::USUAL };
        Self { closed: Gateway::with(&closed), open: Gateway::with(&open), iis: Gateway::with(&iis) }
    }

    fn of(&self, row: &Row) -> &Gateway {
        match row.rules {
            "closed" => &self.closed,
            "open" => &self.open,
            "iis" => &self.iis,
            other => panic!("no such rules: {other}"),
        }
    }
}

/// The status of the answer to a row, with 400 told apart by its reason, and what the app saw of it.
fn sent(gateway: &Gateway, row: &Row, more: &str) -> (String, Vec<String>) {
    gateway.upstream().forget();
    let head = format!(" HTTP/1.1\r\nHost: members.localhost\r\n{more}Connection: close\r\n\r\n");
    let answer = gateway.raw([row.method.as_bytes(), b" ", &row.target, head.as_bytes()].concat());
    let status = match answer.get(9..12).unwrap_or("none") {
        "400" if !answer.contains("can be read in several ways") => "bad",
        status => status,
    };
    let status = status.to_owned();
    (status, gateway.upstream().requests().into_iter().map(|request| request.target).collect())
}

/// What is wrong with a row, if anything is.
fn fault(gateway: &Gateway, row: &Row, member: &str) -> Option<String> {
    let target = String::from_utf8_lossy(&row.target).into_owned();
    let status = match row.outcome {
        "public" => "200",
        "member" => "401",
        "deny" => "403",
        "own" => "404",
        "400" => "400",
        "bad" => "bad",
        other => panic!("no such outcome: {other}"),
    };
    let passed = |status: &str| if status == "200" { vec![target.clone()] } else { Vec::new() };
    let got = sent(gateway, row, "");
    if got != (status.to_owned(), passed(status)) {
        return Some(format!("a stranger gets {got:?}"));
    }
    // A session opens what is for members and nothing else.
    let (got, seen) = sent(gateway, row, member);
    let opened = row.outcome == "member" && (got == "200" || (got == "403" && target.contains("staff")));
    ((got != status && !opened) || seen != passed(&got))
        .then(|| format!("a member gets {got}, the app {seen:?}"))
}

#[tokio::test]
async fn every_row_of_the_table_of_path_readings_holds() {
    let gateways = Gateways::start();
    let mut members = Vec::new();
    for gateway in [&gateways.closed, &gateways.open, &gateways.iis] {
        let mut browser = gateway.browser();
        let callback = browser.up_to_the_callback("/staff").await;
        browser.go(&callback).await;
        let cookie = browser.session_cookie().expect("whoever came back is signed in");
        members.push((std::ptr::from_ref(gateway), format!("Cookie: __Host-member-session={cookie}\r\n")));
    }
    let rows = rows();
    let faults: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let gateway = gateways.of(row);
            let (_, member) = members.iter().find(|(known, _)| std::ptr::eq(*known, gateway))?;
            fault(gateway, row, member).map(|fault| format!("{}\n    {fault}", row.line))
        })
        .collect();

    assert!(faults.is_empty(), "{} of {} rows:\n{}", faults.len(), rows.len(), faults.join("\n"));
    assert!(rows.len() > 150, "the table has shrunk to {}", rows.len());
    let targets: BTreeSet<_> = rows.iter().map(|row| (row.rules, row.method, &row.target)).collect();
    assert_eq!(targets.len(), rows.len(), "a row stands there twice");
}
