//! One stream: a request and its answer, on a task and with deadlines of their own.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;

use super::Vitals;
use super::room::{Piece, Share};
use crate::deadline::Watch;
use crate::server::pace::Pace;

/// Runs the streams of one connection, on the thread of the connection.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) vitals: Rc<Vitals>,
    /// The share of the stream that has just begun. hyper hands its task over right after its request.
    pub(super) begun: Rc<RefCell<Option<Rc<Share>>>>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let under_way = UnderWay::begin(&self.vitals);
        let share = self.begun.take();
        tokio::task::spawn_local(async move {
            match share {
                Some(share) => {
                    in_time(stream, &share.watch()).await;
                    share.ends();
                }
                // The sending half of a tunnel, which may be silent for as long as it likes.
                None => stream.await,
            }
            drop(under_way);
        });
    }
}

/// Runs a stream for as long as its client keeps up. When it is dropped before its end, h2 resets it.
async fn in_time(stream: impl Future<Output = ()>, watch: &Watch) {
    let mut stream = pin!(stream);
    poll_fn(|cx| {
        watch.wakes(cx.waker());
        if watch.client.is_past() {
            tracing::debug!("a client took too long over one of its streams");
            return Poll::Ready(());
        }
        stream.as_mut().poll(cx)
    })
    .await;
}

/// A stream or a tunnel is under way for as long as this is there.
struct UnderWay(Rc<Vitals>);

impl UnderWay {
    fn begin(vitals: &Rc<Vitals>) -> Self {
        vitals.under_way.update(|streams| streams + 1);
        vitals.wait();
        Self(Rc::clone(vitals))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.update(|streams| streams - 1);
        self.0.wait();
    }
}

/// A request and its answer; where it ends before the answer has, the client has wasted it.
pub(super) struct Exchange {
    vitals: Rc<Vitals>,
    is_complete: bool,
    /// Of the request's body, where it has one.
    pace: Option<Pace>,
}

impl Exchange {
    pub(super) fn begin(vitals: &Rc<Vitals>, pace: Option<Pace>) -> Self {
        Self { vitals: Rc::clone(vitals), is_complete: false, pace }
    }

    /// The answer has begun.
    pub(super) fn is_answered(&self) {
        if let Some(pace) = &self.pace {
            pace.is_answered();
        }
    }

    pub(super) fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let change = if self.is_complete { u32::saturating_sub } else { u32::saturating_add };
        self.vitals.wasted.update(|wasted| change(wasted, 1));
        if let Some(pace) = &self.pace {
            pace.is_over();
        }
    }
}

/// The body of an answer; none where the answer is its head alone.
pub(super) struct Answering<B> {
    pub(super) body: Option<B>,
    pub(super) exchange: Exchange,
    pub(super) share: Rc<Share>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answering<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let frame = match &mut this.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        };
        let client = this.share.due();
        match &frame {
            // The client is to take it; hyper asks for more when it has made room for it.
            Poll::Ready(Some(Ok(_))) => client.set(this.exchange.vitals.limits.body_idle),
            // The upstream is waited for.
            Poll::Pending => client.clear(),
            Poll::Ready(None | Some(Err(_))) => this.exchange.complete(),
        }
        if this.is_end_stream() {
            this.exchange.complete();
        }
        frame.map_ok(|frame| frame.map_data(|octets| Piece::new(octets, &this.share)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
