//! Routing: which site a request is for, and what its path asks of the person who sent it.
//!
//! A site is found by the authority of the request (RFC 9110 §7.2), which has to be there exactly once and to be well
//! formed. There is no site for strangers' names to fall back to. Below the site the first matching rule decides, under
//! every reading of the path an upstream might have ([`path`]).

mod index;
pub mod path;
pub mod pattern;
pub mod rule;

use std::collections::HashMap;
use std::net::IpAddr;

use http::Version;
use http::header::HOST;
use http::uri::Uri;

use crate::message::Fields;

/// The scheme of a site's public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP; on loopback only.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As it stands before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that need not be written.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A site's public address: scheme, host and port, written in one way only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
    /// Scheme and authority; the authority starts at `authority_at`.
    text: String,
    authority_at: usize,
}

/// Why a text is no site's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Neither `http://` nor `https://`.
    #[error("starts with neither `https://` nor `http://`")]
    Scheme,
    /// No well-formed host and port.
    #[error("has no well-formed host")]
    Authority,
    /// Something stands behind the authority.
    #[error("has something behind the host: it is scheme, host and port alone")]
    Path,
}

impl Origin {
    /// Reads `https://host[:port]`, with or without a slash behind it.
    ///
    /// # Errors
    /// [`InvalidOrigin`], which says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            return Err(InvalidOrigin::Scheme);
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(InvalidOrigin::Path);
        }
        let (host, port) = host_and_port(authority.as_bytes()).ok_or(InvalidOrigin::Authority)?;
        let host = host.to_ascii_lowercase();
        let port = port.unwrap_or(scheme.default_port());
        let mut text = format!("{}://{host}", scheme.as_str());
        let authority_at = scheme.as_str().len() + 3;
        if port != scheme.default_port() {
            text.push_str(&format!(":{port}"));
        }
        Ok(Self { scheme, host, port, text, authority_at })
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Scheme and authority, as in an `Origin` field: `https://members.example.org`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port in lower case, without the scheme's default port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.text[self.authority_at..]
    }

    /// The host alone, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is this machine itself: 127.0.0.0/8, ::1, localhost or a name below it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// Whether the port that somebody sent with our host means this site.
    fn answers_on(&self, port: Option<u16>) -> bool {
        port.unwrap_or(self.scheme.default_port()) == self.port
    }
}

/// Whether a host, in lower case, is this machine itself.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Splits `uri-host [":" port]` (RFC 9110 §4.2). Nothing where it is not well formed: what RFC 3986 would let pass
/// beyond host names and addresses (user information, percent-encoding, an empty port) has no business here.
#[must_use]
pub fn host_and_port(authority: &[u8]) -> Option<(&str, Option<u16>)> {
    let authority = std::str::from_utf8(authority).ok()?;
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at(end);
        host[1..end - 1].parse::<std::net::Ipv6Addr>().ok()?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else {
        let (host, port) =
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(fits) {
            return None;
        }
        (host, port)
    };
    let Some(port) = port else { return Some((host, None)) };
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.then(|| port.parse().ok()).flatten()?;
    Some((host, Some(port)))
}

/// Why no site was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSite {
    /// The authority is missing, given twice, contradicts itself or is not well formed.
    #[error("the request names no host, several hosts, or one that is not well formed")]
    Malformed,
    /// There is no such site.
    #[error("the request is for a host that is no site of this gateway")]
    Unknown,
}

/// All sites, by their authority.
#[derive(Clone, Debug)]
pub struct Sites {
    origins: Vec<Origin>,
    /// As the config writes them, which is how nearly every request does.
    by_authority: HashMap<Vec<u8>, usize>,
    /// Those that share a host, in the order of the config.
    by_host: HashMap<String, Vec<usize>>,
}

impl Sites {
    /// Sites in the order of the config; the index of one is its place in it.
    #[must_use]
    pub fn new(origins: Vec<Origin>) -> Self {
        let mut by_authority = HashMap::new();
        let mut by_host = HashMap::<String, Vec<usize>>::new();
        for (index, origin) in origins.iter().enumerate() {
            by_authority.entry(origin.authority().as_bytes().to_vec()).or_insert(index);
            by_host.entry(origin.host().to_owned()).or_default().push(index);
        }
        Self { origins, by_authority, by_host }
    }

