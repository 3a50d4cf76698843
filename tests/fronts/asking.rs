//! Forward-auth: the program has the request and asks the gateway about it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use member_gateway::secret::Secret;
use member_gateway::verify::{Key, Request, Verifier};

use crate::front::{Behind, Front, Program, Task};
use crate::harness::{
    Browser, Gateway, NAVIGATION, NOW, Options, Page, Recorded, SIGNING_KEY, free_address, raw_to,
};

pub const TRUSTING: Options = Options { server: "trusted_proxies = [\"127.0.0.1\"]", ..Options::USUAL };
/// A gateway that tells the app in every way there is.
const BRIDGED: Options = Options {
    identity: "[identity.jwt]",
    signing_keys: Some(
        "{ id = \"2026-11\", algorithm = \"hmac-sha256\", key = \"c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\" }, \
         { id = \"pair\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }",
    ),
    site: "[site.bridge]\nremote_user = { field = \"X-Remote-User\", holds = \"member_id\" }\n\
           basic = { password = \"a-password-of-the-app\" }",
    ..TRUSTING
};
/// What an app might take for what a bridge or a JWT says.
const FORGED_BRIDGES: [(&str, &str); 6] = [
    ("X-Remote-User", "1"),
    ("X_Remote_User", "2"),
    ("X.Remote-User", "3"),
    ("Authorization", "Basic MTo="),
    ("X-Member-Assertion", "e30.e30."),
    ("x_member_assertion", "e30.e30."),
];
/// Every spelling that an app might take for one of the gateway's fields, and the words of a proxy.
pub const FORGED: [(&str, &str); 14] = [
    ("X-Member-Id", "1"),
    ("x-member-id", "2"),
    ("X_Member_Id", "3"),
    ("X.Member.Id", "4"),
    ("X-Member_Id", "5"),
    ("X~Member~Id", "6"),
    ("X-Member-Unit-Id", "7"),
    ("x_member_unit_id", "8"),
    ("X-Member-Provider", "9"),
    ("X!Member!Provider", "10"),
    ("Signature-Input", "member=(\"@method\");keyid=\"2026-11\""),
    ("Signature_Input", "member=()"),
    ("Signature", "member=:AAAA:"),
    ("X-Gateway-Cookie", "__Host-member-session=forged"),
];
/// What tells of a request that would pass.
pub const WORDS: [(&str, &str); 6] = [
    ("X-Original-Method", "GET"),
    ("X-Original-URL", "https://members.localhost/public/x"),
    ("X-Forwarded-Method", "GET"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "members.localhost"),
    ("X-Forwarded-Uri", "/public/x"),
];

/// A program in front of the app, that asks this gateway.
fn in_front_of(gateway: &Gateway, program: Program, task: Task) -> Front {
    Front::start(program, task, Behind { gateway: gateway.address(), app: gateway.upstream().address() })
}

/// Whom the app takes a request for, if it verifies what arrived.
pub fn believed(request: &Recorded) -> Result<String, String> {
    let secret = Secret::new(URL_SAFE_NO_PAD.decode(SIGNING_KEY).unwrap());
    let names = ["x-member-id", "x-member-unit-id", "x-member-provider", "x-member-assertion?"];
    let verifier = Verifier::new(vec![Key::hmac("2026-11", &secret)]).at("members.localhost").reading(names);
    let fields = request.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: &request.method, target: &request.target, fields };
    let proof = verifier.verify(&request, NOW).map_err(|refused| refused.to_string())?;
    Ok(proof.value("x-member-id").unwrap_or_default().to_owned())
}

/// The fields that an app could take for the gateway's.
pub fn identity(request: &Recorded) -> Vec<String> {
    let mut names = request.folded_names();
    names.retain(|name| name.contains("MEMBER") || name.starts_with("SIGNATURE"));
    names.sort_unstable();
    names
}

pub const OF_A_MEMBER: [&str; 5] =
    ["SIGNATURE", "SIGNATURE_INPUT", "X_MEMBER_ID", "X_MEMBER_PROVIDER", "X_MEMBER_UNIT_ID"];

/// What a browser sends, with more.
pub async fn go(browser: &mut Browser, method: Method, target: &str, more: &[(&str, &str)]) -> Page {
    browser.request(method, target, &[&NAVIGATION[..], more].concat(), "").await
}

