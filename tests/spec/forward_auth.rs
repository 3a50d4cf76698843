//! Forward-auth: what another proxy that has a request is told about it, and who is believed to have one.
//!
//! The questions are written as nginx, Traefik, Caddy and Envoy write them. The programs themselves ask in `tests/fronts/`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use member_gateway::secret::Secret;
use member_gateway::verify::{Key, Verifier};
use serde_json::Value;

use crate::harness::{Browser, Folder, Gateway, NOW, Options, Page, SIGNING_KEY, eventually, raw_to};

const TRUSTING: &str = "trusted_proxies = [\"127.0.0.1\"]";
const NAVIGATION: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";

fn gateway() -> Gateway {
    Gateway::with(&Options { server: TRUSTING, ..Options::USUAL })
}

/// A request as Traefik and Caddy tell it.
fn forwarded(line: &str) -> String {
    let (method, target) = line.split_once(' ').unwrap();
    format!(
        "X-Forwarded-Method: {method}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: members.localhost\r\n\
         X-Forwarded-Uri: {target}\r\nX-Forwarded-For: 192.0.2.7\r\n"
    )
}

/// A request as nginx tells it.
fn original(line: &str) -> String {
    let (method, target) = line.split_once(' ').unwrap();
    format!("X-Original-Method: {method}\r\nX-Original-URL: https://members.localhost{target}\r\n")
}

/// A question, at an address that is no site's.
fn ask(gateway: &Gateway, fields: &str) -> String {
    ask_as(gateway, "GET /_gateway/auth", fields)
}

