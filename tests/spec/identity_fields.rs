//! What the upstream receives: who the member is, in fields that nobody else can have written, and everything else as
//! it came.

use http::{Method, Response};

use crate::harness::{Gateway, Options, RawUpstream, Recorded, Wire};

/// A request written by hand, and what the upstream got of it.
fn arrives(gateway: &Gateway, line: &str, fields: &str) -> Recorded {
    gateway.upstream().forget();
    let answer = gateway.raw(head(line, fields));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{line}: {answer}");
    gateway.upstream().last_request()
}

fn head(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: members.localhost\r\n{fields}Connection: close\r\n\r\n")
}

/// The names of a request's fields as CGI and its heirs read them.
fn folded_names(request: &Recorded) -> Vec<String> {
    let folded = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    request.fields.keys().map(|name| name.as_str().chars().map(folded).collect()).collect()
}

fn covered(request: &Recorded) -> String {
    let input = request.field("signature-input");
    input[input.find('(').unwrap()..=input.find(')').unwrap()].to_owned()
}

/// Where everybody gets to the upstream: a path that is public, one where a session is optional, a preflight.
const OPEN_TO_ALL: [(&str, &str); 3] = [
    ("GET /public/a", ""),
    ("GET /optional/a", ""),
    (
        "OPTIONS /classes",
        "Origin: https://members.localhost\r\nAccess-Control-Request-Method: GET\r\nSec-Fetch-Mode: cors\r\n",
    ),
];

#[tokio::test]
async fn a_member_is_named_in_three_fields() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    browser.go("/classes").await;

    let request = gateway.upstream().last_request();
    assert_eq!(request.field("x-member-id"), "400007995-00");
    assert_eq!(request.field("x-member-unit-id"), "400007995");
    assert_eq!(request.field("x-member-provider"), "ymca");
}

#[tokio::test]
async fn the_fields_have_the_names_of_the_configuration() {
    let gateway = Gateway::with(&Options {
        identity: "provider = \"X-Vouched-By\"\nmember_unit_id = \"Household\"\nmember_id = \"Person\"\n\
                   first_name = \"X-Given-Name\"",
        ..Options::default()
    });
    let mut browser = gateway.signed_in().await;

    browser.go("/").await;

    let request = gateway.upstream().last_request();
    let fields = ["x-vouched-by", "household", "person", "x-given-name"];
    assert_eq!(fields.map(|name| request.field(name)), ["ymca", "400007995", "400007995-00", "Rosa"]);
    assert!(!request.has("x-member-id"));
}

#[tokio::test]
async fn all_identity_fields_that_are_sent_are_signed_in_the_order_of_the_configuration() {
    let gateway = Gateway::with(&Options {
        identity: "last_name = \"X-Family\"\nprovider = \"X-By\"\nmember_unit_id = \"X-Unit\"\nmember_id = \"X-Id\"",
        ..Options::default()
    });
    let mut browser = gateway.signed_in().await;

    browser.go("/").await;

    assert_eq!(
        covered(&gateway.upstream().last_request()),
        "(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-family\" \"x-by\" \"x-unit\" \"x-id\")"
    );
}

#[tokio::test]
async fn names_of_people_are_sent_only_where_they_are_asked_for() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    browser.go("/").await;

    assert!(!gateway.upstream().last_request().head().contains("Alvarez"));
}

#[tokio::test]
async fn a_name_that_is_not_ascii_is_percent_encoded_utf_8() {
    let gateway =
        Gateway::with(&Options { identity: "last_name = \"X-Member-Last-Name\"", ..Options::default() });
    let mut browser = gateway.browser();
    browser.member = ("tomasz", "tomasz-runs");

    browser.visit("/").await;

    assert_eq!(gateway.upstream().last_request().field("x-member-last-name"), "W%C3%B3jcik");
}

