//! An answer on its way in: how much of what has come belongs to its body.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::Fault;
use super::chunked::{Chunked, Part};
use super::socket::Socket;
use crate::http1::Input;

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
            match self.take(input.bytes()) {
                Ok(Some(frame)) => {
                    input.pass_on_room();
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(None) if matches!(self, Self::Empty) => return Poll::Ready(None),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
            match ready!(input.poll_fill(|bytes| socket.poll_read(bytes, cx))) {
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
