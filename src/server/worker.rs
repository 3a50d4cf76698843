//! One worker: accepts, hands requests to its hall, exchanges the hall when it is told to, and ends when all is done.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{StatusCode, Version};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::answered::{Answered, unless_it_panics};
use super::connection::Transport;
use super::crowd::{Crowd, Crowded, Place, Seats};
use super::http2::{self, Begun, Staff};
use super::listener::{Door, Post, Socket};
use super::peer::TrustedProxies;
use super::tls::{self, Shown, Tls};
use super::{Arrival, Entrance, Event, Incoming, Limits, Making, Respond, Service, http1, preamble};
use crate::bell::on_call;
use crate::deadline::{Ticker, Watch, Watched};
use crate::drain::{Draining, Rest, Stage};
use crate::message::{Request, Response};

/// How long an accept loop rests when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Held for as long as somebody accepts.
pub(super) type Accepts = mpsc::Sender<Infallible>;

/// What takes the requests of a worker; a reload exchanges what is in it, and requests under way keep what they have.
struct Hall<R> {
    current: RefCell<Rc<R>>,
    limits: Cell<Limits>,
    trusted_proxies: RefCell<TrustedProxies>,
    /// The gateway is to end, so every answer is the last of its connection.
    last_answers: Cell<bool>,
}

impl<R: Respond> Hall<R> {
    fn new(service: &Service<R>, ticker: &Ticker, draining: &Draining) -> Rc<Self> {
        let current = (service.make)(&Making { ticker, draining, before: None });
        Rc::new(Self {
            current: RefCell::new(current),
            limits: Cell::new(service.limits),
            trusted_proxies: RefCell::new(service.trusted_proxies.clone()),
            last_answers: Cell::new(false),
        })
    }

    fn exchange(&self, service: &Service<R>, ticker: &Ticker, draining: &Draining) {
        let before = Rc::clone(&self.current.borrow());
        let next = (service.make)(&Making { ticker, draining, before: Some(&before) });
        self.current.replace(next);
        self.limits.set(service.limits);
        self.trusted_proxies.replace(service.trusted_proxies.clone());
    }
}

impl<R: Respond> Respond for Hall<R> {
    type Body = Answered<R::Body>;

    fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        arrival: Arrival,
        watch: Rc<Watch>,
    ) -> impl Future<Output = Response<Answered<R::Body>>> {
        let current = Rc::clone(&self.current.borrow());
        // HTTP/2 says so in a frame of its own (RFC 9113 §6.8).
        let says_close = request.version() < Version::HTTP_2;
        unless_it_panics(current.respond(request, arrival, watch), move |answer, is_apology| {
            let is_last = is_apology || self.last_answers.get();
            if says_close && is_last && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        })
    }

    fn notice(&self, entrance: Entrance, event: Event) {
        self.current.borrow().notice(entrance, event);
    }
}

/// Serves until the gateway is to end and nobody is at work any more.
pub(super) async fn work<R: Respond>(
    posts: Vec<Post>,
    accepts: Accepts,
    service: Service<R>,
    mut services: mpsc::UnboundedReceiver<Service<R>>,
    crowd: Arc<Crowd>,
    (draining, rest): (Draining, Rest),
) {
    let ticker = Ticker::default();
    let hall = Hall::new(&service, &ticker, &draining);
    // Whoever has sent it waits until nobody holds it any more.
    drop(service);
    let ticking = tokio::task::spawn_local(ticker.clone().run());
    let mut accepting = JoinSet::new();
    let staff = Staff::default();
    for Post { socket, door, proxy_protocol, number } in posts {
        let (ticker, hall, draining) = (ticker.clone(), Rc::clone(&hall), draining.clone());
        let (accepts, staff, crowd) = (accepts.clone(), staff.clone(), Arc::clone(&crowd));
        let reception =
            Rc::new(Reception { door, proxy_protocol, number, ticker, hall, draining, staff, crowd });
        accepting.spawn_local(async move {
            let accepted = match socket {
                Socket::Tcp(socket) => accept::<_, TcpListener>(socket, reception, accepts).await,
                Socket::Unix(socket) => accept::<_, UnixListener>(socket, reception, accepts).await,
            };
            if let Err(error) = accepted {
                tracing::error!(%error, "a listening socket cannot be used");
            }
        });
    }
    drop(accepts);
    let mut ending = std::pin::pin!(draining.clone().reaches(Stage::LastAnswers));
    loop {
        tokio::select! {
            Some(service) = services.recv() => hall.exchange(&service, &ticker, &draining),
            () = &mut ending, if !hall.last_answers.get() => hall.last_answers.set(true),
            // One that has panicked must not end the others, which is why this is no `join_all`.
            ended = accepting.join_next() => match ended {
                Some(ended) => log_panic(ended),
                None => break,
            },
        }
    }
    drop(services);
    rest.comes().await;
    ticking.abort();
}

