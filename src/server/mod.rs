//! Where connections come in: sockets, and the reading of HTTP. It never heard of sites, members or sessions.
//!
//! One thread for each core, each with a runtime of its own, its own accept queues and, by way of what it hands requests
//! to, its own upstream connections. A request lives and dies on one thread, so nothing on its way takes a lock.

mod answered;
pub mod connection;
pub mod crowd;
pub mod framing;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handover;
mod http1;
mod http2;
pub mod incoming;
pub mod inherited;
pub mod listener;
pub mod pace;
pub mod peer;
mod preamble;
mod proxy_protocol;
pub mod tls;
mod worker;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;

use http_body::Body;
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::deadline::{Ticker, Watch};
use crate::drain::{Announced, Draining, Stage};
use crate::message::{Request, Response};
pub use connection::Limits;
use crowd::Crowd;
pub use crowd::Crowded;
use handover::Offered;
pub use incoming::Incoming;
pub use inherited::Inherited;
use listener::SocketFile;
pub use listener::{Address, BindError, Door, Entrance, Listen, Listeners};
use peer::TrustedProxies;
use tls::TlsVersion;

/// How long whoever asks is still answered once the gateway is to stop. An idle connection that was closed at once might
/// have a request on its way to us, which nobody would answer.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// The same once another process accepts: nobody waits for this one to end.
const LAST_ANSWERS_BESIDE_ANOTHER: Duration = Duration::from_secs(5);
/// How often is looked at whether workers have ended.
const LOOK: Duration = Duration::from_millis(20);
/// Longer than a worker needs to come to what it is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a request has come.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The other end of the socket: 127.0.0.1 for a Unix socket, and what a proxy names that speaks the PROXY protocol.
    pub peer: IpAddr,
    /// What it speaks there.
    pub entrance: Entrance,
    /// Which TLS, where it is TLS.
    pub tls: Option<TlsVersion>,
    /// A proxy has passed the connection on without saying whose it is, or uses it itself. So the peer is the proxy, and
    /// what the request says of its origin anybody may have written.
    pub is_nameless: bool,
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
    /// It was turned away.
    TurnedAway(Crowded),
    /// A stream of HTTP/2 was refused, because its connection holds too much.
    StreamRefused,
}

/// What a worker makes its hall of.
#[derive(Debug)]
pub struct Making<'a, R> {
    /// The deadlines of the worker.
    pub ticker: &'a Ticker,
    /// How its end is announced.
    pub draining: &'a Draining,
    /// What took the requests until now.
    pub before: Option<&'a R>,
}

