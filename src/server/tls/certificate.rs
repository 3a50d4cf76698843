//! A certificate and its private key, read from PEM files.
//!
//! What is wrong with one of them is told in words of ours: those of a parser may quote the file, and a line of a file
//! may be a line of the key.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use zeroize::{Zeroize, Zeroizing};

use super::validity::validity;
use crate::time::UnixTime;

/// More than any chain of certificates.
const MOST: u64 = 256 * 1024;

/// Where a certificate and its key stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and behind it those that lead to its root: PEM.
    pub certificate: PathBuf,
    /// The private key: PEM.
    pub key: PathBuf,
}

/// What tells a file from the one that was there before: device, inode, length and the times of its last changes.
type FileState = (u64, u64, u64, (i64, i64), (i64, i64));
/// The state of both files; nothing for one that is not there.
pub(super) type State = (Option<FileState>, Option<FileState>);

impl Files {
    pub(super) fn state(&self) -> State {
        let state = |path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            let changed = ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
            Some((data.dev(), data.ino(), data.size(), changed.0, changed.1))
        };
        (state(&self.certificate), state(&self.key))
    }
}

/// Why two files are no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The certificate's file cannot be read.
    #[error("the certificate's file cannot be read: {0}")]
    CertificateFile(io::Error),
    /// There is no certificate in it, or something besides.
    #[error("the certificate's file is not PEM, or holds no certificate")]
    NoCertificate,
    /// What is in it is no certificate of a server.
    #[error("the certificate's file holds no certificate of a server that can be read")]
    Certificate,
    /// The key's file cannot be read.
    #[error("the key's file cannot be read: {0}")]
    KeyFile(io::Error),
    /// There is no private key in it.
    #[error("the key's file is not PEM, or holds no private key")]
    NoKey,
    /// It is locked.
    #[error("the key is encrypted with a passphrase")]
    EncryptedKey,
    /// Nobody signs with such a key.
    #[error("the key is of no kind that is served with")]
    Key,
    /// It is the key of another certificate.
    #[error("the key does not fit the certificate")]
    OtherKey,
}

impl Unusable {
    /// Whether it is the key's file that has to be looked at.
    #[must_use]
    pub const fn is_about_the_key(&self) -> bool {
        match self {
            Self::CertificateFile(_) | Self::NoCertificate | Self::Certificate => false,
            Self::KeyFile(_) | Self::NoKey | Self::EncryptedKey | Self::Key | Self::OtherKey => true,
        }
    }
}

/// A certificate with its private key.
pub struct Certificate {
    /// Where it was read.
    pub files: Files,
    pub(super) state: State,
    pub(super) key: Arc<CertifiedKey>,
    names: Vec<String>,
    from: UnixTime,
    until: UnixTime,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`Unusable`] says what is wrong with which of them.
    pub fn read(files: &Files) -> Result<Self, Unusable> {
        // Whatever is written from now on is seen as a change.
        let state = files.state();
        let pem = read(&files.certificate).map_err(Unusable::CertificateFile)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(Unusable::NoCertificate)?;
        let (names, (from, until)) = {
            let end_entity = webpki::EndEntityCert::try_from(&chain[0]).map_err(|_| Unusable::Certificate)?;
            let names: Vec<String> = end_entity.valid_dns_names().map(str::to_ascii_lowercase).collect();
            (names, validity(&chain[0]).ok_or(Unusable::Certificate)?)
        };

        let pem = read(&files.key).map_err(Unusable::KeyFile)?;
        if memchr::memmem::find(&pem, b"ENCRYPTED").is_some() {
            return Err(Unusable::EncryptedKey);
        }
        let mut der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| Unusable::NoKey)?;
        let key = aws_lc_rs::sign::any_supported_type(&der);
        der.zeroize();
        let key = CertifiedKey::new(chain, key.map_err(|_| Unusable::Key)?);
        match key.keys_match() {
            Ok(()) => {}
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => return Err(Unusable::OtherKey),
            Err(_) => return Err(Unusable::Key),
        }
        Ok(Self { files: files.clone(), state, key: Arc::new(key), names, from, until })
    }

    /// The host names it bears, in lower case.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The last instant at which it holds.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.until
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired_at(&self, now: UnixTime) -> bool {
        now > self.until
    }

    /// Whether its time has not come yet.
    #[must_use]
    pub fn is_early_at(&self, now: UnixTime) -> bool {
        now < self.from
    }

    /// Whether browsers take it for this host, a name or an address.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        bears(&self.key, host)
    }
}

/// Whether browsers take a certificate for this host.
pub(super) fn bears(key: &CertifiedKey, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let end_entity = key.cert.first().and_then(|der| webpki::EndEntityCert::try_from(der).ok());
    let (Some(end_entity), Ok(name)) = (end_entity, ServerName::try_from(bare)) else { return false };
    end_entity.verify_is_valid_for_subject_name(&name).is_ok()
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).finish_non_exhaustive()
    }
}

/// A file, wiped from memory when it has been taken apart.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // A pipe would be waited for, perhaps for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    // Room for all of it at once: what a growing buffer leaves behind is not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    std::fs::File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 256 KiB"));
    }
    Ok(bytes)
}
