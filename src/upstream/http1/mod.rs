//! HTTP/1.1 towards an upstream (RFC 9112): a connection that carries one exchange after the other.
//!
//! It is driven by whoever waits for the answer, in the same task: nothing is handed from one task to another, and a request
//! is written from what stays with its owner, so that it is still there should it have to be sent again. Only where an
//! answer begins before the request has ended, the rest of the request goes on in a task of its own.
//!
//! What is read is taken strictly: two programs that disagree where an answer ends are one answer apart from then on, and
//! members would see each other's pages.

mod chunked;
mod head;
mod receiving;
mod sending;
mod socket;
mod spelling;

use std::future::poll_fn;
use std::io;
use std::mem;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::task::AbortHandle;

use self::head::Head;
pub(super) use self::head::{write_line, write_request_line};
use self::receiving::Content;
use self::sending::{Sending, Unsent};
use self::socket::Socket;
pub use self::socket::Switched;
use super::body::RequestBody;
use super::dial::Stream;
use super::forward::Fate;
use super::outgoing::Outgoing;
use crate::http1::Input;
use crate::message::{Fields, Response};
use crate::turn::Turn;

/// What an upstream may send before the head of its answer has ended, interim answers included.
const MOST_HEAD: usize = 256 * 1024;
/// How long an upstream that has answered early may take nothing of the rest of the request.
const PATIENCE_WITH_REST: Duration = Duration::from_secs(30);

/// Why an answer did not come, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The connection broke.
    #[error("the connection to the upstream broke")]
    Io(#[from] io::Error),
    /// It was closed too early.
    #[error("the upstream closed the connection before its answer was complete")]
    Closed,
    /// It was given up since the request's body broke off.
    #[error("the body of the request broke off")]
    RequestBody,
    /// More than anybody needs came before its end.
    #[error("the head of the answer does not end")]
    EndlessHead,
    /// RFC 9112 §2.2 lets a recipient take a lone LF for a line end; two that do not agree on it are one answer apart.
    #[error("a line of the answer's head ends without CR (RFC 9112 §2.2)")]
    BareLf,
    /// It is no head of HTTP/1.
    #[error("what the upstream sent is not the head of an answer (RFC 9112 §4)")]
    Head(#[source] httparse::Error),
    /// The fields that say how long it is cannot be understood.
    #[error("the answer does not say how long it is in a way that can be understood (RFC 9112 §6.3)")]
    Length,
    /// A chunk is none, or a trailer section.
    #[error("the chunks of the answer are not well formed (RFC 9112 §7.1)")]
    Chunks,
}

/// A connection, for one request at a time.
pub(super) struct Connection {
    socket: Socket,
    sending: Sending,
    /// A request that has been begun is not written before the others have read.
    turn: Turn,
    input: Input,
    head: Head,
    content: Content,
    /// Something has come since the request was begun.
    heard: bool,
    /// Nothing that is known so far speaks against another request.
    is_reusable: bool,
    /// The task that writes the rest of a request that has been answered early.
    rest: Option<AbortHandle>,
    /// When it was opened, by the worker's time.
    pub(super) since: Duration,
}

impl Connection {
    /// A connection over a socket that has just been opened.
    pub(super) fn over(stream: Stream, since: Duration) -> Box<Self> {
        Box::new(Self {
            socket: Socket::new(stream),
            sending: Sending::default(),
            turn: Turn::default(),
            input: Input::default(),
            head: Head::default(),
            content: Content::Empty,
            heard: false,
            is_reusable: true,
            rest: None,
            since,
        })
    }

    /// Sends a request and waits for the head of the answer. The request stays with its owner as it was until there is one;
    /// then its room is taken, and what has not been sent of its body.
    pub(super) async fn exchange(&mut self, request: &mut Outgoing) -> Result<Response<()>, Fault> {
        self.heard = false;
        self.is_reusable = false;
        self.head = Head::default();
        self.input.be_sparing(request.traits.shares_connection);
        self.sending.begin(request);
        self.turn = Turn::default();
        let answer = poll_fn(|cx| self.poll_answer(request, cx)).await?;
        self.content = head::content(&request.method, &answer)?;
        if self.sending.is_over() {
            self.is_reusable =
                answer.status() != StatusCode::SWITCHING_PROTOCOLS && head::stays_open(&answer);
        } else if !self.sending.is_broken() {
            let body = mem::replace(&mut request.body, RequestBody::empty());
            let sending = mem::take(&mut self.sending);
            let task =
                tokio::task::spawn_local(sending.finish(self.socket.clone(), body, PATIENCE_WITH_REST));
            self.rest = Some(task.abort_handle());
        }
        Ok(answer)
    }

    /// Writes on, and reads on.
    fn poll_answer(
        &mut self,
        request: &mut Outgoing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, Fault>> {
        ready!(self.turn.poll(cx));
        let unsent = match self.sending.poll(&self.socket, &mut request.body, cx) {
            Poll::Ready(Ok(())) | Poll::Pending => None,
            Poll::Ready(Err(Unsent::Body)) => return Poll::Ready(Err(Fault::RequestBody)),
            // An upstream may refuse a request, and close, before it has read all of it.
            Poll::Ready(Err(Unsent::Io(error))) => Some(error),
        };
        loop {
            if let Some(answer) = self.head.read(self.input.bytes(), &mut request.room)? {
                return Poll::Ready(Ok(answer));
            }
            match self.input.poll_fill(|bytes| self.socket.poll_read(bytes, cx)) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Fault::Closed)),
                Poll::Ready(Ok(_)) => self.heard = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    return unsent.map_or(Poll::Pending, |error| Poll::Ready(Err(error.into())));
                }
            }
        }
    }

    /// The next part of the answer's body.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.content.poll_frame(&mut self.input, &self.socket, cx)
    }

    /// Whether all of the answer has been read.
    pub(super) const fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Empty)
    }

    /// What is still to come of the answer's body.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }

    /// What became of the request, where no answer came.
    pub(super) const fn fate(&self) -> Fate {
        if self.heard {
            Fate::Refused
        } else if self.sending.has_written() {
            Fate::Unknown
        } else {
            Fate::Unprocessed
        }
    }

    /// Whether nothing of the request's body has been taken.
    pub(super) const fn has_body_untouched(&self) -> bool {
        !self.sending.has_touched_body()
    }

    /// It carries no other request.
    pub(super) const fn retire(&mut self) {
        self.is_reusable = false;
    }

    /// Whether nothing of the last exchange is left in it, and another may begin.
    pub(super) fn is_reusable(&self) -> bool {
        self.is_reusable && self.is_end_stream() && self.input.is_empty()
    }

    /// Keeps no more memory than it needs while it idles.
    pub(super) fn idles(&mut self) {
        self.input.shrink();
    }

    /// Whether it is as quiet as it was left: whatever an upstream says unasked, nothing more is asked over it.
    pub(super) fn is_quiet(&self) -> bool {
        self.socket.is_quiet()
    }

    /// The connection as it is after 101: no more HTTP.
    pub(super) fn switch(&mut self) -> Switched {
        Switched::new(self.socket.clone(), mem::take(&mut self.input).into_rest())
    }
}

