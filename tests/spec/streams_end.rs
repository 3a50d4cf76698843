//! Whatever outlasts a request ends with the session for which it was begun: WebSockets and answers that go on.

use http::Method;
use member_gateway::sandbox::daxko::{Endpoint, Fault};
use serde_json::json;

use crate::harness::http2::{H2C, Http2, head as answer_head, in_time, piece, request};
use crate::harness::{Gateway, Options, RawUpstream, Wire, head};
use crate::http2_websockets::{connect, open};
use crate::revocation::{ADMIN, revoke};

const SAME_ORIGIN: (&str, &str) = ("origin", "https://members.localhost");
/// A Close from a server that says 1008 (RFC 6455 §5.2).
const CLOSE_1008: [u8; 4] = [0x88, 2, 3, 0xf0];
const HELLO: [u8; 7] = [0x81, 5, b'h', b'e', b'l', b'l', b'o'];

/// An app that says hello over a WebSocket, and tells what it has read after that to the end.
fn chat() -> (RawUpstream, std::sync::mpsc::Receiver<String>) {
    RawUpstream::telling(|wire| {
        open(wire, "");
        wire.send(HELLO);
        wire.rest()
    })
}

fn handshake(cookie: &str, target: &str) -> String {
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    head(&format!("GET {target}"), &format!("{cookie}{fields}"))
}

/// A WebSocket that is open and has heard hello.
fn opened(gateway: &Gateway, cookie: &str, target: &str) -> Wire {
    let mut client = gateway.connect();
    client.send(handshake(cookie, target));
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.exactly(HELLO.len()), HELLO);
    client
}

fn in_front_of(upstream: &RawUpstream, options: Options) -> Gateway {
    Gateway::with(&Options { upstream: Some(upstream.address()), ..options })
}

/// Whether a text is the Close that the app gets: masked, and nothing behind it.
fn is_masked_close(text: &str) -> bool {
    // What is no UTF-8 is replaced, so only the length and the first octets can be told.
    !text.is_empty() && text.chars().count() <= 8 && !text.contains("late")
}

