//! What goes with TLS: the listener that redirects, what is said only over TLS, and what `check` says of certificates.

use std::sync::Arc;

use http::Response;
use http_body_util::Full;

use crate::harness::http2::Http2;
use crate::harness::{
    Authority, Ended, Folder, Gateway, Options, Secured, last_head, member_gateway, trusting,
};

const NAME: &str = "members.localhost";

/// TLS, plain HTTP and the redirect, with HSTS for a year.
const SERVER: &str =
    "tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }], hsts = \"365d\" }";
const LISTEN: &str = "\"127.0.0.1:0\", { address = \"127.0.0.1:0\", tls = false }, \
                      { address = \"127.0.0.1:0\", redirect = true }";

fn folder(authority: &Authority) -> Folder {
    let (certificate, key) = authority.issue(&[NAME]);
    Folder::empty().and("site.pem", &certificate).and("site.key", &key)
}

fn gateway(folder: &Folder, server: &'static str) -> Gateway {
    let folder = Some(folder.path().to_owned());
    let more = "[[site]]\npublic_url = \"http://app.localhost\"\nupstream = \"http://127.0.0.1:1\"\n\
                providers = [\"ymca\"]\n\
                [[site]]\npublic_url = \"https://other.localhost:8443\"\nupstream = \"http://127.0.0.1:1\"\n\
                providers = [\"ymca\"]\n";
    Gateway::with(&Options { listen: Some(LISTEN), server, more, folder, ..Options::default() })
}

/// The answer of the listener in this place of the list.
fn ask(gateway: &Gateway, authority: &Authority, listener: usize, request: &str) -> String {
    let address = gateway.addresses()[listener];
    if listener == 0 {
        let mut connection = Secured::to(address, NAME, &Arc::new(trusting(authority))).unwrap();
        connection.send(request);
        return connection.rest();
    }
    let mut wire = crate::harness::Wire::to(address);
    wire.send(request);
    wire.rest()
}

/// The values of a field in a head.
fn values<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

