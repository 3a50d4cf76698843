//! Identity: what the upstream is told about a member, in fields it can trust.
//!
//! First everything goes that somebody else might have written under our names, in any spelling that an upstream could
//! fold into them: CGI and its heirs turn every character that is no letter or digit into `_`, so `X_Member.Id` and
//! `x-member-id` are one variable to PHP. Then our fields are written and signed together with the request.

pub mod bridge;
pub mod jwt;
pub mod keys;
pub mod signature;

use std::borrow::Cow;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::field_lines::Lines;
use crate::field_name::{folded, reads_as};
use crate::member::Member;
use crate::message::Fields;
use crate::time::UnixTime;
use bridge::Bridge;
use jwt::Jwt;
use keys::SigningKeys;
use signature::{Component, Covered, Message, SIGNATURE, SIGNATURE_INPUT, Signer};

/// What a name of a person may not hold bare: whatever has a meaning in a field value, and the percent sign itself.
const NOT_BARE: &AsciiSet = &CONTROLS.add(b'%').add(b',').add(b';').add(b'"').add(b'\\');

/// What can be told about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The person.
    MemberId,
    /// The person's unit.
    MemberUnitId,
    /// Who vouches for the ids.
    Provider,
    /// The given name.
    FirstName,
    /// The family name.
    LastName,
    /// The e-mail address.
    Email,
}

impl Attribute {
    /// What it is called in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemberId => "member_id",
            Self::MemberUnitId => "member_unit_id",
            Self::Provider => "provider",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Email => "email",
        }
    }

    /// The value for one member, in ASCII; nothing where the vendor did not say.
    fn of(self, member: &Member) -> Option<Cow<'_, [u8]>> {
        let id = |text| Some(Cow::Borrowed(text));
        let name = |text: &Option<String>| {
            let text = utf8_percent_encode(text.as_deref()?.trim(), NOT_BARE).to_string();
            (!text.is_empty()).then(|| Cow::Owned(text.into_bytes()))
        };
        match self {
            Self::MemberId => id(member.id.as_bytes()),
            Self::MemberUnitId => id(member.unit_id.as_bytes()),
            Self::Provider => id(member.provider.as_bytes()),
            Self::FirstName => name(&member.profile.first_name),
            Self::LastName => name(&member.profile.last_name),
            Self::Email => name(&member.profile.email),
        }
    }
}

/// How members are made known to the upstream of a site.
#[derive(Debug)]
pub struct Identity {
    /// The fields in the order of the config, which is the order in which they are signed.
    fields: Vec<(Attribute, HeaderName)>,
    /// Names that must never arrive from a client, folded.
    guarded: Vec<Vec<u8>>,
    /// A bit for each of their lengths: nearly every name is told from them by this alone.
    guarded_lengths: u128,
    signing_keys: SigningKeys,
    /// How JWTs are made, where the app wants one.
    jwt: Option<Jwt>,
    /// What an app is told that can verify nothing.
    bridge: Bridge,
    /// Signs what has all fields; the ones for members of whom less is known are made as they are needed.
    signer: Signer,
    ttl: Duration,
}

impl Identity {
    /// `fields` in the order of the config; `strip` are further names that never arrive from a client.
    #[must_use]
    pub fn new(
        fields: Vec<(Attribute, HeaderName)>,
        strip: &[HeaderName],
        signing_keys: SigningKeys,
        ttl: Duration,
    ) -> Self {
        let signer = signer(fields.iter().map(|(_, name)| name), ttl);
        let guarded_lengths = length_bit(SIGNATURE_INPUT.as_str().len());
        let (guarded, bridge) = (Vec::new(), Bridge::default());
        let mut identity =
            Self { fields, guarded, guarded_lengths, signing_keys, jwt: None, bridge, signer, ttl };
        let names: Vec<HeaderName> = identity.names().chain(strip).cloned().collect();
        names.iter().for_each(|name| identity.guard(name));
        identity
    }

