//! Load: clients that ask and ask, over connections that last and over new ones, and what went wrong for them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything here takes, shorter than anybody's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A connection with what was read of it and not yet used.
struct Line {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Line {
    fn over(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, unread: Vec::new() })
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.unread.extend_from_slice(&bytes[..length]);
                Ok(())
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.fill()?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn head(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.unread.drain(..at + 4).collect();
                return String::from_utf8(head).map_err(io::Error::other);
            }
            self.fill()?;
        }
    }
}

/// An app that answers everything with two bytes, and repeats what comes over a WebSocket.
pub(crate) fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(socket));
        }
    });
    address
}

fn answer(socket: TcpStream) -> io::Result<()> {
    let mut line = Line::over(socket)?;
    line.socket.set_read_timeout(None)?;
    loop {
        let head = line.head()?;
        if head.contains("websocket") {
            line.socket.write_all(SWITCHING)?;
            loop {
                if line.unread.is_empty() {
                    line.fill()?;
                }
                let bytes = std::mem::take(&mut line.unread);
                line.socket.write_all(&bytes)?;
            }
        }
        line.socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
}

/// What the clients have seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) answers: AtomicUsize,
    pub(crate) echoes: AtomicUsize,
    pub(crate) failures: Mutex<Vec<String>>,
    /// How long each answer took, in microseconds.
    waits: Mutex<Vec<u32>>,
}

impl Seen {
    /// How long answers took since somebody asked last: half of them, 99 of 100, and all, in milliseconds.
    pub(crate) fn waits(&self) -> String {
        let mut waits = std::mem::take(&mut *self.waits.lock().unwrap());
        waits.sort_unstable();
        let at = |hundredths: usize| {
            let index = (waits.len() * hundredths / 100).min(waits.len().saturating_sub(1));
            f64::from(waits.get(index).copied().unwrap_or_default()) / 1000.0
        };
        format!("p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms of {}", at(50), at(99), at(100), waits.len())
    }

    /// Nothing has failed, and something was done.
    pub(crate) fn is_flawless(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        assert!(self.answers.load(Ordering::Relaxed) > 0);
    }
}

/// Clients that are at it.
pub(crate) struct Load {
    seen: Arc<Seen>,
    enough: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Clients with lasting connections, others with one for each request, and WebSockets, none of which the gateway may
    /// close.
    pub(crate) fn on(address: SocketAddr, lasting: usize, fresh: usize, websockets: usize) -> Self {
        Self::of(
            [
                ("lasting", lasting, ask_for_ever),
                ("fresh", fresh, ask_anew),
                ("websocket", websockets, echo_for_ever),
            ],
            address,
        )
    }

    /// The same of a process that ends: it may say with an answer that it is the last, and close a WebSocket in order.
    pub(crate) fn on_one_that_ends(
        address: SocketAddr,
        lasting: usize,
        fresh: usize,
        websockets: usize,
    ) -> Self {
        Self::of(
            [("lasting", lasting, ask_on), ("fresh", fresh, ask_anew), ("websocket", websockets, echo_on)],
            address,
        )
    }

    /// Clients with lasting connections, each to one of these addresses, who send these fields along.
    pub(crate) fn with_fields(addresses: &[SocketAddr], clients: usize, fields: &str) -> Self {
        let (seen, enough) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let clients = (0..clients).map(|number| {
            let (seen, enough, fields) = (Arc::clone(&seen), Arc::clone(&enough), fields.to_owned());
            let address = addresses[number % addresses.len()];
            std::thread::spawn(move || {
                if let Err(error) = keep_asking(address, &fields, &seen, &enough) {
                    seen.failures.lock().unwrap().push(error.to_string());
                }
            })
        });
        let clients = clients.collect();
        Self { seen, enough, clients }
    }

    /// Clients with lasting connections, each of which asks until nobody listens at the address any more.
    pub(crate) fn until_refused(address: SocketAddr, lasting: usize) -> Self {
        Self::of(
            [("lasting", lasting, ask_until_refused), ("fresh", 0, ask_anew), ("websocket", 0, echo_on)],
            address,
        )
    }