/// What an accept loop does with a connection.
struct Reception<R> {
    door: Door,
    proxy_protocol: bool,
    number: usize,
    ticker: Ticker,
    hall: Rc<Hall<R>>,
    draining: Draining,
    /// For streams of HTTP/2, whichever listener they have come to.
    staff: Staff<Hall<R>>,
    /// The connections that are there, on all workers.
    crowd: Arc<Crowd>,
}

impl<R: Respond> Reception<R> {
    /// Somebody has come from this address, and is taken or turned away.
    fn admit(&self, peer: IpAddr) -> Option<Newcomer> {
        let entrance = self.door.entrance();
        let arrival = Arrival { peer, entrance, tls: None, is_nameless: false };
        let limits = self.hall.limits.get();
        let admitted = self.crowd.admit(limits.connections).and_then(|place| {
            let of_address = self.admit_from(peer, &limits)?;
            Ok(Newcomer { arrival, seats: Seats { one_of_all: place, of_address } })
        });
        admitted.map_err(|crowded| self.turn_away(peer, crowded)).ok()
    }

    /// One more connection from this address, if it is one of those that are counted.
    fn admit_from(&self, peer: IpAddr, limits: &Limits) -> Result<Option<Place>, Crowded> {
        if peer.to_canonical().is_loopback() || self.hall.trusted_proxies.borrow().trusts(peer) {
            return Ok(None);
        }
        self.crowd.admit_from(peer, limits.connections_per_peer).map(Some)
    }

    fn turn_away(&self, peer: IpAddr, crowded: Crowded) {
        tracing::debug!(%peer, ?crowded, "a connection was turned away");
        self.hall.notice(self.door.entrance(), Event::TurnedAway(crowded));
    }
}

/// Somebody who was taken.
struct Newcomer {
    arrival: Arrival,
    seats: Seats,
}

/// A kind of listening socket.
trait Listener: Sized + 'static {
    /// The same as the standard library has it.
    type Std;
    /// What it accepts.
    type Stream: 'static;

    fn from_std(socket: Self::Std) -> io::Result<Self>;
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, IpAddr)>>;
    /// What waits in its queue. The socket is closed, unless somebody else has it, too.
    fn queue(self) -> io::Result<Vec<(Self::Stream, IpAddr)>>;
    /// Serves a connection on a task of its own.
    fn receive<R: Respond>(
        connections: &mut JoinSet<()>,
        reception: &Rc<Reception<R>>,
        socket: Self::Stream,
        newcomer: Newcomer,
    );
}

impl Listener for TcpListener {
    type Std = std::net::TcpListener;
    type Stream = TcpStream;

    fn from_std(socket: Self::Std) -> io::Result<Self> {
        Self::from_std(socket)
    }

