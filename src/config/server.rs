//! `[server]`: where to listen, whom to believe, what to tolerate.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::Config;
use super::assemble::at;
use super::mistakes::Mistakes;
use crate::server::Limits;
use crate::server::peer::TrustedProxies;

/// The most fields that may be allowed; the map that holds them ends in a panic at 32768.
const MOST_FIELDS: u16 = 1000;
/// The largest head that may be allowed: each connection may hold as much in memory.
const MOST_HEAD_BYTES: usize = 1024 * 1024;

pub(super) fn listen(config: &Config, mistakes: &mut Mistakes<'_>) -> Vec<SocketAddr> {
    let default = vec!["127.0.0.1:8080".to_owned()];
    let texts = config.server.listen.as_ref().unwrap_or(&default);
    if texts.is_empty() {
        mistakes.note(&at(["server", "listen"]), "there is no address to listen on", "at least one");
    }
    let mut addresses = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = at(["server", "listen"]).index(index);
        match text.parse::<SocketAddr>() {
            Ok(address) if addresses.contains(&address) => {
                mistakes.note(&path, "this address stands here twice", "each address once");
            }
            Ok(address) => addresses.push(address),
            Err(_) => mistakes.note_with_help(
                &path,
                "this is no address to listen on",
                "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"",
                "for all addresses of this machine write \"0.0.0.0:8080\"",
            ),
        }
    }
    addresses
}

/// The address among those listened on to which an upstream's host and port lead; other names than `localhost` are not
/// looked up.
pub(super) fn leads_to_us(listen: &[SocketAddr], host: &str, port: u16) -> Option<SocketAddr> {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let is_localhost = host.eq_ignore_ascii_case("localhost");
    let same = |ours: IpAddr| match ip {
        // All addresses of this machine of one family; which ones these are beyond loopback is not looked up.
        Some(ip) if ours.is_unspecified() => {
            ip.is_ipv4() == ours.is_ipv4() && (ip.is_loopback() || ip.is_unspecified())
        }
        Some(ip) => ip == ours,
        None => is_localhost && (ours.is_loopback() || ours.is_unspecified()),
    };
    listen.iter().copied().find(|ours| ours.port() == port && port != 0 && same(ours.ip()))
}

pub(super) fn limits(config: &Config, mistakes: &mut Mistakes<'_>) -> Limits {
    let table = &config.server.limits;
    let path = at(["server", "limits"]);
    let fields = table.fields.unwrap_or(100);
    if fields < 8 {
        mistakes.note(&path.key("fields"), "no browser sends so few fields", "at least 8");
    }
    if fields > MOST_FIELDS {
        let expected = format!("at most {MOST_FIELDS}");
        mistakes.note(&path.key("fields"), "no request needs so many fields", &expected);
    }
    let head_bytes = path.key("head_bytes");
    let head_bytes = match mistakes.size(table.head_bytes.as_ref(), 64 * 1024, 8 * 1024, &head_bytes) {
        size if size > MOST_HEAD_BYTES => {
            mistakes.note(&head_bytes, "no request needs so large a head", "at most 1MiB");
            MOST_HEAD_BYTES
        }
        size => size,
    };
    Limits {
        head_timeout: mistakes.duration(table.head_timeout.as_ref(), 10, &path.key("head_timeout")),
        head_bytes,
        fields: usize::from(fields),
        body_idle: mistakes.duration(table.body_idle.as_ref(), 30, &path.key("body_idle")),
        idle: mistakes.duration(table.idle.as_ref(), 75, &path.key("idle")),
    }
}

pub(super) fn trusted_proxies(config: &Config, mistakes: &mut Mistakes<'_>) -> TrustedProxies {
    let mut networks = Vec::new();
    for (index, text) in config.server.trusted_proxies.iter().enumerate() {
        // A bare address is a network of one.
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) => networks.push(network),
            Err(_) => {
                let path = at(["server", "trusted_proxies"]).index(index);
                mistakes.note(&path, "this is no network", "an address or a CIDR, such as \"10.0.0.0/8\"");
            }
        }
    }
    TrustedProxies::new(networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_at_an_address_we_listen_on_leads_to_us() {
        for (ours, host, port, expected) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080, true),
            ("127.0.0.1:8080", "localhost", 8080, true),
            ("0.0.0.0:8080", "LOCALHOST", 8080, true),
            ("0.0.0.0:8080", "127.0.0.1", 8080, true),
            ("[::1]:8080", "[::1]", 8080, true),
            ("192.0.2.7:80", "192.0.2.7", 80, true),
            ("127.0.0.1:8080", "127.0.0.1", 3000, false),
            ("127.0.0.1:8080", "127.0.0.2", 8080, false),
            ("127.0.0.1:8080", "[::1]", 8080, false),
            ("0.0.0.0:8080", "192.0.2.7", 8080, false),
            ("192.0.2.7:8080", "localhost", 8080, false),
            ("127.0.0.1:8080", "app.localhost", 8080, false),
            ("127.0.0.1:0", "127.0.0.1", 0, false),
        ] {
            let listen = [ours.parse().unwrap()];
            assert_eq!(leads_to_us(&listen, host, port).is_some(), expected, "{ours} {host}:{port}");
        }
    }
}
