//! Seats: the places that a connection takes among all, and among those of its address, for as long as its socket is there.
//!
//! A connection that has become a tunnel costs what any other does, and outlasts whoever has spoken HTTP over it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Transport;
use super::crowd::Place;
use super::tls::TlsVersion;

/// What a connection takes.
#[expect(dead_code, reason = "they are there to be dropped")]
#[derive(Debug)]
pub(super) struct Seats {
    /// Among all.
    pub(super) one_of_all: Place,
    /// Among those of its address, where they are counted.
    pub(super) of_address: Option<Place>,
}

/// A socket with its seats.
pub(super) struct Seated<S> {
    pub(super) socket: S,
    pub(super) _seats: Seats,
}

impl<S: Transport> Transport for Seated<S> {
    fn break_off(&self) {
        self.socket.break_off();
    }

    fn tls(&self) -> Option<TlsVersion> {
        self.socket.tls()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Seated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seated<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
