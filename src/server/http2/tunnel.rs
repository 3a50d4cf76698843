//! A stream over which another protocol is spoken (RFC 8441): what a WebSocket runs over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::room::Piece;
use super::stream::UnderWay;

/// What is written at a time: some frames of the size that every client takes (RFC 9113 §4.2).
const MOST_AT_ONCE: usize = 64 * 1024;

/// Both directions of a stream. It may be silent for as long as it likes.
pub(super) struct Tunnel {
    sending: SendStream<Piece>,
    receiving: RecvStream,
    /// What has come and was not read.
    unread: Bytes,
    /// Nothing more is sent.
    is_ended: bool,
    _under_way: UnderWay,
}

impl Tunnel {
    pub(super) const fn new(sending: SendStream<Piece>, receiving: RecvStream, under_way: UnderWay) -> Self {
        Self { sending, receiving, unread: Bytes::new(), is_ended: false, _under_way: under_way }
    }

    fn end(&mut self) -> Result<(), h2::Error> {
        if std::mem::replace(&mut self.is_ended, true) {
            return Ok(());
        }
        self.sending.send_data(Piece::nothing(), true)
    }
}

/// Whoever lets go of it has said all they had to say.
impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    } else if error.reason() == Some(Reason::STREAM_CLOSED) {
        io::Error::new(io::ErrorKind::BrokenPipe, error)
    } else {
        io::Error::other(error)
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receiving.poll_data(cx)) {
                Some(Ok(octets)) => self.unread = octets,
                Some(Err(error)) => {
                    let is_end = matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL));
                    return Poll::Ready(if is_end { Ok(()) } else { Err(broken(error)) });
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let here = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..here]);
        self.unread.advance(here);
        // It can only fail for more than has come.
        let _ = self.receiving.flow_control().release_capacity(here);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    /// Takes as much as the windows have room for, so that nothing waits in h2 for a client that does not read.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.sending.reserve_capacity(bytes.len().min(MOST_AT_ONCE));
        while self.sending.capacity() == 0 {
            match ready!(self.sending.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let here = bytes.len().min(self.sending.capacity());
        let piece = Piece::uncounted(Bytes::copy_from_slice(&bytes[..here]));
        self.sending.send_data(piece, false).map_err(broken)?;
        Poll::Ready(Ok(here))
    }

    /// h2 sends by itself what it was given.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.end().map_err(broken))
    }
}
