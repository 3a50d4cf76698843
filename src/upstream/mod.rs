//! Upstreams: a request goes to the legacy app, the answer streams back. Nothing here knows who the member is.
//!
//! Each worker has a pool of its own. A connection goes back to its pool when the answer has been read to its end, the
//! request had been written to its end before, and nothing about either makes it doubtful where one message ends and the
//! next begins; otherwise it is dropped, and with it whatever might still be in it. The connection itself is driven by a
//! task of its own, so that an upstream's close is seen while it idles.

pub mod body;
pub mod fields;
mod socket;
pub mod upgrade;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::deadline::{Ticker, Watch};
use body::{AnswerBody, Progress, RequestBody};
use socket::{Line, Overheard};

/// A connection is not used again when it has idled for so long; most upstreams close theirs later than this.
const IDLE: Duration = Duration::from_secs(15);
/// How often those are closed that have idled for too long.
const SWEEP: Duration = Duration::from_secs(5);
/// Idle connections a worker keeps for one upstream.
const MOST_IDLE: usize = 256;

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// From the end of the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two reads of an answer.
    pub idle: Duration,
}

/// Where a site's app is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It could not be reached.
    #[error("cannot connect to the upstream at {address}")]
    Connect {
        /// Where it should have been.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// It was reached and said nothing in time.
    #[error("the upstream at {address} did not answer in time")]
    Silent {
        /// Where it is.
        address: String,
    },
    /// The body of the request broke off.
    #[error("the body of the request broke off")]
    RequestBody(#[source] hyper::Error),
    /// It answered with something that is no answer, or closed the connection.
    #[error("the upstream at {address} gave no proper answer")]
    Answer {
        /// Where it is.
        address: String,
        /// What was wrong.
        source: hyper::Error,
    },
    /// It answered in a way that two readers would cut into messages differently (RFC 9112 §6.3).
    #[error("the upstream at {address} gave an answer whose length is ambiguous")]
    Ambiguous {
        /// Where it is.
        address: String,
    },
}

/// Says whether a trailer of an answer may go to the client.
pub type TrailerFilter = Rc<dyn Fn(&HeaderName) -> bool>;

/// One worker's connections to one upstream.
pub struct Pool {
    settings: Settings,
    /// In the order in which they became idle.
    idle: RefCell<Vec<Idle>>,
    ticker: Ticker,
    trailers: TrailerFilter,
}

struct Connection {
    sender: SendRequest<RequestBody>,
    line: Arc<Line>,
}

struct Idle {
    connection: Connection,
    since: Duration,
}

impl Pool {
    /// A pool without connections. It is to be made on the worker that uses it, for it closes what idles too long.
    #[must_use]
    pub fn new(settings: Settings, ticker: &Ticker, trailers: TrailerFilter) -> Rc<Self> {
        let pool = Rc::new(Self { settings, idle: RefCell::default(), ticker: ticker.clone(), trailers });
        tokio::task::spawn_local(sweep(Rc::downgrade(&pool)));
        pool
    }

    /// Sends a request and waits for the head of the answer; its body streams.
    ///
    /// A connection from the pool may turn out to have been closed just now. Then a request of which not one byte was
    /// sent goes over a new one, once; so does one that is safe (RFC 9110 §9.2.1), has no body, and has not been answered
    /// with a single byte.
    ///
    /// # Errors
    /// [`UpstreamError`] where there is no answer.
    pub async fn forward(
        self: &Rc<Self>,
        request: Request<RequestBody>,
        watch: &Rc<Watch>,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        let mut request = request;
        watch.upstream.clear();
        let progress = request.body().progress();
        let method = request.method().clone();
        let has_body = !request.body().is_end_stream();
        let binds = fields::authenticates_connection(request.headers());
        let mut pooled = self.pooled().await;
        loop {
            let is_pooled = pooled.is_some();
            let Connection { mut sender, line } = match pooled.take() {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let again = (is_pooled && !has_body && method.is_safe()).then(|| repeated(&request));
            if has_body {
                request.body_mut().due_at_end(watch.upstream.clone(), self.settings.timeouts.first_byte);
            } else {
                watch.upstream.set(self.settings.timeouts.first_byte);
            }
            line.begin();
            let sent = self.in_time(watch, sender.try_send_request(request)).await;
            progress.answered.set(true);
            watch.upstream.clear();
            match sent {
                None => return Err(UpstreamError::Silent { address: self.address() }),
                Some(Ok(answer)) => {
                    if fields::is_ambiguous(answer.headers()) {
                        return Err(UpstreamError::Ambiguous { address: self.address() });
                    }
                    // A body that is still being written, or was perhaps never read, would be the next request.
                    let may_be_unread =
                        !progress.complete.get() || line.is_blocked() || has_no_use_for_a_body(&method);
                    let is_in_doubt = (has_body && may_be_unread)
                        || binds
                        || fields::authenticates_connection(answer.headers())
                        || may_be_followed_by_a_body(&method, answer.status(), answer.headers());
                    let lease = (!is_in_doubt)
                        .then(|| Lease { connection: Connection { sender, line }, pool: Rc::clone(self) });
                    return Ok(answer.map(|incoming| {
                        AnswerBody::new(
                            incoming,
                            lease,
                            watch.upstream.clone(),
                            self.settings.timeouts.idle,
                            Rc::clone(&self.trailers),
                        )
                    }));
                }
                Some(Err(mut error)) => {
                    let unsent = error.take_message().or(again.filter(|_| !line.has_heard()));
                    match unsent {
                        Some(unsent) if is_pooled => {
                            progress.answered.set(false);
                            request = unsent;
                        }
                        Some(_) | None => return Err(self.failed(error.into_error(), &progress)),
                    }
                }
            }
        }
    }

    fn failed(&self, error: hyper::Error, progress: &Progress) -> UpstreamError {
        match progress.broken.take() {
            Some(cause) => UpstreamError::RequestBody(cause),
            None => UpstreamError::Answer { address: self.address(), source: error },
        }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.settings.host, self.settings.port)
    }

    /// An idle connection that is still good, the one used last first.
    async fn pooled(&self) -> Option<Connection> {
        loop {
            let Idle { mut connection, since } = self.idle.borrow_mut().pop()?;
            if self.is_fresh(since) && connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn is_fresh(&self, since: Duration) -> bool {
        self.ticker.elapsed().saturating_sub(since) < IDLE
    }

    async fn connect(&self) -> Result<Connection, UpstreamError> {
        let failed = |source| UpstreamError::Connect { address: self.address(), source };
        let Settings { host, port, timeouts } = &self.settings;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // Rare enough for a timer of its own.
        let connecting = tokio::time::timeout(timeouts.connect, TcpStream::connect((host, *port)));
        let socket = connecting.await.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        let line = Arc::<Line>::default();
        let socket = Overheard::new(socket, Arc::clone(&line));
        let handshake = http1::Builder::new()
            // Old apps look for `X-Member-Id` and mean it to the letter.
            .title_case_headers(true)
            .handshake(TokioIo::new(socket))
            .await;
        let (sender, connection) = handshake.map_err(|error| failed(io::Error::other(error)))?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "an upstream connection ended early");
            }
        });
        Ok(Connection { sender, line })
    }

    /// The outcome, or nothing once the upstream's deadline has passed. Giving up drops the connection.
    async fn in_time<T>(&self, watch: &Watch, exchange: impl Future<Output = T>) -> Option<T> {
        let mut exchange = std::pin::pin!(exchange);
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = exchange.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            if watch.upstream.is_past() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({}, {} idle)", self.address(), self.idle.borrow().len())
    }
}

/// Closes what has idled too long, for as long as the pool is there.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.idle.borrow_mut().retain(|idle| pool.is_fresh(idle.since));
    }
}

/// Methods whose bodies upstreams are known to leave unread (RFC 9110 §9.3): what they leave would be the next request.
fn has_no_use_for_a_body(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS)
}

/// Whether an answer that has no body may be followed by one all the same, by mistake: it would answer the next request.
fn may_be_followed_by_a_body(method: &Method, status: StatusCode, fields: &HeaderMap) -> bool {
    let announces_one = fields.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    method == Method::HEAD
        || (matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) && announces_one)
}

/// The same request once more; only for requests without a body.
fn repeated(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut again = Request::new(RequestBody::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    again
}

/// A connection that is serving an answer, to be returned to its pool.
struct Lease {
    connection: Connection,
    pool: Rc<Pool>,
}

impl Lease {
    fn give_back(self) {
        let mut idle = self.pool.idle.borrow_mut();
        if idle.len() < MOST_IDLE && !self.connection.sender.is_closed() {
            idle.push(Idle { connection: self.connection, since: self.pool.ticker.elapsed() });
        }
    }
}