/// The question is the program's to ask, and no page's: nothing of it gets to the gateway, however it is told.
pub async fn is_not_to_be_asked(browser: &mut Browser) {
    const TELLINGS: [&[(&str, &str)]; 3] = [
        &[("X-Original-Method", "GET"), ("X-Original-URL", "https://members.localhost/classes")],
        &[("X-Original-Method", "GET"), ("X-Original-URL", "http://members.localhost/classes")],
        &[
            ("X-Forwarded-Method", "GET"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "members.localhost"),
            ("X-Forwarded-Uri", "/classes"),
        ],
    ];
    for words in TELLINGS {
        for target in ["/_gateway/auth", "/_gateway/auth/x", "/_gateway/auth?unauthenticated=login"] {
            let page = go(browser, Method::GET, target, words).await;
            let is_the_gateways = page.fields.contains_key("content-security-policy");
            assert!(page.status.is_client_error() && !is_the_gateways, "{target}: {page:?}");
        }
        // What tidies a path may find it there, and what does not passes on what the gateway does not take for it.
        for target in [
            "/_gateway/%61uth",
            "https://members.localhost//_gateway/auth",
            "/_gateway/./auth",
            "/_gateway/auth/..%2fx",
        ] {
            let page = go(browser, Method::GET, target, words).await;
            assert!(page.status.is_client_error(), "{target}: {page:?}");
        }
    }
}

/// The whole of a visit: out and in again.
async fn asks(program: Program) {
    let gateway = Gateway::with(&TRUSTING);
    let front = in_front_of(&gateway, program, Task::Asking);
    let app = gateway.upstream();
    let mut browser = Browser::new(front.address);

    // Whom nobody has to know stays unknown.
    let page = go(&mut browser, Method::GET, "/public/x", &FORGED).await;
    assert_eq!(page.status, 200, "{}\n{}", page.body, front.output());
    assert_eq!(identity(&app.last_request()), [""; 0], "{:?}", app.last_request());
    assert!(page.set_cookies().is_empty(), "{:?}", page.set_cookies());
    app.forget();

    // A person is sent to sign in, and a script is told.
    let page = browser.go("/classes?week=2").await;
    assert_eq!(page.status, 302, "{}", page.body);
    assert_eq!(page.location(), "https://members.localhost/_gateway/login?return_to=%2Fclasses%3Fweek%3D2");
    assert_eq!(browser.fetch(Method::GET, "/classes", &[]).await.status, 401);
    // Whatever it says it asked for.
    for words in [&WORDS[..2], &WORDS[2..], &WORDS] {
        assert_ne!(go(&mut browser, Method::GET, "/classes", words).await.status, 200);
        assert_ne!(go(&mut browser, Method::POST, "/classes", words).await.status, 200);
    }
    assert!(app.requests().is_empty(), "{:?}", app.requests());

    // The way through the vendor leads back to the page.
    let page = browser.visit("/classes?week=2").await;
    assert_eq!((page.status.as_u16(), page.path_and_query()), (200, "/classes?week=2"), "{}", page.body);
    assert_eq!(believed(&app.last_request()).as_deref(), Ok("400007995-00"));

    for target in ["/", "/cl%61sses/x%2Fy?a=%26&&b", "/a;b=c/d,e?f=g?h", "/a?"] {
        let page = go(&mut browser, Method::GET, target, &FORGED).await;
        assert_eq!(page.status, 200, "{target}: {}", page.body);
        let request = app.last_request();
        assert_eq!(believed(&request).as_deref(), Ok("400007995-00"), "{target}: {request:?}");
        assert_eq!(identity(&request), OF_A_MEMBER, "{request:?}");
        // Traefik has nothing that takes one cookie out of several, and nginx takes out but one.
        let cookie = request.field("cookie");
        assert_eq!(cookie.contains("__Host-member-session="), program == Program::Traefik, "{request:?}");
        let has_another = matches!(program, Program::Traefik | Program::Nginx);
        assert_eq!(cookie.contains("__Host-member-login-"), has_another, "{request:?}");
    }
    let page = browser.request(Method::POST, "/classes?week=3", &NAVIGATION, "name=value").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let request = app.last_request();
    assert_eq!((believed(&request).as_deref(), &request.body[..]), (Ok("400007995-00"), &b"name=value"[..]));
    app.forget();

    // What a rule says holds for members too.
    assert_eq!(browser.go("/denied/x").await.status, 403);
    assert_eq!(browser.go("/staff/x").await.status, 403);
    assert_ne!(browser.go("/public/%2e%2e/denied/x").await.status, 200);
    // Who tidies a path before looking at it passes this to the gateway, which may answer; no app may.
    browser.go("/%5fgateway/session").await;
    let handshake = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "https://evil.test"),
    ];
    assert_eq!(browser.request(Method::GET, "/classes", &handshake, "").await.status, 403);
    is_not_to_be_asked(&mut browser).await;
    assert!(app.requests().is_empty(), "{:?}", app.requests());

    // The session goes on, and so do the app's own cookies.
    app.answers(|_| {
        let mut answer = http::Response::new("".into());
        answer.headers_mut().append("set-cookie", "theme=dark".parse().unwrap());
        answer
    });
    assert_eq!(browser.go("/classes").await.set_cookies(), ["theme=dark"]);
    gateway.later(1801);
    let page = browser.go("/classes").await;
    assert_eq!(page.set_cookies().len(), 2, "{:?}", page.set_cookies());
    let renewed = page.set_cookie("__Host-member-session=");
    for attribute in ["; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"] {
        assert!(renewed.contains(attribute), "{renewed}");
    }
    gateway.later(1801);
    assert_eq!(browser.go("/classes").await.status, 200, "what was renewed counts");

    // Out, for whoever has a copy of the cookie as well.
    let mut thief = browser.clone();
    let same_origin = [("sec-fetch-site", "same-origin")];
    let page = browser.request(Method::POST, "/_gateway/logout", &same_origin, "").await;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/"), "{}", page.body);
    app.forget();
    for browser in [&mut browser, &mut thief] {
        assert_eq!(browser.go("/classes").await.status, 302);
    }
    assert!(thief.session_cookie().is_none(), "a cookie that is worth nothing is taken away");
    assert!(app.requests().is_empty());
}

