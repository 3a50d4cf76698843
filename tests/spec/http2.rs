//! HTTP/2 towards browsers: what is spoken where, whose request it is, and what of it arrives.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;

use crate::harness::http2::{H2C, Http2, head, in_time, piece, read, request, reset};
use crate::harness::{Authority, Folder, Gateway, Options, RawUpstream, Secured, Wire, eventually, trusting};

const NAME: &str = "members.localhost";

fn gateway() -> Gateway {
    Gateway::with(&Options { listen: Some(H2C), ..Options::default() })
}

fn in_front_of(upstream: &RawUpstream) -> Gateway {
    Gateway::with(&Options { listen: Some(H2C), upstream: Some(upstream.address()), ..Options::default() })
}

#[tokio::test]
async fn over_tls_a_client_gets_http2_where_it_can_and_http1_where_it_cannot() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&[NAME]);
    let folder = Folder::empty().and("site.pem", &certificate).and("site.key", &key);
    let gateway = Gateway::with(&Options {
        server: "tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }",
        folder: Some(folder.path().to_owned()),
        ..Options::default()
    });

    let mut http2 = Http2::over_tls(gateway.address(), NAME, &trusting(&authority)).await;
    let mut secure = request("GET", "/public/a", "");
    *secure.uri_mut() = "https://members.localhost/public/a".parse().unwrap();
    let answer = http2.ask(secure).await;

    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"hello from the upstream"[..]));
    for (offered, agreed) in [("h2,http/1.1", "h2"), ("http/1.1,h2", "h2"), ("http/1.1", "http/1.1")] {
        let mut config = trusting(&authority);
        config.alpn_protocols = offered.split(',').map(|name| name.as_bytes().to_vec()).collect();
        let connection = Secured::to(gateway.address(), NAME, &Arc::new(config)).unwrap();
        assert_eq!(connection.0.conn.alpn_protocol(), Some(agreed.as_bytes()), "{offered}");
    }
}

