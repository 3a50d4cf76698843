//! The two token endpoints of v3 (RFC 6749 §4.1.3, §5): a client-scoped token for the API, a member token for a code.
//!
//! The bearer of both is the refresh token, beside the client's name and secret in the body. A refused code exchange
//! leaves the code unspent: how Daxko treats that is not published, and so a typing mistake costs nobody a log-in.
//! The exchange itself is the same in both generations.

use bytes::Bytes;
use http::Request;
use serde_json::json;

use super::RecordedRequest;
use super::bearer::ClientToken;
use super::generation::Generation;
use super::parameters::{Parameters, client_of_scope};
use super::refusal::{Answer, Refusal};
use super::{Account, Vendor};
use crate::sandbox::issued::{Found, random_text};

impl Vendor {
    /// `POST /v3/partners/oauth2/token`.
    pub(super) async fn client_token(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let bearer = self.refresh_bearer(request)?;
        let parameters = Parameters::of_body(request, entry).await?;
        check_grant_type(&parameters, "client_credentials")?;
        let scope = required(&parameters, "scope")?;
        let account = self.authenticate(&parameters)?;
        self.check_owner(bearer, account)?;

        let client = client_of_scope(scope)
            .ok_or(Refusal::oauth("invalid_scope", "the scope is client:NUMBER, for one client"))?;
        if !self.accounts[account].clients.contains(&client) {
            return Err(Refusal::oauth("invalid_scope", "this client is not granted to the username"));
        }

        let mut memory = self.memory();
        let tokens = &mut memory.v3.client_tokens;
        let lifetime = tokens.lifetime();
        let token = tokens.issue(&token_prefix(), ClientToken { account, client }, self.clock.now());
        Ok(self.granted(Generation::V3, &token, lifetime.as_secs()))
    }

    /// `POST /v3/partners/oauth2/members/token`.
    pub(super) async fn member_token(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let bearer = self.refresh_bearer(request)?;
        let parameters = Parameters::of_body(request, entry).await?;
        self.exchange(Generation::V3, &parameters, Some(bearer))
    }

    /// Spends a code. Where there is a bearer, it has to be of the same account.
    pub(super) fn exchange(
        &self,
        generation: Generation,
        parameters: &Parameters,
        bearer: Option<&Account>,
    ) -> Result<Answer, Refusal> {
        check_grant_type(parameters, "authorization_code")?;
        let code = required(parameters, "code")?;
        let redirect_uri = required(parameters, "redirect_uri")?;
        let account = self.authenticate(parameters)?;
        if let Some(bearer) = bearer {
            self.check_owner(bearer, account)?;
        }

        let refused = |rule| Err(Refusal::oauth("invalid_grant", rule));
        let now = self.clock.now();
        let mut memory = self.memory();
        let handed = memory.of(generation);
        let member = match handed.codes.find(code, now) {
            Found::Unknown => return refused("the code was never issued"),
            Found::Expired => return refused("the code has expired"),
            Found::Live(code) if code.account != account => {
                return refused("the code was issued to another client_id");
            }
            Found::Live(code) if code.redirect_uri != redirect_uri => {
                return refused("the redirect_uri is the very one of the authorization request");
            }
            Found::Live(code) if code.spent => return refused("a code is used once"),
            Found::Live(code) => {
                code.spent = true;
                code.member
            }
        };
        let lifetime = handed.member_tokens.lifetime();
        let token = handed.member_tokens.issue(&token_prefix(), member, now);
        Ok(self.granted(generation, &token, lifetime.as_secs()))
    }

    /// Finds the account of `client_id` and `client_secret`, which belong together.
    pub(super) fn authenticate(&self, parameters: &Parameters) -> Result<usize, Refusal> {
        let username = required(parameters, "client_id")?;
        let password = required(parameters, "client_secret")?;
        let account = self.known(username)?;
        if !self.accounts[account].has_password(password) {
            return Err(Refusal::oauth("invalid_client", "the client_secret is not the username's password"));
        }
        Ok(account)
    }

    /// The account of a `client_id`.
    pub(super) fn known(&self, username: &str) -> Result<usize, Refusal> {
        let account = self.accounts.iter().position(|account| account.username == username);
        account.ok_or(Refusal::oauth("invalid_client", "the client_id is no API username of Daxko's"))
    }

    fn check_owner(&self, bearer: &Account, account: usize) -> Result<(), Refusal> {
        if bearer.username == self.accounts[account].username {
            return Ok(());
        }
        Err(Refusal::unauthorized("the refresh token belongs to another client_id"))
    }

    fn granted(&self, generation: Generation, token: &str, lifetime: u64) -> Answer {
        Answer::json(&json!({
            "access_token": token,
            "expires_in": generation.expires_in(lifetime, &self.faults),
            "token_type": generation.token_type(),
        }))
    }
}

fn check_grant_type(parameters: &Parameters, expected: &str) -> Result<(), Refusal> {
    if required(parameters, "grant_type")? == expected {
        return Ok(());
    }
    Err(Refusal::oauth("unsupported_grant_type", "this endpoint knows one other grant_type"))
}

pub(super) fn required<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Refusal> {
    parameters.get(name).ok_or(Refusal::oauth("invalid_request", "a required parameter is missing"))
}

/// Tokens look like the JWTs that Daxko issues, but hold nothing: a client cannot verify them and must not try.
pub(super) fn token_prefix() -> String {
    format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{}.", random_text())
}