/// Where nothing is under way it ends in order. A client whose request was answered early may still send the rest of it, or
/// it could send no other; but not where nobody takes the answer.
impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take_if(|_| !matches!(self.content, Content::Empty)) {
            rest.abort();
        }
        if self.is_reusable() {
            self.socket.close();
        }
    }
}

/// Methods whose bodies upstreams are known to leave unread (RFC 9110 §9.3): what they leave would be the next request.
pub(super) fn has_no_use_for_a_body(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS)
}

/// Whether an answer that has no body may be followed by one all the same, by mistake: it would answer the next request.
pub(super) fn may_be_followed_by_a_body(method: &Method, status: StatusCode, fields: &Fields) -> bool {
    let announces_one = || fields.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    method == Method::HEAD
        || (matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) && announces_one())
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;
    use tokio::task::LocalSet;

    use super::super::outgoing;
    use super::*;

    fn post(body: Bytes) -> Outgoing {
        let head = outgoing::Head::undecided(PathAndQuery::from_static("/"));
        let (body, traits) = (RequestBody::full(body), outgoing::Traits::default());
        Outgoing::new(Method::POST, head, body, None, traits, Fields::new())
    }

    #[tokio::test]
    async fn an_upstream_that_has_answered_and_takes_nothing_of_the_rest_is_given_up() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let socket = Socket::new(Stream::Unix(ours));
        let body = Bytes::from(vec![b'x'; 16 * 1024 * 1024]);
        let mut request = post(body);
        let mut sending = Sending::default();
        sending.begin(&request);

        let body = mem::replace(&mut request.body, RequestBody::empty());
        sending.finish(socket.clone(), body, Duration::from_millis(1)).await;

        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(socket.poll_flush(&mut cx), Poll::Ready(Err(_))));
    }

    /// A task that waits for a socket which takes nothing would wait for ever, and keep socket and body.
    #[tokio::test]
    async fn nobody_goes_on_with_a_request_that_the_upstream_has_answered_and_stopped_reading() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let theirs = theirs.into_std().unwrap();
        theirs.shutdown(std::net::Shutdown::Read).unwrap();
        ours.readable().await.unwrap();
        let mut connection = Connection::over(Stream::Unix(ours), Duration::ZERO);
        let mut request = post(Bytes::from_static(b"form"));

        let answer = LocalSet::new().run_until(connection.exchange(&mut request)).await.unwrap();

        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(connection.rest.is_none());
        assert!(!connection.is_reusable());
    }
}
