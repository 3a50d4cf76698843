//! Failed logins, as they travel from the callback to the error page.
//!
//! The callback always answers with an address that holds no code. What the page has to say goes along sealed: anybody
//! may open the page, nobody can make it say something.

use std::fmt;
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::login::return_to::ReturnTo;
use crate::member::ProviderName;
use crate::random;
use crate::session::seal::Seal;
use crate::time::UnixTime;

/// How long the page can be opened again.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Why a login failed, as far as the person in front of the page is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Too late, used already, or begun elsewhere.
    Stale,
    /// The answer was no answer.
    Malformed,
    /// Somebody said no.
    Denied,
    /// Signed in, and no ids.
    NoIdentity,
    /// Signed in, and unknown to the operator's directory.
    NotInDirectory,
    /// Signed in, and known to the operator's directory as several.
    AmbiguousInDirectory,
    /// Signed in, and the membership is not active.
    Lapsed,
    /// Signed in again and again within a minute, without ever being known afterwards.
    Loop,
    /// The vendor does not take the gateway's credentials.
    VendorRefuses,
    /// The vendor's answer makes no sense.
    VendorBroken,
    /// The vendor is not there.
    VendorAway,
}

impl Cause {
    /// All of them; their places are part of what is sealed.
    pub(super) const ALL: [Self; 11] = [
        Self::Stale,
        Self::Malformed,
        Self::Denied,
        Self::NoIdentity,
        Self::NotInDirectory,
        Self::AmbiguousInDirectory,
        Self::Lapsed,
        Self::Loop,
        Self::VendorRefuses,
        Self::VendorBroken,
        Self::VendorAway,
    ];

    /// What the metrics call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Malformed => "malformed",
            Self::Denied => "denied",
            Self::NoIdentity => "no_identity",
            Self::NotInDirectory => "not_in_directory",
            Self::AmbiguousInDirectory => "ambiguous_in_directory",
            Self::Lapsed => "lapsed",
            Self::Loop => "loop",
            Self::VendorRefuses => "vendor_refuses",
            Self::VendorBroken => "vendor_broken",
            Self::VendorAway => "vendor_away",
        }
    }
}

/// Ties what a person reads on a page to a line of the log: eight characters that can be read out on the telephone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference([u8; 8]);

impl Reference {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        /// Crockford's alphabet: no letter that could be taken for another one or for a digit.
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        Self(random::bytes().map(|byte: u8| ALPHABET[usize::from(byte % 32)]))
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::str::from_utf8(&self.0).expect("made of ASCII");
        write!(f, "{}-{}", &text[..4], &text[4..])
    }
}

/// A failed login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// Where the member was going.
    pub return_to: ReturnTo,
    /// Through whom.
    pub provider: Option<ProviderName>,
    /// The line of the log.
    pub reference: Reference,
}

impl Failure {
    /// The `ref` parameter of the error page.
    #[must_use]
    pub fn sealed(&self, seal: &Seal, now: UnixTime) -> String {
        let cause = Cause::ALL.iter().position(|cause| *cause == self.cause).unwrap_or_default();
        let provider = self.provider.as_ref().map(ProviderName::as_str).unwrap_or_default();
        let mut bytes = vec![u8::try_from(cause).expect("there are seven")];
        bytes.extend(now.0.to_be_bytes());
        bytes.extend(self.reference.0);
        bytes.push(u8::try_from(provider.len()).expect("a provider's name has at most 64 characters"));
        bytes.extend_from_slice(provider.as_bytes());
        bytes.extend_from_slice(self.return_to.as_str().as_bytes());
        seal.seal(&bytes, random::bytes())
    }

    /// What the `ref` parameter says; nothing where it is forged or older than half an hour.
    #[must_use]
    pub fn open(seal: &Seal, text: &str, now: UnixTime) -> Option<Self> {
        let mut bytes: Bytes = seal.open(text.as_bytes())?;
        let cause = *Cause::ALL.get(usize::from(bytes.try_get_u8().ok()?))?;
        let at = UnixTime(bytes.try_get_u64().ok()?);
        let mut reference = [0; 8];
        bytes.try_copy_to_slice(&mut reference).ok()?;
        let length = usize::from(bytes.try_get_u8().ok()?);
        if length > bytes.len()
            || now >= at.plus(LIFETIME)
            || !reference.iter().all(u8::is_ascii_alphanumeric)
        {
            return None;
        }
        let provider = bytes.split_to(length);
        let provider = if provider.is_empty() { None } else { Some(ProviderName::new(provider).ok()?) };
        let return_to = ReturnTo::new(std::str::from_utf8(&bytes).ok()?);
        Some(Self { cause, return_to, provider, reference: Reference(reference) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::session::seal::{KeyRing, Purpose};

    const NOW: UnixTime = UnixTime(1_795_300_000);

    #[test]
    fn a_failure_arrives_at_its_page_for_half_an_hour_and_nobody_can_make_one_up() {
        let ring = KeyRing::new([&Secret::new(*b"0123456789abcdef0123456789abcdef")]).unwrap();
        let seal = ring.bind(Purpose::Failure, "site");
        for cause in Cause::ALL {
            let failure = Failure {
                cause,
                return_to: ReturnTo::new("/classes?week=2"),
                provider: Some(ProviderName::new("ymca").unwrap()),
                reference: Reference::new(),
            };
            let sealed = failure.sealed(&seal, NOW);
            assert_eq!(Failure::open(&seal, &sealed, NOW.plus(Duration::from_secs(1799))), Some(failure));
            assert_eq!(Failure::open(&seal, &sealed, NOW.plus(Duration::from_secs(1800))), None);
            assert_eq!(Failure::open(&ring.bind(Purpose::Failure, "other"), &sealed, NOW), None);
        }
        assert_eq!(Failure::open(&seal, "", NOW), None);
    }
}
