//! The wire: a socket with what has been read from it, shared between the connection and the body of its request.
//!
//! A body is read from the socket by whoever wants it, and not before: nothing is handed from one to another, and what an
//! app does not take stays in the socket, where it holds up the client and not our memory. While a body is owed nobody else
//! reads; afterwards the connection does, to see the client leave.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::deadlines::Deadlines;
use super::head::{self, Unreadable};
use crate::http1::{Input, poll_write_slices};
use crate::server::connection::Transport;
use crate::server::framing::{Framing, Phase, Step, Violation};
use crate::server::incoming::{BrokenOff, Source};

/// What is read at first: a head nearly always, of which no more is kept than there is.
const FIRST: usize = 8 * 1024;

thread_local! {
    /// Where heads are read to. A connection that waits for one needs no room for it.
    static SCRATCH: RefCell<[u8; FIRST]> = const { RefCell::new([0; FIRST]) };
}

pub(super) struct Wire<S: Transport> {
    reader: RefCell<Reader<S>>,
    pub(super) deadlines: Deadlines,
    /// The request that is read, or answered, is the last one.
    pub(super) closes: Cell<bool>,
    /// What is still in the socket is not to be sent: an answer that only the end of the connection ends has broken off, or
    /// nobody reads.
    pub(super) broken: Cell<bool>,
}

struct Reader<S> {
    /// There until the connection has ended, or switched.
    socket: Option<S>,
    input: Input,
    /// So many octets of the input belong to a head that is not complete.
    looked_at: usize,
    framing: Framing,
    body: Body,
}

/// What has become of the body of a request.
#[derive(Default)]
struct Body {
    /// The client waits to be told that it is wanted.
    awaited: bool,
    /// It is.
    wanted: bool,
    /// Nobody wants it.
    abandoned: bool,
    /// It has broken off, and nothing behind it can be read.
    broken: bool,
    /// Whoever waits for more of it.
    reader: Option<Waker>,
    /// The connection, where it waits for its end.
    connection: Option<Waker>,
}

impl<S: Transport> Wire<S> {
    pub(super) fn new(socket: S, deadlines: Deadlines) -> Rc<Self> {
        let reader = Reader {
            socket: Some(socket),
            input: Input::default(),
            looked_at: 0,
            framing: Framing::new(),
            body: Body::default(),
        };
        Rc::new(Self {
            reader: RefCell::new(reader),
            deadlines,
            closes: Cell::new(false),
            broken: Cell::new(false),
        })
    }

