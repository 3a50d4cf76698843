//! `Via`: the gateway leaves its name on what it forwards, and knows by it what has been here before.

use http::header::{HeaderMap, HeaderValue, VIA};

use super::refusal::Refusal;
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

    /// Adds `entry`, which is its own, to `Via`; refuses a request on which it stands already.
    pub(super) fn sign(&self, headers: &mut HeaderMap, entry: HeaderValue) -> Result<(), Refusal> {
        let has_been_here =
            |line: &HeaderValue| memchr::memmem::find(line.as_bytes(), self.0.as_bytes()).is_some();
        if headers.get_all(VIA).iter().any(has_been_here) {
            return Err(Refusal::going_in_circles());
        }
        headers.append(VIA, entry);
        Ok(())
    }
}