fn get(host: &str, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

#[test]
fn the_redirecting_listener_leads_to_the_https_address_of_the_same_site_and_nowhere_else() {
    let authority = Authority::new();
    let folder = folder(&authority);
    let gateway = gateway(&folder, SERVER);
    for (host, target, status, location) in [
        (NAME, "/classes?week=2", "308", "https://members.localhost/classes?week=2"),
        ("MEMBERS.localhost:80", "/", "308", "https://members.localhost/"),
        ("members.localhost:8080", "//evil.test/..", "308", "https://members.localhost//evil.test/.."),
        (NAME, "/public/a", "308", "https://members.localhost/public/a"),
        (NAME, "/denied/a", "308", "https://members.localhost/denied/a"),
        (NAME, "/%2e%2E/a\\b?%0d%0a", "308", "https://members.localhost/%2e%2E/a\\b?%0d%0a"),
        (NAME, "http://members.localhost/abs", "308", "https://members.localhost/abs"),
        (NAME, "/_gateway/session", "308", "https://members.localhost/_gateway/session"),
        ("other.localhost", "/a", "308", "https://other.localhost:8443/a"),
        // This one has no https address.
        ("app.localhost", "/a", "421", ""),
        ("evil.test", "/a", "421", ""),
        ("members.localhost.evil.test", "/a", "421", ""),
        ("members.localhost@evil.test", "/a", "400", ""),
        ("evil.test", "/_gateway/health", "200", ""),
        (NAME, "http://evil.test/", "400", ""),
    ] {
        let answer = ask(&gateway, &authority, 2, &get(host, target));

        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host} {target}: {answer}");
        assert_eq!(values(&answer, "location").join("|"), location, "{host} {target}");
        assert_eq!(values(&answer, "strict-transport-security"), [""; 0], "{host} {target}");
        assert_eq!(values(&answer, "set-cookie"), [""; 0], "{host} {target}");
    }
    let posted =
        ask(&gateway, &authority, 2, &(last_head("POST /public/a", "Content-Length: 4\r\n") + "abcd"));
    assert!(posted.starts_with("HTTP/1.1 308 "), "{posted}");
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn https_is_insisted_on_over_our_own_tls_and_on_https_sites_alone() {
    const YEAR: &str = "max-age=31536000";
    let authority = Authority::new();
    let folder = folder(&authority);
    let gateway = gateway(&folder, SERVER);
    for (listener, host, target, expected) in [
        (0, NAME, "/public/a", &[YEAR][..]),
        (0, NAME, "/", &[YEAR]),
        (0, NAME, "/denied/a", &[YEAR]),
        (0, NAME, "/_gateway/session", &[YEAR]),
        (0, "app.localhost", "/_gateway/session", &[]),
        (0, "evil.test", "/", &[]),
        (1, NAME, "/public/a", &[]),
        (1, NAME, "/denied/a", &[]),
        (2, NAME, "/public/a", &[]),
    ] {
        let answer = ask(&gateway, &authority, listener, &get(host, target));
        assert_eq!(
            values(&answer, "strict-transport-security"),
            expected,
            "{listener} {host}{target}: {answer}"
        );
    }

    gateway.upstream().answers(|_| {
        let answer = Response::builder().header("strict-transport-security", "max-age=5; includeSubDomains");
        answer.body(Full::default()).unwrap()
    });
    for listener in [0, 1] {
        let answer = ask(&gateway, &authority, listener, &get(NAME, "/public/a"));
        assert_eq!(
            values(&answer, "strict-transport-security"),
            ["max-age=5; includeSubDomains"],
            "{listener}"
        );
    }
}

#[test]
fn nobody_insists_on_https_unless_an_operator_says_so() {
    let authority = Authority::new();
    let folder = folder(&authority);
    for (server, expected) in [
        ("tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }", &[][..]),
        (
            "tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }], hsts = \"0s\" }",
            &["max-age=0"],
        ),
    ] {
        let answer = ask(&gateway(&folder, server), &authority, 0, &get(NAME, "/public/a"));
        assert_eq!(values(&answer, "strict-transport-security"), expected);
    }
}

#[test]
fn cookies_and_what_the_upstream_is_told_are_the_same_with_tls_and_without() {
    let authority = Authority::new();
    let folder = folder(&authority);
    let gateway = gateway(&folder, SERVER);
    let seen = [0, 1].map(|listener| {
        let answer = ask(&gateway, &authority, listener, &get(NAME, "/_gateway/login"));
        let [cookie] = values(&answer, "set-cookie")[..] else { panic!("{answer}") };
        let (name, attributes) = (cookie.split_at(20).0, cookie.split_once("; ").unwrap().1);
        assert_eq!(name, "__Host-member-login-");
        gateway.upstream().forget();
        ask(&gateway, &authority, listener, &get(NAME, "/public/a"));
        let request = gateway.upstream().last_request();
        let told = ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-for", "host"].map(|name| {
            let values = request.fields.get_all(name).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        });
        (attributes.to_owned(), told)
    });

    assert_eq!(seen[0], seen[1]);
    let (attributes, told) = &seen[0];
    assert!(attributes.contains("Secure") && attributes.contains("HttpOnly"), "{attributes}");
    assert_eq!(told[0], ["https"]);
}

/// What `check` says of a gateway.toml with these lines in `[server]`, in a folder with certificates.
fn check(server: &str) -> Ended {
    check_site(server, "https://members.localhost")
}

fn check_site(server: &str, site: &str) -> Ended {
    let authority = Authority::new();
    let (certificate, key) = authority.issue_until(&[NAME, "*.clubs.test"], 2040);
    let (expired, expired_key) = authority.issue_until(&[NAME], 2002);
    let folder = Folder::with(&format!(
        "[server]\n{server}\n[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
         [[site]]\npublic_url = \"{site}\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n"
    ));
    let folder = folder.and("site.pem", &certificate).and("site.key", &key).and("other.key", &expired_key);
    let folder = folder.and("expired.pem", &expired).and("both.pem", &(certificate + &key));
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let folder = folder.and("none.pem", "hunter2\n").and("locked.key", locked);
    let broken = key.replace("-----END", "---END");
    let folder = folder.and("broken.key", &broken).and("odd.key", &key.replace("MIG", "MIH"));
    let ended = member_gateway(&folder, &["check"], "");
    for line in key.lines().chain(["hunter2", "aHVudGVyMg"]) {
        let said = ended.output.contains(line) || ended.errors.contains(line);
        assert!(!said, "{line} of a key is repeated: {} {}", ended.output, ended.errors);
    }
    ended
}

