//! What of a request goes on to the vendor, and what of its answer comes back.
//!
//! Nothing that an app shows to us, or its members to it, is for the vendor; and nothing comes back that somebody could
//! show to the vendor.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, HeaderValue, LOCATION, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING, VIA,
};
use reqwest::Url;

use super::sieve;
use crate::field_name::reads_as;
use crate::message::Fields;
use crate::upstream::fields::{drop_connection_specific, is_disguised, is_forwarding};

/// Says of an answer that it is ours, or why it is the vendor's 401 although we could have asked again.
pub const REASON: HeaderName = HeaderName::from_static("member-gateway-reason");

/// Fields of an answer that are there to carry a credential.
const CREDENTIALS: [&str; 9] = [
    "access-token",
    "authentication-info",
    "proxy-authentication-info",
    "refresh-token",
    "set-cookie2",
    "x-access-token",
    "x-auth-token",
    "x-id-token",
    "x-refresh-token",
];

/// Fields of a request that are not for the vendor, with their names folded.
const NOT_FOR_VENDOR: [&[u8]; 19] = [
    b"accept-encoding",
    b"authorization",
    b"connection",
    b"content-length",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"origin",
    b"referer",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"via",
    b"x-host",
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
];

/// And how the names of others begin. Rewriting servers ask for what stands in `X-Original-URL` and `X-Rewrite-URL`.
const NOT_FOR_VENDOR_FROM: [&[u8]; 5] = [b"proxy-", b"sec-", b"x-forwarded-", b"x-original-", b"x-rewrite-"];

