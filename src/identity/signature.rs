//! HTTP message signatures (RFC 9421): the signature base, signing it, and keeping our label to ourselves.

mod verification;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{Dictionary, FieldType, Parser};

use super::keys::SigningKey;
use crate::time::UnixTime;
pub use verification::{Invalid, verify};

/// The label of our signature.
pub const LABEL: &str = "member";
/// What our signature is for: the `tag` parameter.
pub const TAG: &str = "member-gateway";
/// The field that says what is signed.
pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// The field that holds the signatures.
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");

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
pub(super) mod tests {
    use super::*;
    use crate::identity::keys::{Algorithm, SigningKeys};
    use crate::secret::Secret;

    pub(super) const NOW: UnixTime = UnixTime(1_795_300_000);

    pub(super) fn keys(algorithm: Algorithm) -> SigningKeys {
        let secret = Secret::new(*b"0123456789abcdef0123456789abcdef");
        SigningKeys::new(vec![SigningKey::new("2026-11", algorithm, &secret).unwrap()]).unwrap()
    }

    pub(super) fn demanded() -> Vec<Component> {
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

    pub(super) fn message(fields: &HeaderMap) -> Message<'_> {
        Message {
            method: "GET",
            authority: "members.example.org",
            path: "/classes",
            query: Some("week=2"),
            fields,
        }
    }

    pub(super) fn signed(algorithm: Algorithm) -> HeaderMap {
        let mut fields = fields();
        let keys = keys(algorithm);
        let signer = Signer::new(demanded(), 60);
        let (input, signature) =
            signer.sign(&message(&fields), keys.current(), NOW, "bm9uY2U").expect("all fields are there");
        fields.insert(SIGNATURE_INPUT, input);
        fields.insert(SIGNATURE, signature);
        fields
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
