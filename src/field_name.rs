//! Field names as the least particular upstream reads them.
//!
//! CGI and its heirs turn every character of a field's name that is no letter or digit into `_`, so `X_Member.Id` and
//! `x-member-id` are one variable to PHP. Whoever guards a name has to guard all its spellings.

/// A name folded: lower case, everything but letters and digits alike.
#[must_use]
pub fn folded(name: &str) -> Vec<u8> {
    name.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
        .collect()
}

/// Whether a name, in lower case as `HeaderName` holds it, reads as this folded one; without writing it down.
#[must_use]
pub fn reads_as(name: &str, folded: &[u8]) -> bool {
    let same = |(byte, &other): (u8, &u8)| byte == other || (other == b'-' && !byte.is_ascii_alphanumeric());
    name.len() == folded.len() && name.bytes().zip(folded).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_what_it_folds_to() {
        for name in ["x-member-id", "x_member.id", "x~member~id", "x-member_id"] {
            assert_eq!(folded(name), b"x-member-id");
            assert!(reads_as(name, b"x-member-id"), "{name}");
        }
        for name in ["xmember-id", "x-member-idx", "y-member-id", "x1member-id"] {
            assert!(!reads_as(name, b"x-member-id"), "{name}");
        }
    }
}
