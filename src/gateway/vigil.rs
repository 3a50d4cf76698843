//! The vigil: whatever outlasts a request ends with the session for which it was begun.
//!
//! A request is asked once whose session it has. A WebSocket, or an answer that goes on and on, would go on when nobody
//! would be let in any more: so each worker keeps those of members in a list and goes through it, twice a second and
//! whenever sessions have been ended. What is over is woken, and ends itself. Most answers are complete before anybody
//! waits for more of them, and never come into the list.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tokio::sync::Notify;

use super::site::Site;
use super::standing;
use crate::deadline::TICK;
use crate::provider::membership::{Memberships, Verdict};
use crate::revocation::Revocations;
use crate::session::Session;
use crate::time::{Clock, UnixTime};

/// What a worker keeps in sight.
pub(super) struct Vigil {
    streams: RefCell<Slab<Stream>>,
    /// There is something to be kept in sight.
    begins: Notify,
}

/// Something that goes on for a member.
struct Stream {
    bond: Bond,
    waker: Waker,
    is_over: bool,
}

/// What ties it to a session.
struct Bond {
    session: Session,
    /// When the session ends at the latest. Renewals do not reach what is under way.
    until: UnixTime,
    /// Where the operator wants to know of them.
    memberships: Option<Arc<Memberships>>,
}

impl Vigil {
    /// Begins on the thread of a worker, and lasts as long as that.
    pub(super) fn begin(revocations: Arc<Revocations>, clock: Clock) -> Rc<Self> {
        let vigil = Rc::new(Self { streams: RefCell::default(), begins: Notify::new() });
        tokio::task::spawn_local(keep(Rc::clone(&vigil), revocations, clock));
        vigil
    }

    /// Goes through the list.
    fn look(&self, revocations: &Revocations, now: UnixTime) {
        for (_, stream) in &mut *self.streams.borrow_mut() {
            if !stream.is_over && stream.bond.is_broken(revocations, now) {
                tracing::info!(session = %stream.bond.session.id, "a stream ends with its session");
                stream.is_over = true;
                stream.waker.wake_by_ref();
            }
        }
    }
}

impl fmt::Debug for Vigil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vigil")
    }
}

async fn keep(vigil: Rc<Vigil>, revocations: Arc<Revocations>, clock: Clock) {
    let mut changes = revocations.changes();
    loop {
        vigil.begins.notified().await;
        while !vigil.streams.borrow().is_empty() {
            vigil.look(&revocations, clock.now());
            tokio::select! {
                // It is held here, so nobody can have let go of it.
                _ = changes.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

impl Bond {
    fn is_broken(&mut self, revocations: &Revocations, now: UnixTime) -> bool {
        now >= self.until || revocations.have_ended(&self.session) || self.has_lapsed(now)
    }

    fn has_lapsed(&mut self, now: UnixTime) -> bool {
        let Some(memberships) = &self.memberships else { return false };
        let known = memberships.look_up(&self.session.member, self.session.vouched, now);
        match known.verdict {
            Verdict::Active(vouched) => {
                self.session.vouched = vouched;
                if known.ask {
                    standing::ask_in_background(Arc::clone(memberships), self.session.member.clone(), now);
                }
                false
            }
            Verdict::Lapsed | Verdict::Unknown => true,
        }
    }
}

/// Ties something to a session. It is in the list from the moment at which somebody waits for more of it.
pub struct Tie {
    vigil: Rc<Vigil>,
    place: Place,
}

enum Place {
    NotYet(Bond),
    InList(usize),
    /// Only while it is moved.
    Nowhere,
}

impl Tie {
    /// To this session, as it counts on this site.
    pub(super) fn new(vigil: &Rc<Vigil>, site: &Site, session: Session) -> Self {
        let until = session.expires_at(site.cookies.policy());
        let memberships = site.memberships_of(&session.member).cloned();
        Self { vigil: Rc::clone(vigil), place: Place::NotYet(Bond { session, until, memberships }) }
    }

    /// Whether the session is over. Otherwise whoever asks is woken when it is.
    pub(super) fn is_over(&mut self, cx: &Context<'_>) -> bool {
        let mut streams = self.vigil.streams.borrow_mut();
        match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::NotYet(bond) => {
                let stream = Stream { bond, waker: cx.waker().clone(), is_over: false };
                self.place = Place::InList(streams.insert(stream));
                self.vigil.begins.notify_one();
                false
            }
            Place::InList(key) => {
                self.place = Place::InList(key);
                let stream = &mut streams[key];
                if !stream.waker.will_wake(cx.waker()) {
                    stream.waker = cx.waker().clone();
                }
                stream.is_over
            }
            Place::Nowhere => false,
        }
    }

    /// The same, for what is in the list already.
    pub(super) fn is_known_to_be_over(&self) -> bool {
        match &self.place {
            Place::InList(key) => self.vigil.streams.borrow()[*key].is_over,
            Place::NotYet(_) | Place::Nowhere => false,
        }
    }

    /// Waits until the session is over.
    pub(super) async fn comes_to_its_end(mut self) {
        poll_fn(|cx| if self.is_over(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl fmt::Debug for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tie")
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        if let Place::InList(key) = self.place {
            self.vigil.streams.borrow_mut().remove(key);
        }
    }
}
