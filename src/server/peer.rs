//! Who is behind a connection: the peer itself, or the client that a trusted proxy names.
//!
//! Nobody is trusted who is not listed. From a trusted peer `X-Forwarded-For` and `Forwarded` (RFC 7239) are read from
//! the right, past all addresses that are trusted too; what stands further left anybody may have written.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

use super::Arrival;
use crate::message::Fields;

/// `X-Forwarded-For`
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Host`
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The networks whose forwarding fields are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts these networks and no others.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether an address is listed; an IPv4 address in IPv6 clothes counts as what it is.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request.
    #[must_use]
    pub fn client(&self, arrival: Arrival, fields: &Fields) -> Client {
        let peer = arrival.peer.to_canonical();
        if arrival.is_nameless || !self.trusts(peer) {
            return Client { peer, address: peer, via_trusted_proxy: false };
        }
        let mut address = peer;
        for hop in hops(fields).into_iter().rev() {
            // Behind a hop that makes no sense nothing can be believed.
            let Some(hop) = hop else { break };
            address = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        Client { peer, address, via_trusted_proxy: true }
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The other end of the socket.
    pub peer: IpAddr,
    /// The client, as far as trusted proxies say; otherwise the peer.
    pub address: IpAddr,
    /// Whether the peer's forwarding fields are believed.
    pub via_trusted_proxy: bool,
}

/// The addresses a request has passed, in their order; nothing for one that is none.
fn hops(fields: &Fields) -> Vec<Option<IpAddr>> {
    let lines = |name: &HeaderName| {
        let lines: Vec<&str> = fields.get_all(name).map(|line| line.to_str().unwrap_or("?")).collect();
        lines.join(",")
    };
    if fields.contains_key(&X_FORWARDED_FOR) {
        return lines(&X_FORWARDED_FOR).split(',').map(address).collect();
    }
    if fields.contains_key(FORWARDED) {
        let elements = lines(&FORWARDED);
        return elements.split(',').map(|element| address(forwarded_parameter(element, "for")?)).collect();
    }
    Vec::new()
}

/// A parameter of one element of `Forwarded` (RFC 7239 §4), unquoted. Commas and semicolons inside quotes are not
/// understood; no address or host has any.
fn forwarded_parameter<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The host that a trusted proxy says the client asked for: the last one named, which the proxy itself wrote. Only
/// `X-Forwarded-Host` counts: proxies that write that one often pass a client's `Forwarded` on.
#[must_use]
pub fn forwarded_host(fields: &Fields) -> Option<&[u8]> {
    let line = fields.get_all(&X_FORWARDED_HOST).next_back()?;
    line.as_bytes().rsplit(|&byte| byte == b',').next().map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Entrance;

    fn client(peer: &str, fields: &[(&'static str, &str)]) -> Client {
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let fields: Fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let (peer, entrance) = (peer.parse().unwrap(), Entrance::Plain);
        trusted.client(Arrival { peer, entrance, tls: None, is_nameless: false }, &fields)
    }

    #[test]
    fn a_peer_that_is_not_listed_is_the_client_whatever_it_says() {
        for field in ["x-forwarded-for", "forwarded"] {
            let client = client("192.0.2.1", &[(field, "for=198.51.100.1, 198.51.100.1")]);
            assert_eq!((client.address.to_string().as_str(), client.via_trusted_proxy), ("192.0.2.1", false));
        }
        let nobody = TrustedProxies::default();
        assert!(!nobody.trusts("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_rightmost_address_that_is_not_trusted_is_the_client() {
        for (field, value, expected) in [
            ("x-forwarded-for", "198.51.100.1", "198.51.100.1"),
            ("x-forwarded-for", "6.6.6.6, 198.51.100.1, 10.1.1.1", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.1:4711", "198.51.100.1"),
            ("x-forwarded-for", "[2001:db8::1]:4711", "2001:db8::1"),
            ("x-forwarded-for", "::ffff:198.51.100.1", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.1, unknown, 10.1.1.1", "10.1.1.1"),
            ("x-forwarded-for", "", "10.0.0.1"),
            ("x-forwarded-for", "10.2.2.2", "10.2.2.2"),
            ("forwarded", "for=6.6.6.6, for=\"[2001:db8::1]:80\";proto=https", "2001:db8::1"),
            ("forwarded", "for=_hidden", "10.0.0.1"),
            ("forwarded", "proto=https", "10.0.0.1"),
        ] {
            let client = client("10.0.0.1", &[(field, value)]);
            assert_eq!(client.address.to_string(), expected, "{field}: {value}");
        }
        assert!(client("::ffff:10.0.0.1", &[]).via_trusted_proxy);
    }

    #[test]
    fn the_host_a_trusted_proxy_names_is_the_last_one() {
        let host = |name: &'static str, value: &str| {
            let fields: Fields =
                [(HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect();
            forwarded_host(&fields).map(<[u8]>::to_vec)
        };
        let last = host("x-forwarded-host", "evil.test, members.example.org");
        assert_eq!(last.as_deref(), Some(&b"members.example.org"[..]));
        assert_eq!(host("forwarded", "host=evil.test"), None);
    }
}
