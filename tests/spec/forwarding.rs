//! What the upstream learns of the request's way to it, and what of the way back reaches the client: Host, forwarding
//! fields, request ids, Via, trailers and cookies.

use http::{Method, Response};

use crate::harness::{Gateway, Options, RawUpstream, Recorded, last_head};

#[tokio::test]
async fn host_is_the_site_s_authority_however_the_client_writes_it() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let more = format!(
        "[[site]]\npublic_url = \"https://Other.Localhost:8443\"\nupstream = [\"http://{}\"]\nproviders = [\"ymca\"]\n\
         [[site.rule]]\npath = \"/**\"\naccess = \"public\"\n",
        upstream.address()
    );
    let gateway = Gateway::with(&Options {
        upstream: Some(upstream.address()),
        more: more.leak(),
        ..Options::default()
    });
    for (target, host, expected) in [
        ("/public/a", "members.localhost", "members.localhost"),
        ("/public/a", "MEMBERS.LocalHost", "members.localhost"),
        ("/public/a", "Members.localhost:443", "members.localhost"),
        ("https://Members.localhost/public/a", "members.localhost", "members.localhost"),
        ("/public/a", "OTHER.localhost:8443", "other.localhost:8443"),
    ] {
        let answer =
            gateway.raw(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));

        assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
        let received = upstream.received().concat();
        let request = received.split_inclusive("\r\n\r\n").last().unwrap();
        assert!(request.starts_with("GET /public/a HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("Host: {expected}\r\n")), "{host}: {request}");
        assert_eq!(request.to_lowercase().matches("\r\nhost:").count(), 1, "{request}");
    }
}

/// What a client can say of where it comes from.
const FORGED_ORIGIN: &str = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\n\
     X-Forwarded-Port: 666\r\nX-Forwarded-User: admin\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\
     X.Real.IP: 6.6.6.6\r\nForwarded: for=198.51.100.1;host=evil.test\r\nProxy: http://evil.test\r\n";

#[test]
fn what_a_peer_that_is_not_trusted_says_of_its_origin_does_not_arrive() {
    let gateway = Gateway::with_sandbox();

    let request = gateway.forwards("GET /public/a", FORGED_ORIGIN);

    assert_eq!(request.field("x-forwarded-for"), "127.0.0.1");
    assert_eq!(request.field("x-real-ip"), "127.0.0.1");
    assert_eq!(request.field("x-forwarded-proto"), "https");
    assert_eq!(request.field("x-forwarded-host"), "members.localhost");
    for said in ["evil.test", "198.51.100.1", "6.6.6.6", "admin", "666"] {
        assert!(!request.head().contains(said), "{said}: {}", request.head());
    }
}

#[test]
fn what_a_trusted_peer_says_of_its_origin_is_continued() {
    let gateway =
        Gateway::with(&Options { server: "trusted_proxies = [\"127.0.0.1\"]", ..Options::default() });

    let said = "X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\nX-Forwarded-Host: members.localhost\r\nProxy: http://evil.test\r\n";
    let request = gateway.forwards("GET /public/a", said);

    assert_eq!(request.field("x-forwarded-for"), "6.6.6.6, 198.51.100.1, 127.0.0.1");
    assert_eq!(request.field("x-real-ip"), "198.51.100.1");
    assert!(!request.has("proxy"));
}

#[test]
fn x_forwarded_host_selects_the_site_only_from_a_trusted_peer() {
    let trusting =
        Gateway::with(&Options { server: "trusted_proxies = [\"127.0.0.0/8\"]", ..Options::default() });
    let wary = Gateway::with_sandbox();
    let ask = |host: &str, forwarded: &str| {
        format!(
            "GET /public/a HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: {forwarded}\r\nConnection: close\r\n\r\n"
        )
    };

    let by_forwarded_host = ask("gateway.internal", "members.localhost");
    assert!(trusting.raw(&by_forwarded_host).starts_with("HTTP/1.1 200 "));
    assert_eq!(trusting.upstream().last_request().field("host"), "members.localhost");
    assert!(wary.raw(&by_forwarded_host).starts_with("HTTP/1.1 421 "));
    assert!(trusting.raw(ask("members.localhost", "evil.test")).starts_with("HTTP/1.1 421 "));
    assert!(wary.raw(ask("members.localhost", "evil.test")).starts_with("HTTP/1.1 200 "));
}

