//! The head of an answer: what of it is written, and how its body is delimited (RFC 9112 §6.3).

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::head::Wishes;
use crate::http1::{Framing, Outbox, write_line};
use crate::message::{Fields, Response};
use crate::server::connection::date;

/// What comes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It is there for another request.
    Stays,
    /// It ends.
    Closes,
    /// It goes on in another protocol.
    Switches,
}

/// Begins to write an answer: its head is in `out` then, and its body is to follow. `stays` says whether the connection may
/// be there for another request.
pub(super) fn begin<B: Body>(answer: &Response<B>, wishes: Wishes, stays: bool, out: &mut Outbox) -> After {
    let (status, fields) = (answer.status(), answer.headers());
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let (framing, length) = delimit(answer, wishes);
    let stays = stays && framing != Framing::UntilClose && !says_close(fields);
    let announced = fields.get(TRAILER).filter(|_| wishes.takes_trailers).cloned();

    let head = out.begin(framing, announced);
    write_status_line(answer, wishes, head);
    for (name, value) in fields {
        let is_ours = match *name {
            CONNECTION => !switches,
            CONTENT_LENGTH => length != Length::AsSaid,
            TRANSFER_ENCODING => true,
            _ => false,
        };
        if !is_ours {
            write_line(name, value.as_bytes(), head);
        }
    }
    match length {
        Length::AsSaid | Length::None => {}
        Length::Known(length) => write_line(&CONTENT_LENGTH, length.to_string().as_bytes(), head),
        Length::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if !stays && !switches {
        head.extend_from_slice(b"connection: close\r\n");
    } else if wishes.is_http10 {
        head.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !fields.contains_key(DATE) {
        write_line(&DATE, date().as_bytes(), head);
    }
    head.extend_from_slice(b"\r\n");
    match (switches, stays) {
        (true, _) => After::Switches,
        (false, true) => After::Stays,
        (false, false) => After::Closes,
    }
}

/// Which field says how long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// The one that is there.
    AsSaid,
    /// None.
    None,
    /// `Content-Length`, with this value.
    Known(u64),
    /// `Transfer-Encoding`.
    Chunked,
}

fn delimit<B: Body>(answer: &Response<B>, wishes: Wishes) -> (Framing, Length) {
    let status = answer.status();
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        return (Framing::Nothing, Length::None);
    }
    let known = if answer.body().is_end_stream() { Some(0) } else { answer.body().size_hint().exact() };
    let said = said_length(answer.headers());
    if wishes.is_head || status == StatusCode::NOT_MODIFIED {
        let length = match (said, known) {
            (Some(_), _) => Length::AsSaid,
            // Of an answer without a body nobody knows how long it would have been.
            (None, Some(1..)) if wishes.is_head => Length::Known(known.unwrap_or_default()),
            (None, _) => Length::None,
        };
        return (Framing::Nothing, length);
    }
    let framing = |length| if length == 0 { Framing::Nothing } else { Framing::Length(length) };
    match (said, known) {
        (Some(length), _) => (framing(length), Length::AsSaid),
        (None, Some(length)) => (framing(length), Length::Known(length)),
        (None, None) if wishes.is_http10 => (Framing::UntilClose, Length::None),
        (None, None) => (Framing::Chunked, Length::Chunked),
    }
}

/// The one length that an answer names.
fn said_length(fields: &Fields) -> Option<u64> {
    let mut lengths = fields.get_all(CONTENT_LENGTH);
    let text = lengths.next()?.to_str().ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && lengths.next().is_none() { text.parse().ok() } else { None }
}

fn says_close(fields: &Fields) -> bool {
    fields.get(CONNECTION).is_some_and(|options| options.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// A reason of the app's own goes on; the others are those of RFC 9110.
fn write_status_line<B>(answer: &Response<B>, wishes: Wishes, out: &mut Vec<u8>) {
    let status = answer.status();
    let own = answer.extensions().get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let reason = own.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().as_bytes());
    let version: &[u8] = if wishes.is_http10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " };
    for part in [version, status.as_str().as_bytes(), b" ", reason, b"\r\n"] {
        out.extend_from_slice(part);
    }
}
