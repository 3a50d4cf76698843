//! Clients of HTTP/2 that make work and want nothing: they are shown out, and the others do not notice.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;

use crate::harness::http2::{H2C, Http2, in_time, read, request};
use crate::harness::{Gateway, Options, RawUpstream, Wire, eventually};
use crate::http2_websockets::{connect, open};

const SOON: Duration = Duration::from_secs(15);
const MORE_THAN_MAY_BE_WASTED: usize = 250;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What it is called, what goes first, and what is repeated.
type Flood<'a> = (&'static str, Vec<u8>, Box<dyn FnMut() -> Vec<u8> + 'a>);

/// SETTINGS_INITIAL_WINDOW_SIZE, and a value for it.
pub const fn window([a, b, c, d]: [u8; 4]) -> [u8; 6] {
    [0, 4, a, b, c, d]
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a GET, in HPACK without a table (RFC 7541 §6.2.2).
fn get(target: &str) -> Vec<u8> {
    let literal =
        |index: u8, text: &str| [&[index, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0x82, 0x86], literal(0x04, target), literal(0x01, "members.localhost")].concat()
}

pub fn ask(stream: u32, target: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get(target))
}

/// A connection that has begun with these settings.
pub fn begin(gateway: &Gateway, settings: &[u8]) -> Wire {
    let mut wire = gateway.connect();
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    wire.send(frame(SETTINGS, 0, 0, settings));
    wire
}

/// Reads frames until one of this kind comes.
pub fn until(wire: &mut Wire, wanted: u8) {
    loop {
        let head = wire.exactly(9);
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        wire.exactly(usize::try_from(length).unwrap());
        if head[3] == wanted {
            return;
        }
    }
}

pub fn gateway(server: &'static str, upstream: Option<&RawUpstream>) -> Gateway {
    let upstream = upstream.map(RawUpstream::address);
    Gateway::with(&Options { listen: Some(H2C), server, upstream, ..Options::default() })
}

/// Whether somebody else is served.
async fn serves(gateway: &Gateway) {
    let health = Http2::to(gateway.address()).await.status(request("GET", "/_gateway/health", "")).await;
    assert_eq!(health, Some(200));
}

