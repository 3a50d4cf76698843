//! Claims: a vendor's JSON turned into a member, at the places the operator points to.
//!
//! Tolerant where vendors differ (an id may be a number), strict on identity: what is missing, empty, odd or said twice
//! is no id, and without both ids there is no member.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::ProviderError;
use crate::member::{InvalidId, Member, MemberId, MemberUnitId, Profile, ProviderName};

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
    let optional = |pointer: &str| {
        let text = answer.pointer(pointer)?.as_str()?.trim();
        (!text.is_empty() && text.len() <= 255).then(|| text.to_owned())
    };
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

    #[test]
    fn deep_nesting_is_refused_without_harm() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_none());
    }
}
