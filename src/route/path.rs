//! The readings of a path: every way in which an upstream might understand what came.
//!
//! nginx merges slashes, Tomcat cuts `;` parameters, IIS takes backslashes for slashes, PHP and WSGI decode, some decode
//! twice, C stops at a NUL. We cannot know which of them stands behind us. So a path has a set of readings, and where
//! they fall under different rules the request is refused; what is forwarded is what came, byte for byte.

use std::borrow::Cow;

/// More readings than this have no honest origin.
const MOST: usize = 32;

/// A path in all its readings; the first is the path as it came.
#[derive(Clone, Debug)]
pub struct Readings<'a> {
    raw: &'a [u8],
    others: Vec<Vec<u8>>,
}

/// The path can be read in so many ways that nothing sensible was meant by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path can be read in more than {MOST} ways")]
pub struct TooManyReadings;

impl<'a> Readings<'a> {
    /// All readings of `path`. Nearly every path has just one, which costs a look at each byte and nothing else.
    ///
    /// # Errors
    /// [`TooManyReadings`] for a path made to have many.
    pub fn of(path: &'a [u8]) -> Result<Self, TooManyReadings> {
        let mut others: Vec<Vec<u8>> = Vec::new();
        if !is_plain(path) {
            let mut at = 0;
            let mut known = vec![path.to_vec()];
            while let Some(reading) = known.get(at).cloned() {
                for read in WAYS {
                    let Cow::Owned(new) = read(&reading) else { continue };
                    if !known.contains(&new) {
                        known.push(new);
                    }
                    if known.len() > MOST {
                        return Err(TooManyReadings);
                    }
                }
                at += 1;
            }
            others = known.split_off(1);
        }
        Ok(Self { raw: path, others })
    }

    /// The readings, the raw path first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.raw).chain(self.others.iter().map(Vec::as_slice))
    }
}

/// Whether every upstream reads the path alike: no escapes, no odd characters, no empty or dotted segments.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = b' ';
    path.iter().all(|&byte| {
        let dubious = matches!((previous, byte), (b'/', b'/' | b'.'));
        previous = byte;
        !dubious && byte.is_ascii_graphic() && !matches!(byte, b'%' | b';' | b'\\' | b'?' | b'#')
    })
}

type Reading = for<'p> fn(&'p [u8]) -> Cow<'p, [u8]>;

const WAYS: [Reading; 6] = [
    decoded,
    with_slashes_for_backslashes,
    without_parameters,
    cut,
    with_slashes_merged,
    without_dot_segments,
];

/// Percent-decoded once; escapes that are none stay.
fn decoded(path: &[u8]) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode(path).into()
}

fn with_slashes_for_backslashes(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'\\') {
        return path.into();
    }
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect::<Vec<_>>().into()
}

/// Each segment up to its `;` (RFC 3986 §3.3 leaves the meaning of what follows to the server).
fn without_parameters(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b';') {
        return path.into();
    }
    let bare = |segment: &'_ [u8]| segment.split(|&byte| byte == b';').next().unwrap_or_default().to_vec();
    path.split(|&byte| byte == b'/').map(bare).collect::<Vec<_>>().join(&b'/').into()
}

/// Up to the first NUL, `?` or `#`, which only an escape can have brought here.
fn cut(path: &[u8]) -> Cow<'_, [u8]> {
    match path.iter().position(|byte| matches!(byte, 0 | b'?' | b'#')) {
        Some(end) => path[..end].to_vec().into(),
        None => path.into(),
    }
}

fn with_slashes_merged(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return path.into();
    }
    let mut merged = path.to_vec();
    merged.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    merged.into()
}

/// RFC 3986 §5.2.4.
fn without_dot_segments(path: &[u8]) -> Cow<'_, [u8]> {
    let is_dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    if !path.split(|&byte| byte == b'/').any(is_dots) {
        return path.into();
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        ends_in_dots = is_dots(segment);
        match segment {
            b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    if ends_in_dots {
        segments.push(b"");
    }
    [b"/", segments.join(&b'/').as_slice()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(path: &str) -> Vec<String> {
        let readings = Readings::of(path.as_bytes()).unwrap();
        readings.iter().map(|reading| String::from_utf8_lossy(reading).into_owned()).collect()
    }

    #[test]
    fn an_ordinary_path_has_one_reading() {
        for path in ["/", "/classes", "/a/b.c/d-e_f~g", "/a:b@c,d=e+f!g", "/a/", "/..a/b.."] {
            assert_eq!(readings(path), [path]);
        }
    }

    #[test]
    fn every_way_of_hiding_a_path_is_seen_through() {
        for path in [
            "/pub/../admin",
            "/pub/%2e%2e/admin",
            "/pub/%2E%2e/admin",
            "/pub/.%2e/admin",
            "/pub/..;/admin",
            "/pub/..;x=1/admin",
            "/pub/%2e%2e%2fadmin",
            "/pub\\..\\admin",
            "/pub/..%5cadmin",
            "/pub/%252e%252e/admin",
            "/pub/%252e%252e%252fadmin",
            "//admin",
            "/./admin",
            "/.;/admin",
            "/%2fadmin",
            "/admin%00.css",
            "/admin%3fx",
            "/admin%23x",
            "/admin;x=1",
            "/%61dmin",
            "/%2561dmin",
            "/pub/..//admin",
            "/pub/x/../../admin",
            "/pub%2f..%2fadmin",
            "/\\admin",
            "/%5cadmin",
            "/admin%3b",
            "/pub/%2e%2e;x/admin",
        ] {
            assert!(readings(path).iter().any(|reading| reading == "/admin"), "{path}: {:?}", readings(path));
        }
    }

    #[test]
    fn an_escape_that_is_none_stays_as_it_is() {
        assert_eq!(readings("/a%zz%"), ["/a%zz%"]);
    }

    #[test]
    fn a_path_made_to_be_read_in_many_ways_is_refused() {
        let path = format!("/%{}2e", "25".repeat(MOST));
        assert!(Readings::of(path.as_bytes()).is_err());
    }

    #[test]
    fn dot_segments_never_lead_above_the_root() {
        assert_eq!(without_dot_segments(b"/../../a/./b/..").as_ref(), b"/a/");
        assert_eq!(without_dot_segments(b"/..").as_ref(), b"/");
    }
}