    /// The same with a JWT beside the fields, which is signed as the last of them.
    #[must_use]
    pub fn with_jwt(mut self, jwt: Jwt) -> Self {
        self.guard(jwt.field());
        self.jwt = Some(jwt);
        self.signer = signer(self.names(), self.ttl);
        self
    }

    /// The same for an app that has to be told in another way, too. That is no part of what is signed: whoever verifies
    /// reads the identity fields.
    #[must_use]
    pub fn with_bridge(mut self, bridge: Bridge) -> Self {
        bridge.names().for_each(|name| self.guard(name));
        self.bridge = bridge;
        self
    }

    /// Keeps a name from clients.
    fn guard(&mut self, name: &HeaderName) {
        let name = folded(name.as_str());
        self.guarded_lengths |= length_bit(name.len());
        self.guarded.push(name);
    }

    /// The names of all that is signed, in the order in which it is.
    fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.fields.iter().map(|(_, name)| name).chain(self.jwt.as_ref().map(Jwt::field))
    }

    /// The keys, for those who verify.
    #[must_use]
    pub const fn signing_keys(&self) -> &SigningKeys {
        &self.signing_keys
    }

    /// The fields and what they say, in order.
    #[must_use]
    pub fn fields(&self) -> &[(Attribute, HeaderName)] {
        &self.fields
    }

    /// How JWTs are made, where the app wants one.
    #[must_use]
    pub const fn jwt(&self) -> Option<&Jwt> {
        self.jwt.as_ref()
    }

    /// What an app is told that can verify nothing.
    #[must_use]
    pub const fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// A JWT about a member, from `now` until `until`; nothing where the app wants none.
    #[must_use]
    pub fn assert(
        &self,
        member: &Member,
        now: UnixTime,
        until: UnixTime,
        id: [u8; 16],
    ) -> Option<HeaderValue> {
        self.jwt.as_ref()?.about(member, self.signing_keys.for_jwt()?, now, until, id)
    }

    /// What the signature of a request covers that carries these identity fields.
    #[must_use]
    pub fn components_for(&self, fields: &Fields) -> Vec<Component> {
        components(self.names().filter(|name| fields.contains_key(*name)))
    }

    /// Whether the same names are kept from clients.
    #[must_use]
    pub fn guards_the_same(&self, other: &Self) -> bool {
        self.guarded == other.guarded
    }

    /// Whether a name, in lower case as [`HeaderName`] holds it, could be read as one of ours.
    #[must_use]
    pub fn is_guarded(&self, name: &str) -> bool {
        if self.guarded_lengths & length_bit(name.len()) == 0 {
            return false;
        }
        // The field of RFC 9421 itself may carry other people's signatures; in another spelling it is forged.
        let forged_signature =
            reads_as(name, SIGNATURE_INPUT.as_str().as_bytes()) && name != SIGNATURE_INPUT.as_str();
        forged_signature || self.guarded.iter().any(|guarded| reads_as(name, guarded))
    }

    /// Writes the fields of a member, with the JWT where the app wants one, and signs them with the request they stand in.
    ///
    /// # Panics
    /// Never: all covered fields are there.
    pub fn write(
        &self,
        lines: &mut impl Lines,
        member: &Member,
        jwt: Option<&HeaderValue>,
        request: &RequestLine<'_>,
        now: UnixTime,
        nonce: [u8; 16],
    ) {
        let jwt = self.jwt.as_ref().and_then(|policy| Some((policy.field(), jwt?)));
        let mut missing = usize::from(self.jwt.is_some() && jwt.is_none());
        for (attribute, name) in &self.fields {
            match attribute.of(member) {
                Some(value) => lines.text(name, &value),
                None => missing += 1,
            }
        }
        if let Some((name, value)) = jwt {
            lines.field(name, value);
        }
        let fields = &Told { fields: &self.fields, member, jwt };
        let partial = (missing > 0).then(|| {
            signer(self.names().filter(|name| fields.write_value(name, &mut Vec::new()).is_some()), self.ttl)
        });
        let RequestLine { method, authority, path, query } = *request;
        let message = Message { method, authority, path, query, fields };
        let signer = partial.as_ref().unwrap_or(&self.signer);
        let signed = signer
            .sign(&message, self.signing_keys.current(), now, nonce)
            .expect("every covered field is there");
        lines.text(&SIGNATURE_INPUT, signed.input());
        lines.text(&SIGNATURE, signed.signature());
    }
}

