//! TLS towards an upstream: whom the gateway trusts, who it says it is, and which HTTP the two agree on (ALPN).
//!
//! The target's certificate is always verified, and its name with it. There is no key that turns that off: an app inside a
//! private network has a certificate of an authority that `ca` names.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::roots::Machine;
use crate::secret::Secret;

const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// What is written about it: PEM, not paths, so that a renewed file is another setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The authorities that are trusted, in place of those that the machine trusts.
    pub ca: Option<Vec<u8>>,
    /// What the gateway shows: a certificate, those behind it, and its key.
    pub certificate: Option<(Vec<u8>, Secret)>,
    /// The name that a target's certificate has to bear, where it is not the host of the target.
    pub server_name: Option<String>,
}

/// The TLS of an upstream.
#[derive(Clone)]
pub struct Tls {
    written: Written,
    server_name: Option<ServerName<'static>>,
    /// Which HTTP is offered: both, or one of them.
    both: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// Why TLS cannot be spoken in this way.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file of the authorities.
    #[error("the file is not PEM, or holds no certificate of an authority")]
    Authorities,
    /// The file of the gateway's own certificate.
    #[error("the certificate's file is not PEM, or holds no certificate")]
    Certificate,
    /// The file of its key.
    #[error("the key's file is not PEM, or holds no private key")]
    Key,
    /// Certificate and key together.
    #[error("certificate and key cannot be used together")]
    Pair,
    /// The name.
    #[error("this is no name of a host, and no address")]
    Name,
}

/// Which HTTP is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Both,
    Http1,
    Http2,
}

impl Tls {
    /// Makes it of what is written.
    ///
    /// # Errors
    /// [`Unusable`] says what is wrong with it.
    ///
    /// # Panics
    /// Never: the versions are those that the library has by default.
    pub fn new(written: Written) -> Result<Self, Unusable> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites for both versions");
        let builder = match &written.ca {
            Some(pem) => builder.with_root_certificates(authorities(pem)?),
            None => {
                let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Machine::new(provider));
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
        };
        let config = match &written.certificate {
            Some((chain, key)) => {
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
                let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(Unusable::Certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| Unusable::Key)?;
                builder.with_client_auth_cert(chain, key).map_err(|_| Unusable::Pair)?
            }
            None => builder.with_no_client_auth(),
        };
        let server_name = written.server_name.as_deref().map(name).transpose()?;
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        let (both, http1, http2) = (offering(&[H2, HTTP_1_1]), offering(&[HTTP_1_1]), offering(&[H2]));
        Ok(Self { written, server_name, both, http1, http2 })
    }

    /// Finishes a handshake; true where HTTP/2 was agreed on.
    pub(super) async fn connect(
        &self,
        host: &str,
        offer: Offer,
        socket: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, bool)> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name(host).map_err(io::Error::other)?,
        };
        let config = match offer {
            Offer::Both => &self.both,
            Offer::Http1 => &self.http1,
            Offer::Http2 => &self.http2,
        };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(H2);
        if offer == Offer::Http2 && !agreed {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the upstream does not speak HTTP/2"));
        }
        Ok((stream, agreed))
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| Unusable::Authorities)?;
        roots.add(certificate).map_err(|_| Unusable::Authorities)?;
    }
    if roots.is_empty() { Err(Unusable::Authorities) } else { Ok(roots) }
}

fn name(host: &str) -> Result<ServerName<'static>, Unusable> {
    ServerName::try_from(host.to_owned()).map_err(|_| Unusable::Name)
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.written.server_name).finish()
    }
}