#[tokio::test]
async fn floods_end_the_connection() {
    let gateway = gateway("", None);
    let mut stream = 1;
    let mut next = || {
        stream += 2;
        stream
    };
    let block = frame(HEADERS, END_STREAM, 1, &get("/public/a"));
    let floods: [Flood<'_>; 7] = [
        (
            "rapid reset",
            vec![],
            Box::new(|| {
                let stream = next();
                [ask(stream, "/public/a"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            }),
        ),
        ("continuation", block, Box::new(|| frame(CONTINUATION, 0, 1, b""))),
        ("ping", vec![], Box::new(|| frame(PING, 0, 0, &[0; 8]))),
        ("settings", vec![], Box::new(|| frame(SETTINGS, 0, 0, &[]))),
        ("priority", vec![], Box::new(|| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]))),
        (
            "empty data",
            frame(HEADERS, END_HEADERS, 1, &get("/public/a")),
            Box::new(|| frame(DATA, 0, 1, b"")),
        ),
        ("frames nobody knows", vec![], Box::new(|| frame(200, 0, 0, &[0; 9]))),
    ];
    for (name, first, mut flood) in floods {
        let mut wire = begin(&gateway, &[]);
        wire.send(first);
        // Sixty times what it takes of the cheapest; whoever is shown out cannot send any more.
        for _ in 0..300 {
            wire.send((0..2000).flat_map(|_| flood()).collect::<Vec<u8>>());
            if wire.is_closed_within(Duration::from_millis(1)) {
                break;
            }
        }
        assert!(wire.is_closed_within(SOON) || wire.is_closed_within(SOON), "{name}");
        serves(&gateway).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_whatever_it_begins_is_shown_out() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.rest();
    });
    let gateway = gateway("", Some(&upstream));
    let mut wire = begin(&gateway, &[]);
    let mut begun = 0;
    for number in 0..1000 {
        let stream = 1 + 2 * number;
        wire.send(ask(stream, "/public/slow"));
        let before = begun;
        eventually("a request arrives, or the connection has ended", || {
            begun = upstream.connections();
            begun > before || wire.is_closed_within(Duration::from_millis(1))
        });
        if begun == before {
            break;
        }
        wire.send(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    assert!((200..220).contains(&begun), "{begun}");
    serves(&gateway).await;
}

#[tokio::test]
async fn streams_that_a_client_has_reset_by_breaking_the_rules_are_counted() {
    let gateway = gateway("", None);
    let mut wire = begin(&gateway, &[]);
    for number in 0..1000 {
        let stream = 1 + 2 * number;
        // A window that is opened by nothing is an error of the stream (RFC 9113 §6.9).
        wire.send([ask(stream, "/public/a"), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat());
    }
    until(&mut wire, GOAWAY);
    assert!(gateway.upstream().requests().len() < 500);
    serves(&gateway).await;
}

#[test]
fn a_head_that_does_not_end_ends_the_connection_however_it_trickles() {
    let gateway = gateway("limits = { head_timeout = \"1s\" }", None);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [&preface[..], &frame(SETTINGS, 0, 0, &[])].concat();
    let unfinished = [settings.clone(), frame(HEADERS, 0, 1, &get("/public/a"))].concat();
    let cut = [settings, ask(1, "/public/a")[..20].to_vec()].concat();
    for (name, begin, drip) in [
        ("preface", preface[..10].to_vec(), vec![]),
        ("frame", cut, b"a".to_vec()),
        ("block", unfinished, frame(CONTINUATION, 0, 1, b"\x40\x01a\x01b")),
    ] {
        let mut wire = gateway.connect();
        wire.send(begin);
        let closed = (0..60).any(|_| {
            wire.send(&drip);
            wire.is_closed_within(Duration::from_millis(200))
        });
        assert!(closed || wire.is_closed_within(SOON), "{name}");
    }
    // One that begins when the connection has served already.
    let mut wire = begin(&gateway, &[]);
    wire.send(ask(1, "/_gateway/health"));
    frames(&mut wire, HEADERS, 1);
    wire.send(frame(HEADERS, 0, 3, &get("/public/a")));
    let closed = (0..60).any(|_| {
        wire.send(frame(CONTINUATION, 0, 3, b"\x40\x01a\x01b"));
        wire.is_closed_within(Duration::from_millis(200))
    });
    assert!(closed, "a later head");
}

#[test]
fn a_connection_without_requests_is_told_that_it_ends_and_ends_whatever_it_talks() {
    let gateway = gateway("limits = { idle = \"1s\", head_timeout = \"1s\" }", None);
    let mut wire = begin(&gateway, &[]);
    wire.send(ask(1, "/public/a"));
    until(&mut wire, DATA);
    for _ in 0..10 {
        wire.send(frame(PING, 0, 0, &[7; 8]));
        std::thread::sleep(Duration::from_millis(150));
    }
    until(&mut wire, GOAWAY);
    assert!(wire.is_closed_within(SOON) || wire.is_closed_within(SOON));
}

#[test]
fn an_answer_that_nobody_takes_frees_the_app() {
    let (upstream, taken) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while wire.send_while_taken(1024 * 1024) > 0 {}
        wire.is_closed_within(SOON)
    });
    let gateway = gateway("limits = { body_idle = \"1s\" }", Some(&upstream));

    // No window: the stream is reset, and the connection goes on.
    let mut wire = begin(&gateway, &window([0; 4]));
    wire.send(ask(1, "/public/a"));
    until(&mut wire, RST_STREAM);
    assert!(taken.recv().unwrap());
    wire.send(ask(3, "/_gateway/health"));
    until(&mut wire, HEADERS);

    // All the window there can be, and nobody reads: the connection ends.
    let mut wire = begin(&gateway, &window([0x7f, 0xff, 0xff, 0xff]));
    wire.send(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]));
    wire.send(ask(1, "/public/a"));
    assert!(taken.recv().unwrap());
}

