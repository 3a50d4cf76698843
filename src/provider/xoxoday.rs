//! Xoxoday's storefront OAuth and its peculiarities.
//!
//! Written from Xoxoday's storefront integration chapters (<https://xoxoday.gitbook.io/plum>): scopes are separated by
//! commas, the exchange is JSON without an `Authorization` field, and its last path segment is the grant. Xoxoday has
//! neither member ids nor units. The company grant says the address of whoever consented, the user grant says nothing,
//! so who it is may need one further call or the operator's directory. The access token itself is never looked into: it
//! is unsigned on the outside and holds no user. A client may hold ten pairs of tokens, so none is needed after the
//! login: they are dropped with the answer, and never refreshed.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;
use zeroize::Zeroize;

use super::calls::Calls;
use super::claims::{Claims, Ids, ProfilePointers};
use super::directory::{Directory, FileDirectory, Headers};
use super::inspection::{self, Finding, Registration};
use super::token_endpoint::{self, Encoding, Http};
use super::{AuthorizationCode, BoxFuture, Provider, ProviderError, QUERY_VALUE, RedirectUri, State};
use crate::member::{Member, ProviderName};
use crate::secret::Secret;
use crate::time::Clock;

const TOKEN: &str = "token endpoint";
const USERINFO: &str = "user-details call";

/// What the operator knows about Xoxoday.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the provider in the config.
    pub name: ProviderName,
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Secret,
    /// The registered scopes.
    pub scopes: Vec<String>,
    /// Which token the code is exchanged for.
    pub grant: Grant,
    /// Base of the OAuth addresses; ends before `/v1`.
    pub oauth_url: Url,
    /// Where members sign in.
    pub authorize_url: Url,
    /// How the exchange is written.
    pub token_encoding: Encoding,
    /// Further parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// Who signed in.
    pub identity: Identity,
    /// How long any one answer may take.
    pub timeout: Duration,
}

/// Which token a code is exchanged for: the last segment of the token endpoint's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A company's.
    Company,
    /// A user's.
    User,
}

/// Who signed in, and who says so.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The call that says more than the token response; without it, that response is the vendor's answer.
    pub userinfo: Option<Userinfo>,
    /// Where the ids are.
    pub ids: IdSource,
    /// What else is read from the vendor's answer.
    pub profile: ProfilePointers,
}

/// Where the ids are.
#[derive(Debug, PartialEq, Eq)]
pub enum IdSource {
    /// In the vendor's answer.
    Answer(Claims),
    /// With the operator, under the address in the vendor's answer.
    Directory(Directory),
}

/// A call with the member's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Userinfo {
    /// GET or POST.
    pub method: Method,
    /// What is asked.
    pub url: Url,
    /// Further fields.
    pub headers: Headers,
    /// What is posted.
    pub body: Option<String>,
}

