//! The readings of a path: every way in which an upstream might understand what came.
//!
//! nginx merges slashes, Tomcat cuts `;` parameters, IIS takes backslashes for slashes and knows `%u002f`, PHP and WSGI
//! decode, Apache may leave `%2f` alone, some decode twice, C stops at a NUL, Windows drops the dots at the end of a name,
//! and whoever parses `//a/b` as a URL takes `a` for a host. We cannot know which of them stands behind us. So a path has a
//! set of readings, and where they fall under different rules the request is refused; what is forwarded is what came,
//! byte for byte.
//!
//! Left to the rules: what an app makes of a path that everybody reads alike, such as `/a/` for `/a`, `/a.json` for `/a`,
//! `/a.php/b` for `/a.php`, or a short name like `/STAFF~1`.

use std::borrow::Cow;

/// More readings than this have no honest origin.
const MOST: usize = 32;
/// Nor do so many octets of them: each costs a look in every way.
const MOST_OCTETS: usize = 64 * 1024;

/// A path in all its readings; the first is the path as it came.
#[derive(Clone, Debug)]
pub struct Readings<'a> {
    raw: &'a [u8],
    others: Vec<Vec<u8>>,
}

/// The path can be read in so many ways that nothing sensible was meant by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path can be read in too many ways")]
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
            let mut octets = path.len();
            while let Some(reading) = known.get(at).cloned() {
                for read in WAYS {
                    let Cow::Owned(new) = read(&reading) else { continue };
                    if !known.contains(&new) {
                        octets += new.len();
                        known.push(new);
                    }
                    if known.len() > MOST || octets > MOST_OCTETS {
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

/// Whether every upstream reads the path alike: no escapes, no odd characters, no empty segments, no segment that begins
/// or ends with a dot.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = b' ';
    let plain = path.iter().all(|&byte| {
        let dubious = matches!((previous, byte), (b'/', b'/' | b'.') | (b'.', b'/') | (b':', b'$'));
        previous = byte;
        !dubious && byte.is_ascii_graphic() && !matches!(byte, b'%' | b';' | b'\\' | b'?' | b'#')
    });
    plain && previous != b'.'
}

type Reading = for<'p> fn(&'p [u8]) -> Cow<'p, [u8]>;

const WAYS: [Reading; 12] = [
    decoded,
    decoded_but_for_slashes,
    with_escapes_of_iis,
    with_look_alikes_folded,
    with_slashes_for_backslashes,
    without_parameters,
    cut,
    without_line_breaks,
    with_slashes_merged,
    without_authority,
    without_dot_segments,
    with_names_of_windows,
];

/// Percent-decoded once; escapes that are none stay.
fn decoded(path: &[u8]) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode(path).into()
}

/// The same by those who keep an encoded slash within its segment (Apache's `AllowEncodedSlashes NoDecode`).
fn decoded_but_for_slashes(path: &[u8]) -> Cow<'_, [u8]> {
    let mut read = Vec::new();
    let mut rest = path;
    while let Some(at) = rest.windows(3).position(|three| three.eq_ignore_ascii_case(b"%2f")) {
        read.extend(percent_encoding::percent_decode(&rest[..at]));
        read.extend(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    if read.is_empty() {
        return path.into();
    }
    read.extend(percent_encoding::percent_decode(rest));
    unless_the_same(read, path)
}

/// `%u002f`, which http.sys takes for a slash where `PercentUAllowed` is left as it is.
fn with_escapes_of_iis(path: &[u8]) -> Cow<'_, [u8]> {
    replaced(path, |rest| {
        let digits = rest.strip_prefix(b"%u").or_else(|| rest.strip_prefix(b"%U"))?.get(..4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        Some((char::from_u32(number)?.to_string().into_bytes(), 6))
    })
}

/// ASCII by another name: overlong UTF-8 (`C0 AF` for a slash), which lenient decoders accept with any second byte, and
/// what Windows folds where it has to fit it into a code page: full-width forms (U+FF0F), and the slashes, the backslash and
/// the dot among the signs of mathematics and typography.
fn with_look_alikes_folded(path: &[u8]) -> Cow<'_, [u8]> {
    replaced(path, |rest| {
        let (byte, length) = match *rest {
            [high @ (0xc0 | 0xc1), low, ..] | [0xe0, high @ (0x80 | 0x81), low, ..] => {
                ((high & 1) << 6 | low & 0x3f, if rest[0] == 0xe0 { 3 } else { 2 })
            }
            [0xf0, 0x80, high @ (0x80 | 0x81), low, ..] => ((high & 1) << 6 | low & 0x3f, 4),
            [0xef, 0xbc, low @ 0x81..=0xbf, ..] => (low - 0x60, 3),
            [0xef, 0xbd, low @ 0x80..=0x9e, ..] => (low - 0x20, 3),
            [0xe2, 0x81, 0x84, ..] | [0xe2, 0x88, 0x95, ..] => (b'/', 3),
            [0xe2, 0x88, 0x96, ..] => (b'\\', 3),
            [0xe2, 0x80, 0xa4, ..] => (b'.', 3),
            _ => return None,
        };
        Some((vec![byte], length))
    })
}

