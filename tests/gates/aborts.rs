//! Gate R16: clients who leave, at every octet of what they say and at any time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::harness::{Gateway, Options, eventually};
use crate::{metrics, scaled};

const ABORTS: usize = scaled(1_500, 100_000);
const UPLOAD: &str = "POST /public/a HTTP/1.1\r\nHost: members.localhost\r\nTransfer-Encoding: chunked\r\n\
                      Trailer: X-Check\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Check: 1\r\n\r\n";

/// How each request ends as it comes to the app.
const END: &[u8] = b"\r\n0\r\n\r\n";

/// An app that reads what it is sent, answers in pieces, and counts the requests that it has read to the end.
struct App {
    address: SocketAddr,
    complete: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl App {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (complete, connections) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (counts, opened) = (Arc::clone(&complete), Arc::clone(&connections));
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                opened.fetch_add(1, Ordering::Relaxed);
                let counts = Arc::clone(&counts);
                std::thread::spawn(move || serve(socket, &counts));
            }
        });
        Self { address, complete, connections }
    }

    fn complete(&self) -> usize {
        self.complete.load(Ordering::Relaxed)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn serve(mut socket: TcpStream, complete: &AtomicUsize) -> io::Result<()> {
    let piece = format!("800\r\n{}\r\n", "a".repeat(0x800));
    let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", piece.repeat(4));
    let mut unread = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = unread.windows(END.len()).position(|window| window == END) {
                break at + END.len();
            }
            let mut bytes = [0; 4096];
            match socket.read(&mut bytes)? {
                0 => return Ok(()),
                length => unread.extend_from_slice(&bytes[..length]),
            }
        };
        unread.drain(..end);
        complete.fetch_add(1, Ordering::Relaxed);
        socket.write_all(answer.as_bytes())?;
    }
}

fn gateway(app: &App) -> Gateway {
    Gateway::with(&Options {
        server: "admin_listen = \"127.0.0.1:0\"\nlimits = { login_starts = 1000000 }",
        provider: "timeout = \"2s\"",
        upstream: Some(app.address),
        ..Options::USUAL
    })
}

/// Nothing of it is left in the gateway.
fn is_at_rest(gateway: &Gateway) -> bool {
    let admin = gateway.admin();
    // The connection that asks is the admin address's own, and does not count.
    metrics::sum(admin, "member_gateway_requests_in_flight", &[]) < 0.5
        && metrics::sum(admin, "member_gateway_connections_open", &[]) < 0.5
}

fn reset(socket: &TcpStream) {
    socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Says the beginning of it, reads so much of what comes, and leaves: with a word (FIN) or without (RST).
fn leave(address: SocketAddr, said: &[u8], reads: usize, rudely: bool) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(said).unwrap();
    let _ = socket.read_exact(&mut vec![0; reads]);
    if rudely {
        reset(&socket);
    }
}

#[test]
fn whoever_leaves_at_any_octet_leaves_nothing_behind() {
    let app = App::start();
    let gateway = gateway(&app);
    for at in 0..=UPLOAD.len() {
        for rudely in [false, true] {
            leave(gateway.address(), &UPLOAD.as_bytes()[..at], 0, rudely);
        }
    }
    eventually("nothing is left", || is_at_rest(&gateway));
    // Each request that the app has seen in full is one that somebody sent in full.
    let complete = app.complete();
    println!("R16 {} left at every octet, {complete} requests were complete", 2 * (UPLOAD.len() + 1));
    assert!(complete <= 2, "{complete}");
    assert!(
        gateway
            .raw(UPLOAD.replace("\r\n\r\n5", "\r\nConnection: close\r\n\r\n5"))
            .starts_with("HTTP/1.1 200 ")
    );
}

#[test]
fn whoever_leaves_at_any_time_leaves_nothing_behind() {
    let app = App::start();
    let gateway = gateway(&app);
    let address = gateway.address();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in (thread..ABORTS).step_by(4) {
                    // Anywhere in the request, and anywhere in the answer of some 8 KiB.
                    let said = UPLOAD.len() - (number * 7) % 40;
                    let reads = if said == UPLOAD.len() { (number * 131) % 8_000 } else { 0 };
                    leave(address, &UPLOAD.as_bytes()[..said], reads, number % 3 == 0);
                }
            });
        }
    });
    eventually("nothing is left", || is_at_rest(&gateway));
    println!("R16 {ABORTS} left at any time; {} connections to the app in all", app.connections());
    assert!(
        gateway
            .raw(UPLOAD.replace("\r\n\r\n5", "\r\nConnection: close\r\n\r\n5"))
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_the_vendor_is_asked_leaves_no_call_behind() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut coming = Vec::new();
    for _ in 0..scaled(70, 300) {
        let mut browser = gateway.browser();
        let callback = browser.up_to_the_callback("/").await;
        coming.push((callback, browser.cookies_of_attempts()));
    }
    gateway.daxko().faults().always(Endpoint::MemberToken, Fault::NoAnswer);
    let before = gateway.exchanges();
    for (callback, cookies) in coming {
        let path = callback.split_once("members.localhost").map_or(callback.as_str(), |(_, path)| path);
        let head = format!("GET {path} HTTP/1.1\r\nHost: members.localhost\r\nCookie: {cookies}\r\n\r\n");
        let asked = gateway.exchanges();
        let mut socket = TcpStream::connect(gateway.address()).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        // The breaker may leave the vendor alone meanwhile; then there is an answer instead of a call.
        socket.set_nonblocking(true).unwrap();
        eventually("the vendor is asked, or not", || {
            gateway.exchanges() > asked || socket.peek(&mut [0]).is_ok()
        });
        reset(&socket);
    }
    eventually("nothing is left", || is_at_rest(&gateway));
    println!("R16 {} calls were begun for browsers that left", gateway.exchanges() - before);
    assert!(gateway.exchanges() > before);
    // Had they kept their places, none of the 64 would be free.
    gateway.daxko().faults().clear();
    gateway.later(60);
    gateway.member().await;
}