/// A way in which a session comes to its end: how, and who does it with whose `Cookie` line.
type End = (&'static str, fn(&Gateway, &str));

const ENDS: [End; 5] = [
    ("revoked", |gateway, _| assert!(revoke(gateway, r#"{"all": true}"#).contains(" 204 "))),
    ("revoked by member", |gateway, _| {
        assert!(revoke(gateway, r#"{"member_id": "400007995-00"}"#).contains(" 204 "));
    }),
    ("signed out", |gateway, cookie| {
        let fields = format!("{cookie}Origin: https://members.localhost\r\nContent-Length: 0\r\n");
        let answer = gateway.raw(crate::harness::last_head("POST /_gateway/logout", &fields));
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    }),
    ("idle", |gateway, _| gateway.later(3600)),
    ("too old", |gateway, _| gateway.later(12 * 3600)),
];

/// An app whose answer is an event stream that says hello and then nothing; it tells what it has read to the end.
fn events() -> (RawUpstream, std::sync::mpsc::Receiver<String>) {
    RawUpstream::telling(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        wire.send("d\r\ndata: hello\n\n\r\n");
        wire.rest()
    })
}

#[tokio::test]
async fn a_websocket_is_closed_with_1008_when_its_session_is_ended_or_expires() {
    for (how, end) in ENDS {
        let (upstream, told) = chat();
        let gateway = in_front_of(&upstream, ADMIN);
        let cookie = gateway.member().await;
        let mut client = opened(&gateway, &cookie, "/chat");

        end(&gateway, &cookie);

        assert_eq!(client.exactly(4), CLOSE_1008, "{how}");
        client.send([&[0x81, 0x84, 0, 0, 0, 0][..], b"late"].concat());
        client.send([0x88, 0x82, 0, 0, 0, 0, 3, 0xf0]);
        client.finish();
        assert_eq!(client.rest(), "", "{how}: nothing comes behind a Close");
        let heard = told.recv().unwrap();
        assert!(is_masked_close(&heard), "{how}: {heard:?}");
    }
}

#[tokio::test]
async fn the_websockets_of_others_go_on() {
    let upstream = RawUpstream::serving(|wire| {
        open(wire, "");
        wire.send(HELLO);
        let asked = wire.exactly(6);
        wire.send(asked);
        wire.rest();
    });
    let gateway = in_front_of(&upstream, ADMIN);
    let (ended, other) = (gateway.member().await, gateway.member().await);
    let mut of_ended = opened(&gateway, &ended, "/chat");
    let mut of_other = opened(&gateway, &other, "/chat");
    let mut of_nobody = opened(&gateway, "", "/public/chat");

    let fields = format!("{ended}Origin: https://members.localhost\r\nContent-Length: 0\r\n");
    gateway.raw(crate::harness::last_head("POST /_gateway/logout", &fields));

    assert_eq!(of_ended.exactly(4), CLOSE_1008);
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    for client in [&mut of_other, &mut of_nobody] {
        client.send(ping);
        assert_eq!(client.exactly(6), ping);
    }
    gateway.later(24 * 3600);
    assert_eq!(of_other.exactly(4), CLOSE_1008);
    assert!(
        !of_nobody.hears_within(std::time::Duration::from_millis(10)),
        "nobody's has no session to end with"
    );
}

#[tokio::test]
async fn a_websocket_that_was_opened_before_a_reload_ends_as_well() {
    let (upstream, _told) = chat();
    let mut gateway = in_front_of(&upstream, ADMIN);
    let cookie = gateway.member().await;
    let mut client = opened(&gateway, &cookie, "/chat");
    gateway.reload(&Options { upstream: Some(upstream.address()), ..ADMIN }).unwrap();

    assert!(revoke(&gateway, r#"{"all": true}"#).contains(" 204 "));

    assert_eq!(client.exactly(4), CLOSE_1008);
}

#[tokio::test]
async fn an_answer_that_goes_on_breaks_off_and_never_looks_complete() {
    for (how, end) in ENDS {
        let (upstream, told) = events();
        let gateway = in_front_of(&upstream, ADMIN);
        let cookie = gateway.member().await;
        let mut client = gateway.connect();
        client.send(head("GET /events", &cookie));
        assert!(client.head().starts_with("HTTP/1.1 200 "));
        client.until("data: hello\n\n\r\n");

        end(&gateway, &cookie);

        assert_eq!(client.rest(), "", "{how}: neither an event nor the last chunk");
        assert_eq!(told.recv().unwrap(), "", "{how}: the app sees that nobody listens any more");
    }
}

#[tokio::test]
async fn an_answer_that_is_complete_in_time_is_left_alone() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        wire.until("never");
    });
    let (waiting, told) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain");
        wire.rest()
    });
    drop(upstream);
    let gateway = in_front_of(&waiting, ADMIN);
    let cookie = gateway.member().await;
    let mut client = gateway.connect();
    client.send(head("GET /page", &cookie));
    assert_eq!(client.answer().1, "hello");

    assert!(revoke(&gateway, r#"{"all": true}"#).contains(" 204 "));

    client.send(head("GET /public/page", ""));
    assert_eq!(client.answer().1, "again", "the connection goes on");
    drop(client);
    drop(gateway);
    told.recv().unwrap();
}

/// A gateway that speaks HTTP/2 in front of this app, the `Cookie` line of a member, and a client.
async fn modern(upstream: &RawUpstream) -> (Gateway, String, Http2) {
    let gateway = in_front_of(upstream, Options { listen: Some(H2C), ..ADMIN });
    let cookie = gateway.member().await;
    let client = Http2::to(gateway.address()).await;
    (gateway, cookie, client)
}

fn field(cookie: &str) -> String {
    cookie.trim().replacen("Cookie", "cookie", 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_a_websocket_is_closed_with_1008_and_the_connection_goes_on() {
    for (how, end) in ENDS {
        let (upstream, told) = chat();
        let (gateway, cookie, mut client) = modern(&upstream).await;
        assert!(client.is_ready_for_websockets().await);
        let fields = format!("{}\nsec-websocket-version: 13", field(&cookie));
        let (answer, _sending) = client.send(connect("/chat", &fields), false).await;
        let answer = answer_head(answer).await;
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        let mut heard = Vec::new();
        while heard.len() < HELLO.len() {
            heard.extend(piece(&mut body).await.unwrap());
        }

        end(&gateway, &cookie);

        let mut last = Vec::new();
        while last.len() < 4 {
            last.extend(piece(&mut body).await.unwrap());
        }
        assert_eq!(last, CLOSE_1008, "{how}");
        let (answer, _) = client.send(request("GET", "/_gateway/health", ""), true).await;
        assert_eq!(answer_head(answer).await.status(), 200, "{how}");
        drop((body, client));
        told.recv().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_an_answer_that_goes_on_has_its_stream_reset_and_the_connection_goes_on() {
    for (how, end) in ENDS {
        let (upstream, told) = events();
        let (gateway, cookie, mut client) = modern(&upstream).await;
        let (answer, _) = client.send(request("GET", "/events", &field(&cookie)), true).await;
        let answer = answer_head(answer).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut body = answer.into_body();
        assert_eq!(piece(&mut body).await.unwrap(), "data: hello\n\n");

        end(&gateway, &cookie);

        let broken = in_time(body.data()).await.expect("it does not end as if it were complete").unwrap_err();
        assert!(broken.is_reset() && broken.is_remote(), "{how}: {broken}");
        assert_eq!(broken.reason(), Some(h2::Reason::INTERNAL_ERROR), "{how}");
        let (answer, _) = client.send(request("GET", "/_gateway/health", ""), true).await;
        assert_eq!(answer_head(answer).await.status(), 200, "{how}");
        assert_eq!(told.recv().unwrap(), "", "{how}: the app sees that nobody listens any more");
    }
}

#[tokio::test]
async fn a_websocket_ends_when_the_membership_lapses() {
    let (upstream, _told) = chat();
    let gateway = in_front_of(
        &upstream,
        Options {
            provider: "require_active = \"unit\"\nrecheck = \"1h\"",
            session: "idle_timeout = \"7d\"\nmax_age = \"7d\"",
            ..ADMIN
        },
    );
    let cookie = gateway.member().await;
    let mut client = opened(&gateway, &cookie, "/chat");

    let status = Fault::WithField { name: "status".into(), value: json!("Inactive") };
    gateway.daxko().faults().always(Endpoint::Unit, status);
    gateway.later(3601);

    assert_eq!(
        client.exactly(4),
        CLOSE_1008,
        "nobody asks anything, and still it is asked whether it is active"
    );
}

#[tokio::test]
async fn a_member_who_goes_on_elsewhere_has_a_new_session_for_the_next_websocket() {
    let (upstream, _told) = chat();
    let gateway = in_front_of(&upstream, ADMIN);
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/").await;
    assert_eq!(browser.go(&callback).await.status, 303);
    let cookie = |browser: &crate::harness::Browser| {
        format!("Cookie: __Host-member-session={}\r\n", browser.session_cookie().unwrap())
    };
    let mut client = opened(&gateway, &cookie(&browser), "/chat");
    assert!(revoke(&gateway, r#"{"all": true}"#).contains(" 204 "));
    assert_eq!(client.exactly(4), CLOSE_1008);

    let callback = browser.up_to_the_callback("/").await;
    assert_eq!(browser.go(&callback).await.status, 303);
    opened(&gateway, &cookie(&browser), "/chat");
    assert_eq!(browser.request(Method::POST, "/_gateway/logout", &[SAME_ORIGIN], "").await.status, 303);
}
