//! An API username of Daxko's: its credentials, and which clients it may act for.

use crate::secret::same_bytes;

/// One API username and what its owner saved for it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The API username, sent as `client_id`.
    pub username: String,
    /// Its password, sent as `client_secret`.
    pub password: String,
    /// Its refresh token.
    pub refresh_token: String,
    /// The numbers of the clients granted to it.
    pub clients: Vec<u64>,
    /// The redirect URIs it saved; none at all where its settings were never saved.
    pub valid_redirect_uris: Option<Vec<String>>,
    /// The sign-up link it saved.
    pub sign_up_url: String,
    /// The forgotten-password link it saved.
    pub forgot_password_url: String,
}

impl Account {
    /// Whether this is the account's password.
    pub(super) fn has_password(&self, password: &str) -> bool {
        same_bytes(self.password.as_bytes(), password.as_bytes())
    }

    /// Whether this is the account's refresh token.
    pub(super) fn has_refresh_token(&self, token: &str) -> bool {
        same_bytes(self.refresh_token.as_bytes(), token.as_bytes())
    }
}
