//! What waits to be written of a message: its head, then its body as it comes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use tokio::io::AsyncWrite;

use super::spares;

/// Pieces of a body that are shorter are copied behind what else waits to be written; longer ones are written as they are.
const SHORT: usize = 4 * 1024;
/// Once so much waits to be written, nothing more of the body is asked for: however short its pieces are, whoever does not
/// read holds up the sender and not our memory.
const ENOUGH: usize = 16 * 1024;
/// The same of pieces that are not copied. Where all that is written is taken, what has come in several reads goes out in one
/// write; whoever lets something lie has us keep little.
const ENOUGH_IN_PIECES: RangeInclusive<usize> = 64 * 1024..=512 * 1024;
const ENOUGH_PIECES: usize = 16;
/// Each piece with what stands before and behind it, and what goes before them all.
const MOST_SLICES: usize = 1 + 3 * ENOUGH_PIECES;
/// How a body is delimited (RFC 9112 §6.3), and what of it is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none, or no more of it.
    #[default]
    Nothing,
    /// So many octets.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Whatever comes before the end of the connection.
    UntilClose,
}

/// The body is longer or shorter than its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

/// A piece of a body that is written as it is.
#[derive(Debug)]
struct Piece {
    /// The line with its size, where it is a chunk.
    before: Bytes,
    content: Bytes,
    after: &'static [u8],
}

impl Piece {
    /// Takes away what of it was written, and that from `written`. Says whether this was all of it.
    fn advance(&mut self, written: &mut usize) -> bool {
        for part in [&mut self.before, &mut self.content] {
            let of_part = part.len().min(*written);
            part.advance(of_part);
            *written -= of_part;
        }
        let of_after = self.after.len().min(*written);
        self.after = &self.after[of_after..];
        *written -= of_after;
        self.before.is_empty() && self.content.is_empty() && self.after.is_empty()
    }
}

/// A message on its way out.
#[derive(Debug)]
pub struct Outbox {
    /// What waits to be written, from `written` on: heads, sizes of chunks, short pieces.
    waiting: Vec<u8>,
    written: usize,
    /// What is to be written then, and how much of it is content.
    pieces: VecDeque<Piece>,
    content: usize,
    /// So much content is enough.
    enough: usize,
    framing: Framing,
    /// The trailers that were announced: no others are sent (RFC 9110 §6.6.2).
    announced: Option<HeaderValue>,
    has_written: bool,
    /// Something was written that may not have gone out.
    unflushed: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            written: 0,
            pieces: VecDeque::new(),
            content: 0,
            enough: *ENOUGH_IN_PIECES.start(),
            framing: Framing::default(),
            announced: None,
            has_written: false,
            unflushed: false,
        }
    }
}

impl Outbox {
    /// Begins with the next message, behind what is left of the one before. Its head is to be written where this says.
    pub fn begin(&mut self, framing: Framing, announced: Option<HeaderValue>) -> &mut Vec<u8> {
        if self.waiting.capacity() == 0 {
            self.waiting = spares::octets();
        }
        (self.framing, self.announced, self.has_written) = (framing, announced, false);
        &mut self.waiting
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.written < self.waiting.len() || !self.pieces.is_empty()
    }

