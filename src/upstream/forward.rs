//! One request on its way to a target, and on to another where that is allowed.
//!
//! A request of which not one byte was sent may go elsewhere, whatever it is; so may one without a body that an upstream
//! says it has not looked at (RFC 9113 §8.7). Any other that was sent is repeated once at the most, and only if it means
//! the same twice (RFC 9110 §9.2.2), has no body, and has not been answered with a single byte. So a POST that may have been
//! read is never sent again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::{Method, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;

use super::body::{AnswerBody, Progress, RequestBody};
use super::dial::Wanted;
use super::pool::{Carrier, Lease, Pool, Tried};
use super::{UpstreamError, fields, http1, http2};
use crate::deadline::Watch;

/// What has to be remembered of a request once it has gone.
struct Sent {
    method: Method,
    has_body: bool,
    /// It authenticates the connection, which must not be shared then.
    binds: bool,
    wanted: Wanted,
    progress: Rc<Progress>,
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
    fn new(request: &Request<RequestBody>) -> Self {
        let binds = fields::authenticates_connection(request.headers());
        // HTTP/2 knows neither upgrades nor connections that belong to one member.
        let needs_its_own = binds || request.headers().contains_key(UPGRADE);
        Self {
            method: request.method().clone(),
            has_body: !request.body().is_end_stream(),
            binds,
            wanted: if needs_its_own { Wanted::Http1 } else { Wanted::AsSettled },
            progress: request.body().progress(),
        }
    }

    /// Whether it can be written twice and means the same twice; or nothing at all (RFC 9110 §9.2.1), where it would go to
    /// the same target.
    fn may_be_repeated(&self, elsewhere: bool) -> bool {
        let is_harmless = if elsewhere { self.method.is_idempotent() } else { self.method.is_safe() };
        !self.has_body && is_harmless
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
        let (mut may_reuse, mut has_been_repeated) = (true, false);
        let mut tried = Tried::default();
        loop {
            let mut lease = self.choose(&tried);
            let condition = self.upstream.condition(lease.index);
            let ready = if may_reuse { lease.ready(sent.wanted).await } else { None };
            let was_ready = ready.is_some();
            let mut carrier = match ready {
                Some(carrier) => carrier,
                // Rare, and large: not to be moved about with every request.
                None => match Box::pin(lease.open(sent.wanted)).await {
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
            let copy = (!has_been_repeated && self.may_want_again(&sent, &carrier, was_ready))
                .then(|| Repeat::of(&request));
            if sent.has_body {
                request.body_mut().due_at_end(watch.upstream.clone(), timeouts.first_byte);
                watch.upstream.set(timeouts.idle);
            } else {
                watch.upstream.set(timeouts.first_byte);
            }
            let outcome = match &mut carrier {
                Carrier::Own(connection) => {
                    connection.line.begin();
                    let exchange = connection.sender.try_send_request(request);
                    in_time(watch, &sent.progress, timeouts.idle, pin!(exchange)).await
                }
                Carrier::Stream(stream) => {
                    http2::write_as_http2(&mut request, self.upstream.target(lease.index).is_secure());
                    let exchange = stream.connection.send(request);
                    in_time(watch, &sent.progress, timeouts.idle, pin!(exchange)).await
                }
            };
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
                    lease.carrier = (!is_in_doubt(&sent, &carrier, &answer)).then_some(carrier);
                    let (due, trailers) = (watch.upstream.clone(), Rc::clone(&self.trailers));
                    return Ok(
                        answer.map(|body| AnswerBody::new(body, Some(lease), due, timeouts.idle, trailers))
                    );
                }
                Some(Err(error)) => error,
            };

            let unsent = error.take_message();
            let was_sent = unsent.is_none();
            let error = error.into_error();
            let fate = if was_sent { carrier.fate_after(&error) } else { Fate::Unprocessed };
            let again = match fate {
                Fate::Unprocessed => unsent.or_else(|| copy?.into_request()),
                Fate::Unknown if sent.may_be_repeated(self.has_a_choice()) => {
                    copy.and_then(Repeat::into_request)
                }
                Fate::Unknown | Fate::Refused => None,
            };
            let error = sent.failed(&lease, error);
            // A connection that was there already may have been closed just now; that says nothing of its target.
            let is_stale = was_ready && fate != Fate::Refused;
            if !is_stale && !matches!(error, UpstreamError::RequestBody(_)) {
                self.upstream.has_failed(lease.index);
            }
            // What was sent and came to nothing goes elsewhere, where there is an elsewhere.
            if !is_stale || (was_sent && self.has_a_choice()) {
                tried.add(lease.index);
            }
            match again {
                Some(mut again) if tried.leaves_one_of(self) => {
                    condition.count_repeat();
                    sent.progress.answered.set(false);
                    http2::write_as_http1(&mut again);
                    request = again;
                    may_reuse = false;
                    has_been_repeated |= was_sent;
                }
                Some(_) | None => return Err(error),
            }
        }
    }

