//! Who may ask the vendor's API through the gateway, and for what; and that nothing which opens it ever comes out.

use std::net::SocketAddr;

use crate::configuration::{check, production};
use crate::harness::{
    Authority, Folder, Gateway, Options, Running, eventually, free_address, last_head, member_gateway, raw_to,
};
use crate::relay::{App, TOKEN, Vendor};

const KEY: &str = "a-key-of-the-apps-that-nobody-guesses";

/// What the relay says to a request with this line and these fields.
fn ask(gateway: &Gateway, line: &str, fields: &str) -> String {
    raw_to(gateway.relay(), format!("{line} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"))
}

fn refused(answer: &str, status: u16, reason: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
        && answer.contains(&format!("member-gateway-reason: {reason}\r\n"))
}

/// What was asked of the vendor beside tokens.
fn reached(vendor: &Vendor) -> usize {
    vendor.asked("").iter().filter(|asked| !asked.head.contains("/oauth2/token ")).count()
}

#[tokio::test]
async fn token_endpoints_are_refused_in_every_spelling_of_their_paths() {
    let vendor = Vendor::default();
    let gateway = vendor.relaying("");
    for path in [
        "/v3/partners/oauth2/token",
        "/v3/partners/oauth2/token/",
        "/v3/partners/oauth2/members/token",
        "/v3/partners/oauth2/members/settings",
        "/v3/partners/oauth2",
        "/v3/members/oauth2/token",
        "/V3/PARTNERS/OAuth2/token",
        "/v3/partners/OAUTH2/token",
        "/v3/partners//oauth2/token",
        "//v3/partners/oauth2/token",
        "/v3/./partners/oauth2/token",
        "/v3/members/../partners/oauth2/token",
        "/v3/members/%2e%2e/partners/oauth2/token",
        "/v3/members/.%2E/partners/oauth2/token",
        "/v3/partners/%6fauth2/token",
        "/v3/partners/%256fauth2/token",
        "/v3/partners%2foauth2/token",
        "/v3/partners%2Foauth2%2Ftoken",
        "/v3/partners%5coauth2/token",
        "/v3/partners\\oauth2\\token",
        "/v3/partners/oauth2;x=1/token",
        "/v3;x/partners/oauth2/token",
        "/v3/partners/oauth2./token",
        "/v3/partners/oauth2%20/token",
        "/v3/partners/oauth2%00/token",
        "/v3/partners/oau%09th2/token",
        "/v3/partners/oauth2%3ftoken",
        "/v3/partners/%u006fauth2/token",
        "/v3/partners/oauth%ef%bc%92/token",
        "/v3/x/..;/partners/oauth2/token",
        "http://127.0.0.1:8091/v3/partners/oauth2/token",
    ] {
        for method in ["GET", "POST", "PUT"] {
            let answer = ask(&gateway, &format!("{method} {path}"), "Host: 127.0.0.1:8091\r\n");
            let is_refused = ["HTTP/1.1 403 ", "HTTP/1.1 400 "].iter().any(|start| answer.starts_with(start));
            assert!(is_refused, "{method} {path}: {answer}");
        }
    }
    assert_eq!((reached(&vendor), vendor.tokens()), (0, 0), "{:?}", vendor.asked(""));
}

#[tokio::test]
async fn a_token_endpoint_is_open_to_a_pattern_that_names_it_and_to_no_wide_one() {
    let vendor = Vendor::default();
    let gateway = vendor
        .relaying("api_paths = [\"/**\", \"/v3/partners/**\", \"/v3/partners/oauth2/members/settings\"]\n");
    let mut app = App::at(gateway.relay());
    assert_eq!(app.get("/v3/partners/oauth2/members/settings").status, 200);
    for path in ["/v3/partners/oauth2/members/token", "/v3/members/oauth2/token", "/auth/token"] {
        let answer = app.get(path);
        let reason = answer.field("member-gateway-reason");
        assert_eq!((answer.status, reason), (403, Some("token-endpoint")), "{path}");
    }
}