    /// Whether all of the message has gone out.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.lacks_body() && !self.waits() && !self.unflushed
    }

    /// Whether something of the body is still to come.
    #[must_use]
    pub fn lacks_body(&self) -> bool {
        self.framing != Framing::Nothing
    }

    /// Whether any of the message has been written.
    #[must_use]
    pub const fn has_written(&self) -> bool {
        self.has_written
    }

    /// Whether more of the body is asked for before what waits has been written. What was written of `waiting` goes only with
    /// the last of it, so it counts.
    #[must_use]
    pub fn has_room_for_more(&self) -> bool {
        self.lacks_body()
            && self.waiting.len() < ENOUGH
            && self.content < self.enough
            && self.pieces.len() < ENOUGH_PIECES
    }

    /// Takes the next frame of the body, or its end.
    ///
    /// # Errors
    /// Where the body is not as long as its head says.
    pub fn take(&mut self, frame: Option<Frame<Bytes>>) -> Result<(), Mismatch> {
        match frame.map(Frame::into_data) {
            Some(Ok(piece)) => self.add(piece),
            Some(Err(frame)) => self.end(frame.into_trailers().ok().as_ref()),
            None => self.end(None),
        }
    }

    fn add(&mut self, piece: Bytes) -> Result<(), Mismatch> {
        if piece.is_empty() {
            return Ok(());
        }
        let is_chunk = self.framing == Framing::Chunked;
        match &mut self.framing {
            Framing::Nothing => return Err(Mismatch),
            Framing::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(Mismatch)?;
                if *left == 0 {
                    self.framing = Framing::Nothing;
                }
            }
            Framing::Chunked | Framing::UntilClose => {}
        }
        let (before, after) =
            if is_chunk { (size_line(piece.len()), &b"\r\n"[..]) } else { (String::new(), &b""[..]) };
        if piece.len() < SHORT && self.pieces.is_empty() {
            for part in [before.as_bytes(), &piece, after] {
                self.waiting.extend_from_slice(part);
            }
        } else {
            self.content += piece.len();
            self.pieces.push_back(Piece { before: before.into(), content: piece, after });
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Mismatch> {
        match std::mem::take(&mut self.framing) {
            Framing::Nothing | Framing::Length(0) | Framing::UntilClose => Ok(()),
            // It is shorter than its head says.
            Framing::Length(_) => Err(Mismatch),
            Framing::Chunked => {
                let mut last = b"0\r\n".to_vec();
                let announced = self.announced.as_ref().map_or(&[][..], HeaderValue::as_bytes);
                let is_announced = |name: &HeaderName| {
                    let mut names = announced.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
                    names.any(|announced| announced.eq_ignore_ascii_case(name.as_str().as_bytes()))
                };
                let trailers = trailers.into_iter().flatten().filter(|(name, _)| is_announced(name));
                trailers.for_each(|(name, value)| write_line(name, value.as_bytes(), &mut last));
                last.extend_from_slice(b"\r\n");
                if self.pieces.is_empty() {
                    self.waiting.extend_from_slice(&last);
                } else {
                    self.pieces.push_back(Piece { before: last.into(), content: Bytes::new(), after: b"" });
                }
                Ok(())
            }
        }
    }

    /// Writes, by `write`, as much as is taken.
    ///
    /// # Errors
    /// Those of `write`, and where it takes nothing.
    pub fn poll_write(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        let waiting = &self.waiting[self.written..];
        let polled = if self.pieces.is_empty() {
            write(&[IoSlice::new(waiting)])
        } else {
            let pieces =
                self.pieces.iter().flat_map(|piece| [&piece.before[..], &piece.content, piece.after]);
            let parts = std::iter::once(waiting).chain(pieces).filter(|part| !part.is_empty());
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let count = slices.iter_mut().zip(parts).map(|(slice, part)| *slice = IoSlice::new(part)).count();
            write(&slices[..count])
        };
        let has_all = matches!(polled, Poll::Ready(Ok(taken)) if taken >= waiting.len() + self.content);
        if !has_all {
            self.enough = *ENOUGH_IN_PIECES.start();
        } else if self.content >= self.enough / 2 {
            self.enough = (self.enough * 2).min(*ENOUGH_IN_PIECES.end());
        }
        let taken = ready!(polled)?;
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        (self.has_written, self.unflushed) = (true, true);
        self.advance(taken);
        Poll::Ready(Ok(()))
    }

    /// Takes away what was written.
    fn advance(&mut self, mut written: usize) {
        let of_waiting = (self.waiting.len() - self.written).min(written);
        self.written += of_waiting;
        written -= of_waiting;
        if self.written == self.waiting.len() {
            self.waiting.clear();
            self.written = 0;
        }
        while let Some(piece) = self.pieces.front_mut() {
            let before = piece.content.len();
            let is_over = piece.advance(&mut written);
            self.content -= before - piece.content.len();
            if !is_over {
                break;
            }
            self.pieces.pop_front();
        }
    }

    /// Sees to it, by `flush`, that what was written goes out.
    ///
    /// # Errors
    /// Those of `flush`.
    pub fn poll_flush(&mut self, flush: impl FnOnce() -> Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(flush())?;
            self.unflushed = false;
        }
        if self.is_done() {
            spares::keep_octets(std::mem::take(&mut self.waiting));
            self.pieces = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes to a socket what stands in these slices, as far as it is taken. One of them needs no vector.
pub fn poll_write_slices(
    socket: Pin<&mut impl AsyncWrite>,
    slices: &[IoSlice<'_>],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    match slices {
        [one] => socket.poll_write(cx, one),
        several => socket.poll_write_vectored(cx, several),
    }
}

/// Writes a field line, with the name as it is.
pub fn write_line(name: &HeaderName, value: &[u8], out: &mut Vec<u8>) {
    let name = name.as_str().as_bytes();
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The line before the data of a chunk.
fn size_line(size: usize) -> String {
    format!("{size:x}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of a body in these pieces, where so many octets are taken at a time.
    fn written(framing: Framing, pieces: &[&'static [u8]], at_a_time: usize) -> Result<Vec<u8>, Mismatch> {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        outbox.begin(framing, None).extend_from_slice(b"head ");
        let mut left = pieces.iter();
        loop {
            while outbox.has_room_for_more() {
                outbox.take(left.next().map(|piece| Frame::data(Bytes::from_static(piece))))?;
            }
            if !outbox.waits() {
                break;
            }
            let write = |slices: &[IoSlice<'_>]| {
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = all.len().min(at_a_time);
                out.extend_from_slice(&all[..taken]);
                Poll::Ready(Ok(taken))
            };
            assert!(matches!(outbox.poll_write(write), Poll::Ready(Ok(()))));
        }
        assert!(matches!(outbox.poll_flush(|| Poll::Ready(Ok(()))), Poll::Ready(Ok(()))));
        assert!(outbox.is_done() && outbox.content == 0);
        Ok(out)
    }

    #[test]
    fn pieces_of_every_length_go_out_in_their_order_however_few_octets_are_taken() {
        static LONG: [u8; 3 * SHORT] = [b'l'; 3 * SHORT];
        let pieces: Vec<&'static [u8]> =
            [&b"one"[..], &LONG, b"two", b"", b"three", &LONG, &LONG[..SHORT]].repeat(5);
        let content = pieces.concat();
        let length = content.len() as u64;
        let chunks = pieces.iter().filter(|piece| !piece.is_empty());
        let chunks = chunks.map(|piece| [size_line(piece.len()).as_bytes(), piece, b"\r\n"].concat());
        let chunked = [&chunks.collect::<Vec<_>>().concat()[..], b"0\r\n\r\n"].concat();
        for at_a_time in [509, 4096, 100_000, usize::MAX] {
            for (framing, body) in [
                (Framing::Length(length), &content),
                (Framing::UntilClose, &content),
                (Framing::Chunked, &chunked),
            ] {
                let expected = [&b"head "[..], body].concat();
                assert!(written(framing, &pieces, at_a_time).unwrap() == expected, "{framing:?} {at_a_time}");
            }
        }
    }

    /// How much content an outbox asks for, before a write that takes so much of it.
    fn asks_for(outbox: &mut Outbox, taken: impl FnOnce(usize) -> Poll<io::Result<usize>>) -> usize {
        static PIECE: [u8; 32 * 1024] = [0; 32 * 1024];
        while outbox.has_room_for_more() {
            outbox.take(Some(Frame::data(Bytes::from_static(&PIECE)))).unwrap();
        }
        let content = outbox.content;
        let _ = outbox.poll_write(|slices| taken(slices.iter().map(|slice| slice.len()).sum()));
        content
    }

    #[test]
    fn little_is_kept_for_whoever_does_not_take_all_and_more_for_whoever_does() {
        let mut outbox = Outbox::default();
        outbox.begin(Framing::UntilClose, None);
        let (least, most) = (*ENOUGH_IN_PIECES.start(), *ENOUGH_IN_PIECES.end());
        let all = |octets| Poll::Ready(Ok(octets));
        // What there is of a head alone tells nothing.
        for _ in 0..9 {
            outbox.begin(Framing::UntilClose, None).extend_from_slice(b"head");
            assert!(outbox.poll_write(|_| Poll::Ready(Ok(4))).is_ready());
        }
        let asked: Vec<_> = (0..5).map(|_| asks_for(&mut outbox, all)).collect();
        assert_eq!(asked, [least, 2 * least, 4 * least, most, most]);
        for takes_some in [false, true] {
            asks_for(&mut outbox, |octets| if takes_some { all(octets - 1) } else { Poll::Pending });
            assert_eq!(outbox.enough, least, "{takes_some}");
            // What waits goes; what is asked for then is little again.
            asks_for(&mut outbox, |octets| Poll::Ready(Ok(octets - 1)));
            outbox.pieces.clear();
            outbox.content = 0;
            assert_eq!(asks_for(&mut outbox, all), least);
            let _: Vec<_> = (0..3).map(|_| asks_for(&mut outbox, all)).collect();
        }
    }

    #[test]
    fn a_body_of_another_length_than_its_head_says_is_none() {
        for (length, pieces) in [(4, &[&b"abc"[..]][..]), (2, &[b"abc"]), (0, &[]), (4, &[b"abc", b"de"])] {
            let outcome = written(Framing::Length(length), pieces, usize::MAX);
            assert_eq!(outcome.is_ok(), length == 0, "{length}");
        }
        assert!(written(Framing::Nothing, &[], usize::MAX).is_ok());
    }
}
