//! The words in which a proxy in front describes the request that it has got.
//!
//! There are two ways to say it: `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri` (Traefik, Caddy, Envoy), or
//! `X-Original-Method` and `X-Original-URL` (nginx). Whichever is begun has to be complete: a browser can send these words
//! as well, and where a proxy forgets one, nobody else may say it in its place. Each stands there once, and all of them
//! agree. A proxy that appends its word to a browser's is understood by nobody.

use http::Method;
use http::header::HeaderName;
use http::uri::PathAndQuery;

use crate::message::Fields;
use crate::route::Scheme;
use crate::server::peer::X_FORWARDED_HOST;
use crate::upstream::fields::X_FORWARDED_PROTO;

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");

/// The request that a proxy asks about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) method: Method,
    /// As the browser wrote it. Which site it means is not settled here.
    pub(super) authority: String,
    /// Path and query, byte for byte.
    pub(super) target: PathAndQuery,
}

/// Why it is not clear which request is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclear {
    /// A word is not there.
    #[error("`{0}` is missing")]
    Missing(HeaderName),
    /// A word is there more than once.
    #[error("`{0}` is there more than once")]
    Twice(HeaderName),
    /// A word says nothing that could be understood.
    #[error("`{0}` is not well formed")]
    Malformed(HeaderName),
    /// A word cannot be true if the others are.
    #[error("`{0}` contradicts the other words")]
    Contradictory(HeaderName),
}

/// A request as it is told in one of the two ways.
struct Told<'a> {
    method: &'a str,
    scheme: Scheme,
    authority: &'a str,
    target: &'a str,
}

impl Original {
    /// What the fields of a question say.
    pub(super) fn of(fields: &Fields) -> Result<Self, Unclear> {
        let word = |name: &HeaderName| only(fields, name);
        let (method, target) = (word(&X_FORWARDED_METHOD)?, word(&X_FORWARDED_URI)?);
        let (proto, host) = (word(&X_FORWARDED_PROTO)?, word(&X_FORWARDED_HOST)?);
        let forwarded = match (method, target) {
            // The other two many proxies say of every request, and mean no question by it.
            (None, None) => None,
            (Some(_), _) | (_, Some(_)) => Some(Told {
                method: needed(method, X_FORWARDED_METHOD)?,
                scheme: scheme(needed(proto, X_FORWARDED_PROTO)?)
                    .ok_or(Unclear::Malformed(X_FORWARDED_PROTO))?,
                authority: needed(host, X_FORWARDED_HOST)?,
                target: needed(target, X_FORWARDED_URI)?,
            }),
        };
        let told = match (word(&X_ORIGINAL_METHOD)?, word(&X_ORIGINAL_URL)?) {
            (None, None) => forwarded.ok_or(Unclear::Missing(X_FORWARDED_METHOD))?,
            (original_method, url) => {
                let url = needed(url, X_ORIGINAL_URL)?;
                let (scheme, authority, target) = split(url).ok_or(Unclear::Malformed(X_ORIGINAL_URL))?;
                Told { method: needed(original_method, X_ORIGINAL_METHOD)?, scheme, authority, target }
            }
        };
        agrees(method, X_FORWARDED_METHOD, |method| method == told.method)?;
        agrees(proto, X_FORWARDED_PROTO, |proto| scheme(proto) == Some(told.scheme))?;
        agrees(host, X_FORWARDED_HOST, |host| host.eq_ignore_ascii_case(told.authority))?;
        agrees(target, X_FORWARDED_URI, |target| target == told.target)?;
        let (of_method, of_target) = if method.is_some() {
            (X_FORWARDED_METHOD, X_FORWARDED_URI)
        } else {
            (X_ORIGINAL_METHOD, X_ORIGINAL_URL)
        };
        Ok(Self {
            method: told.method.parse().map_err(|_| Unclear::Malformed(of_method))?,
            authority: told.authority.to_owned(),
            target: origin_form(told.target).ok_or(Unclear::Malformed(of_target))?,
        })
    }
}

/// The one value of a field, if it is there.
fn only<'a>(fields: &'a Fields, name: &HeaderName) -> Result<Option<&'a str>, Unclear> {
    let mut lines = fields.get_all(name);
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| Unclear::Malformed(name.clone())),
        (Some(_), Some(_)) => Err(Unclear::Twice(name.clone())),
    }
}

fn needed(word: Option<&str>, name: HeaderName) -> Result<&str, Unclear> {
    word.ok_or(Unclear::Missing(name))
}

/// A word may be left out where the others say it all, and otherwise says the same.
fn agrees(word: Option<&str>, name: HeaderName, is_so: impl Fn(&str) -> bool) -> Result<(), Unclear> {
    if word.is_none_or(is_so) { Ok(()) } else { Err(Unclear::Contradictory(name)) }
}

/// Some call a WebSocket handshake by the scheme of RFC 6455 §3, which is HTTP all the same.
fn scheme(word: &str) -> Option<Scheme> {
    match word {
        "http" | "ws" => Some(Scheme::Http),
        "https" | "wss" => Some(Scheme::Https),
        _ => None,
    }
}

/// An absolute URL: scheme, authority, and the target with its slash.
fn split(url: &str) -> Option<(Scheme, &str, &str)> {
    let (name, rest) = url.split_once("://")?;
    let (authority, target) = rest.split_at(rest.find('/')?);
    Some((scheme(name)?, authority, target))
}

