//! Daxko Operations API v3 and its peculiarities.
//!
//! Written from Daxko's member authentication tutorial (<https://api.daxko.com/v3/docs/tutorials/member_authentication>):
//! the exchange is authorised with the partner's *refresh token* as bearer and written as multipart, `expires_in` is a
//! string, and the member token is good for `GET /v3/members/me` alone, after which it is thrown away. No PKCE, `nonce`
//! or `prompt` is documented, so none is sent.

mod client_token;
mod standing;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{RequestBuilder, StatusCode, Url};

use self::client_token::{ClientToken, Grant, Manner};
use super::claims::{self, Pointers};
use super::token_endpoint::{self, Answer, Encoding, Http};
use super::{AuthorizationCode, BoxFuture, Provider, ProviderError, RedirectUri, State};
use crate::member::{Member, ProviderName};
use crate::secret::Secret;
use crate::time::Clock;

/// Everything but what RFC 3986 §2.3 leaves alone.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the operator knows about Daxko.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the provider in the config.
    pub name: ProviderName,
    /// The number of the Daxko Operations client (the association); Daxko's word, not that of RFC 6749.
    pub client: u64,
    /// The API username.
    pub client_id: String,
    /// The API password.
    pub client_secret: Secret,
    /// The partner's refresh token: the bearer of the exchange, never rotated.
    pub refresh_token: Secret,
    /// Where members sign in.
    pub authorize_url: Url,
    /// Base of the API; ends before `/v3`.
    pub api_base_url: Url,
    /// How the exchange is written.
    pub token_encoding: Encoding,
    /// Further parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// Where the identity stands in Daxko's answer.
    pub pointers: Pointers,
    /// How long any one answer may take.
    pub timeout: Duration,
}

/// Where Daxko's `members/me` has what we need.
#[must_use]
pub fn pointers() -> Pointers {
    Pointers {
        member_id: "/member_id".into(),
        member_unit_id: "/member_unit_id".into(),
        first_name: "/name/first_name".into(),
        last_name: "/name/last_name".into(),
        email: "/email".into(),
    }
}

/// Reads an API base as people paste it: with or without a slash, with or without `/v3`.
#[must_use]
pub fn api_base_url(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v3").unwrap_or(path).trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// Joins with exactly one slash.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Daxko, as a provider.
#[derive(Debug)]
pub struct Daxko {
    settings: Settings,
    http: Http,
    clock: Clock,
    token_url: Url,
    userinfo_url: Url,
    client_token: ClientToken,
}

impl Daxko {
    /// Daxko with these settings.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, reqwest::Error> {
        let is_loopback = settings.api_base_url.host_str().is_some_and(crate::route::is_loopback_host);
        let http = Http::new(settings.timeout, is_loopback)?;
        let grant = Grant {
            url: below(&settings.api_base_url, "v3/partners/oauth2/token"),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            scope: format!("client:{}", settings.client),
            manner: Manner::RefreshTokenAsBearer {
                refresh_token: settings.refresh_token.clone(),
                encoding: settings.token_encoding,
            },
        };
        Ok(Self {
            client_token: ClientToken::new(grant, http.clone()),
            http,
            clock,
            token_url: below(&settings.api_base_url, "v3/partners/oauth2/members/token"),
            userinfo_url: below(&settings.api_base_url, "v3/members/me"),
            settings,
        })
    }

    /// Asks the API about `path`, such as `["members", "300418822-01"]`, on behalf of the client. A 401 is an error after
    /// one more try with another token; any other answer is for the caller to judge. `endpoint` names the resource where
    /// errors are told.
    ///
    /// # Errors
    /// Where there is no answer, or none that could be judged.
    pub async fn get(&self, endpoint: &'static str, path: &[&str]) -> Result<Answer, ProviderError> {
        // Such an id would lead to another resource, however it is encoded (RFC 3986 §5.2.4).
        if path.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(ProviderError::Unintelligible { endpoint, what: "it would be about an odd id" });
        }
        let segments: Vec<String> =
            path.iter().map(|segment| utf8_percent_encode(segment, UNRESERVED).to_string()).collect();
        let url = below(&self.settings.api_base_url, &format!("v3/{}", segments.join("/")));
        self.on_behalf_of_the_client(endpoint, || self.http.get(&url)).await
    }

    /// Sends a request with a client-scoped token, and again with another one if the first was not taken.
    async fn on_behalf_of_the_client(
        &self,
        endpoint: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        let send = async |token: &Secret| {
            token_endpoint::ask(request().bearer_auth(token_endpoint::text(token)), endpoint).await
        };
        let token = self.client_token.current(&self.clock).await?;
        let answer = send(&token.value).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if let Some(token) = self.client_token.instead_of(&token, &self.clock).await? {
            let answer = send(&token.value).await?;
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
        }
        Err(ProviderError::ClientRefused { endpoint, status: 401, error: None })
    }

    async fn member(
        &self,
        code: &AuthorizationCode,
        redirect_uri: &RedirectUri,
    ) -> Result<Member, ProviderError> {
        const TOKEN: &str = "token endpoint";
        const ME: &str = "member resource";
        let text = token_endpoint::text;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("client_id", self.settings.client_id.trim()),
            ("client_secret", &text(&self.settings.client_secret)),
            ("code", &text(&code.0)),
            ("redirect_uri", &redirect_uri.0),
        ];
        let request = self
            .http
            .post(&self.token_url, self.settings.token_encoding, &parameters)
            .bearer_auth(text(&self.settings.refresh_token));
        let token = token_endpoint::token_response(&token_endpoint::ask(request, TOKEN).await?, TOKEN)?;

        let request = self.http.get(&self.userinfo_url).bearer_auth(text(&token.access_token));
        let answer = token_endpoint::ask(request, ME).await?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(ProviderError::ClientRefused { endpoint: ME, status, error: None });
        }
        let Some(json) = &answer.json else {
            return Err(ProviderError::Unintelligible { endpoint: ME, what: "it is no JSON" });
        };
        claims::member(json, &self.settings.pointers, &self.settings.name)
    }
}