    /// The index of the site that answers to `authority`.
    ///
    /// # Errors
    /// [`NoSite`] where there is none.
    pub fn find(&self, authority: &[u8]) -> Result<usize, NoSite> {
        if let Some(&index) = self.by_authority.get(authority) {
            return Ok(index);
        }
        let (host, port) = host_and_port(authority).ok_or(NoSite::Malformed)?;
        let mut sites = self.at_host(host);
        sites.find(|(_, site)| site.answers_on(port)).map(|(index, _)| index).ok_or(NoSite::Unknown)
    }

    /// The index of the https site with the host in `authority`. The port is another one when http is spoken; where
    /// several sites share the host, the one on the port of https is meant, and otherwise the first.
    ///
    /// # Errors
    /// [`NoSite`] where there is none.
    pub fn find_secure(&self, authority: &[u8]) -> Result<usize, NoSite> {
        let (host, _) = host_and_port(authority).ok_or(NoSite::Malformed)?;
        let secure = || self.at_host(host).filter(|(_, site)| site.scheme == Scheme::Https);
        let usual = secure().find(|(_, site)| site.port == Scheme::Https.default_port());
        usual.or_else(|| secure().next()).map(|(index, _)| index).ok_or(NoSite::Unknown)
    }

    fn at_host(&self, host: &str) -> impl Iterator<Item = (usize, &Origin)> {
        let indices = self.by_host.get(&host.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|&index| Some((index, self.origins.get(index)?)))
    }
}