#[tokio::test]
async fn what_the_vendor_does_not_say_is_neither_sent_nor_signed() {
    let gateway =
        Gateway::with(&Options { identity: "last_name = \"X-Member-Last-Name\"", ..Options::default() });
    let mut browser = gateway.browser();
    browser.member = ("mika", "mika-climbs");

    browser.visit("/").await;

    let request = gateway.upstream().last_request();
    assert!(!request.has("x-member-last-name"));
    assert!(!covered(&request).contains("last-name"), "{}", covered(&request));
}

#[tokio::test]
async fn on_a_public_path_the_upstream_is_told_of_nobody() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    browser.go("/public/a").await;

    let names = folded_names(&gateway.upstream().last_request());
    assert!(!names.iter().any(|name| name.starts_with("X_MEMBER") || name.starts_with("SIGNATURE")));
}

#[tokio::test]
async fn where_a_session_is_optional_the_upstream_is_told_of_members() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    browser.go("/optional/a").await;

    assert_eq!(gateway.upstream().last_request().field("x-member-id"), "400007995-00");
}

/// Names that somebody downstream could read as one of ours: in other cases, with any other character of a token for
/// the hyphens, and as they are.
fn lookalikes() -> Vec<String> {
    let names = ["X-Member-Id", "X-Member-Unit-Id", "X-Member-Provider", "Remote-User"];
    let mut spelt: Vec<String> = Vec::new();
    for name in names {
        spelt.extend([name.to_owned(), name.to_lowercase(), name.to_uppercase(), name.replacen('-', "_", 1)]);
    }
    for odd in "!#$%&'*+.^_`|~".chars() {
        spelt.extend(["X-Member-Id", "Remote-User"].map(|name| name.replace('-', &odd.to_string())));
    }
    spelt.extend(["Signature_Input", "signature.input"].map(str::to_owned));
    spelt
}

/// One that has a name of its own to guard.
fn guarding_remote_user() -> Gateway {
    Gateway::with(&Options { identity: "strip = [\"Remote-User\"]", ..Options::default() })
}

/// One request for each half of the look-alikes: together they are more fields than a request may have.
fn forged() -> Vec<String> {
    let line = |name: &String| format!("{name}: forged {name}\r\n");
    lookalikes().chunks(30).map(|names| names.iter().map(line).collect()).collect()
}

#[test]
fn nothing_that_looks_like_an_identity_field_arrives_from_a_stranger() {
    let gateway = guarding_remote_user();
    for (line, fields) in OPEN_TO_ALL {
        for forged in forged() {
            let request = arrives(&gateway, line, &format!("{fields}{forged}"));

            assert!(!request.head().contains("forged"), "{line}: {}", request.head());
        }
    }
}

#[tokio::test]
async fn nothing_that_looks_like_an_identity_field_arrives_from_a_member() {
    let gateway = guarding_remote_user();
    let cookie = gateway.member().await;
    for line in ["GET /classes", "GET /optional/a", "GET /public/a", "POST /classes"] {
        for forged in forged() {
            let request = arrives(&gateway, line, &format!("{cookie}{forged}"));

            assert!(!request.head().contains("forged"), "{line}: {}", request.head());
            let ids = folded_names(&request).iter().filter(|name| *name == "X_MEMBER_ID").count();
            assert_eq!(ids, usize::from(!line.contains("public")), "{line}: {}", request.head());
        }
    }
}

#[tokio::test]
async fn an_identity_field_that_is_sent_twice_is_replaced_by_one() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;

    let twice = "X-Member-Id: forged\r\nX-Member-Id: 400007995-00\r\n";
    let request = arrives(&gateway, "GET /", &format!("{cookie}{twice}"));

    assert_eq!(request.field("x-member-id"), "400007995-00");
}

#[tokio::test]
async fn nobody_takes_an_identity_field_away_by_naming_it_in_connection() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;

    let connection = "Connection:\r\nConnection: X-Member-Id, x-member-unit-id\r\nConnection: X-MEMBER-PROVIDER,signature,\
                      Signature-Input, Host, X-Forwarded-For, X-Request-Id\r\n";
    let request = arrives(&gateway, "GET /", &format!("{cookie}{connection}"));

    for name in [
        "x-member-id",
        "x-member-unit-id",
        "x-member-provider",
        "signature",
        "signature-input",
        "host",
        "x-forwarded-for",
        "x-request-id",
    ] {
        assert!(!request.field(name).is_empty(), "{name}");
    }
}

