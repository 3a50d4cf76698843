//! Bytes as they are: a connection somebody writes by hand, and an upstream made of such connections that keeps every
//! byte it was sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than anything here takes, shorter than anybody's patience.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

type Bytes = Arc<Mutex<Vec<u8>>>;

/// One end of a connection.
pub struct Wire {
    socket: TcpStream,
    unread: Vec<u8>,
    /// Where every byte that arrives is kept.
    received: Bytes,
}

impl Wire {
    /// A connection to this address.
    pub fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, unread: Vec::new(), received: Arc::default() }
    }

    /// The same connection once more, for another thread to write to.
    pub fn another(&self) -> Self {
        Self::over(self.socket.try_clone().unwrap())
    }

    /// Writes. Whether the other side is still there shows when it is read from.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.socket.write_all(bytes.as_ref());
    }

    /// Reads up to and including `end`; fails where it does not come.
    pub fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end.as_bytes()) {
                let found = self.unread.drain(..at + end.len()).collect();
                return String::from_utf8(found).unwrap();
            }
            let more = self.read();
            assert!(more, "{end:?} does not come after {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// Reads a head; none, where the connection ends before anything comes.
    pub fn head_or_end(&mut self) -> Option<String> {
        if self.unread.is_empty() && !self.read() {
            return None;
        }
        Some(self.head())
    }

    /// Reads a head.
    pub fn head(&mut self) -> String {
        self.until("\r\n\r\n")
    }

    /// Reads so many bytes.
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.read(), "{} of {length} bytes", self.unread.len());
        }
        self.unread.drain(..length).collect()
    }

    /// Reads to the end of the connection, be it a clean one or not; fails where it stays open.
    pub fn rest(&mut self) -> String {
        while self.read() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Reads an answer with a `Content-Length`, or none.
    pub fn answer(&mut self) -> (String, String) {
        let head = self.head();
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").map(|length| length.trim().parse().unwrap())
        });
        let body = self.exactly(length.unwrap_or_default());
        (head, String::from_utf8(body).unwrap())
    }

    /// Writes zeros until so many are written or the other side takes no more; says how many it has taken.
    pub fn send_while_taken(&mut self, length: usize) -> usize {
        self.send_again_while_taken(&[0], length)
    }

    /// Writes this again and again, until so much is written or the other side takes no more; says how much it has taken.
    pub fn send_again_while_taken(&mut self, piece: &[u8], length: usize) -> usize {
        let many = piece.repeat((64 * 1024 / piece.len()).max(1));
        self.socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut taken = 0;
        while taken < length {
            let rest = &many[taken % many.len()..];
            match self.socket.write(&rest[..rest.len().min(length - taken)]) {
                Ok(more) => taken += more,
                Err(_) => break,
            }
        }
        self.socket.set_write_timeout(Some(PATIENCE)).unwrap();
        taken
    }

    /// Whether something arrives within this time.
    pub fn hears_within(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut byte = [0];
        let heard = !self.unread.is_empty() || matches!(self.socket.peek(&mut byte), Ok(1));
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        heard
    }

    /// Whether the other side closes within this time, whatever it still says.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let closed = match self.socket.read(&mut [0; 1024]) {
            Ok(length) => length == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        closed
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    fn read(&mut self) -> bool {
        let mut bytes = [0; 64 * 1024];
        match self.socket.read(&mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                self.received.lock().unwrap().extend_from_slice(&bytes[..length]);
                self.unread.extend_from_slice(&bytes[..length]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("silence after {:?}", String::from_utf8_lossy(&self.unread))
            }
            Err(_) => false,
        }
    }
}

/// An upstream whose every connection is served by hand.
pub struct RawUpstream {
    address: SocketAddr,
    /// One for each connection.
    received: Arc<Mutex<Vec<Bytes>>>,
}

impl RawUpstream {
    /// Gives each connection to `serve`, on a thread of its own; it is closed when that returns.
    pub fn serving(serve: impl Fn(&mut Wire) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Vec<_>>>::default();
        let remembered = Arc::clone(&received);
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let mut wire = Wire::over(socket);
                remembered.lock().unwrap().push(Arc::clone(&wire.received));
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(&mut wire));
            }
        });
        Self { address, received }
    }

    /// The same, where each connection has something to tell the test.
    pub fn telling<T: Send + 'static>(
        serve: impl Fn(&mut Wire) -> T + Send + Sync + 'static,
    ) -> (Self, mpsc::Receiver<T>) {
        let (tell, told) = mpsc::channel();
        let tell: Mutex<mpsc::Sender<T>> = Mutex::new(tell);
        let upstream = Self::serving(move |wire| {
            let word = serve(wire);
            let _ = tell.lock().unwrap().send(word);
        });
        (upstream, told)
    }

    /// Reads head after head, without bodies, and gives each this answer.
    pub fn answering(answer: &'static str) -> Self {
        Self::serving(move |wire| {
            while wire.hears_within(PATIENCE) {
                wire.head();
                wire.send(answer);
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came over each connection, byte for byte.
    pub fn received(&self) -> Vec<String> {
        let all = self.received.lock().unwrap();
        all.iter().map(|one| String::from_utf8_lossy(&one.lock().unwrap()).into_owned()).collect()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

/// Waits until something is so; fails where it never is.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
