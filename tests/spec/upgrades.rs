//! WebSockets through the gateway, and the upgrades that are none.

use std::time::Duration;

use crate::harness::{Gateway, Options, RawUpstream, head};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A WebSocket handshake.
fn handshake(cookie: &str) -> String {
    let fields = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    head("GET /chat", &format!("{cookie}{fields}"))
}

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[tokio::test]
async fn a_websocket_goes_through_in_both_directions_and_ends_at_each_in_its_time() {
    let upstream = RawUpstream::serving(|wire| {
        let request = wire.head().to_lowercase();
        assert!(request.contains("upgrade: websocket\r\n") && request.contains("connection: upgrade\r\n"));
        wire.send(SWITCHING);
        wire.send("\u{1}welcome");
        let word = wire.until("\n");
        wire.send(word);
        wire.rest();
        wire.send("goodbye");
    });
    let gateway = Gateway::in_front_of(&upstream);
    let cookie = gateway.member().await;
    let mut client = gateway.connect();

    client.send(handshake(&cookie));
    let answer = client.head();
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{answer}"
    );
    client.until("\u{1}welcome");
    // Nothing of it is read as HTTP any more.
    client.send("GET \0 :\n");
    assert_eq!(client.until("\n"), "GET \0 :\n");
    client.finish();

    assert_eq!(client.rest(), "goodbye");
    assert!(upstream.received()[0].contains("X-Member-Id: 400007995-00\r\n"));
}

#[tokio::test]
async fn an_open_stream_does_not_extend_the_session() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(SWITCHING);
        wire.hears_within(Duration::from_secs(20));
    });
    let gateway = Gateway::in_front_of(&upstream);
    let cookie = gateway.member().await;
    gateway.later(1800);
    let mut client = gateway.connect();

    client.send(handshake(&cookie));
    let answer = client.head().to_lowercase();

    assert!(answer.starts_with("http/1.1 101 ") && !answer.contains("set-cookie"), "{answer}");
}

#[tokio::test]
async fn a_websocket_that_is_refused_is_the_last_of_its_connection() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    });
    let gateway = Gateway::in_front_of(&upstream);
    let cookie = gateway.member().await;
    let mut client = gateway.connect();

    client.send(handshake(&cookie));
    let (head, body) = client.answer();

    // Whatever the client has sent behind its handshake already is no request.
    assert!(head.contains("connection: close") && body == "no", "{head}");
}

#[tokio::test]
async fn no_other_protocol_is_upgraded_to() {
    let upstream = RawUpstream::answering(OK);
    let gateway = Gateway::in_front_of(&upstream);
    let cookie = gateway.member().await;
    for upgrade in ["h2c", "websocket, h2c", "h2c\r\nUpgrade: websocket", "TLS/1.0"] {
        let fields = format!(
            "{cookie}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        );
        let answer = gateway.raw(head("GET /a", &fields));

        assert!(answer.starts_with("HTTP/1.1 200 "), "{upgrade}: {answer}");
        let received = upstream.received().concat().to_lowercase();
        assert!(!received.contains("upgrade") && !received.contains("http2-settings"), "{received}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_answered_with_another_protocol_opens_no_tunnel() {
    for protocol in ["h2c", "websocket, h2c", "raw"] {
        let upstream = RawUpstream::serving(move |wire| {
            wire.head();
            wire.send(SWITCHING.replace("Upgrade: websocket", &format!("Upgrade: {protocol}")));
            wire.rest();
        });
        let gateway = Gateway::in_front_of(&upstream);
        let cookie = gateway.member().await;

        let answer = gateway.raw(handshake(&cookie));

        assert!(answer.starts_with("HTTP/1.1 502 "), "{protocol}: {answer}");
    }
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_no_tunnel() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(SWITCHING);
        wire.rest();
    });
    let gateway = Gateway::in_front_of(&upstream);

    let answer = gateway.raw(head("GET /public/a", "Connection: close\r\n"));

    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[tokio::test]
async fn a_websocket_is_opened_by_programs_by_the_site_s_own_pages_and_by_those_the_rule_names() {
    let gateway = Gateway::with(&Options {
        more: "[[site.rule]]\npath = \"/socket/**\"\naccess = \"member\"\norigins = [\"https://app.example.org\"]",
        ..Options::default()
    });
    let cookie = gateway.member().await;
    let handshake =
        "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n";
    for (path, origin, passes) in [
        ("/chat", "", true),
        ("/chat", "Origin: https://members.localhost\r\n", true),
        ("/chat", "Origin: https://MEMBERS.localhost\r\n", true),
        ("/chat", "Origin: http://members.localhost\r\n", false),
        ("/chat", "Origin: https://evil.test\r\n", false),
        ("/chat", "Origin: null\r\n", false),
        ("/chat", "Origin: https://members.localhost.evil.test\r\n", false),
        ("/chat", "Origin: https://app.members.localhost\r\n", false),
        ("/chat", "Origin: https://members.localhost\r\nOrigin: https://evil.test\r\n", false),
        ("/chat", "Origin: https://app.example.org\r\n", false),
        ("/public/chat", "Origin: https://evil.test\r\n", false),
        ("/socket/chat", "Origin: https://app.example.org\r\n", true),
        ("/socket/chat", "Origin: https://evil.test\r\n", false),
    ] {
        gateway.upstream().forget();
        let answer = gateway.raw(format!(
            "GET {path} HTTP/1.1\r\nHost: members.localhost\r\n{cookie}{handshake}{origin}Connection: Upgrade, close\r\n\r\n"
        ));

        let expected = if passes { "HTTP/1.1 200 " } else { "HTTP/1.1 403 " };
        assert!(answer.starts_with(expected), "{path} {origin}: {answer}");
        assert_eq!(gateway.upstream().requests().len(), usize::from(passes), "{path} {origin}");
    }
}
