//! `[[site]]`: its upstream, its providers and what outlives a login, checked.

use super::assemble::Surroundings;
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{Config, PreserveChoice, SiteTable, TimeoutsTable, UpstreamChoice, provider};
use crate::gateway::preserve::Preserve;
use crate::provider::Registered;
use crate::session::seal::Seal;
use crate::upstream::{self, Timeouts};

pub(super) fn upstream(
    table: &SiteTable,
    path: &Path,
    surroundings: &Surroundings,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<upstream::Settings> {
    const EXPECTED: &str = "\"http://host:port\" or \"sandbox\"";
    let timeouts = timeouts(&table.timeouts, &path.key("timeouts"), mistakes);
    let path = path.key("upstream");
    let (text, path) = match &table.upstream {
        UpstreamChoice::One(text) => (text, path),
        UpstreamChoice::Several(list) => match list.as_slice() {
            [text] => (text, path.index(0)),
            [] => {
                mistakes.note(&path, "there is no upstream", EXPECTED);
                return None;
            }
            [_, _, ..] => {
                mistakes.note(
                    &path.index(1),
                    "this version sends a site's requests to one upstream",
                    "one address",
                );
                return None;
            }
        },
    };
    if text == "sandbox" {
        if !on_loopback {
            let message = "the sample app is for sites on loopback, and not every site is";
            mistakes.note(&path, message, "\"http://host:port\"");
        }
        let host = surroundings.app.ip().to_string();
        return Some(upstream::Settings { host, port: surroundings.app.port(), timeouts });
    }
    for (prefix, what) in [("https://", "https"), ("unix:", "Unix sockets")] {
        if text.starts_with(prefix) {
            mistakes.note(&path, format!("this version does not speak {what} to an upstream"), EXPECTED);
            return None;
        }
    }
    let authority = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    match authority.map(str::as_bytes).and_then(crate::route::host_and_port) {
        Some((host, port)) => {
            Some(upstream::Settings { host: host.to_owned(), port: port.unwrap_or(80), timeouts })
        }
        None => {
            let help = "paths are forwarded as they come, so an upstream has none";
            mistakes.note_with_help(&path, "this is no upstream", EXPECTED, help);
            None
        }
    }
}

pub(super) fn preserve(table: &SiteTable, path: &Path, seal: Seal, mistakes: &mut Mistakes<'_>) -> Preserve {
    let path = path.key("login").key("preserve_limit");
    let keeps =
        |choice, default| table.login.preserve.as_ref().map_or(default, |list| list.contains(&choice));
    Preserve {
        form: keeps(PreserveChoice::Form, true),
        fragment: keeps(PreserveChoice::Fragment, false),
        limit: mistakes.size(table.login.preserve_limit.as_ref(), 256 * 1024, 1, &path),
        seal,
    }
}

fn timeouts(table: &TimeoutsTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Timeouts {
    Timeouts {
        connect: mistakes.duration(table.connect.as_ref(), 5, &path.key("connect")),
        first_byte: mistakes.duration(table.first_byte.as_ref(), 60, &path.key("first_byte")),
        idle: mistakes.duration(table.idle.as_ref(), 30, &path.key("idle")),
    }
}

pub(super) fn providers(
    table: &SiteTable,
    path: &Path,
    providers: &[Option<Registered>],
    config: &Config,
    mistakes: &mut Mistakes<'_>,
) -> Vec<Registered> {
    let path = path.key("providers");
    if table.providers.is_empty() {
        mistakes.note(&path, "nobody could sign in here", "the name of at least one [[provider]]");
    }
    let mut found: Vec<Registered> = Vec::new();
    for (index, name) in table.providers.iter().enumerate() {
        let known = config.provider.iter().position(|provider| provider::name(provider) == name);
        let path = path.index(index);
        match known.map(|known| &providers[known]) {
            Some(Some(provider)) if found.iter().any(|other| other.name == provider.name) => {
                mistakes.note(&path, "this provider stands here twice", "each provider once");
            }
            Some(Some(provider)) => found.push(provider.clone()),
            // The provider is there and wrong; that has been said.
            Some(None) => {}
            None => unknown_provider(name, config, &path, mistakes),
        }
    }
    found
}

/// Notes a reference to a provider that is not there, and which one might be meant.
pub(super) fn unknown_provider(name: &str, config: &Config, path: &Path, mistakes: &mut Mistakes<'_>) {
    let names: Vec<&str> = config.provider.iter().map(provider::name).collect();
    let expected = if names.is_empty() { "a [[provider]] first".to_owned() } else { names.join(", ") };
    let nearest = names.iter().max_by(|a, b| {
        let likeness = |other: &str| strsim::jaro_winkler(name, other);
        likeness(a).total_cmp(&likeness(b))
    });
    match nearest {
        Some(nearest) if strsim::jaro_winkler(name, nearest) > 0.7 => {
            let help = format!("did you mean `{nearest}`?");
            mistakes.note_with_help(path, "there is no provider of this name", &expected, &help);
        }
        Some(_) | None => mistakes.note(path, "there is no provider of this name", &expected),
    }
}
