//! What the head of a request has to be, on any site, before anybody looks at what it asks for.

use http::header::EXPECT;
use http::{Method, Request, Version};
use hyper::body::Incoming;

use super::refusal::Refusal;
use crate::route::{self, NoSite, Scheme};
use crate::server::Entrance;
use crate::server::peer::{self, Client};

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

/// What of a head is refused on any site.
pub(super) fn check(request: &Request<Incoming>, target_bytes: usize) -> Result<(), Refusal> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if length > target_bytes {
        return Err(Refusal::target_too_long());
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
    let expectations = request.headers().get_all(EXPECT).iter();
    if expectations.into_iter().any(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Refusal::unknown_expectation());
    }
    Ok(())
}
