//! An upstream of this decade: TLS, HTTP/2, bodies that stream, and an answer that can take its time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A body whose pieces are sent when somebody sends them.
pub struct Pieces(mpsc::Receiver<Frame<Bytes>>);

impl Pieces {
    pub fn channel() -> (mpsc::Sender<Frame<Bytes>>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self(receiver))
    }

    /// One that is there already.
    pub fn whole(text: &'static str) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        if !text.is_empty() {
            sender.try_send(Frame::data(Bytes::from_static(text.as_bytes()))).unwrap();
        }
        Self(receiver)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(Ok))
    }
}

/// A running upstream.
pub struct Modern {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<Parts>>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Modern {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Modern {
    /// HTTP/2 without TLS, by prior knowledge.
    pub fn plain<R>(answer: impl Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static) -> Self
    where
        R: Future<Output = Response<Pieces>> + Send + 'static,
    {
        Self::start(None, u32::MAX, answer)
    }

    /// The same, with so many streams at a time on one connection.
    pub fn narrow<R>(
        streams: u32,
        answer: impl Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = Response<Pieces>> + Send + 'static,
    {
        Self::start(None, streams, answer)
    }

    /// Over TLS, HTTP/2 where it is agreed on and HTTP/1.1 otherwise.
    pub fn secured<R>(
        tls: ServerConfig,
        answer: impl Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = Response<Pieces>> + Send + 'static,
    {
        Self::start(Some(TlsAcceptor::from(Arc::new(tls))), u32::MAX, answer)
    }

    fn start<R>(
        tls: Option<TlsAcceptor>,
        streams: u32,
        answer: impl Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = Response<Pieces>> + Send + 'static,
    {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (connections, heads) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<Parts>>>::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (counted, kept) = (Arc::clone(&connections), Arc::clone(&heads));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, answer, kept) = (tls.clone(), answer.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let Some(tls) = tls else { return serve(socket, true, streams, kept, answer).await };
                    let Ok(stream) = tls.accept(socket).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(stream, is_http2, streams, kept, answer).await;
                });
            }
        });
        Self { address, connections, heads, runtime: Some(runtime) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<Parts> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve<S, R>(
    socket: S,
    is_http2: bool,
    streams: u32,
    heads: Arc<Mutex<Vec<Parts>>>,
    answer: impl Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: Future<Output = Response<Pieces>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        heads.lock().unwrap().push(head.clone());
        let answer = answer(Request::from_parts(head, body));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // How it ends shows in what the test sees.
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let _ = builder.max_concurrent_streams(streams).serve_connection(TokioIo::new(socket), service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
    }
}

/// An answer that is there already.
pub fn answer(text: &'static str) -> Response<Pieces> {
    Response::new(Pieces::whole(text))
}

/// Trailers.
pub fn trailers(fields: &[(&'static str, &'static str)]) -> Frame<Bytes> {
    let mut map = HeaderMap::new();
    for &(name, value) in fields {
        map.insert(name, value.parse().unwrap());
    }
    Frame::trailers(map)
}