fn pair(cert: &str, key: &str) -> String {
    format!("tls = {{ certificates = [{{ cert = \"{cert}\", key = \"{key}\" }}] }}")
}

#[test]
fn mistakes_about_tls_are_told_with_what_to_do() {
    let good = pair("site.pem", "site.key");
    let listen = |inside: &str| format!("{good}\nlisten = [{inside}]");
    for (server, words) in [
        (
            pair("absent.pem", "site.key"),
            &["2:34", "the certificate's file cannot be read", "folder of this"][..],
        ),
        (pair("site.pem", "absent.key"), &["the key's file cannot be read", "folder of this file"]),
        (pair("none.pem", "site.key"), &["not PEM, or holds no certificate", "-----BEGIN CERTIFICATE-----"]),
        (pair("site.key", "site.key"), &["not PEM, or holds no certificate"]),
        (pair("site.pem", "none.pem"), &["not PEM, or holds no private key", "PRIVATE KEY-----"]),
        (pair("site.pem", "broken.key"), &["not PEM, or holds no private key"]),
        (pair("site.pem", "odd.key"), &["the key is of no kind"]),
        (pair("site.pem", "site.pem"), &["holds no private key"]),
        (pair("site.pem", "locked.key"), &["encrypted with a passphrase", "openssl pkey"]),
        (
            pair("site.pem", "other.key"),
            &["the key does not fit the certificate", "renewed without the other"],
        ),
        (pair("site.pem", "-----BEGIN PRIVATE KEY-----\\nhunter2"), &["this is what should be in a file"]),
        ("tls = { certificates = [] }".to_owned(), &["there is no certificate"]),
        ("tls = {}".to_owned(), &["certificates"]),
        (good.replace("}]", "}], hsts = \"a year\""), &["this is no duration", "365d"]),
        (
            "listen = [{ address = \"127.0.0.1:0\", tls = true }]".to_owned(),
            &["no certificates to speak TLS with", "[server.tls]"],
        ),
        (
            listen("\"127.0.0.1:1\", { address = \"127.0.0.1:2\", tls = true, redirect = true }"),
            &["no need to be redirected", "either `tls` or `redirect`"],
        ),
        (
            listen("\"127.0.0.1:1\", { address = \"127.0.0.1:2\", h2c = true, redirect = true }"),
            &["no use for HTTP/2", "either `h2c` or `redirect`"],
        ),
        (listen("{ address = \"127.0.0.1:2\", h2c = true }"), &["this address speaks TLS", "tls = false"]),
        (listen("{ address = \"127.0.0.1:2\", redirect = true }"), &["would redirect, and serve nowhere"]),
        (listen("{ address = \"somewhere\" }"), &["this is no address to listen on"]),
        (listen("\"127.0.0.1:1\", { address = \"127.0.0.1:1\", tls = false }"), &["stands here twice"]),
        (listen("{ address = \"127.0.0.1:1\", tsl = false }"), &["tsl", "did you mean `tls`?"]),
    ] {
        let ended = check(&server);

        assert_eq!((ended.status, &*ended.output), (2, ""), "{server}: {}", ended.errors);
        for word in words {
            assert!(ended.errors.contains(word), "{server}: no {word:?} in\n{}", ended.errors);
        }
    }
    let ended = check_site(
        &listen("\"127.0.0.1:1\", { address = \"127.0.0.1:2\", redirect = true }"),
        "http://localhost",
    );
    assert!(ended.errors.contains("no site has an https address to redirect to"), "{}", ended.errors);
}

#[test]
fn check_tells_names_and_expiry_of_certificates_and_the_sites_they_are_for() {
    let listen = "listen = [\"127.0.0.1:443\", { address = \"127.0.0.1:80\", redirect = true }]";
    let ended = check(&format!("{}\n{listen}", pair("both.pem", "both.pem")));

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    for words in [
        "listen on 127.0.0.1:443 (TLS), 127.0.0.1:80 (redirects to https)",
        "certificate both.pem",
        "names         members.localhost, *.clubs.test",
        "expires       Sun, 01 Jan 2040 00:00:00 GMT",
        "sites         https://members.localhost",
    ] {
        assert!(ended.output.contains(words), "no {words:?} in\n{}", ended.output);
    }
    assert!(
        !ended.output.contains("this certificate") && !ended.output.contains("bears"),
        "{}",
        ended.output
    );
}