/// Reads an OAuth base as people paste it: with or without a slash or `/v1/oauth` at its end.
#[must_use]
pub fn oauth_url(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v1/oauth").unwrap_or(path).trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// An address below the OAuth base.
#[must_use]
pub fn below(oauth_url: &Url, path: &str) -> Url {
    let mut url = oauth_url.clone();
    url.set_path(&format!("{}/v1/oauth/{path}", oauth_url.path().trim_end_matches('/')));
    url
}

/// Xoxoday, as a provider.
#[derive(Debug)]
pub struct Xoxoday {
    settings: Settings,
    http: Http,
    userinfo_http: Http,
    token_url: Url,
    /// What time it is, for the directory.
    clock: Clock,
}

impl Xoxoday {
    /// Xoxoday with these settings.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn new(settings: Settings, clock: Clock, calls: &Calls) -> Result<Self, reqwest::Error> {
        let client = |url: &Url| {
            let is_loopback = url.host_str().is_some_and(crate::route::is_loopback_host);
            Http::new(settings.timeout, is_loopback).map(|http| http.counted_by(calls.clone()))
        };
        let segment = match settings.grant {
            Grant::Company => "token/company",
            Grant::User => "token/user",
        };
        let token_url = below(&settings.oauth_url, segment);
        let http = client(&token_url)?;
        let userinfo_http = match &settings.identity.userinfo {
            Some(userinfo) => client(&userinfo.url)?,
            None => http.clone(),
        };
        Ok(Self { http, userinfo_http, token_url, clock, settings })
    }

    /// Whether these are its settings.
    #[must_use]
    pub fn has(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// Its directory, if that is in this file.
    #[must_use]
    pub fn directory_in(&self, file: &Path) -> Option<&FileDirectory> {
        match &self.settings.identity.ids {
            IdSource::Directory(Directory::File(directory)) if directory.is_in(file) => Some(directory),
            IdSource::Directory(Directory::File(_) | Directory::Remote(_)) | IdSource::Answer(_) => None,
        }
    }

    async fn member(
        &self,
        code: &AuthorizationCode,
        redirect_uri: &RedirectUri,
    ) -> Result<Member, ProviderError> {
        let answer = self.exchange(code, redirect_uri).await?;
        let identity = &self.settings.identity;
        let ids = match &identity.ids {
            IdSource::Answer(claims) => claims.ids(&answer)?,
            IdSource::Directory(directory) => {
                directory.find(&identity.profile.address(&answer)?, self.clock.now()).await?
            }
        };
        let Ids { member_id, unit_id } = ids;
        let profile = identity.profile.profile(&answer);
        Ok(Member { provider: self.settings.name.clone(), id: member_id, unit_id, profile })
    }

    /// What Xoxoday says about whoever the code stands for. The tokens end with this function.
    async fn exchange(
        &self,
        code: &AuthorizationCode,
        redirect_uri: &RedirectUri,
    ) -> Result<Wiped, ProviderError> {
        let mut answer = self.http.ask(self.token_request(code, redirect_uri), TOKEN).await?;
        let token = token_endpoint::token_response(&answer, TOKEN);
        let answer = Wiped(answer.json.take().unwrap_or_default());
        let token = token?.access_token;
        match &self.settings.identity.userinfo {
            Some(userinfo) => self.userinfo(userinfo, &token).await,
            None => Ok(answer),
        }
    }

    fn token_request(&self, code: &AuthorizationCode, redirect_uri: &RedirectUri) -> RequestBuilder {
        let text = |secret: &Secret| secret.expose_str().unwrap_or_default().trim().to_owned();
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", &text(&code.0)),
            ("redirect_uri", &redirect_uri.0),
            ("client_id", self.settings.client_id.trim()),
            ("client_secret", &text(&self.settings.client_secret)),
        ];
        self.http.post(&self.token_url, self.settings.token_encoding, &parameters)
    }

    async fn userinfo(&self, userinfo: &Userinfo, token: &Secret) -> Result<Wiped, ProviderError> {
        let mut request = self
            .userinfo_http
            .request(userinfo.method.clone(), &userinfo.url)
            .headers(userinfo.headers.0.clone())
            .bearer_auth(token.expose_str().unwrap_or_default());
        if let Some(body) = &userinfo.body {
            if !userinfo.headers.0.contains_key(CONTENT_TYPE) {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            request = request.body(body.clone());
        }
        let answer = self.userinfo_http.ask(request, USERINFO).await?;
        if let Some(error) = token_endpoint::refused(&answer, USERINFO) {
            return Err(error);
        }
        let what = "it is no JSON";
        answer.json.map(Wiped).ok_or(ProviderError::Unintelligible { endpoint: USERINFO, what })
    }
}

/// An answer whose tokens are overwritten when it is no longer needed.
struct Wiped(Value);

impl Deref for Wiped {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        for name in ["access_token", "refresh_token"] {
            if let Some(Value::String(token)) = self.0.get_mut(name) {
                token.zeroize();
            }
        }
    }
}

