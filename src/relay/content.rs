//! The body of a request: held where it is small, so that it can be sent twice, and streamed where it is not.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::provider::quota::Sending;
use crate::server::incoming::BrokenOff;
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
                (Some(reqwest::Body::wrap(Handed::from(streamed))), progress)
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

impl Streamed {
    /// The next piece; nothing at the end. Trailers are for one connection.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Incomplete>>> {
        let polled = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => {
                Pin::new(&mut self.rest).poll_frame(cx).map_ok(|frame| frame.into_data().unwrap_or_default())
            }
        };
        let mut state = self.progress.state();
        state.moved = Instant::now();
        state.waits_for_app = polled.is_pending();
        state.is_broken = matches!(polled, Poll::Ready(Some(Err(_))));
        polled
    }

    /// Reads piece after piece, each when the one before has been taken.
    async fn hand_on(mut self: Box<Self>, pieces: mpsc::Sender<Handing>) {
        while let Ok(place) = pieces.reserve().await {
            let piece = tokio::select! {
                piece = poll_fn(|cx| self.poll_piece(cx)) => piece,
                () = pieces.closed() => return,
            };
            let is_last = !matches!(piece, Some(Ok(_)));
            place.send(piece);
            if is_last {
                return;
            }
        }
    }
}

/// A piece, or the end.
type Handing = Option<Result<Bytes, Incomplete>>;

/// A body that is read by the task of its connection, and sent by one of the vendor's client, which may be on any thread.
struct Handed {
    pieces: mpsc::Receiver<Handing>,
    length: SizeHint,
}

impl From<Box<Streamed>> for Handed {
    fn from(streamed: Box<Streamed>) -> Self {
        let first = streamed.first.as_ref().map_or(0, Bytes::len) as u64;
        let rest = streamed.rest.size_hint();
        let mut length = SizeHint::new();
        length.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper() {
            length.set_upper(upper.saturating_add(first));
        }
        let (sender, pieces) = mpsc::channel(1);
        tokio::task::spawn_local(streamed.hand_on(sender));
        Self { pieces, length }
    }
}

impl Body for Handed {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let piece = ready!(self.pieces.poll_recv(cx));
        // Only who says so has come to the end.
        let piece = piece.unwrap_or(Some(Err(Incomplete::Broken(BrokenOff::Ended))));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.length
    }
}
