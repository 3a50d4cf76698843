//! The socket below TLS: tickets go out with what is said next, and not by themselves.
//!
//! In TLS 1.3 they are written once the client has finished the handshake, and nobody waits for them (RFC 8446 §4.6.1). By
//! themselves they are a system call, and a packet for which the client is woken. So they wait for an answer, or for the
//! SETTINGS of HTTP/2. Whatever else a handshake says goes out when there is nothing left to read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A socket over which hands are shaken, and then anything is said.
pub(in crate::server) struct Socket {
    stream: TcpStream,
    stage: Stage,
    /// What has come, and was read to see whether it is a handshake.
    come: Bytes,
    /// What was said and not sent.
    held: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Hands are being shaken. What is said is held until the client has to say something.
    Shaking,
    /// What is held are tickets, until something is said.
    Tickets,
    /// Nothing is held back.
    Open,
}

impl Socket {
    /// Before the handshake, of which so much has come.
    pub(super) const fn new(stream: TcpStream, come: Bytes) -> Self {
        Self { stream, stage: Stage::Shaking, come, held: Vec::new() }
    }

    /// The handshake is over; what is still held are tickets, or what the client waits for.
    pub(super) fn shaken(&mut self, holds_tickets: bool) {
        self.stage = if holds_tickets { Stage::Tickets } else { Stage::Open };
    }

    /// The socket itself.
    pub(in crate::server) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                // Its room is given back: it is needed once in a connection.
                all if all == self.held.len() => self.held = Vec::new(),
                some => drop(self.held.drain(..some)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What is said last, such as why a handshake has failed, is sent as far as that goes without waiting.
impl Drop for Socket {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            let _ = self.stream.try_write(&self.held);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.come.is_empty() {
            let length = self.come.len().min(buf.remaining());
            buf.put_slice(&self.come.split_to(length));
            if self.come.is_empty() {
                // Its room is given back: the connection may be there for hours.
                self.come = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() && self.stage == Stage::Shaking {
            ready!(self.poll_send(cx))?;
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.stage == Stage::Open {
            ready!(self.poll_send(cx))?;
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        }
        let before = self.held.len();
        slices.iter().for_each(|slice| self.held.extend_from_slice(slice));
        let taken = self.held.len() - before;
        if self.stage == Stage::Tickets {
            self.stage = Stage::Open;
            // What does not go out at once goes out before more is taken, and when all is to be sent.
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stage {
            // A handshake flushes before it reads, and at its end.
            Stage::Shaking | Stage::Tickets => Poll::Ready(Ok(())),
            Stage::Open => self.poll_send(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        pair_with("").await
    }

    /// The same, where this has been read already.
    async fn pair_with(come: &'static str) -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(listener.accept().await.unwrap().0, Bytes::from_static(come.as_bytes())), theirs)
    }

    /// Asks for something to read where there is nothing.
    async fn read_nothing(socket: &mut Socket) {
        let mut bytes = [0];
        let mut buf = ReadBuf::new(&mut bytes);
        poll_fn(|cx| {
            assert!(Pin::new(&mut *socket).poll_read(cx, &mut buf).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    /// What the other side gets with its next read.
    async fn heard(theirs: &mut TcpStream) -> String {
        let mut text = [0; 100];
        let length = theirs.read(&mut text).await.unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_had_come_is_read_first_however_little_at_a_time() {
        let (mut socket, mut theirs) = pair_with("had come, ").await;
        theirs.write_all(b"and comes").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut first = [0; 4];
        socket.read_exact(&mut first).await.unwrap();
        let mut rest = String::new();
        socket.read_to_string(&mut rest).await.unwrap();
        assert_eq!((&first, rest.as_str()), (b"had ", "come, and comes"));
    }

    #[tokio::test]
    async fn what_a_handshake_says_goes_out_together_when_there_is_nothing_to_read() {
        let (mut socket, mut theirs) = pair().await;
        socket.write_all(b"hello ").await.unwrap();
        socket.flush().await.unwrap();
        socket.write_all(b"finished").await.unwrap();
        read_nothing(&mut socket).await;
        assert_eq!(heard(&mut theirs).await, "hello finished");
    }

    #[tokio::test]
    async fn tickets_go_out_with_what_is_said_next_and_not_before() {
        let (mut socket, mut theirs) = pair().await;
        socket.write_all(b"tickets ").await.unwrap();
        socket.shaken(true);
        socket.flush().await.unwrap();
        read_nothing(&mut socket).await;
        assert_eq!(theirs.try_read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);

        socket.write_all(b"answer").await.unwrap();
        assert_eq!(heard(&mut theirs).await, "tickets answer");
        socket.write_all(b"another").await.unwrap();
        assert_eq!(heard(&mut theirs).await, "another");
    }

    #[tokio::test]
    async fn what_is_held_goes_out_at_the_end_at_the_latest() {
        for way in ["flush", "write", "shutdown", "drop", "drop tickets"] {
            let (mut socket, mut theirs) = pair().await;
            socket.write_all(b"held ").await.unwrap();
            if !way.starts_with("drop") {
                socket.shaken(false);
            }
            match way {
                "flush" => socket.flush().await.unwrap(),
                "write" => socket.write_all(b"and more").await.unwrap(),
                "shutdown" => socket.shutdown().await.unwrap(),
                _ => {
                    socket.shaken(way == "drop tickets");
                    drop(socket);
                }
            }
            assert!(heard(&mut theirs).await.starts_with("held "), "{way}");
        }
    }

    #[tokio::test]
    async fn nothing_is_lost_or_said_twice_to_whom_takes_it_slowly() {
        let (mut socket, mut theirs) = pair().await;
        let pieces: Vec<Vec<u8>> = (0..64_u8).map(|piece| vec![piece; 100_000]).collect();
        for piece in &pieces[..32] {
            socket.write_all(piece).await.unwrap();
        }
        socket.shaken(true);
        let said = async {
            for piece in &pieces[32..] {
                socket.write_all(piece).await.unwrap();
            }
            socket.flush().await.unwrap();
            drop(socket);
        };
        let mut heard = Vec::new();
        let (_, read) = tokio::join!(said, theirs.read_to_end(&mut heard));

        read.unwrap();
        assert!(heard == pieces.concat(), "{} octets", heard.len());
    }
}