    fn of(kinds: [(&'static str, usize, Client); 3], address: SocketAddr) -> Self {
        let (seen, enough) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let mut clients = Vec::new();
        for (kind, number, client) in kinds {
            for _ in 0..number {
                let (seen, enough) = (Arc::clone(&seen), Arc::clone(&enough));
                clients.push(std::thread::spawn(move || {
                    if let Err(error) = client(address, &seen, &enough) {
                        seen.failures.lock().unwrap().push(format!("{kind}: {error}"));
                    }
                }));
            }
        }
        Self { seen, enough, clients }
    }

    /// Waits until so many more answers have come.
    pub(crate) fn goes_on_for(&self, answers: usize) {
        let until = self.seen.answers.load(Ordering::Relaxed) + answers;
        let deadline = Instant::now() + PATIENCE;
        while self.seen.answers.load(Ordering::Relaxed) < until {
            let failures = self.seen.failures.lock().unwrap();
            assert!(failures.is_empty(), "{failures:?}");
            drop(failures);
            assert!(Instant::now() < deadline, "nothing is answered any more");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until so much time has passed, and answers have come all the while.
    pub(crate) fn goes_on_during(&self, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time {
            self.goes_on_for(20);
        }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Ends it: what was seen.
    pub(crate) fn end(self) -> Arc<Seen> {
        self.enough.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        self.seen
    }
}

type Client = fn(SocketAddr, &Seen, &AtomicBool) -> io::Result<()>;

const HOST: &str = "Host: members.localhost\r\n";

/// Asks and reads the answer; whether the connection goes on.
fn ask(line: &mut Line, fields: &str, seen: &Seen) -> io::Result<bool> {
    let since = Instant::now();
    line.socket.write_all(format!("GET /a HTTP/1.1\r\n{HOST}{fields}\r\n").as_bytes())?;
    let head = line.head()?;
    if !head.starts_with("HTTP/1.1 200 ") || line.exactly(2)? != b"ok" {
        return Err(io::Error::other(head));
    }
    seen.answers.fetch_add(1, Ordering::Relaxed);
    seen.waits.lock().unwrap().push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
    Ok(!head.to_ascii_lowercase().contains("connection: close"))
}

/// Over connections, each for as long as the gateway wants to.
fn ask_on(address: SocketAddr, seen: &Seen, enough: &AtomicBool) -> io::Result<()> {
    while !enough.load(Ordering::Relaxed) {
        let mut line = Line::over(TcpStream::connect(address)?)?;
        while ask(&mut line, "", seen)? && !enough.load(Ordering::Relaxed) {}
    }
    Ok(())
}

/// The same, until a new connection is refused, which is no failure. One that came between the last look at the queue and the
/// end of the socket is refused by a reset, and the next worker's socket may still be there: whoever has said nothing yet has
/// lost nothing.
fn ask_until_refused(address: SocketAddr, seen: &Seen, enough: &AtomicBool) -> io::Result<()> {
    let is_over = || {
        let since = Instant::now();
        let mut is_refused = false;
        while !is_refused && since.elapsed() < Duration::from_secs(5) {
            is_refused = TcpStream::connect(address).is_err();
            std::thread::sleep(Duration::from_millis(2));
        }
        is_refused
    };
    while !enough.load(Ordering::Relaxed) {
        let socket = match TcpStream::connect(address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && is_over() => return Ok(()),
            socket => socket?,
        };
        let mut line = Line::over(socket)?;
        let goes_on = match ask(&mut line, "", seen) {
            Err(_) if line.unread.is_empty() && is_over() => return Ok(()),
            goes_on => goes_on?,
        };
        if goes_on {
            while ask(&mut line, "", seen)? && !enough.load(Ordering::Relaxed) {}
        }
    }
    Ok(())
}

/// Over one connection, which nothing may end.
fn ask_for_ever(address: SocketAddr, seen: &Seen, enough: &AtomicBool) -> io::Result<()> {
    keep_asking(address, "", seen, enough)
}

fn keep_asking(address: SocketAddr, fields: &str, seen: &Seen, enough: &AtomicBool) -> io::Result<()> {
    let mut line = Line::over(TcpStream::connect(address)?)?;
    while !enough.load(Ordering::Relaxed) {
        if !ask(&mut line, fields, seen)? {
            return Err(io::Error::other("the gateway wants no more requests over this connection"));
        }
    }
    Ok(())
}

/// Over a connection for each request.
fn ask_anew(address: SocketAddr, seen: &Seen, enough: &AtomicBool) -> io::Result<()> {
    while !enough.load(Ordering::Relaxed) {
        ask(&mut Line::over(TcpStream::connect(address)?)?, "Connection: close\r\n", seen)?;
    }
    Ok(())
}

/// Over WebSockets, each until the gateway closes it in order, as it may when its process ends.
fn echo_on(address: SocketAddr, seen: &Seen, enough: &AtomicBool) -> io::Result<()> {
    while !enough.load(Ordering::Relaxed) {
        echo(address, seen, enough)?;
    }
    Ok(())
}

/// Over one WebSocket, which nothing may close.
fn echo_for_ever(address: SocketAddr, seen: &Seen, enough: &AtomicBool) -> io::Result<()> {
    match echo(address, seen, enough)? {
        Closed::ByUs => Ok(()),
        Closed::ByTheGateway => Err(io::Error::other("the gateway closes a WebSocket")),
    }
}

/// Who was the first to want a WebSocket closed.
enum Closed {
    ByUs,
    ByTheGateway,
}

/// Over one WebSocket, while it is open.
fn echo(address: SocketAddr, seen: &Seen, enough: &AtomicBool) -> io::Result<Closed> {
    const FRAME: [u8; 7] = [0x81, 0x81, 0, 0, 0, 0, b'x'];
    const GOING_AWAY: [u8; 4] = [0x88, 2, 3, 0xe9];
    let mut line = Line::over(TcpStream::connect(address)?)?;
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    line.socket.write_all(format!("GET /chat HTTP/1.1\r\n{HOST}{fields}\r\n").as_bytes())?;
    let head = line.head()?;
    if !head.starts_with("HTTP/1.1 101 ") {
        return Err(io::Error::other(head));
    }
    while !enough.load(Ordering::Relaxed) {
        line.socket.write_all(&FRAME)?;
        let mut frame = line.exactly(4)?;
        if frame == GOING_AWAY {
            // The answer to it; what becomes of the last frame nobody has promised.
            let _ = line.socket.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]);
            return Ok(Closed::ByTheGateway);
        }
        frame.extend(line.exactly(3)?);
        if frame != FRAME {
            return Err(io::Error::other(format!("{frame:?}")));
        }
        seen.echoes.fetch_add(1, Ordering::Relaxed);
        // Many may be open at a time, and they are not what is measured.
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Closed::ByUs)
}
