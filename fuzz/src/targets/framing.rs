//! Framing of HTTP/1.1: what a client sends over a connection, octet for octet.
//!
//! * The verdict and its place are the same however the octets are cut.
//! * Of what is well framed hyper counts the same requests, or refuses; of what is not, it never counts more than came
//!   before the breach.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use member_gateway::server::framing::Framing;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// What hyper is given in place of what is not well framed: it answers everything before, then 400, and closes.
const POISON: &[u8] = b"\0\n\r\n\r\n";

/// How many heads were seen, and where it broke.
fn follow<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (u64, Option<(usize, String)>) {
    let mut framing = Framing::new();
    let mut before = 0;
    for part in parts {
        if let Err(breach) = framing.follow(part) {
            return (framing.heads_seen(), Some((before + breach.sound, format!("{:?}", breach.violation))));
        }
        before += part.len();
    }
    (framing.heads_seen(), None)
}

pub fn run(bytes: &[u8]) {
    let whole = follow([bytes]);
    assert_eq!(follow(bytes.chunks(1)), whole, "octet by octet");
    assert_eq!(follow(bytes.chunks(7)), whole, "seven at a time");
    let (heads, breach) = whole;
    // Behind a request for an upgrade nothing is read as a request.
    if bytes.windows(7).any(|window| window.eq_ignore_ascii_case(b"upgrade")) {
        return;
    }
    let mut given = bytes.to_vec();
    if let Some((sound, _)) = &breach {
        given.truncate(*sound);
        given.extend_from_slice(POISON);
    }
    let counted = served(&given);
    assert!(counted <= heads, "hyper sees {counted} requests, and framing {heads}: {}", bytes.escape_ascii());
}

/// How many requests hyper finds, of which it reads the bodies.
fn served(bytes: &[u8]) -> u64 {
    static RUNTIME: OnceLock<Mutex<Runtime>> = OnceLock::new();
    let runtime =
        RUNTIME.get_or_init(|| Mutex::new(Builder::new_current_thread().build().expect("a runtime")));
    let runtime = runtime.lock().unwrap_or_else(PoisonError::into_inner);
    let count = Rc::new(Cell::new(0));
    let service = service_fn(|request: Request<Incoming>| {
        count.set(count.get() + 1);
        async move {
            let _ = request.into_body().collect().await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(Given(bytes)), service);
    let _ = runtime.block_on(connection);
    count.get()
}

/// What a client has sent; what it is sent is thrown away.
struct Given<'a>(&'a [u8]);

impl AsyncRead for Given<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let (here, rest) = self.0.split_at(self.0.len().min(buf.remaining()));
        buf.put_slice(here);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Given<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
