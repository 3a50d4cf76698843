//! What vendors answer: a status, in the first octet, and a body.
//!
//! * A token is what a field can hold, and stands in the body; with an error status there is none.
//! * A member has ids that stand in the body, digit for digit, and that can be signed.
//! * JSON in which something is said twice is none, and otherwise it is what other programs read.
//! * Nothing of what went wrong repeats the token.

use http::StatusCode;
use member_gateway::member::{MemberUnitId, ProviderName};
use member_gateway::provider::ProviderError;
use member_gateway::provider::claims::{self, Claims, Pointers, ProfilePointers, UnitId};
use member_gateway::provider::fuzzing::{token, userinfo};
use serde_json::Value;

const STATUSES: [u16; 8] = [200, 201, 204, 302, 400, 401, 429, 503];

pub fn run(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let status = StatusCode::from_u16(STATUSES[usize::from(first % 8)]).expect("a status");
    let json = claims::parse(body);
    if let Some(json) = &json {
        let read: Value = serde_json::from_slice(body).expect("what is taken is JSON");
        assert!(is_same(json, &read), "{json} and {read}");
        assert_eq!(members_in(json), members_written(body), "something is said twice");
    }
    match token(status, body) {
        Ok(token) => {
            assert!(status.is_success());
            let stands =
                json.as_ref().and_then(|json| json.get("access_token")?.as_str()).unwrap_or_default();
            assert_eq!(Some(stands), token.expose_str());
            assert!(!stands.is_empty() && stands.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
        }
        Err(error) => keeps_still(&error, json.as_ref()),
    }
    let answer = match userinfo(status, body) {
        Ok(answer) => answer,
        Err(error) => return keeps_still(&error, json.as_ref()),
    };
    let Some(answer) = answer else { return };
    daxko(&answer);
    xoxoday(&answer);
}

fn daxko(answer: &Value) {
    let pointers = Pointers {
        member_id: "/member/id".to_owned(),
        member_unit_id: "/member/unit_id".to_owned(),
        first_name: "/member/first_name".to_owned(),
        last_name: "/member/last_name".to_owned(),
        email: "/member/email".to_owned(),
    };
    let provider = ProviderName::new("ymca").expect("a name");
    if let Ok(member) = claims::member(answer, &pointers, &provider) {
        stands(answer, "/member/id", member.id.as_str());
        stands(answer, "/member/unit_id", member.unit_id.as_str());
    }
}

fn xoxoday(answer: &Value) {
    let claims = |unit_id, lowercase| Claims { member_id: "/email".to_owned(), unit_id, lowercase };
    let at = |pointer: &str| UnitId::Pointer(pointer.to_owned());
    let fixed = UnitId::Value(MemberUnitId::new("club").expect("an id"));
    if let Ok(ids) = claims(at("/data/company_id"), false).ids(answer) {
        stands(answer, "/email", ids.member_id.as_str());
        stands(answer, "/data/company_id", ids.unit_id.as_str());
    }
    if let Ok(ids) = claims(fixed, false).ids(answer) {
        assert_eq!(ids.unit_id.as_str(), "club");
    }
    if let Ok(ids) = claims(UnitId::SameAsMember, true).ids(answer) {
        assert_eq!(ids.unit_id.as_str(), ids.member_id.as_str());
    }
    let profile = ProfilePointers { first_name: None, last_name: None, email: "/email".to_owned() };
    if let Ok(address) = profile.address(answer) {
        let written = answer.pointer("/email").and_then(Value::as_str).expect("an address");
        assert!(written.trim().eq_ignore_ascii_case(address.as_str()));
        assert!(!address.as_str().contains(|c: char| c.is_control() || c.is_whitespace()));
        assert!(profile.profile(answer).first_name.is_none());
    }
}

fn stands(answer: &Value, pointer: &str, id: &str) {
    let written = match answer.pointer(pointer).expect("an id") {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => panic!("this is no id"),
    };
    assert_eq!(written, id);
    assert!(
        !id.is_empty() && id.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !b",;\"\\".contains(&byte))
    );
}

fn keeps_still(error: &ProviderError, json: Option<&Value>) {
    let said = error.to_string();
    for name in ["access_token", "refresh_token", "message", "error_description"] {
        let secret = json.and_then(|json| json.get(name)?.as_str()).filter(|text| text.len() >= 12);
        let is_code = |text: &str| {
            text.len() <= 40 && text.bytes().all(|byte| b"abcdefghijklmnopqrstuvwxyz_.".contains(&byte))
        };
        let secret = secret.filter(|text| name.ends_with("token") || !is_code(text));
        assert!(secret.is_none_or(|secret| !said.contains(secret)), "{said}");
    }
}

/// How many members all objects have together.
fn members_in(json: &Value) -> usize {
    match json {
        Value::Array(items) => items.iter().map(members_in).sum(),
        Value::Object(members) => members.values().map(|value| 1 + members_in(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// How many of them a text writes down: each has the one colon that is in no string.
fn members_written(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut rest) = (0, false, json);
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => rest = rest.get(1..).unwrap_or_default(),
            b':' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// Numbers with a fraction may differ in their last digit.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_same(value, other)))
        }
        _ => one == other,
    }
}
