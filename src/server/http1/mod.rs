//! A connection with HTTP/1.1 towards a client (RFC 9112): one request after the other, each read once and strictly.
//!
//! What can be read in two ways is no request ([`framing`](super::framing)); where one is not well framed it is answered
//! with 400, and the connection ends, for nobody knows where the next would begin.

mod answer;
mod deadlines;
mod head;
mod wire;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use http::header::UPGRADE;
use http_body::Body;

use self::answer::After;
use self::deadlines::Deadlines;
use self::head::{Unreadable, Wishes};
use self::wire::Wire;
use super::connection::{Limits, Noticed, Transport};
use super::crowd::Seats;
use super::incoming::{Incoming, OnUpgrade, Source, Upgraded};
use super::tls::Shown;
use super::{Arrival, Respond};
use crate::deadline::{Watch, Watched};
use crate::http1::{Framing, Outbox, spares};
use crate::message::Response;
use crate::turn::Turn;

/// What the client is told when its body is wanted (RFC 9110 §15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

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
    seats: Option<Seats>,
) {
    let _noticed = Noticed::new(&respond, arrival.entrance);
    let watch = watched.share();
    let held = Held(Wire::new(socket, Deadlines::new(limits, &watch)));
    let wire = &held.0;
    let parties = Parties { respond, arrival, watch: Rc::clone(&watch), shown };
    let mut conversation = pin!(converse(wire, parties, seats));
    let mut drain = pin!(drain);
    poll_fn(|cx| {
        watch.wakes(cx.waker());
        if watch.writing.is_past() {
            tracing::debug!("a client does not read");
            wire.broken.set(true);
            return Poll::Ready(());
        }
        if watch.client.is_past() {
            tracing::debug!("a client took too long");
            // Where nothing is under way the connection ends in order: over TLS, with close_notify.
            wire.closes.set(true);
            let _ = conversation.as_mut().poll(cx);
            return Poll::Ready(());
        }
        if !wire.closes.get() && drain.as_mut().poll(cx).is_ready() {
            // A request that has come already is answered.
            if conversation.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            wire.closes.set(true);
        }
        conversation.as_mut().poll(cx)
    })
    .await;
}

/// The wire ends with the connection, though bodies that somebody still reads hold it as well.
struct Held<S: Transport>(Rc<Wire<S>>);

impl<S: Transport> Drop for Held<S> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Who takes part in a connection.
struct Parties<R> {
    respond: Rc<R>,
    arrival: Arrival,
    watch: Rc<Watch>,
    shown: Option<Rc<Shown>>,
}

