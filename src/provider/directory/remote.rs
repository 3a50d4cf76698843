//! A directory behind a URL: asked for each login, answers with JSON.
//!
//! Nothing is remembered, so a change there holds at the next login. The address is written into one place of the URL and
//! cannot leave it: everything but letters, digits and `-._~` is percent-encoded (RFC 3986 §2.3).

use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use crate::provider::claims::{Address, Claims, Ids};
use crate::provider::token_endpoint::Http;
use crate::provider::{ProviderError, QUERY_VALUE};
use crate::secret::same_bytes;

const ENDPOINT: &str = "directory";
const PLACEHOLDER: &str = "{email}";

/// Fields of a request that the operator has written. They may be secrets, so they do not print.
#[derive(Clone, Default)]
pub struct Headers(pub HeaderMap);

/// In a time that does not depend on where values differ.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        let is_in_other = |(name, value): (&HeaderName, &HeaderValue)| {
            other.0.get(name).is_some_and(|known| same_bytes(known.as_bytes(), value.as_bytes()))
        };
        self.0.len() == other.0.len() && self.0.iter().all(is_in_other)
    }
}

impl Eq for Headers {}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// An address with one place for an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    before: String,
    after: String,
    example: Url,
}

/// Why a text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The place is missing, or there are several.
    #[error("it does not hold {PLACEHOLDER} once")]
    NotOnce,
    /// The place is in the host, the fragment, or in no address at all.
    #[error("it does not hold {PLACEHOLDER} in its path or query")]
    Place,
}

impl Template {
    /// Reads the text.
    ///
    /// # Errors
    /// [`TemplateError`] says why it is none.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        const EXAMPLE: &str = "member-gateway-address";
        let text = text.trim();
        let (before, after) = text.split_once(PLACEHOLDER).ok_or(TemplateError::NotOnce)?;
        if after.contains(PLACEHOLDER) {
            return Err(TemplateError::NotOnce);
        }
        let example = Url::parse(&format!("{before}{EXAMPLE}{after}")).map_err(|_| TemplateError::Place)?;
        if !example[url::Position::BeforePath..url::Position::AfterQuery].contains(EXAMPLE) {
            return Err(TemplateError::Place);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned(), example })
    }

    /// The same with some address in its place, to look at scheme and host.
    #[must_use]
    pub fn example(&self) -> &Url {
        &self.example
    }

    /// The URL for an address.
    fn url(&self, address: &Address) -> Option<Url> {
        let encoded = utf8_percent_encode(address.as_str(), QUERY_VALUE);
        Url::parse(&format!("{}{encoded}{}", self.before, self.after)).ok()
    }
}

/// A directory behind a URL.
#[derive(Debug)]
pub struct RemoteDirectory {
    template: Template,
    headers: Headers,
    claims: Claims,
    timeout: Duration,
    http: Http,
}

/// Equal where they ask the same.
impl PartialEq for RemoteDirectory {
    fn eq(&self, other: &Self) -> bool {
        let Self { template, headers, claims, timeout, http: _ } = self;
        *template == other.template
            && *headers == other.headers
            && *claims == other.claims
            && *timeout == other.timeout
    }
}

impl Eq for RemoteDirectory {}

impl RemoteDirectory {
    /// A directory that is asked at this address, and whose answers are read so.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn new(
        template: Template,
        headers: Headers,
        claims: Claims,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let is_loopback = template.example.host_str().is_some_and(crate::route::is_loopback_host);
        Ok(Self { template, headers, claims, timeout, http: Http::new(timeout, is_loopback)? })
    }

    /// The ids that belong to an address.
    ///
    /// # Errors
    /// [`ProviderError`] where it has none, or several, or where the service is not as it should be.
    pub async fn find(&self, address: &Address) -> Result<Ids, ProviderError> {
        let unintelligible = |what| ProviderError::Unintelligible { endpoint: ENDPOINT, what };
        let url = self.template.url(address).ok_or(unintelligible("its URL is none"))?;
        let request = self.http.request(Method::GET, &url).headers(self.headers.0.clone());
        let answer = self.http.ask(request, ENDPOINT).await?;
        if answer.status == StatusCode::NOT_FOUND || (answer.status.is_success() && answer.is_empty) {
            return Err(ProviderError::NotInDirectory);
        }
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(ProviderError::ClientRefused { endpoint: ENDPOINT, status, error: None });
        }
        let json = answer.json.as_ref().ok_or(unintelligible("it is no JSON"))?;
        self.claims.ids(only(json, address)?)
    }
}

