//! `[log]` and the admin address: what an operator learns of the gateway, and where.

pub(super) mod table;

use std::net::SocketAddr;

use super::assemble::at;
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{Config, TraceparentChoice, server};
use crate::server::{Address, Door, Listen};
use crate::telemetry::access_log::Destination;
use crate::telemetry::trace::Tracing;
use crate::upstream::Upstream;

/// Where the access log goes, if there is one.
pub(super) fn access(config: &Config, mistakes: &mut Mistakes<'_>) -> Option<Destination> {
    match config.log.access.as_deref() {
        None | Some("off") => None,
        Some("stdout") => Some(Destination::Stdout),
        Some("stderr") => Some(Destination::Stderr),
        Some(text) => match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Some(Destination::File(mistakes.file(path))),
            Some(_) | None => {
                let help = "a path that is not absolute starts at the folder of this file";
                let expected =
                    "\"off\", \"stdout\", \"stderr\" or \"file:/var/log/member-gateway/access.log\"";
                mistakes.note_with_help(&at(["log", "access"]), "this is no place for a log", expected, help);
                None
            }
        },
    }
}

/// What is done about `traceparent`.
pub(super) const fn tracing(config: &Config) -> Tracing {
    match config.log.traceparent {
        TraceparentChoice::Make => Tracing::Make,
        TraceparentChoice::Pass => Tracing::Pass,
        TraceparentChoice::Off => Tracing::Off,
    }
}

/// The admin address, if there is one.
pub(super) fn admin(
    config: &Config,
    listen: &[Listen],
    warnings: &mut Vec<String>,
    mistakes: &mut Mistakes<'_>,
) -> Option<SocketAddr> {
    let text = config.server.admin_listen.as_ref()?;
    let path = at(["server", "admin_listen"]);
    let Ok(address) = text.parse::<SocketAddr>() else {
        let expected = "an IP address and a port, such as \"127.0.0.1:9901\"";
        mistakes.note(&path, "this is no address to listen on", expected);
        return None;
    };
    if server::leads_to_us(listen, &address.ip().to_string(), address.port()).is_some()
        || listen
            .iter()
            .filter_map(|listen| listen.address.tcp())
            .any(|ours| leads_to(address, &ours.ip().to_string(), ours.port()))
    {
        let message = "the gateway listens here for members already";
        mistakes.note_with_help(
            &path,
            message,
            "another port",
            "what stands here is for nobody but operators",
        );
    }
    if !address.ip().is_loopback() {
        warnings.push(format!(
            "admin_listen: {address} is not a loopback address, and nobody is asked for a password there: let a \
             firewall keep everybody out but your monitoring"
        ));
    }
    Some(address)
}

/// Notes an upstream that is the admin address: members would read there what is for operators.
pub(super) fn keep_apart(
    admin: Option<SocketAddr>,
    upstream: &Upstream,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) {
    let Some(admin) = admin else { return };
    let mut places = upstream.targets().filter_map(|(target, _)| target.host_and_port());
    if places.any(|(host, port)| leads_to(admin, &host, port)) {
        let message = "this is the gateway's own admin_listen";
        mistakes.note(&path.key("upstream"), message, "the address of the app");
    }
}

fn leads_to(address: SocketAddr, host: &str, port: u16) -> bool {
    server::leads_to_us(&[Listen::new(Address::Tcp(address), Door::Plain)], host, port).is_some()
}
