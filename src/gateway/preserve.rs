//! What a member has typed outlives the session.
//!
//! A form that is posted after the session has ended would be lost in the login. So its body is sealed and left to the
//! browser: a page keeps it in the session storage, goes through the login, and posts it again to where it was going.
//! There it is opened and takes the place of the body it came in, so that the app sees the form as it was first sent.
//! No server keeps anything.
//!
//! Only forms of the site itself are kept: a form that another site posts would otherwise become a request of the member
//! who signs in for it.

mod room;

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, ORIGIN};
use http::{Method, Uri};
use url::form_urlencoded;

pub use self::room::Room;
pub(super) use self::room::{Place, Unread};
use crate::message::Fields;
use crate::random;
use crate::session::seal::Seal;
use crate::time::UnixTime;

/// The field of the form in which a sealed form comes back.
pub(super) const FIELD: &str = "member-gateway-form";
/// How long a sealed form can be sent.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// What of a request outlives a login on one site.
#[derive(Clone, Debug)]
pub struct Preserve {
    /// The bodies of forms.
    pub form: bool,
    /// The fragment of the address.
    pub fragment: bool,
    /// The largest body, in octets.
    pub limit: usize,
    /// What all of them may take of memory.
    pub room: Room,
    /// Seals the bodies.
    pub seal: Seal,
}

impl Preserve {
    /// Whether the body of a request is to be kept: a form, posted from this very site, not known to be too large.
    pub(super) fn keeps(&self, method: &Method, fields: &Fields, origin: &str) -> bool {
        let length =
            fields.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        self.form
            && method == Method::POST
            && is_form(fields)
            && is_from(fields, origin)
            && length.is_none_or(|length| length <= self.limit)
    }
}

/// The length of the longest body in which a form comes back that had at most this one.
#[must_use]
pub const fn sealed_limit(limit: usize) -> usize {
    limit.div_ceil(3).saturating_mul(4).saturating_add(4096)
}

/// A form on its way through a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptForm {
    /// Where it was going, query included.
    pub(super) target: String,
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

impl KeptForm {
    /// What the browser keeps.
    pub(super) fn sealed(&self, seal: &Seal, now: UnixTime) -> String {
        let mut bytes = now.0.to_be_bytes().to_vec();
        for part in [self.target.as_bytes(), self.content_type.as_bytes()] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&self.body);
        seal.seal(&bytes, random::bytes())
    }

    /// What the browser sends back, if it is ours, not too old, and meant for this target.
    pub(super) fn open(seal: &Seal, form: &[u8], target: &Uri, now: UnixTime) -> Option<Self> {
        let (_, sealed) = form_urlencoded::parse(form).find(|(name, _)| name == FIELD)?;
        let mut bytes = seal.open(sealed.as_bytes())?;
        let at = UnixTime(bytes.try_get_u64().ok()?);
        let mut part = || {
            let length = usize::try_from(bytes.try_get_u64().ok()?).ok()?;
            (length <= bytes.len()).then(|| bytes.split_to(length))
        };
        let kept_target = String::from_utf8(part()?.to_vec()).ok()?;
        let content_type = HeaderValue::from_bytes(&part()?).ok()?;
        let is_meant = target.path_and_query().is_some_and(|target| target.as_str() == kept_target);
        let kept = Self { target: kept_target, content_type, body: bytes };
        (is_meant && now < at.plus(LIFETIME)).then_some(kept)
    }
}

/// Whether the body may be a sealed form that comes back: what our own page posts.
pub(super) fn may_be_kept_form(method: &Method, fields: &Fields, origin: &str) -> bool {
    let is_urlencoded =
        || fields.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    method == Method::POST && is_urlencoded() && is_from(fields, origin)
}

/// Whether the body is what a browser makes of a form (HTML §4.10.18.6).
fn is_form(fields: &Fields) -> bool {
    let Some(kind) = fields.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/x-www-form-urlencoded" | "multipart/form-data" | "text/plain")
}