/// Reads frames until so many of this kind have come; the streams they are for, and what they say.
pub fn frames(wire: &mut Wire, wanted: u8, count: usize) -> Vec<(u32, Vec<u8>)> {
    let mut found = Vec::new();
    while found.len() < count {
        let head = wire.exactly(9);
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = wire.exactly(usize::try_from(length).unwrap());
        if head[3] == wanted {
            found.push((u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_holds_too_much_has_its_new_streams_refused_until_it_holds_less() {
    const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.rest();
    });
    // Room for fifteen.
    let gateway = gateway("limits = { http2_bytes = \"1MiB\" }", Some(&upstream));
    let mut wire = begin(&gateway, &[]);
    wire.send((0..30).flat_map(|number| ask(1 + 2 * number, "/public/slow")).collect::<Vec<u8>>());

    let refused = frames(&mut wire, RST_STREAM, 15);
    assert!(refused.iter().all(|(_, reason)| *reason == REFUSED_STREAM), "{refused:?}");
    assert_eq!(refused[0].0, 31);
    eventually("what was not refused arrives", || upstream.connections() == 15);

    // Whoever wants little is served all the same.
    serves(&gateway).await;

    // What has ended is not held any more.
    wire.send(
        (0..15).flat_map(|number| frame(RST_STREAM, 0, 1 + 2 * number, &[0, 0, 0, 8])).collect::<Vec<u8>>(),
    );
    let mut stream = 59;
    eventually("there is room again", || {
        stream += 2;
        wire.send(ask(stream, "/public/slow"));
        upstream.connections() > 15
    });
}

#[test]
fn bodies_that_an_app_does_not_read_count_as_what_may_lie_here() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.rest();
    });
    // Room for fifteen without a body, and for seven with one.
    let gateway = gateway("limits = { http2_bytes = \"1MiB\" }", Some(&upstream));
    let mut wire = begin(&gateway, &[]);
    for number in 0..30 {
        wire.send(frame(HEADERS, END_HEADERS, 1 + 2 * number, &get("/public/upload")));
    }

    let refused = frames(&mut wire, RST_STREAM, 23);

    assert_eq!(refused[0].0, 15);
    eventually("what was not refused arrives", || upstream.connections() == 7);

    // What has ended is not held any more, bodies included.
    for number in 0..7 {
        wire.send(frame(RST_STREAM, 0, 1 + 2 * number, &[0, 0, 0, 8]));
    }
    let mut stream = 59;
    eventually("there is room for as many again", || {
        stream += 2;
        wire.send(frame(HEADERS, END_HEADERS, stream, &get("/public/upload")));
        upstream.connections() >= 14
    });
}

#[test]
fn what_was_read_of_an_answer_counts_though_its_window_is_shut() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(6000)));
        wire.rest();
    });
    // Room for fifteen without an answer.
    let gateway = gateway("limits = { http2_bytes = \"1MiB\" }", Some(&upstream));
    let mut wire = begin(&gateway, &window([0; 4]));
    for number in 0..14 {
        wire.send(ask(1 + 2 * number, "/public/a"));
        until(&mut wire, HEADERS);
    }

    wire.send(ask(29, "/public/a"));

    assert_eq!(frames(&mut wire, RST_STREAM, 1), [(29, vec![0, 0, 0, 7])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn crumbs_of_few_octets_count_as_what_they_stand_for() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.rest();
    });
    let gateway = gateway("limits = { http2_bytes = \"1MiB\" }", Some(&upstream));
    let mut wire = begin(&gateway, &[]);
    // A cookie of 4000 octets for the table of HPACK (RFC 7541 §6.2.1), and then one octet for each time it comes again.
    let again = [0x80 | 62; 14];
    let first = [&get("/public/slow")[..], &[0x40 | 32, 127, 0xa1, 0x1e], &[b'a'; 4000], &again].concat();
    let next = [&get("/public/slow")[..], &[0x80 | 62], &again].concat();
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &first));
    for number in 1..10 {
        wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * number, &next));
    }

    // 60 kB, twice, beside what any stream holds: five of them fit.
    assert_eq!(frames(&mut wire, RST_STREAM, 5)[0].0, 11);
    eventually("the others arrive", || upstream.connections() == 5);
}

#[test]
fn the_end_of_an_answer_that_nobody_takes_ends_the_connection() {
    let gateway = gateway("limits = { body_idle = \"1s\", idle = \"600s\" }", None);
    // A window for less than the answer, which the app has given and forgotten.
    let mut wire = begin(&gateway, &window([0, 0, 0, 4]));
    wire.send(ask(1, "/public/a"));
    until(&mut wire, DATA);
    assert_eq!(gateway.upstream().requests().len(), 1);
    assert!(wire.is_closed_within(SOON) || wire.is_closed_within(SOON));
}

