//! A connection with HTTP/1.1: the strict reading of its framing below hyper, its limits and its deadlines.
//!
//! The client is waited for in three ways, each with a limit of its own: idle between requests, slow with a head, slow
//! with a body. The waits are told apart by [`Framing`], which reads along. While an answer is under way the client owes
//! nothing but the rest of its body; whatever else it has begun or not begun to send, its time runs from the answer's end.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Limits, Noticed, Transport};
use super::framing::{Framing, POISON, Phase};
use super::pace::Credit;
use super::tls::Shown;
use super::{Arrival, Respond};
use crate::deadline::{Due, Watch, Watched};

/// What the socket, the service and the body of an answer know about one connection.
struct Vitals {
    limits: Limits,
    /// When the client has taken too long to send.
    due: Due,
    /// When it has taken too long to read.
    writing: Due,
    /// What that deadline is for: a [`Phase`], or [`NOTHING`].
    awaited: AtomicU8,
    /// The [`Phase`] that the bytes read so far have come to.
    phase: AtomicU8,
    /// How long the body is still waited for.
    credit: Credit,
    /// An answer is under way.
    busy: AtomicBool,
    /// The connection has become a tunnel: no more HTTP.
    tunnel: AtomicBool,
    /// What is still in the socket is not to be sent: an answer that only the end of the connection ends has broken off, or
    /// nobody reads.
    broken: AtomicBool,
}

const NOTHING: u8 = u8::MAX;

impl Vitals {
    fn new(limits: Limits, watch: &Watch) -> Self {
        Self {
            limits,
            due: watch.client.clone(),
            writing: watch.writing.clone(),
            awaited: AtomicU8::new(NOTHING),
            phase: AtomicU8::new(Phase::BetweenMessages as u8),
            credit: Credit::new(limits.owed()),
            busy: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed)
    }

    fn phase(&self) -> Phase {
        [Phase::Head, Phase::Body]
            .into_iter()
            .find(|&phase| phase as u8 == self.phase.load(Ordering::Relaxed))
            .unwrap_or(Phase::BetweenMessages)
    }

    /// The client is waited for, in this phase. Where it is already, it gets no more time.
    fn wait_in(&self, phase: Phase) {
        if self.awaited.swap(phase as u8, Ordering::Relaxed) != phase as u8 {
            match phase {
                Phase::BetweenMessages => self.due.set(self.limits.idle),
                Phase::Head => self.due.set(self.limits.head_timeout),
                Phase::Body => self.credit.wait(&self.due),
            }
        }
    }

    /// The client owes nothing.
    fn wait_no_more(&self) {
        self.awaited.store(NOTHING, Ordering::Relaxed);
        self.due.clear();
    }

    /// Nothing comes from the client. hyper reads on during an answer only for the rest of the request's body, or to see
    /// the client leave.
    fn is_silent(&self) {
        match self.phase() {
            Phase::Body => self.wait_in(Phase::Body),
            Phase::BetweenMessages | Phase::Head if self.is_busy() => {}
            phase @ (Phase::BetweenMessages | Phase::Head) => self.wait_in(phase),
        }
    }

    /// Bytes have come. A head has to end within its time however often they come; everything else has its time anew.
    fn is_heard(&self, octets: usize, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        if phase != Phase::Body {
            self.credit.renew();
        } else if !self.credit.heard(octets, &self.due) {
            // The deadline stands; what it waits for next is counted again.
            self.awaited.store(NOTHING, Ordering::Relaxed);
            return;
        }
        if phase == Phase::Head && !self.is_busy() {
            self.wait_in(Phase::Head);
        } else {
            self.wait_no_more();
        }
    }

    /// Something was written, or could not be.
    fn wrote<T>(&self, written: &Poll<io::Result<T>>) {
        self.is_taken(written);
        if written.is_ready() {
            self.is_answered();
        }
    }

    /// The client takes what is written, or not. What goes through a tunnel may wait for as long as both ends like.
    fn is_taken<T>(&self, written: &Poll<io::Result<T>>) {
        match written {
            Poll::Pending if !self.is_tunnel() => self.writing.set_if_clear(self.limits.body_idle),
            Poll::Pending | Poll::Ready(_) => self.writing.clear(),
        }
    }

    /// An answer is complete, or a late part of it has been written: what the client owes now, it owes from now on. hyper
    /// may have read its fill already, so nobody else says so.
    fn is_answered(&self) {
        if !self.is_busy() && !self.is_tunnel() {
            self.wait_no_more();
            self.wait_in(self.phase());
        }
    }
}

/// A socket whose bytes are read along before hyper sees them.
struct Filtered<S: Transport> {
    socket: S,
    framing: Framing,
    vitals: Arc<Vitals>,
    /// What is still to be read of the poison, once a breach was found.
    poison: Option<&'static [u8]>,
}

/// An orderly end would say that the answer is complete.
impl<S: Transport> Drop for Filtered<S> {
    fn drop(&mut self) {
        if self.vitals.broken.load(Ordering::Relaxed) {
            self.socket.break_off();
        }
    }
}

