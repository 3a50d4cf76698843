//! HTTP/1.1 towards an upstream: a connection that carries one exchange after the other.
//!
//! It is driven by a task of its own, so that an upstream's close is seen while it idles.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::body::RequestBody;
use super::dial::Stream;
use super::socket::{Line, Overheard};

/// A connection, for one request at a time.
pub(super) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) line: Arc<Line>,
    /// When it was opened, by the worker's time.
    pub(super) since: Duration,
}

/// Makes a connection of a socket.
pub(super) async fn over(socket: Stream, since: Duration) -> io::Result<Connection> {
    let line = Arc::<Line>::default();
    let socket = Overheard::new(socket, Arc::clone(&line));
    let handshake = http1::Builder::new()
        // Old apps look for `X-Member-Id` and mean it to the letter.
        .title_case_headers(true)
        .handshake(TokioIo::new(socket))
        .await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "an upstream connection ended early");
        }
    });
    Ok(Connection { sender, line, since })
}

/// Methods whose bodies upstreams are known to leave unread (RFC 9110 §9.3): what they leave would be the next request.
pub(super) fn has_no_use_for_a_body(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS)
}

/// Whether an answer that has no body may be followed by one all the same, by mistake: it would answer the next request.
pub(super) fn may_be_followed_by_a_body(method: &Method, status: StatusCode, fields: &HeaderMap) -> bool {
    let announces_one = fields.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    method == Method::HEAD
        || (matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) && announces_one)
}
