//! HTTP message signatures (RFC 9421): the signature base, signing it, and verifying what somebody else received.
//!
//! The verifier holds the list of components it demands; it never takes the message's word for what has to be covered.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, FieldType, InnerList, ListEntry, Parser};

use super::keys::{SigningKey, SigningKeys};
use crate::time::UnixTime;

/// The label of our signature.
pub const LABEL: &str = "member";
/// What our signature is for: the `tag` parameter.
pub const TAG: &str = "member-gateway";
/// The field that says what is signed.
pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// The field that holds the signatures.
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// How far the clocks of signer and verifier may be apart, in seconds.
const SKEW: u64 = 30;

/// A part of a message that a signature covers (RFC 9421 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// `@method`
    Method,
    /// `@authority`
    Authority,
    /// `@path`
    Path,
    /// `@query`
    Query,
    /// A field of the message.
    Field(HeaderName),
}

impl Component {
    /// The component's name, as it stands between quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Method => "@method",
            Self::Authority => "@authority",
            Self::Path => "@path",
            Self::Query => "@query",
            Self::Field(name) => name.as_str(),
        }
    }
}

/// What of a request can be signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The method.
    pub method: &'a str,
    /// Host and port as the upstream sees them in `Host`.
    pub authority: &'a str,
    /// The path, as it is forwarded.
    pub path: &'a str,
    /// What follows the question mark; nothing where there is none.
    pub query: Option<&'a str>,
    /// The fields.
    pub fields: &'a HeaderMap,
}

/// The signature base (RFC 9421 §2.5): what is signed, and what whoever verifies builds again. `params` is the list of
/// components and its parameters, as `Signature-Input` has it behind the label. Nothing where a covered field is missing
/// or is not ASCII.
#[must_use]
pub fn signature_base(message: &Message<'_>, components: &[Component], params: &str) -> Option<String> {
    let mut base = String::with_capacity(768);
    for component in components {
        base.push('"');
        base.push_str(component.as_str());
        base.push_str("\": ");
        match component {
            Component::Method => base.push_str(message.method),
            Component::Authority => base.push_str(message.authority),
            Component::Path => base.push_str(message.path),
            Component::Query => {
                base.push('?');
                base.push_str(message.query.unwrap_or_default());
            }
            Component::Field(name) => {
                let mut lines = message.fields.get_all(name).iter();
                base.push_str(lines.next()?.to_str().ok()?.trim());
                for line in lines {
                    base.push_str(", ");
                    base.push_str(line.to_str().ok()?.trim());
                }
            }
        }
        base.push('\n');
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(params);
    Some(base)
}

/// Signs requests with one key over one list of components.
#[derive(Debug)]
pub struct Signer {
    components: Vec<Component>,
    /// `("@method" … )`, the same in every signature.
    covered: String,
    ttl: u64,
}

impl Signer {
    /// A signer whose signatures cover `components` and hold for `ttl` seconds.
    #[must_use]
    pub fn new(components: Vec<Component>, ttl: u64) -> Self {
        let names: Vec<String> = components.iter().map(|part| format!("\"{}\"", part.as_str())).collect();
        Self { covered: format!("({})", names.join(" ")), components, ttl }
    }

    /// The components every signature covers.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The values of `Signature-Input` and `Signature` for a message. Nothing where a covered field is not there.
    ///
    /// # Panics
    /// Never: all that is written is ASCII.
    #[must_use]
    pub fn sign(
        &self,
        message: &Message<'_>,
        key: &SigningKey,
        now: UnixTime,
        nonce: &str,
    ) -> Option<(HeaderValue, HeaderValue)> {
        use std::fmt::Write;
        let mut input = String::with_capacity(320);
        let (created, expires) = (now.0, now.0.saturating_add(self.ttl));
        write!(
            input,
            "{LABEL}={};created={created};expires={expires};nonce=\"{nonce}\";keyid=\"{}\";alg=\"{}\";tag=\"{TAG}\"",
            self.covered,
            key.id(),
            key.algorithm().as_str(),
        )
        .expect("writing into a string");
        let base = signature_base(message, &self.components, &input[LABEL.len() + 1..])?;
        let mut signature = String::with_capacity(112);
        signature.push_str(LABEL);
        signature.push_str("=:");
        key.sign_into(base.as_bytes(), &mut signature);
        signature.push(':');
        let value = |text: String| HeaderValue::try_from(text).expect("ASCII throughout");
        Some((value(input), value(signature)))
    }
}

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

/// The lines of a field as one dictionary; an empty one where there is no such field.
fn dictionary(fields: &HeaderMap, name: &HeaderName) -> Option<Dictionary> {
    let lines: Vec<&[u8]> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Some(Dictionary::new());
    }
    Parser::new(&lines.join(&b", "[..])).parse_dictionary::<Dictionary>().ok()
}

