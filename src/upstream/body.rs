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

use super::TrailerFilter;
use super::pool::Lease;
use crate::deadline::Due;
use crate::server::pace::Paced;

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
    pub(super) broken: Cell<Option<hyper::Error>>,
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
    progress: Rc<Progress>,
    due: Option<(Due, Duration)>,
}

impl RequestBody {
    /// The body of a client's request.
    #[must_use]
    pub fn new(incoming: Paced) -> Self {
        let progress = Rc::<Progress>::default();
        progress.complete.set(incoming.is_end_stream());
        Self { first: None, incoming: Some(incoming), trailers: None, progress, due: None }
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
        let progress = Progress { complete: Cell::new(bytes.is_empty()), ..Progress::default() };
        let first = (!bytes.is_empty()).then_some(bytes);
        Self { first, incoming: None, trailers: None, progress: Rc::new(progress), due: None }
    }

    /// Whether the body begins with `text`, as far as its first piece tells; the piece stays part of the body.
    pub async fn starts_with(&mut self, text: &[u8]) -> bool {
        if self.first.is_none() && !self.is_end_stream() {
            let piece = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await;
            self.first = piece.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
            self.progress.complete.set(false);
        }
        self.first.as_ref().is_some_and(|piece| piece.starts_with(text))
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        let progress = Progress { complete: Cell::new(true), ..Progress::default() };
        Self { first: None, incoming: None, trailers: None, progress: Rc::new(progress), due: None }
    }

    pub(super) fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    /// When the body has been sent, the upstream has so long to answer.
    pub(super) fn due_at_end(&mut self, due: Due, wait: Duration) {
        self.due = Some((due, wait));
    }

    fn finish(&self) {
        let was_complete = self.progress.complete.replace(true);
        if let Some((due, wait)) =
            self.due.as_ref().filter(|_| !was_complete && !self.progress.answered.get())
        {
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
        self.progress.asked.set(self.progress.asked.get().wrapping_add(1));
        self.progress.waiting.set(false);
        if let Some(first) = self.first.take() {
            if self.is_end_stream() {
                self.finish();
            }
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.progress.failed.get() {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        let Some(incoming) = self.incoming.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        self.progress.waiting.set(polled.is_pending());
        match ready!(polled) {
            Some(Ok(frame)) if frame.is_data() => {
                if self.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.progress.failed.set(true);
                self.progress.broken.set(Some(error));
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
        self.first.is_none() && rest_is_over && !self.progress.failed.get()
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
    incoming: Incoming,
    lease: Option<Lease>,
    due: Due,
    idle: Duration,
    trailers: TrailerFilter,
}

impl AnswerBody {
    /// An answer that begins now; an empty one is over already.
    pub(super) fn new(
        incoming: Incoming,
        lease: Option<Lease>,
        due: Due,
        idle: Duration,
        trailers: TrailerFilter,
    ) -> Self {
        let mut body = Self { incoming, lease, due, idle, trailers };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        self.due.clear();
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AnswerBody").field(&self.incoming).finish()
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
    Broken(#[from] hyper::Error),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(cx) {
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
                if this.incoming.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
