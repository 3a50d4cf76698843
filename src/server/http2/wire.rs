//! The socket below h2: frames are read along before h2 sees them, and what it writes goes out together.
//!
//! h2 writes and flushes each frame that has content by itself. Over TLS that would be a record, a system call and a packet
//! for every answer. So what is written is gathered while h2 is polled and sent when that is over: the answers that were
//! ready at once go out at once.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use super::{Room, Vitals};
use crate::server::connection::Transport;

/// What is gathered at most: what fits into one record of TLS (RFC 8446 §5.1).
const MOST_GATHERED: usize = 16 * 1024;

/// The two ends of one socket: h2 reads and writes at this one, and whoever polls h2 sends.
pub(super) struct Wire<S: Transport>(Rc<RefCell<Line<S>>>);

struct Line<S: Transport> {
    socket: S,
    frames: Frames,
    vitals: Rc<Vitals>,
    room: Rc<Room>,
    /// What was written, and how much of that was sent.
    gathered: Vec<u8>,
    sent: usize,
    /// TLS holds something that the socket has not taken.
    is_held: bool,
}

impl<S: Transport> Wire<S> {
    pub(super) fn new(socket: S, vitals: Rc<Vitals>, room: Rc<Room>) -> Self {
        let frames = Frames::new();
        let line = Line { socket, frames, vitals, room, gathered: Vec::new(), sent: 0, is_held: false };
        Self(Rc::new(RefCell::new(line)))
    }

    /// The other end.
    pub(super) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    /// Sends what was gathered.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(cx)
    }
}

impl<S: Transport> Line<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What TLS holds is gone before it gets more: else it would seem that the client took something.
        ready!(self.poll_flush(cx))?;
        if self.gathered.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.gathered.len() {
            let written = Pin::new(&mut self.socket).poll_write(cx, &self.gathered[self.sent..]);
            self.vitals.wrote(&written);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.gathered.clear();
        self.sent = 0;
        self.room.spare(std::mem::take(&mut self.gathered));
        self.poll_flush(cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        // A plain socket has nothing to flush, which does not say that its client has taken anything.
        if flushed.is_pending() || self.is_held {
            self.vitals.wrote(&flushed);
        }
        self.is_held = flushed.is_pending();
        flushed
    }
}

/// What nobody has read is not to be kept for them.
impl<S: Transport> Drop for Line<S> {
    fn drop(&mut self) {
        if self.vitals.stalled.get() {
            self.socket.break_off();
        }
    }
}

impl<S: Transport> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = &mut *self.0.borrow_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut line.socket).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            line.frames.follow(new);
            line.vitals.is_heard(&line.frames);
        }
        read
    }
}

impl<S: Transport> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = &mut *self.0.borrow_mut();
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if line.gathered.len() + length > MOST_GATHERED {
            ready!(line.poll_send(cx))?;
        }
        if length > MOST_GATHERED {
            let written = Pin::new(&mut line.socket).poll_write_vectored(cx, slices);
            line.vitals.wrote(&written);
            return written;
        }
        if line.gathered.is_empty() {
            line.gathered = line.room.take_spare(MOST_GATHERED);
        }
        slices.iter().for_each(|slice| line.gathered.extend_from_slice(slice));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Whoever polls h2 sends.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = &mut *self.0.borrow_mut();
        ready!(line.poll_send(cx))?;
        Pin::new(&mut line.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;
    use crate::deadline::Ticker;
    use crate::server::connection::Limits;

    const PATIENCE: Duration = Duration::from_secs(30);
    pub(in crate::server::http2) const LIMITS: Limits = Limits {
        head_timeout: PATIENCE,
        head_bytes: 1,
        fields: 1,
        body_idle: PATIENCE,
        body_rate: None,
        idle: PATIENCE,
        connections: 1,
        connections_per_peer: 1,
        http2_bytes: 0,
    };

    /// Both ends of a wire, its clock, and the client.
    fn wire() -> (Wire<UnixStream>, Wire<UnixStream>, Ticker, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ticker = Ticker::default();
        let vitals = Vitals::new(LIMITS, ticker.watch().share());
        let wire = Wire::new(ours, Rc::new(vitals), Rc::default());
        (wire.share(), wire, ticker, theirs)
    }

    async fn send(wire: &Wire<UnixStream>) {
        poll_fn(|cx| wire.poll_send(cx)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_goes_out_together_and_not_before_it_is_sent() {
        let (mut h2, wire, _, mut client) = wire();
        let mut heard = [0; 100];
        for _ in 0..2 {
            for said in ["one ", "answer, ", "and another"] {
                h2.write_all(said.as_bytes()).await.unwrap();
                h2.flush().await.unwrap();
            }
            assert_eq!(client.try_read(&mut heard).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            send(&wire).await;
            let length = client.read(&mut heard).await.unwrap();
            assert_eq!(&heard[..length], b"one answer, and another");
        }
    }

    #[tokio::test]
    async fn the_end_sends_what_was_written_before_it() {
        let (mut h2, _wire, _, mut client) = wire();
        h2.write_all(b"GOAWAY").await.unwrap();
        h2.shutdown().await.unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "GOAWAY");
    }

    #[tokio::test]
    async fn nothing_is_lost_or_changes_places_however_much_is_written() {
        let (mut h2, wire, _, mut client) = wire();
        let lengths = [9, MOST_GATHERED, 1, MOST_GATHERED + 9, 300, MOST_GATHERED - 300, 1, 200_000, 40];
        let pieces: Vec<Vec<u8>> = (1..).zip(lengths).map(|(piece, length)| vec![piece; length]).collect();
        let said = async {
            for piece in &pieces {
                h2.write_all(piece).await.unwrap();
            }
            send(&wire).await;
            h2.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let (_, read) = tokio::join!(said, client.read_to_end(&mut heard));
        read.unwrap();
        assert!(heard == pieces.concat(), "{} octets", heard.len());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_late_however_much_is_written_meanwhile() {
        let (mut h2, wire, ticker, client) = wire();
        let mut write = async |octets: &[u8]| {
            poll_fn(|cx| Poll::Ready(Pin::new(&mut h2).poll_write(cx, octets).is_ready())).await
        };
        while write(&[0; MOST_GATHERED + 1]).await {}
        let writing = wire.0.borrow().vitals.writing.clone();
        assert!(!writing.is_past());

        ticker.tick(PATIENCE);
        // There is room for this here.
        assert!(write(b"one more frame").await);
        assert!(poll_fn(|cx| Poll::Ready(wire.poll_send(cx))).await.is_pending());
        ticker.tick(PATIENCE + crate::deadline::TICK);
        assert!(writing.is_past());
        drop(client);
    }
}
