//! What comes of a request behind its head: its body, or the connection itself once it goes on in another protocol.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::crowd::Seats;
use super::framing::Violation;
use super::http2::Content;

/// The body of a request, whichever HTTP it comes over.
#[derive(Debug)]
pub struct Incoming(Kind);

enum Kind {
    /// There is none.
    Empty,
    /// There is none, and the request asks to go on in another protocol.
    Switches(OnUpgrade),
    Http1(Reading),
    Http2(Content),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "no body",
            Self::Switches(_) => "an upgrade",
            Self::Http1(_) => "HTTP/1.1",
            Self::Http2(_) => "HTTP/2",
        })
    }
}

/// What a body over HTTP/1.1 is read from.
pub(super) trait Source {
    /// The next piece. None is read before somebody asks for it.
    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>>;

    /// How many octets are still to come, where that is known.
    fn left(&self) -> Option<u64>;

    /// Nobody asks for the rest.
    fn abandon(&self);
}

/// A body that is read from its connection.
struct Reading {
    source: Rc<dyn Source>,
    /// What the connection says from now on is about another request.
    is_over: bool,
}

impl Reading {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.source.poll_piece(cx);
        self.is_over = match &polled {
            Poll::Ready(Some(Ok(_))) => self.source.left() == Some(0),
            Poll::Ready(Some(Err(_)) | None) => true,
            Poll::Pending => false,
        };
        polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.is_over {
            self.source.abandon();
        }
    }
}

/// Why a body is not complete.
#[derive(Debug, thiserror::Error)]
pub enum BrokenOff {
    /// It is not well framed.
    #[error(transparent)]
    Framing(#[from] Violation),
    /// The connection broke, or has ended.
    #[error("the connection of the request has ended")]
    Ended,
    /// The stream was reset, or its connection has ended.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Incoming {
    /// No body.
    #[must_use]
    pub(crate) const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// No body, and perhaps another protocol.
    pub(super) const fn switching(on_upgrade: OnUpgrade) -> Self {
        Self(Kind::Switches(on_upgrade))
    }

    /// What is read from a connection.
    pub(super) fn from_source(source: Rc<dyn Source>) -> Self {
        Self(Kind::Http1(Reading { source, is_over: false }))
    }

    /// What comes over a stream.
    pub(super) const fn from_stream(stream: Content) -> Self {
        Self(Kind::Http2(stream))
    }

    /// The connection as it is once it goes on in another protocol, where the request asks for one. It is there once.
    pub fn on_upgrade(&mut self) -> Option<OnUpgrade> {
        match std::mem::replace(&mut self.0, Kind::Empty) {
            Kind::Switches(on_upgrade) => Some(on_upgrade),
            other @ (Kind::Empty | Kind::Http1(_) | Kind::Http2(_)) => {
                self.0 = other;
                None
            }
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.0 {
            Kind::Empty | Kind::Switches(_) => Poll::Ready(None),
            Kind::Http1(reading) => reading.poll_frame(cx),
            Kind::Http2(stream) => Pin::new(stream).poll_frame(cx).map_err(BrokenOff::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Switches(_) => true,
            Kind::Http1(reading) => reading.is_over,
            Kind::Http2(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Switches(_) => SizeHint::with_exact(0),
            Kind::Http1(reading) if reading.is_over => SizeHint::with_exact(0),
            Kind::Http1(reading) => {
                reading.source.left().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Kind::Http2(stream) => stream.size_hint(),
        }
    }
}

/// A connection, or a stream, that may go on in another protocol: it is known once the answer has gone out.
pub struct OnUpgrade(oneshot::Receiver<Upgraded>);

/// The connection, or its stream, does not go on.
#[derive(Debug, thiserror::Error)]
#[error("the client's connection has not switched to another protocol")]
pub struct NotUpgraded;

impl OnUpgrade {
    /// Where to hand it over, and where it arrives.
    pub(super) fn of_connection() -> (oneshot::Sender<Upgraded>, Self) {
        let (hand_over, awaited) = oneshot::channel();
        (hand_over, Self(awaited))
    }

    /// Waits until the answer has gone out.
    ///
    /// # Errors
    /// Where the client has gone, or was answered otherwise.
    pub async fn upgraded(self) -> Result<Upgraded, NotUpgraded> {
        self.0.await.map_err(|_| NotUpgraded)
    }
}

/// What is read and written, whatever it goes over.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection over which another protocol is spoken now, or a stream of one.
pub struct Upgraded {
    io: Box<dyn Duplex>,
    /// Those of the connection, where there is nothing else over it.
    _seats: Option<Seats>,
}

impl Upgraded {
    pub(super) fn new(io: impl Duplex + 'static, seats: Option<Seats>) -> Self {
        Self { io: Box::new(io), _seats: seats }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}
