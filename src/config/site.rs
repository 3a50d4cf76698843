//! `[[site]]`: its providers and what outlives a login, checked.

use super::mistakes::Mistakes;
use super::structure::Path;
use super::{Config, PreserveChoice, SiteTable, provider};
use crate::gateway::preserve::{Preserve, Room, sealed_limit};
use crate::provider::Registered;
use crate::session::seal::Seal;

pub(super) fn preserve(table: &SiteTable, path: &Path, seal: Seal, mistakes: &mut Mistakes<'_>) -> Preserve {
    let path = path.key("login");
    let keeps =
        |choice, default| table.login.preserve.as_ref().map_or(default, |list| list.contains(&choice));
    let limit =
        mistakes.size(table.login.preserve_limit.as_ref(), 256 * 1024, 1, &path.key("preserve_limit"));
    let memory = table.login.preserve_memory.as_ref();
    // One that is kept comes back longer, and is still to have room.
    let least = Room::least(sealed_limit(limit));
    let usual = least.max(32 * 1024 * 1024);
    Preserve {
        form: keeps(PreserveChoice::Form, true),
        fragment: keeps(PreserveChoice::Fragment, false),
        limit,
        room: Room::new(mistakes.size(memory, usual, least, &path.key("preserve_memory"))),
        seal,
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