/// The path with something else wherever `find` says so: what, and in place of how many bytes.
fn replaced(path: &[u8], find: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Cow<'_, [u8]> {
    let Some(first) = (0..path.len()).find(|&at| find(&path[at..]).is_some()) else { return path.into() };
    let mut read = path[..first].to_vec();
    let mut rest = &path[first..];
    while let Some(&byte) = rest.first() {
        if let Some((new, length)) = find(rest) {
            read.extend(new);
            rest = &rest[length..];
        } else {
            read.push(byte);
            rest = &rest[1..];
        }
    }
    read.into()
}

fn unless_the_same(read: Vec<u8>, path: &[u8]) -> Cow<'_, [u8]> {
    if read == path { path.into() } else { read.into() }
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

/// Up to the first NUL, `?`, `#` or line break, which only an escape can have brought here.
fn cut(path: &[u8]) -> Cow<'_, [u8]> {
    match path.iter().position(|byte| matches!(byte, 0 | b'?' | b'#' | b'\r' | b'\n')) {
        Some(end) => path[..end].to_vec().into(),
        None => path.into(),
    }
}

/// What the URL standard removes before it reads anything: tabs and line breaks wherever they are, control characters and
/// blanks at the end.
fn without_line_breaks(path: &[u8]) -> Cow<'_, [u8]> {
    let is_kept = |byte: &u8| !matches!(byte, b'\t' | b'\r' | b'\n');
    let end = path.iter().rposition(|&byte| byte > b' ').map_or(0, |last| last + 1);
    if end == path.len() && path.iter().all(is_kept) {
        return path.into();
    }
    path[..end].iter().copied().filter(is_kept).collect::<Vec<_>>().into()
}

fn with_slashes_merged(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return path.into();
    }
    let mut merged = path.to_vec();
    merged.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    merged.into()
}

/// What begins with two slashes, taken for a reference with an authority (RFC 3986 §4.2), by those who parse a request
/// target as a URL: `//a/b` is `/b` at the host `a`. Some do not mind further slashes.
fn without_authority(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.starts_with(b"//") {
        return path.into();
    }
    let mut segments = path.split(|&byte| byte == b'/').skip_while(|segment| segment.is_empty()).skip(1);
    let mut read = Vec::new();
    for segment in &mut segments {
        read.push(b'/');
        read.extend(segment);
    }
    if read.is_empty() { b"/".into() } else { read.into() }
}

/// RFC 3986 §5.2.4, by those too who see an encoded dot before they decode anything else, as the URL standard has it.
fn without_dot_segments(path: &[u8]) -> Cow<'_, [u8]> {
    let is_dots = |segment: &[u8]| !matches!(dots(segment), Dots::None);
    if !path.split(|&byte| byte == b'/').any(is_dots) {
        return path.into();
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        ends_in_dots = is_dots(segment);
        match dots(segment) {
            Dots::One => {}
            Dots::Two => {
                segments.pop();
            }
            Dots::None => segments.push(segment),
        }
    }
    if ends_in_dots {
        segments.push(b"");
    }
    [b"/", segments.join(&b'/').as_slice()].concat().into()
}

enum Dots {
    None,
    One,
    Two,
}

fn dots(segment: &[u8]) -> Dots {
    // The longest is `%2e%2e`.
    if segment.len() > 6 {
        return Dots::None;
    }
    let mut rest = segment;
    let mut count = 0;
    while let Some(behind) = rest.strip_prefix(b".").or_else(|| {
        let (escape, behind) = rest.split_at_checked(3)?;
        escape.eq_ignore_ascii_case(b"%2e").then_some(behind)
    }) {
        rest = behind;
        count += 1;
    }
    match (rest, count) {
        ([], 1) => Dots::One,
        ([], 2) => Dots::Two,
        _ => Dots::None,
    }
}

