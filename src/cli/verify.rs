//! `verify`: whether the member signature of a request holds, for developers of upstream apps.

use std::io::{Read, Write};
use std::path::Path;

use super::CommandError;
use crate::cli::check;
use crate::identity::{Attribute, Identity};
use crate::time::{Clock, UnixTime};
use crate::verify::{Refused, Request, Verifier};

/// More than any head that came through the gateway.
const MOST: u64 = 1024 * 1024;

/// Reads a head and judges it by the keys of the site it names.
///
/// # Errors
/// Where the head or the configuration cannot be read, or the signature does not hold.
pub fn command(
    config: &Path,
    at: Option<u64>,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(), CommandError> {
    let assembled = check::assemble(config)?;
    let mut text = Vec::new();
    input.take(MOST).read_to_end(&mut text)?;
    let request = Head::parse(&text).ok_or_else(|| {
        CommandError::Usage(
            "this is no head of a request: a request line such as `GET /path HTTP/1.1`, and fields"
                .to_owned(),
        )
    })?;
    let authority = request.field("host");
    let gateway = &assembled.gateway;
    let index = gateway.authorities.find(authority.as_bytes()).map_err(|_| {
        let sites: Vec<&str> = gateway.sites.iter().map(|site| site.origin.authority()).collect();
        CommandError::Usage(format!(
            "`Host` names no site of the configuration; there are: {}",
            sites.join(", ")
        ))
    })?;
    let site = &gateway.sites[index];
    if assembled.signing_keys[index].are_random {
        return Err(CommandError::Usage(
            "without identity.signature.keys every process signs with a random key of its own, which nobody else can \
             verify"
                .to_owned(),
        ));
    }
    let now = at.map_or_else(|| Clock::System.now(), UnixTime);
    match verifier(&site.identity).verify(&request.as_request(), now) {
        Ok(proof) => {
            writeln!(output, "The member signature holds.")?;
            for (name, value) in proof.values {
                writeln!(output, "  {name}: {value}")?;
            }
            Ok(())
        }
        Err(error) => {
            let advice = advice(&error);
            Err(CommandError::Failed(format!("The member signature does not hold: {error}.{advice}")))
        }
    }
}

/// An app behind this site, as it should verify. Names of people are sent where they are known.
fn verifier(identity: &Identity) -> Verifier {
    let name = |(attribute, name): &(Attribute, http::HeaderName)| match attribute {
        Attribute::MemberId | Attribute::MemberUnitId | Attribute::Provider => name.to_string(),
        Attribute::FirstName | Attribute::LastName | Attribute::Email => format!("{name}?"),
    };
    let jwt = identity.jwt().map(|jwt| jwt.field().to_string());
    let names: Vec<String> = identity.fields().iter().map(name).chain(jwt).collect();
    Verifier::new(identity.signing_keys().verification_keys()).reading(names.iter().map(String::as_str))
}

/// What to do about it, where that is not plain from the error itself.
fn advice(error: &Refused) -> String {
    match error {
        Refused::Expired { expires, .. } => {
            format!(
                "\n\nTo judge a request that was captured earlier, add: --at {}",
                expires.saturating_sub(1)
            )
        }
        Refused::WrongSignature => {
            "\n\nIt was made with another key, or the method, the target, Host or an identity field was \
                              changed on the way."
                .to_owned()
        }
        Refused::UnknownKey => "\n\nCompare its `keyid` with the ids in identity.signature.keys.".to_owned(),
        Refused::NoSignature
        | Refused::LookAlikeField(_)
        | Refused::DuplicatedField(_)
        | Refused::MalformedSignature
        | Refused::WrongComponents { .. }
        | Refused::WrongAlgorithm
        | Refused::WrongTag
        | Refused::NotYetValid { .. }
        | Refused::MissingField(_)
        | Refused::MalformedValue(_)
        | Refused::WrongAuthority
        | Refused::Replayed => String::new(),
    }
}

/// The head of a request, taken out of its text.
struct Head {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Takes bare line feeds and a missing empty line: people paste.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut text = text.to_vec();
        if !text.windows(2).any(|pair| pair == b"\n\n") && !text.windows(4).any(|four| four == b"\r\n\r\n") {
            text.extend(b"\n\n");
        }
        let mut headers = [httparse::EMPTY_HEADER; 256];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(&text).ok()?.is_complete().then_some(())?;
        let fields = request.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec()));
        Some(Self {
            method: request.method?.to_owned(),
            target: request.path?.to_owned(),
            fields: fields.collect(),
        })
    }

    /// The first line of a field, where it is text.
    fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok()).unwrap_or_default().trim()
    }

    fn as_request(&self) -> Request<'_> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        Request { method: &self.method, target: &self.target, fields: fields.collect() }
    }
}
