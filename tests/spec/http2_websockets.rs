//! WebSockets over HTTP/2 (RFC 8441): the same handshake to the app, and the same rules for whoever opens one.

use bytes::Bytes;
use h2::ext::Protocol;
use http::Request;

use crate::harness::http2::{H2C, Http2, head, in_time, piece, request};
use crate::harness::{Gateway, Options, RawUpstream, Wire, eventually};

/// An extended CONNECT to the usual site.
pub fn connect(target: &str, fields: &str) -> Request<()> {
    let mut request = request("CONNECT", target, fields);
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request
}

fn in_front_of(upstream: &RawUpstream) -> Gateway {
    Gateway::with(&Options { listen: Some(H2C), upstream: Some(upstream.address()), ..Options::default() })
}

/// The value of a field in a head.
fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.into_iter().find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
}

/// Reads a handshake as an app does, and opens the WebSocket; gives back its head.
pub fn open(wire: &mut Wire, more: &str) -> String {
    let head = wire.head();
    let mut accept = accept_of(value(&head, "sec-websocket-key").unwrap());
    accept.push_str(more);
    wire.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ));
    head
}

/// What a key is answered with (RFC 6455 §4.2.2).
fn accept_of(key: &str) -> String {
    use base64::Engine as _;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

fn cookie(member: &str) -> String {
    member.trim().replacen("Cookie", "cookie", 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_goes_through_in_both_directions_and_ends_at_each_in_its_time() {
    let upstream = RawUpstream::serving(|wire| {
        open(wire, "\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate");
        wire.send("\u{1}welcome");
        let word = wire.until("\n");
        wire.send(word);
        wire.rest();
        wire.send("goodbye");
    });
    let gateway = in_front_of(&upstream);
    let member = gateway.member().await;
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);

    let fields = format!(
        "{}\nsec-websocket-version: 13\nsec-websocket-protocol: chat, talk\nsec-websocket-extensions: permessage-deflate",
        cookie(&member)
    );
    let (answer, mut sending) = client.send(connect("/chat?room=1", &fields), false).await;
    let answer = head(answer).await;

    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(answer.headers()["sec-websocket-extensions"], "permessage-deflate");
    assert!(!answer.headers().contains_key("sec-websocket-accept"));
    let mut body = answer.into_body();
    let mut heard = Vec::new();
    while heard.len() < 8 {
        heard.extend(piece(&mut body).await.unwrap());
    }
    assert_eq!(heard, b"\x01welcome");
    sending.send_data(Bytes::from("GET \0 :\n"), false).unwrap();
    assert_eq!(piece(&mut body).await.unwrap(), "GET \0 :\n");
    // This side has ended, and still hears what the other has to say.
    sending.send_data(Bytes::new(), true).unwrap();
    assert_eq!(piece(&mut body).await.unwrap(), "goodbye");
    assert!(piece(&mut body).await.is_none());

    let got = upstream.received()[0].to_lowercase();
    assert!(got.starts_with("get /chat?room=1 http/1.1\r\n"), "{got}");
    for line in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-version: 13\r\n",
        "sec-websocket-protocol: chat, talk\r\n",
        "x-member-id: 400007995-00\r\n",
        "host: members.localhost\r\n",
    ] {
        assert!(got.contains(line), "{line}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_may_end_first_and_still_hears_the_client() {
    let (upstream, heard) = RawUpstream::telling(|wire| {
        open(wire, "");
        wire.send("last words");
        wire.finish();
        wire.rest()
    });
    let gateway = in_front_of(&upstream);
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);

    let (answer, mut sending) = client.send(connect("/public/chat", ""), false).await;
    let mut body = head(answer).await.into_body();
    assert_eq!(piece(&mut body).await.unwrap(), "last words");
    assert!(piece(&mut body).await.is_none());
    sending.send_data(Bytes::from("and mine"), true).unwrap();

    assert_eq!(heard.recv().unwrap(), "and mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_its_websocket_frees_the_app() {
    let (upstream, ended) = RawUpstream::telling(|wire| {
        open(wire, "");
        wire.is_closed_within(std::time::Duration::from_secs(20))
    });
    let gateway = in_front_of(&upstream);
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);

    let (answer, mut sending) = client.send(connect("/public/chat", ""), false).await;
    let _body = head(answer).await.into_body();
    sending.send_reset(h2::Reason::CANCEL);

    assert!(ended.recv().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_a_websocket_is_asked_what_http1_asks() {
    let upstream = RawUpstream::serving(|wire| {
        open(wire, "");
        wire.rest();
    });
    let gateway = in_front_of(&upstream);
    let session = cookie(&gateway.member().await);
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);
    for (target, fields, expected) in [
        ("/chat", String::new(), 401),
        ("/chat", session.clone(), 200),
        ("/chat", format!("{session}\norigin: https://members.localhost"), 200),
        ("/chat", format!("{session}\norigin: https://evil.test"), 403),
        ("/chat", format!("{session}\norigin: null"), 403),
        ("/public/chat", "origin: https://evil.test".to_owned(), 403),
        ("/public/chat", String::new(), 200),
        ("/denied/chat", session.clone(), 403),
        ("/staff/chat", session.clone(), 403),
    ] {
        let before = upstream.connections();
        let (answer, _sending) = client.send(connect(target, &fields), false).await;
        assert_eq!(head(answer).await.status(), expected, "{target} {fields}");
        assert_eq!(upstream.connections() - before, usize::from(expected == 200), "{target} {fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_prove_that_it_speaks_websocket_gets_no_tunnel() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let (upstream, ended) = RawUpstream::telling(move |wire| {
            wire.head();
            wire.send(answer);
            wire.rest()
        });
        let gateway = in_front_of(&upstream);
        let mut client = Http2::to(gateway.address()).await;
        assert!(client.is_ready_for_websockets().await);

        let (response, mut sending) = client.send(connect("/public/chat", ""), false).await;
        let _ = sending.send_data(Bytes::from("secret"), false);

        assert_eq!(head(response).await.status(), 502, "{answer}");
        drop(gateway);
        assert_eq!(ended.recv().unwrap(), "", "{answer}");
    }
}

#[tokio::test]
async fn no_other_protocol_and_no_plain_connect_opens_a_tunnel() {
    let gateway = Gateway::with(&Options { listen: Some(H2C), ..Options::default() });
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);
    for protocol in ["connect-udp", "connect-ip", "WebSocket"] {
        let mut request = request("CONNECT", "/public/chat", "");
        request.extensions_mut().insert(Protocol::from_static(protocol));
        let (answer, _sending) = client.send(request, false).await;
        assert_eq!(head(answer).await.status(), 501, "{protocol}");
    }
    assert!(gateway.upstream().requests().is_empty());
    eventually("nothing is left open", || gateway.upstream().connections() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_websockets_count_as_what_they_hold_and_are_refused_where_that_is_too_much() {
    let upstream = RawUpstream::serving(|wire| {
        open(wire, "");
        wire.rest();
    });
    // Room for some thirty that are open, and for eight that are being opened.
    let gateway = Gateway::with(&Options {
        listen: Some(H2C),
        server: "limits = { http2_bytes = \"1MiB\" }",
        upstream: Some(upstream.address()),
        ..Options::default()
    });
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);

    let mut there = Vec::new();
    let refused = loop {
        let (answer, sending) = client.send(connect("/public/chat", ""), false).await;
        match in_time(answer).await {
            Ok(answer) => there.push((answer.into_body(), sending)),
            Err(error) => break error,
        }
        assert!(there.len() < 60, "there are more of them than there is room for");
    };

    assert_eq!(refused.reason(), Some(h2::Reason::REFUSED_STREAM));
    assert!(there.len() > 16, "{}", there.len());
    // Whoever wants little is served all the same, and what has ended is not held any more.
    let mut other = Http2::to(gateway.address()).await;
    assert_eq!(other.status(request("GET", "/_gateway/health", "")).await, Some(200));
    there.clear();
    let room_again = async {
        loop {
            let (answer, _sending) = client.send(connect("/public/chat", ""), false).await;
            if answer.await.is_ok() {
                return;
            }
        }
    };
    in_time(room_again).await;
}
