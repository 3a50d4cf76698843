//! The body of a request: held where it is small, so that it can be sent twice, and streamed where it is not.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::provider::quota::Sending;
use crate::server::pace::{Incomplete, Paced};

/// What is held of a body.
pub(super) const MOST_HELD: usize = 1024 * 1024;

/// A body that is to be sent.
pub(super) enum Content {
    /// There is none.
    Nothing,
    /// All of it.
    Held(Bytes),
    /// More than is held; it can be sent once.
    Streamed(Box<Streamed>),
    /// It was streamed.
    Gone,
}

impl Content {
    /// Reads as much of a body as is held.
    pub(super) async fn read(mut body: Paced) -> Result<Self, Incomplete> {
        if body.is_end_stream() {
            return Ok(Self::Nothing);
        }
        let mut held = BytesMut::new();
        if body.size_hint().lower() <= MOST_HELD as u64 {
            loop {
                match body.frame().await.transpose()? {
                    Some(frame) => held.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                    None => return Ok(Self::Held(held.freeze())),
                }
                if held.len() > MOST_HELD {
                    break;
                }
            }
        }
        let first = (!held.is_empty()).then(|| held.freeze());
        Ok(Self::Streamed(Box::new(Streamed { first, rest: body, progress: Progress::default() })))
    }

    /// What is to be sent now; of what was streamed nothing is left.
    pub(super) fn send(&mut self) -> (Option<reqwest::Body>, Progress) {
        match std::mem::replace(self, Self::Gone) {
            Self::Nothing | Self::Gone => {
                *self = Self::Nothing;
                (None, Progress::default())
            }
            Self::Held(bytes) => {
                *self = Self::Held(bytes.clone());
                (Some(bytes.into()), Progress::default())
            }
            Self::Streamed(streamed) => {
                let progress = streamed.progress.clone();
                (Some(reqwest::Body::wrap(*streamed)), progress)
            }
        }
    }

    /// How it is going to be sent.
    pub(super) const fn sending(&self) -> Sending {
        match self {
            Self::Nothing | Self::Held(_) | Self::Gone => Sending::Whole,
            Self::Streamed(_) => Sending::Streamed,
        }
    }

    /// Whether it can be sent once more.
    pub(super) const fn is_there(&self) -> bool {
        match self {
            Self::Nothing | Self::Held(_) | Self::Streamed(_) => true,
            Self::Gone => false,
        }
    }
}

/// How far the sending of a body has come. Clones are the same.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    moved: Instant,
    waits_for_app: bool,
    is_broken: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { moved: Instant::now(), waits_for_app: false, is_broken: false })))
    }
}

impl Progress {
    /// Since when the vendor is waited for: to take more of the body, or to answer.
    pub(super) fn since(&self) -> Instant {
        let state = self.state();
        // Whoever does not send is waited for by the connection.
        if state.waits_for_app { Instant::now() } else { state.moved }
    }

    /// Whether the body has not come to its end, and never will.
    pub(super) fn is_broken(&self) -> bool {
        self.state().is_broken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body of which only the beginning was held.
pub(super) struct Streamed {
    first: Option<Bytes>,
    rest: Paced,
    progress: Progress,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let polled = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        };
        let mut state = self.progress.state();
        state.moved = Instant::now();
        state.waits_for_app = polled.is_pending();
        state.is_broken = matches!(polled, Poll::Ready(Some(Err(_))));
        drop(state);
        // Trailers are for one connection.
        polled.map(|polled| polled.filter(|frame| !frame.as_ref().is_ok_and(Frame::is_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, Bytes::len) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(first));
        }
        hint
    }
}
