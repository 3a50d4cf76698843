//! Challenges: what a stranger gets where a session is needed.
//!
//! A person who is going somewhere is sent to sign in. A script, a frame or a socket is told, for a redirect to another
//! site would only die on CORS and take the script's error handling with it.

use http::header::{
    ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderName, ORIGIN,
    TRANSFER_ENCODING,
};
use http::{Method, Version};

use super::refusal::Audience;
use crate::message::Fields;
use crate::route::rule::Unauthenticated;
use crate::upstream::upgrade;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// What a stranger gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// 302 to sign in; the browser comes back to what it asked for.
    SignIn,
    /// 303 to the login that returns to the same path: what was sent with the request cannot be repeated by a redirect.
    SignInFirst,
    /// 401 with the address of the login.
    Unauthorized,
}

/// Decides from the fields of a request alone.
#[must_use]
pub fn challenge(method: &Method, version: Version, fields: &Fields, wish: Unauthenticated) -> Challenge {
    let may_redirect = match wish {
        Unauthenticated::Status401 => false,
        Unauthenticated::Login => true,
        Unauthenticated::Auto => is_navigation(fields),
    };
    if !may_redirect || is_prefetch(fields) || upgrade::is_websocket(method, version, fields) {
        Challenge::Unauthorized
    } else if method == Method::GET || method == Method::HEAD {
        Challenge::SignIn
    } else {
        Challenge::SignInFirst
    }
}

/// Whether a person is going to see the answer as a page of its own.
///
/// Browsers say so in Fetch Metadata; of older ones only `Accept` can be asked.
#[must_use]
pub fn is_navigation(fields: &Fields) -> bool {
    if let Some(mode) = fields.get(SEC_FETCH_MODE) {
        return mode == "navigate" && fields.get(SEC_FETCH_DEST).is_none_or(|dest| dest == "document");
    }
    accepts_html(fields)
        && !fields
            .get(X_REQUESTED_WITH)
            .is_some_and(|by| by.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"))
}

fn accepts_html(fields: &Fields) -> bool {
    fields.get_all(ACCEPT).any(|line| {
        line.to_str().is_ok_and(|line| {
            line.split(',').any(|range| {
                range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case("text/html"))
            })
        })
    })
}

/// Whether the browser is only guessing where the person will go next.
#[must_use]
pub fn is_prefetch(fields: &Fields) -> bool {
    fields.get(SEC_PURPOSE).is_some_and(|purpose| purpose.as_bytes().starts_with(b"prefetch"))
}

/// Whether the browser says that it fetches something for a page, and that nobody is going there.
#[must_use]
pub fn is_subresource(fields: &Fields) -> bool {
    fields.get(SEC_FETCH_MODE).is_some_and(|mode| mode != "navigate")
}

/// Whether the request is a CORS preflight (Fetch §4.8): the browser's own question. It has no body and carries neither
/// cookies nor credentials; what does is something else that wants to pass for one.
#[must_use]
pub fn is_preflight(method: &Method, fields: &Fields) -> bool {
    const NEVER: [HeaderName; 3] = [COOKIE, AUTHORIZATION, TRANSFER_ENCODING];
    method == Method::OPTIONS
        && fields.contains_key(ORIGIN)
        && fields.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        && !NEVER.iter().any(|name| fields.contains_key(name))
        && fields.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// Whether a page of this very site sent the request.
#[must_use]
pub fn is_same_origin(fields: &Fields, origin: &str) -> bool {
    match (fields.get(SEC_FETCH_SITE), fields.get(ORIGIN)) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(from)) => from.as_bytes().eq_ignore_ascii_case(origin.as_bytes()),
        (None, None) => false,
    }
}

/// Who is going to read a refusal.
#[must_use]
pub fn audience(fields: &Fields) -> Audience {
    let reads_pages =
        fields.get(SEC_FETCH_MODE).map_or_else(|| is_navigation(fields), |mode| mode == "navigate");
    if reads_pages { Audience::Person } else { Audience::Program }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

    fn answer(method: &Method, fields: &[(&str, &str)], wish: Unauthenticated) -> Challenge {
        let fields: Fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), value.parse().unwrap()))
            .collect();
        challenge(method, Version::HTTP_11, &fields, wish)
    }

    #[test]
    fn a_navigation_is_sent_to_sign_in_and_everything_else_is_told() {
        let auto = Unauthenticated::Auto;
        for (method, fields, expected) in [
            (Method::GET, &[NAVIGATE, ("sec-fetch-dest", "document")][..], Challenge::SignIn),
            (Method::HEAD, &[NAVIGATE], Challenge::SignIn),
            (Method::POST, &[NAVIGATE, ("sec-fetch-dest", "document")], Challenge::SignInFirst),
            (Method::GET, &[PAGE], Challenge::SignIn),
            (Method::PUT, &[PAGE], Challenge::SignInFirst),
            (Method::GET, &[NAVIGATE, ("sec-fetch-dest", "iframe")], Challenge::Unauthorized),
            (Method::GET, &[NAVIGATE, ("sec-fetch-dest", "object")], Challenge::Unauthorized),
            (Method::GET, &[("sec-fetch-mode", "cors"), PAGE], Challenge::Unauthorized),
            (
                Method::GET,
                &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
                Challenge::Unauthorized,
            ),
            (Method::GET, &[PAGE, ("x-requested-with", "XMLHttpRequest")], Challenge::Unauthorized),
            (Method::GET, &[("accept", "application/json")], Challenge::Unauthorized),
            (Method::GET, &[("accept", "*/*")], Challenge::Unauthorized),
            (Method::GET, &[("accept", "text/html+x, x/text/html")], Challenge::Unauthorized),
            (Method::GET, &[], Challenge::Unauthorized),
            (Method::GET, &[NAVIGATE, ("sec-purpose", "prefetch")], Challenge::Unauthorized),
            (Method::GET, &[NAVIGATE, ("sec-purpose", "prefetch;prerender")], Challenge::Unauthorized),
            (
                Method::GET,
                &[PAGE, ("connection", "upgrade"), ("upgrade", "websocket")],
                Challenge::Unauthorized,
            ),
        ] {
            assert_eq!(answer(&method, fields, auto), expected, "{method} {fields:?}");
        }
    }

    #[test]
    fn a_rule_may_wish_otherwise() {
        assert_eq!(answer(&Method::GET, &[NAVIGATE], Unauthenticated::Status401), Challenge::Unauthorized);
        assert_eq!(answer(&Method::GET, &[("accept", "*/*")], Unauthenticated::Login), Challenge::SignIn);
        assert_eq!(answer(&Method::POST, &[], Unauthenticated::Login), Challenge::SignInFirst);
        let socket = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(answer(&Method::GET, &socket, Unauthenticated::Login), Challenge::Unauthorized);
    }
}
