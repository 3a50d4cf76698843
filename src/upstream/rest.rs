//! What is left of a request over HTTP/2 that has been answered before all of it was sent.
//!
//! hyper sends a body in a task of its own, which asks for more of it when the upstream takes some. An upstream that has said
//! what it had to say and takes nothing more would keep that task for ever, with the body and its client; so it is ended, which
//! resets the stream and leaves all others of the connection alone. While the answer goes on, both sides may be silent.

use std::cell::{Cell, OnceCell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::task::AbortHandle;

use super::body::{BrokenOff, Progress, RequestBody};

/// The sending of a body.
#[derive(Default)]
pub(super) struct Rest {
    progress: Rc<Progress>,
    task: OnceCell<AbortHandle>,
    /// The answer is complete, or has been given up.
    pub(super) is_answered: Cell<bool>,
}

impl Rest {
    /// What is left of a body that begins to be sent; nothing of none.
    pub(super) fn of(body: &RequestBody) -> Option<Rc<Self>> {
        let progress = body.progress().filter(|_| !body.is_end_stream())?;
        Some(Rc::new(Self { progress, ..Self::default() }))
    }

    /// The task that sends it, where there is still something to send.
    fn under_way(&self) -> Option<&AbortHandle> {
        self.task.get().filter(|task| !self.progress.complete.get() && !task.is_finished())
    }

    /// Whether there is still something to send.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way().is_some()
    }

    /// Ends it once the answer is complete and the upstream takes nothing for as long as `patience`.
    pub(super) async fn look_after(self: Rc<Self>, patience: Duration) {
        while let Some(task) = self.under_way() {
            let was_answered = self.is_answered.get();
            self.progress.goes_on();
            tokio::time::sleep(patience).await;
            if was_answered && !self.progress.goes_on() {
                task.abort();
            }
        }
    }
}

/// The tasks of a connection, which stay with its worker.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    /// The body that begins to be sent. Its task is the first one after hyper has asked how long it is.
    begins: Rc<RefCell<Option<Rc<Rest>>>>,
}

impl Tasks {
    /// A body, with a task that can be ended.
    pub(super) fn sending(&self, body: RequestBody, rest: Option<Rc<Rest>>) -> Sent {
        Sent { body, rest, begins: Rc::clone(&self.begins) }
    }
}

impl<F: Future + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let task = tokio::task::spawn_local(async move {
            task.await;
        });
        if let Some(rest) = self.begins.take() {
            // Another one is none of this body's.
            let _ = rest.task.set(task.abort_handle());
        }
    }
}

/// The body of a request as hyper gets it.
pub(super) struct Sent {
    pub(super) body: RequestBody,
    rest: Option<Rc<Rest>>,
    begins: Rc<RefCell<Option<Rc<Rest>>>>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.begins.replace(self.rest.clone());
        self.body.size_hint()
    }
}