/// Reads requests in chunks, trailers and all.
fn reader_of_chunks() -> RawUpstream {
    RawUpstream::serving(|wire: &mut Wire| {
        wire.head();
        wire.until("\r\n0\r\n");
        wire.until("\r\n");
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    })
}

#[tokio::test]
async fn no_trailer_of_a_request_arrives() {
    let upstream = reader_of_chunks();
    let gateway = Gateway::with(&Options { upstream: Some(upstream.address()), ..Options::default() });
    let cookie = gateway.member().await;
    for (line, cookie) in [("POST /public/a", ""), ("POST /classes", &cookie)] {
        let fields = format!("{cookie}Transfer-Encoding: chunked\r\nTrailer: X-Member-Id\r\n");
        let body = "4\r\nbody\r\n0\r\nX-Member-Id: forged\r\nX_Member_Unit_Id: forged\r\nSignature: member=:forged==:\r\n\r\n";
        let answer = gateway.raw(head(line, &fields) + body);

        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    for received in upstream.received() {
        assert!(received.ends_with("4\r\nbody\r\n0\r\n\r\n") && !received.contains("forged"), "{received}");
    }
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn everything_else_arrives_unchanged_and_in_its_order() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;

    let fields = "X-Custom: b\r\nAccept: a/b;q=0.5,  */*\r\nX-Custom: a\r\nX-Custom: c, d\r\nX-Member: no field of ours\r\n\
                  Authorization: Basic Zm9v\r\nRemote-User: rosa\r\nOrigin: https://members.localhost\r\n\
                  X-Empty:\r\nAccept-Encoding: br\r\n";
    let request = arrives(&gateway, "GET /", &format!("{cookie}{fields}"));

    let values: Vec<_> = request.fields.get_all("x-custom").iter().collect();
    assert_eq!(values, ["b", "a", "c, d"]);
    for (name, value) in [
        ("accept", "a/b;q=0.5,  */*"),
        ("x-member", "no field of ours"),
        ("authorization", "Basic Zm9v"),
        ("remote-user", "rosa"),
        ("origin", "https://members.localhost"),
        ("x-empty", ""),
        ("accept-encoding", "br"),
    ] {
        assert_eq!(request.field(name), value, "{name}");
    }
}

#[test]
fn bytes_beyond_ascii_arrive_as_they_are() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = Gateway::with(&Options { upstream: Some(upstream.address()), ..Options::default() });

    gateway.raw(head("GET /public/a", "X-City: Zürich\r\n"));

    assert!(upstream.received()[0].contains("X-City: Zürich\r\n"), "{}", upstream.received()[0]);
}

#[tokio::test]
async fn signatures_of_others_stay_and_ours_stands_first() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;

    let theirs = "Signature-Input: sig1=(\"date\");keyid=\"k\"\r\nSignature: sig1=:AAAA:\r\n\
                  Signature-Input: sig2=(\"date\")\r\nSignature: sig2=:BBBB:\r\n";
    let request = arrives(&gateway, "GET /", &format!("{cookie}{theirs}"));

    for (name, ours, kept) in [
        ("signature-input", "member=(\"@method\"", ["sig1=(\"date\");keyid=\"k\"", "sig2=(\"date\")"]),
        ("signature", "member=:", ["sig1=:AAAA:", "sig2=:BBBB:"]),
    ] {
        let values: Vec<_> =
            request.fields.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        assert!(values[0].starts_with(ours), "{values:?}");
        assert_eq!(values[1..], kept);
    }
}

