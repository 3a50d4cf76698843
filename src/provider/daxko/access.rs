//! Access to the API for others: the client-scoped token as it is attached to a request, and another where that was not
//! taken. Whoever has one can attach it and look for it in what comes back, and cannot read it by accident.

use std::sync::Arc;

use http::HeaderValue;
use reqwest::Url;

use super::Daxko;
use super::client_token::Token;
use crate::member::ProviderName;
use crate::provider::ProviderError;

/// A client-scoped token, to be attached to requests.
#[derive(Clone)]
pub struct AccessToken(Arc<Token>);

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

impl AccessToken {
    /// The value of `Authorization` (RFC 6750 §2.1).
    ///
    /// # Panics
    /// Never: a token that came is visible ASCII.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        let bearer = [b"Bearer ", self.0.value.expose()].concat();
        let mut value = HeaderValue::from_bytes(&bearer).expect("a token response has visible ASCII");
        value.set_sensitive(true);
        value
    }

    /// The token itself, to be looked for.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.value.expose()
    }
}

impl Daxko {
    /// The name of the provider in the config.
    #[must_use]
    pub const fn name(&self) -> &ProviderName {
        &self.settings.name
    }

    /// Base of the API; it ends before the version.
    #[must_use]
    pub const fn api(&self) -> &Url {
        &self.settings.api_base_url
    }

    /// The first segment of every path of the API.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.settings.generation.version()
    }

    /// The paths below the base, if any, whose answers hold tokens because the operator has put them there.
    pub fn token_paths(&self) -> impl Iterator<Item = &str> {
        let base = self.api();
        let below = move |url| {
            let url: &Url = url;
            let rest = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
            (url.origin() == base.origin() && rest.starts_with('/')).then_some(rest)
        };
        [&self.settings.token_url, &self.settings.client_token_url].into_iter().filter_map(below)
    }

    /// The client-scoped token that is good now; fetched once for all who wait for it.
    ///
    /// # Errors
    /// Where Daxko grants none.
    pub async fn access_token(&self) -> Result<AccessToken, ProviderError> {
        self.client_token.current(&self.clock).await.map(AccessToken)
    }

    /// Another in place of one that the API did not take; nothing where there is no point in one yet.
    ///
    /// # Errors
    /// Where Daxko grants none.
    pub async fn access_token_instead_of(
        &self,
        refused: &AccessToken,
    ) -> Result<Option<AccessToken>, ProviderError> {
        let token = self.client_token.instead_of(&refused.0, &self.clock).await?;
        Ok(token.map(AccessToken))
    }
}
