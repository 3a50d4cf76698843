//! A connection with HTTP/2: its limits, its deadlines, and what of a head has to be settled before anybody reads it.
//!
//! h2 reads frames strictly and bounds what it keeps of what comes in. What streams hold in memory is left to us (`room`), and
//! so is time: for the head of a request, for what is written and not taken, and between two requests; for each body there is
//! a deadline of its own. The stream that misses its own is reset, and the others go on.
//!
//! Requests leave here as HTTP/1.1 would have brought them, as far as rules, sessions and signatures are concerned.

mod content;
mod crew;
mod frames;
mod head;
mod preface;
mod room;
mod stream;
mod tunnel;
mod websocket;
mod wire;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h2::server::{self, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use slab::Slab;
use tokio::io::{AsyncRead, AsyncWrite};

use self::crew::Crew;
use self::frames::Frames;
use self::room::{Piece, Room, Share};
use self::stream::Stream;
use self::wire::Wire;
use super::connection::{Limits, Noticed, Transport};
use super::tls::Shown;
use super::{Arrival, Event, Respond};
use crate::deadline::{Due, Watch, Watched};

pub(super) use content::Content;
pub(super) use preface::Begun;

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
    /// Before the preface.
    fn new(limits: Limits, watch: Rc<Watch>) -> Self {
        Self {
            limits,
            reading: watch.client.clone(),
            writing: watch.writing.clone(),
            held: Cell::new(0),
            bodies: Cell::new(0),
            tails: RefCell::default(),
            watch,
            in_a_head: Cell::new(true),
            under_way: Cell::new(0),
            wasted: Cell::new(0),
            idle_talk: Cell::new(0),
            leaving: Cell::new(false),
            stalled: Cell::new(false),
        }
    }

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

/// What the streams of one connection have in common.
struct Trunk<R> {
    respond: Rc<R>,
    arrival: Arrival,
    vitals: Rc<Vitals>,
    /// Of the connection; each stream has its own beside it.
    watched: Watched,
    room: Rc<Room>,
    crew: Rc<Crew<Stream<R>>>,
    shown: Option<Rc<Shown>>,
}

impl<R: Respond> Trunk<R> {
    /// A stream begins, or is refused.
    fn begin(self: &Rc<Self>, request: Request<RecvStream>, mut reply: SendResponse<Piece>) {
        match Share::take(&self.room, &self.vitals, self.watched.another(), &request) {
            Some(share) => self.crew.take_on(Stream::begin(self, request.into(), reply, share)),
            None => {
                tracing::debug!("a stream is refused: its connection holds too much");
                self.respond.notice(self.arrival.entrance, Event::StreamRefused);
                reply.send_reset(Reason::REFUSED_STREAM);
            }
        }
    }
}

/// A connection as h2 has it.
enum Connection<T> {
    /// Its preface has not come yet. Where it is to end, it ends right after that.
    Begins {
        handshake: Handshake<T, Piece>,
        is_leaving: bool,
    },
    Goes(server::Connection<T, Piece>),
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    fn begin(io: T, limits: &Limits) -> Self {
        let handshake = server::Builder::new()
            .max_concurrent_streams(MOST_STREAMS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .max_pending_accept_reset_streams(MOST_UNSEEN_RESETS)
            .max_local_error_reset_streams(Some(MOST_PROVOKED_RESETS))
            .enable_connect_protocol()
            .handshake(io);
        Self::Begins { handshake, is_leaving: false }
    }

    /// Tells the client that no further stream is taken.
    fn leave(&mut self) {
        match self {
            Self::Begins { is_leaving, .. } => *is_leaving = true,
            Self::Goes(connection) => connection.graceful_shutdown(),
        }
    }

    /// Reads and writes as far as that goes, and hands on what begins. Ready when it has ended.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut begins: impl FnMut(Request<RecvStream>, SendResponse<Piece>),
    ) -> Poll<Result<(), h2::Error>> {
        loop {
            match self {
                Self::Begins { handshake, is_leaving } => {
                    let mut connection = ready!(Pin::new(handshake).poll(cx))?;
                    if *is_leaving {
                        connection.graceful_shutdown();
                    }
                    *self = Self::Goes(connection);
                }
                Self::Goes(connection) => match ready!(connection.poll_accept(cx)) {
                    Some(begun) => {
                        let (request, reply) = begun?;
                        begins(request, reply);
                    }
                    None => return Poll::Ready(Ok(())),
                },
            }
        }
    }
}

/// What the connections of one worker have in common.
pub(super) struct Staff<R> {
    /// Counts what streams hold.
    room: Rc<Room>,
    /// Runs them.
    crew: Rc<Crew<Stream<R>>>,
}

impl<R> Default for Staff<R> {
    fn default() -> Self {
        Self { room: Rc::default(), crew: Rc::default() }
    }
}

impl<R> Clone for Staff<R> {
    fn clone(&self) -> Self {
        Self { room: Rc::clone(&self.room), crew: Rc::clone(&self.crew) }
    }
}

/// Serves one connection to its end. `drain` says when no further request is to be taken, `shown` what was shown over TLS.
#[expect(clippy::too_many_arguments, reason = "the parts of one connection, each used once")]
pub(super) async fn serve<R: Respond, S: Transport>(
    socket: S,
    arrival: Arrival,
    respond: Rc<R>,
    limits: Limits,
    watched: Watched,
    drain: impl Future<Output = ()>,
    shown: Option<Rc<Shown>>,
    staff: Staff<R>,
) {
    let _noticed = Noticed::new(&respond, arrival.entrance);
    let watch = watched.share();
    let vitals = Rc::new(Vitals::new(limits, Rc::clone(&watch)));
    // The preface is owed at once (RFC 9113 §3.4).
    vitals.reading.set(limits.head_timeout);
    let Staff { room, crew } = staff;
    let wire = Wire::new(socket, Rc::clone(&vitals), Rc::clone(&room));
    let mut connection = Connection::begin(wire.share(), &limits);
    let trunk = Rc::new(Trunk { respond, arrival, vitals: Rc::clone(&vitals), watched, room, crew, shown });
    let mut drain = std::pin::pin!(drain);
    let mut draining = false;
    poll_fn(|cx| {
        watch.wakes(cx.waker());
        vitals.stalled.set(vitals.writing.is_past() || vitals.has_left_a_tail());
        let is_late = vitals.reading.is_past();
        let is_over = (is_late && (vitals.in_a_head.get() || vitals.leaving.get())) || vitals.is_abused();
        if vitals.stalled.get() || is_over {
            tracing::debug!("a client took too long, or wasted too much");
            connection.leave();
            let _ = connection.poll(cx, |request, reply| trunk.begin(request, reply));
            let _ = wire.poll_send(cx);
            return Poll::Ready(());
        }
        if !draining && drain.as_mut().poll(cx).is_ready() {
            draining = true;
        }
        // A client that has just sent a request has to learn that nobody reads it (RFC 9113 §6.8), for which it gets time.
        if (draining || is_late) && !vitals.leaving.replace(true) {
            vitals.wait();
            connection.leave();
        }
        let ended = connection.poll(cx, |request, reply| trunk.begin(request, reply));
        if let Poll::Ready(Err(error)) = &ended {
            tracing::debug!(%error, "a connection ended early");
        }
        if let Poll::Ready(Err(error)) = wire.poll_send(cx) {
            tracing::debug!(%error, "a connection broke");
            return Poll::Ready(());
        }
        ended.map(|_| ())
    })
    .await;
}
