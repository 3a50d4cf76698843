//! Daxko and its peculiarities, in both generations of its API.
//!
//! Written from Daxko's tutorials (see [`generation`]). In v3 the exchange is authorised with the partner's *refresh
//! token* as bearer and written as multipart, `expires_in` is a string, and the member token is good for
//! `GET /v3/members/me` alone, after which it is thrown away. No PKCE, `nonce` or `prompt` is documented, so none is sent.

pub mod access;
mod client_token;
pub mod generation;
pub mod member_settings;
mod standing;

use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use reqwest::{RequestBuilder, StatusCode, Url};

use self::client_token::{ClientToken, Grant, Manner, Token};
use self::generation::below;
pub use self::generation::{Bearer, Generation};
use self::member_settings::Links;
use super::calls::Calls;
use super::claims::{self, Pointers};
use super::inspection::{Finding, Registration};
use super::membership::{self, Subject};
use super::token_endpoint::{self, Answer, Encoding, Http};
use super::{AuthorizationCode, BoxFuture, Provider, ProviderError, QUERY_VALUE, RedirectUri, State};
use crate::member::{Member, ProviderName};
use crate::secret::Secret;
use crate::time::{Clock, UnixTime};

/// What the operator knows about Daxko.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the provider in the config.
    pub name: ProviderName,
    /// Which API, and what only that one needs.
    pub generation: Generation,
    /// The client (the association), as its scope names it: `4711`, or `OPS_4711` in partners-v1. Daxko's word, not that
    /// of RFC 6749.
    pub client: String,
    /// The API username.
    pub client_id: String,
    /// The API password.
    pub client_secret: Secret,
    /// Where members sign in.
    pub authorize_url: Url,
    /// Base of the API; ends before the version.
    pub api_base_url: Url,
    /// Where codes are exchanged.
    pub token_url: Url,
    /// Where client-scoped tokens come from.
    pub client_token_url: Url,
    /// Where a member's token says whose it is.
    pub userinfo_url: Url,
    /// How the exchange is written; in v3 the request for a client-scoped token too.
    pub token_encoding: Encoding,
    /// What authorises the exchange.
    pub token_bearer: Bearer,
    /// Further parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// Where the identity stands in Daxko's answer.
    pub pointers: Pointers,
    /// What the log-in form should link to.
    pub links: Links,
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

/// Daxko, as a provider.
#[derive(Debug)]
pub struct Daxko {
    settings: Settings,
    http: Http,
    clock: Clock,
    client_token: ClientToken,
}

/// A client-scoped token, for an operator who asks for one.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret,
    /// The client it is for, as the scope names it.
    pub scope: String,
    /// When Daxko stops taking it, where it has said so.
    pub expires: Option<UnixTime>,
}

impl Daxko {
    /// Daxko with these settings.
    ///
    /// # Errors
    /// Where no HTTP client can be made on this machine.
    pub fn new(settings: Settings, clock: Clock, calls: &Calls) -> Result<Self, reqwest::Error> {
        let is_loopback = settings.api_base_url.host_str().is_some_and(crate::route::is_loopback_host);
        let http = Http::new(settings.timeout, is_loopback)?.counted_by(calls.clone());
        let grant = Grant {
            url: settings.client_token_url.clone(),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            scope: settings.generation.client_scope(&settings.client),
            manner: match &settings.generation {
                Generation::V3 { refresh_token } => Manner::RefreshTokenAsBearer {
                    refresh_token: refresh_token.clone(),
                    encoding: settings.token_encoding,
                },
                Generation::PartnersV1 => Manner::RotatingRefreshToken,
            },
        };
        Ok(Self { client_token: ClientToken::new(grant, http.clone()), http, clock, settings })
    }

