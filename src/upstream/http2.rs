//! HTTP/2 towards an upstream: one connection for the requests of many (RFC 9113).
//!
//! A worker opens another connection to a target only when its streams run out. The window of a connection has room for
//! those of all its streams, so that clients who do not read hold up nobody but themselves.

use std::cell::{Cell, OnceCell};
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::body::RequestBody;
use super::dial::Stream;
use super::forward::Fate;
use super::rest::{Rest, Sent, Tasks};

/// Streams that a connection carries before there is another, whatever more the upstream would allow.
const MOST_STREAMS: usize = 64;
/// Streams that are begun before the upstream has said how many it takes: the others wait for that, which is one round
/// trip, instead of being refused.
const UNASKED_STREAMS: usize = 1;
/// What an upstream may send of one answer before the client has read any of it.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;
/// What is kept of a request's body before the upstream has read any of it.
const SEND_BUFFER: usize = 256 * 1024;
/// Octets of the head of an answer.
const MOST_HEAD: u32 = 256 * 1024;
/// An upstream that says nothing while requests are under way is asked whether it is there, and believed gone when it does
/// not answer: a machine that has lost its power closes no connection.
const PING: Duration = Duration::from_secs(10);

/// A connection, for many requests at a time.
pub(super) struct Connection {
    sender: SendRequest<Sent>,
    tasks: Tasks,
    streams: Cell<usize>,
    /// So many streams the upstream allows, as far as it has said so.
    allowed: Rc<Cell<usize>>,
    /// When it was opened, by the worker's time.
    pub(super) since: Duration,
    /// When its last stream ended.
    pub(super) idle_since: Cell<Duration>,
    /// It carries no further streams.
    retired: Cell<bool>,
}

/// Tasks of a worker stay with it.
#[derive(Clone, Copy)]
pub(super) struct OnThisThread;

impl<F: Future + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// Makes a connection of a socket.
pub(super) async fn over(socket: Stream, since: Duration) -> io::Result<Connection> {
    let tasks = Tasks::default();
    let mut builder = Builder::new(tasks.clone());
    builder
        .timer(TokioTimer::new())
        .initial_max_send_streams(UNASKED_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MOST_HEAD)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let (sender, connection) = builder.handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
    let allowed = Rc::new(Cell::new(UNASKED_STREAMS));
    let seen = Rc::clone(&allowed);
    tokio::task::spawn_local(async move {
        let mut connection = pin!(connection);
        let ended = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            seen.set(connection.current_max_send_streams());
            polled
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "an upstream connection ended early");
        }
    });
    let (streams, idle_since, retired) = (Cell::new(0), Cell::new(since), Cell::new(false));
    Ok(Connection { sender, tasks, streams, allowed, since, idle_since, retired })
}

impl Connection {
    /// Whether it is there, and takes new streams. One that hyper has given up is closed.
    pub(super) fn is_open(&self) -> bool {
        !self.retired.get() && !self.sender.is_closed()
    }

    /// Whether another stream would not have to wait for one to end.
    pub(super) fn has_room(&self) -> bool {
        let allowed = if self.allowed.get() == UNASKED_STREAMS { MOST_STREAMS } else { self.allowed.get() };
        self.streams.get() < allowed.min(MOST_STREAMS)
    }

    /// How many streams it carries.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// It takes no further streams; those that are under way come to their end.
    pub(super) fn retire(&self) {
        self.retired.set(true);
    }
}

/// A stream of a connection, for as long as its exchange lasts.
pub(super) struct Exchange {
    pub(super) connection: Rc<Connection>,
    rest: OnceCell<Rc<Rest>>,
}

impl Exchange {
    pub(super) fn begin(connection: &Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self { connection: Rc::clone(connection), rest: OnceCell::new() }
    }

    /// Sends a request in a stream of its own. Dropping the future resets the stream, and so does an upstream that has answered
    /// and takes nothing of the rest for as long as `patience`.
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        patience: Duration,
    ) -> Result<Response<Incoming>, TrySendError<Request<Sent>>> {
        let Connection { sender, tasks, .. } = &*self.connection;
        let rest = Rest::of(request.body());
        let request = request.map(|body| tasks.sending(body, rest.clone()));
        let answer = sender.clone().try_send_request(request).await?;
        if let Some(rest) = rest.filter(|rest| rest.is_under_way()) {
            tokio::task::spawn_local(Rc::clone(&rest).look_after(patience));
            // Nothing else has been sent in this stream.
            let _ = self.rest.set(rest);
        }
        Ok(answer)
    }

    /// What became of its request, which was not answered.
    pub(super) fn fate_after(&self, error: &hyper::Error) -> Fate {
        let fate = fate(error);
        if fate != Fate::Refused {
            self.connection.retire();
        }
        fate
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.get() {
            rest.is_answered.set(true);
        }
        let streams = &self.connection.streams;
        streams.set(streams.get().saturating_sub(1));
    }
}

/// What became of a request that was not answered.
fn fate(error: &hyper::Error) -> Fate {
    // What is wrong with the connection itself comes as another error.
    let Some(cause) = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>()) else {
        return Fate::Unknown;
    };
    // A stream that has this error of a GOAWAY of the upstream's was beyond the last that it had taken (§6.8).
    let is_unprocessed = cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM);
    if cause.is_remote() && is_unprocessed { Fate::Unprocessed } else { Fate::Refused }
}

/// Writes a request as HTTP/2 has it (RFC 9113 §8.3.1): `Host` becomes `:authority`, and nothing names the connection.
pub(super) fn write_as_http2(request: &mut Request<RequestBody>, secure: bool) {
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let authority = host.and_then(|host| Authority::try_from(host).ok());
    let Some(authority) = authority else { return };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    for name in [HOST, TRANSFER_ENCODING, CONNECTION] {
        request.headers_mut().remove(name);
    }
}

/// The way back, for one that was not sent and goes on to a connection that may speak HTTP/1.1.
pub(super) fn write_as_http1(request: &mut Request<RequestBody>) {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = None;
    let host = parts.authority.take().and_then(|authority| HeaderValue::try_from(authority.as_str()).ok());
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_http_2_has_it_and_back() {
        let mut request = Request::post("/a/../b?c=%2f")
            .header("host", "members.example.org:8443")
            .header("x-a", "b")
            .header("transfer-encoding", "chunked")
            .body(RequestBody::empty())
            .unwrap();
        write_as_http2(&mut request, true);
        assert_eq!(request.uri(), "https://members.example.org:8443/a/../b?c=%2f");
        assert_eq!(request.headers().keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-a"]);
        write_as_http1(&mut request);
        assert_eq!(request.uri(), "/a/../b?c=%2f");
        assert_eq!(request.headers()["host"], "members.example.org:8443");
    }
}
