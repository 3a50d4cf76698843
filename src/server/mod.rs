//! Where connections come in: sockets, and the reading of HTTP. It never heard of sites, members or sessions.
//!
//! One thread for each core, each with a runtime of its own, its own accept queues and, by way of what it hands requests
//! to, its own upstream connections. A request lives and dies on one thread, so nothing on its way takes a lock.

pub mod connection;
pub mod framing;
mod http1;
mod http2;
pub mod listener;
pub mod pace;
pub mod peer;
pub mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalOptions;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::deadline::{Ticker, Watch, Watched};
pub use connection::Limits;
use http2::Begun;
pub use listener::{BindError, Door, Entrance, Listen, Listeners};
use tls::{Shown, Tls};

/// How long an accept loop rests when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a request has come.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The other end of the socket.
    pub peer: IpAddr,
    /// What it speaks there.
    pub entrance: Entrance,
}

/// What requests are handed to; one for each worker, so it need not be shareable between threads.
pub trait Respond: 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static;

    /// Answers one request. `watch` keeps the deadlines of its connection.
    fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        arrival: Arrival,
        watch: Rc<Watch>,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;

    /// Hears what becomes of a connection, for those who count them.
    fn notice(&self, entrance: Entrance, event: Event) {
        let _ = (entrance, event);
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is there, and HTTP is spoken over it.
    Opened,
    /// It is not there any more.
    Closed,
    /// Its TLS handshake did not come about.
    NotShaken,
}

/// A server that is running. It stops when it is told to, not when this is dropped.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    drain: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells when it is to stop.
    #[must_use]
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.drain.subscribe()
    }

    /// Takes no more connections and closes idle ones; what is under way may finish. Does not wait for it.
    pub fn stop(&self) {
        self.drain.send_replace(true);
    }

    /// Takes no more connections, lets what is under way finish within `grace`, and returns when all workers are gone.
    pub fn drain(self, grace: Duration) {
        self.stop();
        let deadline = std::time::Instant::now() + grace;
        for worker in self.workers {
            while !worker.is_finished() && std::time::Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            if worker.is_finished() && worker.join().is_err() {
                tracing::error!("a worker has panicked");
            }
        }
    }
}

/// Serves on all listeners, with one worker for each set of them. `make` is called on each worker's own thread.
///
/// # Errors
/// Where a thread or its runtime cannot be made.
pub fn serve<R: Respond>(
    listeners: Listeners,
    limits: Limits,
    make: impl Fn(&Ticker) -> Rc<R> + Clone + Send + 'static,
) -> io::Result<Running> {
    let addresses = listeners.addresses();
    let (drain, draining) = watch::channel(false);
    let mut workers = Vec::new();
    for (number, sockets) in listeners.0.into_iter().enumerate() {
        let (make, draining) = (make.clone(), draining.clone());
        let runtime = || {
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
        };
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        workers.push(thread.spawn(move || match runtime() {
            Ok(runtime) => runtime.block_on(work(sockets, limits, make, draining)),
            Err(error) => tracing::error!(%error, "a worker has no runtime"),
        })?);
    }
    Ok(Running { addresses, drain, workers })
}

/// One worker: accepts until it is to drain, then waits for what is under way.
async fn work<R: Respond>(
    sockets: Vec<(std::net::TcpListener, Door)>,
    limits: Limits,
    make: impl Fn(&Ticker) -> Rc<R>,
    draining: watch::Receiver<bool>,
) {
    let ticker = Ticker::default();
    let respond = make(&ticker);
    let ticking = tokio::task::spawn_local(ticker.clone().run());
    let mut accepting = JoinSet::new();
    for (socket, door) in sockets {
        let (ticker, respond, draining) = (ticker.clone(), Rc::clone(&respond), draining.clone());
        accepting.spawn_local(async move {
            match TcpListener::from_std(socket) {
                Ok(listener) => accept(listener, door, limits, ticker, respond, draining).await,
                Err(error) => tracing::error!(%error, "a listening socket cannot be used"),
            }
        });
    }
    // One that has panicked must not end the others, which is why this is no `join_all`.
    while let Some(ended) = accepting.join_next().await {
        log_panic(ended);
    }
    ticking.abort();
}

async fn accept<R: Respond>(
    listener: TcpListener,
    door: Door,
    limits: Limits,
    ticker: Ticker,
    respond: Rc<R>,
    draining: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut drain = draining.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                log_panic(ended);
                continue;
            }
            _ = drain.wait_for(|drain| *drain) => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Small answers are not held back for more to come.
                let _ = socket.set_nodelay(true);
                let arrival = Arrival { peer: peer.ip(), entrance: door.entrance() };
                let (watched, respond, mut drain) = (ticker.watch(), Rc::clone(&respond), draining.clone());
                let drain = async move {
                    let _ = drain.wait_for(|drain| *drain).await;
                };
                // Tasks of different kinds, so that one without TLS or HTTP/2 does not have to have room for them.
                match &door {
                    Door::Plain | Door::Redirect => {
                        connections.spawn_local(http1::serve(
                            socket, arrival, respond, limits, watched, drain, None,
                        ));
                    }
                    Door::H2c => {
                        connections.spawn_local(either(socket, arrival, respond, limits, watched, drain));
                    }
                    Door::Tls(tls) => {
                        let tls = tls.clone();
                        connections
                            .spawn_local(over_tls(tls, socket, arrival, respond, limits, watched, drain));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted just now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        log_panic(ended);
    }
}

/// A connection that begins with a handshake.
async fn over_tls<R: Respond>(
    tls: Tls,
    socket: TcpStream,
    arrival: Arrival,
    respond: Rc<R>,
    limits: Limits,
    watched: Watched,
    drain: impl Future<Output = ()>,
) {
    let watch = watched.share();
    if let Some(stream) = tls::handshake(&tls, socket, &watch, limits.head_timeout).await {
        let shown = Shown::after(&tls, &stream);
        if stream.get_ref().1.alpn_protocol() == Some(tls::H2) {
            Box::pin(http2::serve(stream, arrival, respond, limits, watched, drain, shown)).await;
        } else {
            http1::serve(stream, arrival, respond, limits, watched, drain, shown).await;
        }
    } else {
        respond.notice(arrival.entrance, Event::NotShaken);
    }
}

/// A connection whose first octets tell what it speaks.
async fn either<R: Respond>(
    socket: TcpStream,
    arrival: Arrival,
    respond: Rc<R>,
    limits: Limits,
    watched: Watched,
    drain: impl Future<Output = ()>,
) {
    let watch = watched.share();
    match Begun::read(socket, &watch, &limits).await {
        Some((begun, true)) => {
            Box::pin(http2::serve(begun, arrival, respond, limits, watched, drain, None)).await;
        }
        Some((begun, false)) => http1::serve(begun, arrival, respond, limits, watched, drain, None).await,
        None => {}
    }
}

/// A panic ends the task it happens in, and is heard of.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a task has panicked");
    }
}
