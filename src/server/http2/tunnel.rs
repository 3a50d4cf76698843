//! A stream over which another protocol is spoken (RFC 8441): what a WebSocket runs over.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::room::{Piece, Share};
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
    share: Rc<Share>,
    _under_way: UnderWay,
}

impl Tunnel {
    pub(super) const fn new(
        sending: SendStream<Piece>,
        receiving: RecvStream,
        share: Rc<Share>,
        under_way: UnderWay,
    ) -> Self {
        Self { sending, receiving, unread: Bytes::new(), is_ended: false, share, _under_way: under_way }
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
        self.share.ends();
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
            let polled = self.receiving.poll_data(cx);
            // Whoever has to wait has read all. What comes while nobody asks for it stays here.
            self.share.counts_window(matches!(polled, Poll::Ready(Some(Ok(_)))));
            match ready!(polled) {
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
        let piece = Piece::new(Bytes::copy_from_slice(&bytes[..here]), &self.share);
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::{Request, Response};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::super::room::{Room, TUNNEL};
    use super::super::wire::tests::LIMITS;
    use super::super::{STREAM_WINDOW, Vitals};
    use super::*;
    use crate::deadline::Ticker;

    const WINDOW: usize = STREAM_WINDOW as usize;

    /// A tunnel, and its client's end.
    struct Open {
        tunnel: Tunnel,
        said: SendStream<Bytes>,
        heard: RecvStream,
        room: Rc<Room>,
        vitals: Rc<Vitals>,
    }

    /// One that has just been opened; its connection goes on whenever something is awaited.
    async fn open() -> Open {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let (server, client) = tokio::join!(
            h2::server::Builder::new().initial_window_size(STREAM_WINDOW).handshake(near),
            h2::client::handshake(far)
        );
        let ((mut client, connection), mut server) = (client.unwrap(), server.unwrap());
        spawn_local(async move { connection.await.unwrap() });
        let (answer, said) = client.send_request(Request::new(()), false).unwrap();
        let (request, mut reply) = server.accept().await.unwrap().unwrap();
        spawn_local(async move { while server.accept().await.is_some() {} });

        let ticker = Ticker::default();
        let (room, vitals) = (Rc::<Room>::default(), Rc::new(Vitals::new(LIMITS, ticker.watch().share())));
        let share = Share::take(&room, &vitals, ticker.watch(), &request).unwrap();
        let sending = reply.send_response(Response::new(()), false).unwrap();
        let under_way = UnderWay::begin(&vitals);
        let tunnel = Tunnel::new(sending, request.into_body(), share.of_tunnel(), under_way);
        share.ends();
        Open { tunnel, said, heard: answer.await.unwrap().into_body(), room, vitals }
    }

    /// Whether somebody who reads has to wait.
    async fn waits(tunnel: &mut Tunnel) -> bool {
        let mut octet = [0];
        poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut *tunnel).poll_read(cx, &mut ReadBuf::new(&mut octet)).is_pending())
        })
        .await
    }

    #[tokio::test]
    async fn what_may_lie_in_a_tunnel_counts_until_whoever_reads_has_to_wait() {
        let test = async {
            let Open { mut tunnel, mut said, room, .. } = open().await;
            assert_eq!(room.held(), TUNNEL + WINDOW);
            assert!(waits(&mut tunnel).await);
            assert_eq!(room.held(), TUNNEL);

            said.send_data(Bytes::from("hello"), false).unwrap();
            for part in ["he", "llo"] {
                let mut read = vec![0; part.len()];
                tunnel.read_exact(&mut read).await.unwrap();
                assert_eq!((&*read, room.held()), (part.as_bytes(), TUNNEL + WINDOW));
            }
            assert!(waits(&mut tunnel).await);
            assert_eq!(room.held(), TUNNEL);
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test]
    async fn what_a_client_has_not_taken_counts_beside_its_tunnel_and_outlasts_it() {
        let test = async {
            let Open { mut tunnel, mut heard, room, vitals, said: _said } = open().await;
            assert!(waits(&mut tunnel).await);
            tunnel.write_all(&[0; 1000]).await.unwrap();
            assert_eq!(room.held(), TUNNEL + 1000);
            assert_eq!(heard.data().await.unwrap().unwrap().len(), 1000);
            assert_eq!(room.held(), TUNNEL);

            tunnel.write_all(&[0; 1000]).await.unwrap();
            drop(tunnel);
            assert_eq!((room.held(), vitals.tails.borrow().len()), (TUNNEL + 1000, 1));
            while room.held() > 0 {
                yield_now().await;
            }
            assert!(vitals.tails.borrow().is_empty());
        };
        LocalSet::new().run_until(test).await;
    }
}
