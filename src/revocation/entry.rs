//! A revocation as it is kept: sealed with the keys of the sessions, like everything that leaves this process.
//!
//! Sealed and not hashed: so nobody reads an id where revocations are kept, nobody who can write there ends anybody's session,
//! a change of one bit shows, and a look-up needs no hash for each key of the ring. Where the ring changes, all that
//! is known is written anew with the new first key, so that an old one can go.
//!
//! ```text
//! version 1 | kind 1 | at 8 | provider: length 1 + text | id, to the end
//! ```

use bytes::{Buf, Bytes};

use super::{Revocation, Target};
use crate::member::{MemberId, MemberUnitId, ProviderName};
use crate::random;
use crate::session::SessionId;
use crate::session::seal::Seal;
use crate::time::UnixTime;

const VERSION: u8 = 1;
const EVERYBODY: u8 = 0;
const MEMBER: u8 = 1;
const UNIT: u8 = 2;
const SESSION: u8 = 3;

/// The longest text that an entry can be: ids have an end, and so have names.
pub(super) const LONGEST: usize = 1024;

/// What an entry says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// This.
    Of(Revocation),
    /// Nothing to us: it was sealed with a key that is not in the ring.
    OfAnotherKey,
    /// Nothing: it is not as it was.
    Damaged,
}

impl Entry {
    pub(super) fn read(text: &[u8], seal: &Seal) -> Self {
        match seal.open(text).and_then(from_bytes) {
            Some(revocation) => Self::Of(revocation),
            None if seal.lacks_key_of(text) => Self::OfAnotherKey,
            None => Self::Damaged,
        }
    }
}

/// The text to be kept. No two of them are alike.
pub(super) fn sealed(revocation: &Revocation, seal: &Seal) -> String {
    seal.seal(&to_bytes(revocation), random::bytes())
}

fn to_bytes(Revocation { target, provider, at }: &Revocation) -> Vec<u8> {
    let (kind, id) = match target {
        Target::Everybody => (EVERYBODY, Bytes::new()),
        Target::Member(id) => (MEMBER, id.to_bytes()),
        Target::Unit(id) => (UNIT, id.to_bytes()),
        Target::Session(id) => (SESSION, Bytes::copy_from_slice(&id.0)),
    };
    let provider = provider.as_ref().map(ProviderName::to_bytes).unwrap_or_default();
    let mut bytes = vec![VERSION, kind];
    bytes.extend(at.0.to_be_bytes());
    bytes.push(u8::try_from(provider.len()).expect("the name of a provider has 64 characters at the most"));
    bytes.extend_from_slice(&provider);
    bytes.extend_from_slice(&id);
    bytes
}

fn from_bytes(mut bytes: Bytes) -> Option<Revocation> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let kind = bytes.try_get_u8().ok()?;
    let at = UnixTime(bytes.try_get_u64().ok()?);
    let length = usize::from(bytes.try_get_u8().ok()?);
    let provider = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    let provider = if provider.is_empty() { None } else { Some(ProviderName::new(provider).ok()?) };
    let target = match kind {
        EVERYBODY if bytes.is_empty() => Target::Everybody,
        MEMBER => Target::Member(MemberId::new(bytes).ok()?),
        UNIT => Target::Unit(MemberUnitId::new(bytes).ok()?),
        SESSION => Target::Session(SessionId(bytes.as_ref().try_into().ok()?)),
        _ => return None,
    };
    Some(Revocation { target, provider, at })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::session::seal::{KeyRing, Purpose};

    const NOW: UnixTime = UnixTime(1_795_300_000);

    pub(in crate::revocation) fn bytes(revocation: &Revocation) -> Vec<u8> {
        to_bytes(revocation)
    }

    pub(in crate::revocation) fn seal(keys: &[[u8; 32]]) -> Seal {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
        KeyRing::new(&keys).unwrap().bind(Purpose::Revocation, "")
    }

    pub(in crate::revocation) const KEY: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
    const OTHER: [u8; 32] = *b"fedcba9876543210fedcba9876543210";

    fn all() -> Vec<Revocation> {
        let targets = [
            Target::Everybody,
            Target::Member(MemberId::new("4".repeat(254)).unwrap()),
            Target::Unit(MemberUnitId::new("400007995").unwrap()),
            Target::Session(SessionId([9; 16])),
        ];
        let providers = [None, ProviderName::new("y".repeat(64)).ok()];
        let both = targets.iter().flat_map(|target| {
            providers.iter().map(|provider| Revocation {
                target: target.clone(),
                provider: provider.clone(),
                at: NOW,
            })
        });
        both.collect()
    }

    #[test]
    fn a_revocation_survives_being_kept_and_nobody_reads_it_meanwhile() {
        for revocation in all() {
            let text = sealed(&revocation, &seal(&[KEY]));
            assert!(text.len() <= LONGEST, "{}", text.len());
            assert!(!text.contains("400007995"));
            assert_eq!(Entry::read(text.as_bytes(), &seal(&[OTHER, KEY])), Entry::Of(revocation));
        }
    }

    #[test]
    fn what_was_changed_is_damaged_and_what_another_key_has_sealed_is_told_apart() {
        let text = sealed(&all()[2], &seal(&[KEY]));
        assert_eq!(Entry::read(text.as_bytes(), &seal(&[OTHER])), Entry::OfAnotherKey);
        let mut changed = text.clone().into_bytes();
        changed[60] ^= 1;
        assert_eq!(Entry::read(&changed, &seal(&[KEY])), Entry::Damaged);
        for text in [&text[..text.len() / 2], "", "\0\0\0\0", "rubbish", &"A".repeat(2000)] {
            assert_ne!(Entry::read(text.as_bytes(), &seal(&[KEY])), Entry::Of(all()[2].clone()), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_cut_or_drawn_out_are_no_revocation_of_another_session() {
        for revocation in all() {
            let bytes = to_bytes(&revocation);
            assert_eq!(from_bytes(Bytes::from(bytes.clone())), Some(revocation.clone()));
            let mut drawn_out = bytes.clone();
            drawn_out.push(0);
            assert_eq!(from_bytes(drawn_out.into()), None, "{revocation:?}");
            for end in 0..11 {
                assert_eq!(from_bytes(Bytes::copy_from_slice(&bytes[..end])), None);
            }
        }
    }
}
