//! One request on its way to a target, and on to another where that is allowed.
//!
//! A request of which not one byte was sent may go elsewhere, whatever it is; so may one without a body that an upstream
//! says it has not looked at (RFC 9113 §8.7). Any other that was sent is repeated once at the most, and only if it means
//! the same twice (RFC 9110 §9.2.2), has no body, and has not been answered with a single byte. So a POST that may have been
//! read is never sent again.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::{Method, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::body::{AnswerBody, Progress};
use super::dial::Wanted;
use super::outgoing::{Outgoing, Traits};
use super::pool::{Carrier, Lease, Pool, Tried};
use super::{Fault, UpstreamError, fields, http1, http2};
use crate::aside::aside;
use crate::deadline::Watch;
use crate::message::Response;

/// What has to be remembered of a request once it has gone.
struct Sent {
    method: Method,
    has_body: bool,
    /// It authenticates the connection, which must not be shared then.
    binds: bool,
    wanted: Wanted,
    /// Of its body, where there is one.
    progress: Option<Rc<Progress>>,
}

/// What became of a request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not sent, or the upstream says that it has not looked at it: it may be sent again, whatever it is.
    Unprocessed,
    /// The connection broke before anything came back. Nobody knows how far the request has come.
    Unknown,
    /// Something came back, and it was no answer.
    Refused,
}

impl Sent {
    fn new(request: &Outgoing) -> Self {
        let Traits { binds, upgrades, .. } = request.traits;
        Self {
            method: request.method.clone(),
            has_body: !request.body.is_end_stream(),
            binds,
            // HTTP/2 knows neither upgrades nor connections that belong to one member.
            wanted: if binds || upgrades { Wanted::Http1 } else { Wanted::AsSettled },
            progress: request.body.progress(),
        }
    }

    /// Whether it can be written twice and means the same twice; or nothing at all (RFC 9110 §9.2.1), where it would go to
    /// the same target.
    fn may_be_repeated(&self, elsewhere: bool) -> bool {
        let is_harmless = if elsewhere { self.method.is_idempotent() } else { self.method.is_safe() };
        !self.has_body && is_harmless
    }

    /// There is an answer, or none is waited for any more; or it is asked once more.
    fn is_answered(&self, is_answered: bool) {
        if let Some(progress) = &self.progress {
            progress.answered.set(is_answered);
        }
    }

    fn failed(&self, lease: &Lease, source: Fault) -> UpstreamError {
        match self.progress.as_ref().and_then(|progress| progress.broken.take()) {
            Some(cause) => UpstreamError::RequestBody(cause),
            None => UpstreamError::Answer { address: lease.address(), source },
        }
    }
}

/// A request that was not answered.
struct Unanswered {
    fault: Fault,
    fate: Fate,
    /// Some of it was sent.
    was_sent: bool,
    /// It is as it was, and could be sent again.
    is_intact: bool,
}

