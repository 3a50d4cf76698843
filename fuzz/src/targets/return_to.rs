//! Places to come back to: any text, in which `{LONG}` stands for a name that leaves a few octets of the longest place.
//!
//! * A browser that reads the place stays on the site.
//! * It can stand in a `Location` field, and is not long.
//! * It does not lead to the gateway's own paths, where a login would start a login.
//! * Read again it is the same place.

use std::sync::OnceLock;

use http::HeaderValue;
use member_gateway::login::return_to::{KEPT_FORM, MOST, ReturnTo};
use url::Url;

use super::members::SITE;
use super::with;

/// The site, and what pages of it a place may be followed from.
fn bases() -> &'static [Url; 3] {
    static BASES: OnceLock<[Url; 3]> = OnceLock::new();
    BASES.get_or_init(|| {
        ["", "/a/b/c?d#e", "//x/"].map(|page| Url::parse(&format!("{SITE}{page}")).expect("an address"))
    })
}

pub fn run(bytes: &[u8]) {
    let bytes = with(bytes, "{LONG}", &"x".repeat(MOST - 16));
    let place = ReturnTo::new(&String::from_utf8_lossy(&bytes));
    let text = place.as_str();
    assert!(text.starts_with('/') && !text.starts_with("//") && !text.contains('\\'), "{text:?}");
    assert!(text.len() <= MOST && HeaderValue::from_str(text).is_ok(), "{text:?}");
    for base in bases() {
        let read = base.join(text).expect("an address");
        assert_eq!(read.origin(), bases()[0].origin(), "{text:?}");
        assert!(!read.path().starts_with("//"), "{text:?}");
        let is_ours = read.path().starts_with("/_gateway/") || read.path() == "/_gateway";
        assert!(!is_ours || text == KEPT_FORM, "{text:?}");
    }
    assert_eq!(ReturnTo::new(text), place, "{text:?}");
}
