//! Heads: how a request's is written, and how an answer's is read.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::chunked::Chunked;
use super::receiving::Content;
use super::spelling::begin_line;
use super::{Fault, MOST_HEAD};
use crate::http1;
use crate::message::{Fields, Response};

/// The most fields of an answer.
pub(super) const MOST_FIELDS: usize = 128;

/// Writes the line that a request begins with.
pub(in crate::upstream) fn write_request_line(method: &Method, target: &PathAndQuery, out: &mut Vec<u8>) {
    for part in [method.as_str(), " ", target.as_str(), " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Writes a field line.
pub(in crate::upstream) fn write_line(name: &HeaderName, value: &[u8], out: &mut Vec<u8>) {
    begin_line(name, out);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// How far the heads of an answer have come: the final one, and interim ones before it (RFC 9110 §15.2).
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Up to here there is no end.
    searched: usize,
    /// Octets of interim answers.
    interim: usize,
}

impl Head {
    /// Takes the head of the final answer from `bytes`, if all of it has come. Interim ones are swallowed. The answer gets the
    /// room of `fields`, so that none has to be made: what stood in there is gone.
    pub(super) fn read(
        &mut self,
        bytes: &mut BytesMut,
        fields: &mut Fields,
    ) -> Result<Option<Response<()>>, Fault> {
        loop {
            if !is_status_line(bytes) {
                return Err(Fault::Head(httparse::Error::Version));
            }
            let Some(end) = end_of_section(bytes, self.searched)? else {
                self.searched = bytes.len();
                return if self.interim + bytes.len() > MOST_HEAD {
                    Err(Fault::EndlessHead)
                } else {
                    Ok(None)
                };
            };
            if self.interim + end > MOST_HEAD {
                return Err(Fault::EndlessHead);
            }
            let head = bytes.split_to(end).freeze();
            let answer = parse(&head, fields)?;
            if !answer.status().is_informational() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Some(answer));
            }
            *fields = answer.into_parts().0.headers;
            *self = Self { searched: 0, interim: self.interim + end };
        }
    }
}

/// Whether what has come begins as an answer does.
fn is_status_line(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"HTTP/1.";
    bytes.iter().zip(BEGIN).all(|(come, expected)| come == expected)
}

/// Where the empty line ends that ends a section of field lines. No line before it ends without CR. What lies before `from` has
/// been looked at.
pub(super) fn end_of_section(bytes: &[u8], from: usize) -> Result<Option<usize>, Fault> {
    for at in memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at) {
        let before = &bytes[..at];
        if before.last() != Some(&b'\r') {
            return Err(Fault::BareLf);
        }
        if before.ends_with(b"\r\n\r") {
            return Ok(Some(at + 1));
        }
    }
    Ok(None)
}

/// Room for that many fields is taken here, and not in the frame of each request.
#[inline(never)]
fn parse(head: &Bytes, room: &mut Fields) -> Result<Response<()>, Fault> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status =
        config.parse_response_with_uninit_headers(&mut parsed, head, &mut fields).map_err(Fault::Head)?;
    let (true, Some(code), Some(minor)) = (status.is_complete(), parsed.code, parsed.version) else {
        return Err(Fault::Head(httparse::Error::Status));
    };
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(code).map_err(|_| Fault::Head(httparse::Error::Status))?;
    *answer.version_mut() = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    // A reason of the app's own goes on.
    if let Some(reason) = parsed.reason.filter(|reason| Some(*reason) != answer.status().canonical_reason())
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        answer.extensions_mut().insert(reason);
    }
    room.clear();
    fill(room, parsed.headers, head)?;
    *answer.headers_mut() = std::mem::take(room);
    Ok(answer)
}

