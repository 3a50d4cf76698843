//! The small HTTP/1.1 server under every simulation.
//!
//! A simulation is a [`Site`]: it gets requests whose body is already here and bounded, and says what to reply, which
//! may be nothing at all. Each one has a thread and a runtime of its own, so that a test whose runtime is busy or
//! blocked still gets answers. What is answered is left to the site.

use std::convert::Infallible;
use std::future::{self, Future};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};

/// The largest body a simulation reads.
const MAX_BODY: usize = 256 * 1024;
/// The largest request head.
const MAX_HEAD: usize = 64 * 1024;
/// The most fields of one request.
const MAX_FIELDS: usize = 128;
/// How many connections are served at once; further ones wait.
const MAX_CONNECTIONS: usize = 1024;
/// How long a head or a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a simulation answers with.
pub(super) type Body = BoxBody<Bytes, Infallible>;

/// What happens to a request.
pub(super) enum Reply {
    /// It is answered.
    Answer(Response<Body>),
    /// It is never answered; the connection stays open.
    Silence,
    /// The connection is closed without a word.
    HangUp,
}

/// One simulation.
pub(super) trait Site: Send + Sync + 'static {
    /// Says what happens to a request.
    fn reply(&self, request: Request<Bytes>) -> impl Future<Output = Reply> + Send;
}

/// A body that is complete.
pub(super) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed()
}

/// An answer with a body of one media type. Nothing a simulation says may be stored by a cache.
pub(super) fn answer(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    answer(status, "application/json", value.to_string())
}

/// A page under a policy that allows a style sheet of the same origin and no script.
///
/// The policy leaves `form-action` out: browsers apply it to the redirects that follow a form as well, and a log-in
/// form ends at another origin.
pub(super) fn page(status: StatusCode, markup: maud::Markup) -> Response<Body> {
    let mut response = answer(status, "text/html; charset=utf-8", markup.into_string());
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    fields.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// 302 to an address; nothing where it cannot be written into a field.
pub(super) fn found(location: &str) -> Option<Response<Body>> {
    let location = HeaderValue::from_str(location).ok()?;
    let mut response = answer(StatusCode::FOUND, "text/plain", "");
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// The token after `Authorization: Bearer`, where that is the only such field. Schemes are compared regardless of case
/// (RFC 9110 §11.1).
pub(super) fn bearer_token<T>(request: &Request<T>) -> Option<&str> {
    let mut fields = request.headers().get_all(header::AUTHORIZATION).iter();
    let (scheme, token) = fields.next()?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (fields.next().is_none() && scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A running server. It stops, and its port is free again, when this is dropped.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `site` on a thread called `name`.
    pub(super) fn start(name: &str, listener: TcpListener, site: Arc<impl Site>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, &site) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has stopped too, and a destructor has nobody to tell.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: &tokio::net::TcpListener, site: &Arc<impl Site>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("this semaphore is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // The process may be out of file descriptors: what is open must get a chance to close.
                tracing::warn!(target: "sandbox", %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let site = Arc::clone(site);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request| serve(&*site, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(MAX_HEAD)
                .max_headers(MAX_FIELDS)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = connection {
                tracing::debug!(target: "sandbox", %error, "a connection ended early");
            }
        });
    }
}

/// Why a connection is closed on purpose.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct HungUp;

async fn serve(site: &impl Site, request: Request<Incoming>) -> Result<Response<Body>, HungUp> {
    let (head, body) = request.into_parts();
    let Ok(body) = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_BODY).collect()).await else {
        return Ok(refuse_body(StatusCode::REQUEST_TIMEOUT));
    };
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(refuse_body(StatusCode::PAYLOAD_TOO_LARGE));
        }
        Err(_) => return Err(HungUp),
    };
    match site.reply(Request::from_parts(head, body)).await {
        Reply::Answer(response) => Ok(response),
        Reply::Silence => future::pending().await,
        Reply::HangUp => Err(HungUp),
    }
}

/// The rest of the body is still on its way, so the connection is of no further use.
fn refuse_body(status: StatusCode) -> Response<Body> {
    let mut response = answer(status, "text/plain", "");
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