#[tokio::test]
async fn a_label_of_ours_that_a_client_sends_never_arrives() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;
    let forged = "Signature-Input: sig1=(\"date\"), member=(\"@method\");keyid=\"forged\"\r\nSignature: member=:Zm9yZ2Vk:\r\n\
                  Signature: sig1=:AAAA:\r\n";
    for (line, cookie, ours) in [("GET /public/a", "", 0), ("GET /classes", &*cookie, 1)] {
        let request = arrives(&gateway, line, &format!("{cookie}{forged}"));

        let head = request.head();
        assert_eq!(head.matches("member=").count(), 2 * ours, "{head}");
        assert!(!head.contains("forged") && !head.contains("Zm9yZ2Vk"), "{head}");
        assert!(head.contains("sig1=(\"date\")") && head.contains("sig1=:AAAA:"), "{head}");
    }
}

#[tokio::test]
async fn a_signature_field_that_cannot_be_read_does_not_arrive() {
    let gateway = Gateway::with_sandbox();
    for unreadable in
        ["member=:Zm9yZ2Vk", "\"member=:Zm9yZ2Vk:", "sig1=:AAAA:;;, member=:Zm9yZ2Vk:", "Member=:Zm9yZ2Vk:"]
    {
        let request = arrives(&gateway, "GET /public/a", &format!("Signature: {unreadable}\r\n"));

        assert!(!request.has("signature"), "{unreadable}: {}", request.head());
    }
}

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

    let request = arrives(&gateway, "GET /public/a", FORGED_ORIGIN);

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
    let request = arrives(&gateway, "GET /public/a", said);

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

        let request = arrives(&gateway, "GET /public/a", FORGED_ORIGIN);

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
        let request = arrives(&gateway, "GET /public/a", &format!("X-Request-Id: {id}\r\n"));
        assert_eq!(request.field("x-request-id"), id);
    }
    let too_long = "a".repeat(129);
    for id in ["", "a b", "a/b", "ä", "\"a\"", "a\r\nX-Request-Id: b", &too_long] {
        let request = arrives(&gateway, "GET /public/a", &format!("X-Request-Id: {id}\r\n"));
        let made = request.field("x-request-id");
        assert!(made.len() >= 16 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}: {made}");
    }
    let ids = [(); 2].map(|()| arrives(&gateway, "GET /public/a", "").field("x-request-id").to_owned());
    assert_ne!(ids[0], ids[1]);
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

    let answer = gateway.raw(head("GET /public/a", "")).to_lowercase();

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

    let answer = gateway.raw(head("GET /public/a", "TE: trailers\r\n"));

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
        let request = arrives(&gateway, "GET /public/a", &format!("{disguise}\r\n"));

        let mut names = folded_names(&request);
        names.retain(|name| ["CONTENT_LENGTH", "TRANSFER_ENCODING", "X_REQUEST_ID"].contains(&&**name));
        assert_eq!(names, ["X_REQUEST_ID"], "{disguise}");
        assert_ne!(request.field("x-request-id"), "forged", "{disguise}");
    }
}

#[test]
fn nobody_announces_trailers_to_the_upstream_as_none_arrives() {
    let gateway = Gateway::with_sandbox();
    let head =
        head("POST /public/a", "TE: trailers\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n");

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
        let via = via(&arrives(&gateway, "GET /public/a", fields));

        let (own, others) = via.split_last().unwrap();
        assert_eq!(others, before, "{fields:?}");
        assert!(own.starts_with("1.1 member-gateway-"), "{via:?}");
    }
}

#[test]
fn a_request_that_has_been_here_before_goes_in_circles_and_is_508() {
    let (gateway, another) = (Gateway::with_sandbox(), Gateway::with_sandbox());
    let own = via(&arrives(&gateway, "GET /public/a", "")).remove(0);
    gateway.upstream().forget();

    for fields in [
        format!("Via: {own}\r\n"),
        format!("Via: 1.0 fred, {own}, 1.1 p.example.net\r\n"),
        format!("Via: 1.0 fred\r\nVia: {own}\r\n"),
    ] {
        let answer = gateway.raw(head("GET /public/a", &fields));
        assert!(answer.starts_with("HTTP/1.1 508 "), "{fields}: {answer}");
        arrives(&another, "GET /public/a", &fields);
    }
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
