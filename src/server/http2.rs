//! A connection with HTTP/2: its limits, its deadlines, and what of a head has to be settled before anybody reads it.
//!
//! h2 reads frames strictly and bounds what it keeps of what comes in. What streams hold in memory is left to us (`room`), and
//! so is time: for the head of a request, for what is written and not taken, and between two requests; for each body there is
//! a deadline of its own. The stream that misses its own is reset, and the others go on.
//!
//! Requests leave here as HTTP/1.1 would have brought them, as far as rules, sessions and signatures are concerned.

mod frames;
mod head;
mod preface;
mod room;
mod stream;
mod websocket;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::Reason;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use slab::Slab;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::frames::Frames;
use self::head::Unsound;
use self::room::Share;
use self::stream::{Answering, Exchange, Streams};
use super::connection::{Limits, Noticed, Transport};
use super::pace::Pace;
use super::tls::Shown;
use super::{Arrival, Event, Respond};
use crate::deadline::{Due, Watch, Watched};
use crate::random;

pub(super) use preface::Begun;
pub(super) use room::Room;

/// Streams a client may have open at once.
const MOST_STREAMS: u32 = 100;
/// What a client may send of one body, and of all, before somebody has read it.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is kept of one answer that the client has not taken yet.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were reset before anybody has seen them (CVE-2023-44487).
const MOST_UNSEEN_RESETS: usize = 20;
/// Streams that a client has us reset by breaking the rules (CVE-2025-8671).
const MOST_PROVOKED_RESETS: usize = 100;
/// Requests that a client has broken off, less those it has seen the end of. A browser that leaves a page breaks off all
/// that is open; what goes on like this is nobody who wants answers.
const MOST_WASTED: u32 = 2 * MOST_STREAMS;
/// Frames that carry nothing, less those that do.
const MOST_IDLE_TALK: u32 = 10_000;

/// What the socket, the streams and their connection know about each other.
struct Vitals {
    limits: Limits,
    /// When the client has taken too long with a head, or to come back.
    reading: Due,
    /// When it has taken too long to read.
    writing: Due,
    /// What its streams hold, in octets.
    held: Cell<usize>,
    /// Streams whose requests have bodies.
    bodies: Cell<usize>,
    /// Streams of which nothing is left but what the client has not taken yet.
    tails: RefCell<Slab<Rc<Watch>>>,
    /// The deadlines of the connection itself.
    watch: Rc<Watch>,
    /// A head is being sent, or the preface.
    in_a_head: Cell<bool>,
    /// Streams, and tunnels that some have become.
    under_way: Cell<usize>,
    /// Requests broken off, less those that came to their end.
    wasted: Cell<u32>,
    idle_talk: Cell<u32>,
    /// The client has been told that the connection ends.
    leaving: Cell<bool>,
    /// It has not read what was written.
    stalled: Cell<bool>,
}

impl Vitals {
    /// The client is waited for from now on, or not, as things stand.
    fn wait(&self) {
        if self.in_a_head.get() {
            return;
        }
        if self.under_way.get() > 0 {
            self.reading.clear();
        } else if self.leaving.get() {
            self.reading.set(self.limits.head_timeout);
        } else {
            self.reading.set(self.limits.idle);
        }
    }

    /// Octets have come. A head has to end within its time, however often they come.
    fn is_heard(&self, frames: &Frames) {
        self.idle_talk.set(frames.idle_talk());
        let before = self.in_a_head.replace(frames.are_in_a_head());
        match (before, self.in_a_head.get()) {
            (false, true) => self.reading.set(self.limits.head_timeout),
            (true, false) => self.wait(),
            (true, true) | (false, false) => {}
        }
    }

    fn wrote<T>(&self, written: &Poll<io::Result<T>>) {
        match written {
            Poll::Pending => self.writing.set_if_clear(self.limits.body_idle),
            Poll::Ready(_) => self.writing.clear(),
        }
    }

    /// The connection is woken for this deadline, too.
    fn wakes_connection(&self, watch: &Watch) {
        watch.wakes_whom(&self.watch);
    }

    /// Whether the client has left the end of an answer lying for too long. Its stream cannot be reset any more.
    fn has_left_a_tail(&self) -> bool {
        self.tails.borrow().iter().any(|(_, watch)| watch.client.is_past())
    }

    /// Whether the client makes work and wants nothing.
    fn is_abused(&self) -> bool {
        self.wasted.get() > MOST_WASTED || self.idle_talk.get() > MOST_IDLE_TALK
    }
}

/// A socket whose frames are read along before h2 sees them.
struct Watching<S: Transport> {
    socket: S,
    frames: Frames,
    vitals: Rc<Vitals>,
}

/// What nobody has read is not to be kept for them.
impl<S: Transport> Drop for Watching<S> {
    fn drop(&mut self) {
        if self.vitals.stalled.get() {
            self.socket.break_off();
        }
    }
}

impl<S: Transport> AsyncRead for Watching<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            this.frames.follow(new);
            this.vitals.is_heard(&this.frames);
        }
        read
    }
}

