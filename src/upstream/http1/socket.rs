//! The socket of a connection, shared between the one who reads and the one who writes; and what it is after a switch.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::http1::poll_write_slices;
use crate::upstream::dial::Stream;

/// A socket with several owners on one thread; gone once one of them has aborted it.
#[derive(Clone)]
pub(super) struct Socket(Rc<RefCell<Option<Stream>>>);

impl Socket {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Rc::new(RefCell::new(Some(stream))))
    }

    fn with<T>(&self, act: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.0.borrow_mut().as_mut() {
            Some(stream) => act(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    /// Reads into what room there is behind `bytes`. Says how many octets came: none at the end.
    pub(super) fn poll_read(&self, bytes: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.with(|mut stream| pin!(stream.read_buf(bytes)).poll(cx))
    }

    pub(super) fn poll_write(
        &self,
        slices: &[io::IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| poll_write_slices(stream, slices, cx))
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    /// Ends the connection for all of its owners, in mid-message.
    pub(super) fn abort(&self) {
        self.0.borrow_mut().take();
    }

    /// Whether there is nothing to read, not even an end.
    pub(super) fn is_quiet(&self) -> bool {
        let mut unasked = [0];
        let mut unasked = ReadBuf::new(&mut unasked);
        let mut cx = Context::from_waker(Waker::noop());
        self.with(|stream| stream.poll_read(&mut cx, &mut unasked)).is_pending()
    }

    /// Ends the connection in order, as far as that goes without waiting: over TLS the other side is told (RFC 9112 §9.8).
    pub(super) fn close(&self) {
        if let Some(mut stream @ Stream::Tls(_)) = self.0.borrow_mut().take() {
            let _ = Pin::new(&mut stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// A connection over which another protocol is spoken now.
pub struct Switched {
    /// What came behind the head of the answer.
    first: Bytes,
    socket: Socket,
}

impl Switched {
    pub(super) const fn new(socket: Socket, first: Bytes) -> Self {
        Self { first, socket }
    }
}

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return self.socket.with(|stream| stream.poll_read(cx, buf));
        }
        let length = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..length]);
        self.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.with(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.with(|stream| stream.poll_shutdown(cx))
    }
}
