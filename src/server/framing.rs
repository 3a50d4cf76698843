//! Framing: where the messages of HTTP/1.1 begin and end, read strictly.
//!
//! Two programs that disagree where a request ends are how requests are smuggled (RFC 9112 §11.2). Many take a bare LF
//! for a line end, a list that merely ends in `chunked` for chunked, or `Content-Length` beside `Transfer-Encoding`; what
//! stands behind the gateway may read each of these differently. So whatever can be read in two ways is no request here.
//!
//! The promise: whatever is accepted, other readers frame in the same way, or refuse; tests hold it against hyper. The
//! verdict and its place depend on the bytes alone, never on how they were cut into reads. Nothing is stored but a few words
//! of state: no line is buffered, nothing is allocated, and the inside of a body costs the same for a byte and for a
//! megabyte.
//!
//! A request with an `Upgrade` field, whatever it names, is the last one that is followed: what comes behind its end may be
//! the other protocol already, for a client need not wait for the 101, and passes unread. This keeps the promise only if it
//! is never parsed as a request. So whoever answers has to end the connection with any answer to such a request that is not
//! 101, and must not switch while a body is still owed, in which a breach may be.
//!
//! It leaves to others:
//! * The size of a head, the number of its fields and the length of its target.
//! * Control characters in field values other than NUL, CR and LF.
//! * What a field means: `Host` (none, two, ill-formed), `Connection`, `Expect`, and whether a target is a sensible one.
//! * An end of the stream in mid-message.

mod chunked;
mod fields;
mod head;

use self::chunked::Chunked;
use self::head::{Body, Head};

pub use self::chunked::{MAX_CHUNK_EXTENSION, MAX_CHUNK_EXTENSIONS, MAX_TRAILER_BYTES, MAX_TRAILER_FIELDS};

/// Follows the requests of one connection, byte for byte.
#[derive(Debug)]
pub struct Framing {
    state: State,
    heads_seen: u64,
    /// The message that is read, or was, is the last one.
    last: bool,
    verdict: Verdict,
}

/// Where in a message the connection stands: which deadline applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// No byte of the next request has come, save perhaps the CRLF that may stand before it.
    BetweenMessages,
    /// A head has begun and not ended.
    Head,
    /// A body has begun, or is owed, and has not ended; trailers belong to it.
    Body,
}

/// The end of what is well framed. The connection cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{violation}")]
pub struct Breach {
    /// How many of the bytes just given are well framed. They never complete the head, the chunk or the trailer section that
    /// is broken.
    pub sound: usize,
    /// Which rule the next byte breaks.
    pub violation: Violation,
}

/// A rule of framing that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// RFC 9112 §2.2 lets a recipient take a lone LF for a line end; we do not, for others do not.
    #[error("a line ends in LF without CR (RFC 9112 §2.2)")]
    BareLf,
    /// A CR that no LF follows.
    #[error("a CR is not followed by LF (RFC 9112 §2.2)")]
    BareCr,
    /// NUL, where programs written in C end a line.
    #[error("a NUL outside of content (RFC 9110 §5.5)")]
    Nul,
    /// More empty lines before the request line than the one that RFC 9112 §2.2 asks us to bear.
    #[error("more than one empty line before the request line (RFC 9112 §2.2)")]
    EmptyLines,
    /// Not method, target and version, parted by single spaces.
    #[error(
        "the request line is not a method, a target and a version, parted by single spaces (RFC 9112 §3)"
    )]
    RequestLine,
    /// A control character in the target.
    #[error("the request target holds a control character (RFC 9112 §3.2)")]
    Target,
    /// Some cut the fragment off in silence, and a rule would be asked about another target than the client sent.
    #[error("the request target has a fragment (RFC 9112 §3.2)")]
    Fragment,
    /// A version other than HTTP/1.0 and HTTP/1.1, the preface of HTTP/2 included.
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1 (RFC 9112 §2.3)")]
    Version,
    /// A blank between the request line and the first field.
    #[error("a blank stands before the first field line (RFC 9112 §2.2)")]
    LeadingBlank,
    /// A field line that goes on in the next.
    #[error("a field line is folded (RFC 9112 §5.2)")]
    ObsFold,
    /// A field name that is empty, no token, or without a colon.
    #[error("a field line has no well-formed name (RFC 9112 §5)")]
    FieldName,
    /// A blank between a field name and its colon.
    #[error("a blank stands between a field name and its colon (RFC 9112 §5.1)")]
    BlankBeforeColon,
    /// Anything but one decimal number below 10¹⁹ without leading zeros.
    #[error("Content-Length is not one plain number (RFC 9112 §6.2)")]
    ContentLength,
    /// A second `Content-Length`, even an equal one.
    #[error("Content-Length stands there twice (RFC 9112 §6.3)")]
    RepeatedContentLength,
    /// Any other coding than `chunked`, alone.
    #[error("Transfer-Encoding is not exactly `chunked` (RFC 9112 §6.1)")]
    TransferEncoding,
    /// A second `Transfer-Encoding`.
    #[error("Transfer-Encoding stands there twice (RFC 9112 §6.1)")]
    RepeatedTransferEncoding,
    /// `Transfer-Encoding` in a message of HTTP/1.0, which does not know it.
    #[error("Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)")]
    TransferEncodingInHttp10,
    /// Both, in either order.
    #[error("Content-Length stands beside Transfer-Encoding (RFC 9112 §6.1)")]
    LengthBesideCoding,
    /// Anything but one to sixteen hexadecimal digits.
    #[error("a chunk size is not 1 to 16 hexadecimal digits (RFC 9112 §7.1)")]
    ChunkSize,
    /// A control character in a chunk extension.
    #[error("a chunk extension holds a control character (RFC 9112 §7.1.1)")]
    ChunkExtension,
    /// More than [`MAX_CHUNK_EXTENSION`] or [`MAX_CHUNK_EXTENSIONS`].
    #[error("chunk extensions are too long (RFC 9112 §7.1.1)")]
    ChunkExtensionTooLong,
    /// Chunk data is longer or shorter than its size said.
    #[error("chunk data is not followed by CRLF (RFC 9112 §7.1)")]
    ChunkEnd,
    /// A trailer field that would have told how to read the message it ends.
    #[error("a trailer field is about framing (RFC 9110 §6.5.1)")]
    FramingInTrailers,
    /// More than [`MAX_TRAILER_FIELDS`] or [`MAX_TRAILER_BYTES`].
    #[error("the trailer section is too large (RFC 9112 §7.1.2)")]
    TrailersTooLarge,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Following,
    Broken(Violation),
    /// The last message is complete.
    Over,
}

