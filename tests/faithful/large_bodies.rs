//! Bodies of 1 GiB, up and down: every byte arrives where it belongs, and the gateway's memory does not notice.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::harness::{RawUpstream, Wire};
use crate::site::{NAME, Site};

/// 1 GiB.
const SIZE: usize = 1 << 30;
/// What the gateway may take more while it carries, in KiB.
const FLAT: u64 = 64 * 1024;

/// Bytes that repeat after a prime number of them: what is lost, doubled or misplaced does not fit, whatever the sizes of
/// the buffers on its way are.
struct Pattern(Vec<u8>);

impl Pattern {
    const LENGTH: usize = 65_521;

    fn new() -> Self {
        let one = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
        // Three of them, to take a slice from anywhere in the first.
        Self((0..Self::LENGTH).map(one).collect::<Vec<_>>().repeat(3))
    }

    fn at(&self, position: usize, length: usize) -> &[u8] {
        &self.0[position % Self::LENGTH..][..length]
    }

    /// Writes so much of it.
    fn write(&self, size: usize, to: &mut impl Write) -> io::Result<()> {
        let mut written = 0;
        while written < size {
            let length = Self::LENGTH.min(size - written);
            to.write_all(self.at(written, length))?;
            written += length;
        }
        to.flush()
    }

    /// Reads to the end; how much of it there was.
    fn read(&self, from: &mut impl Read) -> usize {
        let (mut buffer, mut read) = (vec![0; Self::LENGTH], 0);
        loop {
            let length = from.read(&mut buffer).unwrap();
            if length == 0 {
                return read;
            }
            assert!(buffer[..length] == *self.at(read, length), "other bytes than were sent, after {read}");
            read += length;
        }
    }
}

/// An app that answers `GET /public/SIZE` with so much of the pattern, and `POST` with how much of it there was.
fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(socket));
        }
    });
    address
}

fn serve(mut socket: TcpStream) {
    let pattern = Pattern::new();
    let mut reader = BufReader::with_capacity(1 << 17, socket.try_clone().unwrap());
    let head = head(&mut reader);
    if head.starts_with("GET") {
        let size = head.split([' ', '/']).find_map(|part| part.parse().ok()).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        pattern.write(size, &mut socket).unwrap();
        return;
    }
    let read = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        pattern.read(&mut Chunks { from: reader, left: 0, ended: false })
    } else {
        pattern.read(&mut reader.take(SIZE as u64))
    };
    let count = read.to_string();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{count}", count.len());
    socket.write_all(answer.as_bytes()).unwrap();
}

fn head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "no head: {head}");
    }
    head
}

/// What is in the chunks of a body (RFC 9112 §7.1), without trailers.
struct Chunks<R> {
    from: R,
    left: usize,
    ended: bool,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            let mut line = String::new();
            self.from.read_line(&mut line)?;
            self.left = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            self.ended = self.left == 0;
        }
        let length = self.left.min(buffer.len());
        let read = self.from.read(&mut buffer[..length])?;
        self.left -= read;
        if self.left == 0 && !self.ended {
            self.from.read_exact(&mut [0; 2])?;
        }
        Ok(read)
    }
}

fn download(address: SocketAddr) {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET /public/{SIZE} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n").unwrap();
    let mut reader = BufReader::with_capacity(1 << 17, socket);
    assert!(head(&mut reader).starts_with("HTTP/1.1 200 "));
    assert_eq!(Pattern::new().read(&mut reader), SIZE);
}

fn upload(address: SocketAddr) {
    let mut socket = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /public/up HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {SIZE}\r\nConnection: close\r\n"
    );
    write!(socket, "{head}\r\n").unwrap();
    Pattern::new().write(SIZE, &mut socket).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!("\r\n\r\n{SIZE}")), "{answer}");
}

