//! Verification, for apps behind the gateway that are written in Rust, and for `member-gateway verify`: whether a request
//! carries the gateway's signature (RFC 9421), and whom it is signed for.
//!
//! The verifiers in `verify/` of the repository do the same in other languages, give the same errors, and are held to
//! the same vectors. What must be covered and which algorithm a key is for are the verifier's to say; a message chooses
//! neither (RFC 9421 §7.2.1, §7.3.6). The form is the gateway's own and no other, for what two parsers read differently,
//! one of them reads wrongly.
//!
//! ```
//! use member_gateway::secret::Secret;
//! use member_gateway::time::UnixTime;
//! use member_gateway::verify::{Key, Refused, Request, Verifier};
//!
//! let secret = Secret::new(*b"0123456789abcdef0123456789abcdef");
//! let verifier = Verifier::new(vec![Key::hmac("2026-11", &secret)]).at("members.example.org");
//! let fields = vec![("host", &b"members.example.org"[..])];
//! let request = Request { method: "GET", target: "/classes?week=2", fields };
//! assert_eq!(verifier.verify(&request, UnixTime(1_795_300_000)).unwrap_err(), Refused::NoSignature);
//! ```
//!
//! ✗ It opens no session and signs nothing.

mod entry;
mod key;
mod nonces;
mod refused;

use crate::field_name::folded;
use crate::time::UnixTime;

pub use self::key::Key;
pub use self::nonces::Nonces;
pub use self::refused::Refused;

use self::entry::Entry;
pub(crate) use self::entry::names_ours;

/// The label of the gateway's signature (RFC 9421 §4).
pub const LABEL: &str = "member";
/// What the gateway's signature is for: the `tag` parameter.
pub const TAG: &str = "member-gateway";
/// How far the clocks of gateway and verifier may be apart, in seconds.
const TOLERANCE: u64 = 5;
/// What of the request itself is covered (RFC 9421 §2.2).
const DERIVED: [&str; 4] = ["@method", "@authority", "@path", "@query"];

/// The head of a request, as it arrived.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The raw target: path and query as they stand in the request line.
    pub target: &'a str,
    /// Names and values in their order; `Host` is one of them.
    pub fields: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Request<'a> {
    /// The head of a request of the `http` crate. Without `Host`, as in HTTP/2, its authority takes that place.
    #[must_use]
    pub fn of(head: &'a http::request::Parts) -> Self {
        let mut fields: Vec<_> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        if let (None, Some(authority)) = (head.headers.get(http::header::HOST), head.uri.authority()) {
            fields.push(("host", authority.as_str().as_bytes()));
        }
        let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Self { method: head.method.as_str(), target, fields }
    }

    fn lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The lines of a field as one (RFC 9110 §5.3); nothing where there are none, or they are no ASCII.
    fn joined(&self, name: &str) -> Option<String> {
        let lines: Vec<&[u8]> = self.lines(name).map(<[u8]>::trim_ascii).collect();
        if lines.is_empty() {
            return None;
        }
        Some(lines.join(&b", "[..]).iter().map(|&byte| char::from(byte)).collect())
    }

    /// The value of a field that must stand there once, and hold something.
    fn value(&self, name: &str) -> Result<&'a str, Refused> {
        let value = self.lines(name).next().unwrap_or_default().trim_ascii();
        if value.is_empty() {
            return Err(Refused::MissingField(name.to_owned()));
        }
        visible(name, value)
    }
}

/// What can stand in a line of a signature base without ending it (RFC 9421 §2.5).
fn visible<'a>(name: &str, value: &'a [u8]) -> Result<&'a str, Refused> {
    let text =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    text.ok_or_else(|| Refused::MalformedValue(name.to_owned()))
}

/// An identity field that an app reads.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    /// It need not arrive; where it does, it is signed.
    optional: bool,
}

/// What an app relies on.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Vec<Key>,
    fields: Vec<Field>,
    authority: Option<String>,
    tolerance: u64,
}

/// What a signature proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The identity fields that arrived, in order, each with its value.
    pub values: Vec<(&'a str, &'a str)>,
    /// What makes this request another than the next; see [`Nonces`].
    pub nonce: String,
    /// When the signature expires.
    pub expires: u64,
}

