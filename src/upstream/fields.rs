//! Fields that belong to one connection, and those that tell the upstream about the other one.
//!
//! What a client says about its own connection is dropped first; only then anything is added, so that nobody can name
//! our fields in `Connection` and have them dropped (RFC 9110 §7.6.1).

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, FORWARDED, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};

use crate::field_name::reads_as;
use crate::route::Origin;
use crate::server::peer::{Client, X_FORWARDED_FOR, X_FORWARDED_HOST};

const X_FORWARDED: &[u8] = b"x-forwarded-";
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

const CONNECTION_SPECIFIC: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("http2-settings"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Which fields tell the upstream where a request came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedStyle {
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `X-Real-IP`
    #[default]
    X,
    /// `Forwarded` (RFC 7239)
    Rfc7239,
    /// All of them.
    Both,
    /// None.
    Neither,
}

/// Drops what belongs to the connection a message came over, and whatever its `Connection` field names.
pub fn drop_connection_specific(fields: &mut HeaderMap) {
    if fields.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = fields
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        for name in named {
            fields.remove(name);
        }
    }
    for name in &CONNECTION_SPECIFIC {
        fields.remove(name);
    }
}

/// Drops what tells, or pretends to tell, where a request came from, in any spelling; and `Proxy`, which CGI turns into
/// the address of a proxy (CVE-2016-5386).
pub fn drop_forwarding(fields: &mut HeaderMap) {
    let is_forwarding = |name: &HeaderName| {
        let text = name.as_str();
        match text.as_bytes().first() {
            Some(b'x') => {
                reads_as(text, b"x-real-ip")
                    || text
                        .get(..X_FORWARDED.len())
                        .is_some_and(|start| text.len() > X_FORWARDED.len() && reads_as(start, X_FORWARDED))
            }
            Some(b'f') => reads_as(text, b"forwarded"),
            Some(b'p') => reads_as(text, b"proxy"),
            Some(_) | None => false,
        }
    };
    let dropped: Vec<HeaderName> = fields.keys().filter(|name| is_forwarding(name)).cloned().collect();
    for name in dropped {
        fields.remove(name);
    }
}

