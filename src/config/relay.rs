//! `api_listen` and its companions: Daxko's API for upstream apps, checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::assemble::Surroundings;
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{DaxkoTable, server};
use crate::provider::daxko::Daxko;
use crate::relay::gate::Gate;
use crate::relay::paths::Paths;
use crate::relay::{Relay, Settings};
use crate::route::host_and_port;
use crate::route::pattern::Pattern;
use crate::secret::Secret;
use crate::server::tls::Tls;
use crate::server::{Address, Door, Listen};
use crate::upstream::Upstream;

/// Shorter ones can be guessed.
const LEAST_KEY: usize = 24;
/// Each may hold a body of 1 MiB in memory.
const MOST_CALLS: u16 = 1024;

/// A relay that is ready, and where it listens.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// Where.
    pub listen: Listen,
    /// What answers there.
    pub relay: Arc<Relay>,
}

impl Relayed {
    /// Where it listens, on a network as all of them.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.address.tcp()
    }
}

/// What of the relay is right whether Daxko is or not.
pub(super) struct Written {
    address: SocketAddr,
    gate: Gate,
    open: Vec<Pattern>,
    calls: u16,
    timeout: Duration,
}

/// Reads the keys; nothing where there is to be no relay, or where one of them is wrong.
pub(super) fn read(
    table: &DaxkoTable,
    path: &Path,
    version: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<Written> {
    let key = table.api_key.as_ref().map(|text| key(text, &path.key("api_key"), mistakes));
    let Some(text) = &table.api_listen else {
        if !mistakes.is_lost(&path.key("api_listen")) {
            alone(table, path, mistakes);
        }
        return None;
    };
    let listen = path.key("api_listen");
    let address = text.parse::<SocketAddr>().ok();
    if address.is_none() {
        mistakes.note_with_help(
            &listen,
            "this is no address to listen on",
            "an IP address and a port, such as \"127.0.0.1:8091\"",
            "apps on other machines get there by an address of this one, with an api_key",
        );
    }
    if address.is_some_and(|address| !address.ip().is_loopback())
        && key.is_none()
        && !mistakes.is_lost(&path.key("api_key"))
    {
        mistakes.note_with_help(
            &listen,
            "whoever gets there could read all members: beyond loopback it needs a key",
            "api_key beside it, or a loopback address",
            "`member-gateway keygen session` prints a fresh one; apps send it as Authorization: Bearer",
        );
    }
    let hosts = hosts(&table.api_hosts, &path.key("api_hosts"), mistakes);
    let open = open(table, path, version, mistakes);
    let calls = table.api_calls.unwrap_or(32);
    if !(1..=MOST_CALLS).contains(&calls) {
        mistakes.note(&path.key("api_calls"), "this is no number of calls", &format!("1 to {MOST_CALLS}"));
    }
    let timeout = mistakes.duration(table.api_timeout.as_ref(), 60, &path.key("api_timeout"));
    let address = address?;
    let key = key.map_or(Some(None), |key| key.map(Some))?;
    Some(Written { address, gate: Gate { address: address.ip(), hosts, key }, open, calls, timeout })
}

/// The relay itself.
pub(super) fn assemble(
    written: Written,
    daxko: &Arc<Daxko>,
    path: &Path,
    surroundings: &Surroundings,
    mistakes: &mut Mistakes<'_>,
) -> Option<Relayed> {
    let Written { address, gate, open, calls, timeout } = written;
    let settings = Settings {
        quota: surroundings.providers.quota(daxko, calls),
        paths: Paths::new(open, daxko.token_paths()),
        daxko: Arc::clone(daxko),
        gate,
        timeout,
    };
    let telemetry = Arc::clone(&surroundings.telemetry);
    match Relay::new(settings, surroundings.clock.clone(), telemetry) {
        Ok(relay) => {
            let listen = Listen::new(Address::Tcp(address), Door::Plain);
            Some(Relayed { listen, relay: Arc::new(relay) })
        }
        Err(error) => {
            let help = "on Debian the package `ca-certificates` has the root certificates";
            mistakes.note_with_help(path, format!("this machine cannot speak TLS: {error}"), "", help);
            None
        }
    }
}

/// Keys that are of no use where nobody listens.
fn alone(table: &DaxkoTable, path: &Path, mistakes: &mut Mistakes<'_>) {
    let written = [
        ("api_key", table.api_key.is_some()),
        ("api_hosts", !table.api_hosts.is_empty()),
        ("api_paths", table.api_paths.is_some()),
        ("api_calls", table.api_calls.is_some()),
        ("api_timeout", table.api_timeout.is_some()),
    ];
    for (key, _) in written.into_iter().filter(|(_, is_written)| *is_written) {
        let message = "the API is served to no app, so this is of no use";
        mistakes.note(&path.key(key), message, "api_listen beside it");
    }
}

fn key(text: &super::secret::SecretText, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Secret> {
    let key = mistakes.secret(text, path)?;
    // It is sent in a field (RFC 6750 §2.1).
    if key.expose().len() >= LEAST_KEY && key.expose().iter().all(u8::is_ascii_graphic) {
        return Some(key);
    }
    let expected = format!("{LEAST_KEY} characters of visible ASCII, or more");
    let help = "`member-gateway keygen session` prints a fresh one";
    mistakes.note_with_help(path, "this is no key that keeps anybody out", &expected, help);
    None
}

fn hosts(written: &[String], path: &Path, mistakes: &mut Mistakes<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for (index, text) in written.iter().enumerate() {
        match host_and_port(text.as_bytes()) {
            Some((host, None)) if !host.starts_with('[') => hosts.push(host.to_ascii_lowercase()),
            Some(_) | None => {
                mistakes.note(
                    &path.index(index),
                    "this is no host name",
                    "a name without a port, such as \"gateway\"",
                );
            }
        }
    }
    hosts
}

fn open(table: &DaxkoTable, path: &Path, version: &str, mistakes: &mut Mistakes<'_>) -> Vec<Pattern> {
    let default = vec![format!("/{version}/**")];
    let written = table.api_paths.as_ref().unwrap_or(&default);
    let path = path.key("api_paths");
    if written.is_empty() {
        mistakes.note(
            &path,
            "then every request would be refused",
            "at least one pattern, or no `api_paths`",
        );
    }
    let mut open = Vec::new();
    for (index, text) in written.iter().enumerate() {
        match Pattern::parse(text) {
            Ok(pattern) => open.push(pattern),
            Err(error) => {
                let expected = format!("such as \"/{version}/members/**\"");
                mistakes.note(&path.index(index), format!("this pattern {error}"), &expected);
            }
        }
    }
    open
}

/// Where the relays stand among all that listens: each has an address of its own, and none is an upstream.
pub(super) struct Neighbours<'a> {
    /// Where members come in.
    pub(super) listen: &'a [Listen],
    /// Where operators ask.
    pub(super) admin: Option<SocketAddr>,
}

impl Neighbours<'_> {
    /// Notes addresses that somebody else has, and says what speaks TLS and what does not.
    pub(super) fn settle(
        &self,
        relays: &mut [(Path, Relayed)],
        tls: Option<&Tls>,
        warnings: &mut Vec<String>,
        mistakes: &mut Mistakes<'_>,
    ) {
        let admin = self.admin.map(|address| Listen::new(Address::Tcp(address), Door::Plain));
        let mut taken: Vec<Listen> = self.listen.iter().cloned().chain(admin).collect();
        for (path, relayed) in relays {
            let Some(address) = relayed.address() else { continue };
            let host = address.ip().to_string();
            let is_theirs = |other: SocketAddr| {
                let ours = std::slice::from_ref(&relayed.listen);
                server::leads_to_us(ours, &other.ip().to_string(), other.port()).is_some()
            };
            let is_taken = server::leads_to_us(&taken, &host, address.port()).is_some()
                || taken.iter().filter_map(|listen| listen.address.tcp()).any(is_theirs);
            if is_taken {
                let help = "what stands here is for apps, and for nobody else";
                mistakes.note_with_help(
                    &path.key("api_listen"),
                    "the gateway listens here already",
                    "another port",
                    help,
                );
            }
            if !address.ip().is_loopback() {
                match tls {
                    Some(tls) => relayed.listen.door = Door::Tls(tls.clone()),
                    None => warnings.push(format!(
                        "api_listen: {address} is not a loopback address, and without [server.tls] the key and what is \
                         said of members travel there in the clear"
                    )),
                }
            }
            taken.push(relayed.listen.clone());
        }
    }
}

/// Notes an upstream that is a relay: members would read there what is said of others.
pub(super) fn keep_apart(
    relays: &[(Path, Relayed)],
    upstream: &Upstream,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) {
    let listen: Vec<Listen> = relays.iter().map(|(_, relayed)| relayed.listen.clone()).collect();
    let mut places = upstream.targets().filter_map(|(target, _)| target.host_and_port());
    if places.any(|(host, port)| server::leads_to_us(&listen, &host, port).is_some()) {
        let message = "this is the api_listen of a provider, where a member could read about all others";
        mistakes.note(&path.key("upstream"), message, "the address of the app");
    }
}