#[test]
fn forwarded_decides_what_the_upstream_is_told_of_the_client() {
    let x = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
    for (style, expected) in [
        ("forwarded = \"x\"", x.to_vec()),
        ("forwarded = \"rfc7239\"", vec!["forwarded"]),
        ("forwarded = \"both\"", [&["forwarded"], &x[..]].concat()),
        ("forwarded = \"none\"", vec![]),
    ] {
        let gateway = Gateway::with(&Options { server: style, ..Options::default() });

        let request = gateway.forwards("GET /public/a", FORGED_ORIGIN);

        let told = |name: &&str| name.starts_with("x-forwarded") || ["forwarded", "x-real-ip"].contains(name);
        let mut names: Vec<_> = request.fields.keys().map(http::HeaderName::as_str).filter(told).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{style}");
        if style.contains("rfc7239") {
            assert_eq!(request.field("forwarded"), "for=127.0.0.1;host=\"members.localhost\";proto=https");
        }
    }
}

#[test]
fn a_request_id_is_passed_on_where_it_fits_and_made_otherwise() {
    let gateway = Gateway::with_sandbox();
    let longest = "a".repeat(128);
    for id in ["req-1", "0.A_z:9-", &longest] {
        let request = gateway.forwards("GET /public/a", &format!("X-Request-Id: {id}\r\n"));
        assert_eq!(request.field("x-request-id"), id);
    }
    let too_long = "a".repeat(129);
    for id in ["", "a b", "a/b", "ä", "\"a\"", "a\r\nX-Request-Id: b", &too_long] {
        let request = gateway.forwards("GET /public/a", &format!("X-Request-Id: {id}\r\n"));
        let made = request.field("x-request-id");
        assert!(made.len() >= 16 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}: {made}");
    }
    let ids = [(); 2].map(|()| gateway.forwards("GET /public/a", "").field("x-request-id").to_owned());
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn an_upstream_cannot_set_cookies_under_the_gateway_s_names() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    gateway.upstream().answers(|_| {
        let mut response = Response::new("".into());
        for cookie in [
            "app=1; Path=/",
            "__Host-member-session=forged; Secure; Path=/",
            "__host-MEMBER-session=forged",
            " __Host-member-session =forged",
            "__Host-member-login-ab12=forged",
            "member=2",
        ] {
            response.headers_mut().append("set-cookie", cookie.parse().unwrap());
        }
        response
    });

    let page = browser.fetch(Method::GET, "/", &[]).await;

    assert_eq!(page.set_cookies(), ["app=1; Path=/", "member=2"]);
}

#[test]
fn fields_of_the_upstream_s_connection_do_not_reach_the_client() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-End: 2\r\n\r\n",
    );
    let gateway = Gateway::with(&Options { upstream: Some(upstream.address()), ..Options::default() });

    let answer = gateway.raw(last_head("GET /public/a", "")).to_lowercase();

    assert!(answer.contains("x-end: 2"), "{answer}");
    for gone in ["x-hop", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(!answer.contains(gone), "{gone}: {answer}");
    }
}

#[test]
fn trailers_of_an_answer_pass_except_framing_cookies_and_identity_names() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Checksum, Set-Cookie, X-Member-Id, x_member_id, Transfer-Encoding, Content-Length\r\n\r\n4\r\nbody\r\n\
         0\r\nX-Checksum: 4711\r\nSet-Cookie: forged=1\r\nX-Member-Id: forged\r\nX_Member_Id: forged\r\n\r\n",
    );
    let gateway = Gateway::with(&Options { upstream: Some(upstream.address()), ..Options::default() });

    let answer = gateway.raw(last_head("GET /public/a", "TE: trailers\r\n"));

    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("trailer: x-checksum\r\n"), "{head}");
    assert_eq!(body.to_lowercase(), "4\r\nbody\r\n0\r\nx-checksum: 4711\r\n\r\n");
}

#[test]
fn nothing_that_looks_like_one_of_http_s_own_fields_arrives() {
    let gateway = Gateway::with_sandbox();
    for disguise in [
        "Content_Length: 5",
        "content.length: 5",
        "Content~Length: 5",
        "CONTENT_LENGTH: 5",
        "Transfer_Encoding: chunked",
        "transfer.encoding: chunked",
        "X_Request_Id: forged",
        "x_request-id: forged",
        "X-Request.Id: forged",
    ] {
        let request = gateway.forwards("GET /public/a", &format!("{disguise}\r\n"));

        let mut names = request.folded_names();
        names.retain(|name| ["CONTENT_LENGTH", "TRANSFER_ENCODING", "X_REQUEST_ID"].contains(&&**name));
        assert_eq!(names, ["X_REQUEST_ID"], "{disguise}");
        assert_ne!(request.field("x-request-id"), "forged", "{disguise}");
    }
}

