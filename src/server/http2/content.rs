//! The body of a request that comes over a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};

use crate::message::Fields;

/// What is read from a stream. Where it is shorter or longer than announced, h2 breaks it off (RFC 9113 §8.1.1). A client that
/// resets its stream has broken it off, for whatever reason: only a server may stop a body without finding fault with it.
pub(in crate::server) struct Content {
    stream: RecvStream,
    /// Octets that are still to come, where their number was announced.
    left: Option<u64>,
    /// Nothing is to come but trailers.
    is_read: bool,
}

impl Content {
    /// The body of a request with these fields.
    pub(super) fn new(stream: RecvStream, fields: &Fields) -> Self {
        let mut lengths = fields.get_all(CONTENT_LENGTH);
        let length = lengths.next().and_then(|length| length.to_str().ok()?.parse().ok());
        Self { stream, left: length.filter(|_| lengths.next().is_none()), is_read: false }
    }

    /// Whoever has read a piece has made room for another.
    fn make_room(&mut self, octets: usize) {
        // It can only fail for more than has come.
        let _ = self.stream.flow_control().release_capacity(octets);
        self.left = self.left.map(|left| left.saturating_sub(octets as u64));
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.is_read {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(octets)) => {
                    self.make_room(octets.len());
                    return Poll::Ready(Some(Ok(Frame::data(octets))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.is_read = true,
            }
        }
        self.stream.poll_trailers(cx).map(|trailers| Some(trailers.transpose()?.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