/// What an app is told of one member.
struct Told<'a> {
    fields: &'a [(Attribute, HeaderName)],
    member: &'a Member,
    jwt: Option<(&'a HeaderName, &'a HeaderValue)>,
}

impl Covered for Told<'_> {
    fn write_value(&self, wanted: &HeaderName, base: &mut Vec<u8>) -> Option<()> {
        if let Some((_, value)) = self.jwt.filter(|(name, _)| *name == wanted) {
            base.extend_from_slice(value.as_bytes());
            return Some(());
        }
        let (attribute, _) = self.fields.iter().find(|(_, name)| name == wanted)?;
        base.extend_from_slice(&attribute.of(self.member)?);
        Some(())
    }
}

/// The parts of a request that are signed beside the fields, as the upstream will see them.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a str,
    /// The value of `Host`.
    pub authority: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
}

/// One bit for each length, and one for all that are longer.
fn length_bit(length: usize) -> u128 {
    1 << length.min(127)
}

fn components<'a>(names: impl Iterator<Item = &'a HeaderName>) -> Vec<Component> {
    [Component::Method, Component::Authority, Component::Path, Component::Query]
        .into_iter()
        .chain(names.cloned().map(Component::Field))
        .collect()
}

fn signer<'a>(names: impl Iterator<Item = &'a HeaderName>, ttl: Duration) -> Signer {
    Signer::new(components(names), ttl.as_secs())
}

#[cfg(test)]
mod tests {
    use super::keys::{Algorithm, SigningKey};
    use super::*;
    use crate::member::{MemberId, MemberUnitId, Profile, ProviderName};
    use crate::secret::Secret;

    fn identity() -> Identity {
        let secret = Secret::new(*b"0123456789abcdef0123456789abcdef");
        let key = SigningKey::new("2026-11", Algorithm::HmacSha256, &secret).unwrap();
        Identity::new(
            vec![
                (Attribute::MemberId, HeaderName::from_static("x-member-id")),
                (Attribute::MemberUnitId, HeaderName::from_static("x-member-unit-id")),
                (Attribute::Provider, HeaderName::from_static("x-member-provider")),
                (Attribute::LastName, HeaderName::from_static("x-member-last-name")),
            ],
            &[HeaderName::from_static("remote-user")],
            SigningKeys::new(vec![key]).unwrap(),
            Duration::from_secs(60),
        )
    }