#[test]
fn nobody_announces_trailers_to_the_upstream_as_none_arrives() {
    let gateway = Gateway::with_sandbox();
    let head =
        last_head("POST /public/a", "TE: trailers\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n");

    let answer = gateway.raw(head + "5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n");

    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let request = gateway.upstream().last_request();
    assert_eq!(&request.body[..], b"hello");
    assert!(!request.has("trailer") && !request.has("x-checksum"), "{:?}", request.fields);
}

fn via(request: &Recorded) -> Vec<String> {
    let lines = request.fields.get_all("via").iter();
    lines.flat_map(|line| line.to_str().unwrap().split(", ")).map(str::to_owned).collect()
}

#[test]
fn the_gateway_adds_itself_to_via_behind_those_who_were_there_before() {
    let gateway = Gateway::with_sandbox();

    for (fields, before) in [
        ("", &[][..]),
        ("Via: 1.0 fred, 1.1 p.example.net\r\n", &["1.0 fred", "1.1 p.example.net"]),
        ("Via: 1.0 fred\r\nVia: 1.1 member-gateway-0\r\n", &["1.0 fred", "1.1 member-gateway-0"]),
    ] {
        let via = via(&gateway.forwards("GET /public/a", fields));

        let (own, others) = via.split_last().unwrap();
        assert_eq!(others, before, "{fields:?}");
        assert!(own.starts_with("1.1 member-gateway-"), "{via:?}");
    }
}

#[test]
fn a_request_that_has_been_here_before_goes_in_circles_and_is_508() {
    let (gateway, another) = (Gateway::with_sandbox(), Gateway::with_sandbox());
    let own = via(&gateway.forwards("GET /public/a", "")).remove(0);
    gateway.upstream().forget();

    for fields in [
        format!("Via: {own}\r\n"),
        format!("Via: 1.0 fred, {own}, 1.1 p.example.net\r\n"),
        format!("Via: 1.0 fred\r\nVia: {own}\r\n"),
    ] {
        let answer = gateway.raw(last_head("GET /public/a", &fields));
        assert!(answer.starts_with("HTTP/1.1 508 "), "{fields}: {answer}");
        another.forwards("GET /public/a", &fields);
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[test]
fn options_that_say_how_far_they_go_are_counted_down_and_end_here_at_nothing() {
    let gateway = Gateway::with_sandbox();
    for (said, left) in [("1", "0"), ("70", "69")] {
        let request = gateway.forwards("OPTIONS /public/a", &format!("Max-Forwards: {said}\r\n"));
        assert_eq!(request.field("max-forwards"), left);
    }
    gateway.upstream().forget();

    for fields in ["Max-Forwards: 0\r\n", "Max-Forwards: 2, 3\r\n", "Max-Forwards: 2\r\nMax-Forwards: 3\r\n"]
    {
        let answer = gateway.raw(last_head("OPTIONS /public/a", fields));
        assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("no-store"), "{fields}: {answer}");
    }
    let stranger = gateway.raw(last_head("OPTIONS /private", "Max-Forwards: 0\r\n"));
    assert!(stranger.starts_with("HTTP/1.1 401 "), "the rules come first: {stranger}");
    assert!(gateway.upstream().requests().is_empty());
}

#[test]
fn a_host_that_a_trusted_peer_names_and_nobody_can_read_is_400() {
    let gateway =
        Gateway::with(&Options { server: "trusted_proxies = [\"127.0.0.1\"]", ..Options::default() });

    for named in [&b"m\xe9mbers.localhost"[..], b"members.localhost, \xe9", b"members.localhost/x"] {
        let fields = b"Host: members.localhost\r\nConnection: close\r\nX-Forwarded-Host: ";
        let answer = gateway.raw([b"GET /public/a HTTP/1.1\r\n", &fields[..], named, b"\r\n\r\n"].concat());

        assert!(answer.starts_with("HTTP/1.1 400 "), "{:?}: {answer}", String::from_utf8_lossy(named));
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn forwarded_selects_no_site_not_even_from_a_trusted_peer() {
    let gateway =
        Gateway::with(&Options { server: "trusted_proxies = [\"127.0.0.1\"]", ..Options::default() });
    let ask = |host: &str, forwarded: &str| {
        format!(
            "GET /public/a HTTP/1.1\r\nHost: {host}\r\nForwarded: for=192.0.2.1;host={forwarded}\r\n\
             Connection: close\r\n\r\n"
        )
    };

    let by_forwarded = gateway.raw(ask("gateway.internal", "members.localhost"));
    assert!(by_forwarded.starts_with("HTTP/1.1 421 "), "{by_forwarded}");
    let by_host = gateway.raw(ask("members.localhost", "evil.test"));
    assert!(by_host.starts_with("HTTP/1.1 200 "), "{by_host}");
}
