//! What TLS 1.3 derives its keys with (RFC 8446 §7.1): HKDF over a hash of all that was said, by RustCrypto's SHA-256.
//!
//! A full handshake derives some thirty keys and secrets, several from each secret. Here a secret is made ready for HMAC
//! once; aws-lc does it anew for each that is derived, and allocates a context for each. What a suite has beside this, its
//! ciphers above all, stays as rustls has it.

use hkdf::Hkdf as Secret;
use rustls::crypto::aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite};
use sha2::{Digest as _, Sha256};

use crate::mac::MacKey;

/// The octets of a digest.
const LENGTH: usize = 32;

static AES_128: Tls13CipherSuite = with_sha256(&TLS13_AES_128_GCM_SHA256);
static CHACHA20: Tls13CipherSuite = with_sha256(&TLS13_CHACHA20_POLY1305_SHA256);

/// The same suite; with what is here, where it is one of TLS 1.3 with SHA-256.
pub(super) fn ours(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let is = |ours: &Tls13CipherSuite| ours.common.suite == suite.suite();
    match [&AES_128, &CHACHA20].into_iter().find(|ours| is(ours)) {
        Some(ours) => SupportedCipherSuite::Tls13(ours),
        None => suite,
    }
}

/// # Panics
/// Where it is none of TLS 1.3, when the program is compiled.
const fn with_sha256(suite: &SupportedCipherSuite) -> Tls13CipherSuite {
    let SupportedCipherSuite::Tls13(suite) = suite else { panic!("a suite of TLS 1.3") };
    let CipherSuiteCommon { suite: name, confidentiality_limit, .. } = suite.common;
    Tls13CipherSuite {
        common: CipherSuiteCommon { suite: name, hash_provider: &Sha256Hash, confidentiality_limit },
        hkdf_provider: &Sha256Hkdf,
        aead_alg: suite.aead_alg,
        quic: None,
    }
}

/// HKDF with SHA-256 (RFC 5869).
struct Sha256Hkdf;

impl Hkdf for Sha256Hkdf {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.extract_from_secret(salt, &[0; LENGTH])
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        Box::new(Expander(Secret::new(salt, secret)))
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Expander(Secret::from_prk(okm.as_ref()).expect("a block is as long as a digest")))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        Tag::new(&MacKey::new(key.as_ref()).sign(&[message]))
    }
}

/// A secret, ready to derive others from.
struct Expander(Secret<Sha256>);

impl HkdfExpander for Expander {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        self.0.expand_multi_info(info, output).map_err(|_| OutputLengthError)
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        let mut block = [0; LENGTH];
        self.0.expand_multi_info(info, &mut block).expect("it is one block");
        OkmBlock::new(&block)
    }

    fn hash_len(&self) -> usize {
        LENGTH
    }
}

/// SHA-256 itself, for the transcript of a handshake (RFC 8446 §4.4.1).
struct Sha256Hash;

impl Hash for Sha256Hash {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Transcript(Sha256::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&Sha256::digest(data))
    }

    fn output_len(&self) -> usize {
        LENGTH
    }

    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }
}

/// What has been said so far.
struct Transcript(Sha256);