/// An app that believes a bridge or a JWT is told by the gateway alone.
async fn tells_of_bridges(program: Program) {
    let gateway = Gateway::with(&BRIDGED);
    let front = in_front_of(&gateway, program, Task::AskingForBridges);
    let app = gateway.upstream();
    let mut browser = Browser::new(front.address);
    let told = |request: &Recorded| -> Vec<String> {
        let mut names = request.folded_names();
        names.retain(|name| {
            name.contains("REMOTE") || name.contains("AUTHORIZATION") || name.contains("ASSERTION")
        });
        names.sort_unstable();
        names
    };

    let page = go(&mut browser, Method::GET, "/public/x", &FORGED_BRIDGES).await;
    assert_eq!(page.status, 200, "{}\n{}", page.body, front.output());
    assert_eq!(told(&app.last_request()), [""; 0], "{:?}", app.last_request());

    assert_eq!(browser.visit("/classes").await.status, 200);
    for forged in [&[][..], &FORGED_BRIDGES] {
        let page = go(&mut browser, Method::GET, "/classes", forged).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let request = app.last_request();
        assert_eq!(told(&request), ["AUTHORIZATION", "X_MEMBER_ASSERTION", "X_REMOTE_USER"], "{request:?}");
        assert_eq!(request.field("x-remote-user"), "400007995-00");
        let credentials = STANDARD.encode("400007995-00:a-password-of-the-app");
        assert_eq!(request.field("authorization"), format!("Basic {credentials}"));
        assert_eq!(request.field("x-member-assertion").split('.').count(), 3);
        assert!(request.field("signature-input").contains("\"x-member-assertion\""), "{request:?}");
        assert_eq!(believed(&request).as_deref(), Ok("400007995-00"), "{request:?}");
    }
}

/// Nothing passes where the gateway does not believe the program, or is not there.
async fn lets_nobody_in_by_mistake(program: Program) {
    let gateway = Gateway::with_sandbox();
    let front = in_front_of(&gateway, program, Task::Asking);
    for target in ["/public/x", "/classes"] {
        let answer = raw_to(
            front.address,
            format!("GET {target} HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"),
        );
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target}: {answer}");
    }
    let nobody = Behind { gateway: free_address(), app: gateway.upstream().address() };
    let front = Front::start(program, Task::Asking, nobody);
    let page = Browser::new(front.address).go("/public/x").await;
    assert!(page.status.is_server_error(), "{}", page.status);
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn nginx_asks_the_gateway() {
    asks(Program::Nginx).await;
}

#[tokio::test]
async fn caddy_asks_the_gateway() {
    asks(Program::Caddy).await;
}

#[tokio::test]
async fn traefik_asks_the_gateway() {
    asks(Program::Traefik).await;
}

#[tokio::test]
async fn haproxy_asks_the_gateway() {
    asks(Program::Haproxy).await;
}

#[tokio::test]
async fn nginx_tells_of_bridges() {
    tells_of_bridges(Program::Nginx).await;
}

#[tokio::test]
async fn caddy_tells_of_bridges() {
    tells_of_bridges(Program::Caddy).await;
}

