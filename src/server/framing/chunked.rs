//! A chunked body (RFC 9112 §7.1): sizes, extensions, data, and the trailer section.

use super::fields::{FieldLines, Section};
use super::{Step, Violation, content, line_feed, misplaced};

/// The longest extension of one chunk, in bytes from its semicolon to the line's end.
pub const MAX_CHUNK_EXTENSION: usize = 256;
/// The most bytes that the extensions of one message may have in all.
pub const MAX_CHUNK_EXTENSIONS: usize = 8 * 1024;
/// The most fields in a trailer section.
pub const MAX_TRAILER_FIELDS: usize = 64;
/// The most bytes in a trailer section, the empty line included.
pub const MAX_TRAILER_BYTES: usize = 8 * 1024;

/// Reads one chunked body.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    /// What the extensions have taken so far.
    extensions: usize,
}

#[derive(Debug)]
enum At {
    /// In a chunk size, of which so many digits have come.
    Size { size: u64, digits: u8 },
    /// In the extension of such a chunk, of which so many bytes have come.
    Extension { size: u64, length: usize },
    /// At the LF that ends the size's line.
    SizeLf { size: u64 },
    /// In data, of which so many bytes are still to come.
    Data(u64),
    /// At the CR after data.
    DataCr,
    /// At the LF after it.
    DataLf,
    /// After the last chunk; the section may take so many more bytes.
    Trailers { fields: FieldLines, room: usize },
}

impl At {
    const CHUNK: Self = Self::Size { size: 0, digits: 0 };
}

impl Chunked {
    /// Sixteen digits are all that 64 bits can hold; more, even leading zeros, are only sent to overflow somebody.
    const MAX_DIGITS: u8 = 16;

    pub(super) fn new() -> Self {
        Self { at: At::CHUNK, extensions: 0 }
    }

    /// Reads on, to the next content, to the end of the body or of `rest`.
    pub(super) fn advance<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Step<'a>, Violation> {
        while let Some(&byte) = rest.first() {
            self.at = match &mut self.at {
                // The semicolon itself is taken, and counted, as part of the extension. The blank that RFC 9112 §7.1.1 lets a
                // recipient bear before it is refused: nobody needs it, and others take it for the end of the size.
                At::Size { size, digits: 1.. } if byte == b';' => At::Extension { size: *size, length: 0 },
                At::Size { size, digits } => {
                    let next = match hex_digit(byte) {
                        Some(digit) if *digits < Self::MAX_DIGITS => {
                            At::Size { size: *size << 4 | digit, digits: *digits + 1 }
                        }
                        None if *digits > 0 && byte == b'\r' => At::SizeLf { size: *size },
                        _ => return Err(misplaced(byte, Violation::ChunkSize)),
                    };
                    *rest = &rest[1..];
                    next
                }
                At::Extension { size, length } => {
                    let next = if byte == b'\r' {
                        At::SizeLf { size: *size }
                    } else if byte.is_ascii_control() && byte != b'\t' {
                        return Err(misplaced(byte, Violation::ChunkExtension));
                    } else if *length == MAX_CHUNK_EXTENSION || self.extensions == MAX_CHUNK_EXTENSIONS {
                        return Err(Violation::ChunkExtensionTooLong);
                    } else {
                        self.extensions += 1;
                        At::Extension { size: *size, length: *length + 1 }
                    };
                    *rest = &rest[1..];
                    next
                }
                At::SizeLf { size } => {
                    line_feed(rest)?;
                    match *size {
                        0 => At::Trailers {
                            fields: FieldLines::new(Section::Trailers),
                            room: MAX_TRAILER_BYTES,
                        },
                        size => At::Data(size),
                    }
                }
                At::Data(left) => {
                    let data = content(rest, left);
                    if *left == 0 {
                        self.at = At::DataCr;
                    }
                    return Ok(Step::Data(data));
                }
                At::DataCr if byte == b'\r' => {
                    *rest = &rest[1..];
                    At::DataLf
                }
                At::DataCr => return Err(misplaced(byte, Violation::ChunkEnd)),
                At::DataLf => {
                    line_feed(rest)?;
                    At::CHUNK
                }
                At::Trailers { room: 0, .. } => return Err(Violation::TrailersTooLarge),
                At::Trailers { fields, room } => {
                    let within = &rest[..rest.len().min(*room)];
                    let mut left = within;
                    let ended = fields.advance(&mut left);
                    let taken = within.len() - left.len();
                    *room -= taken;
                    *rest = &rest[taken..];
                    if ended? {
                        return Ok(Step::End);
                    }
                    continue;
                }
            };
        }
        Ok(Step::More)
    }
}

fn hex_digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}
