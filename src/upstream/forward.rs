//! One request on its way to a target, and on to another where that is allowed.
//!
//! A request of which not one byte was sent may go elsewhere, whatever it is. One that was sent is repeated once at the
//! most, and only if it means the same twice (RFC 9110 §9.2.2), has no body, and has not been answered with a single byte.
//! So a POST that may have been read is never sent again.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;

use super::body::{AnswerBody, Progress, RequestBody};
use super::pool::{Lease, Pool, Tried};
use super::{UpstreamError, fields, http1};
use crate::deadline::Watch;

/// What has to be remembered of a request once it has gone.
struct Sent {
    method: Method,
    has_body: bool,
    /// It authenticates the connection.
    binds: bool,
    progress: Rc<Progress>,
}

impl Sent {
    fn new(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            has_body: !request.body().is_end_stream(),
            binds: fields::authenticates_connection(request.headers()),
            progress: request.body().progress(),
        }
    }

    /// Whether it means the same twice and can be written twice.
    fn may_be_repeated(&self) -> bool {
        !self.has_body && self.method.is_idempotent()
    }

    fn failed(&self, lease: &Lease, error: hyper::Error) -> UpstreamError {
        match self.progress.broken.take() {
            Some(cause) => UpstreamError::RequestBody(cause),
            None => UpstreamError::Answer { address: lease.address(), source: error },
        }
    }
}

impl Pool {
    /// Sends a request and waits for the head of the answer; its body streams.
    ///
    /// # Errors
    /// [`UpstreamError`] where there is no answer.
    pub async fn forward(
        self: &Rc<Self>,
        mut request: Request<RequestBody>,
        watch: &Rc<Watch>,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        watch.upstream.clear();
        let timeouts = self.upstream.settings().timeouts;
        let sent = Sent::new(&request);
        let mut may_repeat = sent.may_be_repeated();
        let mut may_reuse = true;
        let mut tried = Tried::default();
        loop {
            let mut lease = self.choose(&tried);
            let condition = self.upstream.condition(lease.index);
            let pooled = if may_reuse { lease.pooled().await } else { None };
            let is_pooled = pooled.is_some();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => match lease.open().await {
                    Ok(connection) => connection,
                    Err(source) => {
                        self.upstream.has_failed(lease.index);
                        tried.add(lease.index);
                        if tried.leaves_one_of(self) {
                            condition.count_repeat();
                            continue;
                        }
                        return Err(UpstreamError::Connect { address: lease.address(), source });
                    }
                },
            };
            // A connection from the pool may turn out to have been closed just now; that says nothing of its target.
            let copy = (may_repeat && (is_pooled || self.has_a_choice())).then(|| repeated(&request));
            if sent.has_body {
                request.body_mut().due_at_end(watch.upstream.clone(), timeouts.first_byte);
            } else {
                watch.upstream.set(timeouts.first_byte);
            }
            connection.line.begin();
            let outcome = in_time(watch, connection.sender.try_send_request(request)).await;
            sent.progress.answered.set(true);
            watch.upstream.clear();
            let mut error = match outcome {
                None => {
                    self.upstream.has_failed(lease.index);
                    return Err(UpstreamError::Silent { address: lease.address() });
                }
                Some(Ok(answer)) => {
                    self.upstream.has_answered(lease.index);
                    if fields::is_ambiguous(answer.headers()) {
                        return Err(UpstreamError::Ambiguous { address: lease.address() });
                    }
                    if !is_in_doubt(&sent, &connection, &answer) {
                        lease.connection = Some(connection);
                    }
                    let (due, trailers) = (watch.upstream.clone(), Rc::clone(&self.trailers));
                    return Ok(
                        answer.map(|body| AnswerBody::new(body, Some(lease), due, timeouts.idle, trailers))
                    );
                }
                Some(Err(error)) => error,
            };

            let has_heard = connection.line.has_heard();
            let unsent = error.take_message();
            let was_sent = unsent.is_none();
            let again = unsent.or(copy.filter(|_| !has_heard));
            let error = sent.failed(&lease, error.into_error());
            let is_stale = is_pooled && !has_heard;
            if !is_stale && !matches!(error, UpstreamError::RequestBody(_)) {
                self.upstream.has_failed(lease.index);
            }
            // What was sent and came to nothing goes elsewhere, where there is an elsewhere.
            if !is_stale || (was_sent && self.has_a_choice()) {
                tried.add(lease.index);
            }
            match again {
                Some(again) if tried.leaves_one_of(self) => {
                    condition.count_repeat();
                    sent.progress.answered.set(false);
                    (may_reuse, may_repeat) = (false, may_repeat && !was_sent);
                    request = again;
                }
                Some(_) | None => return Err(error),
            }
        }
    }
}

/// Whether something may be left in a connection after an answer: of a body that is still being written or was perhaps
/// never read, which would be the next request, or of one that nobody announced, which would be the next answer.
fn is_in_doubt(sent: &Sent, connection: &http1::Connection, answer: &Response<Incoming>) -> bool {
    let may_be_unread = || {
        !sent.progress.complete.get()
            || connection.line.is_blocked()
            || http1::has_no_use_for_a_body(&sent.method)
    };
    (sent.has_body && may_be_unread())
        || sent.binds
        || fields::authenticates_connection(answer.headers())
        || http1::may_be_followed_by_a_body(&sent.method, answer.status(), answer.headers())
}

/// The same request once more; only for requests without a body.
fn repeated(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut again = Request::new(RequestBody::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    again
}

/// The outcome, or nothing once the upstream's deadline has passed. Giving up drops the connection.
async fn in_time<T>(watch: &Watch, exchange: impl Future<Output = T>) -> Option<T> {
    let mut exchange = std::pin::pin!(exchange);
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        if watch.upstream.is_past() { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}
