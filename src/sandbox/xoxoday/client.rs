//! A client of Xoxoday's, as its support registers one.

use url::Url;

use crate::secret::same_bytes;

/// One registration. Xoxoday has no call that changes it.
#[derive(Clone, Debug)]
pub struct Client {
    /// 32 hexadecimal digits.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The company it belongs to; its access tokens are issued for it.
    pub company: String,
    /// The redirect URIs registered for it.
    pub redirect_uris: Vec<String>,
    /// The scopes registered for it.
    pub scopes: Vec<String>,
}

impl Client {
    /// Whether this is the client's secret.
    pub(super) fn has_secret(&self, secret: &str) -> bool {
        same_bytes(self.client_secret.as_bytes(), secret.as_bytes())
    }

    /// Whether a browser may be sent there: the documents compare the domain here and the whole URL at the token
    /// endpoint. A fragment is never part of a redirect URI (RFC 6749 §3.1.2).
    pub(super) fn trusts_domain_of(&self, redirect_uri: &str) -> bool {
        let Some(domain) = domain(redirect_uri) else { return false };
        self.redirect_uris.iter().any(|registered| self::domain(registered).as_ref() == Some(&domain))
    }
}

fn domain(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.fragment().is_none();
    url.host_str().filter(|_| is_web).map(str::to_owned)
}
