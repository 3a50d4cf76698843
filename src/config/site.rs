//! `[[site]]`: its upstream, its providers and what outlives a login, checked.

use super::assemble::Surroundings;
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{
    BalanceChoice, Config, PoolTable, PreserveChoice, SiteTable, TimeoutsTable, UpstreamChoice, provider,
    server,
};
use crate::gateway::preserve::Preserve;
use crate::provider::Registered;
use crate::server::Listen;
use crate::session::seal::Seal;
use crate::upstream::target::{NoTarget, Target};
use crate::upstream::{Balance, Reuse, Settings, Timeouts, Upstream};

/// What one upstream may have of targets.
const MOST_TARGETS: usize = 64;

pub(super) fn upstream(
    table: &SiteTable,
    path: &Path,
    surroundings: &Surroundings,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<Upstream> {
    let timeouts = timeouts(&table.timeouts, &path.key("timeouts"), mistakes);
    let reuse = reuse(&table.pool, &path.key("pool"), mistakes);
    let balance = match table.balance {
        BalanceChoice::LeastBusy => Balance::LeastBusy,
        BalanceChoice::RoundRobin => Balance::RoundRobin,
    };
    let targets = targets(table, &path.key("upstream"), surroundings, on_loopback, mistakes)?;
    Some(Upstream::new(Settings { targets, balance, timeouts, reuse }))
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

const UPSTREAM: &str = "\"http://host:port\", \"unix:/run/app.sock\" or \"sandbox\"";

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
    if text.starts_with("https://") {
        mistakes.note(path, "this version does not speak https to an upstream", UPSTREAM);
        return None;
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

fn reuse(table: &PoolTable, path: &Path, mistakes: &mut Mistakes<'_>) -> Reuse {
    let usual = Reuse::default();
    Reuse {
        idle: mistakes.duration(table.idle.as_ref(), usual.idle.as_secs(), &path.key("idle")),
        age: mistakes.duration(table.age.as_ref(), usual.age.as_secs(), &path.key("age")),
        most_idle: table.most_idle.map_or(usual.most_idle, usize::from),
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