#[tokio::test]
async fn without_tls_http2_is_spoken_where_the_listener_says_so_and_http1_beside_it() {
    let gateway = Gateway::with(&Options {
        listen: Some("{ address = \"127.0.0.1:0\", h2c = true }, \"127.0.0.1:0\""),
        ..Options::default()
    });

    let answer = Http2::to(gateway.addresses()[0]).await.ask(request("GET", "/public/a", "")).await;
    assert_eq!(&*answer.body, b"hello from the upstream");
    for (listener, first) in [(0, "GET"), (0, "P"), (0, "PR"), (1, "GET")] {
        let mut wire = Wire::to(gateway.addresses()[listener]);
        let method = if first == "GET" { "GET" } else { "PROPFIND" };
        let text = format!("{method} /public/a HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
        // The first octets by themselves do not tell yet.
        wire.send(&text[..first.len()]);
        wire.send(&text[first.len()..]);
        assert!(wire.answer().0.starts_with("HTTP/1.1 200 "), "{first}");
    }
    let mut wire = Wire::to(gateway.addresses()[1]);
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(wire.rest().starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_member_is_known_by_a_cookie_in_crumbs_and_the_upstream_gets_one_cookie() {
    let gateway = gateway();
    let member = gateway.member().await;
    gateway.upstream().forget();
    let session = member.trim().trim_start_matches("Cookie: ").to_owned();
    let fields = format!("cookie: a=1\ncookie: {session}\nx-member-id: forged\ncookie: b=2");

    let answer = Http2::to(gateway.address()).await.ask(request("GET", "/app?q=%C3%A9", &fields)).await;

    assert_eq!(answer.status, 200);
    let got = gateway.upstream().last_request();
    assert_eq!((got.method.as_str(), got.target.as_str()), ("GET", "/app?q=%C3%A9"));
    assert_eq!(got.field("cookie"), "a=1; b=2");
    assert_eq!(got.field("x-member-id"), "400007995-00");
    assert_eq!(got.field("host"), NAME);
    assert!(got.field("signature-input").contains("member=("));
}

#[tokio::test]
async fn a_request_names_one_host_and_the_scheme_that_is_spoken() {
    let gateway = gateway();
    let mut client = Http2::to(gateway.address()).await;
    let asked = |uri: &str, fields: &str| {
        let mut asked = request("GET", "/public/a", fields);
        *asked.uri_mut() = uri.parse().unwrap();
        asked
    };
    for (uri, fields, expected) in [
        ("http://members.localhost/public/a", "", 200),
        ("http://members.localhost/public/a", "host: members.localhost", 200),
        ("http://members.localhost/public/a", "host: MEMBERS.localhost", 200),
        ("http://members.localhost:443/public/a", "", 200),
        ("http://members.localhost/public/a", "host: evil.test", 400),
        ("http://evil.test/public/a", "host: members.localhost", 400),
        ("http://members.localhost/public/a", "host: members.localhost\nhost: members.localhost", 400),
        ("http://user@members.localhost/public/a", "", 400),
        ("http://evil.test/public/a", "", 421),
        ("https://members.localhost/public/a", "", 400),
    ] {
        gateway.upstream().forget();
        let status = client.status(asked(uri, fields)).await;
        assert_eq!(status, Some(expected), "{uri} {fields}");
        assert_eq!(gateway.upstream().requests().len(), usize::from(expected == 200), "{uri} {fields}");
    }
}

#[tokio::test]
async fn what_is_no_request_for_an_app_reaches_none() {
    let gateway = gateway();
    let mut client = Http2::to(gateway.address()).await;
    for (method, fields, expected) in
        [("TRACE", "", 501), ("get", "", 501), ("GET", "expect: something", 417)]
    {
        let status = client.status(request(method, "/public/a", fields)).await;
        assert_eq!(status, Some(expected), "{method} {fields}");
    }
    for value in [&b" a"[..], b"a ", b"\ta"] {
        let mut blank = request("GET", "/public/a", "");
        blank.headers_mut().insert("x-a", http::HeaderValue::from_bytes(value).unwrap());
        assert_eq!(client.status(blank).await, Some(400), "{value:?}");
    }
    // One that reads nothing, or its own 400 would do for ours.
    let deaf = RawUpstream::serving(|wire| drop(wire.rest()));
    let in_front_of_it = in_front_of(&deaf);
    let mut quoted = request("GET", "/public/a", "");
    let name = http::HeaderName::from_lowercase(b"x-\"member\"-id").unwrap();
    quoted.headers_mut().insert(name, http::HeaderValue::from_static("1"));
    let status = Http2::to(in_front_of_it.address()).await.status(quoted).await;
    assert_eq!((status, deaf.connections()), (Some(400), 0), "a name that HTTP/1.1 does not know");
    let mut connect = Request::new(());
    *connect.method_mut() = http::Method::CONNECT;
    *connect.uri_mut() = NAME.parse().unwrap();
    *connect.version_mut() = Version::HTTP_2;
    assert_eq!(client.status(connect).await, Some(501));
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_head_is_as_large_as_the_operator_allows_and_each_crumb_counts() {
    let gateway = gateway();
    let mut client = Http2::to(gateway.address()).await;
    for (count, expected) in [(99, 200), (101, 431)] {
        let crumbs: Vec<String> = (0..count).map(|n| format!("cookie: c{n}=1")).collect();
        let status = client.status(request("GET", "/public/a", &crumbs.join("\n"))).await;
        assert_eq!(status, Some(expected), "{count} crumbs");
    }
    let large = format!("x-large: {}", "a".repeat(65 * 1024));
    assert_eq!(client.status(request("GET", "/public/a", &large)).await, Some(431));
    assert_eq!(client.status(request("GET", "/public/a", "")).await, Some(200));
}

#[tokio::test]
async fn answers_that_are_a_head_alone_are_one() {
    let gateway = gateway();
    let mut client = Http2::to(gateway.address()).await;
    for (method, target, status) in
        [("HEAD", "/public/a", 200), ("HEAD", "/_gateway/health", 200), ("HEAD", "/denied/a", 403)]
    {
        let answer = client.ask(request(method, target, "")).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0), "{method} {target}");
        assert_ne!(answer.fields["content-length"], "0", "{method} {target}");
    }
    for status in [204, 304] {
        gateway.upstream().answers(move |_| {
            Response::builder().status(status).header("etag", "\"1\"").body(Full::default()).unwrap()
        });
        let answer = client.ask(request("GET", "/public/a", "")).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0));
        assert_eq!(answer.fields["etag"], "\"1\"");
    }
}

