//! The keys of the vectors: three of each algorithm, and signatures made with them.
//!
//! Everything is fixed but the signatures of ECDSA, which hold a random number (FIPS 186-5 §6.4.1). Of those, the ones
//! that stand in the file already are used again, so that making the file anew changes nothing.

use std::cell::RefCell;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The algorithms, under their names in RFC 9421 §6.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Hmac,
    Ed25519,
    P256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 3] = [Self::Hmac, Self::Ed25519, Self::P256];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "hmac-sha256",
            Self::Ed25519 => "ed25519",
            Self::P256 => "ecdsa-p256-sha256",
        }
    }
}

/// Which of the three keys of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Usual,
    /// The one that follows it, under another id.
    Next,
    /// Other bytes under the id of the usual one.
    Impostor,
}

/// Signatures that were made before.
pub(crate) type Known = RefCell<Vec<Vec<u8>>>;

/// A key that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) Algorithm, pub(crate) Which);

/// PKCS #8, made for these tests with `openssl genpkey` and used nowhere else.
const P256: [&str; 3] = [
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRGkQdvgJ3cvdu1gSOdqR4yaf7LVpvokOJcB8xUiR2B\
             ShRANCAAQ2X8T88t4BDU1DqMl8Jvv4ZwRsUdYls6KeEjk37ljRnMj99f2DmpOckyZLJ6YX+Z9ocGx5fK08a/DnvljQnzCW",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg748Uy5YTJsLPKQTIHO/zBJzzSn7uw1CTf9LEsi2gCv\
             6hRANCAAT8icO8Fiv6nnx/umw3qVMFlqizNOGZ/R7Omlp9wZ4E4X53Df3n2UR6CkFjvZh+xx1sVLcd9DcDuIUP4mlOo//3",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8iX187vQfqAxeHkJlcAMJmow7X5rR5oixzOwAy7k6q\
             mhRANCAATDNgxwMSs5Jip9p/KeGIOXpqQqEAoyDm4/ZdIrsMwtCXNqEpzsKAE+aKj2iIvU70RS0fQ65Hcm2TnnhMcLMrE0",
];

impl Key {
    /// The keys a verifier may hold.
    pub(crate) fn held() -> impl Iterator<Item = Self> {
        Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| [Which::Usual, Which::Next].map(|which| Self(algorithm, which)))
    }

    /// What the file calls it.
    pub(crate) fn label(self) -> String {
        let which = match self.1 {
            Which::Usual => "",
            Which::Next => ", next",
            Which::Impostor => ", impostor",
        };
        format!("{}{which}", self.0.name())
    }

    /// Its `keyid`.
    pub(crate) fn id(self) -> String {
        let month = if self.1 == Which::Next { "2026-12" } else { "2026-11" };
        match self.0 {
            Algorithm::Hmac => month.to_owned(),
            Algorithm::Ed25519 => format!("{month}.ed"),
            Algorithm::P256 => format!("{month}.p256"),
        }
    }

    /// What a verifier is told of it.
    pub(crate) fn published(self) -> Value {
        let (id, algorithm) = (self.id(), self.0.name());
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.0 {
            Algorithm::Hmac => json!({ "id": id, "algorithm": algorithm, "secret": encode(&self.bytes()) }),
            Algorithm::Ed25519 => json!({ "id": id, "algorithm": algorithm, "jwk": {
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": encode(&self.public()),
            } }),
            Algorithm::P256 => {
                let point = self.public();
                json!({ "id": id, "algorithm": algorithm, "jwk": {
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id,
                    "x": encode(&point[1..33]), "y": encode(&point[33..]),
                } })
            }
        }
    }

    /// The public key as the algorithm writes it: 32 bytes, or a point of SEC 1 §2.3.3.
    pub(crate) fn public(self) -> Vec<u8> {
        match self.0 {
            Algorithm::Hmac => panic!("an hmac key has no public half"),
            Algorithm::Ed25519 => self.ed25519().public_key().as_ref().to_vec(),
            Algorithm::P256 => self.p256().public_key().as_ref().to_vec(),
        }
    }

    /// Its signature of a base. `known` are signatures of which one may be it; a new one joins them.
    pub(crate) fn sign(self, base: &[u8], known: &Known) -> Vec<u8> {
        match self.0 {
            Algorithm::Hmac => hmac_of(&self.bytes(), base),
            Algorithm::Ed25519 => self.ed25519().sign(base).as_ref().to_vec(),
            Algorithm::P256 => {
                let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.public());
                let holds = |signature: &&Vec<u8>| public.verify(base, signature).is_ok();
                if let Some(old) = known.borrow().iter().find(holds) {
                    return old.clone();
                }
                let new = self.p256().sign(&SystemRandom::new(), base).expect("a loaded key signs");
                known.borrow_mut().push(new.as_ref().to_vec());
                new.as_ref().to_vec()
            }
        }
    }

    fn bytes(self) -> [u8; 32] {
        match self.1 {
            Which::Usual => *b"a key of the signature vectors 1",
            Which::Next => *b"a key of the signature vectors 2",
            Which::Impostor => *b"a key of the signature vectors 3",
        }
    }

    fn ed25519(self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.bytes()).expect("a seed of 32 bytes")
    }

    fn p256(self) -> EcdsaKeyPair {
        let der = STANDARD.decode(P256[self.1 as usize]).expect("base64");
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).expect("PKCS #8")
    }
}

/// HMAC using SHA-256 (RFC 9421 §3.3.3).
pub(crate) fn hmac_of(key: &[u8], base: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), base).as_ref().to_vec()
}