impl Pool {
    /// Sends a request and waits for the head of the answer; its body streams. The body of the request is taken. `target` is
    /// told where the request went, in the order of [`super::Upstream::targets`], also if nobody waits for it to the end.
    ///
    /// # Errors
    /// [`UpstreamError`] where there is no answer.
    pub async fn forward(
        self: &Rc<Self>,
        request: &mut Outgoing,
        watch: &Rc<Watch>,
        target: &Cell<Option<usize>>,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        watch.upstream.clear();
        if self.is_full() {
            return Err(UpstreamError::Full);
        }
        let timeouts = self.upstream.settings().timeouts;
        let sent = Sent::new(request);
        let (mut may_reuse, mut may_be_repeated) = (true, sent.may_be_repeated(self.has_a_choice()));
        let mut tried = Tried::default();
        loop {
            let mut lease = self.choose(&tried);
            target.set(Some(lease.index));
            let condition = self.upstream.condition(lease.index);
            let ready = if may_reuse { lease.ready(sent.wanted) } else { None };
            let was_ready = ready.is_some();
            let carrier = match ready {
                Some(carrier) => carrier,
                None => match aside(|| lease.open(sent.wanted)).await {
                    Ok(carrier) => carrier,
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
            if sent.has_body {
                request.body.due_at_end(watch.upstream.clone(), timeouts.first_byte);
                watch.upstream.set(timeouts.idle);
            } else {
                watch.upstream.set(timeouts.first_byte);
            }
            let outcome = match lease.carrier.insert(carrier) {
                Carrier::Own(connection) => {
                    let exchange = pin!(over_http1(connection, request));
                    in_time(watch, sent.progress.as_deref(), timeouts.idle, exchange).await
                }
                Carrier::Stream(stream) => {
                    let is_secure = self.upstream.target(lease.index).is_secure();
                    let mut exchange = aside(|| over_http2(stream, is_secure, request, timeouts.idle));
                    in_time(watch, sent.progress.as_deref(), timeouts.idle, exchange.as_mut()).await
                }
            };
            sent.is_answered(true);
            watch.upstream.clear();
            let Some(outcome) = outcome else {
                self.upstream.has_failed(lease.index);
                return Err(UpstreamError::Silent { address: lease.address() });
            };
            let Unanswered { fault, fate, was_sent, is_intact } = match outcome {
                Ok(answer) => {
                    self.upstream.has_answered(lease.index);
                    if fields::is_ambiguous(answer.headers()) {
                        return Err(UpstreamError::Ambiguous { address: lease.address() });
                    }
                    if let Some(Carrier::Own(connection)) = &mut lease.carrier
                        && is_in_doubt(&sent, &answer)
                    {
                        connection.retire();
                    }
                    let (due, trailers) = (watch.upstream.clone(), Rc::clone(&self.trailers));
                    let mut answer = answer.map(|stream| {
                        AnswerBody::new(stream, lease, due, timeouts.idle, trailers, !sent.has_body)
                    });
                    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                        answer.body_mut().settle();
                    }
                    return Ok(answer);
                }
                Err(unanswered) => unanswered,
            };

            let again = is_intact
                && match fate {
                    Fate::Unprocessed => !was_sent || !sent.has_body,
                    // On another connection to the same target only if this one may have been closed just before.
                    Fate::Unknown => may_be_repeated && (was_ready || self.has_a_choice()),
                    Fate::Refused => false,
                };
            let error = sent.failed(&lease, fault);
            // A connection that was there already may have been closed just now; that says nothing of its target.
            let is_stale = was_ready && fate != Fate::Refused;
            if !is_stale && !matches!(error, UpstreamError::RequestBody(_)) {
                self.upstream.has_failed(lease.index);
            }
            // What was sent and came to nothing goes elsewhere, where there is an elsewhere.
            if !is_stale || (was_sent && self.has_a_choice()) {
                tried.add(lease.index);
            }
            if !again || !tried.leaves_one_of(self) {
                return Err(error);
            }
            condition.count_repeat();
            sent.is_answered(false);
            (may_reuse, may_be_repeated) = (false, may_be_repeated && !was_sent);
        }
    }
}

async fn over_http1(
    connection: &mut http1::Connection,
    request: &mut Outgoing,
) -> Result<Response<Option<Incoming>>, Unanswered> {
    match connection.exchange(request).await {
        Ok(answer) => Ok(answer.map(|()| None)),
        Err(fault) => {
            let fate = connection.fate();
            let is_intact = connection.has_body_untouched();
            Err(Unanswered { fault: fault.into(), fate, was_sent: fate != Fate::Unprocessed, is_intact })
        }
    }
}

/// hyper takes the request; so a copy stays behind, where there is no body that could not be copied.
async fn over_http2(
    stream: &http2::Exchange,
    is_secure: bool,
    request: &mut Outgoing,
    patience: Duration,
) -> Result<Response<Option<Incoming>>, Unanswered> {
    let copy = request.copy();
    let mut taken = request.take();
    http2::write_as_http2(&mut taken, is_secure);
    let mut error = match stream.send(taken, patience).await {
        Ok(answer) => return Ok(answer.map(Some).into()),
        Err(error) => error,
    };
    let unsent = error.take_message().map(|unsent| {
        let mut unsent = unsent.map(|sent| sent.body);
        http2::write_as_http1(&mut unsent);
        unsent
    });
    let was_sent = unsent.is_none();
    let error = error.into_error();
    let fate = if was_sent { stream.fate_after(&error) } else { Fate::Unprocessed };
    let again = unsent.or(copy);
    let is_intact = again.is_some();
    if let Some(again) = again {
        request.put_back(again);
    }
    Err(Unanswered { fault: error.into(), fate, was_sent, is_intact })
}

/// Whether something may be left in a connection after an answer: of a body that was perhaps never read, which would be the
/// next request, or of one that nobody announced, which would be the next answer.
fn is_in_doubt(sent: &Sent, answer: &Response<Option<Incoming>>) -> bool {
    (sent.has_body && http1::has_no_use_for_a_body(&sent.method))
        || sent.binds
        || fields::authenticates_connection(answer.headers())
        || http1::may_be_followed_by_a_body(&sent.method, answer.status(), answer.headers())
}

/// The outcome, or nothing once the upstream's deadline has passed: it has not answered, or has taken nothing of the
/// request's body for `idle`. Giving up drops the connection, or resets the stream.
async fn in_time<T>(
    watch: &Watch,
    progress: Option<&Progress>,
    idle: Duration,
    mut exchange: Pin<&mut (impl Future<Output = T> + ?Sized)>,
) -> Option<T> {
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        if !watch.upstream.is_past() {
            return Poll::Pending;
        }
        if progress.is_some_and(|progress| !progress.complete.get() && progress.goes_on()) {
            watch.upstream.set(idle);
            return Poll::Pending;
        }
        Poll::Ready(None)
    })
    .await
}