#[tokio::test]
async fn a_body_arrives_as_it_was_sent_and_a_client_that_expects_100_is_answered() {
    let gateway = gateway();
    let mut client = Http2::to(gateway.address()).await;

    let (answer, mut body) =
        client.send(request("POST", "/public/a", "expect: 100-continue\ncontent-length: 11"), false).await;
    body.send_data(Bytes::from("hello "), false).unwrap();
    body.send_data(Bytes::from("there"), true).unwrap();

    assert_eq!(read(answer).await.status, 200);
    let got = gateway.upstream().last_request();
    assert_eq!(
        (&*got.body, got.field("content-length"), got.has("expect")),
        (&b"hello there"[..], "11", false)
    );
}

/// Beside chunks a length is what requests are smuggled with (RFC 9112 §6.1).
#[tokio::test]
async fn a_body_of_no_octets_is_told_in_one_way_whether_trailers_follow_it_or_not() {
    let upstream = RawUpstream::serving(|wire| {
        let head = wire.head().to_lowercase();
        if head.contains("transfer-encoding") {
            wire.until("\r\n\r\n");
        }
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len()));
    });
    let gateway = in_front_of(&upstream);
    let mut client = Http2::to(gateway.address()).await;
    for (fields, told) in [
        ("content-length: 0", vec!["content-length: 0"]),
        ("te: trailers\ntrailer: x-checksum\ncontent-length: 0", vec!["transfer-encoding: chunked"]),
        ("te: trailers\ntrailer: x-checksum", vec!["transfer-encoding: chunked"]),
    ] {
        let (answer, mut body) = client.send(request("POST", "/public/a", fields), false).await;
        body.send_data(Bytes::new(), true).unwrap();
        let got = String::from_utf8(read(answer).await.body.to_vec()).unwrap();
        let is_length =
            |line: &&str| line.starts_with("content-length") || line.starts_with("transfer-encoding");
        assert_eq!(got.lines().filter(is_length).collect::<Vec<_>>(), told, "{fields}: {got}");
    }
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let upstream = RawUpstream::serving(move |wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            wire.send(event);
            let _ = gone.lock().unwrap().recv();
        }
    });
    let gateway = in_front_of(&upstream);
    let mut client = Http2::to(gateway.address()).await;

    let (answer, _) = client.send(request("GET", "/public/events", ""), true).await;
    let mut body = head(answer).await.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        assert_eq!(piece(&mut body).await.as_deref(), Some(event.as_bytes()));
        go.send(()).unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_complete() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let gateway = in_front_of(&upstream);
    let mut client = Http2::to(gateway.address()).await;

    let (answer, _) = client.send(request("GET", "/public/a", ""), true).await;
    let mut body = head(answer).await.into_body();

    let mut broken = false;
    while let Some(piece) = in_time(body.data()).await {
        broken |= piece.is_err();
        if broken {
            break;
        }
    }
    assert!(broken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_before_the_answer_frees_the_upstream_at_once() {
    let (upstream, freed) = RawUpstream::telling(|wire| {
        wire.head();
        wire.is_closed_within(Duration::from_secs(20))
    });
    let gateway = in_front_of(&upstream);

    let mut client = Http2::to(gateway.address()).await;
    let (answer, mut stream) = client.send(request("GET", "/public/slow", ""), true).await;
    eventually("the request arrives", || upstream.connections() == 1 && !upstream.received()[0].is_empty());
    stream.send_reset(h2::Reason::CANCEL);
    assert!(freed.recv().unwrap(), "a stream that is reset");
    drop(answer);

    for reset in [false, true] {
        let mut wire = gateway.connect();
        wire.send(format!("GET /public/slow HTTP/1.1\r\nHost: {NAME}\r\n\r\n"));
        let heads = || upstream.received().iter().filter(|head| head.ends_with("\r\n\r\n")).count();
        let before = 2 + usize::from(reset);
        eventually("the request arrives", || heads() == before);
        if reset {
            drop(wire);
        } else {
            wire.finish();
        }
        assert!(freed.recv().unwrap(), "a connection that ends, reset: {reset}");
    }
}

/// RFC 9113 lets a server stop a body of which it needs no more with NO_ERROR; a client that does so has broken it off.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_its_client_breaks_off_is_never_complete_whatever_it_says() {
    for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR, h2::Reason::INTERNAL_ERROR] {
        let (upstream, freed) = RawUpstream::telling(|wire| {
            wire.until("half\r\n");
            wire.is_closed_within(Duration::from_secs(20))
        });
        let gateway = in_front_of(&upstream);
        let mut client = Http2::to(gateway.address()).await;

        let (_answer, mut body) = client.send(request("POST", "/public/a", ""), false).await;
        body.send_data(Bytes::from("half"), false).unwrap();
        eventually("half of it arrives", || {
            upstream.received().first().is_some_and(|all| all.ends_with("half\r\n"))
        });
        body.send_reset(reason);

        assert!(freed.recv().unwrap(), "{reason}");
        let received = upstream.received();
        assert!(received[0].ends_with("half\r\n"), "{reason}: {}", received[0]);
    }
}

