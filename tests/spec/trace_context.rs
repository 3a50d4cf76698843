//! Trace context: a trace goes on through the gateway, or begins there.

use crate::harness::{Gateway, Options};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_valid_trace_passes_as_it_came() {
    let gateway = Gateway::with_sandbox();
    let fields = format!("traceparent: {TRACEPARENT}\r\ntracestate: rojo=00f067aa0ba902b7,congo=t61\r\n");
    let request = gateway.forwards("GET /public/x", &fields);
    assert_eq!(request.field("traceparent"), TRACEPARENT);
    assert_eq!(request.field("tracestate"), "rojo=00f067aa0ba902b7,congo=t61");
}

#[tokio::test]
async fn where_there_is_none_one_begins_under_the_number_of_the_request() {
    let gateway = Gateway::with_sandbox();
    let [first, second] = ["GET /public/1", "GET /public/2"].map(|line| gateway.forwards(line, ""));
    for request in [&first, &second] {
        let parts: Vec<&str> = request.field("traceparent").split('-').collect();
        assert!(matches!(parts[..], ["00", _, _, "02"]), "{parts:?}");
        assert_eq!(parts[1], request.field("x-request-id"));
        assert_eq!((parts[1].len(), parts[2].len()), (32, 16));
    }
    assert_ne!(first.field("x-request-id"), second.field("x-request-id"));
}

#[tokio::test]
async fn one_that_is_not_valid_is_replaced_and_what_vendors_said_of_it_is_gone() {
    let gateway = Gateway::with_sandbox();
    for traceparent in [
        "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01\r\n".to_owned(),
        "traceparent: canary\r\n".to_owned(),
        format!("traceparent: {TRACEPARENT}\r\ntraceparent: {TRACEPARENT}\r\n"),
        String::new(),
    ] {
        let fields = format!("{traceparent}tracestate: canary=1\r\n");
        let request = gateway.forwards("GET /public/x", &fields);
        let made = request.field("traceparent");
        assert!(made.len() == 55 && made != TRACEPARENT && !made.contains("0000000000000000"), "{made}");
        assert!(!request.has("tracestate"), "{fields}");
    }
}

#[tokio::test]
async fn a_gateway_that_only_passes_traces_on_makes_none() {
    let options = Options { more: "[log]\ntraceparent = \"pass\"", ..Options::USUAL };
    let gateway = Gateway::with(&options);
    assert!(!gateway.forwards("GET /public/x", "").has("traceparent"));
    let fields = "traceparent: canary\r\ntracestate: canary=1\r\n";
    let request = gateway.forwards("GET /public/x", fields);
    assert!(!request.has("traceparent") && !request.has("tracestate"));
    let request = gateway.forwards("GET /public/x", &format!("traceparent: {TRACEPARENT}\r\n"));
    assert_eq!(request.field("traceparent"), TRACEPARENT);
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_collector_that_this_build_knows_nothing_of_is_told_at_the_start() {
    let folder = crate::harness::Folder::with(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
         [[site]]\npublic_url = \"http://localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n",
    );
    let mut command = folder.command(&["run"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    let mut running = crate::harness::Running::spawn(&mut command);
    let log = running.log();
    log.says("--features otel");
    log.says("serving");
}

#[tokio::test]
async fn where_it_is_off_the_field_is_one_like_any_other() {
    let options = Options { more: "[log]\ntraceparent = \"off\"", ..Options::USUAL };
    let gateway = Gateway::with(&options);
    let request = gateway.forwards("GET /public/x", "traceparent: whatever\r\ntracestate: a=1\r\n");
    assert_eq!((request.field("traceparent"), request.field("tracestate")), ("whatever", "a=1"));
    assert!(!gateway.forwards("GET /public/x", "").has("traceparent"));
}
