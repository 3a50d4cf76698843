//! Field lines: a header section or a trailer section, and the fields that say how a body is delimited
//! and what follows the message.

use memchr::memchr3;

use super::chunked::MAX_TRAILER_FIELDS;
use super::head::Body;
use super::{Violation, line_feed, misplaced, token};

/// Which section is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Of a request of HTTP/1.1.
    Headers,
    /// Of a request of HTTP/1.0, which has no transfer codings.
    HeadersOfHttp10,
    /// After the last chunk.
    Trailers,
}

/// Reads the lines of one section, the empty line included.
#[derive(Debug)]
pub(super) struct FieldLines {
    section: Section,
    at: At,
    lines: usize,
    content_length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

#[derive(Debug)]
enum At {
    /// At the first byte of a line.
    Line,
    Name(Name),
    /// In a value that does not matter here.
    Value,
    ContentLength(Length),
    TransferEncoding(Coding),
    /// At the LF of a field line.
    LineLf,
    /// At the LF of the empty line.
    SectionLf,
}

impl FieldLines {
    pub(super) fn new(section: Section) -> Self {
        Self { section, at: At::Line, lines: 0, content_length: None, chunked: false, upgrade: false }
    }

    /// What the section, now read, says about the body.
    pub(super) fn body(&self) -> Body {
        match self.content_length {
            _ if self.chunked => Body::Chunked,
            None | Some(0) => Body::Empty,
            Some(length) => Body::Length(length),
        }
    }

    /// Whether the section, now read, has an `Upgrade` field, whatever it names.
    pub(super) fn asks_for_upgrade(&self) -> bool {
        self.upgrade
    }

    /// Reads on, to the end of the section (then it is true) or of `rest`.
    pub(super) fn advance(&mut self, rest: &mut &[u8]) -> Result<bool, Violation> {
        while let Some(&byte) = rest.first() {
            self.at = match &mut self.at {
                At::Line => {
                    if byte == b'\r' {
                        *rest = &rest[1..];
                        At::SectionLf
                    } else {
                        self.begin_line(byte)?;
                        At::Name(Name::beginning_with(byte))
                    }
                }
                At::Name(name) => {
                    name.extend(token(rest));
                    let name = *name;
                    match rest.first() {
                        None => At::Name(name),
                        Some(b':') => {
                            let value = self.value_of(name)?;
                            *rest = &rest[1..];
                            value
                        }
                        Some(b' ' | b'\t') => return Err(Violation::BlankBeforeColon),
                        Some(&byte) => return Err(misplaced(byte, Violation::FieldName)),
                    }
                }
                At::Value => match memchr3(b'\r', b'\n', 0, rest) {
                    None => {
                        *rest = &[];
                        At::Value
                    }
                    Some(end) => {
                        *rest = &rest[end..];
                        if rest[0] != b'\r' {
                            return Err(misplaced(rest[0], Violation::BareCr));
                        }
                        *rest = &rest[1..];
                        At::LineLf
                    }
                },
                At::ContentLength(length) => {
                    let next = if byte == b'\r' {
                        self.content_length = Some(length.complete()?);
                        At::LineLf
                    } else {
                        At::ContentLength(length.and(byte)?)
                    };
                    *rest = &rest[1..];
                    next
                }
                At::TransferEncoding(coding) => {
                    let next = if byte == b'\r' {
                        coding.complete()?;
                        At::LineLf
                    } else {
                        At::TransferEncoding(coding.and(byte)?)
                    };
                    *rest = &rest[1..];
                    next
                }
                At::LineLf => {
                    line_feed(rest)?;
                    At::Line
                }
                At::SectionLf => {
                    line_feed(rest)?;
                    return Ok(true);
                }
            };
        }
        Ok(false)
    }

    /// Judges the first byte of a line without taking it.
    fn begin_line(&mut self, byte: u8) -> Result<(), Violation> {
        match byte {
            b' ' | b'\t' if self.lines == 0 => return Err(Violation::LeadingBlank),
            b' ' | b'\t' => return Err(Violation::ObsFold),
            b':' => return Err(Violation::FieldName),
            _ => {}
        }
        if self.section == Section::Trailers && self.lines == MAX_TRAILER_FIELDS {
            return Err(Violation::TrailersTooLarge);
        }
        self.lines += 1;
        Ok(())
    }

