//! TLS towards browsers: several certificates, the one that fits the name a browser asks for, renewed with their files.
//!
//! TLS 1.2 and 1.3, as rustls has them: no cipher but authenticated ones, no renegotiation, no compression. There is no
//! early data either, which anybody could send a second time (RFC 8446 §8). A name that no certificate bears gets the
//! first one: which site is meant, the authority of each request decides, and an unknown one is refused there.
//!
//! What HTTP says over it is left to others.

mod certificate;
mod handshake;
mod key_schedule;
mod shown;
mod socket;
mod suites;
mod tickets;
mod validity;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, ServerConfig, SignatureScheme};

use self::suites::Better;
use self::tickets::Tickets;
use crate::time::{Clock, UnixTime};
pub use certificate::{Certificate, Files, Unusable};
pub(super) use handshake::handshake;
pub use shown::Misdirected;
pub(super) use shown::Shown;
pub(super) use socket::Socket;

/// HTTP/2, as ALPN calls it (RFC 9113 §3.2).
pub(super) const H2: &[u8] = b"h2";
/// What a connection can speak, the best first.
const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];
/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a browser and a listener have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl TlsVersion {
    /// It, in the terms of rustls; nothing for what is not spoken here.
    pub(super) fn of(version: ProtocolVersion) -> Option<Self> {
        let spoken = [(ProtocolVersion::TLSv1_3, Self::Tls13), (ProtocolVersion::TLSv1_2, Self::Tls12)];
        spoken.into_iter().find_map(|(known, ours)| (known == version).then_some(ours))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// The TLS of a listener. Clones share their certificates.
#[derive(Clone)]
pub struct Tls {
    /// For clients that are better at AES, and for those that are better at ChaCha20.
    aes: Arc<ServerConfig>,
    chacha: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl Tls {
    /// Serves with these certificates.
    ///
    /// # Errors
    /// Where there is no randomness for the keys of session tickets.
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, rustls::Error> {
        // Sessions are resumed by tickets: a cache of sessions would be a lock that all workers take.
        let tickets = Tickets::new()?;
        let certificates = Arc::new(Certificates::new(certificates, Arc::clone(&tickets)));
        let config = |better: Better| {
            // Of its key exchanges X25519MLKEM768 comes first: what is recorded today must not open to tomorrow's machines.
            let mut provider = aws_lc_rs::default_provider();
            provider.cipher_suites = better.order(provider.cipher_suites);
            provider.cipher_suites.iter_mut().for_each(|suite| *suite = key_schedule::ours(*suite));
            let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&TLS13, &TLS12])?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
            config.ignore_client_order = true;
            config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
            config.ticketer = Arc::clone(&tickets) as Arc<dyn ProducesTickets>;
            // Whoever comes back needs one, and gets another with it; a second would be sealed for nobody.
            config.send_tls13_tickets = 1;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.max_early_data_size = 0;
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        let (aes, chacha) = (config(Better::Aes)?, config(Better::ChaCha)?);
        Ok(Self { aes, chacha, certificates })
    }

    /// The certificates as they are now, in the order of the config.
    #[must_use]
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.certificates.all()
    }

    /// Serves with the certificates of another from now on: those of a configuration that was read again. Handshakes that
    /// are under way keep what they have; tickets hold where the certificates are the same.
    pub fn take_certificates_of(&self, other: &Self) {
        if !Arc::ptr_eq(&self.certificates, &other.certificates) {
            self.certificates.replace_by(&other.certificates);
        }
    }

    /// Reads again what has changed. A certificate whose new files are no good stays as it is.
    pub fn renew(&self, now: UnixTime) {
        self.certificates.renew(now);
    }

    /// Looks at the files every few seconds, on a thread of its own, for as long as anything serves with them.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn keep_current(&self, clock: Clock) -> io::Result<()> {
        let certificates = Arc::downgrade(&self.certificates);
        let thread = std::thread::Builder::new().name("certificates".to_owned());
        thread.spawn(move || {
            loop {
                std::thread::sleep(LOOK);
                let Some(certificates) = certificates.upgrade() else { return };
                certificates.renew(clock.now());
            }
        })?;
        Ok(())
    }

    /// Whether somebody who asks for `name` is shown a certificate that bears `host` too.
    fn shows(&self, name: &str, host: &str) -> bool {
        self.certificates.by_name().all_for(name).iter().any(|key| certificate::bears(key, host))
    }

    /// What this client is served with.
    fn config_for(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let served = &self.aes.crypto_provider().cipher_suites;
        Arc::clone(match Better::of(hello.cipher_suites(), served) {
            Better::Aes => &self.aes,
            Better::ChaCha => &self.chacha,
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

/// All certificates, and which of them goes with a name.
struct Certificates {
    /// In the order of the config, each with the state its files were last seen in.
    all: Mutex<Vec<(Arc<Certificate>, certificate::State)>>,
    /// Taken once for each handshake.
    by_name: RwLock<Arc<ByName>>,
    /// What was given out under them.
    tickets: Arc<Tickets>,
}

impl Certificates {
    fn new(certificates: Vec<Certificate>, tickets: Arc<Tickets>) -> Self {
        let all: Vec<_> = certificates
            .into_iter()
            .map(|certificate| {
                let state = certificate.state;
                (Arc::new(certificate), state)
            })
            .collect();
        let by_name = RwLock::new(Arc::new(ByName::of(all.iter().map(|(certificate, _)| &**certificate))));
        Self { all: Mutex::new(all), by_name, tickets }
    }

    fn all(&self) -> Vec<Arc<Certificate>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(certificate, _)| Arc::clone(certificate)).collect()
    }

    fn replace_by(&self, other: &Self) {
        let new = other.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let by_name = ByName::of(new.iter().map(|(certificate, _)| &**certificate));
        let shown = |all: &[(Arc<Certificate>, _)]| -> Vec<_> {
            all.iter().map(|(certificate, _)| certificate.key.cert.clone()).collect()
        };
        if shown(&all) != shown(&new) {
            self.tickets.end();
        }
        *all = new;
        *self.by_name.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_name);
    }

    fn by_name(&self) -> Arc<ByName> {
        Arc::clone(&self.by_name.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn renew(&self, now: UnixTime) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut renewed = false;
        for (certificate, seen) in all.iter_mut() {
            let state = certificate.files.state();
            if state == *seen {
                continue;
            }
            // Good or bad, it is told once.
            *seen = state;
            let file = certificate.files.certificate.display().to_string();
            match Certificate::read(&certificate.files) {
                Ok(new) if new.has_expired_at(now) => {
                    tracing::warn!(file, "a new certificate has expired already; the one before stays");
                }
                Ok(new) => {
                    tracing::info!(file, names = new.names().join(", "), "a certificate was read again");
                    *certificate = Arc::new(new);
                    renewed = true;
                }
                Err(error) => {
                    tracing::warn!(file, %error, "a certificate has new files that cannot be used; the one before stays");
                }
            }
        }
        if renewed {
            self.tickets.end();
            let by_name = ByName::of(all.iter().map(|(certificate, _)| &**certificate));
            *self.by_name.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_name);
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.by_name().choose(hello.server_name(), hello.signature_schemes())
    }
}

/// The certificates by the names they bear: `members.example.org`, `*.example.org`.
struct ByName {
    first: Option<Arc<CertifiedKey>>,
    names: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl ByName {
    fn of<'a>(certificates: impl Iterator<Item = &'a Certificate>) -> Self {
        let mut by_name = Self { first: None, names: HashMap::new() };
        for certificate in certificates {
            by_name.first.get_or_insert_with(|| Arc::clone(&certificate.key));
            for name in certificate.names() {
                by_name.names.entry(name.clone()).or_default().push(Arc::clone(&certificate.key));
            }
        }
        by_name
    }

    /// The certificate for a name: one that bears it rather than one for all names beside it (RFC 9525 §6.3). Where
    /// there are several, such as one with RSA for old clients, the first that the client can verify.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let keys = self.all_for(name.unwrap_or_default());
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        keys.iter().find(fits).or_else(|| keys.first()).cloned()
    }

    /// The certificates among which is chosen for a name; the first of all where none bears it.
    fn all_for(&self, name: &str) -> &[Arc<CertifiedKey>] {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let parent = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let named = self.names.get(&name).or_else(|| self.names.get(&parent?));
        named.map_or(self.first.as_slice(), Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn issue(names: &[&str], until: i32) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn write(folder: &Path, (certificate, key): &(String, String)) -> Files {
        let files = Files { certificate: folder.join("site.pem"), key: folder.join("site.key") };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }

    #[test]
    fn tickets_die_with_the_certificates_under_which_they_were_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), &issue(&["old.test"], 4000));
        let read = || Tls::new(vec![Certificate::read(&files).unwrap()]).unwrap();
        let tls = read();
        let configs = [&tls.aes, &tls.chacha].map(|config| &config.ticketer);
        let given_out = || configs[0].encrypt(b"session").unwrap();
        let opens = |ticket: &[u8]| configs.map(|ticketer| ticketer.decrypt(ticket).is_some());

        let ticket = given_out();
        assert!(configs[0].enabled());
        assert_eq!(opens(&ticket), [true, true], "whichever way the browser is better at");
        tls.renew(NOW);
        tls.take_certificates_of(&read());
        assert_eq!(opens(&ticket), [true, true], "the certificate is the same");

        write(folder.path(), &issue(&["new.test"], 4000));
        tls.renew(NOW);
        assert_eq!(opens(&ticket), [false, false], "its files have changed");

        let ticket = given_out();
        write(folder.path(), &issue(&["newer.test"], 4000));
        tls.take_certificates_of(&read());
        assert_eq!(opens(&ticket), [false, false], "the configuration was read again");
    }

    #[test]
    fn new_files_replace_a_certificate_only_where_they_are_good() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), &issue(&["old.test"], 4000));
        let tls = Tls::new(vec![Certificate::read(&files).unwrap()]).unwrap();
        let names = || tls.certificates()[0].names().join(" ");
        let (certificate, key) = issue(&["new.test"], 4000);
        let other_key = issue(&["new.test"], 4000).1;
        for bad in [
            (certificate.clone(), other_key),
            (certificate.clone(), String::new()),
            (certificate[..certificate.len() / 2].to_owned(), key.clone()),
            (String::new(), key.clone()),
            issue(&["new.test"], 2001),
        ] {
            write(folder.path(), &bad);
            tls.renew(NOW);
            assert_eq!(names(), "old.test", "{bad:?}");
        }
        std::fs::remove_file(&files.key).unwrap();
        tls.renew(NOW);
        assert_eq!(names(), "old.test");

        write(folder.path(), &(certificate, key));
        tls.renew(NOW);
        assert_eq!(names(), "new.test");
    }

    #[test]
    fn the_name_itself_goes_before_all_names_beside_it_and_an_unknown_one_gets_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let names: [&[&str]; 3] = [&["first.test"], &["*.a.test", "a.test"], &["b.a.test"]];
        let certificates: Vec<_> = names
            .iter()
            .map(|names| Certificate::read(&write(folder.path(), &issue(names, 4000))).unwrap())
            .collect();
        let by_name = ByName::of(certificates.iter());
        for (name, expected) in [
            (None, 0),
            (Some("a.test"), 1),
            (Some("C.A.Test."), 1),
            (Some("b.a.test"), 2),
            (Some("x.b.a.test"), 0),
            (Some("*.test"), 0),
            (Some(""), 0),
            (Some("."), 0),
        ] {
            let chosen = by_name.choose(name, &[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
            assert!(Arc::ptr_eq(&chosen, &certificates[expected].key), "{name:?}");
        }
    }

    #[test]
    fn of_two_certificates_for_a_name_the_client_gets_the_one_that_it_can_verify() {
        let folder = tempfile::tempdir().unwrap();
        let p256 = Certificate::read(&write(folder.path(), &issue(&["a.test"], 4000))).unwrap();
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let pair = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let ed25519 = Certificate::read(&write(folder.path(), &pair)).unwrap();
        let certificates = [p256, ed25519];
        let by_name = ByName::of(certificates.iter());
        for (schemes, expected) in [
            (&[SignatureScheme::ED25519][..], 1),
            (&[SignatureScheme::ECDSA_NISTP256_SHA256], 0),
            (&[SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256], 0),
            (&[SignatureScheme::RSA_PSS_SHA256], 0),
        ] {
            let chosen = by_name.choose(Some("a.test"), schemes).unwrap();
            assert!(Arc::ptr_eq(&chosen, &certificates[expected].key), "{schemes:?}");
        }
    }
}
