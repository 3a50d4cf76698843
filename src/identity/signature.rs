//! HTTP message signatures (RFC 9421): the signature base, signing it, and keeping our label to ourselves.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderName, HeaderValue};
use sfv::{Dictionary, FieldType, Parser};

use super::keys::SigningKey;
use crate::message::Fields;
use crate::time::UnixTime;
use crate::verify::{LABEL, TAG, names_ours};

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

    /// What stands before its value in a signature base. Text of ours is written without a call, since its length is known.
    fn begin_line(&self, base: &mut Vec<u8>) {
        match self {
            Self::Method => base.extend_from_slice(b"\"@method\": "),
            Self::Authority => base.extend_from_slice(b"\"@authority\": "),
            Self::Path => base.extend_from_slice(b"\"@path\": "),
            Self::Query => base.extend_from_slice(b"\"@query\": ?"),
            Self::Field(name) => {
                base.push(b'"');
                base.extend_from_slice(name.as_str().as_bytes());
                base.extend_from_slice(b"\": ");
            }
        }
    }
}

/// Fields of which a signature can cover some.
pub trait Covered {
    /// Writes the value of a field as RFC 9421 §2.1 has it: trimmed, and its lines behind each other. Nothing where there is no
    /// such field, or a line is not ASCII.
    fn write_value(&self, name: &HeaderName, base: &mut Vec<u8>) -> Option<()>;
}

impl Covered for Fields {
    fn write_value(&self, name: &HeaderName, base: &mut Vec<u8>) -> Option<()> {
        let mut lines = self.get_all(name);
        base.extend_from_slice(lines.next()?.to_str().ok()?.trim().as_bytes());
        for line in lines {
            base.extend_from_slice(b", ");
            base.extend_from_slice(line.to_str().ok()?.trim().as_bytes());
        }
        Some(())
    }
}

/// What of a request can be signed.
#[derive(Debug)]
pub struct Message<'a, F: ?Sized = Fields> {
    /// The method.
    pub method: &'a str,
    /// Host and port as the upstream sees them in `Host`.
    pub authority: &'a str,
    /// The path, as it is forwarded.
    pub path: &'a str,
    /// What follows the question mark; nothing where there is none.
    pub query: Option<&'a str>,
    /// The fields.
    pub fields: &'a F,
}

/// The signature base (RFC 9421 §2.5): what is signed, and what whoever verifies builds again. `params` is the list of
/// components and its parameters, as `Signature-Input` has it behind the label. Nothing where a covered field is missing
/// or is not ASCII.
#[must_use]
pub fn signature_base(message: &Message<'_>, components: &[Component], params: &str) -> Option<String> {
    let mut base = Vec::with_capacity(768);
    write_components(&mut base, message, components)?;
    base.extend_from_slice(PARAMS);
    base.extend_from_slice(params.as_bytes());
    String::from_utf8(base).ok()
}

/// What stands before the parameters in the last line of a signature base.
const PARAMS: &[u8] = b"\"@signature-params\": ";

