//! `[session]`: how long sessions last, the keys that seal them, and where is kept which have been ended.

use super::assemble::{RandomKeys, at};
use super::client_tls::{self, Files};
use super::mistakes::Mistakes;
use super::{OutageChoice, SessionTable};
use crate::revocation::{Outage, Store, redis};
use crate::secret::Secret;
use crate::session::Policy;
use crate::session::seal::KeyRing;
use crate::telemetry::keyed_hash::KeyedHash;

/// The keys that seal, and what the first of them makes of members for the access log.
pub(super) struct Ring {
    pub(super) keys: KeyRing,
    pub(super) member_hash: KeyedHash,
    /// Made at the start, for want of others.
    pub(super) is_random: bool,
}

pub(super) fn policy(table: &SessionTable, mistakes: &mut Mistakes<'_>) -> Policy {
    let idle = at(["session", "idle_timeout"]);
    let idle_timeout = mistakes.duration(table.idle_timeout.as_ref(), 60 * 60, &idle);
    let max_age = mistakes.duration(table.max_age.as_ref(), 12 * 60 * 60, &at(["session", "max_age"]));
    if idle_timeout > max_age {
        let place = if mistakes.has(&idle) { idle } else { at(["session", "max_age"]) };
        mistakes.note(
            &place,
            "a session would end by age before it can idle",
            "idle_timeout at most max_age",
        );
    }
    Policy { idle_timeout, max_age }
}

/// The keys that seal, and what the first of them makes of members for the access log.
pub(super) fn key_ring(
    table: &SessionTable,
    random_keys: &RandomKeys,
    on_loopback: bool,
    warnings: &mut Vec<String>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Ring> {
    let path = at(["session", "keys"]);
    let Some(texts) = &table.keys else {
        if !on_loopback {
            mistakes.note_with_help(
                &path,
                "session.keys is missing, and not every site is on loopback",
                "keys = [{ env = \"MEMBER_GATEWAY_SESSION_KEY\" }] below [session]",
                "`member-gateway keygen session` prints a key",
            );
            return None;
        }
        warnings.push(
            "no session.keys: sessions are sealed with a random key and end when the gateway does".to_owned(),
        );
        let key = random_keys.key("session");
        return Some(Ring {
            keys: KeyRing::new([&key]).ok()?,
            member_hash: KeyedHash::derived_from(key.expose()),
            is_random: true,
        });
    };
    if texts.is_empty() {
        let help = "`member-gateway keygen session` prints a key";
        mistakes.note_with_help(&path, "there is no session key", "at least one", help);
        return None;
    }
    let mut secrets: Vec<Secret> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        let Some(secret) = mistakes.key(text, &path) else { continue };
        if let Err(error) = KeyRing::new([&secret]) {
            let help = "`member-gateway keygen session` prints a key";
            mistakes.note_with_help(&path, error.to_string(), "32 random bytes", help);
        } else if secrets.contains(&secret) {
            mistakes.note(&path, "this key stands here twice", "each key once");
        } else {
            secrets.push(secret);
        }
    }
    let member_hash = KeyedHash::derived_from(secrets.first()?.expose());
    Some(Ring { keys: KeyRing::new(&secrets).ok()?, member_hash, is_random: false })
}

/// Where revocations are kept.
pub(super) fn store(
    table: &SessionTable,
    ring: Option<&Ring>,
    warnings: &mut Vec<String>,
    mistakes: &mut Mistakes<'_>,
) -> Store {
    let path = at(["session", "store"]);
    let Some(text) = &table.store else {
        papers(table, false, mistakes);
        return Store::Memory;
    };
    let Some(secret) = mistakes.secret(text, &path) else { return Store::Memory };
    // Of an address, only the password is a secret.
    if !secret.expose().contains(&b'@') {
        mistakes.is_no_secret(&path);
    }
    let text = secret.expose_str().unwrap_or_default().to_owned();
    let papers = papers(table, text.starts_with("rediss://"), mistakes);
    let place = match text.strip_prefix("file:") {
        _ if text == "memory" => return Store::Memory,
        Some("") => None,
        Some(file) => Some(Store::File(mistakes.file(file))),
        None => redis::Address::parse(secret, papers).ok().map(Store::Redis),
    };
    let Some(store) = place else {
        let expected =
            "\"memory\", \"file:/var/lib/member-gateway/revocations\" or \"redis://redis.internal:6379/0\"";
        let help =
            "a path that is not absolute starts at the folder of this file; rediss:// is Redis over TLS";
        mistakes.note_with_help(&path, "this is no place for revocations", expected, help);
        return Store::Memory;
    };
    if ring.is_some_and(|ring| ring.is_random) {
        warnings.push(
            "store: without session.keys nobody can read it after a restart, and there are no sessions then either"
                .to_owned(),
        );
    }
    store
}

/// Whom a Redis over TLS has to be vouched for by, and what it is shown.
fn papers(table: &SessionTable, is_tls: bool, mistakes: &mut Mistakes<'_>) -> redis::Papers {
    let Some(table) = &table.store_tls else { return redis::Papers::default() };
    let path = at(["session", "store_tls"]);
    if !is_tls {
        let expected = "a `store` with rediss://, or no [session.store_tls]";
        mistakes.note(&path, "no TLS is spoken to `store`", expected);
        return redis::Papers::default();
    }
    let files = Files { ca: table.ca.as_ref(), cert: table.cert.as_ref(), key: table.key.as_ref() };
    client_tls::written(&files, &path, mistakes)
        // What cannot be used is found out here, where it can be said which file it is.
        .filter(|written| client_tls::made(written.clone(), &path, mistakes).is_some())
        .map(|written| redis::Papers { ca: written.ca, certificate: written.certificate })
        .unwrap_or_default()
}

/// What becomes of members while that place is lost.
pub(super) const fn outage(table: &SessionTable) -> Outage {
    match table.outage {
        OutageChoice::Serve => Outage::Serve,
        OutageChoice::Refuse => Outage::Refuse,
    }
}
