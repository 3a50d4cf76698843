//! `return_to`: a place on this site to come back to, or `/`.
//!
//! A text gets in only as a path that every browser reads as a path: nothing that the URL Standard would trim, turn
//! into a slash or take for another host. Whatever else it is, it becomes `/`; nobody is sent away from the site.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::route::path::Readings;

/// The longest place that is remembered, in octets.
pub const MOST: usize = 1024;

/// The page that sends a form which was kept during the login.
pub const KEPT_FORM: &str = "/_gateway/form";

/// What cannot stand bare in a `Location` field.
const NOT_BARE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

/// A place on this site: a path, perhaps with a query and a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

impl Default for ReturnTo {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl ReturnTo {
    /// The place that `text` means, or `/`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let place = Self::checked(text);
        // Longer than can be kept: without the query, and if that is too long as well, the front page.
        let shortened = || Self::checked(text.split(['?', '#']).next().unwrap_or_default());
        place.filter(Self::is_short).or_else(|| shortened().filter(Self::is_short)).unwrap_or_default()
    }

    /// The place as it stands in a `Location` field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_short(&self) -> bool {
        self.0.len() <= MOST
    }

    fn checked(text: &str) -> Option<Self> {
        // Browsers drop tabs and line ends from an address and read `\` as `/`: no honest path holds any of them.
        let odd = |c: char| c.is_ascii_control() || c == '\\';
        if !text.starts_with('/') || text.starts_with("//") || text.contains(odd) {
            return None;
        }
        let text = utf8_percent_encode(text, NOT_BARE).to_string();
        let base = Url::parse("https://this-site.invalid/").expect("an address");
        let read = base.join(&text).ok()?;
        if read.origin() != base.origin() || read.path().starts_with("//") || !read.username().is_empty() {
            return None;
        }
        // Back to the login would be a login that starts by itself; the page that sends a kept form starts none.
        if text == KEPT_FORM {
            return Some(Self(text));
        }
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let is_ours = |path: &[u8]| path.starts_with(b"/_gateway/") || path == b"/_gateway";
        let leads_to_us = Readings::of(path.as_bytes()).ok()?.iter().any(is_ours);
        (!leads_to_us).then_some(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_this_site_is_kept_as_it_is() {
        for text in [
            "/",
            "/classes?week=2",
            "/a/b;c=d?e=f&g=%2F#h",
            "/a?next=https://evil.test/",
            "/a//b",
            "/@a:b",
            "/a?b=//c",
        ] {
            assert_eq!(ReturnTo::new(text).as_str(), text);
        }
        assert_eq!(ReturnTo::new("/día?q=a b").as_str(), "/d%C3%ADa?q=a%20b");
    }

    /// Each line of the file is a payload, once as it stands, once decoded, once encoded again.
    #[test]
    fn nothing_leads_away_from_the_site() {
        let base = Url::parse("https://members.example.org/").unwrap();
        for line in
            include_str!("../../tests/data/open_redirects.txt").lines().filter(|line| !line.starts_with("# "))
        {
            let payload =
                line.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r").replace("\\0", "\0");
            let decoded = percent_encoding::percent_decode_str(&payload).decode_utf8_lossy().into_owned();
            let encoded = utf8_percent_encode(&payload, percent_encoding::NON_ALPHANUMERIC).to_string();
            for text in [payload, decoded, encoded] {
                let place = ReturnTo::new(&text);
                let read = base.join(place.as_str()).unwrap();
                assert_eq!(read.origin(), base.origin(), "{text:?}");
                assert!(place.as_str().starts_with('/') && !place.as_str().starts_with("//"), "{text:?}");
                assert!(!read.path().starts_with("//"), "{text:?}");
                assert!(
                    place.as_str().bytes().all(|byte| byte > b' ' && byte < 0x7f && byte != b'\\'),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn a_place_that_is_too_long_loses_its_query_and_then_itself() {
        let query = format!("/classes?{}", "x".repeat(MOST));
        assert_eq!(ReturnTo::new(&query).as_str(), "/classes");
        assert_eq!(ReturnTo::new(&format!("/{}", "x".repeat(MOST))).as_str(), "/");
        let longest = format!("/{}", "x".repeat(MOST - 1));
        assert_eq!(ReturnTo::new(&longest).as_str(), longest);
    }

    #[test]
    fn the_gateways_own_paths_are_no_place_to_come_back_to() {
        for text in [
            "/_gateway/login",
            "/_gateway",
            "/_gateway/logout?x",
            "/%5fgateway/login",
            "/a/../_gateway/login",
        ] {
            assert_eq!(ReturnTo::new(text).as_str(), "/", "{text}");
        }
    }

    #[test]
    fn what_no_browser_reads_as_a_path_is_no_place() {
        for text in ["/a\\b", "/a\tb", "/a\nb", "/a\u{7f}", "//this-site.invalid/a", "a", ""] {
            assert_eq!(ReturnTo::new(text).as_str(), "/", "{text:?}");
        }
    }
}
