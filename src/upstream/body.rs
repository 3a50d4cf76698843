//! Bodies on their way through: a request's to the upstream, an answer's to the client, both as they come.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderName;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::http1::{self, Connection, Switched};
use super::pool::{Carrier, Lease};
use super::{Fault, TrailerFilter};
use crate::deadline::Due;
use crate::server::incoming::OnUpgrade;
use crate::server::pace::{Incomplete, Paced};

/// How far the sending of a request has come.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) complete: Cell<bool>,
    /// The client is waited for: more of its body has been asked for, and has not come.
    waiting: Cell<bool>,
    /// How many times more of it was asked for, and how many times that was when somebody last looked.
    asked: Cell<u32>,
    seen: Cell<u32>,
    /// The head of the answer is there, or nobody waits for it any more.
    pub(super) answered: Cell<bool>,
    /// It broke off, and must never look complete from then on.
    failed: Cell<bool>,
    /// Why.
    pub(super) broken: Cell<Option<Incomplete>>,
}

impl Progress {
    /// Whether it is not the upstream that holds the body up: it has taken some since this was asked last, or the client
    /// has no more of it.
    pub(super) fn goes_on(&self) -> bool {
        self.waiting.get() || self.seen.replace(self.asked.get()) != self.asked.get()
    }
}

/// The body of a request on its way to the upstream. Trailers pass where the client may send any, and those are let through.
pub struct RequestBody {
    /// What goes first: all of a body that was made here, or what has been looked at already.
    first: Option<Bytes>,
    incoming: Option<Paced>,
    /// Which trailers pass; none where there is nothing.
    trailers: Option<TrailerFilter>,
    /// Of none there is no progress.
    progress: Option<Rc<Progress>>,
    due: Option<(Due, Duration)>,
}

impl RequestBody {
    /// The body of a client's request.
    #[must_use]
    pub fn new(incoming: Paced) -> Self {
        let progress = (!incoming.is_end_stream()).then(Rc::default);
        Self { first: None, incoming: Some(incoming), trailers: None, progress, due: None }
    }

    /// The client's connection as it is once it goes on in another protocol, where the request asks for one.
    pub fn on_upgrade(&mut self) -> Option<OnUpgrade> {
        self.incoming.as_mut()?.on_upgrade()
    }

    /// The same, with those of its trailers that are let through.
    #[must_use]
    pub fn with_trailers(mut self, filter: TrailerFilter) -> Self {
        self.trailers = Some(filter);
        self
    }

