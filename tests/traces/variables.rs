//! The environment: where spans go and which, under which name, and what a collector can do to requests, which is nothing.

use crate::harness::{Folder, RawUpstream, Running, free_address};
use crate::scene::Scene;

#[test]
fn who_sends_is_what_the_environment_says() {
    let variables = [
        ("OTEL_SERVICE_NAME", "front-door"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tests"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=of-the-collector"),
    ];
    let scene = Scene::with(&variables, "");
    scene.ask("GET /public/page", "");

    assert_eq!(scene.served("/public/page").service, "front-door");
    let delivery = scene.collector.deliveries().remove(0);
    assert_eq!(delivery.field("x-token"), "of-the-collector");
    let text = String::from_utf8_lossy(&delivery.body).into_owned();
    assert!(text.contains("deployment.environment.name") && text.contains("service.version"), "{text}");
}

#[test]
fn a_sampler_that_takes_nothing_leaves_traces_as_they_are_without() {
    let scene = Scene::with(&[("OTEL_TRACES_SAMPLER", "always_off")], "");
    scene.ask("GET /public/page", "");

    let asked = scene.app.last_request();
    let parts: Vec<&str> = asked.field("traceparent").split('-').collect();
    assert!(matches!(parts[..], ["00", _, _, "02"]), "{parts:?}");
    ends_without_a_span(scene);
}

#[test]
fn a_sampler_that_takes_all_takes_what_others_did_not() {
    let scene = Scene::with(&[("OTEL_TRACES_SAMPLER", "always_on")], "");
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    scene.ask("GET /public/page", &format!("traceparent: {traceparent}\r\n"));

    let served = scene.served("/public/page");
    assert_eq!(served.parent, "00f067aa0ba902b7");
    let asked = scene.app.last_request();
    assert!(asked.field("traceparent").ends_with("-01"), "{}", asked.field("traceparent"));
}

#[test]
fn switched_off_there_is_none() {
    for variable in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let scene = Scene::with(&[variable], "");
        scene.ask("GET /public/page", "");
        ends_without_a_span(scene);
    }
}

#[test]
fn a_gateway_that_leaves_the_field_alone_records_nothing_and_one_that_passes_it_on_goes_on_below() {
    let traceparent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let off = Scene::with(&[], "[log]\ntraceparent = \"off\"");
    off.ask("GET /public/page", traceparent);
    assert!(traceparent.contains(off.app.last_request().field("traceparent")));
    ends_without_a_span(off);

    let pass = Scene::with(&[], "[log]\ntraceparent = \"pass\"");
    pass.ask("GET /public/none", "");
    assert!(!pass.app.last_request().has("traceparent"));
    pass.ask("GET /public/one", traceparent);
    let call = pass.call_of(&pass.served("/public/one"));
    assert_eq!(pass.app.last_request().field("traceparent").split('-').nth(2), Some(&*call.id));
    assert!(pass.collector.spans().iter().all(|span| span.says("url.path") != "/public/none"));
}

/// Whatever was on its way has arrived when the program has ended in order.
fn ends_without_a_span(scene: Scene) {
    let Scene { collector, program, .. } = scene;
    program.signal("TERM");
    assert_eq!(program.ended(), Some(0));
    assert!(collector.deliveries().is_empty(), "{:?}", collector.spans());
}

#[test]
fn the_last_spans_arrive_before_the_program_ends() {
    let scene = Scene::with(&[("OTEL_BSP_SCHEDULE_DELAY", "3600000")], "");
    scene.ask("GET /public/page", "");
    let Scene { collector, program, .. } = scene;
    program.signal("TERM");
    assert_eq!(program.ended(), Some(0));
    assert_eq!(collector.spans().len(), 2);
}

#[test]
fn a_collector_that_does_not_answer_holds_nobody_up() {
    let silent = RawUpstream::serving(|wire| {
        wire.rest();
    });
    let endpoint = format!("http://{}", silent.address());
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
    ];
    let scene = Scene::with(&variables, "");
    for _ in 0..50 {
        assert!(scene.ask("GET /public/page", "").starts_with("HTTP/1.1 200 "));
    }
    assert!(silent.connections() > 0, "the collector is asked");
    scene.program.signal("TERM");
    assert_eq!(scene.program.ended(), Some(0));
}

#[test]
fn a_collector_that_is_away_is_told_and_holds_nobody_up() {
    let nobody = free_address();
    let scene = Scene::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{nobody}"))], "");
    assert!(scene.ask("GET /public/page", "").starts_with("HTTP/1.1 200 "));
    scene.log.says("BatchSpanProcessor.ExportError");
    assert!(scene.ask("GET /public/page", "").starts_with("HTTP/1.1 200 "));
}

#[test]
fn an_address_that_is_none_is_told_at_the_start() {
    let folder = Folder::with(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
         [[site]]\npublic_url = \"http://localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n",
    );
    let mut command = folder.command(&["run"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "no address at all");
    let mut program = Running::spawn(&mut command);
    let log = program.log();
    log.says("OTEL_SDK_DISABLED");
    assert_eq!(program.ended(), Some(1), "{}", log.text());
}
