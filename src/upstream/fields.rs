//! Fields that belong to one connection, and those that tell the upstream about the other one.
//!
//! What a client says about its own connection is dropped first; only then anything is added, so that nobody can name
//! our fields in `Connection` and have them dropped (RFC 9110 §7.6.1).

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING,
};

use crate::field_lines::Lines;
use crate::field_name::reads_as;
use crate::message::Fields;
use crate::route::Scheme;
use crate::server::peer::{Client, X_FORWARDED_FOR, X_FORWARDED_HOST};

const X_FORWARDED: &[u8] = b"x-forwarded-";
/// `X-Forwarded-Proto`
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

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
pub fn drop_connection_specific(fields: &mut Fields) {
    let named = OfConnection::named_in(fields);
    fields.retain(|name, _| !is_connection_specific(name) && !named.contains(name));
}

/// Whether a field of a request is not for an upstream, by its name: what belongs to the connection; what tells, or pretends
/// to tell, where the request came from; what an upstream may take for another field; what was said to the gateway alone.
#[must_use]
pub fn is_not_for_upstreams(name: &HeaderName) -> bool {
    let text = name.as_str();
    is_connection_specific(name)
        || is_forwarding(text)
        || is_disguised(text)
        || matches!(text, "expect" | "trailer")
}

/// Where a request came from, as a trusted proxy wrote it.
#[derive(Debug, Default)]
pub struct Before {
    /// `X-Forwarded-For`
    hops: Option<Vec<u8>>,
    /// `Forwarded`
    elements: Option<Vec<u8>>,
}

impl Before {
    /// Takes a line that a trusted proxy has sent, if it is one of these.
    pub fn take(&mut self, name: &HeaderName, line: &HeaderValue) {
        let chain = match name {
            name if *name == X_FORWARDED_FOR => &mut self.hops,
            name if *name == FORWARDED => &mut self.elements,
            _ => return,
        };
        match chain {
            Some(lines) => {
                lines.extend_from_slice(b", ");
                lines.extend_from_slice(line.as_bytes());
            }
            None => *chain = Some(line.as_bytes().to_vec()),
        }
    }
}

/// The fields that `Connection` says are for the connection alone (RFC 9110 §7.6.1).
#[derive(Debug)]
pub struct OfConnection {
    /// In the order of the alphabet: there may be many, and each field is looked for.
    names: Vec<HeaderName>,
}

impl OfConnection {
    /// Those that are named in these fields.
    #[must_use]
    pub fn named_in(fields: &Fields) -> Self {
        let mut names = Vec::new();
        // Nearly all say one of these and nothing else, which is no field, or one that goes anyway.
        let is_common = |option: &[u8]| {
            option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close")
        };
        for line in fields.get_all(CONNECTION).map(HeaderValue::as_bytes).filter(|line| !is_common(line)) {
            let options = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            let named = options.filter(|option| !is_common(option));
            names.extend(named.filter_map(|name| HeaderName::from_bytes(name).ok()));
        }
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        Self { names }
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, name: &HeaderName) -> bool {
        !self.names.is_empty()
            && self.names.binary_search_by(|known| known.as_str().cmp(name.as_str())).is_ok()
    }
}

fn is_connection_specific(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What tells where a request came from, in any spelling; and `Proxy`, which CGI turns into the address of a proxy
/// (CVE-2016-5386).
#[must_use]
pub fn is_forwarding(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => {
            reads_as(name, b"x-real-ip")
                || name
                    .get(..X_FORWARDED.len())
                    .is_some_and(|start| name.len() > X_FORWARDED.len() && reads_as(start, X_FORWARDED))
        }
        Some(b'f') => reads_as(name, b"forwarded"),
        Some(b'p') => reads_as(name, b"proxy"),
        Some(_) | None => false,
    }
}

/// Whether an upstream may take a name for one of HTTP's own although it is spelt otherwise: CGI makes
/// `Transfer_Encoding` and `Transfer-Encoding` one variable.
#[must_use]
pub fn is_disguised(name: &str) -> bool {
    let own: &[&[u8]] = match name.len() {
        4 => &[b"host"],
        6 => &[b"cookie"],
        10 => &[b"connection", b"keep-alive"],
        12 => &[b"x-request-id"],
        14 => &[b"content-length", b"http2-settings"],
        16 => &[b"proxy-connection"],
        17 => &[b"transfer-encoding"],
        18 => &[b"proxy-authenticate"],
        19 => &[b"proxy-authorization"],
        _ => return false,
    };
    own.iter().any(|own| reads_as(name, own) && name.as_bytes() != *own)
}

/// What an upstream is told about where a request came from, beside what was dropped.
#[derive(Clone, Copy, Debug)]
pub struct Whence<'a> {
    /// Who sent it.
    pub client: &'a Client,
    /// The peer's address, written out.
    pub peer: &'a HeaderValue,
    /// The scheme of the site.
    pub scheme: Scheme,
    /// The authority of the site.
    pub authority: &'a HeaderValue,
}