#[derive(Debug)]
enum State {
    Head(Head),
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
}

/// What was come to in reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The end of what there is to read.
    More,
    /// The end of a head.
    Head,
    /// Content of a body.
    Data(&'a [u8]),
    /// The end of a body in chunks.
    End,
}

impl Framing {
    /// Stands before the first byte of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Head(Head::new()), heads_seen: 0, last: false, verdict: Verdict::Following }
    }

    /// Follows the next bytes of the connection.
    ///
    /// # Errors
    /// [`Breach`] where they stop being well framed, and from then on at every call.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(), Breach> {
        match self.verdict {
            Verdict::Following => {
                let mut rest = bytes;
                self.advance(&mut rest).map_err(|violation| {
                    self.verdict = Verdict::Broken(violation);
                    Breach { sound: bytes.len() - rest.len(), violation }
                })
            }
            Verdict::Broken(violation) => Err(Breach { sound: 0, violation }),
            Verdict::Over => Ok(()),
        }
    }

    /// Where in a message the connection stands; after a breach, where the breach is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(head) if head.has_begun() => Phase::Head,
            State::Head(_) => Phase::BetweenMessages,
            State::Length(_) | State::Chunked(_) => Phase::Body,
        }
    }

    /// How many heads have come to their end. A [`Phase::Head`] before and after a call is the same head if this is the same.
    #[must_use]
    pub fn heads_seen(&self) -> u64 {
        self.heads_seen
    }

    fn advance(&mut self, rest: &mut &[u8]) -> Result<(), Violation> {
        while !rest.is_empty() {
            self.step(rest)?;
            if self.is_over() {
                *rest = &[];
            }
        }
        Ok(())
    }

    /// Reads on, to the next thing that somebody wants to know, or to the end of `rest`. What was read is taken from it; at a
    /// violation it begins with the offending byte.
    pub(super) fn step<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Step<'a>, Violation> {
        match &mut self.state {
            State::Head(head) => {
                let Some((body, last)) = head.advance(rest)? else { return Ok(Step::More) };
                self.heads_seen += 1;
                self.last = last;
                match body {
                    Body::Empty => self.end_message(),
                    Body::Length(length) => self.state = State::Length(length),
                    Body::Chunked => self.state = State::Chunked(Chunked::new()),
                }
                Ok(Step::Head)
            }
            State::Length(left) => {
                let data = content(rest, left);
                if *left == 0 {
                    self.end_message();
                }
                Ok(Step::Data(data))
            }
            State::Chunked(chunked) => {
                let step = chunked.advance(rest)?;
                if matches!(step, Step::End) {
                    self.end_message();
                }
                Ok(step)
            }
        }
    }

    /// What of the body is still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self.state {
            State::Head(_) => Some(0),
            State::Length(left) => Some(left),
            State::Chunked(_) => None,
        }
    }

    /// Whether no other message follows.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.verdict, Verdict::Over)
    }

    /// Stands before the next message; if there is none, everything that is left belongs to somebody else.
    fn end_message(&mut self) {
        self.state = State::Head(Head::new());
        if self.last {
            self.verdict = Verdict::Over;
        }
    }
}

impl Default for Framing {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes content from `rest`, as much as there is of what is `left`.
fn content<'a>(rest: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let here = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
    let (content, after) = rest.split_at(here);
    *rest = after;
    *left -= here as u64;
    content
}

/// Takes the LF that must follow a CR.
fn line_feed(rest: &mut &[u8]) -> Result<(), Violation> {
    match rest {
        [b'\n', after @ ..] => {
            *rest = after;
            Ok(())
        }
        _ => Err(Violation::BareCr),
    }
}

/// What is wrong with a byte in a place where it does not belong.
fn misplaced(byte: u8, otherwise: Violation) -> Violation {
    match byte {
        b'\n' => Violation::BareLf,
        0 => Violation::Nul,
        _ => otherwise,
    }
}

/// Tells for each byte whether it may be part of a token (RFC 9110 §5.6.2).
static TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        token[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(
                byte as u8,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    token
};

/// Takes the token at the beginning of `rest`, which may be empty.
fn token<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = rest.iter().position(|&byte| !TOKEN[usize::from(byte)]).unwrap_or(rest.len());
    let (token, after) = rest.split_at(length);
    *rest = after;
    token
}