/// Tells the upstream where a request came from. What a trusted proxy said before is continued, what anybody else said
/// is gone.
pub fn rebuild_forwarding(fields: &mut HeaderMap, style: ForwardedStyle, client: &Client, origin: &Origin) {
    let chain = |name: &HeaderName| {
        let lines: Vec<&[u8]> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        (client.via_trusted_proxy && !lines.is_empty()).then(|| lines.join(&b", "[..]))
    };
    let (before_us, elements_before_us) = (chain(&X_FORWARDED_FOR), chain(&FORWARDED));
    drop_forwarding(fields);
    let continued = |before: Option<Vec<u8>>, ours: String| {
        let bytes = before.map_or_else(
            || ours.clone().into_bytes(),
            |before| [before.as_slice(), b", ", ours.as_bytes()].concat(),
        );
        HeaderValue::from_bytes(&bytes)
            .or_else(|_| HeaderValue::try_from(ours))
            .expect("an address is a field value")
    };
    let text = |text: &str| HeaderValue::try_from(text).expect("an origin is ASCII");
    if matches!(style, ForwardedStyle::X | ForwardedStyle::Both) {
        fields.insert(X_FORWARDED_FOR, continued(before_us, client.peer.to_string()));
        fields.insert(X_REAL_IP, text(&client.address.to_string()));
        fields.insert(X_FORWARDED_PROTO, HeaderValue::from_static(origin.scheme().as_str()));
        fields.insert(X_FORWARDED_HOST, text(origin.authority()));
    }
    if matches!(style, ForwardedStyle::Rfc7239 | ForwardedStyle::Both) {
        let node = match client.peer {
            IpAddr::V4(address) => address.to_string(),
            // RFC 7239 §6: brackets, and quotes around them.
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        let element =
            format!("for={node};host=\"{}\";proto={}", origin.authority(), origin.scheme().as_str());
        fields.insert(FORWARDED, continued(elements_before_us, element));
    }
}

/// Whether the framing of an answer can be read in more than one way (RFC 9112 §6.3): then it is no answer at all.
#[must_use]
pub fn is_ambiguous(fields: &HeaderMap) -> bool {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    let (length, another_length) = (lengths.next(), lengths.next());
    let (coding, another_coding) = (codings.next(), codings.next());
    let is_list = length.is_some_and(|length| !length.as_bytes().iter().all(u8::is_ascii_digit));
    let is_odd = coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    another_length.is_some()
        || another_coding.is_some()
        || is_list
        || is_odd
        || (length.is_some() && coding.is_some())
}

/// Whether a message authenticates its connection instead of itself, as NTLM does: such a connection belongs to one
/// member for good.
#[must_use]
pub fn authenticates_connection(fields: &HeaderMap) -> bool {
    const FIELDS: [HeaderName; 4] =
        [AUTHORIZATION, PROXY_AUTHORIZATION, WWW_AUTHENTICATE, PROXY_AUTHENTICATE];
    let names = |line: &HeaderValue, scheme: &[u8]| {
        line.as_bytes().split(|&byte| byte == b',').any(|challenge| {
            let challenge = challenge.trim_ascii();
            challenge.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
    };
    FIELDS
        .iter()
        .flat_map(|name| fields.get_all(name))
        .any(|line| names(line, b"ntlm") || names(line, b"negotiate"))
}

/// Drops names that an upstream may take for one of HTTP's own although they are spelt otherwise: CGI makes
/// `Transfer_Encoding` and `Transfer-Encoding` one variable.
pub fn drop_disguised(fields: &mut HeaderMap) {
    const OWN: [&[u8]; 6] =
        [b"connection", b"content-length", b"cookie", b"host", b"transfer-encoding", b"x-request-id"];
    let is_disguised = |name: &HeaderName| {
        let text = name.as_str();
        // All of these are letters and hyphens, so only a name with another character can be one in disguise.
        text.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'-')
            && OWN.iter().any(|own| reads_as(text, own))
    };
    let dropped: Vec<HeaderName> = fields.keys().filter(|name| is_disguised(name)).cloned().collect();
    for name in dropped {
        fields.remove(name);
    }
}

/// Whether a trailer may pass: nothing that frames, routes, authenticates or sets a cookie (RFC 9110 §6.5.1).
#[must_use]
pub fn may_be_trailer(name: &HeaderName) -> bool {
    const NEVER: [&str; 14] = [
        "authorization",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "host",
        "location",
        "proxy-authenticate",
        "set-cookie",
        "set-cookie2",
        "trailer",
        "transfer-encoding",
        "www-authenticate",
    ];
    !NEVER.contains(&name.as_str()) && !CONNECTION_SPECIFIC.contains(name)
}

/// Rewrites `Trailer` so that it names only what will pass.
pub fn rebuild_trailer(fields: &mut HeaderMap, may_pass: impl Fn(&HeaderName) -> bool) {
    if !fields.contains_key(TRAILER) {
        return;
    }
    let names: Vec<String> = fields
        .get_all(TRAILER)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| may_pass(name))
        .map(|name| name.as_str().to_owned())
        .collect();
    fields.remove(TRAILER);
    if let Some(value) = (!names.is_empty()).then(|| HeaderValue::try_from(names.join(", ")).ok()).flatten() {
        fields.insert(TRAILER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let name = |name: &str| HeaderName::try_from(name).unwrap();
        fields.iter().map(|(field, value)| (name(field), value.parse().unwrap())).collect()
    }

    fn client(peer: &str, address: &str, via_trusted_proxy: bool) -> Client {
        Client { peer: peer.parse().unwrap(), address: address.parse().unwrap(), via_trusted_proxy }
    }

    fn origin() -> Origin {
        Origin::parse("https://members.example.org:8443").unwrap()
    }

    #[test]
    fn what_belongs_to_a_connection_does_not_go_on() {
        let mut fields = map(&[
            ("connection", "close, X-Odd"),
            ("connection", ""),
            ("connection", "x-other , keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("transfer-encoding", "chunked"),
            ("x-odd", "1"),
            ("x-other", "2"),
            ("accept", "*/*"),
        ]);
        drop_connection_specific(&mut fields);
        assert_eq!(fields, map(&[("accept", "*/*")]));
    }

    #[test]
    fn nobody_but_a_trusted_proxy_says_where_a_request_came_from() {
        let forged = [
            ("x-forwarded-for", "6.6.6.6"),
            ("X_Forwarded_For", "6.6.6.6"),
            ("x-forwarded-user", "admin"),
            ("x.forwarded.host", "evil.test"),
            ("x-real-ip", "6.6.6.6"),
            ("X_Real_IP", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("proxy", "http://evil.test"),
            ("x-forwarded", "kept"),
            ("x-forwards-a", "kept"),
        ];
        let mut fields = map(&forged);
        rebuild_forwarding(
            &mut fields,
            ForwardedStyle::X,
            &client("192.0.2.1", "192.0.2.1", false),
            &origin(),
        );
        let expected = map(&[
            ("x-forwarded", "kept"),
            ("x-forwards-a", "kept"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-real-ip", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "members.example.org:8443"),
        ]);
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_a_trusted_proxy_said_is_continued() {
        let before = [
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("forwarded", "for=198.51.100.1"),
        ];
        let mut fields = map(&before);
        rebuild_forwarding(
            &mut fields,
            ForwardedStyle::Both,
            &client("10.0.0.1", "198.51.100.1", true),
            &origin(),
        );
        assert_eq!(fields["x-forwarded-for"], "198.51.100.1, 10.0.0.2, 10.0.0.1");
        assert_eq!(fields["x-real-ip"], "198.51.100.1");
        assert_eq!(
            fields["forwarded"],
            "for=198.51.100.1, for=10.0.0.1;host=\"members.example.org:8443\";proto=https"
        );
    }

    #[test]
    fn each_style_sends_what_it_says() {
        let sent = |style| {
            let mut fields = map(&[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "6.6.6.6")]);
            rebuild_forwarding(&mut fields, style, &client("2001:db8::1", "2001:db8::1", false), &origin());
            let mut names: Vec<String> = fields.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        let x = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
        assert_eq!(sent(ForwardedStyle::X), x);
        assert_eq!(sent(ForwardedStyle::Rfc7239), ["forwarded"]);
        assert_eq!(sent(ForwardedStyle::Both), [&["forwarded"], &x[..]].concat());
        assert_eq!(sent(ForwardedStyle::Neither), [""; 0]);
    }

    #[test]
    fn a_trailer_names_only_what_passes() {
        let mut fields =
            map(&[("trailer", "x-checksum, Set-Cookie"), ("trailer", "content-length,x-member-id")]);
        rebuild_trailer(&mut fields, |name| may_be_trailer(name) && name != "x-member-id");
        assert_eq!(fields["trailer"], "x-checksum");
    }
}