#[tokio::test]
async fn a_body_that_stops_has_its_stream_reset_and_the_others_go_on() {
    let gateway = Gateway::with(&Options {
        listen: Some(H2C),
        server: "limits = { body_idle = \"1s\" }",
        ..Options::default()
    });
    let mut client = Http2::to(gateway.address()).await;

    let (_answer, mut body) = client.send(request("POST", "/public/a", ""), false).await;
    body.send_data(Bytes::from("half"), false).unwrap();

    assert_eq!(reset(&mut body).await, h2::Reason::CANCEL);
    assert_eq!(client.status(request("GET", "/public/a", "")).await, Some(200));
}

#[tokio::test]
async fn trailers_pass_from_a_client_that_knows_of_them_and_none_that_say_what_is_ours_to_say() {
    let upstream = RawUpstream::serving(|wire| {
        let head = wire.head().to_lowercase();
        let body =
            if head.contains("transfer-encoding: chunked") { wire.until("\r\n\r\n") } else { String::new() };
        let text = head + &body.to_lowercase();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
    });
    let gateway = in_front_of(&upstream);
    let mut client = Http2::to(gateway.address()).await;
    for (fields, passes) in [
        ("te: trailers\ntrailer: x-checksum, x-member-id, content-length, x_forwarded_for", true),
        ("trailer: x-checksum", false),
        ("te: trailers", false),
    ] {
        let (answer, mut body) = client.send(request("POST", "/public/a", fields), false).await;
        body.send_data(Bytes::from("hello"), false).unwrap();
        let trailers = [
            ("x-checksum", "1"),
            ("x-member-id", "2"),
            ("content-length", "3"),
            ("x_member_id", "4"),
            ("x_forwarded_for", "5"),
        ];
        let trailers = trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        body.send_trailers(trailers.into_iter().collect()).unwrap();

        let got = String::from_utf8(read(answer).await.body.to_vec()).unwrap();
        let (head, rest) = got.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.contains("trailer: x-checksum"), passes, "{fields}: {got}");
        assert_eq!(rest.contains("x-checksum: 1\r\n"), passes, "{fields}: {got}");
        assert!(rest.contains("hello"), "{got}");
        for ours in ["x-member-id", "x_member_id", "content-length", "x_forwarded_for"] {
            assert!(!rest.contains(ours) && !head.contains(&format!("trailer: {ours}")), "{fields}: {got}");
        }
    }
}

#[tokio::test]
async fn trailers_of_an_answer_arrive_as_trailers() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.send(
            "HTTP/1.1 200 OK\r\nTrailer: X-Checksum, Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\nX-Checksum: 1\r\nSet-Cookie: a=1\r\nX-Member-Id: 2\r\n\r\n",
        );
    });
    let gateway = in_front_of(&upstream);

    let answer = Http2::to(gateway.address()).await.ask(request("GET", "/public/a", "te: trailers")).await;

    assert_eq!(
        (&*answer.body, &answer.fields["trailer"]),
        (&b"hello"[..], &http::HeaderValue::from_static("x-checksum"))
    );
    assert_eq!(answer.trailers.len(), 1, "{:?}", answer.trailers);
    assert_eq!(answer.trailers["x-checksum"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_http_1_1_is_told_that_te_is_for_its_connection_alone() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Gateway::with(&Options {
        listen: Some(H2C),
        upstream: Some(upstream.address()),
        ..Options::default()
    });
    let mut client = Http2::to(gateway.address()).await;
    for (target, fields) in [("/public/with", "te: trailers"), ("/public/without", "")] {
        assert_eq!(client.status(request("GET", target, fields)).await, Some(200));
    }

    // RFC 9110 §10.1.4
    let received = upstream.received().concat().to_lowercase();
    let (with, without) = received.split_once("get /public/without").unwrap();
    assert!(with.contains("\r\nte: trailers\r\n") && with.contains("\r\nconnection: te\r\n"), "{with}");
    assert!(!without.contains("\r\nte:") && !without.contains("\r\nconnection:"), "{without}");
}
