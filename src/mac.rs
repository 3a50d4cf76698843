//! HMAC with SHA-256 (RFC 2104), under a key that is made ready once.
//!
//! One is written with every request of a member. Beside it the copies that a library makes of its state count, and this
//! one's is a tenth of what aws-lc's is.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A key, ready to sign and to verify.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// A key of any length.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length (RFC 2104 §2).
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The code of these parts, one behind the other.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// Whether `code` is all of that of `text`; in constant time.
    #[must_use]
    pub fn verifies(&self, text: &[u8], code: &[u8]) -> bool {
        self.0.clone().chain_update(text).verify_slice(code).is_ok()
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey([redacted])")
    }
}