/// Whether a page of this very site posted it. An address that somebody typed is nobody's form.
///
/// Under `Referrer-Policy: no-referrer` browsers write `Origin: null` into forms of the page's own (Fetch §3.2), so null
/// says nothing where Fetch Metadata says more.
fn is_from(fields: &Fields, origin: &str) -> bool {
    let from = fields.get(ORIGIN);
    let is_own = |from: &HeaderValue| from.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
    match fields.get("sec-fetch-site") {
        Some(site) => site == "same-origin" && from.is_none_or(|from| is_own(from) || from == "null"),
        None => from.is_some_and(is_own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::session::seal::{KeyRing, Purpose};

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn seal(site: &str) -> Seal {
        KeyRing::new([&Secret::new(*b"0123456789abcdef0123456789abcdef")]).unwrap().bind(Purpose::Form, site)
    }

    fn kept(body: &'static [u8]) -> KeptForm {
        KeptForm {
            target: "/book?class=7".to_owned(),
            content_type: HeaderValue::from_static("multipart/form-data; boundary=b0"),
            body: Bytes::from_static(body),
        }
    }

    fn sent_back(sealed: &str) -> Vec<u8> {
        form_urlencoded::Serializer::new(String::new()).append_pair(FIELD, sealed).finish().into_bytes()
    }

    #[test]
    fn a_form_comes_back_as_it_was() {
        let target = Uri::from_static("/book?class=7");
        for body in [&b""[..], b"a=1&b=2", &[0; 100_000]] {
            let form = sent_back(&kept(body).sealed(&seal("a"), NOW));
            assert_eq!(KeptForm::open(&seal("a"), &form, &target, NOW), Some(kept(body)));
        }
    }

    #[test]
    fn a_form_opens_only_where_it_was_going_on_its_own_site_and_within_an_hour() {
        let form = sent_back(&kept(b"a=1").sealed(&seal("a"), NOW));
        let open = |seal: &Seal, target: &'static str, now| {
            KeptForm::open(seal, &form, &Uri::from_static(target), now).is_some()
        };
        assert!(open(&seal("a"), "/book?class=7", NOW.plus(Duration::from_secs(3599))));
        assert!(!open(&seal("a"), "/book?class=7", NOW.plus(Duration::from_secs(3600))));
        assert!(!open(&seal("a"), "/book?class=8", NOW));
        assert!(!open(&seal("a"), "/transfer", NOW));
        assert!(!open(&seal("b"), "/book?class=7", NOW));
    }

    #[test]
    fn only_forms_of_the_site_itself_are_kept() {
        let preserve =
            Preserve { form: true, fragment: false, limit: 1000, room: Room::new(0), seal: seal("a") };
        let keeps = |fields: &[(&'static str, &str)]| {
            let name = http::header::HeaderName::from_static;
            let fields: Fields = fields.iter().map(|(n, value)| (name(n), value.parse().unwrap())).collect();
            preserve.keeps(&Method::POST, &fields, "https://a")
        };
        let form = ("content-type", "application/x-www-form-urlencoded");
        assert!(keeps(&[form, ("sec-fetch-site", "same-origin")]));
        assert!(keeps(&[
            form,
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://a"),
            ("content-length", "1000")
        ]));
        assert!(keeps(&[("content-type", "Multipart/Form-Data; boundary=x"), ("origin", "https://a")]));
        assert!(keeps(&[form, ("sec-fetch-site", "same-origin"), ("origin", "null")]));
        for fields in [
            &[form][..],
            &[form, ("sec-fetch-site", "cross-site")],
            &[form, ("sec-fetch-site", "same-site")],
            &[form, ("sec-fetch-site", "none")],
            &[form, ("origin", "https://b")],
            &[form, ("origin", "null")],
            &[form, ("sec-fetch-site", "same-origin"), ("origin", "https://b")],
            &[form, ("sec-fetch-site", "cross-site"), ("origin", "https://a")],
            &[form, ("sec-fetch-site", "same-origin"), ("content-length", "1001")],
            &[("content-type", "application/json"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin")],
        ] {
            assert!(!keeps(fields), "{fields:?}");
        }
    }
}
