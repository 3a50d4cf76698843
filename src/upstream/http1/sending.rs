//! A request on its way out: its head, then its body as it comes.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;

use super::head::{self, Framing};
use super::socket::Socket;
use crate::upstream::body::RequestBody;
use crate::upstream::outgoing::Outgoing;

/// Pieces of a body that are shorter are copied behind what else waits to be written; longer ones are written as they are.
const SHORT: usize = 4 * 1024;
/// Once so much waits to be written, nothing more of the body is asked for: however short its pieces are, whoever does not
/// read holds up the sender and not our memory.
const ENOUGH: usize = 16 * 1024;
/// What a connection keeps for the next head.
const KEPT: usize = 8 * 1024;

/// Why a request could not be sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The socket does not take it.
    Io(io::Error),
    /// Its body broke off, or is not as long as its head says.
    Body,
}

/// How far a request has been sent.
#[derive(Default)]
pub(super) struct Sending {
    /// What waits to be written, from `written` on: heads, sizes of chunks, short pieces.
    waiting: Vec<u8>,
    written: usize,
    /// What is to be written then.
    piece: Bytes,
    /// And after that.
    after: &'static [u8],
    /// What of the body is still to come.
    framing: Framing,
    /// The trailers that were announced: no others are sent (RFC 9110 §6.6.2).
    announced: Option<HeaderValue>,
    /// Something was given to the socket that it may not have sent.
    unflushed: bool,
    has_written: bool,
    has_touched_body: bool,
    /// The socket takes nothing more.
    broken: bool,
}

impl Sending {
    /// Begins with the next request.
    pub(super) fn begin(&mut self, request: &Outgoing) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.clear();
        waiting.shrink_to(KEPT);
        request.write_head(&mut waiting);
        *self = Self {
            waiting,
            framing: request.framing,
            announced: request.announced.clone(),
            ..Self::default()
        };
    }

    /// Whether all of it has been written, or nothing more of it ever will be.
    pub(super) fn is_over(&self) -> bool {
        self.framing == Framing::Nothing && !self.waits() && !self.unflushed && !self.broken
    }

    /// Whether the socket has taken any of it.
    pub(super) const fn has_written(&self) -> bool {
        self.has_written
    }

    /// Whether any of its body has been asked for.
    pub(super) const fn has_touched_body(&self) -> bool {
        self.has_touched_body
    }

    fn waits(&self) -> bool {
        self.written < self.waiting.len() || !self.piece.is_empty() || !self.after.is_empty()
    }

    /// Whether the next piece of the body can be put where it is written from. What was written of `waiting` goes only with
    /// the last of it, so it counts.
    fn has_room_for_more(&self) -> bool {
        self.framing != Framing::Nothing
            && self.piece.is_empty()
            && self.after.is_empty()
            && self.waiting.len() < ENOUGH
    }

    /// Whether the socket takes nothing more of it.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Sends on. Ready once all of it is written, and from then on.
    pub(super) fn poll(
        &mut self,
        socket: &Socket,
        body: &mut RequestBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent>> {
        if self.broken {
            return Poll::Pending;
        }
        loop {
            // As much as is there goes out at once: a form with its head.
            while self.has_room_for_more() {
                match self.poll_body(body, cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(unsent)) => return Poll::Ready(Err(unsent)),
                    Poll::Pending => break,
                }
            }
            if !self.waits() {
                if self.unflushed {
                    ready!(socket.poll_flush(cx)).map_err(|error| self.breaks(error))?;
                    self.unflushed = false;
                }
                return if self.framing == Framing::Nothing { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            ready!(self.poll_write(socket, cx)).map_err(|error| self.breaks(error))?;
        }
    }

    fn breaks(&mut self, error: io::Error) -> Unsent {
        self.broken = true;
        Unsent::Io(error)
    }

    /// Takes the next piece of the body, and puts it where it is written from.
    fn poll_body(&mut self, body: &mut RequestBody, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        self.has_touched_body = true;
        let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
            return Poll::Ready(self.end(None));
        };
        let frame = frame.map_err(|_| Unsent::Body)?;
        Poll::Ready(match frame.into_data() {
            Ok(piece) => self.add(piece),
            Err(frame) => self.end(frame.into_trailers().ok().as_ref()),
        })
    }

    fn add(&mut self, piece: Bytes) -> Result<(), Unsent> {
        if piece.is_empty() {
            return Ok(());
        }
        let after: &'static [u8] = match &mut self.framing {
            Framing::Nothing => return Err(Unsent::Body),
            Framing::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(Unsent::Body)?;
                if *left == 0 {
                    self.framing = Framing::Nothing;
                }
                b""
            }
            Framing::Chunked => {
                head::write_chunk_size(piece.len(), &mut self.waiting);
                b"\r\n"
            }
        };
        if piece.len() < SHORT {
            self.waiting.extend_from_slice(&piece);
            self.waiting.extend_from_slice(after);
        } else {
            self.piece = piece;
            self.after = after;
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Unsent> {
        match self.framing {
            Framing::Nothing | Framing::Length(0) => {
                self.framing = Framing::Nothing;
                Ok(())
            }
            // It is shorter than its head says.
            Framing::Length(_) => Err(Unsent::Body),
            Framing::Chunked => {
                self.waiting.extend_from_slice(b"0\r\n");
                let announced = self.announced.as_ref().map_or(&[][..], HeaderValue::as_bytes);
                let is_announced = |name: &HeaderName| {
                    let mut names = announced.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
                    names.any(|announced| announced.eq_ignore_ascii_case(name.as_str().as_bytes()))
                };
                let trailers = trailers.into_iter().flatten().filter(|(name, _)| is_announced(name));
                trailers
                    .for_each(|(name, value)| head::write_line(name, value.as_bytes(), &mut self.waiting));
                self.waiting.extend_from_slice(b"\r\n");
                self.framing = Framing::Nothing;
                Ok(())
            }
        }
    }

    fn poll_write(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = &self.waiting[self.written..];
        let slices = [IoSlice::new(waiting), IoSlice::new(&self.piece), IoSlice::new(self.after)];
        let slices = if self.piece.is_empty() && self.after.is_empty() { &slices[..1] } else { &slices[..] };
        let mut taken = ready!(socket.poll_write(slices, cx))?;
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        (self.has_written, self.unflushed) = (true, true);
        let of_waiting = taken.min(waiting.len());
        self.written += of_waiting;
        taken -= of_waiting;
        let of_piece = taken.min(self.piece.len());
        self.piece.advance(of_piece);
        taken -= of_piece;
        self.after = self.after.get(taken..).unwrap_or_default();
        if self.written == self.waiting.len() {
            self.waiting.clear();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the rest, whatever becomes of the answer meanwhile. One that breaks off ends the connection, and so does an
    /// upstream that takes nothing of it for as long as `patience`: it has said what it had to say.
    pub(super) async fn finish(mut self, socket: Socket, mut body: RequestBody, patience: Duration) {
        let progress = body.progress();
        loop {
            let sent = poll_fn(|cx| self.poll(&socket, &mut body, cx));
            match tokio::time::timeout(patience, sent).await {
                Ok(Ok(())) => return,
                // It is not the upstream that is waited for, or it has taken some.
                Err(_) if progress.goes_on() => {}
                Ok(Err(_)) | Err(_) => {
                    socket.abort();
                    return;
                }
            }
        }
    }
}
