//! `Via`: the gateway leaves its name on what it forwards, and knows by it what has been here before.

use http::HeaderValue;

use crate::random;

/// What this gateway calls itself in `Via` (RFC 9110 §7.6.3): new at every start, so that it knows its own and no other.
#[derive(Clone, Debug)]
pub struct Pseudonym(String);

impl Default for Pseudonym {
    fn default() -> Self {
        Self(format!("member-gateway-{:08x}", u32::from_be_bytes(random::bytes())))
    }
}

impl Pseudonym {
    /// What it adds to `Via`.
    ///
    /// # Panics
    /// Never: a pseudonym is letters, digits and hyphens.
    pub(super) fn entry(&self) -> HeaderValue {
        HeaderValue::try_from(format!("1.1 {}", self.0)).expect("letters, digits and hyphens")
    }

    /// Whether it stands on a line of `Via`: then the request has been here before.
    pub(super) fn has_signed(&self, line: &HeaderValue) -> bool {
        memchr::memmem::find(line.as_bytes(), self.0.as_bytes()).is_some()
    }
}
