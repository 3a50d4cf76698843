//! Metrics, alerts and dashboard, read by Prometheus' own tools and not by our reading of its documents.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Gateway, Options, last_head, raw_to};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
const DASHBOARD: &str = include_str!("../../docs/grafana/member-gateway.json");
const ALERTS: &str = include_str!("../../docs/prometheus/alerts.yml");

/// What promtool says of this input; it has to be content.
fn promtool(arguments: &[&str], input: &str) -> String {
    let ours = Path::new(FOLDER).join("tests/.tools/promtool");
    said_by(if ours.exists() { &ours } else { Path::new("promtool") }, arguments, input)
}

fn said_by(tool: &Path, arguments: &[&str], input: &str) -> String {
    let name = tool.display();
    let mut command = Command::new(tool);
    command.args(arguments).current_dir(FOLDER);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running =
        command.spawn().unwrap_or_else(|error| panic!("{name}: {error}; scripts/test installs it"));
    // It need not read what it is given.
    let _ = running.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = running.wait_with_output().unwrap();
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(ended.status.success(), "{name} {}: {said}", arguments.join(" "));
    said
}

/// The page of a gateway that has done something, in the language of this `Accept` field.
async fn page(accept: &str) -> String {
    let gateway = Gateway::with(&Options { server: "admin_listen = \"127.0.0.1:0\"", ..Options::USUAL });
    gateway.signed_in().await;
    gateway.raw(last_head("GET /public/x", ""));
    let question =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    let answer = raw_to(gateway.admin(), question);
    let (_, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(page.contains("member_gateway_upstream_in_rotation{"), "{page}");
    page.to_owned()
}

#[tokio::test]
async fn the_page_is_one_that_prometheus_takes_and_finds_well_named() {
    assert_eq!(promtool(&["check", "metrics"], &page("text/plain").await), "");
}

#[tokio::test]
async fn the_page_in_openmetrics_is_one_to_a_reader_that_forgives_nothing() {
    let page = page("application/openmetrics-text").await;
    let python = Path::new(FOLDER).join("tests/.tools/venv/bin/python");
    let said = said_by(&python, &["tests/interop/read_openmetrics.py"], &page);
    let written: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let read: Vec<&str> = said.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(read, written);
}

#[test]
fn the_alerts_are_rules_without_a_fault() {
    let said = promtool(&["check", "rules", "--lint=all", "--lint-fatal", "docs/prometheus/alerts.yml"], "");
    let count = ALERTS.matches("- alert: ").count();
    assert!(said.contains(&format!("{count} rules found")), "{said}");
}

/// Each is in both lists of the file: of those that are silent while all is well, and of those that fire.
#[test]
fn each_alert_fires_in_trouble_and_is_silent_without() {
    promtool(&["test", "rules", "tests/data/alerts_test.yml"], "");
    let fires = include_str!("../data/alerts_test.yml");
    for alert in ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(fires.contains(&format!("alertname=\"{alert}\"")), "nothing makes {alert} fire");
    }
}

/// All that stands under this key, wherever that is.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key).and_then(Value::as_str));
            object.values().for_each(|value| all(value, key, found));
        }
        Value::Array(array) => array.iter().for_each(|value| all(value, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_question_of_the_dashboard_is_one_that_prometheus_understands() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut questions = Vec::new();
    all(&dashboard, "expr", &mut questions);
    assert!(questions.len() > 20, "{questions:?}");
    let rules: Vec<Value> = questions
        .iter()
        .enumerate()
        .map(|(number, question)| {
            let question =
                question.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$site", ".*");
            assert!(!question.contains('$'), "{question}");
            serde_json::json!({ "record": format!("question_{number}"), "expr": question })
        })
        .collect();
    // JSON is YAML.
    let file = tempfile::NamedTempFile::new().unwrap();
    let groups = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    std::fs::write(file.path(), groups.to_string()).unwrap();
    let said = promtool(&["check", "rules", file.path().to_str().unwrap()], "");
    assert!(said.contains(&format!("{} rules found", questions.len())), "{said}");
}

#[test]
fn no_panel_of_the_dashboard_stands_on_another_or_has_its_number() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut numbers, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(numbers.insert(panel["id"].as_u64()), "{}", panel["title"]);
        assert!(x + w <= 24, "{}", panel["title"]);
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(places.insert(place), "{} at {place:?}", panel["title"]);
        }
    }
}
