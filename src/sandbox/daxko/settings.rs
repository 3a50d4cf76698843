//! The settings of an API username: which redirect URIs its log-in form sends to, and the form's two links.
//!
//! `PUT` replaces the whole document, for every site of the username; that is Daxko's rule and a trap worth meeting
//! here first.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};

use super::refusal::{Answer, Refusal};
use super::{Account, Vendor};
use crate::sandbox::server;

/// The body of both methods.
#[derive(Default, Deserialize, Serialize)]
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
#[derive(Clone, Default, Deserialize, Serialize)]
pub(super) struct Link {
    pub(super) url: String,
}

impl Document {
    /// What an account has saved before the simulation starts.
    pub(super) fn saved_by(account: &Account) -> Option<Self> {
        account.valid_redirect_uris.as_ref().map(|uris| Self {
            valid_redirect_uris: uris.clone(),
            links: Links {
                sign_up: Link { url: account.sign_up_url.clone() },
                forgot_password: Link { url: account.forgot_password_url.clone() },
            },
        })
    }
}

impl Vendor {
    /// `GET`. Settings that were never saved read as empty; what Daxko says then is not published.
    pub(super) fn read_settings(&self, request: &Request<Bytes>) -> Result<Answer, Refusal> {
        let token = self.client_bearer(request)?;
        let settings = self.memory().saved[token.account].clone().unwrap_or_default();
        let body = serde_json::to_string(&Wrapped { settings }).expect("strings can be written as JSON");
        Ok(server::answer(StatusCode::OK, "application/json", body).into())
    }

    /// `PUT`. Success has no body; its status is not published, and 204 says the same.
    pub(super) fn write_settings(&self, request: &Request<Bytes>) -> Result<Answer, Refusal> {
        let token = self.client_bearer(request)?;
        let Ok(Wrapped { settings }) = serde_json::from_slice(request.body()) else {
            return Err(Refusal::bad_request(
                "the body is {\"settings\":{\"valid_redirect_uris\":[…],\"links\":{\"sign_up\":{\"url\":…},\
                 \"forgot_password\":{\"url\":…}}}}, nothing of it left out",
            ));
        };
        self.memory().saved[token.account] = Some(settings);
        Ok(server::answer(StatusCode::NO_CONTENT, "application/json", "").into())
    }
}