/// Each segment as Windows looks for a file: without dots and blanks at its end, and without the name of a stream behind
/// it (`x::$DATA`, `x:$i30:$INDEX_ALLOCATION`).
fn with_names_of_windows(path: &[u8]) -> Cow<'_, [u8]> {
    let is_odd = |pair: &[u8]| matches!(pair, [b'.' | b' ', b'/'] | b":$");
    if !path.windows(2).any(is_odd) && !matches!(path.last(), Some(b'.' | b' ')) {
        return path.into();
    }
    let names = path.split(|&byte| byte == b'/').map(|segment| {
        let name = match segment.windows(2).position(|two| two == b":$") {
            Some(at) => segment[..at].strip_suffix(b":").unwrap_or(&segment[..at]),
            None => segment,
        };
        let end =
            |trimmed: &[u8]| name.iter().rposition(|byte| !trimmed.contains(byte)).map_or(0, |last| last + 1);
        // What is left of `. ` and `.. ` is a dot segment, and not nothing.
        match end(b". ") {
            0 => &name[..end(b" ")],
            end => &name[..end],
        }
    });
    unless_the_same(names.collect::<Vec<_>>().join(&b'/'), path)
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
        for path in ["/", "/classes", "/a/b.c/d-e_f~g", "/a:b@c,d=e+f!g", "/a/", "/a..b/c.d/e:f$"] {
            assert_eq!(readings(path), [path]);
            assert!(is_plain(path.as_bytes()), "{path} is looked at once");
        }
    }

    #[test]
    fn a_long_path_has_few_readings_or_none_was_meant() {
        let made_to_have_many = format!("/{}", "/a;b\\..".repeat(2000));
        let honest = format!("/{}", "caf%C3%A9%20au%20lait/".repeat(700));
        assert_eq!(Readings::of(made_to_have_many.as_bytes()).unwrap_err(), TooManyReadings);
        assert!(Readings::of(honest.as_bytes()).is_ok());
        let looked_at =
            |path: &str| Readings::of(path.as_bytes()).map_or(0, |all| all.iter().map(<[u8]>::len).sum());
        for unit in ["%09%2f", "a/", "//a;b", "%252f", "..%5c"] {
            assert!(looked_at(&unit.repeat(16_000 / unit.len())) <= MOST_OCTETS, "{unit}");
        }
        let nine = |times: usize| {
            Readings::of(format!("/{}", "/a;b.".repeat(times)).as_bytes()).map(|all| all.iter().count())
        };
        assert_eq!((nine(10), nine(3000)), (Ok(9), Err(TooManyReadings)));
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
            "/%u0061dmin",
            "/pub/%u002e%u002e/admin",
            "/pub%u002f..%U002Fadmin",
            "/pub/..%c0%afadmin",
            "/pub/%c0%ae%c0%ae/admin",
            "/pub/..%c1%9cadmin",
            "/pub/..%c1%1cadmin",
            "/pub/..%e0%80%afadmin",
            "/pub/..%f0%80%80%afadmin",
            "/%e0%81%a1dmin",
            "/%f0%80%81%a1dmin",
            "/%ef%bd%81dmin",
            "/pub/..%ef%bc%8fadmin",
            "/pub/%uff0e%uff0e%uff0fadmin",
            "/pub%2fx/%2e%2e/../admin",
            "/pub/..%e2%81%84admin",
            "/pub/..%e2%88%95admin",
            "/pub/..%e2%88%96admin",
            "/pub/%e2%80%a4%e2%80%a4/admin",
            "//pub/admin",
            "///pub/admin",
            "/\\pub/admin",
            "/%2fpub/admin",
            "/admin.",
            "/admin%20",
            "/admin%20.%20",
            "/admin::$DATA",
            "/admin:$i30:$INDEX_ALLOCATION",
            "/pub/..%20/admin",
            "/admin%0a.css",
            "/ad%09min",
            "/adm%0din",
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
    fn an_encoded_slash_may_stay_in_its_segment() {
        assert!(readings("/pub%2fx/%61dmin").contains(&"/pub%2fx/admin".to_owned()));
    }

    #[test]
    fn dot_segments_never_lead_above_the_root() {
        assert_eq!(without_dot_segments(b"/../../a/./b/..").as_ref(), b"/a/");
        assert_eq!(without_dot_segments(b"/..").as_ref(), b"/");
    }

    #[test]
    fn as_many_readings_and_octets_as_there_may_be_are_still_read() {
        let count = |path: String| Readings::of(path.as_bytes()).map(|all| all.iter().count());
        let decoded_again_and_again = |times: usize| format!("/%{}41", "25".repeat(times));
        assert_eq!(count(decoded_again_and_again(MOST - 2)), Ok(MOST));
        assert_eq!(count(decoded_again_and_again(MOST - 1)), Err(TooManyReadings));
        let long = |octets: usize| format!("/%41{}", "a".repeat(octets - 4));
        assert_eq!(count(long(MOST_OCTETS / 2 + 1)), Ok(2));
        assert_eq!(count(long(MOST_OCTETS / 2 + 2)), Err(TooManyReadings));
    }

    #[test]
    fn every_way_of_reading_does_its_part_alone() {
        for (way, path, read) in [
            (without_line_breaks as Reading, "/a ", "/a"),
            (without_line_breaks, "/a\t/b", "/a/b"),
            (with_slashes_merged, "//", "/"),
            (without_dot_segments, "/pub/%2e%2E/admin", "/admin"),
            (without_dot_segments, "/pub/.%2e/admin", "/admin"),
        ] {
            assert_eq!(way(path.as_bytes()).as_ref(), read.as_bytes(), "{path}");
        }
    }
}