/// Takes our label out of what a client sent; its other signatures stay as they came. A field that cannot be read goes
/// as a whole: somebody else might read our label into it.
///
/// Returns whether anything was taken.
pub fn remove_label(fields: &mut HeaderMap) -> bool {
    let mut removed = false;
    for name in [&SIGNATURE_INPUT, &SIGNATURE] {
        if !fields.contains_key(name) {
            continue;
        }
        let rest = match dictionary(fields, name) {
            Some(dictionary) if !dictionary.contains_key(LABEL) => continue,
            Some(mut dictionary) => {
                dictionary.shift_remove(LABEL);
                dictionary.serialize()
            }
            None => None,
        };
        fields.remove(name);
        if let Some(rest) = rest.and_then(|rest| HeaderValue::try_from(rest).ok()) {
            fields.insert(name, rest);
        }
        removed = true;
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::keys::Algorithm;
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn keys(algorithm: Algorithm) -> SigningKeys {
        let secret = Secret::new(*b"0123456789abcdef0123456789abcdef");
        SigningKeys::new(vec![SigningKey::new("2026-11", algorithm, &secret).unwrap()]).unwrap()
    }

    fn demanded() -> Vec<Component> {
        let fields = ["x-member-id", "x-member-unit-id", "x-member-provider"];
        [Component::Method, Component::Authority, Component::Path, Component::Query]
            .into_iter()
            .chain(fields.map(|name| Component::Field(HeaderName::from_static(name))))
            .collect()
    }

    fn fields() -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("x-member-id", "400007995-00"),
            ("x-member-unit-id", "400007995"),
            ("x-member-provider", "ymca"),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        fields
    }

    fn message(fields: &HeaderMap) -> Message<'_> {
        Message {
            method: "GET",
            authority: "members.example.org",
            path: "/classes",
            query: Some("week=2"),
            fields,
        }
    }

    fn signed(algorithm: Algorithm) -> HeaderMap {
        let mut fields = fields();
        let keys = keys(algorithm);
        let signer = Signer::new(demanded(), 60);
        let (input, signature) =
            signer.sign(&message(&fields), keys.current(), NOW, "bm9uY2U").expect("all fields are there");
        fields.insert(SIGNATURE_INPUT, input);
        fields.insert(SIGNATURE, signature);
        fields
    }

    fn verified(message: &Message<'_>) -> Result<(), Invalid> {
        verify(message, &demanded(), &keys(Algorithm::HmacSha256), NOW)
    }

    #[test]
    fn a_signature_is_written_as_the_contract_says() {
        let fields = signed(Algorithm::HmacSha256);
        assert_eq!(
            fields[SIGNATURE_INPUT],
            "member=(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-member-id\" \"x-member-unit-id\" \
             \"x-member-provider\");created=1795300000;expires=1795300060;nonce=\"bm9uY2U\";keyid=\"2026-11\";\
             alg=\"hmac-sha256\";tag=\"member-gateway\""
        );
        assert!(fields[SIGNATURE].to_str().unwrap().starts_with("member=:"));
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
            ("nonce=\"bm9uY2U\"", "nonce=\"bm9uY2V\"", Invalid::Mismatch),
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

    #[test]
    fn our_label_is_taken_out_of_what_a_client_sends_and_other_labels_stay() {
        let cases = [
            ("sig1=:AAAA:", Some("sig1=:AAAA:")),
            ("member=:AAAA:", None),
            ("sig1=:AAAA:, member=:BBBB:, sig2=:CCCC:", Some("sig1=:AAAA:, sig2=:CCCC:")),
            ("sig1=:AAAA:;x=\", member=:BBBB:\"", Some("sig1=:AAAA:;x=\", member=:BBBB:\"")),
            ("Member=:AAAA:", None),
            ("sig1=:AAAA:, member", Some("sig1=:AAAA:")),
            ("not a dictionary, member=:AAAA:", None),
        ];
        for (sent, kept) in cases {
            let mut fields = HeaderMap::new();
            fields.insert(SIGNATURE, HeaderValue::from_static(sent));
            remove_label(&mut fields);
            assert_eq!(fields.get(SIGNATURE).map(|value| value.to_str().unwrap()), kept, "{sent}");
        }
        let mut fields = HeaderMap::new();
        fields.append(SIGNATURE, HeaderValue::from_static("sig1=:AAAA:"));
        fields.append(SIGNATURE, HeaderValue::from_static("member=:BBBB:"));
        remove_label(&mut fields);
        assert_eq!(fields.get_all(SIGNATURE).iter().collect::<Vec<_>>(), ["sig1=:AAAA:"]);
    }
}