impl<S: Transport> AsyncRead for Filtered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(poison) = &mut this.poison {
            if poison.is_empty() {
                return Poll::Pending;
            }
            let (now, later) = poison.split_at(poison.len().min(buf.remaining()));
            buf.put_slice(now);
            *poison = later;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buf);
        if this.vitals.is_tunnel() {
            return read;
        }
        match read {
            Poll::Pending => {
                this.vitals.is_silent();
                Poll::Pending
            }
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                let followed = this.framing.follow(&buf.filled()[before..]);
                this.vitals.is_heard(buf.filled().len() - before, this.framing.phase());
                if let Err(breach) = followed {
                    let heads = this.framing.heads_seen();
                    tracing::debug!(%breach, heads, "a request is not well framed");
                    buf.set_filled(before + breach.sound);
                    this.poison = Some(POISON);
                    if breach.sound == 0 {
                        return Pin::new(this).poll_read(cx, buf);
                    }
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(ended) => Poll::Ready(ended),
        }
    }
}

impl<S: Transport> AsyncWrite for Filtered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.vitals.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.vitals.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.vitals.is_taken(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.vitals.is_taken(&shut);
        shut
    }
}

/// An answer is under way for as long as this is there.
struct Busy(Arc<Vitals>);

impl Busy {
    fn begin(vitals: &Arc<Vitals>) -> Self {
        vitals.busy.store(true, Ordering::Relaxed);
        vitals.wait_no_more();
        Self(Arc::clone(vitals))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
        self.0.is_answered();
    }
}

/// The body of an answer. hyper drops it when it has been sent, or when nobody is there any more to send it to.
struct Answering<B> {
    body: B,
    /// The client sees whether an answer is complete that does not tell its length.
    knows_chunks: bool,
    busy: Busy,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if !self.knows_chunks && matches!(frame, Poll::Ready(Some(Err(_)))) {
            self.busy.0.broken.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves one connection to its end. `drain` says when no further request is to be taken, `shown` what was shown over TLS.
pub(super) async fn serve<R: Respond, S: Transport>(
    socket: S,
    arrival: Arrival,
    respond: Rc<R>,
    limits: Limits,
    watched: Watched,
    drain: impl Future<Output = ()>,
    shown: Option<Rc<Shown>>,
) {
    let _noticed = Noticed::new(&respond, arrival.entrance);
    let watch = watched.share();
    let vitals = Arc::new(Vitals::new(limits, &watch));
    let filtered = Filtered { socket, framing: Framing::new(), vitals: Arc::clone(&vitals), poison: None };
    let service = service_fn(|mut request: Request<Incoming>| {
        let busy = Busy::begin(&vitals);
        // What comes behind such a request passes the framing unread, so it must not be parsed as another one.
        let is_last = request.headers().contains_key(UPGRADE);
        if is_last && !request.body().is_end_stream() {
            // Nobody has to switch (RFC 9110 §7.8), and in a tunnel nothing of a body must be left.
            request.headers_mut().remove(UPGRADE);
        }
        if let Some(shown) = &shown {
            shown.mark(&mut request);
        }
        let knows_chunks = request.version() != Version::HTTP_10;
        // Not awaited in a block of its own, which would have room for it twice.
        Rc::clone(&respond).respond(request, arrival, Rc::clone(&watch)).map(move |mut answer| {
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                busy.0.tunnel.store(true, Ordering::Relaxed);
            } else if is_last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| Answering { body, knows_chunks, busy }))
        })
    });
    let connection = http1::Builder::new()
        // Deadlines are ours; hyper's would need a timer for each request.
        .header_read_timeout(None)
        .max_headers(limits.fields)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(filtered), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut drain = std::pin::pin!(drain);
    let draining = Cell::new(false);
    poll_fn(|cx| {
        watch.wakes(cx.waker());
        if watch.writing.is_past() {
            tracing::debug!("a client does not read");
            vitals.broken.store(true, Ordering::Relaxed);
            return Poll::Ready(());
        }
        if watch.client.is_past() {
            tracing::debug!("a client took too long");
            // Where nothing is under way the connection ends in order: over TLS, with close_notify.
            connection.as_mut().graceful_shutdown();
            let _ = connection.as_mut().poll(cx);
            return Poll::Ready(());
        }
        if !draining.get() && drain.as_mut().poll(cx).is_ready() {
            draining.set(true);
            // A request that has come already is answered; hyper would close without having looked.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        })
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::deadline::Ticker;

    fn limits() -> Limits {
        let long = Duration::from_secs(60);
        Limits {
            head_timeout: long,
            head_bytes: 64 * 1024,
            fields: 100,
            body_idle: Duration::from_secs(10),
            body_rate: NonZeroU32::new(100),
            idle: long,
            connections: 1000,
            connections_per_peer: 1000,
            http2_bytes: 1024 * 1024,
        }
    }

    /// Whether a body is waited for that comes in so many octets ten times a second, for this many seconds.
    fn is_borne(octets: usize, seconds: u32) -> bool {
        let ticker = Ticker::default();
        let watch = ticker.watch().share();
        let vitals = Vitals::new(limits(), &watch);
        (1..=10 * seconds).all(|tenth| {
            vitals.is_silent();
            if tenth.is_multiple_of(5) {
                ticker.tick(tenth * Duration::from_millis(100));
            }
            let in_time = !watch.client.is_past();
            vitals.is_heard(octets, Phase::Body);
            in_time
        })
    }

    #[test]
    fn a_body_below_the_rate_is_given_up_however_close_it_comes_and_one_at_the_rate_never_is() {
        for octets in [1, 5, 6, 7, 8] {
            assert!(!is_borne(octets, 120), "{octets}");
        }
        for octets in [10, 11, 1000] {
            assert!(is_borne(octets, 600), "{octets}");
        }
    }
}
