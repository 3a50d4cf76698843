//! Bridges: who a member is in the words that an app knows already, for apps that cannot be changed.
//!
//! One is a field in the manner of `REMOTE_USER` (RFC 3875 §4.1.11), the other Basic credentials (RFC 7617) of the member's
//! id and a password that gateway and app share. Neither can be verified, so the app has to believe whoever reaches it;
//! what a browser sends under these names never arrives on the site, with a member or without one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::Attribute;
use crate::field_lines::Lines;
use crate::member::Member;
use crate::secret::Secret;

/// What an app is told besides the identity fields.
#[derive(Clone, Debug, Default)]
pub struct Bridge {
    /// A field, and which of the ids it holds.
    pub remote_user: Option<(Attribute, HeaderName)>,
    /// The password of the Basic credentials.
    pub basic: Option<Secret>,
}

/// The username of Basic credentials ends at the first colon (RFC 7617 §2): the app would take the member for another one
/// whose id is what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a member id with a colon is no username of Basic credentials")]
pub struct NoUsername;

impl Bridge {
    /// The names that are written, and that nobody else may write.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        const CREDENTIALS: HeaderName = AUTHORIZATION;
        let credentials = self.basic.as_ref().map(|_| &CREDENTIALS);
        self.remote_user.iter().map(|(_, name)| name).chain(credentials)
    }

    /// Writes what the app is to be told of a member.
    ///
    /// # Errors
    /// [`NoUsername`] where the member cannot be named so; nothing has been written then.
    pub fn write(&self, lines: &mut impl Lines, member: &Member) -> Result<(), NoUsername> {
        if let Some(password) = &self.basic {
            lines.field(&AUTHORIZATION, &credentials(member.id.as_str(), password)?);
        }
        if let Some((attribute, name)) = &self.remote_user
            && let Some(value) = attribute.of(member)
        {
            lines.text(name, &value);
        }
        Ok(())
    }
}

fn credentials(id: &str, password: &Secret) -> Result<HeaderValue, NoUsername> {
    if id.contains(':') {
        return Err(NoUsername);
    }
    let pair = Zeroizing::new([id.as_bytes(), b":", password.expose()].concat());
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(&*pair))).expect("base64 is ASCII");
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{MemberId, MemberUnitId, Profile, ProviderName};
    use crate::message::Fields;

    fn member(id: &'static str) -> Member {
        Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new(id).unwrap(),
            unit_id: MemberUnitId::new("400007995").unwrap(),
            profile: Profile::default(),
        }
    }

    fn both() -> Bridge {
        Bridge {
            remote_user: Some((Attribute::MemberUnitId, HeaderName::from_static("x-remote-user"))),
            basic: Some(Secret::new("swordfish")),
        }
    }

    #[test]
    fn a_member_is_told_in_both_ways() {
        let mut fields = Fields::new();
        both().write(&mut fields, &member("400007995-00")).unwrap();
        assert_eq!(fields["x-remote-user"], "400007995");
        assert_eq!(fields["authorization"], "Basic NDAwMDA3OTk1LTAwOnN3b3JkZmlzaA==");
    }

    #[test]
    fn an_id_with_a_colon_is_no_username_and_nothing_is_written() {
        for id in ["a:b", ":", "a:", ":a"] {
            let mut fields = Fields::new();
            assert_eq!(both().write(&mut fields, &member(id)), Err(NoUsername), "{id}");
            assert!(fields.is_empty(), "{id}");
        }
    }

    #[test]
    fn a_field_alone_takes_any_id() {
        let mut fields = Fields::new();
        let bridge = Bridge { basic: None, ..both() };
        bridge.write(&mut fields, &member("a:b")).unwrap();
        assert_eq!((fields.len(), bridge.names().count()), (1, 1));
    }

    #[test]
    fn neither_password_nor_credentials_print_themselves() {
        let mut fields = Fields::new();
        both().write(&mut fields, &member("1")).unwrap();
        let printed = format!("{:?} {fields:?}", both());
        assert!(!printed.contains("swordfish") && !printed.contains("Basic"), "{printed}");
    }
}