#[test]
fn check_warns_of_what_browsers_will_not_take() {
    for (server, site, warning) in [
        (pair("expired.pem", "other.key"), "https://members.localhost", Some("has expired")),
        (
            pair("site.pem", "site.key"),
            "https://west.localhost",
            Some("no certificate in [server.tls] bears"),
        ),
        (pair("site.pem", "site.key"), "https://members.localhost:8443", None),
        (pair("site.pem", "site.key"), "http://localhost", Some("no address of `listen` speaks plain HTTP")),
        (
            pair("site.pem", "site.key") + "\nlisten = [{ address = \"127.0.0.1:1\", tls = false }]",
            "https://members.localhost",
            Some("[server.tls] is not used"),
        ),
    ] {
        let ended = check_site(&server, site);

        assert_eq!((ended.status, &*ended.errors), (0, ""), "{server}");
        let warnings = ended.output.lines().filter(|line| line.starts_with("warning: "));
        let warnings: Vec<_> = warnings.filter(|line| !line.contains("random key")).collect();
        match warning {
            Some(words) => assert!(warnings.iter().any(|line| line.contains(words)), "{}", ended.output),
            None => assert_eq!(warnings, [""; 0]),
        }
    }
}

#[tokio::test]
async fn a_connection_is_for_the_names_on_its_certificate() {
    let authority = Authority::new();
    let pair = |names: &[&str]| authority.issue(names);
    let (both, alone) = (pair(&[NAME, "app.localhost"]), pair(&["other.localhost"]));
    let folder = Folder::empty()
        .and("both.pem", &both.0)
        .and("both.key", &both.1)
        .and("alone.pem", &alone.0)
        .and("alone.key", &alone.1);
    let more = "[[site]]\npublic_url = \"https://app.localhost\"\nupstream = \"http://127.0.0.1:1\"\n\
                providers = [\"ymca\"]\n\
                [[site]]\npublic_url = \"https://other.localhost\"\nupstream = \"http://127.0.0.1:1\"\n\
                providers = [\"ymca\"]\n";
    let gateway = |trusted| {
        let server = if trusted {
            "trusted_proxies = [\"127.0.0.1\"]\ntls = { certificates = [{ cert = \"both.pem\", \
             key = \"both.key\" }, { cert = \"alone.pem\", key = \"alone.key\" }] }"
        } else {
            "tls = { certificates = [{ cert = \"both.pem\", key = \"both.key\" }, \
             { cert = \"alone.pem\", key = \"alone.key\" }] }"
        };
        Gateway::with(&Options { server, more, folder: Some(folder.path().to_owned()), ..Options::default() })
    };
    for (trusted, name, host, expected) in [
        (false, NAME, NAME, 200),
        (false, NAME, "MEMBERS.localhost:443", 200),
        (false, NAME, "app.localhost", 200),
        (false, "app.localhost", NAME, 200),
        (false, NAME, "other.localhost", 421),
        (false, "other.localhost", NAME, 421),
        (false, "other.localhost", "other.localhost", 200),
        // No certificate bears it, and the client has come all the same: it asks for what it was told is here.
        (false, "nobody.localhost", NAME, 200),
        (false, "nobody.localhost", "other.localhost", 421),
        (true, NAME, "other.localhost", 200),
    ] {
        let gateway = gateway(trusted);
        let path = "/_gateway/keys";
        let config = Arc::new(crate::harness::client(&[&rustls::version::TLS13]));
        let mut http1 = Secured::to(gateway.address(), name, &config).unwrap();
        http1.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = http1.answer().0;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{name} {host}: {answer}");

        let mut http2 = Http2::over_tls(gateway.address(), name, &config).await;
        let mut asked = http::Request::new(());
        *asked.uri_mut() = format!("https://{host}{path}").parse().unwrap();
        *asked.version_mut() = http::Version::HTTP_2;
        assert_eq!(http2.status(asked).await, Some(expected), "{name} {host}");
    }
}
