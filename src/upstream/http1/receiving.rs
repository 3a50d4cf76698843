//! An answer on its way in: what has come, and how much of it belongs to the body.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::Fault;
use super::chunked::{Chunked, Part};
use super::socket::Socket;

/// What is read at a time, at first, and when much comes.
const LITTLE: usize = 8 * 1024;
const MUCH: usize = 512 * 1024;

/// What has come and was not taken yet.
pub(super) struct Input {
    bytes: BytesMut,
    /// The room that the next read gets: more after one that has filled it, less after two that have not come near.
    room: usize,
    was_little: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { bytes: BytesMut::new(), room: LITTLE, was_little: false }
    }
}

impl Input {
    pub(super) const fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn into_rest(self) -> Bytes {
        self.bytes.freeze()
    }

    /// Gives back what room a large answer has needed.
    pub(super) fn shrink(&mut self) {
        if self.room > LITTLE {
            *self = Self::default();
        }
    }

    /// Reads more. Says how many octets came: none at the end.
    pub(super) fn poll_fill(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.bytes.capacity() - self.bytes.len();
        if room < self.room / 2 {
            self.bytes.reserve(self.room);
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let count = ready!(socket.poll_read(&mut self.bytes, cx))?;
        let is_little = count < self.room / 4;
        if count == room {
            self.room = (self.room * 2).min(MUCH);
        } else if is_little && self.was_little {
            self.room = (self.room / 2).max(LITTLE);
        }
        self.was_little = is_little;
        Poll::Ready(Ok(count))
    }
}

/// What of an answer's body is still to come (RFC 9112 §6.3).
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing.
    Empty,
    /// So many octets, at least one.
    Length(u64),
    /// Chunks.
    Chunked(Chunked),
    /// Whatever comes.
    UntilClose,
}

impl Content {
    /// The next part of it.
    pub(super) fn poll_frame(
        &mut self,
        input: &mut Input,
        socket: &Socket,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            match self.take(&mut input.bytes) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if matches!(self, Self::Empty) => return Poll::Ready(None),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
            match ready!(input.poll_fill(socket, cx)) {
                Ok(0) if matches!(self, Self::UntilClose) => *self = Self::Empty,
                Ok(0) => return Poll::Ready(Some(Err(Fault::Closed))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }

    /// What of it has come.
    fn take(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Fault> {
        if matches!(self, Self::Empty) || bytes.is_empty() {
            return Ok(None);
        }
        let piece = match self {
            Self::Empty => return Ok(None),
            Self::UntilClose => bytes.split(),
            Self::Length(left) => {
                let length = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= length as u64;
                if *left == 0 {
                    *self = Self::Empty;
                }
                bytes.split_to(length)
            }
            Self::Chunked(chunks) => match chunks.advance(bytes)? {
                None => return Ok(None),
                Some(Part::Data(piece)) => {
                    if chunks.is_at_plain_end(bytes) {
                        *self = Self::Empty;
                    }
                    piece
                }
                Some(Part::End(trailers)) => {
                    *self = Self::Empty;
                    return Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers)));
                }
            },
        };
        Ok(Some(Frame::data(piece.freeze())))
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(_) | Self::UntilClose => SizeHint::default(),
        }
    }
}
