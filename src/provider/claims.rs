//! Claims: a vendor's JSON turned into a member, at the places the operator points to.
//!
//! Tolerant where vendors differ (an id may be a number), strict on identity: what is missing, empty, odd or said twice
//! is no id, and without both ids there is no member.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::ProviderError;
use crate::member::{InvalidId, MAX_ID, Member, MemberId, MemberUnitId, Profile, ProviderName};

/// Where in a vendor's answer the parts of an identity stand (RFC 6901 pointers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointers {
    /// The person.
    pub member_id: String,
    /// The person's unit.
    pub member_unit_id: String,
    /// The given name.
    pub first_name: String,
    /// The family name.
    pub last_name: String,
    /// The e-mail address.
    pub email: String,
}

/// Where in an answer an identity stands, for a vendor that has no ids of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The person.
    pub member_id: String,
    /// The person's unit.
    pub unit_id: UnitId,
    /// Whether an id that is an e-mail address is written in lower case.
    pub lowercase: bool,
}

/// Where a unit id comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitId {
    /// From the answer (RFC 6901 pointer).
    Pointer(String),
    /// It is the same for everybody.
    Value(MemberUnitId),
    /// It is the member id: everybody is a unit of one.
    SameAsMember,
}

/// Where in a vendor's answer stands what is known of a person beyond the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilePointers {
    /// The given name, if it is wanted.
    pub first_name: Option<String>,
    /// The family name, if it is wanted.
    pub last_name: Option<String>,
    /// The e-mail address.
    pub email: String,
}

/// Both ids of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The person.
    pub member_id: MemberId,
    /// The person's unit.
    pub unit_id: MemberUnitId,
}

/// Why there is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoId {
    /// Nothing there, or `null`.
    #[error("is missing")]
    Missing,
    /// Neither text nor a whole number.
    #[error("is neither text nor a whole number")]
    Kind,
    /// Text that is no id.
    #[error("{0}")]
    Invalid(InvalidId),
    /// Text that is no e-mail address.
    #[error("is no e-mail address")]
    NoAddress,
}

/// Reads JSON in which no object names a member twice: of two ids nobody could say which one was meant.
#[must_use]
pub fn parse(json: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Unambiguous>(json).ok().map(|value| value.0)
}

/// The member of whom `answer` speaks.
///
/// # Errors
/// [`ProviderError::NoIdentity`] where one of the ids is not there or no id.
pub fn member(answer: &Value, pointers: &Pointers, provider: &ProviderName) -> Result<Member, ProviderError> {
    let id = |pointer: &str| {
        text_at(answer, pointer).map_err(|why| ProviderError::NoIdentity { pointer: pointer.to_owned(), why })
    };
    let invalid = |pointer: &str| {
        let pointer = pointer.to_owned();
        |why| ProviderError::NoIdentity { pointer, why: NoId::Invalid(why) }
    };
    let optional = |pointer: &str| optional(answer, pointer);
    Ok(Member {
        provider: provider.clone(),
        id: MemberId::new(id(&pointers.member_id)?).map_err(invalid(&pointers.member_id))?,
        unit_id: MemberUnitId::new(id(&pointers.member_unit_id)?)
            .map_err(invalid(&pointers.member_unit_id))?,
        profile: Profile {
            first_name: optional(&pointers.first_name),
            last_name: optional(&pointers.last_name),
            email: optional(&pointers.email),
        },
    })
}

impl Claims {
    /// The ids in `answer`.
    ///
    /// # Errors
    /// [`ProviderError::NoIdentity`] where one of the ids is not there or no id.
    pub fn ids(&self, answer: &Value) -> Result<Ids, ProviderError> {
        let failed = |pointer: &str, why| ProviderError::NoIdentity { pointer: pointer.to_owned(), why };
        let text = |pointer: &str| {
            let text = text_at(answer, pointer).map_err(|why| failed(pointer, why))?;
            // Two ids that differ in case are two ids; two spellings of an address are one address.
            Ok(if self.lowercase && text.contains('@') { text.to_ascii_lowercase() } else { text })
        };
        let id = text(&self.member_id)?;
        let unit_id = match &self.unit_id {
            UnitId::Pointer(pointer) => {
                MemberUnitId::new(text(pointer)?).map_err(|why| failed(pointer, NoId::Invalid(why)))?
            }
            UnitId::Value(unit_id) => unit_id.clone(),
            UnitId::SameAsMember => {
                MemberUnitId::new(id.clone()).map_err(|why| failed(&self.member_id, NoId::Invalid(why)))?
            }
        };
        let member_id = MemberId::new(id).map_err(|why| failed(&self.member_id, NoId::Invalid(why)))?;
        Ok(Ids { member_id, unit_id })
    }
}