/// A gateway in front of an app that answers before it has the body, and what tells when its connection ends.
fn in_front_of_a_hasty_app(server: &'static str) -> (Gateway, std::sync::mpsc::Receiver<String>) {
    let (upstream, ended) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        wire.rest()
    });
    let options =
        Options { listen: Some(H2C), server, upstream: Some(upstream.address()), ..Options::default() };
    (Gateway::with(&options), ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_body_that_has_been_answered_is_owed_all_the_same() {
    for (how, drips) in [("silent", false), ("dripping", true)] {
        let (gateway, ended) = in_front_of_a_hasty_app("limits = { body_idle = \"1s\", body_rate = 1000 }");
        let mut client = Http2::to(gateway.address()).await;
        let (answer, mut body) = client.send(request("POST", "/public/a", ""), false).await;
        assert_eq!(read(answer).await.body, "ok");

        let reason = loop {
            if drips {
                // It fails once the stream is reset.
                let _ = body.send_data(Bytes::from("x"), false);
            }
            let soon = tokio::time::timeout(Duration::from_millis(100), poll_fn(|cx| body.poll_reset(cx)));
            match soon.await {
                Ok(reason) => break reason.unwrap(),
                Err(_) => {
                    assert!(client.status(request("GET", "/_gateway/health", "")).await.is_some(), "{how}");
                }
            }
        };

        // RFC 9113 §8.1: nothing is wrong with the answer.
        assert_eq!(reason, h2::Reason::NO_ERROR, "{how}");
        assert!(!ended.recv().unwrap().ends_with("0\r\n\r\n"), "{how}: it never looks complete");
        assert_eq!(client.status(request("GET", "/_gateway/health", "")).await, Some(200), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_body_that_has_been_answered_arrives_if_it_comes() {
    let (gateway, ended) = in_front_of_a_hasty_app("limits = { body_idle = \"1s\" }");
    let mut client = Http2::to(gateway.address()).await;
    let (answer, mut body) = client.send(request("POST", "/public/a", ""), false).await;
    assert_eq!(read(answer).await.body, "ok");

    body.send_data(Bytes::from("the rest"), true).unwrap();
    drop((body, client, gateway));

    assert_eq!(ended.recv().unwrap(), "8\r\nthe rest\r\n0\r\n\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_exchanges_do_not_count_as_wasted_however_they_end() {
    let upstream = RawUpstream::serving(|wire| {
        while wire.hears_within(SOON) {
            let head = wire.head();
            let target = head.split(' ').nth(1).unwrap();
            match target.trim_start_matches("/public/") {
                "upload" => {
                    wire.exactly(5);
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                }
                "chunked" => {
                    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
                }
                "trailers" => wire.send(
                    "HTTP/1.1 200 OK\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n\
                     0\r\nX-Checksum: 1\r\n\r\n",
                ),
                "nothing" => wire.send("HTTP/1.1 204 No Content\r\n\r\n"),
                "to-the-end" => return wire.send("HTTP/1.1 200 OK\r\n\r\nok"),
                "broken" => return wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
                "head" => wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
                _ => wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            }
        }
    });
    let gateway = gateway("", Some(&upstream));
    let many_fields: String = (0..200).map(|n| format!("x-{n}: 1\n")).collect();
    for (request, body, expected) in [
        (request("GET", "/public/a", ""), "", 200),
        (request("HEAD", "/public/head", ""), "", 200),
        (request("POST", "/public/upload", "content-length: 5"), "hello", 200),
        (request("GET", "/public/chunked", ""), "", 200),
        (request("GET", "/public/trailers", "te: trailers"), "", 200),
        (request("GET", "/public/nothing", ""), "", 204),
        (request("GET", "/public/to-the-end", ""), "", 200),
        (request("GET", "/public/broken", ""), "", 200),
        (request("GET", "/public/a", &many_fields), "", 431),
        (request("GET", "/_gateway/health", ""), "", 200),
    ] {
        let mut client = Http2::to(gateway.address()).await;
        for number in 1..=MORE_THAN_MAY_BE_WASTED {
            let (answer, mut sending) = client.send(request.clone(), body.is_empty()).await;
            if !body.is_empty() {
                sending.send_data(Bytes::from(body), true).unwrap();
            }
            let answer =
                in_time(answer).await.unwrap_or_else(|error| panic!("{number}, {request:?}: {error}"));
            assert_eq!(answer.status(), expected, "{number}, {request:?}");
            let mut body = answer.into_body();
            while let Some(Ok(_)) = in_time(body.data()).await {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_that_were_opened_do_not_count_as_wasted() {
    let upstream = RawUpstream::serving(|wire| {
        open(wire, "");
        wire.rest();
    });
    let gateway = gateway("", Some(&upstream));
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);
    for number in 1..=MORE_THAN_MAY_BE_WASTED {
        let (answer, mut sending) = client.send(connect("/public/chat", ""), false).await;
        let answer = in_time(answer).await.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(answer.status(), 200, "{number}");
        sending.send_data(Bytes::new(), true).unwrap();
        let mut body = answer.into_body();
        while let Some(Ok(_)) = in_time(body.data()).await {}
    }
}
