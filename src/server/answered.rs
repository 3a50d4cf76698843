//! What becomes of a panic: the request in which it happens is answered with 500, and the others do not notice.
//!
//! No request is to panic. Where one does, it has been decided about nobody: nothing has been passed on that would not have
//! been, and nothing of what was decided so far goes out.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

/// The body of an answer; nothing where answering has panicked.
pub(super) struct Answered<B>(Option<B>);

/// Waits for an answer, whatever happens meanwhile. Says whether it is one.
pub(super) fn unless_it_panics<B>(
    answering: impl Future<Output = Response<B>>,
) -> impl Future<Output = Result<Response<Answered<B>>, Response<Answered<B>>>> {
    // What it has left half done is its own: nobody else looks at the request.
    AssertUnwindSafe(answering).catch_unwind().map(|answered| match answered {
        Ok(answer) => Ok(answer.map(|body| Answered(Some(body)))),
        Err(_) => {
            tracing::error!("a request has panicked, and is answered with 500");
            let mut apology = Response::new(Answered(None));
            *apology.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Err(apology)
        }
    })
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