impl ProfilePointers {
    /// What `answer` says of a person beyond the ids.
    #[must_use]
    pub fn profile(&self, answer: &Value) -> Profile {
        let at = |pointer: &Option<String>| optional(answer, pointer.as_ref()?);
        Profile {
            first_name: at(&self.first_name),
            last_name: at(&self.last_name),
            email: optional(answer, &self.email),
        }
    }

    /// The address in `answer` by which a directory knows a person.
    ///
    /// # Errors
    /// [`ProviderError::NoIdentity`] where there is none.
    pub fn address(&self, answer: &Value) -> Result<Address, ProviderError> {
        let failed = |why| ProviderError::NoIdentity { pointer: self.email.clone(), why };
        Address::new(&text_at(answer, &self.email).map_err(failed)?).map_err(failed)
    }
}

/// An e-mail address in the form in which addresses are compared: without blanks around it, ASCII letters in lower
/// case, and everything else byte for byte. A letter that only looks like another one is another one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(String);

impl Address {
    /// Takes the text, if it can be an address.
    ///
    /// # Errors
    /// [`NoId`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, NoId> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(NoId::Missing);
        }
        if text.len() > MAX_ID {
            return Err(NoId::Invalid(InvalidId::TooLong));
        }
        let has_both_sides =
            text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
        let is_plain = !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if has_both_sides && is_plain { Ok(Self(text.to_ascii_lowercase())) } else { Err(NoId::NoAddress) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Addresses of people never reach a log.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address([redacted])")
    }
}

fn optional(answer: &Value, pointer: &str) -> Option<String> {
    let text = answer.pointer(pointer)?.as_str()?.trim();
    (!text.is_empty() && text.len() <= 255).then(|| text.to_owned())
}

/// A number becomes its decimal text, digit for digit; one too large to be held exactly is none.
fn text_at(answer: &Value, pointer: &str) -> Result<String, NoId> {
    match answer.pointer(pointer) {
        None | Some(Value::Null) => Err(NoId::Missing),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => number.as_u64().map(|id| id.to_string()).ok_or(NoId::Kind),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(NoId::Kind),
    }
}

/// A JSON value whose objects name each member once.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor)
    }
}

struct UnambiguousVisitor;

