//! `upstream` of a `[[site]]`, and everything about the way there: which targets, what is spoken to them, how they are
//! asked for their health, how long they may take.

pub(super) mod table;

use http::StatusCode;
use http::header::HeaderValue;
use http::uri::PathAndQuery;

use super::assemble::Surroundings;
use super::client_tls::{self, Files};
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{
    BalanceChoice, HealthTable, PoolTable, ProtocolChoice, SiteTable, TimeoutsTable, UpstreamChoice,
    UpstreamTlsTable, server,
};
use crate::route::Origin;
use crate::server::Listen;
use crate::upstream::health::Checks;
use crate::upstream::target::{NoTarget, Target};
use crate::upstream::tls::{self, Tls};
use crate::upstream::{Balance, Protocol, Reuse, Settings, Timeouts, Upstream};

/// What one upstream may have of targets.
const MOST_TARGETS: usize = 64;
const UPSTREAM: &str = "\"http://host:port\", \"https://host:port\", \"unix:/run/app.sock\" or \"sandbox\"";

pub(super) fn upstream(
    table: &SiteTable,
    path: &Path,
    origin: Option<&Origin>,
    surroundings: &Surroundings,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<Upstream> {
    let timeouts = timeouts(&table.timeouts, &path.key("timeouts"), mistakes);
    let reuse = reuse(&table.pool, &path.key("pool"), mistakes);
    let in_flight = table.in_flight.unwrap_or(4096);
    if in_flight == 0 {
        mistakes.note(&path.key("in_flight"), "then nothing would arrive", "at least 1");
    }
    let in_flight = usize::try_from(in_flight).unwrap_or(usize::MAX);
    let authority = origin.map_or("localhost", Origin::authority);
    let health = table.health.as_ref().map(|table| checks(table, authority, &path.key("health"), mistakes));
    let targets = targets(table, &path.key("upstream"), surroundings, on_loopback, mistakes);
    let is_secure = targets.iter().flatten().any(Target::is_secure);
    let tls = tls(table.upstream_tls.as_ref(), is_secure, path, mistakes);
    let balance = match table.balance {
        BalanceChoice::LeastBusy => Balance::LeastBusy,
        BalanceChoice::RoundRobin => Balance::RoundRobin,
    };
    let protocol = match table.protocol {
        ProtocolChoice::Auto => Protocol::Auto,
        ProtocolChoice::Http1 => Protocol::Http1,
        ProtocolChoice::Http2 => Protocol::Http2,
    };
    let (targets, tls) = (targets?, tls?);
    let health = health.map_or(Some(None), |health| health.map(Some))?;
    Some(Upstream::new(Settings { targets, balance, protocol, tls, health, timeouts, reuse, in_flight }))
}

/// Says which targets lead to the gateway itself: legal, and never meant.
pub(super) fn warn(table: &SiteTable, upstream: &Upstream, listen: &[Listen], warnings: &mut Vec<String>) {
    for (target, _) in upstream.targets() {
        if let Some((host, port)) = target.host_and_port()
            && let Some(ours) = server::leads_to_us(listen, &host, port)
        {
            let site = &table.public_url;
            warnings.push(format!(
                "{site}: the upstream {host}:{port} leads to {ours}, where the gateway itself listens: give it the address of the app"
            ));
        }
    }
}

fn targets(
    table: &SiteTable,
    path: &Path,
    surroundings: &Surroundings,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<Vec<Target>> {
    let texts = match &table.upstream {
        UpstreamChoice::One(text) => vec![(text, path.clone())],
        UpstreamChoice::Several(list) => {
            list.iter().enumerate().map(|(index, text)| (text, path.index(index))).collect()
        }
    };
    if texts.is_empty() {
        mistakes.note(path, "there is no upstream", UPSTREAM);
    }
    if texts.len() > MOST_TARGETS {
        mistakes.note(path, "these are too many", &format!("at most {MOST_TARGETS} addresses"));
    }
    let mut targets: Vec<Target> = Vec::new();
    let mut complete = true;
    for (text, path) in texts {
        match target(text, &path, surroundings, on_loopback, mistakes) {
            Some(target) if targets.iter().any(|other| other.place() == target.place()) => {
                mistakes.note(&path, "this upstream stands here twice", "each address once");
            }
            Some(target) => targets.push(target),
            None => complete = false,
        }
    }
    (complete && !targets.is_empty()).then_some(targets)
}

fn target(
    text: &str,
    path: &Path,
    surroundings: &Surroundings,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<Target> {
    if text == "sandbox" {
        if !on_loopback {
            let message = "the sample app is for sites on loopback, and not every site is";
            mistakes.note(path, message, "\"http://host:port\"");
        }
        return Some(Target::plain(surroundings.app));
    }
    Target::parse(text)
        .map_err(|error| {
            let help = match error {
                NoTarget::Form => "paths are forwarded as they come, so an upstream has none",
                NoTarget::RelativePath => "write the whole path, as in \"unix:/run/app.sock\"",
            };
            mistakes.note_with_help(path, error.to_string(), UPSTREAM, help);
        })
        .ok()
}

/// How TLS is spoken to targets with https; nothing within where there are none, and nothing at all where it is wrong.
fn tls(
    table: Option<&UpstreamTlsTable>,
    is_secure: bool,
    site: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Option<Option<Tls>> {
    let path = site.key("upstream_tls");
    let Some(table) = table else {
        return if is_secure {
            client_tls::made(tls::Written::default(), &path, mistakes).map(Some)
        } else {
            Some(None)
        };
    };
    if !is_secure {
        let message = "no upstream of this site speaks TLS";
        mistakes.note(&path, message, "an upstream with https://, or no [site.upstream_tls]");
        return Some(None);
    }
    let files = Files { ca: table.ca.as_ref(), cert: table.cert.as_ref(), key: table.key.as_ref() };
    let mut written = client_tls::written(&files, &path, mistakes)?;
    written.server_name.clone_from(&table.server_name);
    client_tls::made(written, &path, mistakes).map(Some)
}

fn checks(table: &HealthTable, host: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<Checks> {
    let asked = table.path.as_deref().unwrap_or("/");
    let asked = if asked.starts_with('/') { PathAndQuery::try_from(asked).ok() } else { None };
    if asked.is_none() {
        mistakes.note(&path.key("path"), "this is no path", "a path on the upstream, such as \"/health\"");
    }
    let mut status = Vec::new();
    for (index, &code) in table.status.iter().flatten().enumerate() {
        match StatusCode::from_u16(code).ok().filter(|code| (200..600).contains(&code.as_u16())) {
            Some(code) => status.push(code),
            None => {
                let path = path.key("status").index(index);
                mistakes.note(&path, "no answer has this status", "200 to 599");
            }
        }
    }
    let mut count = |name: &str, written: Option<u32>, usual| match written.unwrap_or(usual) {
        count @ 1..=1000 => count,
        _ => {
            mistakes.note(&path.key(name), "this is no number of checks", "1 to 1000");
            usual
        }
    };
    let (fall, rise) = (count("fall", table.fall, 3), count("rise", table.rise, 2));
    Some(Checks {
        path: asked?,
        host: HeaderValue::try_from(host).ok()?,
        interval: mistakes.duration(table.interval.as_ref(), 5, &path.key("interval")),
        timeout: mistakes.duration(table.timeout.as_ref(), 2, &path.key("timeout")),
        status,
        fall,
        rise,
    })
}

fn reuse(table: &PoolTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Reuse {
    let usual = Reuse::default();
    Reuse {
        idle: mistakes.duration(table.idle.as_ref(), usual.idle.as_secs(), &path.key("idle")),
        age: mistakes.duration(table.age.as_ref(), usual.age.as_secs(), &path.key("age")),
        most_idle: table.most_idle.map_or(usual.most_idle, usize::from),
    }
}

fn timeouts(table: &TimeoutsTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Timeouts {
    Timeouts {
        connect: mistakes.duration(table.connect.as_ref(), 5, &path.key("connect")),
        first_byte: mistakes.duration(table.first_byte.as_ref(), 60, &path.key("first_byte")),
        idle: mistakes.duration(table.idle.as_ref(), 30, &path.key("idle")),
    }
}
