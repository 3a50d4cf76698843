//! A client that speaks HTTP/2, frame by frame where it has to.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::wire::PATIENCE;

/// A listener that speaks HTTP/2 without TLS, as the inside of the list.
pub const H2C: &str = "{ address = \"127.0.0.1:0\", h2c = true }";

/// A connection with HTTP/2.
#[derive(Clone)]
pub struct Http2 {
    requests: SendRequest<Bytes>,
}

/// An answer that has come to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub fields: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Http2 {
    /// To a listener with `h2c`.
    pub async fn to(address: SocketAddr) -> Self {
        Self::with(address, &h2::client::Builder::new()).await
    }

    /// The same, with settings of its own.
    pub async fn with(address: SocketAddr, settings: &h2::client::Builder) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        // Or a frame would wait for the acknowledgement of the one before.
        socket.set_nodelay(true).unwrap();
        Self::over(socket, settings).await
    }

    /// Over TLS, as `name`; HTTP/2 has to be agreed on.
    pub async fn over_tls(address: SocketAddr, name: &str, config: &ClientConfig) -> Self {
        let mut config = config.clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream, &h2::client::Builder::new()).await
    }

    async fn over(
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        settings: &h2::client::Builder,
    ) -> Self {
        let (requests, connection) = settings.handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Self { requests }
    }

    /// Sends a head, and the end of the request where it says so.
    pub async fn send(&mut self, request: Request<()>, is_all: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = in_time(self.requests.clone().ready()).await.unwrap();
        ready.send_request(request, is_all).unwrap()
    }

    /// Sends a request without a body and waits for all of the answer.
    pub async fn ask(&mut self, request: Request<()>) -> Answer {
        let (answer, _) = self.send(request, true).await;
        read(answer).await
    }

    /// The status alone; none where the stream was reset.
    pub async fn status(&mut self, request: Request<()>) -> Option<u16> {
        let (answer, _) = self.send(request, true).await;
        in_time(answer).await.ok().map(|answer| answer.status().as_u16())
    }

    /// Waits until the other side takes no more streams, and says why.
    pub async fn goes_away(&self) -> Option<h2::Reason> {
        let gone = async {
            loop {
                match self.requests.clone().ready().await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) => return error.reason(),
                }
            }
        };
        in_time(gone).await
    }

    /// Whether the other side has agreed to extended CONNECT.
    pub async fn is_ready_for_websockets(&mut self) -> bool {
        // Its settings come before any answer.
        self.ask(request("GET", "/_gateway/health", "")).await;
        self.requests.is_extended_connect_protocol_enabled()
    }
}

/// All of an answer.
pub async fn read(answer: ResponseFuture) -> Answer {
    let (head, mut body) = in_time(answer).await.unwrap().into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(body.data()).await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    let trailers = in_time(body.trailers()).await.unwrap().unwrap_or_default();
    Answer { status: head.status, fields: head.headers, body: bytes.into(), trailers }
}

/// The next piece of a body; none at its end.
pub async fn piece(body: &mut RecvStream) -> Option<Bytes> {
    loop {
        let piece = in_time(body.data()).await?.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        // The end may come as a frame of its own.
        if !piece.is_empty() {
            return Some(piece);
        }
    }
}

/// Waits until the other side resets the stream, and says why.
pub async fn reset(stream: &mut SendStream<Bytes>) -> h2::Reason {
    in_time(poll_fn(|cx| stream.poll_reset(cx))).await.unwrap()
}

/// A head of an answer.
pub async fn head(answer: ResponseFuture) -> Response<RecvStream> {
    in_time(answer).await.unwrap()
}

/// What does not come in time fails.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

/// A request to the usual site with these fields.
pub fn request(method: &str, target: &str, fields: &str) -> Request<()> {
    let mut request =
        Request::builder().method(method).uri(format!("http://members.localhost{target}")).body(()).unwrap();
    *request.version_mut() = http::Version::HTTP_2;
    for line in fields.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}