impl Provider for Xoxoday {
    fn authorization_request(&self, redirect_uri: &RedirectUri, state: &State) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, QUERY_VALUE).to_string();
        // The commas are Xoxoday's; a blank, however written, makes the scope unknown.
        let scopes: Vec<String> = self.settings.scopes.iter().map(|scope| encoded(scope)).collect();
        let query = format!(
            "client_id={}&response_type=code&redirect_uri={}&scope={}&state={}",
            encoded(self.settings.client_id.trim()),
            encoded(&redirect_uri.0),
            scopes.join(","),
            encoded(&state.0),
        );
        super::authorization_request(&self.settings.authorize_url, query, &self.settings.authorize_params)
    }

    fn redeem<'a>(
        &'a self,
        code: &'a AuthorizationCode,
        redirect_uri: &'a RedirectUri,
    ) -> BoxFuture<'a, Result<Member, ProviderError>> {
        Box::pin(self.member(code, redirect_uri))
    }

    fn inspect<'a>(&'a self, registration: &'a Registration) -> BoxFuture<'a, Vec<Finding>> {
        let request = |code: &_, redirect_uri: &_| self.token_request(code, redirect_uri);
        Box::pin(inspection::by_made_up_code("Xoxoday", "oauth_url", registration, &self.clock, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::claims::UnitId;

    #[test]
    fn the_authorization_request_is_written_as_xoxoday_documents_it() {
        let claims = Claims { member_id: "/email".into(), unit_id: UnitId::SameAsMember, lowercase: true };
        let settings = Settings {
            name: ProviderName::new("rewards").unwrap(),
            client_id: "9a31c0de5f7742d08b6e14a2f3c5d7e9\n".into(),
            client_secret: Secret::new("secret"),
            scopes: vec!["user_session".into(), "company_session".into()],
            grant: Grant::Company,
            oauth_url: Url::parse("https://accounts.xoxoday.com/chef").unwrap(),
            authorize_url: Url::parse("https://accounts.xoxoday.com/chef/v1/oauth/authorize").unwrap(),
            token_encoding: Encoding::Json,
            authorize_params: vec![("ui".into(), "a b".into())],
            identity: Identity {
                userinfo: None,
                ids: IdSource::Answer(claims),
                profile: ProfilePointers { first_name: None, last_name: None, email: "/email".into() },
            },
            timeout: Duration::from_secs(1),
        };
        let xoxoday = Xoxoday::new(settings, Clock::System, &Calls::default()).unwrap();
        let redirect_uri = RedirectUri("https://members.example.org/_gateway/callback/rewards".into());
        assert_eq!(
            xoxoday.authorization_request(&redirect_uri, &State("q7Zk3n".into())),
            "https://accounts.xoxoday.com/chef/v1/oauth/authorize?client_id=9a31c0de5f7742d08b6e14a2f3c5d7e9\
             &response_type=code&redirect_uri=https%3A%2F%2Fmembers.example.org%2F_gateway%2Fcallback%2Frewards\
             &scope=user_session,company_session&state=q7Zk3n&ui=a%20b"
        );
        assert_eq!(xoxoday.token_url.as_str(), "https://accounts.xoxoday.com/chef/v1/oauth/token/company");
    }

    #[test]
    fn an_oauth_base_is_taken_however_it_is_pasted() {
        for text in [
            "https://a.org/chef",
            "https://a.org/chef/",
            "https://a.org/chef/v1/oauth",
            "https://a.org/chef/v1/oauth/",
        ] {
            let url = below(&oauth_url(Url::parse(text).unwrap()), "token/user");
            assert_eq!(url.as_str(), "https://a.org/chef/v1/oauth/token/user", "{text}");
        }
        let url = below(&oauth_url(Url::parse("https://compass.xoxoday.com").unwrap()), "authorize");
        assert_eq!(url.as_str(), "https://compass.xoxoday.com/v1/oauth/authorize");
    }
}
