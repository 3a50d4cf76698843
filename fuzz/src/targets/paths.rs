//! Readings of a path, and the rule it falls under: any octets as a path.
//!
//! * The first reading is what came, and the readings of a reading are readings of the path: of each, or of one of them
//!   where they are many and long.
//! * What passes as public is public to an app that decodes, several times, turns backslashes, merges slashes and removes
//!   dot segments, and to one that parses the path as a URL does.

use std::sync::OnceLock;

use http::Method;
use member_gateway::route::path::Readings;
use member_gateway::route::pattern::Pattern;
use member_gateway::route::rule::{Access, Allow, Rule, Rules, Unauthenticated};
use url::Url;

/// The most octets that are read again in all their readings.
const MOST_AGAIN: usize = 2048;

fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| {
        let rule = |pattern, access| Rule {
            pattern: Pattern::parse(pattern).expect("a pattern"),
            methods: None,
            access,
            unauthenticated: Unauthenticated::Auto,
            allow: Allow::default(),
            origins: Vec::new(),
        };
        Rules::new(vec![rule("/public/**", Access::Public), rule("/news/*.css", Access::Public)], false)
    })
}

fn is_public(path: &[u8]) -> bool {
    let below = |folder: &[u8]| path.strip_prefix(folder);
    below(b"/public").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        || below(b"/news/").is_some_and(|rest| rest.ends_with(b".css") && !rest.contains(&b'/'))
}

pub fn run(path: &[u8]) {
    let Ok(readings) = Readings::of(path) else { return };
    let all: Vec<&[u8]> = readings.iter().collect();
    assert_eq!(all[0], path);
    let again = if all.len() * path.len() <= MOST_AGAIN {
        &all[..]
    } else {
        std::slice::from_ref(&all[path.len() % all.len()])
    };
    for reading in again {
        let again = Readings::of(reading).expect("no more readings than the path has");
        assert!(again.iter().all(|read| all.contains(&read)), "{}", reading.escape_ascii());
    }
    let Ok(rule) = rules().find(&Method::GET, &readings) else { return };
    if rule.access != Access::Public {
        return;
    }
    for reading in all {
        assert!(is_public(reading), "{}", reading.escape_ascii());
    }
    let mut read = path.to_vec();
    for _ in 0..4 {
        assert!(is_public(&as_an_app(&read)), "{}", read.escape_ascii());
        read = decoded(&read);
    }
    if let Ok(text) = str::from_utf8(path)
        && text.starts_with('/')
    {
        let site = Url::parse("http://a/").expect("an address");
        let read = site.join(text).expect("an address");
        assert!(is_public(read.path().as_bytes()), "{text}");
    }
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = path.get(at) {
        let escaped = if byte == b'%' { digit(at + 1).zip(digit(at + 2)) } else { None };
        match escaped.map(|(high, low)| u8::try_from(high * 16 + low)) {
            Some(Ok(byte)) => {
                out.push(byte);
                at += 3;
            }
            Some(Err(_)) | None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// The path of a file, as an app finds it that knows nothing of URLs.
fn as_an_app(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let pieces = path.split(|byte| matches!(byte, b'/' | b'\\'));
    let mut ends_with_slash = false;
    for piece in pieces {
        ends_with_slash = matches!(piece, b"" | b"." | b"..");
        match piece {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut whole = b"/".to_vec();
    whole.extend(segments.join(&b'/'));
    if ends_with_slash && whole.len() > 1 {
        whole.push(b'/');
    }
    whole
}
