//! Connections to a target, and one exchange over them.

use std::fs;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::plan::{Exchange, Target, Tls};

/// A stream of bytes, with TLS or without.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// How connections to one target are made.
pub(crate) struct Dialer {
    target: Target,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    pub(crate) fn new(target: &Target) -> io::Result<Self> {
        let tls = match &target.tls {
            Some(tls) => {
                let host = ServerName::try_from(tls.host.clone()).map_err(io::Error::other)?;
                Some((TlsConnector::from(Arc::new(client(tls)?)), host))
            }
            None => None,
        };
        Ok(Self { target: target.clone(), tls })
    }

    pub(crate) async fn dial(&self) -> io::Result<Box<dyn Wire>> {
        let stream = self.connect().await?;
        Ok(match &self.tls {
            Some((connector, host)) => Box::new(connector.connect(host.clone(), stream).await?),
            None => Box::new(stream),
        })
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.target.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection, one exchange, and a reset in place of a farewell: no port rests in TIME-WAIT.
    pub(crate) async fn once(&self, buffer: &mut [u8]) -> io::Result<()> {
        let stream = self.connect().await?;
        stream.set_zero_linger()?;
        match &self.tls {
            Some((connector, host)) => {
                let mut wire = connector.connect(host.clone(), stream).await?;
                exchange(&mut wire, &self.target, buffer).await
            }
            None => exchange(&mut { stream }, &self.target, buffer).await,
        }
    }
}

/// TLS 1.3, no resumption, one key exchange.
fn client(tls: &Tls) -> io::Result<ClientConfig> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![match tls.exchange {
        Exchange::X25519 => rustls::crypto::aws_lc_rs::kx_group::X25519,
        Exchange::X25519MLKEM768 => rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768,
    }];
    let mut roots = RootCertStore::empty();
    let certificate =
        CertificateDer::from_pem_slice(&fs::read(&tls.certificate)?).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.resumption = rustls::client::Resumption::disabled();
    Ok(client)
}

/// Sends the request and reads the answer, which has to be the expected one to its last byte.
pub(crate) async fn exchange<W: Wire + ?Sized>(
    wire: &mut W,
    target: &Target,
    buffer: &mut [u8],
) -> io::Result<()> {
    wire.write_all(target.request.as_bytes()).await?;
    let mut answer = Answer::new(target.length);
    loop {
        let read = wire.read(answer.room(buffer)).await?;
        if answer.advance(buffer, read)? {
            return Ok(());
        }
    }
}

/// An answer on its way in: the head is kept until it is whole, the content is only counted.
pub(crate) struct Answer {
    expected: usize,
    head: usize,
    left: Option<usize>,
}

impl Answer {
    pub(crate) fn new(expected: usize) -> Self {
        Self { expected, head: 0, left: None }
    }

    /// Where the next bytes go.
    pub(crate) fn room<'b>(&self, buffer: &'b mut [u8]) -> &'b mut [u8] {
        if self.left.is_some() { buffer } else { &mut buffer[self.head..] }
    }

    /// Takes in what was read; true if the answer is complete.
    pub(crate) fn advance(&mut self, buffer: &[u8], read: usize) -> io::Result<bool> {
        let unexpected = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
        if read == 0 {
            return unexpected("the connection ended within an answer");
        }
        let left = if let Some(left) = self.left {
            left.checked_sub(read)
        } else {
            self.head += read;
            let Some(head) = memchr::memmem::find(&buffer[..self.head], b"\r\n\r\n") else {
                return if self.head == buffer.len() { unexpected("the head has no end") } else { Ok(false) };
            };
            if let Some(complaint) = complaint(&buffer[..head + 4], self.expected) {
                return unexpected(complaint);
            }
            self.expected.checked_sub(self.head - (head + 4))
        };
        let Some(left) = left else { return unexpected("there is more than the answer") };
        self.left = Some(left);
        Ok(left == 0)
    }
}

/// What is wrong with the head of an answer.
fn complaint(head: &[u8], expected: usize) -> Option<&'static str> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    if response.parse(head).is_err() {
        return Some("the answer does not begin with a head of HTTP/1.1");
    }
    if response.code != Some(200) {
        return Some("the status is not 200");
    }
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    (length != Some(expected)).then_some("the length is not the expected one")
}
