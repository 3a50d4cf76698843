//! Answers of a hostile app, read by our own HTTP/1.1: a method in the first octet, and whatever the app sends once it has
//! been asked.
//!
//! * Where ours and hyper's client both read a whole answer, it is the same one: status, fields and body.
//! * Ours takes none that hyper refuses.
//! * What the app sends behind its answer is nobody's: the next request gets what was sent for it, and nothing else.

use std::cell::Cell;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use member_gateway::deadline::Ticker;
use member_gateway::field_lines::Lines;
use member_gateway::message::Fields;
use member_gateway::upstream::body::RequestBody;
use member_gateway::upstream::outgoing::{Outgoing, Traits};
use member_gateway::upstream::target::Target;
use member_gateway::upstream::{Balance, Pool, Protocol, Reuse, Settings, Timeouts, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

const METHODS: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];
/// As many as ours takes: where one has had enough and the other not is no difference in reading.
const MOST_FIELDS: usize = 128;
const NEXT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext";

/// An answer that was read to its end.
type Whole = (StatusCode, HeaderMap, Vec<u8>);

struct Stage {
    runtime: LocalRuntime,
    listener: UnixListener,
    upstream: Upstream,
}

fn stage() -> io::Result<Stage> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let path: PathBuf = std::env::temp_dir().join(format!("member-gateway-fuzz-{}-app", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = StdListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    let _context = runtime.enter();
    let listener = UnixListener::from_std(listener)?;
    drop(_context);
    let seconds = Duration::from_secs;
    let settings = Settings {
        targets: vec![Target::parse(&format!("unix:{}", path.display())).map_err(io::Error::other)?],
        balance: Balance::LeastBusy,
        protocol: Protocol::Http1,
        tls: None,
        health: None,
        timeouts: Timeouts { connect: seconds(20), first_byte: seconds(20), idle: seconds(20) },
        reuse: Reuse::default(),
        in_flight: 100,
    };
    Ok(Stage { runtime, listener, upstream: Upstream::new(settings) })
}

thread_local! {
    static STAGE: Stage = stage().expect("a runtime and a socket");
}

pub fn run(bytes: &[u8]) {
    let Some((first, answer)) = bytes.split_first() else { return };
    let method = &METHODS[usize::from(first % 4)];
    STAGE.with(|Stage { runtime, listener, upstream }| {
        runtime.block_on(async {
            let (ours, next) = ours(upstream, listener, method, answer).await;
            assert_eq!(next, b"next", "the next request got what was left of the answer before");
            let Some(ours) = ours else { return };
            let theirs = theirs(method, answer).await;
            assert_eq!(Some(ours), theirs, "hyper reads another answer, or none");
        });
    });
}

/// What our client makes of it, and what the request behind it gets.
async fn ours(
    upstream: &Upstream,
    listener: &UnixListener,
    method: &Method,
    answer: &[u8],
) -> (Option<Whole>, Vec<u8>) {
    let ticker = Ticker::default();
    let pool = Pool::new(upstream.clone(), &ticker, Rc::new(|_| true));
    let watched = ticker.watch();
    let ask = async |method: &Method| -> Option<Whole> {
        let body = if method == Method::POST {
            RequestBody::full(Bytes::from_static(b"b"))
        } else {
            RequestBody::empty()
        };
        let target = PathAndQuery::from_static("/");
        let mut head = pool.head(method, &target);
        head.text(&HOST, b"a");
        let mut request = Outgoing::new(method.clone(), head, body, None, Traits::default(), Fields::new());
        let answer = pool.forward(&mut request, &watched.share(), &Cell::default()).await.ok()?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return None;
        }
        let (head, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes().to_vec();
        Some((head.status, head.headers.into(), body))
    };
    let client = async {
        let whole = ask(method).await;
        (whole, ask(&Method::GET).await.map(|(.., body)| body).unwrap_or_default())
    };
    let said = Rc::new(Cell::new(false));
    tokio::select! {
        done = client => done,
        () = app(listener, answer, &said) => unreachable!("the app does not end"),
    }
}

/// An app that says what it is to say, once, and from then on what is right.
async fn app(listener: &UnixListener, answer: &[u8], said: &Cell<bool>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        converse(socket, answer, said).await;
    }
}

async fn converse(mut socket: UnixStream, answer: &[u8], said: &Cell<bool>) {
    let mut read = Vec::new();
    while socket.read_buf(&mut read).await.is_ok_and(|count| count > 0) {
        if !read.windows(4).any(|window| window == b"\r\n\r\n") {
            continue;
        }
        read.clear();
        let is_first = !said.replace(true);
        if socket.write_all(if is_first { answer } else { NEXT }).await.is_err() {
            return;
        }
        // An answer without a length needs an end. Whoever has had enough already asks over this connection, or closes it.
        if is_first {
            let mut piece = [0; 1024];
            tokio::select! {
                biased;
                count = socket.read(&mut piece) => match count {
                    Ok(count) if count > 0 => {
                        if socket.write_all(NEXT).await.is_err() {
                            return;
                        }
                    }
                    Ok(_) | Err(_) => return,
                },
                () = idle() => return,
            }
        }
    }
}

/// Everybody else has had a turn, several times, and still waits.
async fn idle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

/// What hyper's client makes of it.
async fn theirs(method: &Method, answer: &[u8]) -> Option<Whole> {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let mut client = hyper::client::conn::http1::Builder::new();
    client.max_headers(MOST_FIELDS);
    let (mut sender, connection) = client.handshake(TokioIo::new(near)).await.ok()?;
    let request =
        Request::builder().method(method).uri("/").header("host", "a").body(Empty::<Bytes>::new()).ok()?;
    let reading = async {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes().to_vec();
        Some((head.status, head.headers, body))
    };
    let app = async {
        let mut read = [0; 1024];
        let _ = far.read(&mut read).await;
        let _ = far.write_all(answer).await;
        let _ = far.shutdown().await;
    };
    let (whole, (), _) = tokio::join!(reading, app, connection);
    whole
}

/// Keeps the socket's file from outliving its process.
impl Drop for Stage {
    fn drop(&mut self) {
        if let Ok(address) = self.listener.local_addr()
            && let Some(path) = address.as_pathname()
        {
            let _ = std::fs::remove_file(path);
        }
    }
}
