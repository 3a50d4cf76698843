//! Checks the signature labelled `member` (RFC 9421), from the side of the app that receives it.
//!
//! The app, not the message, says what has to be signed and with which algorithm: a signature that covers less, or names
//! another algorithm than the key's, does not hold. Where it does not hold, the reason is a sentence.

use std::time::Duration;

use aws_lc_rs::{hmac, signature};
use bytes::Bytes;
use http::{Request, header};
use sfv::{BareItem, Dictionary, FieldType, InnerList, ListEntry, Parser};

use crate::secret::Secret;
use crate::time::UnixTime;

/// What a signature that holds is called.
pub(super) const VALID: &str = "valid";
/// The label of the signature (RFC 9421 §4).
const LABEL: &str = "member";
/// The application tag (RFC 9421 §2.3) the signature is made for.
const TAG: &str = "member-gateway";
/// By how much two machines' clocks may differ.
const SKEW: Duration = Duration::from_secs(30);
/// What of the request itself has to be covered.
const DERIVED: [&str; 4] = ["@method", "@authority", "@path", "@query"];

/// A key that the app was given, with the one algorithm it is for.
#[derive(Clone, Debug)]
pub enum VerificationKey {
    /// `hmac-sha256` (RFC 9421 §3.3.3).
    HmacSha256 {
        /// The `keyid` of signatures made with it.
        key_id: String,
        /// The shared secret.
        secret: Secret,
    },
    /// `ed25519` (RFC 9421 §3.3.6).
    Ed25519 {
        /// The `keyid` of signatures made with it.
        key_id: String,
        /// The public key.
        public_key: [u8; 32],
    },
}

impl VerificationKey {
    fn key_id(&self) -> &str {
        match self {
            Self::HmacSha256 { key_id, .. } | Self::Ed25519 { key_id, .. } => key_id,
        }
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::HmacSha256 { .. } => "hmac-sha256",
            Self::Ed25519 { .. } => "ed25519",
        }
    }

    fn verifies(&self, base: &[u8], mark: &[u8]) -> bool {
        match self {
            Self::HmacSha256 { secret, .. } => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), base, mark).is_ok()
            }
            Self::Ed25519 { public_key, .. } => {
                signature::UnparsedPublicKey::new(&signature::ED25519, public_key).verify(base, mark).is_ok()
            }
        }
    }
}

/// Why a signature does not hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("there is no signature labelled member")]
    Missing,
    #[error("Signature-Input or Signature is malformed")]
    Malformed,
    #[error("the signature does not cover {0}")]
    NotCovered(String),
    #[error("the signature covers {0}, which this app cannot derive")]
    Unsupported(String),
    #[error("the signature covers {0}, which did not arrive")]
    Absent(String),
    #[error("{0} arrived more than once")]
    Repeated(String),
    #[error("the signature lacks the parameter {0}")]
    NoParameter(&'static str),
    #[error("the tag is not member-gateway")]
    Tag,
    #[error("the keyid is unknown")]
    UnknownKey,
    #[error("the algorithm is not the key's")]
    Algorithm,
    #[error("the signature was created in the future")]
    TooEarly,
    #[error("the signature has expired")]
    Expired,
    #[error("the signature does not match the request")]
    Mismatch,
}

/// What this app insists on.
pub(super) struct Verifier {
    pub(super) keys: Vec<VerificationKey>,
    /// Fields that have to arrive and to be covered.
    pub(super) required: Vec<String>,
    /// Fields that have to be covered where they arrive.
    pub(super) optional: Vec<String>,
}

impl Verifier {
    /// Whether the member signature of a request holds at `now`.
    pub(super) fn verify(&self, request: &Request<Bytes>, now: UnixTime) -> Result<(), Invalid> {
        let input = labelled(request, "signature-input")?;
        let mark = labelled(request, "signature")?;
        let ListEntry::InnerList(covered) = input else { return Err(Invalid::Malformed) };
        let ListEntry::Item(mark) = mark else { return Err(Invalid::Malformed) };
        let BareItem::ByteSequence(mark) = mark.bare_item else { return Err(Invalid::Malformed) };

        let components = components(&covered)?;
        self.check_coverage(request, &components)?;
        let key = self.check_parameters(&covered, now)?;
        let base = signature_base(request, &components, covered)?;
        if key.verifies(base.as_bytes(), &mark) { Ok(()) } else { Err(Invalid::Mismatch) }
    }

