//! Session tickets (RFC 8446 §4.6.1), which hold for as long as the certificates under which they were given out.
//!
//! Their keys live for hours and never leave this process. Where a certificate is exchanged, perhaps because somebody else
//! has its key, whoever comes back has to be shown the new one.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

pub(super) struct Tickets(ArcSwap<Keys>);

struct Keys(Arc<dyn ProducesTickets>);

impl Tickets {
    /// With keys of their own.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub(super) fn new() -> Result<Arc<Self>, rustls::Error> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(Keys(Ticketer::new()?)))))
    }

    /// What was given out until now is worth nothing from now on.
    pub(super) fn end(&self) {
        match Ticketer::new() {
            Ok(keys) => self.0.store(Arc::new(Keys(keys))),
            // A machine that had randomness before.
            Err(error) => tracing::error!(%error, "TLS sessions outlast their certificate"),
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.0.load().0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.load().0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.load().0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.load().0.decrypt(cipher)
    }
}
