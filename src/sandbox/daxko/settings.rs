//! The settings of an API username: which redirect URIs its log-in form sends to, and the form's two links.
//!
//! `PUT` replaces the whole document, for every site of the username; that is Daxko's rule and a trap worth meeting
//! here first. Each generation keeps a document of its own: how Daxko's two relate is not published, and a client that
//! saved the one and uses the other should notice here. In v3 the document is wrapped in `settings`, in partners-v1 it
//! is bare.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};

use super::generation::Generation;
use super::refusal::{Answer, Refusal};
use super::{Account, Vendor};
use crate::sandbox::server;

/// The body of both methods in v3.
#[derive(Deserialize, Serialize)]
struct Wrapped {
    settings: Document,
}

/// What is saved.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(super) struct Document {
    pub(super) valid_redirect_uris: Vec<String>,
    pub(super) links: Links,
}

/// The links of the form.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(super) struct Links {
    pub(super) sign_up: Link,
    pub(super) forgot_password: Link,
}

/// A link; a blank one is not shown.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Link {
    /// Never left out; null in one place only, see [`Document::belongs_to`].
    #[serde(deserialize_with = "Option::deserialize")]
    url: Option<String>,
}

impl Default for Link {
    fn default() -> Self {
        Self::to("")
    }
}

impl Link {
    fn to(url: &str) -> Self {
        Self { url: Some(url.to_owned()) }
    }

    /// Where it goes; nothing where it is null or blank.
    pub(super) fn destination(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.trim().is_empty())
    }
}

impl Document {
    /// What an account has saved before the simulation starts.
    pub(super) fn saved_by(account: &Account) -> Option<Self> {
        account.valid_redirect_uris.as_ref().map(|uris| Self {
            valid_redirect_uris: uris.clone(),
            links: Links {
                sign_up: Link::to(&account.sign_up_url),
                forgot_password: Link::to(&account.forgot_password_url),
            },
        })
    }

    /// Whether nothing in it is null that may not be: only the forgotten-password link, and only in partners-v1.
    const fn belongs_to(&self, generation: Generation) -> bool {
        let nullable = matches!(generation, Generation::PartnersV1);
        self.links.sign_up.url.is_some() && (nullable || self.links.forgot_password.url.is_some())
    }

    /// Reads a body.
    fn read(generation: Generation, body: &[u8]) -> Result<Self, Refusal> {
        let (document, rule) = match generation {
            Generation::V3 => (
                serde_json::from_slice(body).map(|Wrapped { settings }| settings),
                "the body is {\"settings\":{\"valid_redirect_uris\":[…],\"links\":{\"sign_up\":{\"url\":…},\
                 \"forgot_password\":{\"url\":…}}}}, nothing of it left out",
            ),
            Generation::PartnersV1 => (
                serde_json::from_slice(body),
                "the body is {\"valid_redirect_uris\":[…],\"links\":{\"sign_up\":{\"url\":…},\
                 \"forgot_password\":{\"url\":…}}}, without a wrapper, nothing of it left out",
            ),
        };
        document
            .ok()
            .filter(|document: &Self| document.belongs_to(generation))
            .ok_or(Refusal::bad_request(rule))
    }

    /// Writes a body.
    fn write(self, generation: Generation) -> String {
        let written = match generation {
            Generation::V3 => serde_json::to_string(&Wrapped { settings: self }),
            Generation::PartnersV1 => serde_json::to_string(&self),
        };
        written.expect("strings can be written as JSON")
    }
}

impl Vendor {
    /// `GET`. Settings that were never saved read as empty; what Daxko says then is not published.
    pub(super) fn read_settings(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
    ) -> Result<Answer, Refusal> {
        let token = self.client_bearer(generation, request)?;
        let settings = self.memory().of(generation).saved[token.account].clone().unwrap_or_default();
        Ok(server::answer(StatusCode::OK, "application/json", settings.write(generation)).into())
    }

    /// `PUT`. Success has no body; its status is not published, and 204 says the same.
    pub(super) fn write_settings(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
    ) -> Result<Answer, Refusal> {
        let token = self.client_bearer(generation, request)?;
        let settings = Document::read(generation, request.body())?;
        self.memory().of(generation).saved[token.account] = Some(settings);
        Ok(server::answer(StatusCode::NO_CONTENT, "application/json", "").into())
    }
}