    /// Whether these are its settings.
    #[must_use]
    pub fn has(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// The API and the username whose settings these are: providers that share them share what is registered.
    #[must_use]
    pub fn account(&self) -> (&str, &str) {
        (self.settings.api_base_url.as_str(), self.settings.client_id.trim())
    }

    /// All that its answers about memberships depend on.
    #[must_use]
    pub fn memberships_of(&self, subject: Subject) -> membership::Account {
        membership::Account {
            provider: self.settings.name.clone(),
            api: self.settings.api_base_url.to_string(),
            client: self.settings.client.clone(),
            subject,
        }
    }

    /// A client-scoped token.
    ///
    /// # Errors
    /// Where Daxko grants none.
    pub async fn issue(&self) -> Result<Issued, ProviderError> {
        let token = self.client_token.current(&self.clock).await?;
        let scope = self.settings.generation.client_scope(&self.settings.client);
        Ok(Issued { token: token.value.clone(), scope, expires: token.expires })
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
            path.iter().map(|segment| utf8_percent_encode(segment, QUERY_VALUE).to_string()).collect();
        let url = self.resource(&segments.join("/"));
        self.on_behalf_of_the_client(endpoint, || self.http.get(&url)).await
    }

    /// The address of a resource of the API.
    fn resource(&self, path: &str) -> Url {
        below(&self.settings.api_base_url, &format!("{}/{path}", self.settings.generation.version()))
    }

    /// Sends a request with a client-scoped token, and again with another one if the first was not taken.
    async fn on_behalf_of_the_client(
        &self,
        endpoint: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        let send = async |token: &Token| {
            self.http.ask(request().bearer_auth(token_endpoint::text(&token.value)), endpoint).await
        };
        let token = self.client_token.current(&self.clock).await?;
        let answer = send(&token).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if let Some(token) = self.client_token.instead_of(&token, &self.clock).await? {
            let answer = send(&token).await?;
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
        let bearer = match &self.settings.token_bearer {
            Bearer::RefreshToken(token) => Some(text(token)),
            Bearer::AccessToken => Some(text(&self.client_token.current(&self.clock).await?.value)),
            Bearer::Nothing => None,
        };
        let parameters = [
            ("grant_type", "authorization_code"),
            ("client_id", self.settings.client_id.trim()),
            ("client_secret", &text(&self.settings.client_secret)),
            ("code", &text(&code.0)),
            ("redirect_uri", &redirect_uri.0),
        ];
        let request = self.http.post(&self.settings.token_url, self.settings.token_encoding, &parameters);
        let request = match bearer {
            Some(bearer) => request.bearer_auth(bearer),
            None => request,
        };
        let token = token_endpoint::token_response(&self.http.ask(request, TOKEN).await?, TOKEN)?;

        let request = self.http.get(&self.settings.userinfo_url).bearer_auth(text(&token.access_token));
        let answer = self.http.ask(request, ME).await?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(ProviderError::ClientRefused { endpoint: ME, status, error: None });
        }
        let Some(json) = &answer.json else {
            return Err(ProviderError::Unintelligible { endpoint: ME, what: "it is no JSON" });
        };
        claims::member(json, &self.settings.pointers, &self.settings.name)
    }

    async fn findings(&self, registration: &Registration) -> Vec<Finding> {
        if let Err(error) = self.client_token.current(&self.clock).await {
            return vec![Finding::of_credentials(&error)];
        }
        let mut findings = vec![Finding::good("credentials: taken; a client-scoped token came")];
        let name = &self.settings.name;
        let mend = |options: &str| format!("`member-gateway daxko settings --provider {name}{options}`");
        let saved = match self.read_settings().await {
            Ok(saved) => saved,
            Err(error) => {
                let what = format!("redirect URIs: {}", super::inspection::described(&error));
                findings.push(Finding::wrong(what, super::inspection::advice(&error)));
                return findings;
            }
        };
        let document = &saved.document;
        for RedirectUri(uri) in &registration.redirect_uris {
            findings.push(if document.redirect_uris().contains(uri) {
                Finding::good(format!("redirect URI: {uri} is registered"))
            } else {
                let next = format!("{} registers it", mend(""));
                Finding::wrong(format!("redirect URI: {uri} is not registered"), next)
            });
        }
        let ours = |uri: &String| {
            let mut all = registration.redirect_uris.iter().chain(&registration.shared);
            all.any(|RedirectUri(own)| own == uri)
        };
        for uri in document.redirect_uris().iter().filter(|uri| !ours(uri)) {
            let next = format!("if nobody needs it any more, {} drops it", mend(" --replace"));
            findings.push(Finding::noted(
                format!("redirect URI: {uri} is registered and not in this configuration"),
                next,
            ));
        }
        for link in document.links_to_a_callback(&registration.hosts) {
            let next = format!("set `links.{link}` of this [[provider]] to a page, then {}", mend(""));
            findings.push(Finding::wrong(format!("link: {link} leads to a callback of this gateway"), next));
        }
        findings.push(Finding::of_clocks(self.clock.now(), saved.date));
        findings
    }
}

impl Provider for Daxko {
    fn authorization_request(&self, redirect_uri: &RedirectUri, state: &State) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, QUERY_VALUE).to_string();
        let query = format!(
            "response_type=code&scope={}&state={}&client_id={}&redirect_uri={}",
            self.settings.generation.authorization_scope(&self.settings.client),
            encoded(&state.0),
            encoded(self.settings.client_id.trim()),
            encoded(&redirect_uri.0),
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
        Box::pin(self.findings(registration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization_request(generation: Generation, client: &str) -> String {
        let url = |text| Url::parse(text).unwrap();
        let settings = Settings {
            name: ProviderName::new("ymca").unwrap(),
            generation,
            client: client.into(),
            client_id: "lakes_web\n".into(),
            client_secret: Secret::new("secret"),
            authorize_url: url("https://operations.daxko.com/online/auth"),
            api_base_url: url("http://127.0.0.1:1"),
            token_url: url("http://127.0.0.1:1/token"),
            client_token_url: url("http://127.0.0.1:1/client"),
            userinfo_url: url("http://127.0.0.1:1/me"),
            token_encoding: Encoding::Multipart,
            token_bearer: Bearer::Nothing,
            authorize_params: vec![("ui_locales".into(), "es mx".into())],
            pointers: pointers(),
            links: Links::default(),
            timeout: Duration::from_secs(1),
        };
        let redirect_uri = RedirectUri("https://members.example.org/_gateway/callback/ymca".into());
        Daxko::new(settings, Clock::System, &Calls::default())
            .unwrap()
            .authorization_request(&redirect_uri, &State("q7Zk3n".into()))
    }

    #[test]
    fn the_authorization_request_is_written_as_daxko_documents_it() {
        assert_eq!(
            authorization_request(Generation::V3 { refresh_token: Secret::new("refresh") }, "4711"),
            "https://operations.daxko.com/online/auth?response_type=code&scope=client:4711+member:basic_info\
             &state=q7Zk3n&client_id=lakes_web\
             &redirect_uri=https%3A%2F%2Fmembers.example.org%2F_gateway%2Fcallback%2Fymca&ui_locales=es%20mx"
        );
        assert_eq!(
            authorization_request(Generation::PartnersV1, "OPS_4711"),
            "https://operations.daxko.com/online/auth?response_type=code&scope=clientIntegrationId%3AOPS_4711\
             &state=q7Zk3n&client_id=lakes_web\
             &redirect_uri=https%3A%2F%2Fmembers.example.org%2F_gateway%2Fcallback%2Fymca&ui_locales=es%20mx"
        );
    }
}