/// A target in origin form (RFC 9112 §3.2.1). It has no fragment, which a parser would cut off in silence.
fn origin_form(target: &str) -> Option<PathAndQuery> {
    let is_whole =
        target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    is_whole.then(|| target.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORWARDED: [(&str, &str); 4] = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "members.example.org"),
        ("x-forwarded-uri", "/classes/a%2Fb?week=2&&b"),
    ];
    const NGINX: [(&str, &str); 2] = [
        ("x-original-method", "POST"),
        ("x-original-url", "https://members.example.org/classes/a%2Fb?week=2&&b"),
    ];

    fn read(words: &[(&str, &str)]) -> Result<Original, Unclear> {
        let word = |&(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        Original::of(&words.iter().map(word).collect::<Fields>())
    }

    /// The same words, one of them changed or, where it says nothing, left out.
    fn but<'a>(words: &[(&'a str, &'a str)], name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
        let change = |&(known, word)| (known, if known == name { value } else { word });
        words.iter().map(change).filter(|(_, value)| !value.is_empty()).collect()
    }

    #[test]
    fn a_request_is_told_in_either_way_or_in_both() {
        let expected = Original {
            method: Method::POST,
            authority: "members.example.org".to_owned(),
            target: "/classes/a%2Fb?week=2&&b".parse().unwrap(),
        };
        for words in [&FORWARDED[..], &NGINX, &[&FORWARDED[..], &NGINX].concat()] {
            assert_eq!(read(words).as_ref(), Ok(&expected), "{words:?}");
        }
        // What many proxies say of every request is no second way that somebody has begun.
        assert_eq!(read(&[&NGINX[..], &FORWARDED[1..3]].concat()), Ok(expected));
    }

    #[test]
    fn a_way_that_is_begun_has_to_be_complete() {
        for (name, _) in FORWARDED {
            assert!(matches!(read(&but(&FORWARDED, name, "")), Err(Unclear::Missing(_))), "{name}");
        }
        for (name, _) in NGINX {
            assert!(matches!(read(&but(&NGINX, name, "")), Err(Unclear::Missing(_))), "{name}");
            // Not even where the other way says all of it: the proxy meant this one, and a browser may have sent that one.
            let both = [&FORWARDED[..], &but(&NGINX, name, "")].concat();
            assert!(matches!(read(&both), Err(Unclear::Missing(_))), "{name}");
        }
        for begun in [0, 3] {
            let both = [&NGINX[..], &FORWARDED[begun..=begun]].concat();
            assert!(matches!(read(&both), Err(Unclear::Missing(_))), "{both:?}");
        }
        assert_eq!(read(&[]), Err(Unclear::Missing(X_FORWARDED_METHOD)));
        assert_eq!(read(&FORWARDED[1..3]), Err(Unclear::Missing(X_FORWARDED_METHOD)));
    }

    #[test]
    fn words_that_contradict_each_other_are_not_believed() {
        let both = [&FORWARDED[..], &NGINX].concat();
        for (name, value) in [
            ("x-forwarded-method", "GET"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "other.example.org"),
            ("x-forwarded-uri", "/public/x"),
            ("x-original-method", "GET"),
            ("x-original-url", "https://members.example.org/public/x"),
        ] {
            let unclear = read(&but(&both, name, value)).unwrap_err();
            assert!(matches!(unclear, Unclear::Contradictory(_)), "{name}: {unclear}");
        }
    }

    #[test]
    fn a_word_that_is_said_twice_is_not_believed_not_even_where_it_is_the_same() {
        for words in [&FORWARDED[..], &NGINX] {
            for word in words {
                let unclear = read(&[words, &[*word]].concat()).unwrap_err();
                assert_eq!(unclear, Unclear::Twice(word.0.parse().unwrap()));
            }
        }
        // The same in one line, as a proxy that appends would have it.
        for (name, value) in [
            ("x-forwarded-method", "GET, POST"),
            ("x-forwarded-method", "GET,POST"),
            ("x-forwarded-proto", "https, https"),
            ("x-forwarded-uri", "/public/x, /classes"),
        ] {
            let unclear = read(&but(&FORWARDED, name, value)).unwrap_err();
            assert_eq!(unclear, Unclear::Malformed(name.parse().unwrap()), "{value}");
        }
    }

    #[test]
    fn a_target_is_in_origin_form_and_whole() {
        for target in
            ["classes", "*", "/a#b", "/a b", "/a\tb", "http://members.example.org/a", "?a", "/\u{e9}"]
        {
            let unclear = read(&but(&FORWARDED, "x-forwarded-uri", target)).unwrap_err();
            assert_eq!(unclear, Unclear::Malformed(X_FORWARDED_URI), "{target}");
        }
        for url in [
            "/classes",
            "members.example.org/classes",
            "https://members.example.org",
            "https://members.example.org?a",
            "https://members.example.org/a#b",
            "ftp://members.example.org/a",
            "https:/members.example.org/a",
        ] {
            let unclear = read(&but(&NGINX, "x-original-url", url)).unwrap_err();
            assert_eq!(unclear, Unclear::Malformed(X_ORIGINAL_URL), "{url}");
        }
        for target in ["/", "//evil.test/a", "/a?b#", "/a,b", "/%23"] {
            let said = read(&but(&FORWARDED, "x-forwarded-uri", target));
            assert_eq!(
                said.map(|said| said.target.to_string()).ok().as_deref(),
                (!target.contains('#')).then_some(target)
            );
        }
    }

    #[test]
    fn a_websocket_by_its_own_scheme_is_the_same_request() {
        let words = but(&FORWARDED, "x-forwarded-proto", "wss");
        assert_eq!(read(&words), read(&FORWARDED));
        assert_eq!(read(&[&words[..], &NGINX].concat()), read(&FORWARDED));
    }
}
