//! The token endpoints: a pair for a code, for a refresh token, for an address; and what a token is still worth.
//!
//! The last segment of the path is the grant, `company` or `user`; the documents call it `token_type`, and it is not
//! `bearer`. A refused exchange leaves the code unspent: how Xoxoday treats that is not published, and so a typing
//! mistake costs nobody a log-in.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use serde_json::json;

use super::account::Person;
use super::pairs::{Grant, Holder, Pair, milliseconds};
use super::refusal::{Answer, Refusal};
use super::switches::{ExpiresIn, ResponseShape};
use super::{Memory, RecordedRequest, Vendor};
use crate::sandbox::issued::Found;
use crate::sandbox::parameters::Parameters;

impl Vendor {
    /// `POST /v1/oauth/token/{company|user}`. The documented command names no media type, so none is asked for.
    pub(super) fn token(
        &self,
        request: &Request<Bytes>,
        grant: Grant,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::json(request.body())?;
        entry.note(parameters.iter());
        match required(&parameters, "grant_type")? {
            "authorization_code" => self.exchange(&parameters, grant),
            "refresh_token" => self.refresh(&parameters, grant),
            _ => Err(Refusal::oauth(
                "unsupported_grant_type",
                "the grant_type is authorization_code or refresh_token",
            )),
        }
    }

    fn exchange(&self, parameters: &Parameters, grant: Grant) -> Result<Answer, Refusal> {
        let code = required(parameters, "code")?;
        let redirect_uri = required(parameters, "redirect_uri")?;
        let client = self.authenticate(parameters)?;

        let refused = |rule| Err(Refusal::oauth("invalid_grant", rule));
        let mut memory = self.memory();
        let person = match memory.codes.find(code, self.clock.now()) {
            Found::Unknown => return refused("the code was never issued"),
            Found::Expired => return refused("the code has expired"),
            Found::Live(code) if code.client != client => {
                return refused("the code was issued to another client_id");
            }
            Found::Live(code) if code.redirect_uri != redirect_uri => {
                return refused("the redirect_uri is the very one of the authorization request");
            }
            Found::Live(_) if !self.clients[client].redirect_uris.iter().any(|uri| uri == redirect_uri) => {
                return refused("the redirect_uri is a registered one, and not only its domain");
            }
            Found::Live(code) if code.spent => return refused("a code is used once"),
            Found::Live(code)
                if grant == Grant::Company && !code.scopes.iter().any(|scope| scope == "user_session") =>
            {
                return Err(Refusal::oauth(
                    "invalid_scope",
                    "a company grant takes a code of the scope user_session",
                ));
            }
            Found::Live(code) => {
                code.spent = true;
                Arc::clone(&code.person)
            }
        };
        // Who clicked Allow is said in a company's response alone.
        let email = (grant == Grant::Company).then(|| person.email.clone());
        let pair = self.issue(&mut memory, client, grant, person);
        drop(memory);
        Ok(self.granted(&pair, email))
    }

    fn refresh(&self, parameters: &Parameters, grant: Grant) -> Result<Answer, Refusal> {
        let token = required(parameters, "refresh_token")?;
        let client = self.authenticate(parameters)?;
        let old = self.switches().old_refresh_token;
        let mut memory = self.memory();
        let Some(replaced) = memory.pairs.replace((client, grant), token, old, self.clock.now()) else {
            let rule = "the refresh token was replaced, has expired, or is of another client or grant";
            return Err(Refusal::invalid_token(rule));
        };
        let pair = self.issue(&mut memory, client, grant, replaced.person);
        drop(memory);
        Ok(self.granted(&pair, None))
    }

    /// `GET /v1/oauth/token`: how long the bearer still lives. It says nothing about whose it is.
    pub(super) fn validate(&self, request: &Request<Bytes>) -> Result<Answer, Refusal> {
        let pair = self.bearer(request)?;
        let mut body = json!({ "access_token": pair.access_token, "token_type": "bearer" });
        body["expires_in"] = self.expires_in(&pair);
        if self.switches().response_shape == ResponseShape::New {
            body["access_token_expiry"] = milliseconds(pair.access_expires_at).to_string().into();
            body["refresh_token_expiry"] = milliseconds(pair.refresh_expires_at).to_string().into();
        }
        Ok(Answer::json(&body))
    }

    /// `POST /v1/oauth/token/create/user`: a company's token buys a user's, for an address it has to know already. An
    /// address without an account gets one, as it does at the store; the documents leave that open.
    pub(super) fn create_user(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let company = self.company_bearer(request)?;
        let parameters = Parameters::json(request.body())?;
        entry.note(parameters.iter());
        let email = required(&parameters, "user_input")?;
        if required(&parameters, "scope")? != "user_session" {
            return Err(Refusal::oauth("invalid_scope", "the scope is user_session"));
        }
        check_address(email)?;
        let mut memory = self.memory();
        let person = memory.people.find_or_make(email);
        let pair = self.issue(&mut memory, company.client, Grant::User, person);
        drop(memory);
        Ok(self.granted(&pair, None))
    }

    /// Finds the client of `client_id` and `client_secret`.
    fn authenticate(&self, parameters: &Parameters) -> Result<usize, Refusal> {
        let client_id = required(parameters, "client_id")?;
        let secret = required(parameters, "client_secret")?;
        let client = self.clients.iter().position(|client| client.client_id == client_id);
        let client = client.ok_or(Refusal::unauthorized_client("the client_id is none of Xoxoday's"))?;
        if !self.clients[client].has_secret(secret) {
            return Err(Refusal::unauthorized_client("the client_secret is another"));
        }
        Ok(client)
    }

    fn issue(&self, memory: &mut Memory, client: usize, grant: Grant, person: Arc<Person>) -> Pair {
        let lifetime = match grant {
            Grant::Company => self.company_lifetime,
            Grant::User => self.user_lifetime,
        };
        let holder = Holder { client, company: &self.clients[client].company, grant, person };
        let shape = memory.switches.response_shape;
        memory.pairs.issue(holder, lifetime, shape, self.clock.now())
    }

    fn granted(&self, pair: &Pair, email: Option<String>) -> Answer {
        let mut body = json!({ "access_token": pair.access_token, "token_type": "bearer" });
        body["expires_in"] = self.expires_in(pair);
        body["refresh_token"] = pair.refresh_token.as_str().into();
        if self.switches().response_shape == ResponseShape::New {
            body["access_token_expiry"] = milliseconds(pair.access_expires_at).to_string().into();
            body["refresh_token_expiry"] = milliseconds(pair.refresh_expires_at).to_string().into();
        }
        if let Some(email) = email {
            body["email"] = email.into();
        }
        Answer::json(&body)
    }

    fn expires_in(&self, pair: &Pair) -> serde_json::Value {
        let seconds = pair.access_expires_at.since(self.clock.now()).as_secs();
        match self.switches().expires_in {
            ExpiresIn::Number => seconds.into(),
            ExpiresIn::String => seconds.to_string().into(),
        }
    }
}

/// An address that may become an account: it is remembered, and so it is bounded.
pub(super) fn check_address(email: &str) -> Result<(), Refusal> {
    if email.contains('@') && email.len() <= 254 {
        return Ok(());
    }
    Err(Refusal::invalid_request("user_input is an e-mail address of 254 characters at the most"))
}

fn required<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Refusal> {
    parameters.get(name).ok_or(Refusal::invalid_request("a required parameter is missing"))
}