    /// The next request; none where the connection ends before all of its head has come.
    pub(super) fn poll_request(&self, cx: &mut Context<'_>) -> Poll<Option<head::Read>> {
        let mut reader = self.reader.borrow_mut();
        let limits = self.deadlines.limits();
        loop {
            match reader.head(limits.head_bytes) {
                Ok(None) => {}
                Ok(Some(head)) => {
                    self.deadlines.begins();
                    let read = head::read(&head, limits.fields);
                    let owes_body = reader.framing.phase() == Phase::Body;
                    let awaited = owes_body && read.as_ref().is_ok_and(|(_, wishes)| wishes.expects_continue);
                    reader.body = Body { awaited, ..Body::default() };
                    return Poll::Ready(Some(read));
                }
                Err(unreadable) => return Poll::Ready(Some(Err(unreadable))),
            }
            let phase = reader.framing.phase();
            if self.closes.get() && phase == Phase::BetweenMessages && reader.input.is_empty() {
                return Poll::Ready(None);
            }
            match reader.poll_more(cx) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    // Nobody is there any more to whom an end could be announced.
                    reader.socket = None;
                    return Poll::Ready(None);
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    if reader.input.is_empty() {
                        // Nobody knows how long it idles.
                        reader.input = Input::default();
                    }
                    self.deadlines.waits_in(phase);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Whether a body follows the head that was read.
    pub(super) fn owes_body(&self) -> bool {
        self.reader.borrow().framing.phase() == Phase::Body
    }

    /// Ready when the client has left. What it sends ahead waits, and so does the body of its request.
    pub(super) fn poll_departure(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut reader = self.reader.borrow_mut();
        if reader.framing.phase() == Phase::Body || !reader.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(reader.poll_more(cx)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// Whether the client is to be told that its body is wanted. It is told once. `cx` is woken when that changes.
    pub(super) fn wants_body(&self, cx: &Context<'_>) -> bool {
        let body = &mut self.reader.borrow_mut().body;
        if body.awaited && !body.wanted {
            body.connection = Some(cx.waker().clone());
        }
        let tells = body.awaited && body.wanted;
        if tells {
            (body.awaited, body.connection) = (false, None);
        }
        tells
    }

    /// Whether the client still waits to be told, so that nobody knows what it will send.
    pub(super) fn is_body_awaited(&self) -> bool {
        self.reader.borrow().body.awaited
    }

    /// Ready when nothing of the request's body is left to be read. Says whether another request may follow.
    pub(super) fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut reader = self.reader.borrow_mut();
        let mut may_read = true;
        while reader.framing.phase() == Phase::Body {
            if reader.body.broken || reader.body.awaited {
                return Poll::Ready(false);
            }
            if !reader.body.abandoned {
                reader.body.connection = Some(cx.waker().clone());
                // Whoever holds it may have given up reading.
                self.deadlines.waits_in(Phase::Body);
                return Poll::Pending;
            }
            match reader.piece() {
                Ok(Some(_)) => {}
                // What has come already is thrown away; for more nobody waits.
                Ok(None) if may_read => {
                    may_read = false;
                    if !matches!(reader.poll_more(cx), Poll::Ready(Ok(1..))) {
                        return Poll::Ready(false);
                    }
                }
                Ok(None) | Err(_) => return Poll::Ready(false),
            }
        }
        Poll::Ready(!reader.body.broken && !reader.framing.is_over())
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = self.with_socket(|socket| poll_write_slices(socket, slices, cx));
        self.deadlines.is_taken(written.is_ready());
        written
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.with_socket(|socket| socket.poll_flush(cx));
        self.deadlines.is_taken(flushed.is_ready());
        flushed
    }

    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.with_socket(|socket| socket.poll_shutdown(cx));
        self.deadlines.is_taken(shut.is_ready());
        shut
    }

    fn with_socket<T>(&self, act: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut self.reader.borrow_mut().socket {
            Some(socket) => act(Pin::new(socket)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// The connection as it is for another protocol: with what has come behind the request.
    pub(super) fn switch(&self) -> Option<Switched<S>> {
        let mut reader = self.reader.borrow_mut();
        let socket = reader.socket.take()?;
        Some(Switched { first: std::mem::take(&mut reader.input).into_rest(), socket })
    }

    /// Lets the socket go where the client may still be sending: nobody else reads from it then.
    pub(super) fn take_unfinished(&self) -> Option<S> {
        let mut reader = self.reader.borrow_mut();
        let is_finished = reader.framing.phase() == Phase::BetweenMessages && reader.input.is_empty();
        let socket = reader.socket.take_if(|_| !is_finished)?;
        reader.body.breaks_off();
        Some(socket)
    }

    /// Ends the connection, whoever else still holds it.
    pub(super) fn end(&self) {
        let mut reader = self.reader.borrow_mut();
        if let Some(socket) = reader.socket.take().filter(|_| self.broken.get()) {
            // An orderly end would say that the answer is complete.
            socket.break_off();
        }
        reader.body.breaks_off();
    }
}

impl Body {
    /// Whoever waits for more of it learns that there is none.
    fn breaks_off(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

/// Reads what a client still sends, to its end, and throws it away. A socket that is closed with something unread in it
/// answers with a reset, and the client may lose the answer that it has not read yet (RFC 9112 §9.6).
pub(super) async fn linger<S: Transport>(mut socket: S) {
    poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut room = ReadBuf::new(scratch);
                let read = ready!(Pin::new(&mut socket).poll_read(cx, &mut room));
                if read.is_err() || room.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        })
    })
    .await;
}

impl<S: Transport> Reader<S> {
    /// The next head, if all of it has come.
    fn head(&mut self, most: usize) -> Result<Option<Bytes>, Unreadable> {
        let bytes = self.input.bytes();
        let mut rest = &bytes[self.looked_at..];
        let step = if rest.is_empty() { Step::More } else { self.framing.step(&mut rest)? };
        let end = bytes.len() - rest.len();
        if end > most {
            return Err(Unreadable::TooLarge);
        }
        if step != Step::Head {
            self.looked_at = end;
            return Ok(None);
        }
        self.looked_at = 0;
        Ok(Some(bytes.split_to(end).freeze()))
    }

    /// The next piece of a body, as far as it has come; the last one is empty where the body is told to end only then.
    fn piece(&mut self) -> Result<Option<Bytes>, Violation> {
        let bytes = self.input.bytes();
        let mut rest = &bytes[..];
        let (mut read, mut piece) = (0, None);
        while !rest.is_empty() && piece.is_none() {
            let step = self.framing.step(&mut rest)?;
            read = bytes.len() - rest.len();
            match step {
                Step::More => {}
                Step::Data(data) => piece = Some(data.len()),
                Step::Head | Step::End => piece = Some(0),
            }
        }
        let Some(length) = piece else {
            bytes.clear();
            return Ok(None);
        };
        let _ = bytes.split_to(read - length);
        let piece = bytes.split_to(length).freeze();
        self.input.pass_on_room();
        Ok(Some(piece))
    }

    /// Reads more. Says how many octets came: none at the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if !self.input.is_empty() || self.framing.phase() == Phase::Body {
            return self.input.poll_fill(|bytes| pin!(socket.read_buf(bytes)).poll(cx));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut room = ReadBuf::new(scratch);
            ready!(Pin::new(socket).poll_read(cx, &mut room))?;
            self.input.put(room.filled());
            Poll::Ready(Ok(room.filled().len()))
        })
    }
}