/// Makes the fields of a request those that the vendor gets, beside the token.
pub(super) fn to_vendor(fields: &mut Fields) {
    drop_connection_specific(fields);
    let is_ours = |name: &HeaderName| {
        let text = name.as_str();
        is_forwarding(text) || is_disguised(text) || is_not_for_vendor(text)
    };
    fields.retain(|name, _| !is_ours(name));
    // Every request has it (<https://api.daxko.com/v3/docs/tutorials/getting_started>).
    fields.append_if_absent(ACCEPT, || HeaderValue::from_static("application/json"));
    // By this the gate knows what leads to itself (RFC 9110 §7.6.3).
    fields.insert(VIA, HeaderValue::from_static("1.1 member-gateway-relay"));
    // What is compressed nobody can look into.
    fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Whether a field is not for the vendor, however its name is spelt: it was said to us, is written anew, or has some server
/// of the vendor see another request than the one that was judged.
fn is_not_for_vendor(name: &str) -> bool {
    let name = name.trim_matches(|character: char| !character.is_ascii_alphanumeric());
    let begins = |start: &&[u8]| name.get(..start.len()).is_some_and(|text| reads_as(text, start));
    NOT_FOR_VENDOR.iter().any(|other| reads_as(name, other)) || NOT_FOR_VENDOR_FROM.iter().any(begins)
}

/// Makes the fields of an answer those that the app gets. `token` was attached to the request, and `asked` is where it went.
pub(super) fn to_app(fields: &mut Fields, token: &[u8], asked: &Url, base: &Url) {
    drop_connection_specific(fields);
    for name in [SET_COOKIE, TRAILER, REASON] {
        fields.remove(name);
    }
    let is_credential = |name: &HeaderName, value: &HeaderValue| {
        CREDENTIALS.contains(&name.as_str()) || holds_token(value.as_bytes(), token)
    };
    // All lines of a name go, where one of them is a credential.
    let names: Vec<HeaderName> = fields
        .iter()
        .filter(|(name, value)| is_credential(name, value))
        .map(|(name, _)| name.clone())
        .collect();
    fields.retain(|name, _| !names.contains(name));
    if let Some(here) = fields.get(LOCATION).and_then(|location| here(location, asked, base)) {
        fields.insert(LOCATION, here);
    }
}

/// Whether a value holds this token, or anything of the form that the vendor's tokens have: a JWT (RFC 7519 §3), which
/// begins with the Base64 of `{"`.
fn holds_token(value: &[u8], token: &[u8]) -> bool {
    if sieve::holds(value, token) {
        return true;
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
    memchr::memmem::find_iter(value, b"eyJ").any(|at| {
        let mut parts = value[at..].split(|&byte| byte == b'.');
        let (first, second) = (parts.next(), parts.next());
        first.is_some_and(|first| first.iter().all(is_part))
            && second.is_some_and(|second| second.first().is_some_and(is_part))
    })
}

/// Whether an answer is in a coding, although none was asked for: a token that stands in it would not be found.
pub(super) fn is_coded(fields: &Fields) -> bool {
    let has_other = |name, none: &[u8]| {
        let codings = fields.get_all(name).flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        codings.map(<[u8]>::trim_ascii).any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(none))
    };
    has_other(CONTENT_ENCODING, b"identity") || has_other(TRANSFER_ENCODING, b"chunked")
}

/// An address of the API as it is here: a path below the relay. One elsewhere stays as it is.
fn here(location: &HeaderValue, asked: &Url, base: &Url) -> Option<HeaderValue> {
    let there = asked.join(location.to_str().ok()?).ok()?;
    let path = there.path().strip_prefix(base.path().trim_end_matches('/'))?;
    if there.origin() != base.origin() || !path.starts_with('/') || path.starts_with("//") {
        return None;
    }
    let query = there.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("{path}{query}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"opaque-0123456789";

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        fields
    }

    fn names(fields: &Fields) -> Vec<&str> {
        let mut names: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_an_app_or_its_members_show_does_not_go_on() {
        let mut sent = fields(&[
            ("accept", "text/csv"),
            ("accept-encoding", "gzip"),
            ("authorization", "Bearer key"),
            ("cookie", "__Host-member-session=x"),
            ("proxy-authorization", "Basic eDp5"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("forwarded", "for=192.0.2.7"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-real-ip", "192.0.2.7"),
            ("via", "1.1 egress"),
            ("host", "127.0.0.1:8091"),
            ("content-type", "application/json"),
            ("x-request-id", "1"),
            ("x-original-url", "/v3/partners/oauth2/token"),
            ("X_Original_Url", "/v3/partners/oauth2/token"),
            ("x-original-host", "evil.test"),
            ("x-rewrite-url", "/v3/partners/oauth2/token"),
            ("x-http-method", "DELETE"),
            ("x-http-method-override", "DELETE"),
            ("x.method.override", "DELETE"),
            ("transfer_encoding", "chunked"),
            ("content_length", "1"),
            ("x_forwarded_for", "192.0.2.7"),
            ("authorization_", "Bearer key"),
            ("authorization.", "Bearer key"),
            ("_cookie", "a=b"),
            ("accept_encoding", "gzip"),
            ("proxy", "http://evil.test"),
            ("x_request_id", "2"),
        ]);
        to_vendor(&mut sent);
        assert_eq!(names(&sent), ["accept", "accept-encoding", "content-type", "via", "x-request-id"]);
        assert_eq!(
            (&sent[ACCEPT], &sent[VIA]),
            (&"text/csv".parse().unwrap(), &"1.1 member-gateway-relay".parse().unwrap())
        );
        let mut sent = Fields::new();
        to_vendor(&mut sent);
        assert_eq!(sent[ACCEPT], "application/json");
    }

    #[test]
    fn nothing_comes_back_that_could_be_shown_to_the_vendor() {
        let asked = Url::parse("https://api.example/v3/members/1").unwrap();
        let base = Url::parse("https://api.example").unwrap();
        let mut answer = fields(&[
            ("content-type", "application/json"),
            ("set-cookie", "session=1"),
            ("x-auth-token", "abc"),
            ("x-debug", "sent opaque-0123456789"),
            ("x-asked", "/login?token=opaque%2D0123456789"),
            (
                "www-authenticate",
                "Bearer error_description=\"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig has expired\"",
            ),
            ("x-next-page-token", "eyJhIjoxfQ"),
            ("transfer-encoding", "chunked"),
            ("x-ratelimit-remaining", "7"),
        ]);
        to_app(&mut answer, TOKEN, &asked, &base);
        assert_eq!(names(&answer), ["content-type", "x-next-page-token", "x-ratelimit-remaining"]);
    }

    #[test]
    fn an_address_of_the_api_is_a_path_here_and_any_other_stays() {
        for (base, location, expected) in [
            ("https://api.example", "https://api.example/v3/units/2?a=b", "/v3/units/2?a=b"),
            ("https://api.example", "/v3/units/2", "/v3/units/2"),
            ("https://api.example/api", "https://api.example/api/v3/units/2", "/v3/units/2"),
            ("https://api.example/api", "https://api.example/other", "https://api.example/other"),
            ("https://api.example", "https://elsewhere.example/v3", "https://elsewhere.example/v3"),
            (
                "https://api.example",
                "https://api.example//elsewhere.example/",
                "https://api.example//elsewhere.example/",
            ),
        ] {
            let base = Url::parse(base).unwrap();
            let asked = base.join("v3/units").unwrap();
            let mut answer = fields(&[("location", location)]);
            to_app(&mut answer, TOKEN, &asked, &base);
            assert_eq!(answer[LOCATION], expected, "{location}");
        }
    }
}
