//! The gate: which programs may ask at all. A browser never may, and beyond this machine only who has the key.
//!
//! A page in a browser on the same machine could reach a loopback address under a name of its own that leads to 127.0.0.1
//! (DNS rebinding), so a name that is not ours is refused, and so is whatever says that a page has sent it: `Origin`, and
//! `Sec-Fetch-Site`, which browsers send where they send no `Origin`. What has come through a gateway of ours comes from a
//! member's browser, whatever else it says.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, ORIGIN, VIA};

use crate::message::{Fields, Request};
use crate::route;
use crate::secret::{Secret, same_bytes};

/// What browsers say of where a request comes from (<https://w3c.github.io/webappsec-fetch-metadata/>); programs whose
/// library has the same functions as browsers say other things of the kind, and not this.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Part of what each gateway adds to `Via`.
const GATEWAY: &[u8] = b"member-gateway-";

/// Who may ask.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Where it listens.
    pub address: IpAddr,
    /// Names under which it is asked for, in lower case, beside this machine's own.
    pub hosts: Vec<String>,
    /// What whoever asks has to know.
    pub key: Option<Secret>,
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// It asks for a host that is not ours.
    #[error("the request is for a host that is not this one")]
    ForeignHost,
    /// A page has sent it.
    #[error("the request comes from a page in a browser")]
    Browser,
    /// It has come by way of a site.
    #[error("the request has come through a site of a gateway")]
    Member,
    /// It shows no key.
    #[error("the request shows no key")]
    NoKey,
    /// It shows another key.
    #[error("the request shows a key that is not this one")]
    WrongKey,
}

impl Gate {
    /// Whether a request may ask.
    ///
    /// # Errors
    /// [`NotAdmitted`] where it may not.
    pub fn admit<B>(&self, request: &Request<B>) -> Result<(), NotAdmitted> {
        let fields = request.headers();
        let authority = route::authority(fields, request.uri(), request.version());
        if !authority.is_ok_and(|authority| self.is_ours(authority)) {
            return Err(NotAdmitted::ForeignHost);
        }
        if fields.contains_key(ORIGIN) || fields.contains_key(SEC_FETCH_SITE) {
            return Err(NotAdmitted::Browser);
        }
        let is_ours = |line: &HeaderValue| memchr::memmem::find(line.as_bytes(), GATEWAY).is_some();
        if fields.get_all(VIA).any(is_ours) {
            return Err(NotAdmitted::Member);
        }
        match &self.key {
            Some(key) => shows(fields, key),
            None => Ok(()),
        }
    }

    fn is_ours(&self, authority: &[u8]) -> bool {
        let Some((host, _)) = route::host_and_port(authority) else { return false };
        let host = host.to_ascii_lowercase();
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // No DNS leads a page to an address.
            Ok(ip) => ip.is_loopback() || ip == self.address || self.address.is_unspecified(),
            Err(_) => host == "localhost" || self.hosts.contains(&host),
        }
    }
}

/// Whether this key is the only credential (RFC 6750 §2.1).
fn shows(fields: &Fields, key: &Secret) -> Result<(), NotAdmitted> {
    let mut shown = fields.get_all(AUTHORIZATION);
    let (Some(credentials), None) = (shown.next(), shown.next()) else { return Err(NotAdmitted::NoKey) };
    let credentials = credentials.as_bytes();
    let (scheme, token) = credentials.split_at(credentials.len().min(b"Bearer ".len()));
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(NotAdmitted::NoKey);
    }
    if same_bytes(token.trim_ascii(), key.expose()) { Ok(()) } else { Err(NotAdmitted::WrongKey) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(address: &str, key: Option<&str>) -> Gate {
        let hosts = vec!["relay.internal".to_owned()];
        Gate { address: address.parse().unwrap(), hosts, key: key.map(Secret::new) }
    }

    fn ask(gate: &Gate, fields: &[(&str, &str)]) -> Result<(), NotAdmitted> {
        let mut request = http::Request::builder().uri("/v3/members/1");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        gate.admit(&request.body(()).unwrap().into())
    }

    #[test]
    fn a_host_is_this_machine_or_one_that_was_named() {
        let here = gate("127.0.0.1", None);
        for host in ["127.0.0.1:8091", "localhost", "LocalHost:1", "[::1]:8091", "relay.internal:8091"] {
            assert_eq!(ask(&here, &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "192.0.2.7", "", "a b"] {
            assert_eq!(ask(&here, &[("host", host)]), Err(NotAdmitted::ForeignHost), "{host}");
        }
        assert_eq!(ask(&here, &[]), Err(NotAdmitted::ForeignHost));
        assert_eq!(
            ask(&here, &[("host", "localhost"), ("host", "evil.test")]),
            Err(NotAdmitted::ForeignHost)
        );
        assert_eq!(ask(&gate("192.0.2.7", None), &[("host", "192.0.2.7:8091")]), Ok(()));
        assert_eq!(ask(&gate("192.0.2.7", None), &[("host", "192.0.2.8")]), Err(NotAdmitted::ForeignHost));
        assert_eq!(ask(&gate("0.0.0.0", None), &[("host", "192.0.2.8")]), Ok(()));
    }

    #[test]
    fn no_page_and_nobody_who_comes_through_a_site_is_admitted() {
        let gate = gate("127.0.0.1", None);
        for (name, value, reason) in [
            ("origin", "https://evil.test", NotAdmitted::Browser),
            ("origin", "null", NotAdmitted::Browser),
            ("origin", "http://localhost:8091", NotAdmitted::Browser),
            ("sec-fetch-site", "none", NotAdmitted::Browser),
            ("via", "1.1 member-gateway-0a1b2c3d", NotAdmitted::Member),
            ("via", "1.1 proxy, 1.1 member-gateway-0a1b2c3d", NotAdmitted::Member),
        ] {
            assert_eq!(ask(&gate, &[("host", "localhost"), (name, value)]), Err(reason), "{name}: {value}");
        }
        assert_eq!(ask(&gate, &[("host", "localhost"), ("sec-fetch-mode", "cors")]), Ok(()));
        assert_eq!(ask(&gate, &[("host", "localhost"), ("via", "1.1 egress")]), Ok(()));
    }

    #[test]
    fn the_key_is_shown_once_and_whole() {
        let gate = gate("127.0.0.1", Some("swordfish"));
        let shown = |value: &str| ask(&gate, &[("host", "localhost"), ("authorization", value)]);
        assert_eq!(shown("Bearer swordfish"), Ok(()));
        assert_eq!(shown("bearer  swordfish"), Ok(()));
        for value in ["Bearer", "Bearer ", "Basic swordfish", "swordfish", ""] {
            assert!(shown(value).is_err(), "{value}");
        }
        for value in ["Bearer swordfis", "Bearer swordfishs", "Bearer Swordfish", "Bearer swordfish,x"] {
            assert_eq!(shown(value), Err(NotAdmitted::WrongKey), "{value}");
        }
        assert_eq!(ask(&gate, &[("host", "localhost")]), Err(NotAdmitted::NoKey));
        let twice = [
            ("host", "localhost"),
            ("authorization", "Bearer swordfish"),
            ("authorization", "Bearer swordfish"),
        ];
        assert_eq!(ask(&gate, &twice), Err(NotAdmitted::NoKey));
    }
}
