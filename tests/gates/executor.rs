//! Gate R20: a handler that panics, and how long anybody waits for the gateway itself.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use member_gateway::deadline::Watch;
use member_gateway::message::{Request, Response};
use member_gateway::server::Incoming;
use member_gateway::server::peer::TrustedProxies;
use member_gateway::server::{
    self, Address, Arrival, Door, Inherited, Limits, Listen, Listeners, Respond, Running, Service,
};

use crate::harness::http2::{Http2, request};
use crate::harness::{Gateway, Options, Wire, raw_to};
use crate::load::{Load, app};
use crate::scaled;

/// Answers, unless it is asked to panic.
struct Fragile;

impl Respond for Fragile {
    type Body = Full<Bytes>;

    async fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        _: Arrival,
        _: Rc<Watch>,
    ) -> Response<Full<Bytes>> {
        assert_ne!(request.uri().path(), "/panic", "as it was asked to");
        Response::new(Full::from("ok"))
    }
}

fn limits() -> Limits {
    let long = Duration::from_secs(60);
    Limits {
        head_timeout: long,
        head_bytes: 64 * 1024,
        fields: 100,
        body_idle: long,
        body_rate: None,
        idle: long,
        connections: 1000,
        connections_per_peer: 1000,
        http2_bytes: 1024 * 1024,
    }
}

/// What serves it, by HTTP/1.1 and by HTTP/2.
fn fragile() -> Running<Fragile> {
    let address = Address::Tcp("127.0.0.1:0".parse().unwrap());
    let listen = Listen::new(address, Door::H2c);
    let listeners = Listeners::bind(&[listen], 1, &mut Inherited::default()).unwrap();
    let service = Service::new(limits(), TrustedProxies::default(), |_| Rc::new(Fragile));
    server::serve(listeners, &service).unwrap()
}

#[test]
fn a_handler_that_panics_is_answered_500_and_ends_its_connection_and_nothing_else() {
    let running = fragile();
    let address = running.addresses()[0];
    let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    // The same worker has both.
    let mut bystander = Wire::to(address);
    bystander.send(head("/"));
    assert_eq!(bystander.answer().1, "ok");

    for _ in 0..scaled(3, 20) {
        let answer = raw_to(address, head("/panic") + &head("/")).to_lowercase();
        assert!(
            answer.starts_with("http/1.1 500 ") && answer.contains("\r\nconnection: close\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\ncontent-length: 0\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        bystander.send(head("/"));
        assert_eq!(bystander.answer().1, "ok");
    }
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_it_is_answered_500_and_the_connection_goes_on() {
    let running = fragile();
    let mut client = Http2::to(running.addresses()[0]).await;
    for _ in 0..scaled(3, 20) {
        assert_eq!(client.status(request("GET", "/panic", "")).await, Some(500));
        assert_eq!(client.status(request("GET", "/", "")).await, Some(200));
    }
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_answers_for_itself_whatever_it_is_doing() {
    let gateway = Gateway::with(&Options { upstream: Some(app()), ..Options::USUAL });
    let cookie = gateway.member().await;
    let load = Load::with_fields(&[gateway.address()], 4, &cookie);
    let (over, address) = (Arc::<AtomicBool>::default(), gateway.address());
    let (until, mut most) = (Arc::clone(&over), Duration::ZERO);
    let beat = std::thread::spawn(move || {
        let mut wire = Wire::to(address);
        let mut beats = 0;
        while !until.load(Ordering::Relaxed) {
            let since = Instant::now();
            wire.send("GET /_gateway/health HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(wire.answer().1, "ok\n");
            most = most.max(since.elapsed());
            beats += 1;
        }
        (beats, most)
    });
    load.goes_on_for(scaled(2_000, 200_000));
    over.store(true, Ordering::Relaxed);
    let (beats, most) = beat.join().unwrap();
    println!(
        "R20: {beats} answers of its own under load, the slowest after {:.1} ms",
        most.as_secs_f64() * 1e3
    );
    load.end().is_flawless();
    assert!(beats > 0 && most < Duration::from_secs(5), "{most:?}");
}