/// Tells the upstream where a request came from. What a trusted proxy said before is continued, what anybody else said
/// is gone.
pub fn write_forwarding(lines: &mut impl Lines, style: ForwardedStyle, whence: &Whence<'_>, before: &Before) {
    let Whence { client, peer, scheme, authority } = *whence;
    let continued = |before: Option<&Vec<u8>>, ours: &HeaderValue| {
        let whole = [before?.as_slice(), b", ", ours.as_bytes()].concat();
        // What cannot be continued is begun anew.
        HeaderValue::from_bytes(&whole).ok()
    };
    if matches!(style, ForwardedStyle::X | ForwardedStyle::Both) {
        let hops = continued(before.hops.as_ref(), peer);
        lines.field(&X_FORWARDED_FOR, hops.as_ref().unwrap_or(peer));
        if client.address == client.peer {
            lines.field(&X_REAL_IP, peer);
        } else {
            lines.field(&X_REAL_IP, &written(client.address));
        }
        lines.text(&X_FORWARDED_PROTO, scheme.as_str().as_bytes());
        lines.field(&X_FORWARDED_HOST, authority);
    }
    if matches!(style, ForwardedStyle::Rfc7239 | ForwardedStyle::Both) {
        let node = match client.peer {
            IpAddr::V4(address) => address.to_string(),
            // RFC 7239 §6: brackets, and quotes around them.
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        let host = authority.to_str().unwrap_or_default();
        let element = format!("for={node};host=\"{host}\";proto={}", scheme.as_str());
        let element =
            HeaderValue::try_from(element).expect("an address, an authority and a scheme are ASCII");
        let elements = continued(before.elements.as_ref(), &element);
        lines.field(&FORWARDED, elements.as_ref().unwrap_or(&element));
    }
}

/// An address as a field value.
///
/// # Panics
/// Never: an address is written in ASCII.
#[must_use]
pub fn written(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).expect("an address is ASCII")
}

/// Whether the framing of an answer can be read in more than one way (RFC 9112 §6.3): then it is no answer at all.
#[must_use]
pub fn is_ambiguous(fields: &Fields) -> bool {
    let mut lengths = fields.get_all(CONTENT_LENGTH);
    let mut codings = fields.get_all(TRANSFER_ENCODING);
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

/// Whether an answer asks for credentials of the connection instead of the message, as NTLM does: such a connection belongs
/// to one member for good.
#[must_use]
pub fn authenticates_connection(fields: &Fields) -> bool {
    // A look at each name is cheaper than two searches for what is rarely there.
    let authenticates =
        |name: &HeaderName| matches!(name.as_str(), "www-authenticate" | "proxy-authenticate");
    fields.iter().filter(|(name, _)| authenticates(name)).any(|(_, line)| names_scheme_of_connections(line))
}

/// Whether credentials, or one of several challenges, are for a connection instead of a message.
#[must_use]
pub fn names_scheme_of_connections(line: &HeaderValue) -> bool {
    let names = |scheme: &[u8]| {
        line.as_bytes().split(|&byte| byte == b',').any(|challenge| {
            let challenge = challenge.trim_ascii();
            challenge.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
    };
    names(b"ntlm") || names(b"negotiate")
}

/// Whether a trailer may pass: nothing that frames, routes, authenticates, sets a cookie or says where a request came from
/// (RFC 9110 §6.5.1). An upstream may put trailers among the other fields, and then read their names in its own way.
#[must_use]
pub fn may_be_trailer(name: &HeaderName) -> bool {
    const NEVER: [&[u8]; 25] = [
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"location",
        b"max-forwards",
        b"proxy-authenticate",
        b"set-cookie",
        b"set-cookie2",
        b"signature",
        b"signature-input",
        b"traceparent",
        b"tracestate",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        b"www-authenticate",
        b"x-request-id",
    ];
    let text = name.as_str();
    // A quotation mark is let pass by h2 alone.
    let is_token = !text.contains('"');
    is_token
        && !NEVER.iter().any(|never| reads_as(text, never))
        && !is_connection_specific(name)
        && !is_forwarding(text)
}

/// Rewrites `Trailer` so that it names only what will pass.
pub fn rebuild_trailer(fields: &mut Fields, may_pass: impl Fn(&HeaderName) -> bool) {
    if !fields.contains_key(TRAILER) {
        return;
    }
    let names: Vec<String> = fields
        .get_all(TRAILER)
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

    fn map(fields: &[(&str, &str)]) -> Fields {
        let name = |name: &str| HeaderName::try_from(name).unwrap();
        fields.iter().map(|(field, value)| (name(field), value.parse().unwrap())).collect()
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
    fn a_trailer_says_nothing_that_a_field_of_a_head_decides() {
        for name in ["grpc-status", "grpc-message", "x-checksum", "etag", "server-timing", "digest"] {
            assert!(may_be_trailer(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "content-length",
            "content_length",
            "transfer.encoding",
            "x-forwarded-for",
            "x_forwarded_host",
            "x-real-ip",
            "forwarded",
            "proxy",
            "set-cookie",
            "cookie",
            "host",
            "signature",
            "signature-input",
            "x-request-id",
            "te",
            "connection",
        ] {
            assert!(!may_be_trailer(&HeaderName::from_static(name)), "{name}");
        }
        let quoted = HeaderName::from_lowercase(b"x-\"a\"").expect("a name, to h2");
        assert!(!may_be_trailer(&quoted));
    }

    #[test]
    fn a_trailer_names_only_what_passes() {
        let mut fields =
            map(&[("trailer", "x-checksum, Set-Cookie"), ("trailer", "content-length,x-member-id")]);
        rebuild_trailer(&mut fields, |name| may_be_trailer(name) && name != "x-member-id");
        assert_eq!(fields["trailer"], "x-checksum");
    }
}
