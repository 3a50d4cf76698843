//! Verification (RFC 9421 §3.2): whether a request that somebody received is the one that was signed.
//!
//! The verifier holds the list of components it demands; it never takes the message's word for what has to be covered.

use http::header::HeaderName;
use sfv::{BareItem, FieldType, InnerList, ListEntry};

use super::{Component, LABEL, Message, SIGNATURE, SIGNATURE_INPUT, TAG, dictionary, signature_base};
use crate::identity::keys::SigningKeys;
use crate::time::UnixTime;

/// How far the clocks of signer and verifier may be apart, in seconds.
const SKEW: u64 = 30;

/// Why a signature does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No signature under our label.
    #[error("there is no signature labelled `{LABEL}`")]
    Missing,
    /// The fields are no structured fields.
    #[error("Signature-Input or Signature is not well formed")]
    Malformed,
    /// The list of covered components is not the one demanded.
    #[error("it covers {found}, but must cover {demanded}")]
    Coverage {
        /// What it covers.
        found: String,
        /// What it must cover.
        demanded: String,
    },
    /// A covered field is not there.
    #[error("a covered field is missing from the request")]
    FieldMissing,
    /// A covered field stands there more than once.
    #[error("the field `{0}` arrived more than once")]
    FieldRepeated(HeaderName),
    /// No key of that name.
    #[error("no key has the id it names")]
    UnknownKey,
    /// Another algorithm than the key's.
    #[error("its `alg` is not the algorithm of the key")]
    Algorithm,
    /// Made for something else.
    #[error("its `tag` is not `{TAG}`")]
    Tag,
    /// A parameter that has to be there is not.
    #[error("its parameter `{0}` is missing")]
    Parameter(&'static str),
    /// Made in the future.
    #[error("it was created at {created}, {ahead} s from now: compare the clocks")]
    NotYetValid {
        /// When it says it was made.
        created: i64,
        /// How far that is in the future, in seconds.
        ahead: i64,
    },
    /// Too old.
    #[error("it expired at {expires}, {ago} s ago")]
    Expired {
        /// When it says it expires.
        expires: i64,
        /// How long ago that was, in seconds.
        ago: i64,
    },
    /// The bytes are not the key's signature of this request.
    #[error("it is not the signature of this request")]
    Mismatch,
}

/// Verifies the signature labelled [`LABEL`]: that it covers exactly `demanded`, by a key of `keys`, at `now`.
///
/// # Errors
/// [`Invalid`] is the first thing found wrong.
pub fn verify(
    message: &Message<'_>,
    demanded: &[Component],
    keys: &SigningKeys,
    now: UnixTime,
) -> Result<(), Invalid> {
    let inputs = dictionary(message.fields, &SIGNATURE_INPUT).ok_or(Invalid::Malformed)?;
    let signatures = dictionary(message.fields, &SIGNATURE).ok_or(Invalid::Malformed)?;
    let (Some(input), Some(signature)) = (inputs.get(LABEL), signatures.get(LABEL)) else {
        return Err(Invalid::Missing);
    };
    let (ListEntry::InnerList(input), ListEntry::Item(signature)) = (input, signature) else {
        return Err(Invalid::Malformed);
    };
    check_coverage(input, demanded)?;
    for component in demanded {
        if let Component::Field(name) = component
            && message.fields.get_all(name).iter().count() > 1
        {
            return Err(Invalid::FieldRepeated(name.clone()));
        }
    }
    let text = |name: &'static str| {
        input
            .params
            .get(name)
            .and_then(BareItem::as_string)
            .map(sfv::StringRef::as_str)
            .ok_or(Invalid::Parameter(name))
    };
    let instant = |name: &'static str| {
        input.params.get(name).and_then(BareItem::as_integer).map(i64::from).ok_or(Invalid::Parameter(name))
    };
    let key = keys.named(text("keyid")?).ok_or(Invalid::UnknownKey)?;
    if text("alg")? != key.algorithm().as_str() {
        return Err(Invalid::Algorithm);
    }
    if text("tag")? != TAG {
        return Err(Invalid::Tag);
    }
    let (created, expires) = (instant("created")?, instant("expires")?);
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    let skew = i64::try_from(SKEW).unwrap_or(i64::MAX);
    if created > now.saturating_add(skew) {
        return Err(Invalid::NotYetValid { created, ahead: created - now });
    }
    if now >= expires {
        return Err(Invalid::Expired { expires, ago: now - expires });
    }
    let params = vec![ListEntry::InnerList(input.clone())].serialize().ok_or(Invalid::Malformed)?;
    let base = signature_base(message, demanded, &params).ok_or(Invalid::FieldMissing)?;
    let signature = signature.bare_item.as_byte_sequence().ok_or(Invalid::Malformed)?;
    if key.verifies(base.as_bytes(), signature) { Ok(()) } else { Err(Invalid::Mismatch) }
}