    fn check_coverage(&self, request: &Request<Bytes>, components: &[String]) -> Result<(), Invalid> {
        let arrived = self.optional.iter().filter(|name| request.headers().contains_key(name.as_str()));
        let fields = self.required.iter().chain(arrived).map(|name| name.to_ascii_lowercase());
        for wanted in DERIVED.into_iter().map(str::to_owned).chain(fields) {
            if !components.contains(&wanted) {
                return Err(Invalid::NotCovered(wanted));
            }
            if request.headers().get_all(wanted.as_str()).iter().count() > 1 {
                return Err(Invalid::Repeated(wanted));
            }
        }
        Ok(())
    }

    fn check_parameters(&self, covered: &InnerList, now: UnixTime) -> Result<&VerificationKey, Invalid> {
        if text(covered, "tag")? != TAG {
            return Err(Invalid::Tag);
        }
        let key_id = text(covered, "keyid")?;
        let key = self.keys.iter().find(|key| key.key_id() == key_id).ok_or(Invalid::UnknownKey)?;
        if covered.params.contains_key("alg") && text(covered, "alg")? != key.algorithm() {
            return Err(Invalid::Algorithm);
        }
        if instant(covered, "created")? > now.plus(SKEW) {
            return Err(Invalid::TooEarly);
        }
        if instant(covered, "expires")?.plus(SKEW) <= now {
            return Err(Invalid::Expired);
        }
        Ok(key)
    }
}

/// The member of a structured dictionary field that has our label.
fn labelled(request: &Request<Bytes>, field: &str) -> Result<ListEntry, Invalid> {
    let lines: Vec<_> = request.headers().get_all(field).iter().map(http::HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Err(Invalid::Missing);
    }
    let dictionary: Dictionary =
        Parser::new(&lines.join(&b", "[..])).parse().map_err(|_| Invalid::Malformed)?;
    dictionary
        .into_iter()
        .find(|(key, _)| key.as_str() == LABEL)
        .map(|(_, entry)| entry)
        .ok_or(Invalid::Missing)
}

/// The names of the covered components. A repeated one makes the signature invalid (RFC 9421 §2.5).
fn components(covered: &InnerList) -> Result<Vec<String>, Invalid> {
    let mut names = Vec::new();
    for item in &covered.items {
        let BareItem::String(name) = &item.bare_item else { return Err(Invalid::Malformed) };
        let name = name.as_str().to_owned();
        if !item.params.is_empty() {
            return Err(Invalid::Unsupported(name));
        }
        if names.contains(&name) {
            return Err(Invalid::Malformed);
        }
        names.push(name);
    }
    Ok(names)
}

/// The signature base (RFC 9421 §2.5).
fn signature_base(
    request: &Request<Bytes>,
    components: &[String],
    covered: InnerList,
) -> Result<String, Invalid> {
    let mut base = String::new();
    for name in components {
        let value = component(request, name)?;
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    let parameters = vec![ListEntry::InnerList(covered)].serialize().ok_or(Invalid::Malformed)?;
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    Ok(base)
}

/// One component's value (RFC 9421 §2.1, §2.2).
fn component(request: &Request<Bytes>, name: &str) -> Result<String, Invalid> {
    let absent = || Invalid::Absent(name.to_owned());
    let uri = request.uri();
    match name {
        "@method" => Ok(request.method().as_str().to_owned()),
        "@authority" => {
            let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
            Ok(uri.authority().map_or(host, |it| Some(it.as_str())).ok_or_else(absent)?.to_ascii_lowercase())
        }
        "@path" => Ok(if uri.path().is_empty() { "/" } else { uri.path() }.to_owned()),
        "@query" => Ok(format!("?{}", uri.query().unwrap_or(""))),
        _ if name.starts_with('@') => Err(Invalid::Unsupported(name.to_owned())),
        _ => {
            let lines = request.headers().get_all(name).iter();
            let lines = lines.map(|line| line.to_str().map(str::trim)).collect::<Result<Vec<_>, _>>();
            let lines = lines.map_err(|_| Invalid::Unsupported(name.to_owned()))?;
            if lines.is_empty() { Err(absent()) } else { Ok(lines.join(", ")) }
        }
    }
}

fn text<'a>(covered: &'a InnerList, name: &'static str) -> Result<&'a str, Invalid> {
    match covered.params.get(name) {
        Some(BareItem::String(text)) => Ok(text.as_str()),
        Some(_) => Err(Invalid::Malformed),
        None => Err(Invalid::NoParameter(name)),
    }
}

fn instant(covered: &InnerList, name: &'static str) -> Result<UnixTime, Invalid> {
    match covered.params.get(name) {
        Some(BareItem::Integer(seconds)) => {
            u64::try_from(*seconds).map(UnixTime).map_err(|_| Invalid::Malformed)
        }
        Some(_) => Err(Invalid::Malformed),
        None => Err(Invalid::NoParameter(name)),
    }
}
