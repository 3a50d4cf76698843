//! The words every room shares: who a member is.
//!
//! An id is opaque text from a vendor: it is never computed from another id, never read as a number, never trimmed.
//! What makes it fit for a field value and for a signature is checked once, where it comes in.

use std::fmt;

use bytes::Bytes;

/// The longest id, in octets.
pub const MAX_ID: usize = 254;

/// Identifies one person at one provider.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MemberId(Bytes);

/// Identifies a group of people, usually a household, at one provider.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MemberUnitId(Bytes);

/// The name an operator gave a provider: part of the callback path, so `[a-z0-9-]+`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProviderName(Bytes);

/// What is known of somebody who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which provider vouches for the ids. Ids are only ever unique together with it.
    pub provider: ProviderName,
    /// The person.
    pub id: MemberId,
    /// The person's unit.
    pub unit_id: MemberUnitId,
    /// What else the vendor said; kept only where the operator asked for it.
    pub profile: Profile,
}

/// What a vendor may say about a person beyond the ids. Nothing here identifies anybody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
}

/// Names of people never reach a log, so a profile does not print what it holds.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile([redacted])")
    }
}

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// An id of no characters would make an empty field.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_ID`] octets.
    #[error("is longer than {MAX_ID} octets")]
    TooLong,
    /// Something else than visible ASCII, or one of `,` `;` `"` `\`.
    #[error("holds a character other than visible ASCII, or a comma, semicolon, double quote or backslash")]
    Character,
}

/// An id may stand alone in a field value and inside a structured field's string without being escaped.
fn checked_id(text: Bytes) -> Result<Bytes, InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID {
        return Err(InvalidId::TooLong);
    }
    let fits = |&byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"' | b'\\');
    if text.iter().all(fits) { Ok(text) } else { Err(InvalidId::Character) }
}

/// A provider's name is a label of the callback path.
fn checked_name(text: Bytes) -> Result<Bytes, InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > 64 {
        return Err(InvalidId::TooLong);
    }
    let fits = |&byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.iter().all(fits) { Ok(text) } else { Err(InvalidId::Character) }
}

macro_rules! ascii_text {
    ($name:ident, $check:path) => {
        impl $name {
            /// Checks the text and takes it over.
            ///
            /// # Errors
            /// [`InvalidId`] where the text cannot be one.
            pub fn new(text: impl Into<Bytes>) -> Result<Self, InvalidId> {
                $check(text.into()).map(Self)
            }

            /// The octets of the text, which are ASCII.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("checked to be ASCII when it was made")
            }

            /// The text as shared bytes.
            #[must_use]
            pub fn to_bytes(&self) -> Bytes {
                self.0.clone()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

ascii_text!(MemberId, checked_id);
ascii_text!(MemberUnitId, checked_id);
ascii_text!(ProviderName, checked_name);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_as_it_came() {
        for id in ["300418822-01", "007", "0", "noor.haddad@example.org", "9007199254740993", "a:b/c?d=[e]"] {
            assert_eq!(MemberId::new(id).unwrap().as_str(), id);
        }
        assert!(MemberId::new("x".repeat(MAX_ID)).is_ok());
    }

    #[test]
    fn what_could_break_a_field_or_a_signature_is_no_id() {
        assert_eq!(MemberId::new(""), Err(InvalidId::Empty));
        assert_eq!(MemberId::new("x".repeat(MAX_ID + 1)), Err(InvalidId::TooLong));
        for id in ["1,2", "1;2", "1\"", "1\\", " 1", "1 ", "1 2", "1\r\nX: y", "1\0", "Ünit", "1\t", "\u{7f}"]
        {
            assert_eq!(MemberId::new(id), Err(InvalidId::Character), "{id:?}");
        }
    }

    #[test]
    fn a_provider_name_fits_into_a_path() {
        assert!(ProviderName::new("ymca-2").is_ok());
        for name in ["", "YMCA", "a/b", "a b", "ä", ".."] {
            assert!(ProviderName::new(name).is_err(), "{name:?}");
        }
    }
}