impl Proof<'_> {
    /// The value of an identity field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl Verifier {
    /// A verifier that holds these keys, and reads the three identity fields a gateway sends that was told nothing else.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Self {
        let verifier = Self { keys, fields: Vec::new(), authority: None, tolerance: TOLERANCE };
        verifier.reading(["x-member-id", "x-member-unit-id", "x-member-provider"])
    }

    /// Reads these identity fields instead, in the order in which the gateway sends them. A question mark behind a name
    /// says that it need not arrive.
    #[must_use]
    pub fn reading<'f>(self, names: impl IntoIterator<Item = &'f str>) -> Self {
        let field = |name: &str| Field {
            name: name.trim_end_matches('?').to_ascii_lowercase(),
            optional: name.ends_with('?'),
        };
        Self { fields: names.into_iter().map(field).collect(), ..self }
    }

    /// Takes requests to this authority alone: where one key signs for several sites, a request to one of them is
    /// nothing to the others.
    #[must_use]
    pub fn at(self, authority: &str) -> Self {
        Self { authority: Some(authority.to_owned()), ..self }
    }

    /// Whom a request is signed for, at `now`.
    ///
    /// # Errors
    /// [`Refused`] is the first thing found wrong.
    pub fn verify<'a>(&'a self, request: &Request<'a>, now: UnixTime) -> Result<Proof<'a>, Refused> {
        let ours = |value: &String| value.starts_with("member=");
        let input = request.joined("signature-input").filter(ours).ok_or(Refused::NoSignature)?;
        let signature = request.joined("signature").filter(ours).ok_or(Refused::NoSignature)?;
        self.refuse_look_alikes(request)?;
        self.refuse_duplicates(request)?;
        let entry = Entry::parse(&input).ok_or(Refused::MalformedSignature)?;
        let signature = entry::signature(&signature).ok_or(Refused::MalformedSignature)?;

        let sent = |field: &&Field| !field.optional || request.lines(&field.name).next().is_some();
        let names: Vec<&str> = self.fields.iter().filter(sent).map(|field| field.name.as_str()).collect();
        let components: Vec<String> =
            DERIVED.iter().chain(&names).map(|name| format!("\"{name}\"")).collect();
        let demanded = components.join(" ");
        if entry.covered != demanded {
            return Err(Refused::WrongComponents { found: entry.covered.to_owned(), demanded });
        }
        let key = self.keys.iter().find(|key| key.id() == entry.keyid).ok_or(Refused::UnknownKey)?;
        if entry.alg != key.algorithm() {
            return Err(Refused::WrongAlgorithm);
        }
        if entry.tag != TAG {
            return Err(Refused::WrongTag);
        }
        self.check_time(&entry, now)?;

        let host = request.lines("host").next().unwrap_or_default().trim_ascii();
        if host.is_empty() {
            return Err(Refused::MissingField("host".to_owned()));
        }
        let mut values = Vec::with_capacity(names.len());
        for name in names {
            values.push((name, request.value(name)?));
        }
        let host = visible("host", host)?;
        let method = visible("@method", request.method.as_bytes())?;
        let target = visible("@path", request.target.as_bytes())?;
        if self.authority.as_ref().is_some_and(|authority| authority != host) {
            return Err(Refused::WrongAuthority);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = format!("?{query}");
        let derived = [method, host, path, &query];
        let lines = components.iter().zip(derived.into_iter().chain(values.iter().map(|(_, value)| *value)));
        let mut base: String = lines.map(|(name, value)| format!("{name}: {value}\n")).collect();
        base += &format!("\"@signature-params\": {}", entry.parameters);
        if !key.verifies(base.as_bytes(), &signature) {
            return Err(Refused::WrongSignature);
        }
        Ok(Proof { values, nonce: entry.nonce.to_owned(), expires: entry.expires })
    }

    /// CGI and its heirs read `X_Member_Id` as `X-Member-Id`. The gateway lets none of these through, so whoever wrote
    /// one came another way.
    fn refuse_look_alikes(&self, request: &Request<'_>) -> Result<(), Refused> {
        let guarded: Vec<Vec<u8>> =
            self.fields.iter().map(|field| folded(&field.name)).chain([folded("signature-input")]).collect();
        let exact = |name: &str| {
            self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
                || name.eq_ignore_ascii_case("signature-input")
        };
        let found = request.fields.iter().find(|(name, _)| !exact(name) && guarded.contains(&folded(name)));
        found.map_or(Ok(()), |(name, _)| Err(Refused::LookAlikeField((*name).to_owned())))
    }

    /// No value of ours holds a comma: one that does is two lines, joined on the way.
    fn refuse_duplicates(&self, request: &Request<'_>) -> Result<(), Refused> {
        let names = self.fields.iter().map(|field| field.name.as_str()).chain(["host"]);
        for name in names {
            let lines: Vec<&[u8]> = request.lines(name).collect();
            if lines.len() > 1 || lines.iter().any(|line| line.contains(&b',')) {
                return Err(Refused::DuplicatedField(name.to_owned()));
            }
        }
        Ok(())
    }

    fn check_time(&self, entry: &Entry<'_>, now: UnixTime) -> Result<(), Refused> {
        let Entry { created, expires, .. } = *entry;
        if created > now.0.saturating_add(self.tolerance) {
            return Err(Refused::NotYetValid { created, ahead: created - now.0 });
        }
        if expires.saturating_add(self.tolerance) <= now.0 {
            return Err(Refused::Expired { expires, ago: now.0 - expires });
        }
        Ok(())
    }
}
