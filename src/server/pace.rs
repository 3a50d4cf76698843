//! The pace of a request's body, where each request of a connection has its own.
//!
//! Over HTTP/1.1 the connection itself sees when a client stops sending. Over HTTP/2 many bodies share one, and only whoever
//! reads a body knows that it is waited for: what the upstream does not take yet, the client owes to nobody.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Extensions;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::deadline::Due;

/// How long a body may be waited for between two of its pieces.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    due: Due,
    wait: Duration,
    /// Whether the answer has begun. From then on both sides may talk as they like, and be silent.
    answered: Arc<AtomicBool>,
}

impl Pace {
    /// The deadline is kept in `due`.
    pub(super) fn new(due: Due, wait: Duration) -> Self {
        Self { due, wait, answered: Arc::default() }
    }

    /// The answer has begun.
    pub(super) fn is_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
        self.due.clear();
    }
}

/// The body of a request, with the deadline it came with.
#[derive(Debug)]
pub struct Paced {
    incoming: Incoming,
    pace: Option<Pace>,
}

impl Paced {
    /// The body of the request with these extensions.
    #[must_use]
    pub fn new(incoming: Incoming, extensions: &mut Extensions) -> Self {
        Self { incoming, pace: extensions.remove() }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        if let Some(pace) = self.pace.as_ref().filter(|pace| !pace.answered.load(Ordering::Relaxed)) {
            match &frame {
                Poll::Pending => pace.due.set_if_clear(pace.wait),
                Poll::Ready(_) => pace.due.clear(),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