fn ask_as(gateway: &Gateway, line: &str, fields: &str) -> String {
    gateway.raw(format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n{fields}\r\n"))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// A field of an answer, or nothing.
fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap();
    let line = |line: &'a str| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name));
    head.lines().find_map(line).map(|(_, value)| value).unwrap_or_default()
}

/// Whether an app believes this request, once the proxy has put what it was told into it.
fn believes(answer: &str, method: &str, target: &str) -> bool {
    let names = ["X-Member-Id", "X-Member-Unit-Id", "X-Member-Provider", "Signature-Input", "Signature"];
    let mut request = http::Request::builder().method(method).uri(target).header("host", "members.localhost");
    for name in names {
        assert!(!field(answer, name).is_empty(), "{name}: {answer}");
        request = request.header(name, field(answer, name));
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let key = Key::hmac("2026-11", &Secret::new(URL_SAFE_NO_PAD.decode(SIGNING_KEY).unwrap()));
    let verifier = Verifier::new(vec![key]).at("members.localhost");
    let request = member_gateway::verify::Request::of(&head);
    verifier.verify(&request, NOW).is_ok_and(|proof| proof.value("x-member-id") == Some("400007995-00"))
}

fn names_nobody(answer: &str) -> bool {
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    !head.contains("\r\nx-member") && !head.contains("\r\nsignature")
}

#[tokio::test]
async fn a_member_is_named_and_the_signature_is_for_the_request_that_is_asked_about() {
    let gateway = gateway();
    let member = gateway.member().await;
    for line in ["GET /classes?week=2", "POST /cl%61sses/a%2Fb?a=%26&&b", "DELETE /", "PROPFIND //x/y"] {
        let (method, target) = line.split_once(' ').unwrap();
        for words in [forwarded(line), original(line), forwarded(line) + &original(line)] {
            let answer = ask(&gateway, &(words + &member));
            assert_eq!(status(&answer), 200, "{line}: {answer}");
            assert!(believes(&answer, method, target), "{line}: {answer}");
            assert!(!believes(&answer, "GET", "/_gateway/auth"), "{answer}");
            assert_eq!(field(&answer, "cache-control"), "no-store");
        }
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn whoever_is_not_a_trusted_proxy_is_told_nothing_about_anybody() {
    for server in ["", "trusted_proxies = [\"10.0.0.0/8\"]"] {
        let gateway = Gateway::with(&Options { server, ..Options::USUAL });
        let member = gateway.member().await;
        for words in [forwarded("GET /classes"), original("GET /public/x"), String::new()] {
            let answer = ask(&gateway, &(words + &member));
            assert!(status(&answer) == 403 && names_nobody(&answer), "{answer}");
        }
        let at_home = gateway.raw(format!(
            "GET /_gateway/auth HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n{}{member}\r\n",
            forwarded("GET /classes")
        ));
        assert_eq!(status(&at_home), 403);
    }
}

#[tokio::test]
async fn a_connection_that_a_proxy_passes_on_is_its_clients_and_not_the_proxys() {
    let listen = "{ address = \"127.0.0.1:0\", proxy_protocol = true }";
    let gateway = Gateway::with(&Options { server: TRUSTING, listen: Some(listen), ..Options::USUAL });
    for preamble in ["PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", "PROXY UNKNOWN\r\n"] {
        let words = forwarded("GET /public/x");
        let answer = raw_to(
            gateway.address(),
            format!("{preamble}GET /_gateway/auth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{words}\r\n"),
        );
        assert_eq!(status(&answer), 403, "{answer}");
    }
}

#[tokio::test]
async fn words_that_are_missing_doubled_or_at_odds_are_400() {
    let gateway = gateway();
    let member = gateway.member().await;
    let (public, private) = ("GET /public/x", "POST /denied/x");
    let without = |words: String, name: &str| {
        words.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect::<String>()
    };
    let mut questions = vec![
        String::new(),
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: members.localhost\r\n".to_owned(),
        forwarded(private) + &original(public),
        forwarded(public) + &original(private),
        // What a browser sent, and a proxy that appends its own word has left there.
        forwarded(public) + "X-Forwarded-Uri: /denied/x\r\n",
        forwarded(public).replace("/public/x", "/public/x, /denied/x"),
        original(public) + "X-Original-URL: https://members.localhost/denied/x\r\n",
        original(public) + "X-Forwarded-Uri: /public/x\r\n",
        original(public) + "X-Forwarded-Method: GET\r\n",
        original(public) + "X-Forwarded-Proto: http\r\n",
        original(public) + "X-Forwarded-Host: other.localhost\r\n",
        forwarded(public).replace("/public/x", "/public/x#/denied/x"),
        forwarded(public).replace("/public/x", "public/x"),
        forwarded(public).replace("members.localhost", "members.localhost@evil.test"),
        forwarded(public).replace("members.localhost", "members.localhost, evil.test"),
        forwarded(public).replace("GET", "GE T"),
        // These are words of others.
        "X-Original-URI: /public/x\r\nX-Original-Method: GET\r\n".to_owned(),
        "X-Rewrite-URL: /public/x\r\nForwarded: host=members.localhost;proto=https\r\n".to_owned(),
        original(public).replace("-Original-", "_Original_"),
    ];
    for name in ["X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri"] {
        questions.push(without(forwarded(public), name));
    }
    for name in ["X-Original-Method", "X-Original-URL"] {
        questions.push(without(original(public), name));
        questions.push(forwarded(public) + &without(original(public), name));
    }
    for question in questions {
        for cookie in ["", &member] {
            let answer = ask(&gateway, &format!("{question}{cookie}"));
            assert!(status(&answer) == 400 && names_nobody(&answer), "{question}: {answer}");
        }
    }
}

#[tokio::test]
async fn the_request_goes_under_the_same_rules_as_one_that_is_passed_on() {
    let gateway = gateway();
    let member = gateway.member().await;
    for (line, of_a_stranger, of_a_member) in [
        ("GET /public/x", 200, 200),
        ("GET /optional/x", 200, 200),
        ("GET /denied/x", 403, 403),
        ("GET /staff/x", 401, 403),
        ("GET /classes", 401, 200),
        ("GET /api/x", 401, 200),
        // Readings that fall under different rules.
        ("GET /public/../classes", 400, 400),
        ("GET /public/%2e%2e/denied", 400, 400),
        ("GET /denied;x=1/x", 400, 400),
        ("GET //public/x", 400, 400),
        ("get /public/x", 501, 501),
        ("TRACE /public/x", 501, 501),
    ] {
        for words in [forwarded(line), original(line)] {
            assert_eq!(status(&ask(&gateway, &words)), of_a_stranger, "{line} of a stranger");
            assert_eq!(
                status(&ask(&gateway, &format!("{words}{member}"))),
                of_a_member,
                "{line} of a member"
            );
        }
    }
    // As whom a member arrives there.
    let public = ask(&gateway, &(forwarded("GET /public/x") + &member));
    assert!(names_nobody(&public), "{public}");
    let optional = ask(&gateway, &(forwarded("GET /optional/x") + &member));
    assert!(believes(&optional, "GET", "/optional/x"));
    assert!(names_nobody(&ask(&gateway, &forwarded("GET /optional/x"))));
}

#[tokio::test]
async fn a_rule_for_one_method_is_not_evaded_by_another_one() {
    let more = "[[site]]\npublic_url = \"https://other.localhost\"\nupstream = [\"http://127.0.0.1:9\"]\nproviders = [\"ymca\"]\n\
                [[site.rule]]\npath = \"/**\"\nmethods = [\"GET\"]\naccess = \"public\"";
    let gateway = Gateway::with(&Options { server: TRUSTING, more, ..Options::USUAL });
    let at_other = |words: String| words.replace("members.localhost", "other.localhost");

    assert_eq!(status(&ask(&gateway, &at_other(original("GET /x")))), 200);
    for line in ["POST /x", "HEAD /x", "OPTIONS /x"] {
        assert_eq!(status(&ask(&gateway, &at_other(original(line)))), 401, "{line}");
        let overridden = at_other(original(line)) + "X-HTTP-Method-Override: GET\r\n";
        assert_eq!(status(&ask(&gateway, &overridden)), 401, "{line}");
        let by_the_question = ask_as(&gateway, "POST /_gateway/auth", &at_other(original("GET /x")));
        assert_eq!(status(&by_the_question), 200);
    }
}

#[tokio::test]
async fn a_stranger_is_told_where_to_sign_in() {
    let gateway = gateway();
    let login = "https://members.localhost/_gateway/login?return_to=%2Fclasses%3Fweek%3D2";
    for fields in ["", NAVIGATION] {
        let answer = ask(&gateway, &(original("GET /classes?week=2") + fields));
        assert_eq!((status(&answer), field(&answer, "location")), (401, login), "{answer}");
        assert_eq!(field(&answer, "www-authenticate"), "MemberGateway");
        let problem: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(problem["login_url"], login);
        assert!(field(&answer, "set-cookie").is_empty(), "no login begins with a question: {answer}");
    }
    // A script's own address is no place for a person.
    let script = "Sec-Fetch-Mode: cors\r\nReferer: https://members.localhost/schedule\r\n";
    let answer = ask(&gateway, &(original("GET /api/x") + script));
    assert!(field(&answer, "location").ends_with("return_to=%2Fschedule"), "{answer}");
}

#[tokio::test]
async fn a_proxy_that_passes_the_answer_on_asks_for_a_redirect() {
    let gateway = gateway();
    let login = "https://members.localhost/_gateway/login?return_to=%2Fclasses";
    let socket = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (wish, line, fields, expected) in [
        ("login", "GET /classes", "", 302),
        ("login", "GET /classes", NAVIGATION, 302),
        ("login", "POST /classes", "", 302),
        ("login", "GET /classes", socket, 401),
        ("login", "GET /classes", "Sec-Purpose: prefetch\r\n", 401),
        ("auto", "GET /classes", NAVIGATION, 302),
        ("auto", "GET /classes", "", 401),
        ("auto", "GET /classes", "Sec-Fetch-Mode: cors\r\n", 401),
        ("401", "GET /classes", NAVIGATION, 401),
        ("whatever", "GET /classes", NAVIGATION, 401),
    ] {
        let question = format!("GET /_gateway/auth?unauthenticated={wish}");
        let answer = ask_as(&gateway, &question, &(forwarded(line) + fields));
        assert_eq!(status(&answer), expected, "{wish} {line} {fields}: {answer}");
        if expected == 302 {
            assert_eq!(field(&answer, "location"), login);
        }
    }
    // The rule for /api/ says so for everybody.
    let answer = ask_as(&gateway, "GET /_gateway/auth?unauthenticated=login", &forwarded("GET /api/x"));
    assert_eq!(status(&answer), 401);
}

#[tokio::test]
async fn envoy_asks_with_the_method_and_the_path_of_the_request_behind_its_own() {
    let gateway = gateway();
    let member = gateway.member().await;
    for line in ["GET /classes?week=2", "POST /classes", "DELETE /a/../b", "OPTIONS /"] {
        let (method, target) = line.split_once(' ').unwrap();
        let answer =
            ask_as(&gateway, &format!("{method} /_gateway/auth{target}"), &(forwarded(line) + &member));
        assert_eq!(status(&answer), 200, "{line}: {answer}");
        assert!(believes(&answer, method, target), "{line}: {answer}");
    }
    // The prefix may end in a query, which has what comes behind it.
    let line = "GET /_gateway/auth?unauthenticated=auto&of=/classes?week=2";
    assert_eq!(status(&ask_as(&gateway, line, &(forwarded("GET /classes?week=2") + NAVIGATION))), 302);
    // What stands there is not what is believed.
    assert_eq!(status(&ask_as(&gateway, "GET /_gateway/auth/public/x", &forwarded("GET /denied/x"))), 403);
    assert_eq!(status(&ask_as(&gateway, "GET /_gateway/auth/public/x", "")), 400);
    for path in ["/_gateway/authority", "/_gateway/auth2", "/_gateway/Auth", "/%5fgateway/auth"] {
        let line = format!("GET {path} HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n");
        let answer = gateway.raw(format!("{line}{}\r\n", forwarded("GET /public/x")));
        assert_eq!(status(&answer), 404, "{path}: {answer}");
    }
}

#[tokio::test]
async fn nothing_below_the_gateways_own_paths_is_for_an_app() {
    let gateway = gateway();
    let member = gateway.member().await;
    for target in
        ["/_gateway/login", "/_gateway/auth", "/_gateway", "/%5fgateway/session", "/a/..;/_gateway/x"]
    {
        let answer = ask(&gateway, &(original(&format!("GET {target}")) + &member));
        assert!([400, 403].contains(&status(&answer)) && names_nobody(&answer), "{target}: {answer}");
    }
    assert_eq!(status(&ask(&gateway, &original("GET /_gateway/login"))), 403);
}

#[tokio::test]
async fn the_site_is_that_of_the_request_and_not_of_the_question() {
    let gateway = gateway();
    let words = forwarded("GET /public/x");
    assert_eq!(status(&ask(&gateway, &words.replace("members.localhost", "evil.test"))), 421);
    assert_eq!(status(&ask(&gateway, &words.replace("members.localhost", "members.localhost:8443"))), 421);
    for spelling in ["Members.LocalHost", "members.localhost:443"] {
        assert_eq!(status(&ask(&gateway, &words.replace("members.localhost", spelling))), 200, "{spelling}");
    }
}

#[tokio::test]
async fn nothing_passes_for_a_preflight_as_nobody_here_sees_whether_it_has_a_body() {
    let gateway = gateway();
    let preflight = "Origin: https://app.example.org\r\nAccess-Control-Request-Method: PUT\r\n";
    assert_eq!(status(&ask(&gateway, &(original("OPTIONS /classes") + preflight))), 401);
    assert_eq!(status(&ask(&gateway, &(original("OPTIONS /public/x") + preflight))), 200);
    assert_eq!(status(&ask(&gateway, &(original("OPTIONS /denied/x") + preflight))), 403);
}

#[tokio::test]
async fn a_path_that_a_server_in_front_may_read_as_another_one_asks_nothing() {
    let gateway = gateway();
    let member = gateway.member().await;
    for path in
        ["..%2fx", "../x", "%2e%2e/x", ".%2e/x", "..%5cx", "a/..%2f..%2fx", "..;/x", "%252e%252e%252fx"]
    {
        for words in [original("GET /classes"), forwarded("GET /classes")] {
            let line = format!("GET /_gateway/auth/{path}");
            let answer = ask_as(&gateway, &line, &(words + &member));
            assert!(status(&answer) >= 400 && names_nobody(&answer), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_site_opens_no_websocket() {
    let gateway = gateway();
    let member = gateway.member().await;
    // `Connection` and `Upgrade` are the browser's to the proxy, which does not pass them on. Over HTTP/2 there is no key.
    for fields in [
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Version: 13\r\n",
    ] {
        for (origin, expected) in [
            ("Origin: https://evil.test\r\n", 403),
            ("Origin: https://members.localhost\r\n", 200),
            ("", 200),
        ] {
            let answer = ask(&gateway, &(original("GET /classes") + &member + fields + origin));
            assert_eq!(status(&answer), expected, "{origin}{fields}");
        }
    }
}

#[tokio::test]
async fn a_session_is_renewed_in_the_answer() {
    let gateway = gateway();
    let mut browser = gateway.signed_in().await;
    let question = |browser: &mut Browser| {
        let cookie = format!("Cookie: __Host-member-session={}\r\n", browser.session_cookie().unwrap());
        ask(&gateway, &(original("GET /classes") + &cookie))
    };
    assert_eq!(field(&question(&mut browser), "set-cookie"), "");

    gateway.later(1801);
    let renewed = question(&mut browser);
    let value = field(&renewed, "set-cookie").strip_prefix("__Host-member-session=").unwrap();
    browser.set_cookie("__Host-member-session", value.split(';').next().unwrap());

    gateway.later(1801);
    assert_eq!(status(&question(&mut browser)), 200);
}

#[tokio::test]
async fn a_session_that_is_over_is_over_here_too_and_its_cookie_is_taken_away() {
    let gateway = gateway();
    let mut browser = gateway.signed_in().await;
    let cookie = format!("Cookie: __Host-member-session={}\r\n", browser.session_cookie().unwrap());
    let question = original("GET /classes") + &cookie;
    assert_eq!(status(&ask(&gateway, &question)), 200);

    let same_origin = ("sec-fetch-site", "same-origin");
    let page: Page = browser.request(Method::POST, "/_gateway/logout", &[same_origin], "").await;
    assert_eq!(page.status, 303);
    for question in [question, original("GET /classes") + "Cookie: __Host-member-session=forged\r\n"] {
        let answer = ask(&gateway, &question);
        assert!(status(&answer) == 401 && field(&answer, "set-cookie").contains("Max-Age=0"), "{answer}");
    }
}

#[tokio::test]
async fn a_membership_that_has_ended_is_refused_here_too() {
    use member_gateway::sandbox::daxko::{Endpoint, Fault};
    let gateway = Gateway::with(&Options {
        server: TRUSTING,
        provider: "require_active = \"unit\"\nrecheck = \"1h\"\nrecheck_grace = \"2h\"",
        session: "idle_timeout = \"7d\"\nmax_age = \"7d\"",
        ..Options::USUAL
    });
    let member = gateway.member().await;
    let question = original("GET /classes") + &member;
    assert_eq!(status(&ask(&gateway, &question)), 200);

    let ended = Fault::WithField { name: "status".into(), value: serde_json::json!("Inactive") };
    gateway.daxko().faults().always(Endpoint::Unit, ended);
    // Too old an answer counts no longer, so this one waits for the next.
    gateway.later(3 * 3600);
    assert_eq!(status(&ask(&gateway, &question)), 403);
}

#[tokio::test]
async fn the_access_log_has_the_request_and_what_was_said_of_it() {
    let folder = Folder::empty();
    let gateway = Gateway::with(&Options {
        server: TRUSTING,
        folder: Some(folder.path().to_owned()),
        more: "[log]\naccess = \"file:access.log\"",
        ..Options::USUAL
    });
    let member = gateway.member().await;
    let read = || std::fs::read_to_string(folder.path().join("access.log")).unwrap_or_default();
    for (id, (line, cookie, rule, outcome, code)) in [
        ("POST /classes?week=2", &*member, "default", "admitted", 200),
        ("GET /public/x", "", "/public/**", "admitted", 200),
        ("GET /classes", "", "default", "unauthorized", 401),
        ("GET /denied/x", "", "/denied/**", "denied", 403),
        ("GET /staff/x", &*member, "/staff/**", "denied", 403),
        ("GET /public/../x", "", "none", "refused", 400),
    ]
    .into_iter()
    .enumerate()
    {
        let question = format!("{}{cookie}X-Request-Id: question-{id}\r\n", forwarded(line));
        assert_eq!(status(&ask(&gateway, &question)), code, "{line}");
        let id = format!("\"question-{id}\"");
        eventually("the line is written", || read().contains(&id));
        let written: Value =
            serde_json::from_str(read().lines().find(|line| line.contains(&id)).unwrap()).unwrap();
        let (method, target) = line.split_once(' ').unwrap();
        for (name, value) in [
            ("method", method),
            ("path", target.split('?').next().unwrap()),
            ("rule", rule),
            ("outcome", outcome),
            ("client", "192.0.2.7"),
            ("site", "https://members.localhost"),
        ] {
            assert_eq!(written[name], value, "{name} in {written}");
        }
        assert_eq!(written["status"], code);
    }
    assert!(!read().contains("week=2"));
}

#[tokio::test]
async fn what_an_app_is_told_besides_is_told_here_too() {
    let gateway = Gateway::with(&Options {
        server: TRUSTING,
        identity: "[identity.jwt]\nfield = \"X-Member-Assertion\"",
        site: "bridge = { remote_user = { field = \"X-Remote-User\", holds = \"member_id\" } }",
        signing_keys: Some(
            "{ id = \"2026-12\", algorithm = \"ed25519\", key = \"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\" }",
        ),
        ..Options::USUAL
    });
    let answer = ask(&gateway, &(original("GET /classes") + &gateway.member().await));
    assert_eq!((status(&answer), field(&answer, "x-remote-user")), (200, "400007995-00"), "{answer}");
    assert_eq!(field(&answer, "x-member-assertion").split('.').count(), 3, "{answer}");
    assert!(field(&answer, "signature-input").contains("\"x-member-assertion\""), "{answer}");
}
