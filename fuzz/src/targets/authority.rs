//! Authorities: a line for `Host`, perhaps a second one, perhaps a target with an authority of its own.
//!
//! * Host and port are found only in what is host and port, and put together again they are the text.
//! * A site is found under its own host and port alone, in capitals or not.
//! * Two that differ are none.

use std::sync::OnceLock;

use http::header::{HOST, HeaderValue};
use http::{Uri, Version};
use member_gateway::message::Fields;
use member_gateway::route::{Origin, Sites, authority, host_and_port};

const ORIGINS: [(&str, &str, u16); 4] = [
    ("https://members.localhost", "members.localhost", 443),
    ("http://plain.localhost", "plain.localhost", 80),
    ("https://members.localhost:8443", "members.localhost", 8443),
    ("http://[::1]:8080", "[::1]", 8080),
];

fn sites() -> &'static Sites {
    static SITES: OnceLock<Sites> = OnceLock::new();
    SITES.get_or_init(|| {
        Sites::new(ORIGINS.iter().map(|(url, ..)| Origin::parse(url).expect("an origin")).collect())
    })
}

pub fn run(bytes: &[u8]) {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let host = lines.next().unwrap_or_default();
    let parts = host_and_port(host);
    if let Some((name, port)) = parts {
        assert!(!name.is_empty() && name.len() <= 255);
        let text = port.map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let leading_zeros = port.is_some_and(|port| host.len() > name.len() + 1 + port.to_string().len());
        assert!(text.as_bytes() == host || leading_zeros, "{}", host.escape_ascii());
        assert!(!host.iter().any(|byte| b"@/?#\\, \t\"'%".contains(byte)), "{}", host.escape_ascii());
    }
    if let Ok(index) = sites().find(host) {
        let (url, name, port) = ORIGINS[index];
        let (found, given) = parts.expect("a site was found");
        let default = if url.starts_with("https:") { 443 } else { 80 };
        assert!(
            found.eq_ignore_ascii_case(name) && given.unwrap_or(default) == port,
            "{}",
            host.escape_ascii()
        );
    }
    if let Ok(index) = sites().find_secure(host) {
        let (url, name, _) = ORIGINS[index];
        assert!(
            url.starts_with("https:") && parts.is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
        );
    }

    let mut fields = Fields::new();
    let hosts = [Some(host), lines.next().filter(|line| !line.is_empty())];
    for line in hosts.into_iter().flatten() {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        fields.append(HOST, value);
    }
    let target = lines.next().and_then(|target| Uri::try_from(target).ok()).unwrap_or_default();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let Ok(found) = authority(&fields, &target, version) else { continue };
        assert!(fields.get_all(HOST).count() <= 1, "of two hosts one was chosen");
        if let Some(named) = target.authority() {
            assert!(found.eq_ignore_ascii_case(named.as_str().as_bytes()));
        }
    }
}