impl<S: Transport> AsyncWrite for Watching<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.vitals.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.vitals.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.vitals.wrote(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Hands requests on.
struct Handler<R> {
    respond: Rc<R>,
    arrival: Arrival,
    vitals: Rc<Vitals>,
    /// Of the connection; each stream has its own beside it.
    watched: Watched,
    begun: Rc<RefCell<Option<Rc<Share>>>>,
    room: Rc<Room>,
    shown: Option<Rc<Shown>>,
}

type Answer<R> = Result<Response<Answering<<R as Respond>::Body>>, h2::Error>;

impl<R: Respond> Service<Request<Incoming>> for Handler<R> {
    type Response = Response<Answering<R::Body>>;
    type Error = h2::Error;
    type Future = Pin<Box<dyn Future<Output = Answer<R>>>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let share = Share::take(&self.room, &self.vitals, self.watched.another(), &request);
        let Some(share) = share else {
            tracing::debug!("a stream is refused: its connection holds too much");
            self.respond.notice(self.arrival.entrance, Event::StreamRefused);
            return Box::pin(std::future::ready(Err(Reason::REFUSED_STREAM.into())));
        };
        let watch = share.watch();
        self.begun.replace(Some(Rc::clone(&share)));
        let pace = (!request.body().is_end_stream())
            .then(|| Pace::new(watch.client.clone(), self.vitals.limits.owed()));
        if let Some(pace) = &pace {
            request.extensions_mut().insert(pace.clone());
        }
        let mut exchange = Exchange::begin(&self.vitals, pace);

        if let Err(unsound) = head::settle(request.headers_mut(), self.vitals.limits.fields) {
            tracing::debug!(%unsound, "a request is refused");
            let mut answer = Response::new(Answering { body: None, exchange, share });
            *answer.status_mut() = match unsound {
                Unsound::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Unsound::Blank | Unsound::Name => StatusCode::BAD_REQUEST,
            };
            answer.body_mut().exchange.complete();
            return Box::pin(std::future::ready(Ok(answer)));
        }
        if let Some(shown) = &self.shown {
            shown.mark(&mut request);
        }
        let handshake = websocket::translate(&mut request, random::bytes());
        let is_head = request.method() == Method::HEAD;
        let (respond, arrival) = (Rc::clone(&self.respond), self.arrival);
        Box::pin(async move {
            // Made when its turn comes: a client may begin a hundred streams at once, and each answer needs much room while
            // it is found.
            let mut answer = Box::pin(respond.respond(request, arrival, Rc::clone(&watch))).await.map(Some);
            exchange.is_answered();
            if let Some(handshake) = &handshake
                && let Err(reason) = handshake.conclude(&mut answer)
            {
                tracing::warn!(reason, "a WebSocket over HTTP/2 did not come about");
                answer = Response::new(None);
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
            }
            answer.headers_mut().remove(CONNECTION);
            if is_head {
                keep_head_alone(&mut answer);
            }
            if answer.body().as_ref().is_none_or(http_body::Body::is_end_stream) {
                exchange.complete();
            }
            Ok(answer.map(|body| Answering { body, exchange, share }))
        })
    }
}

/// Takes the body from an answer to HEAD, and leaves its length (RFC 9110 §9.3.2).
fn keep_head_alone<B: http_body::Body>(answer: &mut Response<Option<B>>) {
    if let Some(body) = answer.body_mut().take_if(|body| !body.is_end_stream())
        && let Some(length) = body.size_hint().exact()
    {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
}

/// Serves one connection to its end. `drain` says when no further request is to be taken, `shown` what was shown over TLS;
/// what its streams hold is counted in `room`.
#[expect(clippy::too_many_arguments, reason = "the parts of one connection, each used once")]
pub(super) async fn serve<R: Respond, S: Transport>(
    socket: S,
    arrival: Arrival,
    respond: Rc<R>,
    limits: Limits,
    watched: Watched,
    drain: impl Future<Output = ()>,
    shown: Option<Rc<Shown>>,
    room: Rc<Room>,
) {
    let _noticed = Noticed::new(&respond, arrival.entrance);
    let watch = watched.share();
    let vitals = Rc::new(Vitals {
        limits,
        reading: watch.client.clone(),
        writing: watch.writing.clone(),
        held: Cell::new(0),
        bodies: Cell::new(0),
        tails: RefCell::default(),
        watch: Rc::clone(&watch),
        in_a_head: Cell::new(true),
        under_way: Cell::new(0),
        wasted: Cell::new(0),
        idle_talk: Cell::new(0),
        leaving: Cell::new(false),
        stalled: Cell::new(false),
    });
    // The preface is owed at once (RFC 9113 §3.4).
    vitals.reading.set(limits.head_timeout);
    let begun = Rc::<RefCell<Option<Rc<Share>>>>::default();
    let streams = Streams { vitals: Rc::clone(&vitals), begun: Rc::clone(&begun) };
    let handler = Handler { respond, arrival, vitals: Rc::clone(&vitals), watched, begun, room, shown };
    let watching = Watching { socket, frames: Frames::new(), vitals: Rc::clone(&vitals) };
    let connection = http2::Builder::new(streams)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_UNSEEN_RESETS)
        .max_local_error_reset_streams(MOST_PROVOKED_RESETS)
        .enable_connect_protocol()
        .serve_connection(TokioIo::new(watching), handler);
    let mut connection = std::pin::pin!(connection);
    let mut drain = std::pin::pin!(drain);
    let mut draining = false;
    poll_fn(|cx| {
        watch.wakes(cx.waker());
        vitals.stalled.set(vitals.writing.is_past() || vitals.has_left_a_tail());
        let is_late = vitals.reading.is_past();
        let is_over = (is_late && (vitals.in_a_head.get() || vitals.leaving.get())) || vitals.is_abused();
        if vitals.stalled.get() || is_over {
            tracing::debug!("a client took too long, or wasted too much");
            connection.as_mut().graceful_shutdown();
            let _ = connection.as_mut().poll(cx);
            return Poll::Ready(());
        }
        if !draining && drain.as_mut().poll(cx).is_ready() {
            draining = true;
        }
        // A client that has just sent a request has to learn that nobody reads it (RFC 9113 §6.8), for which it gets time.
        if (draining || is_late) && !vitals.leaving.replace(true) {
            vitals.wait();
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        })
    })
    .await;
}