impl<S: Transport> Source for Wire<S> {
    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let mut reader = self.reader.borrow_mut();
        let reader = &mut *reader;
        if reader.body.awaited && reader.input.is_empty() && !reader.body.wanted {
            reader.body.wanted = true;
            if let Some(connection) = reader.body.connection.take() {
                connection.wake();
            }
        }
        let ended = loop {
            match reader.piece() {
                Ok(Some(piece)) if piece.is_empty() => break None,
                Ok(Some(piece)) => break Some(Ok(piece)),
                Err(violation) => {
                    tracing::debug!(%violation, "the body of a request is not well framed");
                    break Some(Err(violation.into()));
                }
                Ok(None) => match reader.poll_more(cx) {
                    Poll::Ready(Ok(octets @ 1..)) => {
                        // Whoever sends has been told, or does not wait for it.
                        reader.body.awaited = false;
                        self.deadlines.hears(octets);
                    }
                    Poll::Ready(Ok(_) | Err(_)) => break Some(Err(BrokenOff::Ended)),
                    Poll::Pending => {
                        self.deadlines.waits_in(Phase::Body);
                        reader.body.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                },
            }
        };
        reader.body.broken |= matches!(ended, Some(Err(_)));
        if (reader.body.broken || reader.framing.phase() != Phase::Body)
            && let Some(connection) = reader.body.connection.take()
        {
            connection.wake();
        }
        Poll::Ready(ended)
    }

    fn left(&self) -> Option<u64> {
        self.reader.borrow().framing.left()
    }

    fn abandon(&self) {
        let body = &mut self.reader.borrow_mut().body;
        body.abandoned = true;
        if let Some(connection) = body.connection.take() {
            connection.wake();
        }
    }
}

/// A connection over which another protocol is spoken now.
pub(super) struct Switched<S> {
    /// What came behind the head of the request.
    first: Bytes,
    socket: S,
}

impl<S: Transport> AsyncRead for Switched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let length = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncWrite for Switched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