/// Answers one request after the other.
async fn converse<R: Respond, S: Transport>(wire: &Rc<Wire<S>>, parties: Parties<R>, seats: Option<Seats>) {
    let Parties { respond, arrival, watch, shown } = parties;
    let mut outbox = Outbox::default();
    loop {
        let (head, wishes) = match poll_fn(|cx| wire.poll_request(cx)).await {
            Some(Ok(read)) => read,
            Some(Err(unreadable)) => {
                refuse(wire, &mut outbox, unreadable).await;
                break;
            }
            None => break,
        };
        let mut hand_over = None;
        let answer = {
            let mut request = head.map(|()| Incoming::empty());
            if wire.owes_body() {
                *request.body_mut() = Incoming::from_source(Rc::clone(wire) as Rc<dyn Source>);
                // Nobody has to switch (RFC 9110 §7.8), and in a tunnel nothing of a body must be left.
                if wishes.upgrades {
                    request.headers_mut().remove(UPGRADE);
                }
            } else if wishes.upgrades {
                let (sender, on_upgrade) = OnUpgrade::of_connection();
                hand_over = Some(sender);
                *request.body_mut() = Incoming::switching(on_upgrade);
            }
            if let Some(shown) = &shown {
                shown.mark(&mut request);
            }
            let mut answering = pin!(Rc::clone(&respond).respond(request, arrival, Rc::clone(&watch)));
            poll_fn(|cx| {
                if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer));
                }
                if wishes.expects_continue && wire.wants_body(cx) {
                    outbox.begin(Framing::Nothing, None).extend_from_slice(CONTINUE);
                }
                if matches!(poll_out(wire, &mut outbox, cx), Poll::Ready(Err(_))) {
                    return Poll::Ready(None);
                }
                wire.poll_departure(cx).map(|()| None)
            })
            .await
        };
        let Some(mut answer) = answer else { return };
        // What comes behind a request for an upgrade was not read, so it must not be parsed as another one.
        let stays = wishes.stays() && !wishes.upgrades && !wire.closes.get() && !wire.is_body_awaited();
        let after = answer::begin(&answer, wishes, stays, &mut outbox);
        let mut turn = Turn::default();
        poll_fn(|cx| turn.poll(cx)).await;
        let sent = poll_fn(|cx| poll_send(wire, &mut outbox, wishes, answer.body_mut(), cx)).await;
        if sent.is_err() {
            return;
        }
        match after {
            After::Stays => {}
            After::Closes => break,
            After::Switches => {
                if let (Some(hand_over), Some(switched)) = (hand_over, wire.switch()) {
                    let _ = hand_over.send(Upgraded::new(switched, seats));
                }
                return;
            }
        }
        spares::keep_fields(std::mem::take(answer.headers_mut()));
        drop(answer);
        if !poll_fn(|cx| wire.poll_rest(cx)).await {
            break;
        }
    }
    let _ = poll_fn(|cx| wire.poll_shutdown(cx)).await;
    if let Some(socket) = wire.take_unfinished() {
        wire.deadlines.lingers();
        wire::linger(socket).await;
    }
}

/// Says that a request cannot be read.
async fn refuse<S: Transport>(wire: &Wire<S>, outbox: &mut Outbox, unreadable: Unreadable) {
    tracing::debug!(%unreadable, "a request is refused, and its connection ends");
    let mut answer = Response::new(Incoming::empty());
    *answer.status_mut() = unreadable.status();
    answer::begin(&answer, Wishes::default(), false, outbox);
    let _ = poll_fn(|cx| poll_out(wire, outbox, cx)).await;
}

/// The answer, or the connection, has broken off.
struct GivenUp;

/// Sends on what there is of an answer. Ready once all of it has gone out.
fn poll_send<S: Transport, B: Body<Data = Bytes> + Unpin>(
    wire: &Wire<S>,
    outbox: &mut Outbox,
    wishes: Wishes,
    body: &mut B,
    cx: &mut Context<'_>,
) -> Poll<Result<(), GivenUp>> {
    loop {
        while outbox.has_room_for_more() {
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else { break };
            let taken = frame.transpose().map(|frame| outbox.take(frame));
            if !matches!(taken, Ok(Ok(()))) {
                tracing::debug!("an answer breaks off");
                // Only a client that knows chunks, or a length, sees that it is not complete.
                wire.broken.set(wishes.is_http10);
                return Poll::Ready(Err(GivenUp));
            }
        }
        let has_more = outbox.waits();
        if ready!(poll_out(wire, outbox, cx)).is_err() {
            return Poll::Ready(Err(GivenUp));
        }
        if !outbox.lacks_body() {
            return Poll::Ready(Ok(()));
        }
        if !has_more {
            return wire.poll_departure(cx).map(|()| Err(GivenUp));
        }
    }
}

/// Writes what waits to be written, and sees to it that it goes out.
fn poll_out<S: Transport>(wire: &Wire<S>, outbox: &mut Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while outbox.waits() {
        ready!(outbox.poll_write(|slices| wire.poll_write(cx, slices)))?;
    }
    outbox.poll_flush(|| wire.poll_flush(cx))
}

#[cfg(test)]
mod tests;
