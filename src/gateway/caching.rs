//! Caches: what they may keep of an answer, by RFC 9111.
//!
//! An answer for one member must not end up in a cache that serves others, and nobody's cookie in any. What an upstream
//! says about that is believed; where it says nothing, the answer is private.

use http::header::{CACHE_CONTROL, EXPIRES, HeaderValue};

use crate::message::Fields;
use crate::time::UnixTime;

/// The directives of `Cache-Control`: their names, in any case, and their values.
fn cache_directives(headers: &Fields) -> impl Iterator<Item = (&str, Option<u64>)> {
    let lines = headers.get_all(CACHE_CONTROL).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|directive| {
        let (name, value) =
            directive.split_once('=').map_or((directive, None), |(name, value)| (name, Some(value)));
        (name.trim(), value.and_then(|value| value.trim().trim_matches('"').parse().ok()))
    })
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether an upstream says that an answer may be kept for a while, by whomever (RFC 9111 §5.2.2 and §5.3).
pub(super) fn is_meant_for_caches(headers: &Fields, now: UnixTime) -> bool {
    let says_so = cache_directives(headers).any(|(name, value)| {
        is_one_of(name, &["public", "immutable"])
            || (is_one_of(name, &["max-age", "s-maxage"]) && value.is_some_and(|seconds| seconds > 0))
    });
    let lasts = |expires: &HeaderValue| {
        let at = expires.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok());
        at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .is_some_and(|since| since.as_secs() > now.0)
    };
    let limits_age = || cache_directives(headers).any(|(name, _)| is_one_of(name, &["max-age"]));
    says_so || headers.get(EXPIRES).is_some_and(|expires| !limits_age() && lasts(expires))
}

/// Whether a shared cache might keep an answer (RFC 9111 §3): then it must not carry anybody's cookie.
pub(super) fn may_be_cached(headers: &Fields) -> bool {
    !cache_directives(headers).any(|(name, _)| is_one_of(name, &["private", "no-store"]))
}

/// Adds `private`, where neither that nor anything stricter stands already.
pub(super) fn make_private(headers: &mut Fields) {
    if may_be_cached(headers) {
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}
