//! `[server]`: where to listen, whom to believe, what to tolerate. Its certificates are [`super::tls`]'s.

pub(super) mod table;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ipnet::IpNet;

use super::assemble::at;
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{Config, ListenChoice};
use crate::gateway::head::HeadLimits;
use crate::server::peer::TrustedProxies;
use crate::server::tls::Tls;
use crate::server::{Address, Door, Entrance, Limits, Listen};

/// The most fields that may be allowed: whoever wants one looks through all of them. (Those of HTTP/2 go through a map that ends
/// in a panic at 32768.)
const MOST_FIELDS: u16 = 1000;
/// The largest head that may be allowed: each connection may hold as much in memory.
const MOST_HEAD_BYTES: usize = 1024 * 1024;
/// The longest path of a Unix socket: what `sun_path` takes (unix(7)), less the NUL at its end, and the dot of the file that
/// a hand-over begins with.
const MOST_SOCKET_PATH: usize = 106;

/// Where to listen, and what is spoken there. `tls` is what goes with `[server.tls]`, where that is well.
pub(super) fn listen(config: &Config, tls: Option<&Tls>, mistakes: &mut Mistakes<'_>) -> Vec<Listen> {
    let default = vec![ListenChoice::Address("127.0.0.1:8080".to_owned())];
    let choices = config.server.listen.as_ref().unwrap_or(&default);
    if choices.is_empty() {
        mistakes.note(&at(["server", "listen"]), "there is no address to listen on", "at least one");
    }
    let mut listen: Vec<Listen> = Vec::new();
    for (index, choice) in choices.iter().enumerate() {
        let item = at(["server", "listen"]).index(index);
        let (text, path) = match choice {
            ListenChoice::Address(text) => (text, item.clone()),
            ListenChoice::Table(table) => (&table.address, item.key("address")),
        };
        let Ok(address) = text.parse::<Address>() else {
            mistakes.note_with_help(
                &path,
                "this is no address to listen on",
                "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/run/mg.sock\"",
                "for all addresses of this machine write \"0.0.0.0:8080\"",
            );
            continue;
        };
        let address = match address {
            Address::Tcp(address) => Address::Tcp(address),
            Address::Unix(written) => Address::Unix(socket_path(&written.to_string_lossy(), &path, mistakes)),
        };
        if address.is_definite() && listen.iter().any(|other| other.address == address) {
            mistakes.note(&path, "this address stands here twice", "each address once");
            continue;
        }
        let is_unix = address.tcp().is_none();
        let door = door(config, choice, is_unix, tls, &item, mistakes);
        let mut new = Listen::new(address, door);
        if let ListenChoice::Table(table) = choice {
            new.proxy_protocol = table.proxy_protocol;
            new.mode = mode(table.mode.as_deref(), is_unix, &item.key("mode"), mistakes).unwrap_or(new.mode);
            if table.proxy_protocol && config.server.trusted_proxies.is_empty() {
                let help = "the address of the proxy in front; 127.0.0.1 for one that comes by a Unix socket";
                let message = "nobody is trusted to speak the PROXY protocol here";
                let expected = "trusted_proxies below [server]";
                mistakes.note_with_help(&item.key("proxy_protocol"), message, expected, help);
            }
        }
        listen.push(new);
    }
    if !listen.is_empty() && listen.iter().all(|listen| listen.door.entrance() == Entrance::Redirect) {
        let expected = "an address without `redirect` besides";
        mistakes.note(&at(["server", "listen"]), "the gateway would redirect, and serve nowhere", expected);
    }
    listen
}

