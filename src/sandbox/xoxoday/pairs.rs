//! Pairs of an access and a refresh token, and the access token's outer form.
//!
//! A client has ten pairs at most; an eleventh ends the oldest, as the chapter on token management says. A pair that was
//! replaced by a refresh is none of the ten: its access token lives on until its own expiry, and its refresh token as
//! long as the switch says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::account::Person;
use super::switches::{OldRefreshToken, ResponseShape};
use crate::sandbox::issued::random_hex;
use crate::time::UnixTime;

/// The most pairs of one client.
const MAX_PAIRS: usize = 10;
/// The most pairs that are remembered at all, replaced and expired ones included; the oldest goes first.
const MAX_REMEMBERED: usize = 8192;
/// How long a replaced refresh token still works.
const GRACE: Duration = Duration::from_secs(6 * 3600);

/// What a pair is for: the last segment of the token endpoint it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    Company,
    User,
}

/// How long the tokens of a pair live.
#[derive(Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) access: Duration,
    pub(super) refresh: Duration,
}

/// One pair, and whom it was issued to.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) client: usize,
    pub(super) grant: Grant,
    pub(super) person: Arc<Person>,
    pub(super) access_token: String,
    pub(super) access_expires_at: UnixTime,
    pub(super) refresh_token: String,
    pub(super) refresh_expires_at: UnixTime,
    replaced_at: Option<UnixTime>,
}

/// Whom a new pair is for.
pub(super) struct Holder<'a> {
    pub(super) client: usize,
    pub(super) company: &'a str,
    pub(super) grant: Grant,
    pub(super) person: Arc<Person>,
}

/// All pairs, the oldest first.
#[derive(Default)]
pub(super) struct Pairs(VecDeque<Pair>);

impl Pairs {
    /// Makes a pair, and ends the client's oldest where it is the eleventh.
    pub(super) fn issue(
        &mut self,
        holder: Holder<'_>,
        lifetime: Lifetime,
        shape: ResponseShape,
        now: UnixTime,
    ) -> Pair {
        let (access_expires_at, refresh_expires_at) = (now.plus(lifetime.access), now.plus(lifetime.refresh));
        let pair = Pair {
            client: holder.client,
            grant: holder.grant,
            person: holder.person,
            access_token: access_token(holder.company, holder.grant, shape, now, access_expires_at),
            access_expires_at,
            refresh_token: random_hex(20),
            refresh_expires_at,
            replaced_at: None,
        };
        let counts = |other: &Pair| {
            other.client == pair.client && other.replaced_at.is_none() && now < other.refresh_expires_at
        };
        if self.0.iter().filter(|other| counts(other)).count() >= MAX_PAIRS
            && let Some(oldest) = self.0.iter().position(counts)
        {
            self.0.remove(oldest);
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(pair.clone());
        pair
    }

    /// The pair of a live access token.
    pub(super) fn by_access_token(&self, token: &str, now: UnixTime) -> Option<&Pair> {
        self.0.iter().rev().find(|pair| pair.access_token == token && now < pair.access_expires_at)
    }

    /// The pair of a refresh token that still works, marked as replaced.
    pub(super) fn replace(
        &mut self,
        (client, grant): (usize, Grant),
        refresh_token: &str,
        old: OldRefreshToken,
        now: UnixTime,
    ) -> Option<Pair> {
        let works = |pair: &Pair| match (pair.replaced_at, old) {
            (None, _) => true,
            (Some(_), OldRefreshToken::Dead) => false,
            (Some(replaced_at), OldRefreshToken::Grace6h) => now.since(replaced_at) < GRACE,
        };
        let pair = self.0.iter_mut().rev().find(|pair| {
            pair.refresh_token == refresh_token
                && (pair.client, pair.grant) == (client, grant)
                && now < pair.refresh_expires_at
                && works(pair)
        })?;
        // The six hours count from the first refresh: using the old token again must not prolong them.
        pair.replaced_at.get_or_insert(now);
        Some(pair.clone())
    }
}

/// Base64 of JSON that is signed by nobody and names no user: a client must treat it as opaque.
fn access_token(
    company: &str,
    grant: Grant,
    shape: ResponseShape,
    issued_at: UnixTime,
    expires_at: UnixTime,
) -> String {
    let token_type = match grant {
        Grant::Company => "COMPANY",
        Grant::User => "USER",
    };
    let (expires_at, inner) = match shape {
        ResponseShape::Old => (json!(iso_8601(expires_at)), random_hex(20)),
        // The newer ones hold an encrypted JWE; this one has its five parts and encrypts nothing.
        ResponseShape::New => {
            let part = || random_hex(12);
            let inner = format!("eyJhbGciOiJFQ0RILUVTIn0.{}.{}.{}.{}", part(), part(), part(), part());
            (json!(milliseconds(expires_at)), inner)
        }
    };
    let content = json!({
        "tokenContent": {
            "issuedFor": company,
            "scope": "",
            "issuedAt": milliseconds(issued_at),
            "expiresAt": expires_at,
            "token_type": token_type,
        },
        "a_t": inner,
    });
    STANDARD.encode(content.to_string())
}

/// Milliseconds since 1970, as Xoxoday counts.
pub(super) const fn milliseconds(time: UnixTime) -> u64 {
    time.0.saturating_mul(1000)
}

/// `2026-12-21T22:26:40.000Z`.
fn iso_8601(time: UnixTime) -> String {
    let (days, second) = (time.0 / 86400, time.0 % 86400);
    let leaps = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    loop {
        let length = if leaps(year) { 366 } else { 365 };
        // A lifetime may be set to anything; nothing is issued beyond a year that can be written with four digits.
        if day < length || year == 9999 {
            break;
        }
        day -= length;
        year += 1;
    }
    let mut month = 1;
    for length in [31, if leaps(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let day = day.min(30) + 1;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_the_documents_write_it() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"),
            (1_797_892_000, "2026-12-21T22:26:40.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_8601(UnixTime(time)), text);
        }
        assert!(iso_8601(UnixTime(u64::MAX)).starts_with("9999-12-31T"));
    }
}