#[tokio::test]
async fn what_no_pattern_opens_is_refused() {
    let vendor = Vendor::default();
    let gateway = vendor.relaying("api_paths = [\"/v3/members/*\", \"/v3/units/**\"]\n");
    for path in ["/v3/members/1", "/v3/members/a%40b.example?x=1", "/v3/units/1/members"] {
        assert_eq!(App::at(gateway.relay()).get(path).status, 200, "{path}");
    }
    for path in [
        "/",
        "/v3",
        "/v3/members",
        "/v3/members/1/notes",
        "/v3/members/1%2fnotes",
        "/v3/unitsx",
        "/v1/members/1",
        "/v3/units/../locations",
        "/v3/units/%2e%2e/locations",
        "/v3/units/..%2flocations",
    ] {
        let answer = ask(&gateway, &format!("GET {path}"), "Host: localhost\r\n");
        let is_refused = ["HTTP/1.1 403 ", "HTTP/1.1 400 "].iter().any(|start| answer.starts_with(start));
        assert!(is_refused, "{path}: {answer}");
    }
    let answer = ask(&gateway, "TRACE /v3/units/1", "Host: localhost\r\n");
    assert!(refused(&answer, 405, "method"), "{answer}");
    assert_eq!(reached(&vendor), 3);
}

#[tokio::test]
async fn no_base_of_an_api_is_left_by_a_path() {
    let vendor = Vendor::default();
    // The base has a path of its own; what is beside it is nobody's.
    let base = vendor.base().replace("\"\n", "").trim_end_matches('"').to_owned();
    let provider = format!("{}\n{base}/api\"\napi_paths = [\"/**\"]", crate::relay::API);
    let gateway =
        Gateway::with(&Options { provider: Box::leak(provider.into_boxed_str()), ..Options::USUAL });
    for path in
        ["/v3/../../beside", "/../beside", "/v3/%2e%2e/%2e%2e/beside", "/..%2fbeside", "/v3/..%5c..%5cbeside"]
    {
        let answer = ask(&gateway, &format!("GET {path}"), "Host: localhost\r\n");
        assert!(refused(&answer, 400, "unreadable-path"), "{path}: {answer}");
    }
    assert_eq!(vendor.tokens(), 0);
}

