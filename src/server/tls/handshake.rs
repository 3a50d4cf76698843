//! The handshake of one connection, and what somebody gets who speaks plain HTTP instead.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use rustls::ProtocolVersion;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Socket, Tls};
use crate::deadline::Watch;

/// To somebody who has written `http://` in front of this port.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 64\r\n\
    Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
    This port speaks https: write https:// in front of the address.\n";
/// What a client says first is hardly ever longer.
const HELLO: usize = 4 * 1024;
/// What is still read of such a request, so that the answer arrives before the connection ends.
const MOST_UNREAD: u64 = 64 * 1024;

/// Finishes the handshake within `limit`; nothing where it does not come about.
pub(in crate::server) async fn handshake(
    tls: &Tls,
    mut socket: TcpStream,
    watch: &Watch,
    limit: Duration,
) -> Option<Box<TlsStream<Socket>>> {
    watch.client.set(limit);
    let mut shaking = pin!(async {
        // Whoever says nothing takes no room.
        socket.readable().await?;
        let mut come = BytesMut::with_capacity(HELLO);
        socket.read_buf(&mut come).await?;
        // A handshake begins with 22 (RFC 8446 §5.1), a request with a letter.
        if come.first().is_some_and(u8::is_ascii_uppercase) {
            answer_plain(socket).await?;
            return Err(io::Error::other("it speaks plain HTTP"));
        }
        let begun = LazyConfigAcceptor::new(Acceptor::default(), Socket::new(socket, come.freeze())).await?;
        let config = tls.config_for(&begun.client_hello());
        // More than a kilobyte, which goes on from hand to hand.
        let mut stream = Box::new(begun.into_stream(config).await?);
        let (socket, agreed) = stream.get_mut();
        socket.shaken(agreed.protocol_version() == Some(ProtocolVersion::TLSv1_3));
        // Before TLS 1.3 the client has yet to hear that the handshake is over.
        stream.flush().await?;
        Ok(stream)
    });
    let shaken = poll_fn(|cx| {
        watch.wakes(cx.waker());
        if watch.client.is_past() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        shaking.as_mut().poll(cx)
    })
    .await;
    watch.client.clear();
    shaken.inspect_err(|error| tracing::debug!(%error, "a TLS handshake did not come about")).ok()
}

async fn answer_plain(mut socket: TcpStream) -> io::Result<()> {
    socket.write_all(PLAIN).await?;
    socket.shutdown().await?;
    tokio::io::copy(&mut socket.take(MOST_UNREAD), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(PLAIN).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
