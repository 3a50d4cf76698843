//! A keyed hash: the same for the same person, and without the key no way to tell for whom.

use crate::mac::MacKey;

/// Keeps keys of ours apart that come from the same secret.
const LABEL: &[u8] = b"member-gateway member in the access log";

/// HMAC-SHA-256 under a key of its own. Replicas with the same secret agree.
#[derive(Clone)]
pub struct KeyedHash(MacKey);

impl KeyedHash {
    /// With a key that is derived from `secret` and tells nothing of it.
    #[must_use]
    pub fn derived_from(secret: &[u8]) -> Self {
        Self(MacKey::new(&MacKey::new(secret).sign(&[LABEL])))
    }

    /// The first eight octets of the hash of a member's id at a provider; neither holds a NUL.
    #[must_use]
    pub fn of(&self, provider: &str, id: &str) -> [u8; 8] {
        let code = self.0.sign(&[provider.as_bytes(), b"\0", id.as_bytes()]);
        let mut hash = [0; 8];
        hash.copy_from_slice(&code[..8]);
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
