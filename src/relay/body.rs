//! The body of an answer: ours, or the vendor's as it comes, with the record of its request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::record::Record;
use super::sieve::{Found, Sieve};
use crate::provider::quota::Call;

/// How long the vendor may be silent in the middle of an answer, as any upstream.
const IDLE: Duration = Duration::from_secs(30);

/// The body of an answer. It is dropped when it has been sent, or when nobody is there any more to send it to.
pub struct Body {
    source: Source,
    record: Record,
}

/// Where it comes from.
pub(super) enum Source {
    /// Ours, whole; nothing once it has been taken.
    Own(Option<Bytes>),
    /// The vendor's.
    Vendor(VendorBody),
}

/// A vendor's body, for whose end its call has a place.
pub(super) struct VendorBody {
    body: reqwest::Body,
    sieve: Sieve,
    /// Set while the vendor is waited for.
    patience: Option<Pin<Box<Sleep>>>,
    _call: Call,
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The vendor has broken it off.
    #[error("the vendor's answer broke off")]
    Vendor(#[source] reqwest::Error),
    /// It says nothing more.
    #[error("the vendor's answer does not go on")]
    Silent,
    /// It holds the token that was attached to the request.
    #[error("the vendor's answer holds the token, and goes no further")]
    Token,
}

impl Source {
    /// Whether there is nothing more of it.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Vendor(body) => body.body.is_end_stream() && !body.sieve.holds(),
        }
    }
}

impl Body {
    pub(super) const fn new(source: Source, record: Record) -> Self {
        Self { source, record }
    }
}

impl VendorBody {
    /// What the sieve finds does not pass.
    pub(super) const fn new(body: reqwest::Body, sieve: Sieve, call: Call) -> Self {
        Self { body, sieve, patience: None, _call: call }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.patience = None;
                match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(self.sieve.pass(data).map_err(|Found| Broken::Token))),
                    // What stands in trailers nobody has asked for.
                    Err(_) => Poll::Ready(self.rest()),
                }
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Broken::Vendor(error.without_url())))),
            Poll::Ready(None) => Poll::Ready(self.rest()),
            Poll::Pending => {
                let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(IDLE)));
                ready!(patience.as_mut().poll(cx));
                Poll::Ready(Some(Err(Broken::Silent)))
            }
        }
    }

    /// The end of it, which could have been the beginning of a token.
    fn rest(&mut self) -> Option<Result<Bytes, Broken>> {
        Some(self.sieve.rest()).filter(|rest| !rest.is_empty()).map(Ok)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        let polled = match &mut this.source {
            Source::Own(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Source::Vendor(body) => body.poll_data(cx),
        };
        match &polled {
            Poll::Ready(Some(Ok(data))) => {
                this.record.sent(data.len());
                if this.is_end_stream() {
                    this.record.is_complete();
                }
            }
            Poll::Ready(Some(Err(error))) => this.record.breaks_off(error),
            Poll::Ready(None) => this.record.is_complete(),
            Poll::Pending => {}
        }
        polled.map(|polled| polled.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Vendor(body) => body.body.size_hint(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}
