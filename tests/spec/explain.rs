//! `explain`: what would become of a request, as the gateway would do it, with nothing in it that opens a door.

use crate::harness::{Ended, Folder, Gateway, Options, SITE, last_head, member_gateway};

const NAVIGATION: &str = "accept: text/html";

fn explain(gateway: &Gateway, arguments: &[&str]) -> Ended {
    let folder = Folder::with(&gateway.configuration);
    member_gateway(&folder, &[&["explain"], arguments].concat(), "")
}

/// What it prints, without what is another each time.
fn golden(gateway: &Gateway, arguments: &[&str]) -> String {
    let ended = explain(gateway, arguments);
    assert_eq!((ended.status, &*ended.errors), (0, ""), "{arguments:?}");
    let line = |line: &str| {
        let mut line = line.replace(&gateway.upstream().address().to_string(), "APP");
        for (from, to) in [
            ("created=", ";"),
            ("expires=", ";"),
            ("nonce=", ";"),
            ("member-gateway-", ""),
            ("x-request-id: ", ""),
            ("traceparent: ", ""),
        ] {
            if let Some(at) = line.find(from) {
                let start = at + from.len();
                let end =
                    line[start..].find(to).filter(|_| !to.is_empty()).map_or(line.len(), |end| start + end);
                line.replace_range(start..end, "…");
            }
        }
        line
    };
    ended.output.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_request_of_a_member_is_explained_down_to_what_is_signed() {
    let gateway = Gateway::with_sandbox();

    let shown = golden(
        &gateway,
        &[
            "GET",
            "https://members.localhost/classes?week=2",
            "--as",
            "member:400007995-00",
            "--unit",
            "400007995",
            "--header",
            "X_Member_Id: 1",
            "--header",
            "Cookie: theme=dark",
        ],
    );

    assert_eq!(
        shown,
        r#"GET https://members.localhost/classes?week=2

from        127.0.0.1
site        https://members.localhost
path        /classes
  rule      member, since no rule of the site matches
as          member 400007995-00 of unit 400007995 (ymca), signed in just now

It goes on to http://APP, as

    GET /classes?week=2 HTTP/1.1
  - x_member_id: 1
  - cookie: theme=…; __Host-member-session=…
    host: members.localhost
  + cookie: theme=…
  + x-forwarded-for: 127.0.0.1
  + x-real-ip: 127.0.0.1
  + x-forwarded-proto: https
  + x-forwarded-host: members.localhost
  + via: 1.1 member-gateway-…
  + x-request-id: …
  + traceparent: …
  + x-member-id: 400007995-00
  + x-member-unit-id: 400007995
  + x-member-provider: ymca
  + signature-input: member=("@method" "@authority" "@path" "@query" "x-member-id" "x-member-unit-id" "x-member-provider");created=…;expires=…;nonce=…;keyid="2026-11";alg="hmac-sha256";tag="member-gateway"
  + signature: member=:…:

The signature base (RFC 9421), by which the app verifies it:

    "@method": GET
    "@authority": members.localhost
    "@path": /classes
    "@query": ?week=2
    "x-member-id": 400007995-00
    "x-member-unit-id": 400007995
    "x-member-provider": ymca
    "@signature-params": ("@method" "@authority" "@path" "@query" "x-member-id" "x-member-unit-id" "x-member-provider");created=…;expires=…;nonce=…;keyid="2026-11";alg="hmac-sha256";tag="member-gateway""#
    );
}

#[test]
fn a_stranger_is_shown_where_the_browser_would_be_sent() {
    let gateway = Gateway::with_sandbox();

    let shown = golden(&gateway, &["GET", "https://members.localhost/classes", "--header", NAVIGATION]);

    assert_eq!(
        shown,
        "GET https://members.localhost/classes

from        127.0.0.1
site        https://members.localhost
path        /classes
  rule      member, since no rule of the site matches
as          nobody who has signed in, unless a cookie says so

The gateway answers itself, with 302 Found

    location: http://127.0.0.1:9/online/auth?response_type=code&scope=client:4711+member:basic_info&state=…&client_id=lakes_web&redirect_uri=https%3A%2F%2Fmembers.localhost%2F_gateway%2Fcallback%2Fymca
    set-cookie: __Host-member-login-=…; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=1800"
    );
}

#[test]
fn every_reading_of_a_path_is_shown_with_its_rule() {
    let gateway = Gateway::with_sandbox();

    let shown = golden(&gateway, &["GET", "https://members.localhost/public/%2e%2e/api/x"]);

    assert_eq!(
        shown,
        "GET https://members.localhost/public/%2e%2e/api/x

from        127.0.0.1
site        https://members.localhost
path        /public/%2e%2e/api/x
  rule      1 of 5: public /public/**
path        /public/../api/x
  rule      1 of 5: public /public/**
path        /api/x
  rule      4 of 5: member /api/**, strangers get 401
            These are different rules, so the path is refused.
as          nobody who has signed in, unless a cookie says so

The gateway answers itself, with 400 Bad Request

    content-type: application/problem+json

It says: This address is not clear.
         Please check the link: its path can be read in several ways that are treated differently."
    );
}

#[test]
fn what_the_gateway_refuses_or_answers_itself_is_shown_so() {
    let gateway =
        Gateway::with(&Options { server: "trusted_proxies = [\"10.0.0.0/8\"]", ..Options::default() });
    for (arguments, words) in [
        (
            &["GET", "https://elsewhere.example/"][..],
            &[
                "site        none",
                "sites are: https://members.localhost; write the address as `public_url` has it",
                "421 Misdirected Request",
            ][..],
        ),
        (&["GET", "https://members.localhost/denied/a"], &["3 of 5: deny /denied/**", "403 Forbidden"]),
        (
            &["GET", "https://members.localhost/staff/a", "--as", "member:1"],
            &["5 of 5: member /staff/**, for some members only", "403 Forbidden"],
        ),
        (&["GET", "https://members.localhost/api/a"], &["401 Unauthorized", "Signing in is needed."]),
        (&["DELETE", "https://members.localhost/_gateway/keys"], &["rule      none", "405", "allow: GET"]),
        (
            &["GET", "https://members.localhost/public/a", "--as", "member:1"],
            &[
                "1 of 5: public",
                "of unit 1 (ymca), signed in just now\n            unit not given; the same as the id is assumed",
                "It goes on to",
                "Nobody is named to the app",
            ],
        ),
        (
            &[
                "GET",
                "https://x.example/",
                "--from",
                "10.1.2.3",
                "--header",
                "X-Forwarded-Host: members.localhost",
            ],
            &["one of trusted_proxies", "site        https://members.localhost"],
        ),
    ] {
        let shown = golden(&gateway, arguments);
        for words in words {
            assert!(shown.contains(words), "{arguments:?}: no {words:?} in\n{shown}");
        }
    }
}

const POOL: &str =
    "[[site.rule]]\npath = \"/pool/**\"\naccess = \"deny\"\nremedy = \"The pool's <gate> opens in May.\"";

#[test]
fn a_page_is_told_with_its_advice_and_the_remedy_of_the_rule() {
    let gateway = Gateway::with(&Options { more: POOL, ..Options::default() });

    let shown = golden(&gateway, &["GET", "https://members.localhost/pool/a", "--header", NAVIGATION]);

    let (_, said) = shown.split_once("\nIt says: ").unwrap_or_else(|| panic!("{shown}"));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 3 && lines[2] == "         The pool's <gate> opens in May.", "{shown}");
    let shown = golden(&gateway, &["GET", "https://members.localhost/pool/a"]);
    assert!(shown.contains("navigation would get a page that says more; --header 'Accept"), "{shown}");
}

#[test]
fn what_a_browser_would_get_instead_is_said_where_nothing_was_said_of_who_asks() {
    let gateway = Gateway::with_sandbox();
    let url = "https://members.localhost/classes";
    let words = "A browser's navigation would get 302 Found instead; --header 'Accept: text/html' shows it.";
    let as_script = golden(&gateway, &["GET", url]);
    assert!(as_script.contains("with 401 Unauthorized") && as_script.ends_with(words), "{as_script}");
    for (url, field) in [
        (url, "Accept: application/json"),
        (url, "Cookie: a=b"),
        (url, NAVIGATION),
        ("https://members.localhost/api/a", "X-A: 1"),
        ("https://members.localhost/public/a", "X-A: 1"),
    ] {
        let shown = golden(&gateway, &["GET", url, "--header", field]);
        assert!(!shown.contains("A browser's navigation"), "{url} {field}: {shown}");
    }
}

#[tokio::test]
async fn what_is_explained_is_what_is_done() {
    let gateway = Gateway::with_sandbox();
    let mut statuses = Vec::new();
    for target in [
        "/public/a",
        "/optional/a?b=c",
        "/classes",
        "/api/x",
        "/denied/x",
        "/a//b",
        "/%61pi/x",
        "/_gateway/nothing",
    ] {
        for (method, fields) in [
            (
                "GET",
                &[
                    "accept: text/html",
                    "X-Member-Id: 1",
                    "Connection: x-a",
                    "X-A: 1",
                    "Forwarded: for=1.2.3.4",
                ][..],
            ),
            ("POST", &["Authorization: Bearer t", "Signature: member=:AAAA:", "Cookie: a=b"]),
            ("OPTIONS", &["Origin: https://members.localhost", "Access-Control-Request-Method: GET"]),
        ] {
            gateway.upstream().forget();
            let lines: String = fields.iter().map(|line| format!("{line}\r\n")).collect();
            let answer = gateway.raw(last_head(&format!("{method} {target}"), &lines));
            let url = format!("{SITE}{target}");
            let options = fields.iter().flat_map(|field| ["--header", field]);
            let arguments: Vec<&str> = [method, &*url].into_iter().chain(options).collect();
            let shown = explain(&gateway, &arguments).output;

            let status = answer.split(' ').nth(1).unwrap().to_owned();
            match gateway.upstream().requests().pop() {
                Some(request) => {
                    let arrives = |line: &str| line.starts_with("    ") || line.starts_with("  + ");
                    let head = shown.split_once("It goes on to").unwrap_or_else(|| panic!("{shown}")).1;
                    let head = head.split_once("\n\nNobody is named").unwrap().0;
                    let names = head.lines().skip(3).filter(|line| arrives(line));
                    let mut names: Vec<&str> =
                        names.map(|line| line[4..].split(':').next().unwrap()).collect();
                    let mut arrived: Vec<&str> =
                        request.fields.keys().map(http::HeaderName::as_str).collect();
                    names.sort_unstable();
                    arrived.sort_unstable();
                    // It is tried without a body.
                    names.retain(|name| *name != "content-length");
                    assert_eq!(names, arrived, "{method} {target}: {shown}");
                }
                None => {
                    let words = format!("answers itself, with {status} ");
                    assert!(shown.contains(&words), "{method} {target}: {status} and\n{shown}");
                }
            }
            statuses.push(status);
        }
    }
    for status in ["200", "302", "400", "401", "403", "404"] {
        assert!(statuses.iter().any(|seen| seen == status), "{status} in {statuses:?}");
    }
}

#[test]
fn nothing_that_opens_a_door_is_shown() {
    const KEYS: &str =
        "{ id = \"ed\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }";
    let gateway = Gateway::with(&Options {
        identity: "[identity.jwt]",
        signing_keys: Some(KEYS),
        site: "[site.bridge]\nbasic = { password = \"swordfish-swordfish\" }",
        ..Options::default()
    });
    let ended = explain(
        &gateway,
        &[
            "GET",
            "https://members.localhost/?code=swordfish&a=b",
            "--as",
            "member:1",
            "--header",
            "Cookie: theirs=swordfish",
            "--header",
            "Proxy-Authorization: Basic swordfish",
        ],
    );

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    let shown = ended.output;
    for secret in ["swordfish-swordfish", "theirs=swordfish", "Basic swordfish", "MTpzd29yZGZpc2g", "eyJ"] {
        assert!(!shown.contains(secret), "{secret} in\n{shown}");
    }
    for words in ["authorization: Basic …", "\"sub\":\"ymca/1\"", "\"x-member-assertion\": …", "?code=…&a=b"]
    {
        assert!(shown.contains(words), "{words} in\n{shown}");
    }
}

#[test]
fn a_callback_is_not_explained_for_its_code_would_be_spent() {
    let gateway = Gateway::with_sandbox();
    for path in
        ["/_gateway/callback/ymca?code=c&state=s", "/_gateway/%63allback/ymca", "//_gateway/callback/ymca"]
    {
        let ended = explain(&gateway, &["GET", &format!("{SITE}{path}")]);

        assert!(
            ended.status == 2 && ended.errors.contains("a callback is not explained"),
            "{path}: {ended:?}"
        );
    }
    assert!(gateway.daxko().requests().is_empty());
}

#[test]
fn a_request_that_makes_no_sense_exits_2_and_says_what_to_write() {
    let gateway = Gateway::with_sandbox();
    for (arguments, words) in [
        (&["GET", "/classes"][..], "https://members.example.org/classes"),
        (&["GET", "ftp://members.localhost/"], "no whole one"),
        (&["GET", "https://members.localhost/", "--as", "1"], "member:ID"),
        (&["GET", "https://members.localhost/", "--as", "member:a b"], "visible ASCII"),
        (&["GET", "https://members.localhost/", "--as", "member:1", "--provider", "rewards"], "ymca"),
        (&["GET", "https://elsewhere.example/", "--as", "member:1"], "sites are: https://members.localhost;"),
        (&["GET", "https://members.localhost/", "--header", "nothing"], "'Name: value'"),
        (&["POST", "https://members.localhost/", "--header", "Content-Length: 5"], "without a body"),
        (&["GET", "https://members.localhost/", "--unit", "1"], "--as"),
        (&["GET"], "<URL>"),
    ] {
        let ended = explain(&gateway, arguments);

        assert_eq!((ended.status, &*ended.output), (2, ""), "{arguments:?}");
        assert!(ended.errors.contains(words), "{arguments:?}: {}", ended.errors);
    }
}