fn check_coverage(input: &InnerList, demanded: &[Component]) -> Result<(), Invalid> {
    // A component with parameters (`;req`, `;sf`, …) is another component, so it is none of ours.
    let found: Vec<&str> = input
        .items
        .iter()
        .map(|item| {
            let name = item.bare_item.as_string().map(sfv::StringRef::as_str).unwrap_or_default();
            if item.params.is_empty() { name } else { "(a component with parameters)" }
        })
        .collect();
    let demanded: Vec<&str> = demanded.iter().map(Component::as_str).collect();
    if found == demanded {
        return Ok(());
    }
    Err(Invalid::Coverage { found: found.join(" "), demanded: demanded.join(" ") })
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::super::tests::{NOW, demanded, keys, message, signed};
    use super::*;
    use crate::identity::keys::Algorithm;

    fn verified(message: &Message<'_>) -> Result<(), Invalid> {
        verify(message, &demanded(), &keys(Algorithm::HmacSha256), NOW)
    }

    #[test]
    fn a_signature_of_either_kind_verifies() {
        for algorithm in [Algorithm::HmacSha256, Algorithm::Ed25519] {
            let fields = signed(algorithm);
            assert_eq!(
                verify(&message(&fields), &demanded(), &keys(algorithm), NOW),
                Ok(()),
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn a_change_of_anything_covered_breaks_it() {
        let fields = signed(Algorithm::HmacSha256);
        let good = message(&fields);
        for changed in [
            Message { method: "POST", ..good },
            Message { authority: "members.example.com", ..good },
            Message { path: "/classes/", ..good },
            Message { query: Some("week=3"), ..good },
            Message { query: None, ..good },
        ] {
            assert_eq!(verified(&changed), Err(Invalid::Mismatch), "{changed:?}");
        }
        for name in ["x-member-id", "x-member-unit-id", "x-member-provider"] {
            let mut fields = fields.clone();
            fields.insert(name, HeaderValue::from_static("other"));
            assert_eq!(verified(&message(&fields)), Err(Invalid::Mismatch), "{name}");
            fields.remove(name);
            assert_eq!(verified(&message(&fields)), Err(Invalid::FieldMissing), "{name}");
        }
    }

    #[test]
    fn two_fields_cannot_trade_characters() {
        let mut fields = signed(Algorithm::HmacSha256);
        fields.insert("x-member-id", HeaderValue::from_static("400007995-0"));
        fields.insert("x-member-unit-id", HeaderValue::from_static("0400007995"));
        assert_eq!(verified(&message(&fields)), Err(Invalid::Mismatch));
    }

    #[test]
    fn a_field_that_arrives_twice_is_refused() {
        let mut fields = signed(Algorithm::HmacSha256);
        fields.append("x-member-id", HeaderValue::from_static("400007995-00"));
        let name = HeaderName::from_static("x-member-id");
        assert_eq!(verified(&message(&fields)), Err(Invalid::FieldRepeated(name)));
    }

    #[test]
    fn the_parameters_are_part_of_what_is_signed() {
        for (from, to, why) in [
            ("hmac-sha256", "ed25519", Invalid::Algorithm),
            ("hmac-sha256", "none", Invalid::Algorithm),
            ("\"2026-11\"", "\"../../etc/passwd\"", Invalid::UnknownKey),
            ("member-gateway", "other", Invalid::Tag),
            ("expires=1795300060", "expires=1795399999", Invalid::Mismatch),
            ("created=1795300000", "created=1795299999", Invalid::Mismatch),
            ("nonce=\"c2l4", "nonce=\"c2l5", Invalid::Mismatch),
            (";created=1795300000", "", Invalid::Parameter("created")),
            (";expires=1795300060", "", Invalid::Parameter("expires")),
            (";keyid=\"2026-11\"", "", Invalid::Parameter("keyid")),
            (";alg=\"hmac-sha256\"", "", Invalid::Parameter("alg")),
            ("member=", "other=", Invalid::Missing),
            ("member=(", "member=((", Invalid::Malformed),
        ] {
            let mut fields = signed(Algorithm::HmacSha256);
            let input = fields[SIGNATURE_INPUT].to_str().unwrap().replace(from, to);
            fields.insert(SIGNATURE_INPUT, input.parse().unwrap());
            assert_eq!(verified(&message(&fields)), Err(why), "{from} -> {to}");
        }
    }

    #[test]
    fn a_signature_covers_exactly_what_is_demanded_and_in_that_order() {
        for (from, to) in [
            ("\"@query\" ", ""),
            ("\"x-member-id\" ", ""),
            ("\"@method\" \"@authority\"", "\"@authority\" \"@method\""),
            ("\"@method\"", "\"@method\" \"@method\""),
            ("\"@method\"", "\"@method\";req"),
            ("\"@method\"", "\"@method\" \"date\""),
        ] {
            let mut fields = signed(Algorithm::HmacSha256);
            let input = fields[SIGNATURE_INPUT].to_str().unwrap().replacen(from, to, 1);
            fields.insert(SIGNATURE_INPUT, input.parse().unwrap());
            let verdict = verified(&message(&fields));
            assert!(matches!(verdict, Err(Invalid::Coverage { .. })), "{from} -> {to}: {verdict:?}");
        }
    }

    #[test]
    fn a_signature_holds_from_when_it_was_made_until_it_expires() {
        let fields = signed(Algorithm::HmacSha256);
        let at = |now| verify(&message(&fields), &demanded(), &keys(Algorithm::HmacSha256), UnixTime(now));
        assert_eq!(at(NOW.0 - 30), Ok(()));
        assert_eq!(at(NOW.0 - 31), Err(Invalid::NotYetValid { created: 1_795_300_000, ahead: 31 }));
        assert_eq!(at(NOW.0 + 59), Ok(()));
        assert_eq!(at(NOW.0 + 60), Err(Invalid::Expired { expires: 1_795_300_060, ago: 0 }));
        assert!(at(u64::MAX).is_err());
    }
}
