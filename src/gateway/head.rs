//! What the head of a request has to be, on any site, before anybody looks at what it asks for.

use http::header::{COOKIE, EXPECT, HeaderValue, MAX_FORWARDS};
use http::{Method, Version};

use super::body::{Body, Own};
use super::refusal::Refusal;
use crate::message::{Request, Response};
use crate::route::{self, NoSite, Scheme};
use crate::server::peer::{self, Client};
use crate::server::{Entrance, Incoming};

/// The authority that a request is for: its own, or what a trusted proxy says the client asked for.
pub(super) fn asked_for<'a, B>(request: &'a Request<B>, client: &Client) -> Result<&'a [u8], NoSite> {
    let asked = route::authority(request.headers(), request.uri(), request.version())?;
    let forwarded = client.via_trusted_proxy.then(|| peer::forwarded_host(request.headers())).flatten();
    Ok(forwarded.unwrap_or(asked))
}

/// Whether the scheme is the one that is spoken: over HTTP/2 each request names its own (RFC 9113 §8.3.1).
pub(super) fn names_its_scheme<B>(request: &Request<B>, entrance: Entrance) -> bool {
    let spoken = if entrance == Entrance::Tls { Scheme::Https } else { Scheme::Http };
    request.version() != Version::HTTP_2
        || request.uri().scheme_str().is_none_or(|scheme| scheme == spoken.as_str())
}

/// What is borne in a head, beyond the limits of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The longest target, in octets.
    pub target_bytes: usize,
    /// Cookies, however many lines they stand in.
    pub cookies: usize,
}

/// What of a head is refused on any site.
pub(super) fn check(request: &Request<Incoming>, limits: HeadLimits) -> Result<(), Refusal> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if length > limits.target_bytes {
        return Err(Refusal::target_too_long());
    }
    let cookies = request.headers().get_all(COOKIE);
    // Each may be one of ours, which costs as much as opening it.
    let cookies = cookies.map(|line| 1 + memchr::memchr_iter(b';', line.as_bytes()).count());
    if cookies.sum::<usize>() > limits.cookies {
        return Err(Refusal::too_many_cookies());
    }
    // A rule for `DELETE` must not be evaded by `delete`, which some frameworks take for the same (RFC 9110 §9.1 does not).
    let in_capitals = !request.method().as_str().bytes().any(|byte| byte.is_ascii_lowercase());
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) || !in_capitals {
        return Err(Refusal::method_not_served());
    }
    // What is signed has to be ASCII, and an honest target is.
    let target_is_ascii =
        uri.path_and_query().is_some_and(|target| target.as_str().bytes().all(|b| b.is_ascii_graphic()));
    let is_http = uri.scheme_str().is_none_or(|scheme| matches!(scheme, "http" | "https"));
    if !target_is_ascii || !is_http || !uri.path().starts_with('/') {
        return Err(Refusal::target_not_ascii());
    }
    let expectations = request.headers().get_all(EXPECT);
    if expectations.into_iter().any(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Refusal::unknown_expectation());
    }
    Ok(())
}

/// Counts down how far an OPTIONS may still go, where it says so. One that may go nowhere is answered here (RFC 9110 §7.6.2),
/// and so is one that says what cannot be understood.
pub(super) fn goes_no_further<B>(request: &mut Request<B>) -> Option<Response<Body>> {
    if *request.method() != Method::OPTIONS {
        return None;
    }
    let mut limits = request.headers().get_all(MAX_FORWARDS);
    let left = match (limits.next(), limits.next()) {
        (None, _) => return None,
        (Some(limit), None) => count(limit).and_then(|limit| limit.checked_sub(1)),
        (Some(_), Some(_)) => None,
    };
    let Some(left) = left else { return Some(Own::empty()) };
    request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from(left));
    None
}

/// A number of digits alone; one that has too many is the largest that we know.
fn count(limit: &HeaderValue) -> Option<u32> {
    let digits =
        limit.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty())?;
    Some(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an OPTIONS with these limits says when it goes on; nothing where it does not.
    fn goes_on(limits: &[&str]) -> Option<Vec<String>> {
        let mut request = Request::new(());
        *request.method_mut() = Method::OPTIONS;
        for limit in limits {
            request.headers_mut().append(MAX_FORWARDS, limit.parse().unwrap());
        }
        goes_no_further(&mut request).is_none().then(|| {
            let left = request.headers().get_all(MAX_FORWARDS);
            left.map(|left| left.to_str().unwrap().to_owned()).collect()
        })
    }

    #[test]
    fn options_go_as_far_as_they_say_and_no_further() {
        for (limits, expected) in [
            (&[][..], Some(&[][..])),
            (&["1"], Some(&["0"])),
            (&["10"], Some(&["9"])),
            (&["0010"], Some(&["9"])),
            (&["99999999999999999999"], Some(&["4294967294"])),
            (&["0"], None),
            (&["000"], None),
            (&[""], None),
            (&["-1"], None),
            (&["+1"], None),
            (&["1, 2"], None),
            (&["x"], None),
            (&["5", "5"], None),
        ] {
            let expected = expected.map(|left| left.iter().map(|&left| left.to_owned()).collect());
            assert_eq!(goes_on(limits), expected, "{limits:?}");
        }
    }

    /// RFC 9110 leaves it to other methods whether they count.
    #[test]
    fn no_other_method_counts() {
        let mut request = Request::new(());
        request.headers_mut().append(MAX_FORWARDS, HeaderValue::from_static("0"));
        assert!(goes_no_further(&mut request).is_none());
        assert_eq!(request.headers()[MAX_FORWARDS], "0");
    }
}