#[tokio::test]
async fn a_foreign_host_is_refused() {
    let vendor = Vendor::default();
    let gateway = vendor.relaying("api_hosts = [\"Relay.Internal\"]\n");
    for fields in [
        "Host: evil.test\r\n",
        "Host: 127.0.0.1.evil.test:8091\r\n",
        "Host: members.localhost\r\n",
        "Host: 192.0.2.7\r\n",
        "Host: relay.internal.evil.test\r\n",
    ] {
        let answer = ask(&gateway, "GET /v3/units/1", fields);
        assert!(refused(&answer, 403, "foreign-host"), "{fields}: {answer}");
    }
    for fields in ["", "Host: localhost\r\nHost: evil.test\r\n"] {
        let answer = ask(&gateway, "GET /v3/units/1", fields);
        assert!(!answer.starts_with("HTTP/1.1 200 "), "{fields}: {answer}");
    }
    assert_eq!(reached(&vendor), 0);
    for host in ["127.0.0.1:8091", "localhost", "[::1]:1", "relay.internal:8091"] {
        let answer = ask(&gateway, "GET /v3/units/1", &format!("Host: {host}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
    }
}

#[tokio::test]
async fn no_page_in_a_browser_gets_an_answer() {
    let vendor = Vendor::default();
    let gateway = vendor.relaying("");
    for field in [
        "Origin: https://evil.test",
        "Origin: null",
        "Origin: http://127.0.0.1:8091",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: none",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let fields = format!("Host: 127.0.0.1:8091\r\n{field}\r\n");
            let answer = ask(&gateway, &format!("{method} /v3/units/1"), &fields);
            assert!(refused(&answer, 403, "from-a-page"), "{method} {field}: {answer}");
            assert!(!answer.to_lowercase().contains("access-control-"), "{answer}");
        }
    }
    assert_eq!(reached(&vendor), 0);
}

#[tokio::test]
async fn whoever_shows_no_key_or_another_gets_401_and_the_key_stays_here() {
    let vendor = Vendor::default();
    let gateway = vendor.relaying(&format!("api_key = \"{KEY}\"\n"));
    let with = |authorization: &str| {
        ask(&gateway, "GET /v3/units/1", &format!("Host: localhost\r\n{authorization}"))
    };
    for fields in ["", "Authorization: Basic eDp5\r\n", &format!("X-Api-Key: {KEY}\r\n")] {
        let answer = with(fields);
        assert!(refused(&answer, 401, "no-key") && answer.contains("www-authenticate: Bearer"), "{answer}");
    }
    for wrong in [&KEY[1..], &format!("{KEY}x"), &KEY.to_uppercase(), "x"] {
        let answer = with(&format!("Authorization: Bearer {wrong}\r\n"));
        assert!(refused(&answer, 401, "wrong-key"), "{wrong}: {answer}");
    }
    let twice = format!("Authorization: Bearer {KEY}\r\nAuthorization: Bearer {KEY}\r\n");
    assert!(refused(&with(&twice), 401, "no-key"));
    assert_eq!((reached(&vendor), vendor.tokens()), (0, 0));

    let answer =
        with(&format!("Authorization: bearer {KEY}\r\nCookie: a=b\r\nX-Forwarded-For: 192.0.2.7\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let asked = &vendor.asked("GET ")[0];
    assert_eq!(asked.field("authorization").unwrap(), format!("Bearer {TOKEN}.1"));
    for (name, is_there) in
        [("accept", true), ("cookie", false), ("x-forwarded-for", false), ("forwarded", false), ("via", true)]
    {
        assert_eq!(asked.field(name).is_some(), is_there, "{name}: {}", asked.head);
    }
    assert!(!asked.head.contains(KEY));
}

#[tokio::test]
async fn what_an_app_shows_of_its_own_never_goes_on_without_a_key_either() {
    let vendor = Vendor::default();
    let gateway = vendor.relaying("");
    let fields = "Host: localhost\r\nAuthorization: Bearer of-somebody\r\nAuthorization: Basic eDp5\r\n\
                  Proxy-Authorization: Basic eDp5\r\n";
    assert!(ask(&gateway, "GET /v3/units/1", fields).starts_with("HTTP/1.1 200 "));
    let head = &vendor.asked("GET ")[0].head;
    assert!(!head.contains("of-somebody") && !head.contains("eDp5"), "{head}");
}

#[tokio::test]
async fn nothing_comes_back_that_could_be_shown_to_the_vendor() {
    let vendor = Vendor::reading(|asked| {
        let token = asked.field("authorization").unwrap_or_default().replace("Bearer ", "");
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: vendor=session\r\nX-Auth-Token: abc\r\n\
             X-Debug: got {token}\r\nAuthentication-Info: nextnonce=1\r\nX-Other: eyJhIjoxfQ.eyJiIjoyfQ.sig\r\n\
             Location: https://elsewhere.example/?t={token}\r\nX-Next-Page-Token: 2\r\n\r\n{{}}"
        )
    });
    let gateway = vendor.relaying("");
    let answer = App::at(gateway.relay()).get("/v3/units/1");
    let text = answer.text().to_lowercase();
    for absent in
        ["set-cookie", "x-auth-token", "x-debug", "authentication-info", "x-other", "eyj", "location"]
    {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    assert_eq!(answer.field("x-next-page-token"), Some("2"));
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_is_broken_off_in_front_of_it() {
    let vendor = Vendor::reading(|asked| {
        // An error page, in two pieces, the first of which ends in the middle of the token.
        let page = format!("<p>Request</p>{}<p>failed</p>", asked.field("authorization").unwrap_or_default());
        let (first, second) = page.split_at(page.len() - 24);
        format!(
            "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        )
    });
    let gateway = vendor.relaying("");
    let answer = ask(&gateway, "GET /v3/units/1", "Host: localhost\r\nAccept-Encoding: gzip\r\n");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(
        !answer.contains("eyJ") && !answer.contains("failed") && !answer.ends_with("0\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(vendor.asked("GET ")[0].field("accept-encoding").unwrap(), "identity");
}

#[tokio::test]
async fn an_answer_in_a_coding_that_nobody_has_asked_for_goes_no_further() {
    let vendor = Vendor::reading(|asked| {
        let coding = asked.field("x-coding").unwrap_or_default().replace('|', ":");
        let end = if coding.starts_with("Transfer") { "4\r\ntext\r\n0\r\n\r\n" } else { "text" };
        let length = if coding.starts_with("Transfer") { "" } else { "Content-Length: 4\r\n" };
        format!("HTTP/1.1 200 OK\r\n{coding}\r\n{length}\r\n{end}")
    });
    let gateway = vendor.relaying("");
    let with = |coding: &str| {
        ask(&gateway, "GET /v3/units/1", &format!("Host: localhost\r\nX-Coding: {coding}\r\n"))
    };
    for coding in [
        "Content-Encoding| gzip",
        "Content-Encoding| x-unknown",
        "Content-Encoding| identity, br",
        "Transfer-Encoding| gzip, chunked",
    ] {
        let answer = with(coding);
        assert!(refused(&answer, 502, "vendor-coded") && !answer.contains("text"), "{coding}: {answer}");
    }
    for coding in ["Content-Encoding| Identity", "Content-Encoding|", "Transfer-Encoding| chunked"] {
        let answer = with(coding);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("text"), "{coding}: {answer}");
    }
}

#[tokio::test]
async fn a_member_who_gets_there_through_a_site_gets_nothing() {
    // The configuration does not see it: the address is found out only when everything runs.
    let vendor = Vendor::default();
    let inner = vendor.relaying("api_hosts = [\"members.localhost\"]\n");
    let gateway = Gateway::with(&Options { upstream: Some(inner.relay()), ..Options::USUAL });
    let answer = gateway.raw(last_head("GET /public/../v3/units/1", ""));
    assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = gateway.raw(last_head("GET /public/1", ""));
    assert!(refused(&answer, 403, "through-a-site"), "{answer}");
    assert_eq!(reached(&vendor), 0);
}

#[test]
fn no_site_has_the_api_for_an_upstream() {
    for (listen, upstream) in [
        ("127.0.0.1:8091", "http://127.0.0.1:8091"),
        ("127.0.0.1:8091", "http://localhost:8091"),
        ("[::1]:8091", "http://[::1]:8091"),
    ] {
        let text = production()
            .replace("client = 9991", &format!("client = 9991\napi_listen = \"{listen}\""))
            .replace("http://127.0.0.1:3000", upstream);
        let ended = check(&text);
        let message = "this is the api_listen of a provider, where a member could read about all others";
        assert!(ended.status == 2 && ended.errors.contains(message), "{listen} {upstream}: {ended:?}");
    }
}

#[test]
fn beyond_loopback_it_needs_a_key_and_each_mistake_says_what_to_do() {
    let with = |keys: &str| check(&production().replace("client = 9991", &format!("client = 9991\n{keys}")));
    for (keys, words) in [
        ("api_listen = \"0.0.0.0:8091\"", "beyond loopback it needs a key"),
        ("api_listen = \"192.0.2.7:8091\"", "beyond loopback it needs a key"),
        ("api_listen = \"[::]:8091\"", "keygen session"),
        ("api_listen = \"localhost:8091\"", "this is no address to listen on"),
        ("api_listen = \"unix:/run/api\"", "this is no address to listen on"),
        ("api_listen = \"127.0.0.1:8080\"", "the gateway listens here already"),
        ("api_listen = \"127.0.0.1:8091\"\napi_key = \"too-short\"", "no key that keeps anybody out"),
        (
            "api_listen = \"127.0.0.1:8091\"\napi_key = \"blanks have no place in a field\"",
            "no key that keeps",
        ),
        ("api_listen = \"127.0.0.1:8091\"\napi_paths = []", "every request would be refused"),
        ("api_listen = \"127.0.0.1:8091\"\napi_paths = [\"v3\"]", "does not start with `/`"),
        ("api_listen = \"127.0.0.1:8091\"\napi_hosts = [\"a:1\"]", "this is no host name"),
        ("api_listen = \"127.0.0.1:8091\"\napi_calls = 0", "this is no number of calls"),
        ("api_calls = 8", "api_listen beside it"),
        ("api_key = \"a-key-of-the-apps-that-nobody-guesses\"", "api_listen beside it"),
    ] {
        let ended = with(keys);
        assert!(ended.status == 2 && ended.errors.contains(words), "{keys}: {ended:?}");
        assert!(!ended.errors.contains("nobody-guesses") && !ended.errors.contains("too-short"), "{ended:?}");
    }
    let ended = with(&format!("api_listen = \"0.0.0.0:8091\"\napi_key = \"{KEY}\""));
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(
        ended.output.contains("warning: api_listen: 0.0.0.0:8091 is not a loopback address"),
        "{ended:?}"
    );
    assert!(!ended.output.contains(KEY));
}

#[test]
fn beyond_loopback_it_speaks_tls_where_there_are_certificates() {
    let (certificate, key) = Authority::new().issue(&["members.example.org"]);
    let text = format!(
        "[server]\ntls = {{ certificates = [{{ cert = \"site.pem\", key = \"site.key\" }}] }}\n{}",
        production()
    );
    for (address, shown) in [
        ("0.0.0.0:8091", "listen on     0.0.0.0:8091 (TLS)"),
        ("127.0.0.1:8091", "listen on     127.0.0.1:8091\n"),
    ] {
        let keys = format!("client = 9991\napi_listen = \"{address}\"\napi_key = \"{KEY}\"");
        let folder = Folder::with(&text.replace("client = 9991", &keys));
        let folder = folder.and("site.pem", &certificate).and("site.key", &key);
        let ended = member_gateway(&folder, &["check"], "");
        assert!(ended.status == 0 && ended.output.contains(shown), "{ended:?}");
        assert!(!ended.output.contains("in the clear"), "{ended:?}");
    }
}

#[test]
fn check_says_where_the_api_is_and_what_is_open_of_it() {
    let keys = format!(
        "client = 9991\napi_listen = \"127.0.0.1:8091\"\napi_key = \"{KEY}\"\napi_paths = [\"/v3/units/*\"]"
    );
    let ended = check(&production().replace("client = 9991", &keys));
    for words in [
        "API of the provider ymca, for apps",
        "  listen on     127.0.0.1:8091",
        "  sends to      https://api.daxko.com/",
        "  paths         /v3/units/*",
        "  for           whoever shows the key",
    ] {
        assert!(ended.output.contains(words), "{words}: {}", ended.output);
    }
}

/// Searches all that a running program says for all that must stay secret.
#[test]
fn no_token_no_key_and_no_id_stands_in_any_output() {
    let vendor = Vendor::reading(|asked| match asked.head.split(' ').nth(1) {
        Some("/v3/units/401-then-200") if asked.field("authorization").unwrap().ends_with(".1") => {
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        Some("/v3/units/429") => {
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        _ => {
            let token = asked.field("authorization").unwrap_or_default();
            format!(
                "HTTP/1.1 200 OK\r\nX-Echo: {token}\r\nSet-Cookie: a={token}\r\nContent-Length: 2\r\n\r\n{{}}"
            )
        }
    });
    let [listen, admin, relay] = [free_address(), free_address(), free_address()];
    let folder = Folder::with(&format!(
        "[server]\nlisten = [\"{listen}\"]\nadmin_listen = \"{admin}\"\n[log]\naccess = \"file:access.log\"\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n{}\n\
         client_secret = \"password-of-the-tests\"\nrefresh_token = \"refresh-token-of-the-tests\"\n\
         api_listen = \"{relay}\"\napi_key = \"{KEY}\"\n\
         [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n",
        vendor.base()
    ));
    let mut running = Running::spawn(folder.command(&["run"]).env("RUST_LOG", "debug,h2=off,sandbox=debug"));
    let log = running.log();
    eventually("it serves", || std::net::TcpStream::connect(relay).is_ok());

    let mut said = String::new();
    let key = format!("Authorization: Bearer {KEY}\r\n");
    let mut ask = |path: &str, fields: &str| {
        let mut app = App::at(relay);
        app.send("GET", path, fields, b"");
        said.push_str(&app.answer().text());
    };
    ask("/v3/members/300418822-01?email=noor%40example.org", &key);
    ask("/v3/units/401-then-200", &key);
    ask("/v3/members/haddad", "");
    ask("/v3/members/haddad", "Authorization: Bearer wrong-key-of-somebody-else\r\n");
    ask("/v3/partners/oauth2/token", &key);
    ask("/v3/units/429", &key);
    ask("/v3/units/300418822", &key);
    assert_eq!(vendor.tokens(), 2);
    said.push_str(&metrics(admin));
    running.signal("TERM");
    assert_eq!(running.ended(), Some(0));
    let access = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    assert!(
        access.contains("\"relay\":\"ymca\"") && access.contains("\"path\":\"/v3/members/*\""),
        "{access}"
    );

    for (place, text) in [("answers", &said), ("the log", &log.text()), ("the access log", &access)] {
        for secret in [TOKEN, KEY, "password-of-the-tests", "refresh-token-of-the-tests", "wrong-key-of"] {
            assert!(!text.contains(secret), "{secret} in {place}: {text}");
        }
    }
    for (place, text) in [("metrics", &said), ("the log", &log.text()), ("the access log", &access)] {
        for id in ["300418822", "noor", "haddad", "email"] {
            assert!(!text.contains(id), "{id} in {place}: {text}");
        }
    }
}

/// The metrics, once the last request has been counted: that comes after its answer.
fn metrics(admin: SocketAddr) -> String {
    let lines = [
        "member_gateway_relay_requests_total{provider=\"ymca\",outcome=\"served\"} 3\n",
        "member_gateway_relay_requests_total{provider=\"ymca\",outcome=\"refused\"} 3\n",
        "member_gateway_relay_requests_total{provider=\"ymca\",outcome=\"throttled\"} 1\n",
        "member_gateway_relay_too_many_requests_total{provider=\"ymca\"} 1\n",
        "member_gateway_relay_repeats_total{provider=\"ymca\"} 1\n",
        "member_gateway_client_tokens_total{provider=\"ymca\",result=\"ok\"} 2\n",
    ];
    let mut page = String::new();
    eventually("all is counted", || {
        page = raw_to(admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        lines.iter().all(|line| page.contains(line))
    });
    page
}