    /// Judges a name, complete as the colon is there, and says how to read its value.
    fn value_of(&mut self, name: Name) -> Result<At, Violation> {
        match (name.field(), self.section) {
            (None, _) => Ok(At::Value),
            (Some(Field::Upgrade), section) => {
                self.upgrade |= section != Section::Trailers;
                Ok(At::Value)
            }
            (Some(_), Section::Trailers) => Err(Violation::FramingInTrailers),
            (Some(Field::ContentLength), _) if self.content_length.is_some() => {
                Err(Violation::RepeatedContentLength)
            }
            (Some(Field::ContentLength), _) if self.chunked => Err(Violation::LengthBesideCoding),
            (Some(Field::ContentLength), _) => Ok(At::ContentLength(Length::Before)),
            (Some(Field::TransferEncoding), Section::HeadersOfHttp10) => {
                Err(Violation::TransferEncodingInHttp10)
            }
            (Some(Field::TransferEncoding), Section::Headers) if self.chunked => {
                Err(Violation::RepeatedTransferEncoding)
            }
            (Some(Field::TransferEncoding), Section::Headers) if self.content_length.is_some() => {
                Err(Violation::LengthBesideCoding)
            }
            (Some(Field::TransferEncoding), Section::Headers) => {
                self.chunked = true;
                Ok(At::TransferEncoding(Coding::Before))
            }
        }
    }
}

/// A field that says how a body is delimited, or what follows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    ContentLength,
    TransferEncoding,
    Upgrade,
}

impl Field {
    fn name(self) -> &'static [u8] {
        match self {
            Self::ContentLength => b"content-length",
            Self::TransferEncoding => b"transfer-encoding",
            Self::Upgrade => b"upgrade",
        }
    }
}

/// The part of a field name that has come. The first letter tells which of them it may still be, so that a name cut by
/// a read need not be kept.
#[derive(Clone, Copy, Debug)]
enum Name {
    /// So many bytes agree.
    Perhaps(Field, usize),
    Another,
}

impl Name {
    /// The byte itself is left to `extend`.
    fn beginning_with(byte: u8) -> Self {
        match byte {
            b'c' | b'C' => Self::Perhaps(Field::ContentLength, 0),
            b't' | b'T' => Self::Perhaps(Field::TransferEncoding, 0),
            b'u' | b'U' => Self::Perhaps(Field::Upgrade, 0),
            _ => Self::Another,
        }
    }

    fn extend(&mut self, part: &[u8]) {
        if let Self::Perhaps(field, length) = *self {
            let end = length + part.len();
            let agrees = field.name().get(length..end).is_some_and(|known| known.eq_ignore_ascii_case(part));
            *self = if agrees { Self::Perhaps(field, end) } else { Self::Another };
        }
    }

    /// Which field this is, now that the name is complete.
    fn field(self) -> Option<Field> {
        match self {
            Self::Perhaps(field, length) if length == field.name().len() => Some(field),
            Self::Perhaps(..) | Self::Another => None,
        }
    }
}

/// A value of `Content-Length`: one number, blanks around it.
#[derive(Clone, Copy, Debug)]
enum Length {
    Before,
    Digits(u64),
    After(u64),
}

impl Length {
    /// Up to here one more digit fits: nineteen in all.
    const MAX_BEFORE_LAST_DIGIT: u64 = 10_u64.pow(18) - 1;

    fn and(self, byte: u8) -> Result<Self, Violation> {
        match (self, byte) {
            (Self::Before, b' ' | b'\t') => Ok(Self::Before),
            (Self::Before, b'0'..=b'9') => Ok(Self::Digits(u64::from(byte - b'0'))),
            // A leading zero is within 1*DIGIT (RFC 9112 §6.2), but nobody sends one, and some readers take 010 for eight.
            (Self::Digits(digits @ 1..=Self::MAX_BEFORE_LAST_DIGIT), b'0'..=b'9') => {
                Ok(Self::Digits(digits * 10 + u64::from(byte - b'0')))
            }
            (Self::Digits(length) | Self::After(length), b' ' | b'\t') => Ok(Self::After(length)),
            _ => Err(misplaced(byte, Violation::ContentLength)),
        }
    }

    fn complete(self) -> Result<u64, Violation> {
        match self {
            Self::Before => Err(Violation::ContentLength),
            Self::Digits(length) | Self::After(length) => Ok(length),
        }
    }
}

/// A value of `Transfer-Encoding`: the one word, blanks around it.
#[derive(Clone, Copy, Debug)]
enum Coding {
    Before,
    /// So many letters of the word, at least one.
    Word(usize),
    After,
}

impl Coding {
    const WORD: &[u8] = b"chunked";

    fn and(self, byte: u8) -> Result<Self, Violation> {
        let expects = |at: usize| Self::WORD.get(at) == Some(&byte.to_ascii_lowercase());
        match (self, byte) {
            (Self::Before, b' ' | b'\t') => Ok(Self::Before),
            (Self::Before, _) if expects(0) => Ok(Self::Word(1)),
            (Self::Word(letters), _) if expects(letters) => Ok(Self::Word(letters + 1)),
            (Self::Word(_) | Self::After, b' ' | b'\t') if self.complete().is_ok() => Ok(Self::After),
            _ => Err(misplaced(byte, Violation::TransferEncoding)),
        }
    }

    fn complete(self) -> Result<(), Violation> {
        match self {
            Self::After => Ok(()),
            Self::Word(letters) if letters == Self::WORD.len() => Ok(()),
            Self::Before | Self::Word(_) => Err(Violation::TransferEncoding),
        }
    }
}