/// The path of a Unix socket; a relative one starts at the folder of the configuration.
fn socket_path(written: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> PathBuf {
    let file = mistakes.file(written);
    if file.as_os_str().len() > MOST_SOCKET_PATH {
        let expected = format!("at most {MOST_SOCKET_PATH} bytes, with the folder");
        mistakes.note(path, "the path of this Unix socket is too long", &expected);
    }
    file
}

/// The permissions of a Unix socket.
fn mode(written: Option<&str>, is_unix: bool, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<u32> {
    let written = written?;
    if !is_unix {
        mistakes.note(path, "only a Unix socket has permissions", "an address of \"unix:/…\" beside it");
    }
    let is_octal = (3..=4).contains(&written.len()) && written.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(written, 8).ok().filter(|mode| is_octal && *mode <= 0o777) {
        Some(mode) => Some(mode),
        None => {
            mistakes.note(path, "these are no permissions", "in octal: \"0600\", \"0660\" or \"0666\"");
            None
        }
    }
}

/// Where the next process asks for the listening sockets.
pub(super) fn handover(config: &Config, listen: &[Listen], mistakes: &mut Mistakes<'_>) -> Option<PathBuf> {
    let text = config.server.handover.as_ref()?;
    let path = at(["server", "handover"]);
    let Some(written) = text.strip_prefix("unix:").filter(|written| !written.is_empty()) else {
        let expected = "\"unix:/run/member-gateway/handover\"";
        mistakes.note(&path, "this is no Unix socket", expected);
        return None;
    };
    let file = socket_path(written, &path, mistakes);
    if listen.iter().any(|listen| matches!(&listen.address, Address::Unix(other) if *other == file)) {
        mistakes.note(&path, "this is an address of `listen`", "a path of its own");
    }
    Some(file)
}

fn door(
    config: &Config,
    choice: &ListenChoice,
    is_unix: bool,
    tls: Option<&Tls>,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Door {
    let (wanted, redirect, h2c) = match choice {
        ListenChoice::Address(_) => (None, false, false),
        ListenChoice::Table(table) => (table.tls, table.redirect, table.h2c),
    };
    if redirect {
        if wanted == Some(true) {
            let message = "who comes with TLS has no need to be redirected to https";
            mistakes.note(&path.key("redirect"), message, "either `tls` or `redirect`");
        }
        if !config.site.iter().any(|site| site.public_url.starts_with("https://")) {
            let message = "no site has an https address to redirect to";
            mistakes.note(&path.key("redirect"), message, "a [[site]] with a public_url of https");
        }
        if h2c {
            let message = "who is only redirected has no use for HTTP/2";
            mistakes.note(&path.key("h2c"), message, "either `h2c` or `redirect`");
        }
        return Door::Redirect;
    }
    if is_unix {
        if wanted == Some(true) {
            let message = "TLS is not spoken at a Unix socket: nobody listens in between";
            mistakes.note(&path.key("tls"), message, "no `tls` here");
        }
        return if h2c { Door::H2c } else { Door::Plain };
    }
    if wanted == Some(true) && config.server.tls.is_none() {
        let help = "add [server.tls] with certificates = [{ cert = \"…\", key = \"…\" }]";
        mistakes.note_with_help(&path.key("tls"), "there are no certificates to speak TLS with", "", help);
    }
    let speaks_tls = config.server.tls.is_some() && wanted != Some(false);
    if h2c && speaks_tls {
        let message = "h2c is HTTP/2 without TLS, and this address speaks TLS";
        let help = "with TLS, HTTP/2 is spoken anyway: leave `h2c` out, or add tls = false";
        mistakes.note_with_help(&path.key("h2c"), message, "an address with tls = false", help);
    }
    match tls {
        Some(tls) if wanted != Some(false) => Door::Tls(tls.clone()),
        Some(_) | None if h2c => Door::H2c,
        Some(_) | None => Door::Plain,
    }
}

/// The address among those listened on to which an upstream's host and port lead; other names than `localhost` are not
/// looked up.
pub(super) fn leads_to_us(listen: &[Listen], host: &str, port: u16) -> Option<SocketAddr> {
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
    let mut ours = listen.iter().filter_map(|listen| listen.address.tcp());
    ours.find(|ours| ours.port() == port && port != 0 && same(ours.ip()))
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
        body_rate: NonZeroU32::new(table.body_rate.unwrap_or(100)),
        idle: mistakes.duration(table.idle.as_ref(), 75, &path.key("idle")),
        connections: at_least(table.connections, 20_000, 100, &path.key("connections"), mistakes),
        connections_per_peer: at_least(
            table.connections_per_peer,
            1000,
            10,
            &path.key("connections_per_peer"),
            mistakes,
        ),
        http2_bytes: mistakes.size(
            table.http2_bytes.as_ref(),
            10 * 1024 * 1024,
            1024 * 1024,
            &path.key("http2_bytes"),
        ),
    }
}

/// What is borne in a head beyond its size.
pub(super) fn head_limits(config: &Config, mistakes: &mut Mistakes<'_>) -> HeadLimits {
    const BORNE: RangeInclusive<u16> = 50..=1000;
    let table = &config.server.limits;
    let path = at(["server", "limits"]);
    let cookies = table.cookies.unwrap_or(200);
    if !BORNE.contains(&cookies) {
        let message = "browsers send up to some 180 cookies, and nobody needs many more";
        mistakes.note(&path.key("cookies"), message, "from 50 to 1000");
    }
    let target_bytes = mistakes.size(table.target_bytes.as_ref(), 16 * 1024, 128, &path.key("target_bytes"));
    HeadLimits { target_bytes, cookies: usize::from(cookies) }
}

/// A number of connections.
fn at_least(written: Option<u32>, usual: u32, least: u32, path: &Path, mistakes: &mut Mistakes<'_>) -> usize {
    let number = written.unwrap_or(usual);
    if number < least {
        mistakes.note(path, "with so few nobody could be served", &format!("at least {least}"));
    }
    usize::try_from(number).unwrap_or(usize::MAX)
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

/// Says which entries of `trusted_proxies` trust everybody: any browser may then name its own address and site.
pub(super) fn warn(config: &Config, warnings: &mut Vec<String>) {
    for text in &config.server.trusted_proxies {
        if text.parse::<IpNet>().is_ok_and(|network| network.prefix_len() == 0) {
            warnings.push(format!(
                "trusted_proxies: {text} trusts everybody in what they say of their address and of the site, and lets \
                 them ask at /_gateway/auth: name the proxy in front"
            ));
        }
    }
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
            let listen = [Listen::new(ours.parse().unwrap(), Door::Plain)];
            assert_eq!(leads_to_us(&listen, host, port).is_some(), expected, "{ours} {host}:{port}");
        }
    }
}
