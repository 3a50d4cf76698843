//! A request on its way out: its head, then its body as it comes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::Body as _;

use super::socket::Socket;
use crate::http1::{Mismatch, Outbox};
use crate::upstream::body::RequestBody;
use crate::upstream::outgoing::Outgoing;

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
    outbox: Outbox,
    has_touched_body: bool,
    /// The socket takes nothing more.
    broken: bool,
}

impl Sending {
    /// Begins with the next request.
    pub(super) fn begin(&mut self, request: &Outgoing) {
        let head = self.outbox.begin(request.framing, request.announced.clone());
        request.write_head(head);
        (self.has_touched_body, self.broken) = (false, false);
    }

    /// Whether all of it has been written, or nothing more of it ever will be.
    pub(super) fn is_over(&self) -> bool {
        self.outbox.is_done() && !self.broken
    }

    /// Whether the socket has taken any of it.
    pub(super) const fn has_written(&self) -> bool {
        self.outbox.has_written()
    }

    /// Whether any of its body has been asked for.
    pub(super) const fn has_touched_body(&self) -> bool {
        self.has_touched_body
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
            while self.outbox.has_room_for_more() {
                self.has_touched_body = true;
                let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else { break };
                let frame = frame.transpose().map_err(|_| Unsent::Body)?;
                self.outbox.take(frame).map_err(|Mismatch| Unsent::Body)?;
            }
            if self.outbox.waits() {
                let written = self.outbox.poll_write(|slices| socket.poll_write(slices, cx));
                ready!(written).map_err(|error| self.breaks(error))?;
            } else {
                let flushed = self.outbox.poll_flush(|| socket.poll_flush(cx));
                ready!(flushed).map_err(|error| self.breaks(error))?;
                return if self.outbox.lacks_body() { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
        }
    }

    fn breaks(&mut self, error: io::Error) -> Unsent {
        self.broken = true;
        Unsent::Io(error)
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
                Err(_) if progress.as_ref().is_some_and(|progress| progress.goes_on()) => {}
                Ok(Err(_)) | Err(_) => {
                    socket.abort();
                    return;
                }
            }
        }
    }
}