/// Adds the fields of a section, of which the values stay a part.
pub(super) fn fill(to: &mut Fields, fields: &[httparse::Header<'_>], section: &Bytes) -> Result<(), Fault> {
    for field in fields {
        let name = http1::name(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(section.slice_ref(field.value));
        let name = name.map_err(|_| Fault::Head(httparse::Error::HeaderName))?;
        to.append(name, value.map_err(|_| Fault::Head(httparse::Error::HeaderValue))?);
    }
    Ok(())
}

fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// What follows the head of an answer (RFC 9112 §6.3). Heads that can be understood in more than one way are refused
/// elsewhere.
pub(super) fn content(method: &Method, answer: &Response<()>) -> Result<Content, Fault> {
    let (status, fields) = (answer.status(), answer.headers());
    let has_none =
        matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS);
    if has_none || method == Method::HEAD {
        return Ok(Content::Empty);
    }
    if fields.contains_key(TRANSFER_ENCODING) {
        // HTTP/1.0 does not know it.
        let is_known = answer.version() == Version::HTTP_11;
        return if is_known { Ok(Content::Chunked(Chunked::new())) } else { Err(Fault::Length) };
    }
    match fields.get(CONTENT_LENGTH).map(number) {
        None => Ok(Content::UntilClose),
        Some(Some(0)) => Ok(Content::Empty),
        Some(Some(length)) => Ok(Content::Length(length)),
        Some(None) => Err(Fault::Length),
    }
}

/// Whether the connection stays open after the answer (RFC 9112 §9.3).
pub(super) fn stays_open(answer: &Response<()>) -> bool {
    let names = |option: &[u8]| {
        let lines = answer.headers().get_all(CONNECTION);
        let mut options = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        options.any(|named| named.trim_ascii().eq_ignore_ascii_case(option))
    };
    !names(b"close") && (answer.version() == Version::HTTP_11 || names(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of a head comes to, read in one piece and octet by octet.
    fn read(text: &str) -> Result<Option<StatusCode>, String> {
        let status = |answer: Option<Response<()>>| answer.map(|answer| answer.status());
        let whole = Head::default()
            .read(&mut BytesMut::from(text), &mut Fields::new())
            .map(status)
            .map_err(|fault| fault.to_string());
        let (mut head, mut bytes, mut piecewise) = (Head::default(), BytesMut::new(), Ok(None));
        for byte in text.bytes() {
            bytes.extend_from_slice(&[byte]);
            piecewise =
                head.read(&mut bytes, &mut Fields::new()).map(status).map_err(|fault| fault.to_string());
            if piecewise != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, piecewise, "{text:?}");
        whole
    }

    #[test]
    fn a_head_ends_with_an_empty_line_and_interim_answers_do_not_count() {
        for (text, status) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.0 200 \r\n\r\n", Some(200)),
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\nwith bare line feeds", Some(200)),
            ("HTTP/1.1 200 OK\r\na: b\r\n", None),
            ("HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n", None),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Some(204)),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Some(101)),
            ("", None),
        ] {
            assert_eq!(
                read(text),
                Ok(status.map(|status| StatusCode::from_u16(status).unwrap())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_head_of_http_1_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n\n",
            "\n",
            "\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_head_comes_to_an_end() {
        let flood = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MOST_HEAD / 20);
        let endless = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MOST_HEAD));
        let fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_FIELDS + 1));
        for text in [flood, endless, fields] {
            assert!(Head::default().read(&mut BytesMut::from(text.as_str()), &mut Fields::new()).is_err());
        }
    }

    #[test]
    fn an_answer_says_what_follows_its_head() {
        let content = |method: &Method, text: &str| {
            let head = format!("HTTP/1.{text}\r\n\r\n");
            let answer = Head::default()
                .read(&mut BytesMut::from(head.as_str()), &mut Fields::new())
                .unwrap()
                .unwrap();
            format!("{:?} {}", content(method, &answer).ok(), stays_open(&answer))
        };
        for (text, expected) in [
            ("1 200 OK", "Some(UntilClose) true"),
            ("1 200 OK\r\ncontent-length: 0", "Some(Empty) true"),
            ("1 200 OK\r\ncontent-length: 7", "Some(Length(7)) true"),
            ("1 200 OK\r\ncontent-length: 7\r\nconnection: x, Close", "Some(Length(7)) false"),
            ("1 200 OK\r\ntransfer-encoding: chunked", "Some(Chunked(Chunked(Size))) true"),
            ("1 204 No Content", "Some(Empty) true"),
            ("1 304 Not Modified\r\ncontent-length: 7", "Some(Empty) true"),
            ("0 200 OK\r\ncontent-length: 7", "Some(Length(7)) false"),
            ("0 200 OK\r\ncontent-length: 7\r\nconnection: keep-alive", "Some(Length(7)) true"),
            ("0 200 OK\r\ntransfer-encoding: chunked", "None false"),
            ("1 200 OK\r\ncontent-length: +7", "None true"),
            ("1 200 OK\r\ncontent-length:", "None true"),
            ("1 200 OK\r\ncontent-length: 99999999999999999999", "None true"),
        ] {
            assert_eq!(content(&Method::GET, text), expected, "{text}");
        }
        assert_eq!(content(&Method::HEAD, "1 200 OK\r\ncontent-length: 7"), "Some(Empty) true");
    }
}
