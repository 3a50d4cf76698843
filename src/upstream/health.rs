//! Health: each target is asked now and then whether it is well, before a member's request has to find out.
//!
//! A target counts as well until it has failed several times in a row, and as ill until it has answered several times in
//! a row. Where all are ill all are asked all the same: a check that is wrong must not take a site down by itself.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;

use super::dial::{self, Wanted};
use super::http2::OnThisThread;
use super::{Settings, Shared, Upstream};

/// How targets are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    /// What is asked for.
    pub path: PathAndQuery,
    /// The authority of the site, which an app may look at.
    pub host: HeaderValue,
    /// Between two questions.
    pub interval: Duration,
    /// How long an answer may take, the connection included.
    pub timeout: Duration,
    /// The answers that are good; where there are none, all that say so (2xx).
    pub status: Vec<StatusCode>,
    /// So many bad ones in a row make a target ill.
    pub fall: u32,
    /// So many good ones in a row make it well.
    pub rise: u32,
}

/// The last answers of one target that were all of one kind.
#[derive(Debug, Default)]
struct Streak {
    good: bool,
    length: u32,
}

impl Streak {
    /// One more. Says what to think of the target, where this answer is reason enough to.
    fn add(&mut self, good: bool, checks: &Checks) -> Option<bool> {
        let length = if self.good == good { self.length } else { 0 };
        *self = Self { good, length: length.saturating_add(1) };
        let enough = if good { checks.rise } else { checks.fall };
        (self.length >= enough).then_some(good)
    }
}

/// Asks one target until nobody has its upstream any more.
pub(super) async fn keep(settings: Arc<Settings>, shared: Weak<Shared>, index: usize) {
    let Some(checks) = settings.health.as_ref() else { return };
    let mut streak = Streak::default();
    while let Some(shared) = shared.upgrade() {
        let upstream = Upstream { settings: Arc::clone(&settings), shared };
        let answer = tokio::time::timeout(checks.timeout, ask(&upstream, index, checks)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Some(healthy) = streak.add(answer.is_ok(), checks)
            && upstream.condition(index).is_found(healthy)
        {
            let target = upstream.target(index).as_str();
            match answer {
                Ok(()) => tracing::info!(target, "an upstream is well again"),
                Err(error) => tracing::warn!(target, %error, "an upstream is not well"),
            }
        }
        drop(upstream);
        tokio::time::sleep(checks.interval).await;
    }
}

/// One question, over a connection of its own.
async fn ask(upstream: &Upstream, index: usize, checks: &Checks) -> io::Result<()> {
    let (stream, is_http2) = dial::open(upstream, index, Wanted::AsSettled).await?;
    let stream = TokioIo::new(stream);
    let request = Request::get(checks.path.clone())
        .header(HOST, checks.host.clone())
        .header(USER_AGENT, HeaderValue::from_static("member-gateway"));
    let answer = if is_http2 {
        let scheme = if upstream.target(index).is_secure() { "https" } else { "http" };
        let authority = checks.host.to_str().map_err(io::Error::other)?;
        let request = Request::get(format!("{scheme}://{authority}{}", checks.path))
            .header(USER_AGENT, HeaderValue::from_static("member-gateway"))
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let handshake = http2::handshake(OnThisThread, stream).await;
        let (mut sender, connection) = handshake.map_err(io::Error::other)?;
        tokio::task::spawn_local(connection);
        sender.send_request(request).await
    } else {
        let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
        tokio::task::spawn_local(connection);
        sender.send_request(request).await
    };
    let status = answer.map_err(io::Error::other)?.status();
    let is_good =
        if checks.status.is_empty() { status.is_success() } else { checks.status.contains(&status) };
    if is_good { Ok(()) } else { Err(io::Error::other(format!("it answered with status {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_several_answers_in_a_row_to_think_otherwise() {
        let checks = Checks {
            path: PathAndQuery::from_static("/"),
            host: HeaderValue::from_static("a"),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            status: Vec::new(),
            fall: 3,
            rise: 2,
        };
        let mut streak = Streak::default();
        let answers = [false, false, true, false, false, false, false, true, false, true, true];
        let thoughts = answers.map(|good| streak.add(good, &checks));
        let (ill, well) = (Some(false), Some(true));
        assert_eq!(thoughts, [None, None, None, None, None, ill, ill, None, None, None, well]);
    }
}
