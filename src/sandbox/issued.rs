//! What has been handed out and is asked for again: codes and tokens, with the time they were made.
//!
//! A key is 32 random bytes, 43 base64url characters, unless a vendor's keys have a form of their own. An entry is kept after
//! its lifetime, so that a refusal can tell an expired one from one that never was; only so many are kept.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::time::UnixTime;

/// The most that are remembered of one kind; the oldest goes first.
const MAX_ENTRIES: usize = 8192;

/// Things of one kind that live equally long.
pub(super) struct Issued<T> {
    lifetime: Duration,
    entries: VecDeque<Entry<T>>,
}

struct Entry<T> {
    key: String,
    issued_at: UnixTime,
    thing: T,
}

/// What is known of a key.
pub(super) enum Found<T> {
    /// It was issued, and its lifetime has not passed.
    Live(T),
    /// It was issued too long ago.
    Expired,
    /// It never was, or is long forgotten.
    Unknown,
}

impl<T> Issued<T> {
    /// Nothing yet.
    pub(super) const fn living_for(lifetime: Duration) -> Self {
        Self { lifetime, entries: VecDeque::new() }
    }

    /// How long a new one will live.
    pub(super) const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Forgets all of them.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
    }

    /// Remembers a thing under a key nobody can guess.
    pub(super) fn issue(&mut self, prefix: &str, thing: T, now: UnixTime) -> String {
        let key = format!("{prefix}{}", random_text());
        self.issue_as(key.clone(), thing, now);
        key
    }

    /// Remembers a thing under a key of the vendor's own form.
    pub(super) fn issue_as(&mut self, key: String, thing: T, now: UnixTime) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { key, issued_at: now, thing });
    }

    /// What a key stands for. The newest are looked at first: they are asked for soon after they were issued.
    pub(super) fn find(&mut self, key: &str, now: UnixTime) -> Found<&mut T> {
        let lifetime = self.lifetime;
        match self.entries.iter_mut().rev().find(|entry| entry.key == key) {
            Some(entry) if now.since(entry.issued_at) < lifetime => Found::Live(&mut entry.thing),
            Some(_) => Found::Expired,
            None => Found::Unknown,
        }
    }
}

/// `bytes` random bytes in hexadecimal digits.
pub(super) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).expect("the machine has random bytes");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 43 characters of base64url.
pub(super) fn random_text() -> String {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the machine has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_lives_for_its_lifetime_and_not_a_second_longer() {
        let mut codes = Issued::living_for(Duration::from_secs(600));
        let code = codes.issue("", 7, UnixTime(1000));
        assert_eq!(code.len(), 43);
        assert!(matches!(codes.find(&code, UnixTime(1599)), Found::Live(7)));
        assert!(matches!(codes.find(&code, UnixTime(1600)), Found::Expired));
        assert!(matches!(codes.find("made-up", UnixTime(1000)), Found::Unknown));
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let mut codes = Issued::living_for(Duration::from_secs(600));
        let first = codes.issue("", (), UnixTime(0));
        for _ in 0..MAX_ENTRIES {
            codes.issue("", (), UnixTime(0));
        }
        assert!(matches!(codes.find(&first, UnixTime(0)), Found::Unknown));
    }
}
