//! What the upstream receives: who the member is, in fields that nobody else can have written, and everything else as
//! it came.

use crate::harness::{Gateway, Options, RawUpstream, Recorded, Wire, last_head};

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

    let names = gateway.upstream().last_request().folded_names();
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
            let request = gateway.forwards(line, &format!("{fields}{forged}"));

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
            let request = gateway.forwards(line, &format!("{cookie}{forged}"));

            assert!(!request.head().contains("forged"), "{line}: {}", request.head());
            let ids = request.folded_names().iter().filter(|name| *name == "X_MEMBER_ID").count();
            assert_eq!(ids, usize::from(!line.contains("public")), "{line}: {}", request.head());
        }
    }
}

#[tokio::test]
async fn an_identity_field_that_is_sent_twice_is_replaced_by_one() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;

    let twice = "X-Member-Id: forged\r\nX-Member-Id: 400007995-00\r\n";
    let request = gateway.forwards("GET /", &format!("{cookie}{twice}"));

    assert_eq!(request.field("x-member-id"), "400007995-00");
}

#[tokio::test]
async fn nobody_takes_an_identity_field_away_by_naming_it_in_connection() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;

    let connection = "Connection:\r\nConnection: X-Member-Id, x-member-unit-id\r\nConnection: X-MEMBER-PROVIDER,signature,\
                      Signature-Input, Host, X-Forwarded-For, X-Request-Id\r\n";
    let request = gateway.forwards("GET /", &format!("{cookie}{connection}"));

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
        let fields = format!("{cookie}Transfer-Encoding: chunked\r\nTrailer: X-Member-Id, X-Checksum\r\n");
        let body = "4\r\nbody\r\n0\r\nX-Checksum: 1\r\nX-Member-Id: forged\r\nX_Member_Unit_Id: forged\r\nSignature: member=:forged==:\r\n\r\n";
        let answer = gateway.raw(last_head(line, &fields) + body);

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
    let request = gateway.forwards("GET /", &format!("{cookie}{fields}"));

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

    gateway.raw(last_head("GET /public/a", "X-City: Zürich\r\n"));

    assert!(upstream.received()[0].contains("X-City: Zürich\r\n"), "{}", upstream.received()[0]);
}

#[tokio::test]
async fn signatures_of_others_stay_and_ours_stands_first() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;

    let theirs = "Signature-Input: sig1=(\"date\");keyid=\"k\"\r\nSignature: sig1=:AAAA:\r\n\
                  Signature-Input: sig2=(\"date\")\r\nSignature: sig2=:BBBB:\r\n";
    let request = gateway.forwards("GET /", &format!("{cookie}{theirs}"));

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
        let request = gateway.forwards(line, &format!("{cookie}{forged}"));

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
        let request = gateway.forwards("GET /public/a", &format!("Signature: {unreadable}\r\n"));

        assert!(!request.has("signature"), "{unreadable}: {}", request.head());
    }
}

#[test]
fn fields_that_frameworks_take_for_the_target_or_the_method_arrive_unless_an_operator_strips_them() {
    const NAMES: [&str; 3] = ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override"];
    let sent: String = NAMES
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.replace('-', "_"), name.to_lowercase().replace('-', ".")])
        .map(|name| format!("{name}: /staff\r\n"))
        .collect();
    let usual = Gateway::with_sandbox();
    let strict = Gateway::with(&Options {
        identity: "strip = [\"X-Original-URL\", \"X-Rewrite-URL\", \"X-HTTP-Method-Override\"]",
        ..Options::default()
    });

    let arrived = usual.forwards("GET /public/a", &sent);
    assert!(NAMES.iter().all(|name| arrived.has(name)));
    let left = strict.forwards("GET /public/a", &sent).folded_names();
    let folded = |name: &&str| name.to_uppercase().replace('-', "_");
    assert!(NAMES.iter().all(|name| !left.contains(&folded(name))), "{left:?}");
}