impl<'de> Visitor<'de> for UnambiguousVisitor {
    type Value = Unambiguous;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous(Value::Bool(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unambiguous, A::Error> {
        let mut array = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Unambiguous(Value::Array(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unambiguous, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(Unambiguous(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Member, ProviderError> {
        let pointers = Pointers {
            member_id: "/member_id".into(),
            member_unit_id: "/member_unit_id".into(),
            first_name: "/name/first_name".into(),
            last_name: "/name/last_name".into(),
            email: "/email".into(),
        };
        let answer = parse(json.as_bytes()).unwrap_or(Value::Null);
        member(&answer, &pointers, &ProviderName::new("ymca").unwrap())
    }

    fn with_id(id: &str) -> Result<Member, ProviderError> {
        read(&format!("{{\"member_id\":{id},\"member_unit_id\":\"300418822\"}}"))
    }

    #[test]
    fn a_member_is_read_as_daxko_writes_one() {
        let member = read(
            r#"{"member_id":"300418822-01","member_unit_id":"300418822","name":{"first_name":"Noor","last_name":"Haddad"}}"#,
        )
        .unwrap();
        assert_eq!((member.id.as_str(), member.unit_id.as_str()), ("300418822-01", "300418822"));
        assert_eq!(member.profile.last_name.as_deref(), Some("Haddad"));
        assert_eq!(member.profile.email, None);
    }

    #[test]
    fn a_number_becomes_its_decimal_text_digit_for_digit() {
        for (id, text) in [("7", "7"), ("9007199254740993", "9007199254740993"), ("\"007\"", "007")] {
            assert_eq!(with_id(id).unwrap().id.as_str(), text);
        }
    }

    #[test]
    fn what_is_no_id_ends_the_login() {
        let long = format!("\"{}\"", "1".repeat(255));
        for id in [
            "null",
            "\"\"",
            "[]",
            "[\"1\"]",
            "{}",
            "true",
            "\"1,2\"",
            "\" 1\"",
            "\"1 \"",
            "\"1\\r\\nX: y\"",
            "\"1\\u0000\"",
            "\"é\"",
            "1.5",
            "-1",
            "1e3",
            "184467440737095516160",
            long.as_str(),
        ] {
            assert!(matches!(with_id(id), Err(ProviderError::NoIdentity { .. })), "{id}");
        }
        assert!(read("{\"member_unit_id\":\"1\"}").is_err());
        assert!(read("{\"member_id\":\"1\"}").is_err());
        assert!(read("[]").is_err());
    }

    #[test]
    fn an_answer_that_says_it_twice_says_nothing() {
        assert!(read(r#"{"member_id":"1","member_unit_id":"1","member_id":"2"}"#).is_err());
        assert!(parse(br#"{"a":{"b":1,"b":1}}"#).is_none());
    }

    fn claims(unit_id: UnitId) -> Claims {
        Claims { member_id: "/email".into(), unit_id, lowercase: true }
    }

    fn ids(claims: &Claims, json: &str) -> Option<(String, String)> {
        let ids = claims.ids(&parse(json.as_bytes()).unwrap()).ok()?;
        Some((ids.member_id.as_str().to_owned(), ids.unit_id.as_str().to_owned()))
    }

    #[test]
    fn a_unit_is_pointed_to_or_shared_or_the_member_alone() {
        let answer = r#"{"email":"Noor@Example.org","unit":7}"#;
        let shared = UnitId::Value(MemberUnitId::new("club").unwrap());
        for (unit, expected) in [
            (UnitId::Pointer("/unit".into()), "7"),
            (shared, "club"),
            (UnitId::SameAsMember, "noor@example.org"),
        ] {
            assert_eq!(ids(&claims(unit), answer), Some(("noor@example.org".into(), expected.into())));
        }
        assert_eq!(ids(&claims(UnitId::Pointer("/none".into())), answer), None);
    }

    #[test]
    fn an_address_is_lower_cased_and_an_id_is_not() {
        let mut claims = claims(UnitId::SameAsMember);
        assert_eq!(ids(&claims, r#"{"email":"AbC"}"#).unwrap().0, "AbC", "another id than abc");
        assert_eq!(ids(&claims, r#"{"email":"A@B"}"#).unwrap().0, "a@b");
        claims.lowercase = false;
        assert_eq!(ids(&claims, r#"{"email":"A@B"}"#).unwrap().0, "A@B");
    }

    #[test]
    fn an_address_that_is_no_id_ends_the_login() {
        for email in
            ["null", "\"\"", "\"a,b@example.org\"", "\"\u{212A}@example.org\"", "\" a@b\"", "[]", "{}"]
        {
            assert_eq!(
                ids(&claims(UnitId::SameAsMember), &format!("{{\"email\":{email}}}")),
                None,
                "{email}"
            );
        }
    }

    #[test]
    fn addresses_are_compared_in_ascii_lower_case_and_byte_for_byte() {
        let same = |a: &str, b: &str| Address::new(a).unwrap() == Address::new(b).unwrap();
        assert!(same(" Noor@Example.ORG\n", "noor@example.org"));
        // The Kelvin sign, a Cyrillic o, a dotted capital I, and a composed against a decomposed letter.
        assert!(!same("\u{212a}im@example.org", "kim@example.org"));
        assert!(!same("n\u{43e}or@example.org", "noor@example.org"));
        assert!(!same("\u{130}da@example.org", "ida@example.org"));
        assert!(!same("\u{e9}a@example.org", "e\u{301}a@example.org"));
        for text in ["", " ", "noor", "@example.org", "noor@", "..", "a b@c", "a\r\n@b", "a\0@b", "a\u{a0}@b"]
        {
            assert!(Address::new(text).is_err(), "{text:?}");
        }
        assert!(Address::new(&format!("{}@b", "a".repeat(300))).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_without_harm() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_none());
    }
}
