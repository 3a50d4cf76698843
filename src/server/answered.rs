//! What becomes of a panic: the request in which it happens is answered with 500, and the others do not notice.
//!
//! No request is to panic. Where one does, it has been decided about nobody: nothing has been passed on that would not have
//! been, and nothing of what was decided so far goes out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::message::Response;

/// The body of an answer; nothing where answering has panicked.
pub(super) struct Answered<B>(Option<B>);

pin_project! {
    /// Waits for an answer, whatever happens meanwhile.
    pub(super) struct Answering<F, C> {
        #[pin]
        answering: F,
        complete: C,
    }
}

/// Waits for an answer, which `complete` gets to see, and to change, before it goes out; it is told whether it is an apology.
pub(super) const fn unless_it_panics<F, C, B>(answering: F, complete: C) -> Answering<F, C>
where
    F: Future<Output = Response<B>>,
    C: Fn(&mut Response<Answered<B>>, bool),
{
    Answering { answering, complete }
}

/// Several futures that hand an answer on, one within the other, would each move it.
impl<F, C, B> Future for Answering<F, C>
where
    F: Future<Output = Response<B>>,
    C: Fn(&mut Response<Answered<B>>, bool),
{
    type Output = Response<Answered<B>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // What it has left half done is its own: nobody else looks at the request.
        let answered = catch_unwind(AssertUnwindSafe(|| this.answering.poll(cx)));
        let is_apology = answered.is_err();
        let mut answer = match answered {
            Ok(answer) => ready!(answer).map(|body| Answered(Some(body))),
            Err(_) => {
                tracing::error!("a request has panicked, and is answered with 500");
                let mut apology = Response::new(Answered(None));
                *apology.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                apology
            }
        };
        (this.complete)(&mut answer, is_apology);
        Poll::Ready(answer)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
