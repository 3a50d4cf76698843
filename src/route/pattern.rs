//! Path patterns: `*` for any characters within one segment, `/**` at the end for that path and all below it.

use std::fmt;

/// A pattern that matches whole paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Vec<u8>>,
    and_below: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// A path starts with a slash.
    #[error("does not start with `/`")]
    NoSlash,
    /// `**` stands for all that follows, so nothing can follow it.
    #[error("has `**` elsewhere than as `/**` at its end")]
    StarsInside,
    /// Escapes and the like would never match, since a path is compared as it is read, decoded too.
    #[error(
        "holds `%`, `?`, `#`, `;`, `\\`, a blank, a dot segment or an empty segment: write the decoded path"
    )]
    NotPlain,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`InvalidPattern`] says why the text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let Some(rest) = text.strip_prefix('/') else { return Err(InvalidPattern::NoSlash) };
        let (rest, and_below) = match rest.strip_suffix("**") {
            Some("") => return Ok(Self { segments: Vec::new(), and_below: true }),
            Some(before) => (before.strip_suffix('/').ok_or(InvalidPattern::StarsInside)?, true),
            None => (rest, false),
        };
        if rest.contains("**") {
            return Err(InvalidPattern::StarsInside);
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '%' | '?' | '#' | ';' | '\\');
        let segments: Vec<&str> = rest.split('/').collect();
        let (_, inner) = segments.split_last().expect("splitting gives at least one piece");
        let dotted = segments.iter().any(|segment| matches!(*segment, "." | ".."));
        let empty = inner.iter().any(|segment| segment.is_empty())
            || (and_below && (rest.is_empty() || rest.ends_with('/')));
        if rest.contains(odd) || dotted || empty {
            return Err(InvalidPattern::NotPlain);
        }
        let segments = segments.into_iter().map(|segment| segment.as_bytes().to_vec()).collect();
        Ok(Self { segments, and_below })
    }

    /// Whether the pattern matches a whole path, regardless of case where `ignore_case` says so.
    #[must_use]
    pub fn matches(&self, path: &[u8], ignore_case: bool) -> bool {
        let Some(path) = path.strip_prefix(b"/") else { return false };
        let mut segments = path.split(|&byte| byte == b'/');
        let matched = self.segments.iter().all(|pattern| {
            segments.next().is_some_and(|segment| segment_matches(pattern, segment, ignore_case))
        });
        matched && (self.and_below || segments.next().is_none())
    }

    /// The segments before the first that holds a star: whatever the pattern matches begins with them.
    pub(super) fn plain_start(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().map(Vec::as_slice).take_while(|segment| !segment.contains(&b'*'))
    }

    /// Whether every path that `other` matches is matched by this one too. A no may be a yes that is hard to see.
    #[must_use]
    pub fn covers(&self, other: &Self, ignore_case: bool) -> bool {
        // A star of the other is matched as a character, which only a star of ours does; then it takes whatever the
        // other takes.
        let covered = |(ours, theirs): (&Vec<u8>, &Vec<u8>)| segment_matches(ours, theirs, ignore_case);
        let as_deep = if self.and_below {
            other.segments.len() >= self.segments.len()
        } else {
            other.segments.len() == self.segments.len() && !other.and_below
        };
        as_deep && self.segments.iter().zip(&other.segments).all(covered)
    }
}

/// The classical two-pointer match of `*`: on a mismatch the last star takes one more character.
fn segment_matches(pattern: &[u8], segment: &[u8], ignore_case: bool) -> bool {
    let same = |left: u8, right: u8| left == right || (ignore_case && left.eq_ignore_ascii_case(&right));
    let (mut p, mut s) = (0, 0);
    let mut star = None;
    while s < segment.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, s));
                p += 1;
            }
            Some(&byte) if same(byte, segment[s]) => {
                p += 1;
                s += 1;
            }
            Some(_) | None => {
                let Some((star_at, taken_to)) = star else { return false };
                star = Some((star_at, taken_to + 1));
                p = star_at + 1;
                s = taken_to + 1;
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "/{}", String::from_utf8_lossy(segment))?;
        }
        f.write_str(if self.and_below { "/**" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(path.as_bytes(), false)
    }

    #[test]
    fn a_pattern_is_shown_as_it_was_written() {
        for text in ["/", "/a", "/a/", "/*.css", "/a/*/c", "/a/**", "/**", "/ä"] {
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_pattern_is_anchored_at_both_ends() {
        for (pattern, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a/", "/a/", true),
            ("/a", "/ab", false),
            ("/a", "/b/a", false),
            ("/*.css", "/x.css", true),
            ("/*.css", "/a/x.css", false),
            ("/*.css", "/x.css.php", false),
            ("/a*b*c", "/axxbxxbc", true),
            ("/a*b*c", "/axxbxx", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a//c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/A", "/a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn case_is_ignored_where_the_site_says_so() {
        assert!(Pattern::parse("/Staff/**").unwrap().matches(b"/sTAFF/x", true));
    }

    #[test]
    fn a_pattern_covers_those_that_match_nothing_else() {
        for (wide, narrow, expected) in [
            ("/**", "/", true),
            ("/**", "/a/**", true),
            ("/a/**", "/**", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/**", true),
            ("/a/**", "/a/b/*.css", true),
            ("/a/**", "/ab", false),
            ("/a/b/**", "/a/**", false),
            ("/a/*", "/a/**", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/", true),
            ("/a/*", "/a/*.css", true),
            ("/a/*.css", "/a/*", false),
            ("/a/*.css", "/a/x*.css", true),
            ("/a/x*.css", "/a/*.css", false),
            ("/*b*", "/a*b*c", true),
            ("/a*b*c", "/*b*", false),
            ("/*/c", "/a/c", true),
            ("/a/c", "/*/c", false),
            ("/a", "/A", false),
        ] {
            let parsed = |text| Pattern::parse(text).unwrap();
            assert_eq!(parsed(wide).covers(&parsed(narrow), false), expected, "{wide} {narrow}");
        }
        assert!(Pattern::parse("/a").unwrap().covers(&Pattern::parse("/A").unwrap(), true));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("a", InvalidPattern::NoSlash),
            ("", InvalidPattern::NoSlash),
            ("/a**", InvalidPattern::StarsInside),
            ("/**/a", InvalidPattern::StarsInside),
            ("/a%20b", InvalidPattern::NotPlain),
            ("/a?b", InvalidPattern::NotPlain),
            ("/a b", InvalidPattern::NotPlain),
            ("/a\u{1}b", InvalidPattern::NotPlain),
            ("/a//b", InvalidPattern::NotPlain),
            ("/a/../b", InvalidPattern::NotPlain),
            ("//**", InvalidPattern::NotPlain),
        ] {
            assert_eq!(Pattern::parse(text), Err(why), "{text}");
        }
    }
}