    async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        let (socket, peer) = self.accept().await?;
        Ok((socket, peer.ip()))
    }

    fn queue(self) -> io::Result<Vec<(TcpStream, IpAddr)>> {
        let listener = self.into_std()?;
        let waiting = std::iter::from_fn(|| listener.accept().ok());
        let connected = waiting.map(|(socket, peer)| {
            socket.set_nonblocking(true)?;
            Ok((TcpStream::from_std(socket)?, peer.ip()))
        });
        connected.collect()
    }

    fn receive<R: Respond>(
        connections: &mut JoinSet<()>,
        reception: &Rc<Reception<R>>,
        socket: TcpStream,
        newcomer: Newcomer,
    ) {
        // Small answers are not held back for more to come.
        let _ = socket.set_nodelay(true);
        let reception = Rc::clone(reception);
        // Kinds of tasks, so that one without TLS does not have to have room for it.
        match &reception.door {
            Door::Plain | Door::H2c | Door::Redirect if reception.proxy_protocol => {
                connections.spawn_local(behind_proxy(socket, newcomer, reception));
            }
            Door::Plain | Door::Redirect => {
                connections.spawn_local(plain(socket, newcomer, reception));
            }
            Door::H2c => {
                connections.spawn_local(either(socket, newcomer, reception));
            }
            Door::Tls(tls) => {
                let tls = tls.clone();
                // Large, and a task is moved several times, when it is made and when it ends.
                connections.spawn_local(Box::pin(over_tls(tls, socket, newcomer, reception)));
            }
        }
    }
}

impl Listener for UnixListener {
    type Std = std::os::unix::net::UnixListener;
    type Stream = UnixStream;

    fn from_std(socket: Self::Std) -> io::Result<Self> {
        Self::from_std(socket)
    }

    async fn accept(&self) -> io::Result<(UnixStream, IpAddr)> {
        let (socket, _) = self.accept().await?;
        Ok((socket, Ipv4Addr::LOCALHOST.into()))
    }

    fn queue(self) -> io::Result<Vec<(UnixStream, IpAddr)>> {
        let listener = self.into_std()?;
        let waiting = std::iter::from_fn(|| listener.accept().ok());
        let connected = waiting.map(|(socket, _)| {
            socket.set_nonblocking(true)?;
            Ok((UnixStream::from_std(socket)?, Ipv4Addr::LOCALHOST.into()))
        });
        connected.collect()
    }

    fn receive<R: Respond>(
        connections: &mut JoinSet<()>,
        reception: &Rc<Reception<R>>,
        socket: UnixStream,
        newcomer: Newcomer,
    ) {
        let reception = Rc::clone(reception);
        match &reception.door {
            _ if reception.proxy_protocol => {
                connections.spawn_local(behind_proxy(socket, newcomer, reception));
            }
            Door::H2c => {
                connections.spawn_local(either(socket, newcomer, reception));
            }
            Door::Plain | Door::Redirect | Door::Tls(_) => {
                connections.spawn_local(plain(socket, newcomer, reception));
            }
        }
    }
}

/// Accepts until the gateway is to end, and then whatever waits: to close a socket is to reset what is in its queue.
async fn accept<R: Respond, L: Listener>(
    socket: L::Std,
    reception: Rc<Reception<R>>,
    accepts: Accepts,
) -> io::Result<()> {
    let listener = L::from_std(socket)?;
    let mut connections = JoinSet::new();
    let mut ending = std::pin::pin!(reception.draining.clone().reaches(Stage::LastAnswers));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                log_panic(ended);
                continue;
            }
            () = &mut ending => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                if let Some(newcomer) = reception.admit(peer) {
                    L::receive(&mut connections, &reception, socket, newcomer);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted just now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if reception.draining.is_handed_over(reception.number) {
        // What waits is another process's now.
        drop(listener);
    } else {
        for (socket, peer) in listener.queue()? {
            if let Some(newcomer) = reception.admit(peer) {
                L::receive(&mut connections, &reception, socket, newcomer);
            }
        }
    }
    drop(accepts);
    while let Some(ended) = connections.join_next().await {
        log_panic(ended);
    }
    Ok(())
}

/// A connection that begins with HTTP.
async fn plain<R: Respond, S: Transport>(socket: S, newcomer: Newcomer, reception: Rc<Reception<R>>) {
    let watched = reception.ticker.watch();
    serve(socket, newcomer, &reception, watched, false, None).await;
}

/// A connection whose first octets tell what it speaks.
async fn either<R: Respond, S: Transport>(socket: S, newcomer: Newcomer, reception: Rc<Reception<R>>) {
    let watched = reception.ticker.watch();
    tell_apart(socket, newcomer, &reception, watched).await;
}

