//! What all connections have in common, whatever is spoken over them: limits, and something to run over.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::pace::Owed;
use super::tls::{Socket, TlsVersion};
use super::{Entrance, Event, Respond};
use crate::time::Clock;

/// How much and how long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a head, from its first byte to its last.
    pub head_timeout: Duration,
    /// Octets of a head.
    pub head_bytes: usize,
    /// Fields of a head.
    pub fields: usize,
    /// Between two reads of a body.
    pub body_idle: Duration,
    /// Octets of a body that come in a second at least, counted over that time.
    pub body_rate: Option<NonZeroU32>,
    /// Between two requests.
    pub idle: Duration,
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_peer: usize,
    /// Octets that all streams of HTTP/2 of one worker may hold.
    pub http2_bytes: usize,
}

impl Limits {
    /// What a client owes of a body.
    pub(super) const fn owed(&self) -> Owed {
        Owed { idle: self.body_idle, rate: self.body_rate }
    }
}

/// What a connection runs over: a socket, or TLS over one.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Sees to it that its end will be no orderly one.
    fn break_off(&self);

    /// Which TLS is spoken.
    fn tls(&self) -> Option<TlsVersion> {
        None
    }
}

impl Transport for TcpStream {
    fn break_off(&self) {
        let _ = self.set_zero_linger();
    }
}

impl Transport for UnixStream {
    /// It has no reset: an answer to HTTP/1.0 without a length looks complete there when it breaks off.
    fn break_off(&self) {}
}

impl Transport for Box<TlsStream<Socket>> {
    fn break_off(&self) {
        self.get_ref().0.stream().break_off();
    }

    fn tls(&self) -> Option<TlsVersion> {
        TlsVersion::of(self.get_ref().1.protocol_version()?)
    }
}

/// What an answer says of when it was given: an origin with a clock says so (RFC 9110 §6.6.1), and so does who answers for it.
pub(super) fn date() -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(Clock::System.now().0))
}

/// A connection that is there for as long as this is.
pub(super) struct Noticed<R: Respond> {
    respond: Rc<R>,
    entrance: Entrance,
}

impl<R: Respond> Noticed<R> {
    pub(super) fn new(respond: &Rc<R>, entrance: Entrance) -> Self {
        respond.notice(entrance, Event::Opened);
        Self { respond: Rc::clone(respond), entrance }
    }
}

impl<R: Respond> Drop for Noticed<R> {
    fn drop(&mut self) {
        self.respond.notice(self.entrance, Event::Closed);
    }
}
