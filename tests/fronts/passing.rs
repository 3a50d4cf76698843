//! A server in front that passes everything on: it ends TLS, and the gateway does the rest.

use http::Method;

use crate::asking::{FORGED, OF_A_MEMBER, TRUSTING, believed, go, identity, is_not_to_be_asked};
use crate::front::{Behind, Front, Program, Task};
use crate::harness::{Browser, Gateway, Options, RawUpstream, Wire};

/// What a browser says of where it comes from.
const SAID_OF_THE_WAY: [(&str, &str); 6] = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Real-IP", "6.6.6.6"),
    ("X-Forwarded-Host", "other.localhost"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Prefix", "/evil"),
    ("Forwarded", "for=6.6.6.6;host=other.localhost"),
];
const OTHER_SITE: &str = "[[site]]\npublic_url = \"https://other.localhost\"\nupstream = [\"http://127.0.0.1:9\"]\n\
                          providers = [\"ymca\"]\n";

fn in_front_of(gateway: &Gateway, program: Program, task: Task) -> Front {
    Front::start(program, task, Behind { gateway: gateway.address(), app: gateway.address() })
}

/// The whole of a visit: out and in again.
async fn passes_on(program: Program, task: Task, options: &Options) {
    let gateway = Gateway::with(&Options { more: OTHER_SITE, ..options.clone() });
    let front = in_front_of(&gateway, program, task);
    let app = gateway.upstream();
    let mut browser = Browser::new(front.address);

    // Behind the PROXY protocol the browser of this test is the peer, on the very address that is trusted.
    let said = if task == Task::Passing { &SAID_OF_THE_WAY[..] } else { &[] };
    let page = go(&mut browser, Method::GET, "/public/x", &[&FORGED[..], said].concat()).await;
    assert_eq!(page.status, 200, "{}\n{}", page.body, front.output());
    let request = app.last_request();
    assert_eq!(identity(&request), [""; 0], "{request:?}");
    assert!(
        !request.head().contains("6.6.6.6") && !request.head().contains("other.localhost"),
        "{request:?}"
    );
    assert_eq!(request.field("x-real-ip"), "127.0.0.1");
    assert_eq!(request.field("x-forwarded-proto"), "https");
    app.forget();

    assert_eq!(browser.fetch(Method::GET, "/classes", &[]).await.status, 401);
    let page = browser.visit("/classes?week=2").await;
    assert_eq!((page.status.as_u16(), page.path_and_query()), (200, "/classes?week=2"), "{}", page.body);
    assert_eq!(app.requests().len(), 1, "{:?}", app.requests());
    for target in ["/", "/cl%61sses/x%2Fy?a=%26&&b", "/a;b=c/d,e?f=g?h", "/a?"] {
        let page = go(&mut browser, Method::GET, target, &FORGED).await;
        assert_eq!(page.status, 200, "{target}: {}", page.body);
        let request = app.last_request();
        assert_eq!(believed(&request).as_deref(), Ok("400007995-00"), "{target}: {request:?}");
        assert_eq!(identity(&request), OF_A_MEMBER, "{request:?}");
        if program != Program::Caddy {
            assert_eq!(request.target, target);
        }
    }
    let page = browser.request(Method::POST, "/classes", &[], "name=value").await;
    assert_eq!((page.status.as_u16(), &app.last_request().body[..]), (200, &b"name=value"[..]));
    assert_eq!(browser.go("/denied/x").await.status, 403);
    assert_ne!(browser.go("/public/%2e%2e/denied/x").await.status, 200);

    // Nobody asks here. Behind the PROXY protocol nobody could: its clients are no trusted proxies.
    if task == Task::Passing {
        is_not_to_be_asked(&mut browser).await;
    }

    let mut thief = browser.clone();
    let same_origin = [("sec-fetch-site", "same-origin")];
    let page = browser.request(Method::POST, "/_gateway/logout", &same_origin, "").await;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/"), "{}", page.body);
    app.forget();
    for browser in [&mut browser, &mut thief] {
        assert_eq!(browser.go("/classes").await.status, 302);
    }
    assert!(app.requests().is_empty());
}

/// What a browser and an app say to each other after a handshake passes.
fn lets_websockets_through(program: Program, task: Task, options: &Options) {
    let app = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\u{1}\u{7}welcome",
        );
        let word = wire.until("\n");
        wire.send(word);
        wire.rest();
    });
    let gateway = Gateway::with(&Options { upstream: Some(app.address()), ..options.clone() });
    let front = in_front_of(&gateway, program, task);
    let mut browser = Wire::to(front.address);
    browser.send(
        "GET /public/chat HTTP/1.1\r\nHost: members.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = browser.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    browser.until("welcome");
    browser.send("a word\n");
    assert_eq!(browser.until("\n"), "a word\n");
}

#[tokio::test]
async fn nginx_passes_everything_on() {
    passes_on(Program::Nginx, Task::Passing, &TRUSTING).await;
    lets_websockets_through(Program::Nginx, Task::Passing, &TRUSTING);
}

#[tokio::test]
async fn caddy_passes_everything_on() {
    passes_on(Program::Caddy, Task::Passing, &TRUSTING).await;
    lets_websockets_through(Program::Caddy, Task::Passing, &TRUSTING);
}

#[tokio::test]
async fn haproxy_passes_everything_on() {
    passes_on(Program::Haproxy, Task::Passing, &TRUSTING).await;
    lets_websockets_through(Program::Haproxy, Task::Passing, &TRUSTING);
}

#[tokio::test]
async fn haproxy_passes_connections_on() {
    let listen = Some("{ address = \"127.0.0.1:0\", proxy_protocol = true }");
    let options = Options { listen, ..TRUSTING };
    passes_on(Program::Haproxy, Task::PassingConnections, &options).await;
    lets_websockets_through(Program::Haproxy, Task::PassingConnections, &options);
}

#[tokio::test]
async fn apache_passes_everything_on() {
    passes_on(Program::Apache, Task::Passing, &TRUSTING).await;
    lets_websockets_through(Program::Apache, Task::Passing, &TRUSTING);
}