/// All lines of a signature base but the last.
fn write_components<F: Covered + ?Sized>(
    base: &mut Vec<u8>,
    message: &Message<'_, F>,
    components: &[Component],
) -> Option<()> {
    for component in components {
        component.begin_line(base);
        match component {
            Component::Method => base.extend_from_slice(message.method.as_bytes()),
            Component::Authority => base.extend_from_slice(message.authority.as_bytes()),
            Component::Path => base.extend_from_slice(message.path.as_bytes()),
            Component::Query => base.extend_from_slice(message.query.unwrap_or_default().as_bytes()),
            Component::Field(name) => message.fields.write_value(name, base)?,
        }
        base.push(b'\n');
    }
    Some(())
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

    /// Signs a message. Nothing where a covered field is not there.
    ///
    /// Signature base, input and signature are written into one buffer, of which the two values are parts.
    #[must_use]
    pub fn sign<Fields: Covered + ?Sized>(
        &self,
        message: &Message<'_, Fields>,
        key: &SigningKey,
        now: UnixTime,
        nonce: [u8; 16],
    ) -> Option<Signed> {
        let mut text = Vec::with_capacity(1024);
        write_components(&mut text, message, &self.components)?;
        text.extend_from_slice(PARAMS);
        let params_at = text.len();
        self.write_params(&mut text, key, now, nonce);
        let base_end = text.len();
        let signature = key.sign(&text);
        text.extend_from_slice(LABEL.as_bytes());
        text.push(b'=');
        text.extend_from_within(params_at..base_end);
        let input_end = text.len();
        text.extend_from_slice(LABEL.as_bytes());
        text.extend_from_slice(b"=:");
        text.extend_from_slice(signature.as_bytes());
        text.push(b':');
        Some(Signed { text, base_end, input_end })
    }

    /// What `Signature-Input` says behind the label.
    fn write_params(&self, text: &mut Vec<u8>, key: &SigningKey, now: UnixTime, nonce: [u8; 16]) {
        let mut encoded = [0; 22];
        URL_SAFE_NO_PAD.encode_slice(nonce, &mut encoded).expect("16 bytes make 22 characters");
        text.extend_from_slice(self.covered.as_bytes());
        text.extend_from_slice(b";created=");
        text.extend_from_slice(itoa::Buffer::new().format(now.0).as_bytes());
        text.extend_from_slice(b";expires=");
        text.extend_from_slice(itoa::Buffer::new().format(now.0.saturating_add(self.ttl)).as_bytes());
        text.extend_from_slice(b";nonce=\"");
        text.extend_from_slice(&encoded);
        text.extend_from_slice(b"\";keyid=\"");
        text.extend_from_slice(key.id().as_bytes());
        text.extend_from_slice(b"\";alg=\"");
        text.extend_from_slice(key.algorithm().as_str().as_bytes());
        text.extend_from_slice(b"\";tag=\"");
        text.extend_from_slice(TAG.as_bytes());
        text.push(b'"');
    }
}

/// A signature: what its two fields say, in ASCII throughout.
#[derive(Debug)]
pub struct Signed {
    text: Vec<u8>,
    base_end: usize,
    input_end: usize,
}

impl Signed {
    /// The value of `Signature-Input`.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.text[self.base_end..self.input_end]
    }

    /// The value of `Signature`.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.text[self.input_end..]
    }
}

/// The lines of a field as one dictionary; an empty one where there is no such field.
fn dictionary(fields: &Fields, name: &HeaderName) -> Option<Dictionary> {
    let lines: Vec<&[u8]> = fields.get_all(name).map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Some(Dictionary::new());
    }
    Parser::new(&lines.join(&b", "[..])).parse_dictionary::<Dictionary>().ok()
}

/// What a client has signed itself, without our label; its other signatures stay as they came. A field that cannot be read
/// goes as a whole: somebody else might read our label into it.
#[derive(Debug, Default)]
pub struct Others {
    /// What is left of `Signature-Input` and `Signature`, line by line.
    pub fields: Fields,
    /// Our label was there.
    pub had_ours: bool,
}

