//! `[[site.rule]]`: patterns, methods and who gets through, checked.

use http::Method;

use super::mistakes::Mistakes;
use super::site::unknown_provider;
use super::structure::Path;
use super::{AccessChoice, Config, RuleTable, SiteTable, UnauthenticatedChoice, pages, provider};
use crate::gateway::branding::Localized;
use crate::route::Origin;
use crate::route::pattern::Pattern;
use crate::route::rule::{Access, Allow, Rule, Rules, Unauthenticated};

pub(super) fn rules(table: &SiteTable, path: &Path, config: &Config, mistakes: &mut Mistakes<'_>) -> Rules {
    let rules = table
        .rule
        .iter()
        .enumerate()
        .filter_map(|(index, table)| rule(table, &path.key("rule").index(index), config, mistakes));
    Rules::new(rules.collect(), table.ignore_case)
}

/// Warns of rules that stand behind a wider one, of ids that may be somebody else's at another vendor, and of members of
/// other sites who are allowed.
pub(super) fn warn(table: &SiteTable, rules: &Rules, warnings: &mut Vec<String>) {
    for rule in &table.rule {
        let allowed = rule.allow.as_ref().and_then(|allow| allow.provider.as_ref());
        let foreign = |name: &&String| !table.providers.contains(name);
        for name in allowed.into_iter().flatten().filter(foreign) {
            warnings.push(format!(
                "{}: the rule for \"{}\" allows members of \"{name}\", and nobody of them can sign in here: add it to \
                 `providers` of the site, or take it out of the rule",
                table.public_url, rule.path
            ));
        }
    }
    for (index, taken_by) in rules.unreachable() {
        // The places hold where every rule could be read; otherwise there are mistakes, and no warnings.
        let (Some(rule), Some(earlier)) = (table.rule.get(index), table.rule.get(taken_by)) else { continue };
        warnings.push(format!(
            "{}: the rule for \"{}\" never matches, since the one for \"{}\" in front of it takes all of its requests: \
             move it up or remove it",
            table.public_url, rule.path, earlier.path
        ));
    }
    let several = table.providers.len() > 1;
    for rule in table.rule.iter().filter(|_| several) {
        let Some(allow) = &rule.allow else { continue };
        if allow.provider.is_none() && (allow.member_id.is_some() || allow.member_unit_id.is_some()) {
            warnings.push(format!(
                "{}: the rule for \"{}\" allows ids of any of the providers {}, and the same id may be another person at \
                 each of them: add `provider` to its `allow`",
                table.public_url,
                rule.path,
                table.providers.join(", ")
            ));
        }
    }
}

/// What the operator says to whoever a rule turns away, in the order of the rules.
pub(super) fn remedies(
    table: &SiteTable,
    path: &Path,
    mistakes: &mut Mistakes<'_>,
) -> Vec<Option<Localized>> {
    let remedy = |(index, table): (usize, &RuleTable)| {
        let path = path.key("rule").index(index).key("remedy");
        if table.remedy.is_some() && table.access != AccessChoice::Deny && table.allow.is_none() {
            let expected = "access = \"deny\", or allow";
            mistakes.note(&path, "this rule turns nobody away, so nobody would read it", expected);
        }
        pages::localized(table.remedy.as_ref(), &path, mistakes)
    };
    table.rule.iter().enumerate().map(remedy).collect()
}

fn rule(table: &RuleTable, path: &Path, config: &Config, mistakes: &mut Mistakes<'_>) -> Option<Rule> {
    let pattern = Pattern::parse(&table.path).map_err(|error| {
        mistakes.note(
            &path.key("path"),
            format!("this pattern {error}"),
            "\"/assets/**\", \"/*.css\" or \"/about\"",
        );
    });
    let methods = table.methods.as_ref().map(|names| methods(names, &path.key("methods"), mistakes));
    let mut origins = Vec::new();
    for (index, text) in table.origins.iter().enumerate() {
        match Origin::parse(text) {
            Ok(origin) => origins.push(origin.as_str().to_owned()),
            Err(error) => {
                let path = path.key("origins").index(index);
                mistakes.note(&path, format!("this origin {error}"), "\"https://app.example.org\"");
            }
        }
    }
    let access = match table.access {
        AccessChoice::Public => Access::Public,
        AccessChoice::Optional => Access::Optional,
        AccessChoice::Member => Access::Member,
        AccessChoice::Deny => Access::Deny,
    };
    let allow = table.allow.clone().unwrap_or_default();
    if table.allow.is_some() && access != Access::Member {
        mistakes.note(
            &path.key("allow"),
            "without a session nobody can be told apart",
            "access = \"member\" with allow",
        );
    }
    let says_nobody = allow.member_id.is_none() && allow.member_unit_id.is_none() && allow.provider.is_none();
    if table.allow.is_some() && says_nobody {
        mistakes.note_with_help(
            &path.key("allow"),
            "this does not say who is let through",
            "member_id, member_unit_id or provider",
            "without `allow` the rule lets all members through",
        );
    }
    for (index, name) in allow.provider.iter().flatten().enumerate() {
        if !config.provider.iter().any(|known| provider::name(known) == name) {
            unknown_provider(name, config, &path.key("allow").key("provider").index(index), mistakes);
        }
    }
    Some(Rule {
        pattern: pattern.ok()?,
        methods,
        access,
        unauthenticated: match table.unauthenticated {
            None | Some(UnauthenticatedChoice::Auto) => Unauthenticated::Auto,
            Some(UnauthenticatedChoice::Login) => Unauthenticated::Login,
            Some(UnauthenticatedChoice::Status401) => Unauthenticated::Status401,
        },
        allow: Allow {
            member_id: allow.member_id,
            member_unit_id: allow.member_unit_id,
            provider: allow.provider,
        },
        origins,
    })
}

fn methods(names: &[String], path: &Path, mistakes: &mut Mistakes<'_>) -> Vec<Method> {
    if names.is_empty() {
        mistakes.note(path, "this rule is about no method", "at least one, or no `methods` for all");
    }
    let mut methods = Vec::new();
    for (index, name) in names.iter().enumerate() {
        // Methods are compared as they are written, and nobody writes them otherwise (RFC 9110 §9.1).
        match Method::from_bytes(name.as_bytes()) {
            Ok(method) if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => {
                methods.push(method);
            }
            Ok(_) | Err(_) => {
                mistakes.note(&path.index(index), "this is no method", "capitals, such as \"GET\"");
            }
        }
    }
    methods
}
