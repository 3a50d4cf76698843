//! Whom this machine trusts: its root certificates, for whatever is asked over TLS and has no authority of its own.
//!
//! There are some 150 of them, in as many files, and every client of HTTP would read them anew. They are read once for the
//! process, by the first who has to verify a server, or by whoever wants to know whether they are there: a gateway looks
//! when it serves already, so that no browser waits for it. Others that come meanwhile wait, a few milliseconds, for the
//! one who reads. What is installed later is trusted from the next start on.

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;

static KNOWN: LazyLock<Result<Verifier, Error>> =
    LazyLock::new(|| Verifier::new(Arc::new(aws_lc_rs::default_provider())));

fn known() -> Result<&'static Verifier, Error> {
    KNOWN.as_ref().map_err(Clone::clone)
}

/// Whether this machine trusts anybody.
///
/// # Errors
/// Where it does not, or does not say so.
pub fn are_there() -> Result<(), Error> {
    known().map(|_| ())
}

/// The TLS of a client that speaks HTTP/1.1 and believes whom the machine believes.
///
/// # Panics
/// Never: the versions are those that the library has by default.
#[must_use]
pub fn client() -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Machine::new(provider)))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    client
}

/// Verifies servers as the machine would have it.
#[derive(Debug)]
pub struct Machine(Arc<CryptoProvider>);

impl Machine {
    /// With these algorithms; nothing is read yet.
    #[must_use]
    pub const fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

impl ServerCertVerifier for Machine {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        known()?.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
