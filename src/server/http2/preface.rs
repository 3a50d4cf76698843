//! Who speaks HTTP/2 without having been asked to (RFC 9113 §3.3): told by the first octets of a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::frames::PREFACE;
use crate::deadline::Watch;
use crate::server::connection::{Limits, Transport};
use crate::server::tls::TlsVersion;

/// No request of HTTP/1.1 begins like this: its method would be one that is reserved (RFC 9113 §11.7).
const TELLING: usize = b"PRI ".len();

/// A connection of which the first octets have been read.
pub(in crate::server) struct Begun<S> {
    socket: S,
    read: [u8; TELLING],
    /// Which of them are still to be read again.
    again: std::ops::Range<usize>,
}

impl<S: Transport> Begun<S> {
    /// Reads until it is clear what is spoken, and whether that is HTTP/2; nothing where it does not come to that.
    pub(in crate::server) async fn read(
        mut socket: S,
        watch: &Watch,
        limits: &Limits,
    ) -> Option<(Self, bool)> {
        let mut read = [0; TELLING];
        let mut length = 0;
        watch.client.set(limits.idle);
        while length < TELLING && PREFACE.starts_with(&read[..length]) {
            let more = {
                let mut reading = pin!(socket.read(&mut read[length..]));
                let in_time = poll_fn(|cx| {
                    watch.wakes(cx.waker());
                    if watch.client.is_past() { Poll::Ready(Ok(0)) } else { reading.as_mut().poll(cx) }
                });
                in_time.await.ok().filter(|&more| more > 0)?
            };
            length += more;
            watch.client.set(limits.head_timeout);
        }
        watch.client.clear();
        let is_http2 = PREFACE.starts_with(&read[..length]);
        Some((Self { socket, read, again: 0..length }, is_http2))
    }
}

impl<S: Transport> Transport for Begun<S> {
    fn break_off(&self) {
        self.socket.break_off();
    }

    fn tls(&self) -> Option<TlsVersion> {
        self.socket.tls()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.again.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let here = self.again.len().min(buf.remaining());
        let from = self.again.start;
        buf.put_slice(&self.read[from..from + here]);
        self.again.start += here;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
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