/// The authority of a request: one Host field, and where the target has an authority too, the same one. HTTP/2 may leave
/// Host out, and then the target has it (RFC 9113 §8.3.1).
///
/// # Errors
/// [`NoSite::Malformed`] where there is none, more than one, or two that differ.
pub fn authority<'a>(fields: &'a Fields, target: &'a Uri, version: Version) -> Result<&'a [u8], NoSite> {
    let mut hosts = fields.get_all(HOST);
    let target = target.authority().map(|authority| authority.as_str().as_bytes());
    match (hosts.next(), hosts.next(), target) {
        (Some(host), None, None) => Ok(host.as_bytes()),
        (Some(host), None, Some(target)) if target.eq_ignore_ascii_case(host.as_bytes()) => {
            Ok(host.as_bytes())
        }
        (None, None, Some(target)) if version == Version::HTTP_2 => Ok(target),
        (Some(_) | None, _, _) => Err(NoSite::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites() -> Sites {
        Sites::new(
            ["https://members.example.org", "http://localhost:8080", "https://[::1]:8443"]
                .map(|text| Origin::parse(text).unwrap())
                .to_vec(),
        )
    }

    #[test]
    fn an_origin_is_written_in_one_way_only() {
        for text in
            ["https://Members.Example.ORG", "https://members.example.org:443", "https://members.example.org/"]
        {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(origin.as_str(), "https://members.example.org");
            assert_eq!(origin.authority(), "members.example.org");
        }
        assert_eq!(Origin::parse("http://LOCALHOST:08080").unwrap().authority(), "localhost:8080");
        assert_eq!(Origin::parse("https://a:80").unwrap().authority(), "a:80");
    }

    #[test]
    fn what_is_no_origin_says_why() {
        for (text, why) in [
            ("members.example.org", InvalidOrigin::Scheme),
            ("ftp://a", InvalidOrigin::Scheme),
            ("https://", InvalidOrigin::Authority),
            ("https://user@a", InvalidOrigin::Authority),
            ("https://a:99999", InvalidOrigin::Authority),
            ("https://a/b", InvalidOrigin::Path),
            ("https://a?b", InvalidOrigin::Path),
        ] {
            assert_eq!(Origin::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_site_answers_to_its_authority_however_it_is_spelt() {
        for (authority, index) in [
            ("members.example.org", 0),
            ("MEMBERS.example.org", 0),
            ("members.example.org:443", 0),
            ("members.example.org:0443", 0),
            ("localhost:8080", 1),
            ("[::1]:8443", 2),
        ] {
            assert_eq!(sites().find(authority.as_bytes()), Ok(index), "{authority}");
        }
    }

    #[test]
    fn an_https_site_is_found_by_its_host_alone() {
        let sites = Sites::new(
            [
                "http://a.test:1",
                "https://a.test:8443",
                "https://a.test",
                "https://b.test:8443",
                "http://localhost",
            ]
            .map(|text| Origin::parse(text).unwrap())
            .to_vec(),
        );
        for (authority, found) in [
            ("a.test", Ok(2)),
            ("A.TEST:80", Ok(2)),
            ("a.test:8443", Ok(2)),
            ("b.test:8080", Ok(3)),
            ("localhost", Err(NoSite::Unknown)),
            ("evil.test", Err(NoSite::Unknown)),
            ("a@b.test", Err(NoSite::Malformed)),
        ] {
            assert_eq!(sites.find_secure(authority.as_bytes()), found, "{authority}");
        }
    }

    #[test]
    fn no_other_authority_finds_a_site() {
        let unknown =
            ["evil.test", "members.example.org.", "members.example.org:80", "localhost", "127.0.0.1:8080"];
        for authority in unknown {
            assert_eq!(sites().find(authority.as_bytes()), Err(NoSite::Unknown), "{authority}");
        }
        let malformed = [
            "",
            ":",
            ":443",
            "members.example.org:",
            "members.example.org:x",
            "members.example.org:99999",
            "members.example.org:+443",
            "members.example.org:000443",
            "a,members.example.org",
            "a@members.example.org",
            "members.example.org/",
            "[::1",
            "[x]:8443",
            "members.example.org#",
            "mémbers.example.org",
            "a b",
            "%61",
        ];
        for authority in malformed {
            assert_eq!(sites().find(authority.as_bytes()), Err(NoSite::Malformed), "{authority}");
        }
    }

    #[test]
    fn a_host_is_as_long_as_a_name_can_be() {
        // RFC 1035 §2.3.4, without the octets of its length and its root.
        assert!(host_and_port("a".repeat(253).as_bytes()).is_some());
        assert!(host_and_port("a".repeat(254).as_bytes()).is_none());
        assert!(host_and_port("a".repeat(255).as_bytes()).is_none());
    }

    #[test]
    fn a_request_names_its_host_once() {
        let fields =
            |hosts: &[&str]| -> Fields { hosts.iter().map(|host| (HOST, host.parse().unwrap())).collect() };
        let authority =
            |hosts: &[&str], target, version| Ok(authority(&fields(hosts), &target, version)?.to_vec());
        let (one, two) = (Version::HTTP_11, Version::HTTP_2);
        for (hosts, target, version) in [
            (&["a"][..], "/a", one),
            (&["a"], "http://A/b", one),
            (&["a"], "/a", two),
            (&["a"], "http://A/b", two),
            (&[], "http://a/b", two),
        ] {
            let found =
                authority(hosts, Uri::from_static(target), version).map(|host| host.to_ascii_lowercase());
            assert_eq!(found, Ok(b"a".to_vec()), "{hosts:?} {target} {version:?}");
        }
        for (hosts, target, version) in [
            (&[][..], "/a", one),
            (&[], "/a", two),
            (&[], "http://a/b", one),
            (&["a", "a"], "/a", one),
            (&["a", "a"], "http://a/b", two),
            (&["a"], "http://b/a", one),
            (&["a"], "http://b/a", two),
            (&["a"], "http://a@a/", one),
        ] {
            let found = authority(hosts, Uri::from_static(target), version);
            assert_eq!(found, Err(NoSite::Malformed), "{hosts:?} {target} {version:?}");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_else() {
        for text in ["http://localhost", "http://app.localhost:1", "http://127.8.9.10", "http://[::1]:80"] {
            assert!(Origin::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in
            ["http://localhost.example.org", "http://10.0.0.1", "http://[::2]", "http://127.0.0.1.nip.io"]
        {
            assert!(!Origin::parse(text).unwrap().is_loopback(), "{text}");
        }
    }
}
