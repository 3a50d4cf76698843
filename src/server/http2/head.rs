//! The strict reading of a head that h2 leaves open, before anybody else reads it.

use std::fmt;

use http::header::{COOKIE, HeaderValue};

use crate::message::Fields;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsound {
    /// More fields than the operator allows, each part of a cookie counted.
    TooManyFields,
    /// A value begins or ends with a blank (RFC 9113 §8.2.1). HTTP/1.1 would drop it, and an upstream would then read
    /// another value than was checked here.
    Blank,
    /// A name holds a quotation mark, which h2 lets pass. HTTP/1.1 knows no such name (RFC 9110 §5.6.2), so nobody can say
    /// how an upstream would read it.
    Name,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyFields => "there are too many fields",
            Self::Blank => "a value begins or ends with a blank (RFC 9113 §8.2.1)",
            Self::Name => "a name holds a quotation mark (RFC 9110 §5.6.2)",
        })
    }
}

/// Checks the fields of a head, and puts together again what a client may have taken apart: a cookie in several field lines
/// is one (RFC 9113 §8.2.3).
pub(super) fn settle(fields: &mut Fields, most: usize) -> Result<(), Unsound> {
    if fields.len() > most {
        return Err(Unsound::TooManyFields);
    }
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let mut crumbs = 0;
    for (name, value) in &*fields {
        let bytes = value.as_bytes();
        if is_blank(bytes.first()) || is_blank(bytes.last()) {
            return Err(Unsound::Blank);
        }
        crumbs += usize::from(*name == COOKIE);
    }
    if fields.keys().any(|name| name.as_str().contains('"')) {
        return Err(Unsound::Name);
    }
    if crumbs > 1 {
        let crumbs: Vec<&[u8]> = fields.get_all(COOKIE).map(HeaderValue::as_bytes).collect();
        // Values put together with what may stand in a value are one.
        if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
            fields.insert(COOKIE, cookie);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn fields(fields: &[(&'static str, &str)]) -> Fields {
        let fields = fields.iter();
        fields
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_cookie_in_crumbs_is_one_cookie() {
        let mut crumbs =
            fields(&[("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"), ("cookie", "c=\"3\"")]);
        settle(&mut crumbs, 4).unwrap();
        assert_eq!(crumbs, fields(&[("cookie", "a=1; b=2; c=\"3\""), ("accept", "*/*")]));
    }

    #[test]
    fn each_crumb_counts_as_a_field() {
        let mut crumbs = fields(&[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]);
        assert_eq!(settle(&mut crumbs, 2), Err(Unsound::TooManyFields));
    }

    #[test]
    fn no_name_holds_what_http1_could_not_say() {
        for byte in (0x21..0x7f).filter(|byte: &u8| !byte.is_ascii_alphanumeric()) {
            let Ok(name) = HeaderName::from_lowercase(&[b'a', byte, b'b']) else { continue };
            let mut fields = Fields::from_iter([(name, HeaderValue::from_static("c"))]);
            let is_token = b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(settle(&mut fields, 9).is_ok(), is_token, "{}", char::from(byte));
        }
    }

    #[test]
    fn no_value_begins_or_ends_with_a_blank() {
        for value in [" a", "a ", "\ta", "a\t", " "] {
            assert_eq!(settle(&mut fields(&[("x-a", value)]), 9), Err(Unsound::Blank), "{value:?}");
        }
        for value in ["a b", "", "a\tb"] {
            assert_eq!(settle(&mut fields(&[("x-a", value)]), 9), Ok(()), "{value:?}");
        }
    }
}