impl Others {
    /// What is left of these two fields of a client.
    #[must_use]
    pub fn of(mut fields: Fields) -> Self {
        let mut had_ours = false;
        for name in [&SIGNATURE_INPUT, &SIGNATURE] {
            if !fields.contains_key(name) {
                continue;
            }
            let rest = match dictionary(&fields, name) {
                // Behind ours an empty line would be a comma too many (RFC 9651 §4.2.2).
                Some(dictionary) if dictionary.is_empty() => {
                    fields.remove(name);
                    continue;
                }
                Some(mut dictionary) => {
                    // Verifiers cut at commas: what others say between quotation marks is to look like ours to none.
                    if !fields.get_all(name).any(|line| line.to_str().is_ok_and(names_ours)) {
                        continue;
                    }
                    dictionary.shift_remove(LABEL);
                    dictionary.serialize().filter(|rest| !names_ours(rest))
                }
                None => None,
            };
            fields.remove(name);
            if let Some(rest) = rest.and_then(|rest| HeaderValue::try_from(rest).ok()) {
                fields.insert(name, rest);
            }
            had_ours = true;
        }
        Self { fields, had_ours }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field_lines::Lines as _;
    use crate::identity::keys::{Algorithm, SigningKeys};
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

    fn fields() -> Fields {
        let mut fields = Fields::new();
        for (name, value) in [
            ("x-member-id", "400007995-00"),
            ("x-member-unit-id", "400007995"),
            ("x-member-provider", "ymca"),
        ] {
            fields.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        fields
    }

    fn message(fields: &Fields) -> Message<'_> {
        Message {
            method: "GET",
            authority: "members.example.org",
            path: "/classes",
            query: Some("week=2"),
            fields,
        }
    }

    fn signed(algorithm: Algorithm) -> Fields {
        let mut fields = fields();
        let keys = keys(algorithm);
        let signer = Signer::new(demanded(), 60);
        let signed = signer
            .sign(&message(&fields), keys.current(), NOW, *b"sixteen nonce by")
            .expect("all fields are there");
        fields.text(&SIGNATURE_INPUT, signed.input());
        fields.text(&SIGNATURE, signed.signature());
        fields
    }

    #[test]
    fn a_signature_is_written_as_the_contract_says() {
        let fields = signed(Algorithm::HmacSha256);
        assert_eq!(
            fields[SIGNATURE_INPUT],
            "member=(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-member-id\" \"x-member-unit-id\" \
             \"x-member-provider\");created=1795300000;expires=1795300060;nonce=\"c2l4dGVlbiBub25jZSBieQ\";keyid=\"2026-11\";\
             alg=\"hmac-sha256\";tag=\"member-gateway\""
        );
        assert!(fields[SIGNATURE].to_str().unwrap().starts_with("member=:"));
    }

    #[test]
    fn our_label_is_taken_out_of_what_a_client_sends_and_other_labels_stay() {
        let cases = [
            ("sig1=:AAAA:", Some("sig1=:AAAA:")),
            ("sig1=:AAAA: ,sig2=:CCCC:", Some("sig1=:AAAA: ,sig2=:CCCC:")),
            ("member=:AAAA:", None),
            ("sig1=:AAAA:, member=:BBBB:, sig2=:CCCC:", Some("sig1=:AAAA:, sig2=:CCCC:")),
            ("sig1=:AAAA:;x=\", members=:BBBB:\"", Some("sig1=:AAAA:;x=\", members=:BBBB:\"")),
            // It stands between quotation marks, and verifiers that cut at commas would find two of ours.
            ("sig1=:AAAA:;x=\", member=:BBBB:\"", None),
            ("sig1=:AAAA:;x=\", member=:BBBB:\", member=:CCCC:", None),
            ("Member=:AAAA:", None),
            ("sig1=:AAAA:, member", Some("sig1=:AAAA:")),
            ("not a dictionary, member=:AAAA:", None),
            // Ours would stand before it, with a comma in between.
            ("", None),
        ];
        for (sent, kept) in cases {
            let mut fields = Fields::new();
            fields.insert(SIGNATURE, HeaderValue::from_static(sent));
            let Others { fields, had_ours } = Others::of(fields);
            assert_eq!(had_ours, !sent.is_empty() && kept != Some(sent), "{sent}");
            assert_eq!(fields.get(SIGNATURE).map(|value| value.to_str().unwrap()), kept, "{sent}");
        }
        let mut fields = Fields::new();
        // A quotation that goes on in the next line.
        fields.append(SIGNATURE, HeaderValue::from_static("sig1=:AAAA:;x=\""));
        fields.append(SIGNATURE, HeaderValue::from_static("member=\""));
        assert!(Others::of(fields).fields.is_empty());
        let mut fields = Fields::new();
        fields.append(SIGNATURE, HeaderValue::from_static("sig1=:AAAA:"));
        fields.append(SIGNATURE, HeaderValue::from_static("member=:BBBB:"));
        let Others { fields, .. } = Others::of(fields);
        assert_eq!(fields.get_all(SIGNATURE).collect::<Vec<_>>(), ["sig1=:AAAA:"]);
    }
}