    /// Whether a copy of a request may be of use, should it come to nothing.
    fn may_want_again(&self, sent: &Sent, carrier: &Carrier, was_ready: bool) -> bool {
        match carrier {
            Carrier::Own(_) => {
                let elsewhere = self.has_a_choice();
                sent.may_be_repeated(elsewhere) && (was_ready || elsewhere)
            }
            // One that the upstream has not looked at may be sent again even if it would mean something else twice.
            Carrier::Stream(_) => !sent.has_body,
        }
    }
}

impl Carrier {
    /// What became of a request that it has carried. Nothing more goes over it.
    fn fate_after(&self, error: &hyper::Error) -> Fate {
        match self {
            Self::Own(connection) if connection.line.has_heard() => Fate::Refused,
            Self::Own(_) => Fate::Unknown,
            Self::Stream(stream) => {
                let fate = http2::fate(error);
                if fate != Fate::Refused {
                    stream.connection.retire();
                }
                fate
            }
        }
    }
}

/// Whether something may be left in a connection after an answer: of a body that is still being written or was perhaps
/// never read, which would be the next request, or of one that nobody announced, which would be the next answer.
fn is_in_doubt(sent: &Sent, carrier: &Carrier, answer: &Response<Incoming>) -> bool {
    let Carrier::Own(connection) = carrier else { return false };
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

/// What is needed to send a request once more; only for requests without a body.
///
/// Nearly all copies are thrown away. So the fields are written one behind the other into one piece of memory: a clone of the
/// map would allocate for itself, and again for values that nobody has shared before.
struct Repeat {
    method: Method,
    uri: Uri,
    /// Name, colon, value, line feed. No name holds a colon, and no value a line feed (RFC 9110 §5.5).
    fields: Vec<u8>,
}

impl Repeat {
    fn of(request: &Request<RequestBody>) -> Self {
        let mut fields = Vec::with_capacity(2048);
        for (name, value) in request.headers() {
            fields.extend_from_slice(name.as_str().as_bytes());
            fields.push(b':');
            fields.extend_from_slice(value.as_bytes());
            fields.push(b'\n');
        }
        Self { method: request.method().clone(), uri: request.uri().clone(), fields }
    }

    /// The request once more: with all of its fields, or not at all.
    fn into_request(self) -> Option<Request<RequestBody>> {
        let mut again = Request::new(RequestBody::empty());
        (*again.method_mut(), *again.uri_mut()) = (self.method, self.uri);
        for line in self.fields.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n")?;
            let (name, value) = line.split_at(memchr::memchr(b':', line)?);
            let name = HeaderName::from_bytes(name).ok()?;
            again.headers_mut().append(name, HeaderValue::from_bytes(&value[1..]).ok()?);
        }
        Some(again)
    }
}

/// The outcome, or nothing once the upstream's deadline has passed: it has not answered, or has taken nothing of the
/// request's body for `idle`. Giving up drops the connection, or resets the stream.
async fn in_time<T>(
    watch: &Watch,
    progress: &Progress,
    idle: Duration,
    mut exchange: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        if !watch.upstream.is_past() {
            return Poll::Pending;
        }
        if !progress.complete.get() && progress.goes_on() {
            watch.upstream.set(idle);
            return Poll::Pending;
        }
        Poll::Ready(None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_request() {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = Method::OPTIONS;
        *request.uri_mut() = Uri::from_static("/classes?week=2");
        for (name, value) in
            [("cookie", "a=1; b=2"), ("accept", "*/*"), ("cookie", "c:d=3\t\u{fc}"), ("x-empty", "")]
        {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        let again = Repeat::of(&request).into_request().unwrap();
        assert_eq!(again.method(), request.method());
        assert_eq!(again.uri(), request.uri());
        assert_eq!(again.headers(), request.headers());
    }
}
