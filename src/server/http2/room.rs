//! How much memory the streams of HTTP/2 may hold, on one connection and on all of a worker.
//!
//! Over HTTP/1.1 a request holds a connection, and with it something its client has to hold as well. Over HTTP/2 a hundred
//! requests share one, and HPACK lets a few octets stand for tens of thousands (RFC 7541 §2.3); with a window of nothing the
//! answers stay where they are; and a body that the app does not read lies here. So what a stream holds is estimated when it
//! begins, what it hands to h2 is added, and all of it counts until h2 has let go of the last octet. Who would hold too much has new streams refused, in a way that says
//! that nobody has looked at them (RFC 9113 §8.7): browsers ask again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::Request;

use super::{CONNECTION_WINDOW, STREAM_WINDOW, Vitals};
use crate::deadline::{Watch, Watched};

/// What a stream holds besides its head and its answer, and to spare: its tasks, and the connection to the upstream. Measured,
/// not optimised: 14 KiB without an answer, and 32 KiB with the first two pieces of one, which are counted by themselves.
const STREAM: usize = 64 * 1024;
/// What a tunnel holds besides what h2 has of it: its task, the connection to the upstream, and 8 KiB each way that wait for
/// whoever does not take them. Measured: 13 KiB where nothing waits.
pub(super) const TUNNEL: usize = 32 * 1024;
/// A head is held as it came, and once more until it is answered.
const COPIES: usize = 2;
/// A connection that holds no more than this has its streams whatever the others hold.
const MODEST: usize = 3 * STREAM;
/// No connection holds more than this, however much room there is: a hundred ordinary streams and their heads.
const MOST_OF_ONE: usize = 8 * 1024 * 1024;

/// What may lie unread of so many bodies on one connection, by the windows that its client was given (RFC 9113 §5.2).
fn unread(bodies: usize) -> usize {
    const OF_ONE: usize = STREAM_WINDOW as usize;
    const OF_ALL: usize = CONNECTION_WINDOW as usize;
    (bodies * OF_ONE).min(OF_ALL)
}

/// What the streams of one worker hold together.
#[derive(Debug, Default)]
pub(in crate::server) struct Room {
    /// In octets.
    held: Cell<usize>,
    /// Where something was gathered that has been sent, for the next connection.
    spare: RefCell<Vec<u8>>,
}

impl Room {
    /// How much the streams of the worker hold.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// Somewhere to gather so much.
    pub(super) fn take_spare(&self, capacity: usize) -> Vec<u8> {
        let mut spare = self.spare.take();
        spare.reserve_exact(capacity);
        spare
    }

    pub(super) fn spare(&self, emptied: Vec<u8>) {
        self.spare.replace(emptied);
    }
}

/// What one stream holds, with its deadlines. It is there until the stream has ended and h2 has let go of its answer.
pub(super) struct Share {
    room: Rc<Room>,
    vitals: Rc<Vitals>,
    watched: Watched,
    octets: Cell<usize>,
    /// A window of what the client sends may lie unread.
    has_window: Cell<bool>,
    /// Under which number its connection knows it, once nothing but h2 holds any of its answer.
    tail: Cell<Option<usize>>,
}

impl Share {
    /// A share for a stream with this head; none where too much is held already.
    pub(super) fn take(
        room: &Rc<Room>,
        vitals: &Rc<Vitals>,
        watched: Watched,
        request: &Request<RecvStream>,
    ) -> Option<Rc<Self>> {
        let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        let octets = STREAM + COPIES * (target + fields.sum::<usize>());
        let has_body = !request.body().is_end_stream();
        let bodies = vitals.bodies.get();
        let unread = if has_body { unread(bodies + 1) - unread(bodies) } else { 0 };
        let held = vitals.held.get();
        let more = octets + unread;
        let is_modest = held == 0 || held + more <= MODEST;
        let has_room = || held + more <= MOST_OF_ONE && room.held.get() + more <= vitals.limits.http2_bytes;
        if !is_modest && !has_room() {
            return None;
        }
        let share = Self {
            room: Rc::clone(room),
            vitals: Rc::clone(vitals),
            watched,
            octets: Cell::new(0),
            has_window: Cell::new(false),
            tail: Cell::new(None),
        };
        share.grow(octets);
        share.counts_window(has_body);
        Some(Rc::new(share))
    }

    /// A share for the tunnel that the stream becomes: less than it took to open it, for a tunnel may be there for days, and
    /// holds little while both sides read.
    pub(super) fn of_tunnel(&self) -> Rc<Self> {
        let share = Self {
            room: Rc::clone(&self.room),
            vitals: Rc::clone(&self.vitals),
            watched: self.watched.another(),
            octets: Cell::new(0),
            has_window: Cell::new(false),
            tail: Cell::new(None),
        };
        share.grow(TUNNEL);
        share.counts_window(true);
        Rc::new(share)
    }

    pub(super) fn watch(&self) -> Rc<Watch> {
        self.watched.share()
    }

    /// Whether the request has a body.
    pub(super) fn has_body(&self) -> bool {
        self.has_window.get()
    }

    /// From now on a window of what the client sends may lie here unread, or none.
    pub(super) fn counts_window(&self, counts: bool) {
        if self.has_window.replace(counts) == counts {
            return;
        }
        let before = self.vitals.bodies.get();
        let now = if counts { before + 1 } else { before - 1 };
        self.vitals.bodies.set(now);
        for held in [&self.vitals.held, &self.room.held] {
            held.update(|held| held + unread(now) - unread(before));
        }
    }

    /// The stream has ended for us. Where h2 still keeps of its answer, the client has to take that in time, too.
    pub(super) fn ends(self: &Rc<Self>) {
        if Rc::strong_count(self) > 1 {
            let watch = self.watch();
            watch.client.set(self.vitals.limits.body_idle);
            self.vitals.wakes_connection(&watch);
            self.tail.set(Some(self.vitals.tails.borrow_mut().insert(watch)));
        }
    }

    /// The client has taken something of the answer. Where it is waited for, it has as long again for more.
    fn is_taken(&self) {
        self.watched.client().put_off(self.vitals.limits.body_idle);
    }

    fn grow(&self, octets: usize) {
        for held in [&self.octets, &self.vitals.held, &self.room.held] {
            held.update(|held| held + octets);
        }
    }

    fn shrink(&self, octets: usize) {
        for held in [&self.octets, &self.vitals.held, &self.room.held] {
            held.update(|held| held.saturating_sub(octets));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.octets.get());
        self.counts_window(false);
        if let Some(tail) = self.tail.get() {
            self.vitals.tails.borrow_mut().try_remove(tail);
        }
    }
}

/// A piece of an answer; h2 drops it when it has written it, or when nobody wants it any more. It writes a frame at a time, as
/// far as the windows have room, so whoever takes a large piece slowly is seen to take it.
pub(super) struct Piece {
    left: Bytes,
    length: usize,
    share: Option<Rc<Share>>,
}

impl Piece {
    pub(super) fn new(octets: Bytes, share: &Rc<Share>) -> Self {
        share.grow(octets.len());
        Self { length: octets.len(), left: octets, share: Some(Rc::clone(share)) }
    }

    /// Nothing, which ends an answer.
    pub(super) const fn nothing() -> Self {
        Self { length: 0, left: Bytes::new(), share: None }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.shrink(self.length);
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.left.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.left.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.left.advance(count);
        if let Some(share) = &self.share {
            share.is_taken();
        }
    }
}