impl Provider for Daxko {
    fn authorization_request(&self, redirect_uri: &RedirectUri, state: &State) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let mut url = self.settings.authorize_url.clone();
        // Daxko's example writes the space as `+` and leaves the colons bare; so do we.
        let mut query = format!(
            "response_type=code&scope=client:{}+member:basic_info&state={}&client_id={}&redirect_uri={}",
            self.settings.client,
            encoded(&state.0),
            encoded(self.settings.client_id.trim()),
            encoded(&redirect_uri.0),
        );
        for (name, value) in &self.settings.authorize_params {
            query.push_str(&format!("&{}={}", encoded(name), encoded(value)));
        }
        url.set_query(Some(&query));
        url.into()
    }

    fn redeem<'a>(
        &'a self,
        code: &'a AuthorizationCode,
        redirect_uri: &'a RedirectUri,
    ) -> BoxFuture<'a, Result<Member, ProviderError>> {
        Box::pin(self.member(code, redirect_uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorization_request_is_written_as_daxko_documents_it() {
        let settings = Settings {
            name: ProviderName::new("ymca").unwrap(),
            client: 4711,
            client_id: "lakes_web\n".into(),
            client_secret: Secret::new("secret"),
            refresh_token: Secret::new("refresh"),
            authorize_url: Url::parse("https://operations.daxko.com/online/auth").unwrap(),
            api_base_url: Url::parse("http://127.0.0.1:1").unwrap(),
            token_encoding: Encoding::Multipart,
            authorize_params: vec![("ui_locales".into(), "es mx".into())],
            pointers: pointers(),
            timeout: Duration::from_secs(1),
        };
        let daxko = Daxko::new(settings, Clock::System).unwrap();
        let redirect_uri = RedirectUri("https://members.example.org/_gateway/callback/ymca".into());
        assert_eq!(
            daxko.authorization_request(&redirect_uri, &State("q7Zk3n".into())),
            "https://operations.daxko.com/online/auth?response_type=code&scope=client:4711+member:basic_info\
             &state=q7Zk3n&client_id=lakes_web\
             &redirect_uri=https%3A%2F%2Fmembers.example.org%2F_gateway%2Fcallback%2Fymca&ui_locales=es%20mx"
        );
    }

    #[test]
    fn an_api_base_is_taken_however_it_is_pasted() {
        for text in [
            "https://api.daxko.com",
            "https://api.daxko.com/",
            "https://api.daxko.com/v3",
            "https://api.daxko.com/v3/",
        ] {
            let base = api_base_url(Url::parse(text).unwrap());
            assert_eq!(
                below(&base, "v3/members/me").as_str(),
                "https://api.daxko.com/v3/members/me",
                "{text}"
            );
        }
        let base = api_base_url(Url::parse("http://127.0.0.1:1/daxko/v3/").unwrap());
        assert_eq!(below(&base, "v3/members/me").as_str(), "http://127.0.0.1:1/daxko/v3/members/me");
    }
}
