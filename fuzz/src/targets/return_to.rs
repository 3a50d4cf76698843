//! Places to come back to: any text.
//!
//! * A browser that reads the place stays on the site.
//! * It can stand in a `Location` field, and is not long.
//! * It does not lead to the gateway's own paths, where a login would start a login.
//! * Read again it is the same place.

use http::HeaderValue;
use member_gateway::login::return_to::{KEPT_FORM, MOST, ReturnTo};
use url::Url;

use super::members::SITE;

pub fn run(bytes: &[u8]) {
    let place = ReturnTo::new(&String::from_utf8_lossy(bytes));
    let text = place.as_str();
    assert!(text.starts_with('/') && !text.starts_with("//") && !text.contains('\\'), "{text:?}");
    assert!(text.len() <= MOST && HeaderValue::from_str(text).is_ok(), "{text:?}");
    let site = Url::parse(SITE).expect("an address");
    for base in [SITE.to_owned(), format!("{SITE}/a/b/c?d#e"), format!("{SITE}//x/")] {
        let read = Url::parse(&base).expect("an address").join(text).expect("an address");
        assert_eq!(read.origin(), site.origin(), "{text:?}");
        assert!(!read.path().starts_with("//"), "{text:?}");
        let is_ours = read.path().starts_with("/_gateway/") || read.path() == "/_gateway";
        assert!(!is_ours || text == KEPT_FORM, "{text:?}");
    }
    assert_eq!(ReturnTo::new(text), place, "{text:?}");
}
