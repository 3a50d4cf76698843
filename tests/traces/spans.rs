//! What a request looks like in a trace.

use crate::harness::{RawUpstream, Upstream, Wire, free_address, head};
use crate::scene::Scene;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[test]
fn a_request_is_a_span_and_the_app_goes_on_below_the_call_to_it() {
    let scene = Scene::new();
    scene.ask("GET /public/page?week=2", "");

    let served = scene.served("/public/page");
    let call = scene.call_of(&served);
    let asked = scene.app.last_request();
    assert_eq!(asked.field("traceparent"), format!("00-{}-{}-03", served.trace_id, call.id));
    assert_eq!(asked.field("x-request-id"), served.trace_id);
    assert_eq!((&*served.parent, &*served.trace_id), ("", &*call.trace_id));
    assert!(served.began <= call.began && call.began <= call.ended && call.ended <= served.ended);

    assert_eq!((&*served.name, &*served.service), ("GET /public/**", "member-gateway"));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/public/**"),
        ("server.address", "members.localhost"),
        ("server.port", "443"),
        ("url.scheme", "https"),
        ("network.protocol.version", "1.1"),
        ("member_gateway.site", "https://members.localhost"),
        ("member_gateway.rule", "GET,HEAD,PURGE /public/**"),
        ("member_gateway.outcome", "served"),
    ] {
        assert_eq!(served.says(name), value, "{name} in {served:?}");
    }
    let app = scene.app.address();
    assert_eq!(call.name, "GET");
    for (name, value) in [
        ("http.request.method", "GET".to_owned()),
        ("http.response.status_code", "200".to_owned()),
        ("server.address", "127.0.0.1".to_owned()),
        ("server.port", app.port().to_string()),
        ("url.full", format!("http://{app}/public/page")),
    ] {
        assert_eq!(call.says(name), value, "{name} in {call:?}");
    }
    assert!(!served.failed && !call.failed, "{served:?} {call:?}");
}

#[test]
fn a_trace_that_comes_goes_on_with_what_vendors_say_of_it() {
    let scene = Scene::new();
    let fields = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: rojo=00f067aa0ba902b7\r\n");
    scene.ask("GET /public/page", &fields);

    let served = scene.served("/public/page");
    let call = scene.call_of(&served);
    assert_eq!((&*served.trace_id, &*served.parent), (TRACE, PARENT));
    let asked = scene.app.last_request();
    assert_eq!(asked.field("traceparent"), format!("00-{TRACE}-{}-01", call.id));
    assert_eq!(asked.field("tracestate"), "rojo=00f067aa0ba902b7");
}

#[test]
fn a_trace_that_nobody_records_is_passed_on_as_it_came_and_leaves_no_span() {
    let scene = Scene::new();
    let traceparent = format!("00-{TRACE}-{PARENT}-00");
    scene.ask("GET /public/unrecorded", &format!("traceparent: {traceparent}\r\n"));
    assert_eq!(scene.app.last_request().field("traceparent"), traceparent);

    // What comes later is there, and it is not.
    scene.ask("GET /public/recorded", "");
    scene.served("/public/recorded");
    assert!(scene.collector.spans().iter().all(|span| span.trace_id != TRACE));
}

#[test]
fn an_app_that_is_not_there_is_an_error_of_both_spans() {
    let nobody = free_address();
    let scene = Scene::in_front_of(Upstream::start(), &format!("http://{nobody}"), &[], "");
    scene.ask("GET /public/page", "");

    let served = scene.served("/public/page");
    let call = scene.call_of(&served);
    for span in [&served, &call] {
        assert!(span.failed && span.says("error.type") == "upstream_connect", "{span:?}");
    }
    assert_eq!(served.says("http.response.status_code"), "502");
    assert_eq!(call.says("http.response.status_code"), "", "the app has said nothing");
    assert_eq!(call.says("server.port"), nobody.port().to_string());
}

#[test]
fn what_the_app_did_not_find_is_an_error_of_the_call_alone() {
    let app = RawUpstream::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let scene = Scene::in_front_of(Upstream::start(), &format!("http://{}", app.address()), &[], "");
    scene.ask("GET /public/page", "");

    let served = scene.served("/public/page");
    let call = scene.call_of(&served);
    assert_eq!((served.failed, served.says("error.type")), (false, ""));
    assert_eq!((call.failed, call.says("error.type")), (true, "404"));
}

#[test]
fn an_answer_that_breaks_off_and_a_client_who_leaves_are_told_apart() {
    let app = RawUpstream::serving(|wire| {
        let head = wire.head();
        if head.contains("/public/breaks") {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning");
        } else {
            wire.rest();
        }
    });
    let scene = Scene::in_front_of(Upstream::start(), &format!("http://{}", app.address()), &[], "");
    scene.ask("GET /public/breaks", "");
    let mut leaves = Wire::to(scene.address);
    leaves.send(head("GET /public/leaves", ""));
    crate::harness::eventually("the app is asked", || app.connections() == 2);
    drop(leaves);

    let broken = scene.served("/public/breaks");
    assert_eq!((broken.failed, broken.says("error.type")), (true, "upstream_broken"));
    let left = scene.served("/public/leaves");
    assert_eq!((left.failed, left.says("member_gateway.outcome")), (false, "aborted"));
    assert_eq!(left.says("http.response.status_code"), "");
    assert_eq!(scene.call_of(&left).says("error.type"), "aborted");
}

#[test]
fn an_app_behind_a_unix_socket_is_named_by_its_path() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("app.sock");
    let scene = Scene::in_front_of(Upstream::start(), &format!("unix:{}", socket.display()), &[], "");
    scene.ask("GET /public/page", "");

    let call = scene.call_of(&scene.served("/public/page"));
    assert_eq!(call.says("server.address"), socket.to_str().unwrap());
    assert_eq!((call.says("network.transport"), call.says("url.full")), ("unix", ""));
}

#[test]
fn what_the_gateway_answers_itself_is_a_span_without_a_call_and_without_a_route() {
    let scene = Scene::new();
    scene.ask("GET /_gateway/session", "");
    scene.ask("GET /members-only", "Accept: text/html\r\n");
    scene.ask("PURGE /public/page", "");

    let session = scene.served("/_gateway/session");
    assert_eq!((&*session.name, session.says("http.route")), ("GET", ""));
    assert_eq!(session.says("member_gateway.rule"), "gateway");
    let login = scene.served("/members-only");
    assert_eq!((&*login.name, login.says("member_gateway.outcome")), ("GET", "login"));
    let odd = scene.served("/public/page");
    assert_eq!((&*odd.name, odd.says("http.request.method")), ("HTTP /public/**", "_OTHER"));
    let spans = scene.collector.spans();
    assert!(spans.iter().all(|span| span.is_server() || span.parent == odd.id), "{spans:?}");
}