impl Context for Transcript {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, DEFAULT_CIPHER_SUITES};
    use rustls::crypto::cipher::{AeadKey, Iv};

    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// As rustls has it.
    fn theirs() -> &'static Tls13CipherSuite {
        TLS13_AES_128_GCM_SHA256.tls13().unwrap()
    }

    #[test]
    fn it_is_what_the_first_two_examples_of_rfc_5869_have() {
        let ikm_of_two: Vec<u8> = (0x00..=0x4f).collect();
        let salt_of_two: Vec<u8> = (0x60..=0xaf).collect();
        let info_of_two: Vec<u8> = (0xb0..=0xff).collect();
        for (ikm, salt, info, okm) in [
            (
                vec![0x0b; 22],
                (0x00..=0x0c).collect(),
                (0xf0..=0xf9).collect::<Vec<u8>>(),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
            ),
            (
                ikm_of_two,
                salt_of_two,
                info_of_two,
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da\
                 3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
            ),
        ] {
            let okm = octets(okm);
            let expander = Sha256Hkdf.extract_from_secret(Some(&salt), &ikm);
            let mut derived = vec![0; okm.len()];
            let (first, rest) = info.split_at(3);
            expander.expand_slice(&[first, rest], &mut derived).unwrap();
            assert_eq!(derived, okm);
            assert_eq!(expander.expand_block(&[&info]).as_ref(), &okm[..expander.hash_len()]);
        }
    }

    #[test]
    fn it_derives_and_signs_as_rustls_does() {
        let theirs = theirs().hkdf_provider;
        let secret = [7; 48];
        for salt in [None, Some(&[][..]), Some(&[1; 32]), Some(&[2; 100])] {
            let pairs =
                [Sha256Hkdf.extract_from_secret(salt, &secret), theirs.extract_from_secret(salt, &secret)];
            let [ours, expected] = pairs.map(|expander| expander.expand_block(&[b"secret"]));
            assert_eq!(ours.as_ref(), expected.as_ref(), "{salt:?}");
            let pairs = [Sha256Hkdf.extract_from_zero_ikm(salt), theirs.extract_from_zero_ikm(salt)];
            let [ours, expected] = pairs.map(|expander| expander.expand_block(&[]));
            assert_eq!(ours.as_ref(), expected.as_ref(), "{salt:?}");

            let key = expected;
            assert_eq!(
                Sha256Hkdf.hmac_sign(&key, b"finished").as_ref(),
                theirs.hmac_sign(&key, b"finished").as_ref()
            );
            let (ours, theirs) = (Sha256Hkdf.expander_for_okm(&key), theirs.expander_for_okm(&key));
            for length in [0, 1, 12, 16, 32, 33, 255 * LENGTH] {
                let (mut derived, mut expected) = (vec![1; length], vec![2; length]);
                ours.expand_slice(&[b"key", b"", b"iv"], &mut derived).unwrap();
                theirs.expand_slice(&[b"key", b"", b"iv"], &mut expected).unwrap();
                assert_eq!(derived, expected, "{length} octets");
            }
        }
    }

    #[test]
    fn more_than_255_blocks_is_an_error() {
        let expander = Sha256Hkdf.extract_from_zero_ikm(None);
        assert!(expander.expand_slice(&[b"key"], &mut [0; 255 * LENGTH + 1]).is_err());
    }

    #[test]
    fn what_was_said_is_hashed_as_rustls_does() {
        let theirs = theirs().common.hash_provider;
        let hashed = |hash: &dyn Hash| {
            let mut transcript = hash.start();
            transcript.update(b"hello ");
            let mut fork = transcript.fork();
            transcript.update(b"retry");
            fork.update(&[3; 1000]);
            let outputs = [transcript.fork_finish(), hash.hash(b"hello "), fork.fork_finish(), fork.finish()];
            transcript.update(b" again");
            let last = transcript.finish();
            outputs.iter().chain([&last]).map(|output| output.as_ref().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(hashed(&Sha256Hash), hashed(theirs));
        assert_eq!(
            (Sha256Hash.output_len(), Sha256Hash.algorithm()),
            (theirs.output_len(), theirs.algorithm())
        );
    }

    #[test]
    fn all_else_of_a_suite_and_all_other_suites_are_as_rustls_has_them() {
        // Which cipher it is shows in what it would say of its keys.
        let cipher = |suite: &Tls13CipherSuite| {
            let (key, iv) = (AeadKey::from([0; 32]), Iv::new([0; 12]));
            discriminant(&suite.aead_alg.extract_keys(key, iv).unwrap_or_else(|_| panic!("{suite:?}")))
        };
        let mut exchanged = 0;
        for theirs in ALL_CIPHER_SUITES.iter().copied() {
            let ours = ours(theirs);
            assert_eq!(ours.suite(), theirs.suite());
            match (ours, theirs) {
                (SupportedCipherSuite::Tls13(ours), SupportedCipherSuite::Tls13(theirs)) => {
                    assert_eq!(ours.common.confidentiality_limit, theirs.common.confidentiality_limit);
                    assert_eq!(cipher(ours), cipher(theirs), "{ours:?}");
                    exchanged += usize::from(!std::ptr::eq(ours, theirs));
                }
                (SupportedCipherSuite::Tls12(ours), SupportedCipherSuite::Tls12(theirs)) => {
                    assert!(std::ptr::eq(ours, theirs), "{ours:?}");
                }
                _ => panic!("{ours:?} in place of {theirs:?}"),
            }
        }
        assert_eq!(exchanged, 2, "AES-128-GCM and ChaCha20-Poly1305");
        assert!(ALL_CIPHER_SUITES == DEFAULT_CIPHER_SUITES, "no other is served");
    }
}
