//! The head of a request, once all of it has come and is well framed: what stands in it, and what it says about the
//! connection.

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderName, HeaderValue, TE, UPGRADE};
use http::{Method, StatusCode, Uri, Version};

use crate::http1::{self, spares};
use crate::message::Request;
use crate::server::framing::Violation;

/// The longest target that can be kept.
const MOST_TARGET: usize = (u16::MAX - 1) as usize;

/// Why a request cannot be read. Nothing behind it can be, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    Framing(#[from] Violation),
    #[error("the head is larger than it may be, or has more fields")]
    TooLarge,
    #[error("the request target is longer than any may be")]
    TargetTooLong,
    #[error("the request target is none (RFC 9112 §3.2)")]
    Target,
    #[error("a field value holds a control character (RFC 9110 §5.5)")]
    Value,
}

impl Unreadable {
    /// How it is answered.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Framing(_) | Self::Target | Self::Value => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
        }
    }
}

/// What a request asks of the connection, and of how it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what a head says, each for itself")]
pub(super) struct Wishes {
    /// It is the last one of its connection (RFC 9112 §9.6).
    closes: bool,
    /// It asks in the words of HTTP/1.0 that it is not.
    keeps_alive: bool,
    /// It speaks HTTP/1.0, and knows no chunks.
    pub(super) is_http10: bool,
    /// The answer has no body, whatever it says.
    pub(super) is_head: bool,
    /// It names another protocol. Nothing behind it is read as a request.
    pub(super) upgrades: bool,
    /// It takes trailers (RFC 9110 §10.1.4).
    pub(super) takes_trailers: bool,
    /// It waits for a word before it sends its body (RFC 9110 §10.1.1).
    pub(super) expects_continue: bool,
}

/// A request without its body, and what it asks of the connection.
pub(super) type Read = Result<(Request<()>, Wishes), Unreadable>;

/// Reads a head that is well framed, of so many fields at most.
pub(super) fn read(head: &Bytes, most_fields: usize) -> Read {
    let mut lines = Lines { text: head, at: if head.starts_with(b"\r\n") { 2 } else { 0 } };
    let (line, begin) = lines.next().unwrap_or_default();
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let mut part = || parts.next().unwrap_or_default();
    let (method, target, version) = (part(), part(), part());
    if target.len() > MOST_TARGET {
        return Err(Unreadable::TargetTooLong);
    }
    let is_http10 = version.ends_with(b"0");
    let mut wishes = Wishes { is_http10, is_head: method == b"HEAD", ..Wishes::default() };
    let mut fields = spares::fields();
    for (count, (line, at)) in lines.enumerate() {
        if count == most_fields {
            return Err(Unreadable::TooLarge);
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = (&line[..colon], &line[(colon + 1).min(line.len())..]);
        let name = http1::name(name).map_err(|_| Violation::FieldName)?;
        // Blanks around a value do not belong to it (RFC 9112 §5).
        let is_of_value = |byte: &u8| !matches!(byte, b' ' | b'\t');
        let begin = value.iter().position(is_of_value).unwrap_or(value.len());
        let end = value.iter().rposition(is_of_value).map_or(begin, |last| last + 1);
        let before = at + line.len() - value.len();
        let value = head.slice(before + begin..before + end);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Unreadable::Value)?;
        wishes.hear(&name, value.as_bytes());
        fields.append(name, value);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).map_err(|_| Violation::RequestLine)?;
    let begin = begin + method.len() + 1;
    let target = head.slice(begin..begin + target.len());
    *request.uri_mut() = Uri::from_maybe_shared(target).map_err(|_| Unreadable::Target)?;
    *request.version_mut() = if is_http10 { Version::HTTP_10 } else { Version::HTTP_11 };
    *request.headers_mut() = fields;
    Ok((request, wishes))
}

impl Wishes {
    /// Whether the connection is to be there for another request (RFC 9112 §9.3).
    pub(super) const fn stays(&self) -> bool {
        !self.closes && (!self.is_http10 || self.keeps_alive)
    }

    /// Takes what a field says of the connection.
    fn hear(&mut self, name: &HeaderName, value: &[u8]) {
        let names = |option: &[u8]| {
            let mut options = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            options.any(|named| named.eq_ignore_ascii_case(option))
        };
        if *name == CONNECTION {
            self.closes |= names(b"close");
            self.keeps_alive |= names(b"keep-alive");
        } else if *name == UPGRADE {
            self.upgrades = true;
        } else if *name == TE {
            self.takes_trailers |= names(b"trailers");
        } else if *name == EXPECT {
            // HTTP/1.0 does not know it.
            self.expects_continue |= !self.is_http10 && value.eq_ignore_ascii_case(b"100-continue");
        }
    }
}

/// The lines of a head up to the empty one, with where they begin.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..)?;
        let length = memchr::memchr(b'\r', rest).filter(|&length| length > 0)?;
        let at = self.at;
        self.at += length + 2;
        Some((&rest[..length], at))
    }
}
