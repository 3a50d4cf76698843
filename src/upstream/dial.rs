//! Connections to a target: over TCP, to whichever address of a name answers first, with TLS or without, or over a Unix
//! socket; and which HTTP is spoken over each.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::target::Place;
use super::tls::Offer;
use super::{Protocol, Upstream};

/// The next address of a name is tried when one has not answered for so long (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// A connection to a target.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Which HTTP is to be spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// As the operator has settled it, or the two ends agree.
    AsSettled,
    /// HTTP/1.1: for what HTTP/2 has no room for.
    Http1,
}

/// Opens a connection to one of an upstream's targets, and counts it. True where it is to speak HTTP/2.
pub(super) async fn dial(upstream: &Upstream, index: usize, wanted: Wanted) -> io::Result<(Stream, bool)> {
    // Rare enough for a timer of its own.
    let limit = upstream.settings().timeouts.connect;
    let connecting = tokio::time::timeout(limit, open(upstream, index, wanted));
    let stream = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match &stream {
        Ok(_) => upstream.condition(index).count_connect(),
        Err(_) => upstream.condition(index).count_refusal(),
    }
    stream
}

/// The same without a count or a limit.
pub(super) async fn open(upstream: &Upstream, index: usize, wanted: Wanted) -> io::Result<(Stream, bool)> {
    let target = upstream.target(index);
    let protocol = if wanted == Wanted::Http1 { Protocol::Http1 } else { upstream.settings().protocol };
    let by_prior_knowledge = protocol == Protocol::Http2;
    let socket = match target.place() {
        Place::Address(address) => TcpStream::connect(address).await?,
        Place::Name(..) => any_of(&upstream.addresses(index).await?).await?,
        Place::Path(path) => return Ok((Stream::Unix(UnixStream::connect(path).await?), by_prior_knowledge)),
    };
    // Small requests are not held back for more to come.
    socket.set_nodelay(true)?;
    if !target.is_secure() {
        return Ok((Stream::Tcp(socket), by_prior_knowledge));
    }
    let unsettled = || io::Error::new(io::ErrorKind::Unsupported, "how TLS is spoken there is not settled");
    let tls = upstream.settings().tls.as_ref().ok_or_else(unsettled)?;
    let (host, _) = target.host_and_port().ok_or_else(unsettled)?;
    let offer = match protocol {
        Protocol::Auto => Offer::Both,
        Protocol::Http1 => Offer::Http1,
        Protocol::Http2 => Offer::Http2,
    };
    let (stream, is_http2) = tls.connect(&host, offer, socket).await?;
    Ok((Stream::Tls(Box::new(stream)), is_http2))
}

/// The first that answers of several addresses. They are tried in their order, each next one as soon as one before has
/// failed or hesitates.
async fn any_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    if let [only] = addresses {
        return TcpStream::connect(only).await;
    }
    let mut waiting = addresses.iter().copied();
    let mut attempts = JoinSet::new();
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    loop {
        let is_last = match waiting.next() {
            Some(address) => {
                attempts.spawn_local(TcpStream::connect(address));
                false
            }
            None => true,
        };
        tokio::select! {
            attempt = attempts.join_next() => match attempt {
                Some(Ok(Ok(socket))) => return Ok(socket),
                Some(Ok(Err(error))) => failed = error,
                Some(Err(error)) => failed = io::Error::other(error),
                None => return Err(failed),
            },
            () = tokio::time::sleep(STAGGER), if !is_last => {}
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Tls(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.is_write_vectored(),
            Self::Unix(socket) => socket.is_write_vectored(),
            Self::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Unix(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
