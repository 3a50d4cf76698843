//! Complaints: the bodies in which vendors say no.
//!
//! RFC 6749 §5.2 knows one shape; Xoxoday's documentation has six, with statuses that it does not publish, a 200 among
//! them. All of them are read here, whatever the status. Nothing of their free text is kept: it may name a person.

use serde_json::Value;

/// What a body that says no says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The error code, as far as it may be logged.
    pub(super) code: Option<String>,
    /// Whether too much was asked at once, or the vendor is out of order: waiting helps.
    pub(super) is_temporary: bool,
    /// How many seconds it asks us to wait.
    pub(super) wait: Option<u64>,
}

/// What `body` complains about; nothing where it does not.
pub(super) fn complaint(body: &Value) -> Option<Complaint> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let first = body.pointer("/errors/0");
    let has_token = text("access_token").is_some_and(|token| !token.is_empty());
    let has_error = body.get("error").is_some_and(|error| !is_nothing(error));
    let has_errors = first.is_some();
    let is_failure = body.get("success").is_some_and(is_no);
    // A message is a complaint only where it is one of Xoxoday's codes; "Success" is a message too.
    let is_code = |name: &str| text(name).is_some_and(|text| text.starts_with("auth."));
    let has_message = !has_token && (is_code("message") || is_code("error_message_id"));
    if !(has_error || has_errors || is_failure || has_message) {
        return None;
    }
    let message = first.and_then(|error| error.get("message")).and_then(Value::as_str);
    let texts = [text("error"), text("error_message_id"), message, text("message"), text("errorId")];
    let is_limit = texts.iter().flatten().any(|text| text.contains("request_limit_exceeded"));
    let is_away = matches!(text("error"), Some("server_error" | "temporarily_unavailable"))
        || body
            .get("code")
            .and_then(Value::as_u64)
            .is_some_and(|code| code == 429 || (500..600).contains(&code));
    Some(Complaint {
        code: texts.into_iter().flatten().find_map(error_code),
        is_temporary: is_limit || is_away,
        wait: first.and_then(|error| error.get("penaltySeconds")).and_then(seconds),
    })
}

/// An error code as far as it may be logged: vendors put all sorts of things there.
pub(crate) fn error_code(code: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    let is_word = code.len() <= 40 && code.bytes().all(fits);
    // Xoxoday's own, such as PLE10030.
    let is_number = code.len() <= 12
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code.ends_with(|c: char| c.is_ascii_digit())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    (!code.is_empty() && (is_word || is_number)).then(|| code.to_owned())
}

/// A number of seconds, as number or text.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value == &Value::Bool(false) || value.as_str() == Some("")
}

/// `success` is `0` or `1` in one text, a truth in another.
fn is_no(value: &Value) -> bool {
    value == &Value::Bool(false) || value.as_u64() == Some(0) || value.as_str() == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<(Option<String>, bool, Option<u64>)> {
        complaint(&serde_json::from_str(json).unwrap())
            .map(|found| (found.code, found.is_temporary, found.wait))
    }

    #[test]
    fn all_six_shapes_are_complaints() {
        let rows: [(&str, Option<&str>, bool, Option<u64>); 9] = [
            (
                r#"{"error":"invalid_request","error_description":"missing"}"#,
                Some("invalid_request"),
                false,
                None,
            ),
            (
                r#"{"error":"invalid_token","error_description":"expired"}"#,
                Some("invalid_token"),
                false,
                None,
            ),
            (r#"{"success":0,"error_message_id":"auth.token_error"}"#, Some("auth.token_error"), false, None),
            (r#"{"message":"auth.request_limit_exceeded"}"#, Some("auth.request_limit_exceeded"), true, None),
            (
                r#"{"errors":[{"message":"auth.request_limit_exceeded","penaltySeconds":60}]}"#,
                Some("auth.request_limit_exceeded"),
                true,
                Some(60),
            ),
            (
                r#"{"code":404,"errorId":"PLE10030","errorInfo":"x","error":"No such thing"}"#,
                Some("PLE10030"),
                false,
                None,
            ),
            (r#"{"code":503,"errorId":"PLE1","error":"Busy"}"#, Some("PLE1"), true, None),
            (r#"{"error":"Unauthorized"}"#, None, false, None),
            (r#"{"error":"temporarily_unavailable"}"#, Some("temporarily_unavailable"), true, None),
        ];
        for (json, code, is_temporary, wait) in rows {
            assert_eq!(read(json), Some((code.map(str::to_owned), is_temporary, wait)), "{json}");
        }
    }

    #[test]
    fn a_success_is_none_whatever_it_says_beside_the_token() {
        for json in [
            r#"{"access_token":"a"}"#,
            r#"{"access_token":"a","success":1,"status":200,"message":"ok","error":null,"errors":[]}"#,
            r#"{"access_token":"a","success":"1","error":false}"#,
            r#"{"message":"Success","code":200,"data":{"email":"a@b"}}"#,
            "{}",
            "[]",
            "null",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn a_token_beside_an_error_is_an_error() {
        for json in [
            r#"{"access_token":"a","error":"invalid_grant"}"#,
            r#"{"access_token":"a","error":{"code":7}}"#,
            r#"{"access_token":"a","success":0}"#,
            r#"{"access_token":"a","errors":[{}]}"#,
        ] {
            assert!(read(json).is_some(), "{json}");
        }
    }

    #[test]
    fn free_text_is_not_kept() {
        for code in
            ["", "Noor Haddad", "noor.haddad@example.org", "Noor", "7c1f09d2b84e4a6fb1d3a95e60c2f748", "A"]
        {
            assert_eq!(error_code(code), None, "{code}");
        }
    }
}
