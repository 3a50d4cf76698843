//! Why a request does not prove who is asking.

use super::{LABEL, TAG};

/// The first thing found wrong with a request, in the order in which it is looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No signature of the gateway's: whoever asks is nobody.
    #[error("there is no signature labelled `{LABEL}` at the start of Signature-Input and Signature")]
    NoSignature,
    /// A name that other programs read as one of ours.
    #[error("`{0}` looks like a field of the gateway's, which lets no such name through")]
    LookAlikeField(String),
    /// A field that was signed once is there twice.
    #[error("the field `{0}` arrived more than once")]
    DuplicatedField(String),
    /// Not what the gateway writes.
    #[error("Signature-Input or Signature is not in the form the gateway writes")]
    MalformedSignature,
    /// The list of covered components is not the one demanded.
    #[error("it covers {found}, but must cover {demanded}")]
    WrongComponents {
        /// What it covers.
        found: String,
        /// What it must cover.
        demanded: String,
    },
    /// No key of that id.
    #[error("no key has the id it names")]
    UnknownKey,
    /// Another algorithm than the key's.
    #[error("its `alg` is not the algorithm of the key")]
    WrongAlgorithm,
    /// Made for something else.
    #[error("its `tag` is not `{TAG}`")]
    WrongTag,
    /// Made in the future.
    #[error("it was created at {created}, {ahead} s from now: compare the clocks")]
    NotYetValid {
        /// When it says it was made.
        created: u64,
        /// How far that is in the future, in seconds.
        ahead: u64,
    },
    /// Too old.
    #[error("it expired at {expires}, {ago} s ago")]
    Expired {
        /// When it says it expires.
        expires: u64,
        /// How long ago that was, in seconds.
        ago: u64,
    },
    /// A covered field is not there, or empty.
    #[error("the covered field `{0}` is missing from the request")]
    MissingField(String),
    /// Something that cannot stand in a signature base.
    #[error("the value of `{0}` is not visible ASCII")]
    MalformedValue(String),
    /// Signed for another site.
    #[error("`Host` is not the authority of this app")]
    WrongAuthority,
    /// The bytes are not the key's signature of this request.
    #[error("it is not the signature of this request")]
    WrongSignature,
    /// Seen before.
    #[error("its nonce was seen before")]
    Replayed,
}

impl Refused {
    /// All names, in the order in which they are looked for.
    pub const NAMES: [&'static str; 15] = [
        "no-signature",
        "look-alike-field",
        "duplicated-field",
        "malformed-signature",
        "wrong-components",
        "unknown-key",
        "wrong-algorithm",
        "wrong-tag",
        "not-yet-valid",
        "expired",
        "missing-field",
        "malformed-value",
        "wrong-authority",
        "wrong-signature",
        "replayed",
    ];

    /// The name it has in every language.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        let place = match self {
            Self::NoSignature => 0,
            Self::LookAlikeField(_) => 1,
            Self::DuplicatedField(_) => 2,
            Self::MalformedSignature => 3,
            Self::WrongComponents { .. } => 4,
            Self::UnknownKey => 5,
            Self::WrongAlgorithm => 6,
            Self::WrongTag => 7,
            Self::NotYetValid { .. } => 8,
            Self::Expired { .. } => 9,
            Self::MissingField(_) => 10,
            Self::MalformedValue(_) => 11,
            Self::WrongAuthority => 12,
            Self::WrongSignature => 13,
            Self::Replayed => 14,
        };
        Self::NAMES[place]
    }
}
