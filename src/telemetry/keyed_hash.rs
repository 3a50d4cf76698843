//! A keyed hash: the same for the same person, and without the key no way to tell for whom.

use aws_lc_rs::hmac::{self, HMAC_SHA256};

/// Keeps keys of ours apart that come from the same secret.
const LABEL: &[u8] = b"member-gateway member in the access log";

/// HMAC-SHA-256 under a key of its own. Replicas with the same secret agree.
#[derive(Clone)]
pub struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// With a key that is derived from `secret` and tells nothing of it.
    #[must_use]
    pub fn derived_from(secret: &[u8]) -> Self {
        let key = hmac::sign(&hmac::Key::new(HMAC_SHA256, secret), LABEL);
        Self(hmac::Key::new(HMAC_SHA256, key.as_ref()))
    }

    /// The first eight octets of the hash of a member's id at a provider; neither holds a NUL.
    #[must_use]
    pub fn of(&self, provider: &str, id: &str) -> [u8; 8] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [provider, "\0", id] {
            context.update(part.as_bytes());
        }
        let mut hash = [0; 8];
        hash.copy_from_slice(&context.sign().as_ref()[..8]);
        hash
    }
}

impl std::fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedHash([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_agree_and_others_do_not() {
        let hash = KeyedHash::derived_from(b"secret").of("ymca", "400007995-00");
        assert_eq!(KeyedHash::derived_from(b"secret").of("ymca", "400007995-00"), hash);
        assert_ne!(KeyedHash::derived_from(b"other").of("ymca", "400007995-00"), hash);
        assert_ne!(KeyedHash::derived_from(b"secret").of("rewards", "400007995-00"), hash);
        assert_ne!(KeyedHash::derived_from(b"secret").of("ymca4", "00007995-00"), hash);
    }
}
