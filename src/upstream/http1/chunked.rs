//! Chunks (RFC 9112 §7.1): an answer that tells its length as it goes.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::Fault;
use super::head;
use crate::message::Fields;

/// The longest line with a chunk's size, extensions included.
const MOST_SIZE_LINE: usize = 1024;
/// Sixteen digits are all that 64 bits can hold.
const MOST_DIGITS: usize = 16;
/// The largest trailer section.
const MOST_TRAILERS: usize = 16 * 1024;

/// Reads one chunked body.
#[derive(Debug)]
pub(super) struct Chunked(At);

#[derive(Clone, Copy, Debug)]
enum At {
    Size,
    /// In data, of which so many octets are still to come.
    Data(u64),
    /// At the CRLF behind it.
    DataEnd,
    Trailers,
}

/// What a chunked body is made of.
#[derive(Debug)]
pub(super) enum Part {
    Data(BytesMut),
    /// Its end, with the trailers.
    End(HeaderMap),
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self(At::Size)
    }

    /// Takes the next part, as far as it has come.
    pub(super) fn advance(&mut self, bytes: &mut BytesMut) -> Result<Option<Part>, Fault> {
        loop {
            self.0 = match self.0 {
                At::Size => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        return if bytes.len() > MOST_SIZE_LINE { Err(Fault::Chunks) } else { Ok(None) };
                    };
                    let size = size(&bytes[..end]).ok_or(Fault::Chunks)?;
                    bytes.advance(end + 1);
                    if size == 0 { At::Trailers } else { At::Data(size) }
                }
                At::Data(_) if bytes.is_empty() => return Ok(None),
                At::Data(left) => {
                    let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let left = left - length as u64;
                    self.0 = if left == 0 { At::DataEnd } else { At::Data(left) };
                    return Ok(Some(Part::Data(bytes.split_to(length))));
                }
                At::DataEnd => match bytes.get(..2) {
                    Some(b"\r\n") => {
                        bytes.advance(2);
                        At::Size
                    }
                    Some(_) => return Err(Fault::Chunks),
                    None => return Ok(None),
                },
                At::Trailers => return trailers(bytes).map(|trailers| trailers.map(Part::End)),
            };
        }
    }

    /// Whether nothing but the end follows the data, and no trailers. Then all of it is taken.
    pub(super) fn is_at_plain_end(&self, bytes: &mut BytesMut) -> bool {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        let is_at_end = matches!(self.0, At::DataEnd) && bytes.starts_with(END);
        if is_at_end {
            bytes.advance(END.len());
        }
        is_at_end
    }
}

/// The size in a line without its LF.
fn size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r").filter(|line| line.len() <= MOST_SIZE_LINE)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extension) = line.split_at(digits);
    // Blanks alone may stand before it (RFC 9112 §7.1.1), and no CR.
    let blanks = extension.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let extension = &extension[blanks..];
    let is_extension = extension.first().is_none_or(|&first| first == b';');
    let is_text = extension.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control());
    if digits.len() > MOST_DIGITS || !is_extension || !is_text {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The trailer section, if all of it has come.
fn trailers(bytes: &mut BytesMut) -> Result<Option<HeaderMap>, Fault> {
    if bytes.starts_with(b"\r\n") {
        bytes.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let Some(end) = head::end_of_section(bytes, 0).map_err(|_| Fault::Chunks)? else {
        return if bytes.len() > MOST_TRAILERS { Err(Fault::Chunks) } else { Ok(None) };
    };
    if end > MOST_TRAILERS {
        return Err(Fault::Chunks);
    }
    parse(&bytes.split_to(end).freeze()).map(Some)
}

/// Reads a section that is complete. Room for its fields is taken here, and not with each piece of a body.
#[inline(never)]
fn parse(section: &Bytes) -> Result<HeaderMap, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    match httparse::parse_headers(section, &mut fields) {
        Ok(httparse::Status::Complete((_, fields))) => {
            let mut trailers = Fields::new();
            head::fill(&mut trailers, fields, section).map(|()| trailers.into())
        }
        Ok(httparse::Status::Partial) | Err(_) => Err(Fault::Chunks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body comes to, cut into reads of so many octets: its data, its trailers, and what is left behind it.
    fn read(text: &str, cut: usize) -> Option<(String, HeaderMap, String)> {
        let (mut chunked, mut bytes, mut data) = (Chunked::new(), BytesMut::new(), Vec::new());
        let mut pieces = text.as_bytes().chunks(cut);
        loop {
            match chunked.advance(&mut bytes).ok()? {
                Some(Part::Data(piece)) => {
                    data.extend_from_slice(&piece);
                    if chunked.is_at_plain_end(&mut bytes) {
                        break Some((HeaderMap::new(), bytes));
                    }
                }
                Some(Part::End(trailers)) => break Some((trailers, bytes)),
                None => bytes.extend_from_slice(pieces.next()?),
            }
        }
        .map(|(trailers, mut left)| {
            left.extend(pieces.flatten());
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(&data), trailers, text(&left))
        })
    }

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        for (text, data, trailers, left) in [
            ("0\r\n\r\n", "", 0, ""),
            ("3\r\nabc\r\n0\r\n\r\n", "abc", 0, ""),
            ("3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200", "abc", 0, "HTTP/1.1 200"),
            ("00A;name=\"v\"\r\n0123456789\r\n1 \r\nz\r\n0 ; x\r\n\r\n", "0123456789z", 0, ""),
            ("1\r\na\r\n0\r\nx-a: 1\r\nx-b: 2\r\n\r\nrest", "a", 2, "rest"),
        ] {
            for cut in 1..=text.len() {
                let read = read(text, cut).unwrap();
                assert_eq!(
                    (read.0.as_str(), read.1.len(), read.2.as_str()),
                    (data, trailers, left),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn what_two_readers_could_cut_differently_is_no_chunk() {
        for text in [
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc0\r\n\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            "+3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "\r\nabc\r\n0\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "3 4\r\nabc\r\n0\r\n\r\n",
            "3;a\rb\r\nabc\r\n0\r\n\r\n",
            "3\r;a\r\nabc\r\n0\r\n\r\n",
            "3\x0c\r\nabc\r\n0\r\n\r\n",
            "00000000000000003\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc\r\n0\r\nx-a: 1\n\r\n",
            "3\r\nabc\r\n0\r\nno field\r\n\r\n",
        ] {
            for cut in [1, 2, text.len()] {
                assert!(read(text, cut).is_none(), "{text:?}");
            }
        }
        for endless in
            [format!("3;{}", "a".repeat(MOST_SIZE_LINE)), format!("0\r\na: {}", "a".repeat(MOST_TRAILERS))]
        {
            let mut bytes = BytesMut::from(endless.as_str());
            assert!(Chunked::new().advance(&mut bytes).is_err());
        }
    }
}
