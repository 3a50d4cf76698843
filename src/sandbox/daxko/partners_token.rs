//! The token endpoints of partners-v1: a partner token for the API with a refresh token beside it, and a member token
//! for a code.
//!
//! A partner token comes of JSON alone, without a bearer. Refreshing takes no secret and replaces the refresh token; an
//! access token that was issued with the old one lives to its end, since nothing is published against it.

use bytes::Bytes;
use http::Request;
use serde_json::json;

use super::bearer::ClientToken;
use super::generation::{Generation, client_of_integration};
use super::parameters::Parameters;
use super::refusal::{Answer, Refusal};
use super::token::{required, token_prefix};
use super::{Memory, Vendor};
use crate::sandbox::issued::Found;
use crate::sandbox::journal::{RecordedRequest, media_type};

/// What a refresh token stands for.
pub(super) struct RefreshToken {
    pub(super) token: ClientToken,
    pub(super) spent: bool,
}

impl Vendor {
    /// `POST /partners/auth/token`.
    pub(super) async fn partner_token(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        if media_type(request) != "application/json" {
            return Err(Refusal::oauth("invalid_request", "a partner token is asked for in JSON"));
        }
        let parameters = Parameters::of_body(request, entry).await?;
        match required(&parameters, "grant_type")? {
            "client_credentials" => self.partner_token_of_credentials(&parameters),
            "refresh_token" => self.refreshed_partner_token(&parameters),
            _ => {
                let rule = "this endpoint knows client_credentials and refresh_token";
                Err(Refusal::oauth("unsupported_grant_type", rule))
            }
        }
    }

    fn partner_token_of_credentials(&self, parameters: &Parameters) -> Result<Answer, Refusal> {
        let scope = required(parameters, "scope")?;
        let account = self.authenticate(parameters)?;
        let client = client_of_integration(scope)
            .ok_or(Refusal::oauth("invalid_scope", "the scope is OPS_NUMBER, for one client"))?;
        if !self.accounts[account].clients.contains(&client) {
            return Err(Refusal::oauth("invalid_scope", "this client is not granted to the username"));
        }
        Ok(self.pair(&mut self.memory(), ClientToken { account, client }))
    }

    /// Every refusal of a refresh token is 401: the client has to begin again with its credentials.
    fn refreshed_partner_token(&self, parameters: &Parameters) -> Result<Answer, Refusal> {
        let account = self.known(required(parameters, "client_id")?)?;
        let refresh_token = required(parameters, "refresh_token")?;
        let refused = |rule| Err(Refusal::unauthorized(rule));
        let mut memory = self.memory();
        let token = match memory.partner_refresh_tokens.find(refresh_token, self.clock.now()) {
            Found::Unknown => return refused("the refresh token was never issued"),
            Found::Expired => return refused("the refresh token has expired"),
            Found::Live(known) if known.token.account != account => {
                return refused("the refresh token belongs to another client_id");
            }
            Found::Live(known) if known.spent => {
                return refused("a refresh token is replaced when it is used");
            }
            Found::Live(known) => {
                known.spent = true;
                known.token
            }
        };
        Ok(self.pair(&mut memory, token))
    }

    /// An access token and the refresh token that goes with it.
    fn pair(&self, memory: &mut Memory, token: ClientToken) -> Answer {
        let now = self.clock.now();
        let tokens = &mut memory.partners_v1.client_tokens;
        let lifetime = tokens.lifetime();
        let access_token = tokens.issue(&token_prefix(), token, now);
        let refresh_token = RefreshToken { token, spent: false };
        Answer::json(&json!({
            "access_token": access_token,
            "refresh_token": memory.partner_refresh_tokens.issue(&token_prefix(), refresh_token, now),
            "expires_in": lifetime.as_secs(),
            "token_type": Generation::PartnersV1.token_type(),
        }))
    }

    /// `POST /partners/token`. Which bearer it takes is not published: none is asked for, and any is let be.
    pub(super) async fn partners_member_token(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::of_body(request, entry).await?;
        self.exchange(Generation::PartnersV1, &parameters, None)
    }
}