#[tokio::test]
async fn traefik_tells_of_bridges() {
    tells_of_bridges(Program::Traefik).await;
}

#[tokio::test]
async fn haproxy_tells_of_bridges() {
    tells_of_bridges(Program::Haproxy).await;
}

#[tokio::test]
async fn nginx_lets_nobody_in_by_mistake() {
    lets_nobody_in_by_mistake(Program::Nginx).await;
}

#[tokio::test]
async fn caddy_lets_nobody_in_by_mistake() {
    lets_nobody_in_by_mistake(Program::Caddy).await;
}

#[tokio::test]
async fn traefik_lets_nobody_in_by_mistake() {
    lets_nobody_in_by_mistake(Program::Traefik).await;
}

#[tokio::test]
async fn haproxy_lets_nobody_in_by_mistake() {
    lets_nobody_in_by_mistake(Program::Haproxy).await;
}

/// What Envoy asks, by the configuration in the documentation, about a request with these fields.
fn envoy(method: &str, target: &str, fields: &[(&str, &str)]) -> String {
    const PAGE: &str = include_str!("../../docs/forward-auth.md");
    let recipe =
        PAGE.split("```yaml\nhttp_filters:").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let here = recipe.replace("members.example.org", "members.localhost");
    let all = |start: &str, end: &str| -> Vec<String> {
        let rests = here.split(start).skip(1);
        rests.map(|rest| rest.split(end).next().unwrap().trim().to_owned()).collect()
    };
    let (removed, containing) = (all("- remove: ", "\n"), all("contains: ", " }"));
    let (exact, prefixes) = (all("- exact: ", "\n"), all("- prefix: ", "\n"));
    assert!(removed.len() == 2 && containing.len() == 2 && exact.len() == 7 && prefixes.len() == 3, "{here}");
    let stays = |name: &str| {
        !removed.iter().any(|removed| removed == name) && !containing.iter().any(|part| name.contains(part))
    };
    let mut kept: Vec<(String, String)> = fields
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
        .filter(|(name, _)| stays(name))
        .collect();
    for word in all("- append: { header: { key: ", " }") {
        let (name, value) = word.split_once(", value: ").unwrap();
        let value = value.trim_matches('"').replace("%REQ(:METHOD)%", method).replace("%REQ(:PATH)%", target);
        kept.retain(|(known, _)| known != name);
        kept.push((name.to_owned(), value));
    }
    kept.retain(|(name, _)| exact.contains(name) || prefixes.iter().any(|prefix| name.starts_with(prefix)));
    let mut question = format!(
        "{method} {}{target} HTTP/1.1\r\nHost: members.localhost\r\nContent-Length: 0\r\nConnection: close\r\n",
        all("path_prefix: ", "\n")[0]
    );
    for (name, value) in kept {
        question += &format!("{name}: {value}\r\n");
    }
    question + "\r\n"
}

#[tokio::test]
async fn what_envoy_asks_is_answered() {
    let gateway = Gateway::with(&TRUSTING);
    let member = gateway.member().await;
    let cookie = ("Cookie", member.trim_end().split_once(": ").unwrap().1);
    for (method, target, more, of_a_stranger, of_a_member) in [
        ("GET", "/public/x?a=b&unauthenticated=login", &[][..], "200", "200"),
        ("GET", "/classes?week=2&&b", &NAVIGATION, "302", "200"),
        ("POST", "/cl%61sses/a%2Fb", &[], "401", "200"),
        ("GET", "/classes", &[("Sec-WebSocket-Key", "x"), ("Origin", "https://evil.test")], "403", "403"),
        (
            "OPTIONS",
            "/classes",
            &[("Origin", "https://a.test"), ("Access-Control-Request-Method", "PUT")],
            "401",
            "200",
        ),
        ("DELETE", "/denied/x", &[], "403", "403"),
        ("GET", "/_gateway/login", &[], "403", "403"),
    ] {
        let fields = [more, &FORGED, &WORDS].concat();
        for (fields, expected) in
            [(fields.clone(), of_a_stranger), ([&fields[..], &[cookie]].concat(), of_a_member)]
        {
            let answer = gateway.raw(envoy(method, target, &fields));
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{method} {target}: {answer}");
            let names_a_member = answer.to_ascii_lowercase().contains("x-member-id: 400007995-00\r\n");
            let is_for_members =
                expected == "200" && fields.contains(&cookie) && !target.starts_with("/public/");
            assert_eq!(names_a_member, is_for_members, "{method} {target}: {answer}");
        }
    }
    assert!(gateway.upstream().requests().is_empty());
}