/// Makes what requests are handed to, on each worker's own thread.
pub type Make<R> = Arc<dyn Fn(&Making<'_, R>) -> Rc<R> + Send + Sync>;

/// What is served, and to whom: all that can be exchanged while the server runs.
pub struct Service<R> {
    /// What clients may take. It holds for connections that begin from now on.
    pub limits: Limits,
    /// Who may speak the PROXY protocol.
    pub trusted_proxies: TrustedProxies,
    /// What answers.
    pub make: Make<R>,
    /// Whoever exchanges it waits until no worker holds this any more.
    taken: Option<mpsc::Sender<()>>,
}

impl<R> Service<R> {
    /// Within these limits, and for these proxies.
    pub fn new(
        limits: Limits,
        trusted_proxies: TrustedProxies,
        make: impl Fn(&Making<'_, R>) -> Rc<R> + Send + Sync + 'static,
    ) -> Self {
        Self { limits, trusted_proxies, make: Arc::new(make), taken: None }
    }
}

impl<R> Clone for Service<R> {
    fn clone(&self) -> Self {
        let Self { limits, trusted_proxies, make, taken } = self;
        Self {
            limits: *limits,
            trusted_proxies: trusted_proxies.clone(),
            make: Arc::clone(make),
            taken: taken.clone(),
        }
    }
}

/// A server that is running. It stops when it is told to, not when this is dropped.
pub struct Running<R> {
    addresses: Vec<SocketAddr>,
    files: Vec<SocketFile>,
    offered: Offered,
    announce: watch::Sender<Announced>,
    /// Closed when no worker accepts any more.
    accepting: tokio::sync::mpsc::Receiver<Infallible>,
    workers: Vec<(JoinHandle<()>, UnboundedSender<Service<R>>)>,
}

impl<R> Running<R> {
    /// Where it listens, as far as that is on a network.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells when it is to stop.
    #[must_use]
    pub fn draining(&self) -> watch::Receiver<Announced> {
        self.announce.subscribe()
    }

    /// The listening sockets, for a process that takes over. They are there until this server stops.
    #[must_use]
    pub fn offered(&self) -> Offered {
        self.offered.clone()
    }

    /// Exchanges what is served, and returns when all requests from now on are answered by it. Those under way keep what
    /// they have.
    pub fn exchange(&self, mut service: Service<R>) {
        let (taken, all_have_it) = mpsc::channel();
        service.taken = Some(taken);
        for (_, services) in &self.workers {
            // One that has ended already needs nothing more.
            let _ = services.send(service.clone());
        }
        drop(service);
        // Nothing is ever sent: it ends when the last worker has let go.
        if all_have_it.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("a worker has not come to the new configuration yet");
        }
    }

    /// Takes no more connections and closes idle ones; what is under way may finish. Does not wait for it.
    pub fn stop(&self) {
        self.stop_beside_another(Arc::default());
    }

    /// The same, where another process accepts from the sockets of these listeners.
    pub fn stop_beside_another(&self, listeners: Arc<[usize]>) {
        self.close_doors(&listeners);
        self.announce.send_replace(Announced { stage: Stage::Closing, handed_over: listeners });
    }

    /// Takes no more connections, lets what is under way finish within `grace`, and returns when all workers are gone.
    pub fn drain(self, grace: Duration) {
        self.close_doors(&[]);
        self.announce(Stage::LastAnswers);
        self.wait(LAST_ANSWERS.min(grace), grace);
    }

    /// The same, where another process accepts from the sockets of these listeners. `stopped` is called when this one
    /// does not any more.
    pub fn hand_over(self, listeners: Arc<[usize]>, grace: Duration, stopped: impl FnOnce()) {
        self.close_doors(&listeners);
        self.announce.send_replace(Announced { stage: Stage::LastAnswers, handed_over: listeners });
        let begun = Instant::now();
        while !self.accepting.is_closed() {
            if begun.elapsed() >= PATIENCE {
                tracing::warn!("a worker still accepts");
                break;
            }
            std::thread::sleep(LOOK);
        }
        stopped();
        self.wait(LAST_ANSWERS_BESIDE_ANOTHER.min(grace), grace);
    }

    fn close_doors(&self, handed_over: &[usize]) {
        // A socket that is held and not accepted from would let clients in that nobody answers.
        self.offered.withdraw();
        // A file that somebody else serves at is theirs.
        self.files.iter().filter(|file| !handed_over.contains(&file.listener)).for_each(SocketFile::remove);
    }

    fn announce(&self, stage: Stage) {
        self.announce.send_modify(|announced| announced.stage = stage);
    }

    fn wait(self, last_answers: Duration, grace: Duration) {
        let begun = Instant::now();
        let mut announced = false;
        for (worker, _) in &self.workers {
            while !worker.is_finished() && begun.elapsed() < grace {
                if !announced && begun.elapsed() >= last_answers {
                    self.announce(Stage::Closing);
                    announced = true;
                }
                std::thread::sleep(LOOK);
            }
        }
        self.announce(Stage::Closing);
        for (worker, _) in self.workers {
            if worker.is_finished() && worker.join().is_err() {
                tracing::error!("a worker has panicked");
            }
        }
    }
}

impl<R> std::fmt::Debug for Running<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({:?}, {} workers)", self.addresses, self.workers.len())
    }
}

/// Serves on all listeners, with one worker for each set of them.
///
/// # Errors
/// Where a thread or its runtime cannot be made.
pub fn serve<R: Respond>(listeners: Listeners, service: &Service<R>) -> io::Result<Running<R>> {
    let addresses = listeners.addresses();
    let offered = Offered::of(&listeners)?;
    let (announce, announced) = watch::channel(Announced::default());
    let (accepts, accepting) = tokio::sync::mpsc::channel(1);
    let mut workers = Vec::new();
    let crowd = Arc::<Crowd>::default();
    for (number, posts) in listeners.posts.into_iter().enumerate() {
        let (service, announced, accepts) = (service.clone(), announced.clone(), accepts.clone());
        let crowd = Arc::clone(&crowd);
        let (services, taken) = tokio::sync::mpsc::unbounded_channel();
        let runtime = || {
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
        };
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        let worker = thread.spawn(move || match runtime() {
            Ok(runtime) => {
                runtime.block_on(worker::work(
                    posts,
                    accepts,
                    service,
                    taken,
                    crowd,
                    Draining::new(announced),
                ));
            }
            Err(error) => tracing::error!(%error, "a worker has no runtime"),
        })?;
        workers.push((worker, services));
    }
    Ok(Running { addresses, files: listeners.files, offered, announce, accepting, workers })
}