/// curl over HTTP/2 and TLS.
fn curl(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--http2", "--no-buffer", "--cacert"]);
    command.arg(site.authority()).args(["--connect-to", &format!("{NAME}:443:{}", site.secure)]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn download_by_curl(site: &Site) {
    let mut curl = curl(site, &[&format!("https://{NAME}/public/{SIZE}")]).spawn().unwrap();
    let read = Pattern::new().read(&mut curl.stdout.take().unwrap());
    assert!(curl.wait().unwrap().success());
    assert_eq!(read, SIZE);
}

fn upload_by_curl(site: &Site) {
    let arguments = ["--request", "POST", "--upload-file", "-", &format!("https://{NAME}/public/up")];
    let mut curl = curl(site, &arguments).spawn().unwrap();
    Pattern::new().write(SIZE, &mut curl.stdin.take().unwrap()).unwrap();
    let ended = curl.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert_eq!(String::from_utf8_lossy(&ended.stdout), SIZE.to_string());
}

/// Does it, and sees to it that memory stays where it was.
fn with_flat_memory(site: &Site, what: &str, work: impl FnOnce()) {
    site.forget_memory();
    let before = site.memory();
    work();
    let most = site.most_memory();
    println!("{what}: {before} KiB before, {most} KiB at most");
    assert!(most < before + FLAT, "{what}: {before} KiB before, {most} KiB at most");
}

#[test]
fn a_gibibyte_goes_up_while_another_comes_down_and_memory_stays_flat() {
    let site = Site::in_front_of(app(), "");

    with_flat_memory(&site, "1 GiB each way over HTTP/1.1", || {
        std::thread::scope(|scope| {
            scope.spawn(|| upload(site.plain));
            download(site.plain);
        });
    });
}

#[test]
fn over_http2_and_tls_too_a_gibibyte_goes_each_way_and_memory_stays_flat() {
    let site = Site::in_front_of(app(), "");

    with_flat_memory(&site, "1 GiB each way over HTTP/2 and TLS", || {
        std::thread::scope(|scope| {
            scope.spawn(|| upload_by_curl(&site));
            download_by_curl(&site);
        });
    });
}

#[test]
fn whoever_does_not_read_holds_the_other_side_up_and_not_the_memory() {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let waiting = Arc::clone(&gate);
    // Tells how much it could write of what nobody reads.
    let (app, taken) = RawUpstream::telling(move |wire| {
        if wire.head().starts_with("POST") {
            // Reads no more until the test is over.
            drop(waiting.lock());
            return 0;
        }
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        wire.send_while_taken(SIZE)
    });
    let site = Site::in_front_of(app.address(), "");
    let upload = || {
        let mut wire = Wire::to(site.plain);
        wire.send(format!("POST /public/up HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {SIZE}\r\n\r\n"));
        wire.send_while_taken(SIZE)
    };

    with_flat_memory(&site, "eight of each way that nobody reads", || {
        let clients: Vec<Wire> = (0..8).map(|_| asks_to_read(&site)).collect();
        let uploads: Vec<usize> = std::thread::scope(|scope| {
            let sending: Vec<_> = (0..8).map(|_| scope.spawn(upload)).collect();
            sending.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let answers: Vec<usize> = clients.iter().map(|_| taken.recv().unwrap()).collect();
        println!("written of 1 GiB: up {uploads:?}, down {answers:?}");
        assert!(uploads.iter().chain(&answers).all(|&taken| taken < SIZE / 16));
    });
    drop(closed);
}

/// Pieces of a few octets are put together before they are written, and there too somebody has to stop.
#[test]
fn whoever_reads_no_small_chunks_holds_the_sender_up_and_not_the_memory() {
    const MOST: usize = 64 * 1024 * 1024;
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let waiting = Arc::clone(&gate);
    let (app, _) = RawUpstream::telling(move |wire| {
        wire.head();
        drop(waiting.lock());
    });
    let site = Site::in_front_of(app.address(), "");

    let mut wire = Wire::to(site.plain);
    wire.send(format!("POST /public/up HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n"));
    let taken = wire.send_again_while_taken(
        b"40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n",
        MOST,
    );

    println!("written in chunks of 64 octets: {taken}");
    assert!(taken < MOST / 2, "{taken}");
    drop(closed);
}

/// A client that asks for the large answer and reads nothing of it.
fn asks_to_read(site: &Site) -> Wire {
    let mut wire = Wire::to(site.plain);
    wire.send(format!("GET /public/down HTTP/1.1\r\nHost: {NAME}\r\n\r\n"));
    wire
}