async fn tell_apart<R: Respond, S: Transport>(
    socket: S,
    newcomer: Newcomer,
    reception: &Reception<R>,
    watched: Watched,
) {
    let limits = reception.hall.limits.get();
    if let Some((begun, is_http2)) = Begun::read(socket, &watched.share(), &limits).await {
        serve(begun, newcomer, reception, watched, is_http2, None).await;
    }
}

/// A connection that begins with a handshake, and perhaps with what a proxy says in front of it.
async fn over_tls<R: Respond>(tls: Tls, socket: TcpStream, newcomer: Newcomer, reception: Rc<Reception<R>>) {
    let watched = reception.ticker.watch();
    let watch = watched.share();
    let newcomer = if reception.proxy_protocol {
        let Some(newcomer) = announced(&socket, newcomer, &reception, &watch).await else { return };
        newcomer
    } else {
        newcomer
    };
    let limit = reception.hall.limits.get().head_timeout;
    if let Some(stream) = tls::handshake(&tls, socket, &watch, limit).await {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::H2);
        let shown = Shown::after(&tls, &stream);
        serve(stream, newcomer, &reception, watched, is_http2, shown).await;
    } else {
        reception.hall.notice(reception.door.entrance(), Event::NotShaken);
    }
}

/// A connection that begins with what a proxy says of its client.
async fn behind_proxy<R: Respond, S: Transport + preamble::Peek>(
    socket: S,
    newcomer: Newcomer,
    reception: Rc<Reception<R>>,
) {
    let watched = reception.ticker.watch();
    let announced = announced(&socket, newcomer, &reception, &watched.share()).await;
    let Some(newcomer) = announced else { return };
    match &reception.door {
        Door::H2c => tell_apart(socket, newcomer, &reception, watched).await,
        Door::Plain | Door::Redirect | Door::Tls(_) => {
            serve(socket, newcomer, &reception, watched, false, None).await;
        }
    }
}

/// The client that a proxy speaks for, in place of the proxy; nothing where the proxy is nobody to
/// listen to, or says nothing that could be understood.
async fn announced<R: Respond>(
    socket: &impl preamble::Peek,
    newcomer: Newcomer,
    reception: &Reception<R>,
    watch: &Watch,
) -> Option<Newcomer> {
    let Newcomer { arrival, seats } = newcomer;
    let peer = arrival.peer;
    if !reception.hall.trusted_proxies.borrow().trusts(peer) {
        tracing::debug!(%peer, "a peer that is no trusted proxy came to where the PROXY protocol is spoken");
        return None;
    }
    let limits = reception.hall.limits.get();
    match preamble::read(socket, watch, limits.head_timeout).await {
        Ok(Some(client)) => match reception.admit_from(client, &limits) {
            Ok(of_address) => Some(Newcomer {
                arrival: Arrival { peer: client, ..arrival },
                seats: Seats { of_address, ..seats },
            }),
            Err(crowded) => {
                reception.turn_away(client, crowded);
                None
            }
        },
        // What follows comes from a client whom nobody knows, or from the proxy itself.
        Ok(None) => Some(Newcomer { arrival: Arrival { is_nameless: true, ..arrival }, seats }),
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection does not begin with the PROXY protocol");
            None
        }
    }
}

async fn serve<R: Respond, S: Transport>(
    socket: S,
    newcomer: Newcomer,
    reception: &Reception<R>,
    watched: Watched,
    is_http2: bool,
    shown: Option<Rc<Shown>>,
) {
    let arrival = Arrival { tls: socket.tls(), ..newcomer.arrival };
    let drain = on_call(reception.draining.clone().reaches(Stage::Closing));
    let hall = Rc::clone(&reception.hall);
    let limits = hall.limits.get();
    if is_http2 {
        let (staff, _seats) = (reception.staff.clone(), newcomer.seats);
        Box::pin(http2::serve(socket, arrival, hall, limits, watched, drain, shown, staff)).await;
    } else {
        http1::serve(socket, arrival, hall, limits, watched, drain, shown, Some(newcomer.seats)).await;
    }
}

/// A panic ends the task it happens in, and is heard of.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a task has panicked");
    }
}