    fn member(last_name: Option<&str>) -> Member {
        Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new("400007995-00").unwrap(),
            unit_id: MemberUnitId::new("400007995").unwrap(),
            profile: Profile { last_name: last_name.map(str::to_owned), ..Profile::default() },
        }
    }

    const LINE: RequestLine<'_> =
        RequestLine { method: "GET", authority: "a.example", path: "/", query: None };

    fn written(member: &Member) -> Fields {
        let mut fields = Fields::new();
        identity().write(&mut fields, member, None, &LINE, UnixTime(1_795_300_000), [0; 16]);
        fields
    }

    #[test]
    fn every_spelling_of_our_names_is_guarded() {
        let spellings = [
            "X-Member-Id",
            "x_member_id",
            "X.Member.Id",
            "x-member_id",
            "X~Member~Id",
            "x!member#id",
            "X-Member-Unit_Id",
            "x'member*provider",
            "REMOTE_USER",
            "remote|user",
            "Remote+User",
            "signature_input",
            "Signature.Input",
        ];
        for spelling in spellings {
            let name = HeaderName::try_from(spelling).unwrap();
            assert!(identity().is_guarded(name.as_str()), "{spelling}");
        }
    }

    #[test]
    fn names_that_are_not_ours_are_not_guarded() {
        let names = [
            "x-member",
            "x-member-idx",
            "xmemberid",
            "x--member-id",
            "accept",
            "signature",
            "x-my-member-id",
        ];
        for name in names.into_iter().chain([SIGNATURE_INPUT.as_str()]) {
            assert!(!identity().is_guarded(name), "{name}");
        }
    }

    #[test]
    fn a_guarded_name_may_have_any_length() {
        let long = HeaderName::try_from("x-".repeat(100) + "x").unwrap();
        let keys =
            SigningKey::new("k", Algorithm::HmacSha256, &Secret::new(*b"0123456789abcdef0123456789abcdef"));
        let keys = SigningKeys::new(vec![keys.unwrap()]).unwrap();
        let identity = Identity::new(Vec::new(), std::slice::from_ref(&long), keys, Duration::from_secs(60));
        assert!(identity.is_guarded(&long.as_str().replace('-', "_")));
        assert!(!identity.is_guarded(&"x".repeat(201)));
    }

    #[test]
    fn a_member_is_told_in_the_configured_fields() {
        let fields = written(&member(Some("Haddad")));
        assert_eq!(fields["x-member-id"], "400007995-00");
        assert_eq!(fields["x-member-unit-id"], "400007995");
        assert_eq!(fields["x-member-provider"], "ymca");
        assert_eq!(fields["x-member-last-name"], "Haddad");
        assert!(fields[SIGNATURE_INPUT].to_str().unwrap().contains("\"x-member-last-name\""));
    }

    #[test]
    fn what_the_vendor_did_not_say_is_neither_sent_nor_signed() {
        for absent in [None, Some(""), Some("  ")] {
            let fields = written(&member(absent));
            assert!(!fields.contains_key("x-member-last-name"));
            assert!(!fields[SIGNATURE_INPUT].to_str().unwrap().contains("last-name"));
        }
    }

    #[test]
    fn names_of_people_are_percent_encoded_utf_8() {
        for (name, value) in [
            ("Núñez", "N%C3%BA%C3%B1ez"),
            ("O'Brien, Jr.", "O'Brien%2C Jr."),
            ("100%", "100%25"),
            ("a\r\nX-Member-Id: 1", "a%0D%0AX-Member-Id: 1"),
        ] {
            assert_eq!(written(&member(Some(name)))["x-member-last-name"], value);
        }
    }

    #[test]
    fn a_guarded_name_is_told_by_its_spelling_and_not_by_its_length() {
        let key = identity().signing_keys;
        // As long as `signature-input`, which is always guarded.
        let fields = vec![(Attribute::MemberId, HeaderName::from_static("x-legacy-userid"))];
        let identity = Identity::new(fields, &[], key, Duration::from_secs(60));
        assert!(identity.is_guarded("x-legacy-userid") && identity.is_guarded("x_legacy.userid"));
        assert!(!identity.is_guarded("x-legacy-userie"));
    }

    #[test]
    fn two_that_guard_the_same_names_may_sign_differently() {
        let with = |strip: &[HeaderName]| {
            let fields = vec![(Attribute::MemberId, HeaderName::from_static("x-member-id"))];
            Identity::new(fields, strip, identity().signing_keys, Duration::from_secs(60))
        };
        let remote_user = [HeaderName::from_static("remote-user")];
        assert!(with(&remote_user).guards_the_same(&with(&remote_user)));
        assert!(!with(&remote_user).guards_the_same(&with(&[])));
        assert_eq!(with(&[]).fields(), [(Attribute::MemberId, HeaderName::from_static("x-member-id"))]);
    }
}
