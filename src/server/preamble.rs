//! What a proxy sends in front of a connection, read from the socket: no byte more, for what follows is a handshake or HTTP.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use super::proxy_protocol::{self, MOST};
use crate::deadline::Watch;

/// What is looked at in one go.
const LOOK: usize = 512;

/// A socket whose bytes can be looked at and left where they are.
pub(super) trait Peek: AsFd {
    /// Waits until there is something to read.
    fn readable(&self) -> impl Future<Output = io::Result<()>>;
    /// Reads, and notes where there was nothing.
    fn try_io<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T>;
}

impl Peek for TcpStream {
    async fn readable(&self) -> io::Result<()> {
        self.readable().await
    }

    fn try_io<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.try_io(Interest::READABLE, read)
    }
}

impl Peek for UnixStream {
    async fn readable(&self) -> io::Result<()> {
        self.readable().await
    }

    fn try_io<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.try_io(Interest::READABLE, read)
    }
}

/// Reads the header of the PROXY protocol within `limit`: the client's address, where the proxy speaks for one.
pub(super) async fn read(socket: &impl Peek, watch: &Watch, limit: Duration) -> io::Result<Option<IpAddr>> {
    watch.client.set(limit);
    let mut reading = pin!(header(socket));
    let source = poll_fn(|cx| {
        watch.wakes(cx.waker());
        if watch.client.is_past() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        reading.as_mut().poll(cx)
    })
    .await;
    watch.client.clear();
    source
}

async fn header(socket: &impl Peek) -> io::Result<Option<IpAddr>> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        let seen = receive(socket, &mut bytes, LOOK.min(MOST + 1 - before), RecvFlags::PEEK).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = proxy_protocol::read(&bytes).map_err(io::Error::other)?;
        // As long as it is not complete, all that was seen is part of it.
        let end = header.map_or(bytes.len(), |header| header.length);
        bytes.truncate(before);
        while bytes.len() < end {
            let more = end - bytes.len();
            if receive(socket, &mut bytes, more, RecvFlags::empty()).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if let Some(header) = header {
            return Ok(header.source);
        }
    }
}

/// Appends at most so many bytes; says how many.
async fn receive(
    socket: &impl Peek,
    bytes: &mut Vec<u8>,
    most: usize,
    flags: RecvFlags,
) -> io::Result<usize> {
    let before = bytes.len();
    loop {
        socket.readable().await?;
        bytes.resize(before + most, 0);
        let received = socket.try_io(|| Ok(rustix::net::recv(socket, &mut bytes[before..], flags)?.0));
        bytes.truncate(before + received.as_ref().copied().unwrap_or_default());
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}