/// The one thing that an answer says of an address.
fn only<'a>(json: &'a Value, address: &Address) -> Result<&'a Value, ProviderError> {
    let found = match json.as_array().map(|found| found.split_first()) {
        None => json,
        Some(Some((first, rest))) if rest.iter().all(|other| other == first) => first,
        Some(Some(_)) => return Err(ProviderError::AmbiguousInDirectory),
        Some(None) => return Err(ProviderError::NotInDirectory),
    };
    // A service that searches may find somebody whose address only begins alike.
    let named = found.get("email").and_then(Value::as_str);
    let is_another = named.is_some_and(|named| Address::new(named).ok().as_ref() != Some(address));
    if found.is_null() || found.as_object().is_some_and(serde_json::Map::is_empty) || is_another {
        return Err(ProviderError::NotInDirectory);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn address(text: &str) -> Address {
        Address::new(text).unwrap()
    }

    #[test]
    fn an_address_stays_in_its_place() {
        for (template, email, url) in [
            (
                "https://ids.example.org/members/{email}",
                "A/../b@c",
                "https://ids.example.org/members/a%2F..%2Fb%40c",
            ),
            (
                "https://ids.example.org/m?q={email}&x=1",
                "a&b=c#d@e+f",
                "https://ids.example.org/m?q=a%26b%3Dc%23d%40e%2Bf&x=1",
            ),
            ("http://localhost:1/{email}/ids", "..%2f@b", "http://localhost:1/..%252f%40b/ids"),
            ("https://ids.example.org/?q={email}", "é@b", "https://ids.example.org/?q=%C3%A9%40b"),
        ] {
            assert_eq!(Template::new(template).unwrap().url(&address(email)).unwrap().as_str(), url);
        }
    }

    #[test]
    fn a_place_is_needed_once_and_behind_the_host() {
        for text in ["https://a/", "https://a/{email}/{email}", "{email}"] {
            assert!(Template::new(text).is_err(), "{text}");
        }
        for text in ["https://{email}/", "https://a/#{email}", "https://{email}@a/", "https://a:{email}/"] {
            assert_eq!(Template::new(text).unwrap_err(), TemplateError::Place, "{text}");
        }
    }

    #[test]
    fn an_answer_is_one_member_or_nobody() {
        let noor = json!({ "email": "Noor@b", "member_id": "1" });
        let found =
            |answer: &Value| only(answer, &address("noor@b")).cloned().map_err(|error| format!("{error:?}"));
        assert_eq!(found(&noor), Ok(noor.clone()));
        assert_eq!(found(&json!([noor, noor])), Ok(noor.clone()));
        assert_eq!(found(&json!([noor, { "member_id": "2" }])), Err("AmbiguousInDirectory".to_owned()));
        for nobody in [
            json!([]),
            json!({}),
            json!(null),
            json!([null]),
            json!({ "email": "noor@bb", "member_id": "1" }),
        ] {
            assert_eq!(found(&nobody), Err("NotInDirectory".to_owned()), "{nobody}");
        }
    }

    #[test]
    fn fields_do_not_print_their_values() {
        let mut fields = HeaderMap::new();
        fields.insert("authorization", "Bearer swordfish".parse().unwrap());
        assert_eq!(format!("{:?}", Headers(fields)), "[\"authorization\"]");
    }
}
