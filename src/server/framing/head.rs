//! A request's head: the request line, the header section, and what they say about the body.

use super::fields::{FieldLines, Section};
use super::{Violation, line_feed, misplaced, token};

/// How the content that follows a head is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// A request without framing fields has no content, whatever its method.
    Empty,
    /// So many bytes follow, at least one.
    Length(u64),
    /// Chunks follow.
    Chunked,
}

/// Reads one head.
#[derive(Debug)]
pub(super) struct Head {
    at: At,
}

#[derive(Debug)]
enum At {
    /// Before the request line; one CRLF may have come.
    Start { empty_line: bool },
    /// At the LF of that CRLF.
    EmptyLineLf,
    /// In the method, at its second byte or later.
    Method,
    /// At the first byte of the target.
    TargetStart,
    /// Later in it.
    Target,
    /// In the version, of which so many bytes have come.
    Version(usize),
    /// At the CR that ends the request line.
    LineCr(Section),
    /// At the LF after it.
    LineLf(Section),
    /// In the header section.
    Fields(FieldLines),
}

/// What stands before the minor version.
const MAJOR: &[u8] = b"HTTP/1.";

impl Head {
    pub(super) fn new() -> Self {
        Self { at: At::Start { empty_line: false } }
    }

    /// Whether a byte of the request line has come.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.at, At::Start { .. } | At::EmptyLineLf)
    }

    /// Reads on, to the end of the head or of `rest`. At the end it tells how the body is delimited, and whether this is
    /// the last message that is followed.
    pub(super) fn advance(&mut self, rest: &mut &[u8]) -> Result<Option<(Body, bool)>, Violation> {
        while let Some(&byte) = rest.first() {
            self.at = match &mut self.at {
                At::Start { empty_line } => match byte {
                    b'\r' if *empty_line => return Err(Violation::EmptyLines),
                    b'\r' => {
                        *rest = &rest[1..];
                        At::EmptyLineLf
                    }
                    _ if token(rest).is_empty() => return Err(misplaced(byte, Violation::RequestLine)),
                    _ => At::Method,
                },
                At::EmptyLineLf => {
                    line_feed(rest)?;
                    At::Start { empty_line: true }
                }
                At::Method => {
                    token(rest);
                    match rest.first() {
                        None => At::Method,
                        Some(b' ') => {
                            *rest = &rest[1..];
                            At::TargetStart
                        }
                        Some(&byte) => return Err(misplaced(byte, Violation::RequestLine)),
                    }
                }
                At::TargetStart if byte == b' ' => return Err(Violation::RequestLine),
                At::TargetStart | At::Target => {
                    skip_target(rest);
                    match rest.first() {
                        None => At::Target,
                        Some(b' ') => {
                            *rest = &rest[1..];
                            At::Version(0)
                        }
                        Some(b'#') => return Err(Violation::Fragment),
                        Some(b'\r' | b'\t') => return Err(Violation::RequestLine),
                        Some(&byte) => return Err(misplaced(byte, Violation::Target)),
                    }
                }
                At::Version(matched) => {
                    let next = match (MAJOR.get(*matched), byte) {
                        (Some(&expected), _) if byte == expected => At::Version(*matched + 1),
                        (None, b'0') => At::LineCr(Section::HeadersOfHttp10),
                        (None, b'1') => At::LineCr(Section::Headers),
                        _ => return Err(misplaced(byte, Violation::Version)),
                    };
                    *rest = &rest[1..];
                    next
                }
                At::LineCr(section) => {
                    match byte {
                        b'\r' => *rest = &rest[1..],
                        b'0'..=b'9' | b'.' => return Err(Violation::Version),
                        _ => return Err(misplaced(byte, Violation::RequestLine)),
                    }
                    At::LineLf(*section)
                }
                At::LineLf(section) => {
                    line_feed(rest)?;
                    At::Fields(FieldLines::new(*section))
                }
                At::Fields(fields) => {
                    let ended = fields.advance(rest)?;
                    return Ok(ended.then(|| (fields.body(), fields.asks_for_upgrade())));
                }
            };
        }
        Ok(None)
    }
}

/// Takes what may be part of a target. Bytes above ASCII end no request line; whether they make a good target is another
/// question, which is asked later.
fn skip_target(rest: &mut &[u8]) {
    let fits = |byte: u8| byte > b' ' && byte != b'#' && byte != 0x7f;
    let length = rest.iter().position(|&byte| !fits(byte)).unwrap_or(rest.len());
    *rest = &rest[length..];
}