    /// A body that was made here.
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        let first = (!bytes.is_empty()).then_some(bytes);
        let progress = first.is_some().then(Rc::default);
        Self { first, incoming: None, trailers: None, progress, due: None }
    }

    /// Whether the body begins with `text`, as far as its first piece tells; the piece stays part of the body.
    pub async fn starts_with(&mut self, text: &[u8]) -> bool {
        if self.first.is_none() && !self.is_end_stream() {
            let piece = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await;
            self.first = piece.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
            if let Some(progress) = &self.progress {
                progress.complete.set(false);
            }
        }
        self.first.as_ref().is_some_and(|piece| piece.starts_with(text))
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self { first: None, incoming: None, trailers: None, progress: None, due: None }
    }

    pub(super) fn progress(&self) -> Option<Rc<Progress>> {
        self.progress.clone()
    }

    /// When the body has been sent, the upstream has so long to answer.
    pub(super) fn due_at_end(&mut self, due: Due, wait: Duration) {
        self.due = Some((due, wait));
    }

    fn finish(&self) {
        let Some(progress) = &self.progress else { return };
        let was_complete = progress.complete.replace(true);
        if let Some((due, wait)) = self.due.as_ref().filter(|_| !was_complete && !progress.answered.get()) {
            due.set(*wait);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(progress) = self.progress.clone() else { return Poll::Ready(None) };
        progress.asked.set(progress.asked.get().wrapping_add(1));
        progress.waiting.set(false);
        if let Some(first) = self.first.take() {
            if self.is_end_stream() {
                self.finish();
            }
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if progress.failed.get() {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        let Some(incoming) = self.incoming.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        progress.waiting.set(polled.is_pending());
        match ready!(polled) {
            Some(Ok(frame)) if frame.is_data() => {
                if self.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                progress.failed.set(true);
                progress.broken.set(Some(error));
                Poll::Ready(Some(Err(BrokenOff)))
            }
            Some(Ok(mut frame)) => {
                self.finish();
                let (Some(trailers), Some(filter)) = (frame.trailers_mut(), &self.trailers) else {
                    return Poll::Ready(None);
                };
                keep(trailers, filter);
                Poll::Ready((!trailers.is_empty()).then_some(Ok(frame)))
            }
            None => {
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest_is_over = self.incoming.as_ref().is_none_or(Paced::is_end_stream);
        let has_failed = self.progress.as_ref().is_some_and(|progress| progress.failed.get());
        self.first.is_none() && rest_is_over && !has_failed
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Paced::size_hint);
        let first = self.first.as_ref().map_or(0, |first| first.len() as u64);
        let mut whole = SizeHint::new();
        whole.set_lower(rest.lower() + first);
        if let Some(upper) = rest.upper() {
            whole.set_upper(upper + first);
        }
        whole
    }
}

/// Takes out the trailers that may not pass.
fn keep(trailers: &mut HeaderMap, filter: &TrailerFilter) {
    let names: Vec<HeaderName> = trailers.keys().filter(|name| !filter(name)).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

/// The client's body broke off; the upstream connection is aborted, never finished as if all had come.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body of the request broke off")]
pub struct BrokenOff;

/// The body of an answer on its way to the client.
pub struct AnswerBody {
    /// What comes over HTTP/2; otherwise it comes over the connection that is lent.
    stream: Option<Incoming>,
    /// The upstream has nothing to stop but its answer: where it ends its stream otherwise than with that, the answer has
    /// broken off. While a request has a body, the upstream may stop that, with its answer complete (RFC 9113 §8.1).
    has_to_end: bool,
    /// There until all of the answer has been read, or it has broken off.
    lease: Option<Lease>,
    is_over: bool,
    /// Why it has broken off, until somebody is told.
    broken: Option<Fault>,
    due: Due,
    idle: Duration,
    trailers: TrailerFilter,
}

impl AnswerBody {
    /// An answer that begins now; an empty one is over already.
    pub(super) fn new(
        stream: Option<Incoming>,
        lease: Lease,
        due: Due,
        idle: Duration,
        trailers: TrailerFilter,
        has_to_end: bool,
    ) -> Self {
        Self { stream, has_to_end, lease: Some(lease), is_over: false, broken: None, due, idle, trailers }
    }

    /// Lets go of the connection, if all has been read.
    pub(super) fn settle(&mut self) {
        let is_over = match (&self.stream, self.connection()) {
            (Some(incoming), _) => incoming.is_end_stream(),
            (None, Some(connection)) => connection.is_end_stream(),
            (None, None) => false,
        };
        if is_over {
            self.finish();
        }
    }

    /// The connection of an answer that switches to another protocol (RFC 9110 §7.8).
    pub fn switch(&mut self) -> Option<Switched> {
        let switched = self.connection_mut()?.switch();
        (self.lease, self.is_over) = (None, true);
        Some(switched)
    }

    fn connection(&self) -> Option<&Connection> {
        match self.lease.as_ref()?.carrier.as_ref()? {
            Carrier::Own(connection) => Some(connection),
            Carrier::Stream(_) => None,
        }
    }

    fn connection_mut(&mut self) -> Option<&mut Connection> {
        match self.lease.as_mut()?.carrier.as_mut()? {
            Carrier::Own(connection) => Some(connection),
            Carrier::Stream(_) => None,
        }
    }

    fn poll_any(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(incoming) = &mut self.stream {
            let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
            if frame.is_none() && self.has_to_end && !incoming.is_end_stream() {
                return Poll::Ready(Some(Err(http1::Fault::Closed.into())));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Fault::from)));
        }
        match self.connection_mut() {
            Some(connection) => connection.poll_frame(cx).map_err(Fault::from),
            None => Poll::Ready(None),
        }
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.due.clear();
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerBody")
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.due.clear();
    }
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum AnswerBroken {
    /// The upstream sent nothing for too long.
    #[error("the upstream stopped in the middle of its answer")]
    Stalled,
    /// The connection broke, or what came was not well formed.
    #[error("the answer of the upstream broke off")]
    Broken(#[from] Fault),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(fault) = this.broken.take() {
            return Poll::Ready(Some(Err(fault.into())));
        }
        match this.poll_any(cx) {
            Poll::Pending if this.due.is_past() => {
                this.lease = None;
                this.due.clear();
                Poll::Ready(Some(Err(AnswerBroken::Stalled)))
            }
            Poll::Pending => {
                this.due.set_if_clear(this.idle);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                this.due.clear();
                if let Some(trailers) = frame.trailers_mut() {
                    keep(trailers, &this.trailers);
                }
                this.settle();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(fault))) => {
                // What came before goes out to the client first: whoever hears of an error drops what waits to be written.
                (this.lease, this.broken) = (None, Some(fault));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().map_or(self.is_over, Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.stream, self.connection()) {
            (Some(incoming), _) => incoming.size_hint(),
            (None, Some(connection)) => connection.size_hint(),
            (None, None) if self.is_over => SizeHint::with_exact(0),
            (None, None) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::deadline::Ticker;

    const IDLE: Duration = Duration::from_secs(30);
    const FIRST_BYTE: Duration = Duration::from_secs(10);

    /// When the upstream is given up that has taken all of a body after so long, and that has answered by then or has not.
    fn given_up(taken: Duration, has_answered: bool) -> Option<u64> {
        let (ticker, mut body) = (Ticker::default(), RequestBody::full(Bytes::from_static(b"a body")));
        let watched = ticker.watch();
        let due = watched.share().upstream.clone();
        body.due_at_end(due.clone(), FIRST_BYTE);
        due.set(IDLE);
        let progress = body.progress().expect("there is a body");
        progress.answered.set(has_answered);

        ticker.tick(taken);
        let polled = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        assert!(progress.complete.get());
        (taken.as_secs()..100).find(|&now| {
            ticker.tick(Duration::from_secs(now));
            due.is_past()
        })
    }

    // Each deadline is kept within the second that follows it.
    #[test]
    fn an_upstream_that_has_taken_all_of_a_body_has_so_long_to_answer_as_one_without() {
        assert_eq!(given_up(Duration::from_secs(2), false), Some(13));
        assert_eq!(given_up(Duration::from_secs(29), false), Some(40));
    }

    #[test]
    fn an_upstream_that_has_answered_is_waited_for_as_long_after_the_rest_of_the_body_as_before() {
        assert_eq!(given_up(Duration::from_secs(2), true), Some(31));
    }
}
