//! `verify`: whether the member signature of a request holds, for developers of upstream apps.

use std::io::{Read, Write};
use std::path::Path;

use http::HeaderMap;
use http::header::{HOST, HeaderName, HeaderValue};

use super::CommandError;
use crate::cli::check;
use crate::identity::signature::{self, Invalid, Message};
use crate::time::{Clock, UnixTime};

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
    let authority = request.fields.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
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
    let (path, query) =
        request.target.split_once('?').map_or((&*request.target, None), |(path, query)| (path, Some(query)));
    let message = Message { method: &request.method, authority, path, query, fields: &request.fields };
    let demanded = site.identity.components_for(&request.fields);
    let now = at.map_or_else(|| Clock::System.now(), UnixTime);
    match signature::verify(&message, &demanded, site.identity.signing_keys(), now) {
        Ok(()) => {
            writeln!(output, "The member signature holds.")?;
            for (_, name) in site.identity.fields() {
                if let Some(value) = request.fields.get(name).and_then(|value| value.to_str().ok()) {
                    writeln!(output, "  {name}: {value}")?;
                }
            }
            Ok(())
        }
        Err(error) => {
            let advice = advice(&error);
            Err(CommandError::Failed(format!("The member signature does not hold: {error}.{advice}")))
        }
    }
}

/// What to do about it, where that is not plain from the error itself.
fn advice(error: &Invalid) -> String {
    match error {
        Invalid::Expired { expires, .. } => {
            format!(
                "\n\nTo judge a request that was captured earlier, add: --at {}",
                expires.saturating_sub(1)
            )
        }
        Invalid::Mismatch => {
            "\n\nIt was made with another key, or the method, the target, Host or an identity field was \
                              changed on the way."
                .to_owned()
        }
        Invalid::UnknownKey => "\n\nCompare its `keyid` with the ids in identity.signature.keys.".to_owned(),
        Invalid::Missing
        | Invalid::Malformed
        | Invalid::Coverage { .. }
        | Invalid::FieldMissing
        | Invalid::FieldRepeated(_)
        | Invalid::Algorithm
        | Invalid::Tag
        | Invalid::Parameter(_)
        | Invalid::NotYetValid { .. } => String::new(),
    }
}

/// The head of a request, as text.
struct Head {
    method: String,
    target: String,
    fields: HeaderMap,
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
        let mut fields = HeaderMap::new();
        for header in request.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            fields.append(name, HeaderValue::from_bytes(header.value).ok()?);
        }
        Some(Self { method: request.method?.to_owned(), target: request.path?.to_owned(), fields })
    }
}
