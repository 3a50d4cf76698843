//! Who a request says it is: the access token after `Authorization: Bearer`, and which endpoints take whose.

use http::Request;

use super::Vendor;
use super::pairs::{Grant, Pair};
use super::refusal::Refusal;
use crate::sandbox::server::bearer_token;

impl Vendor {
    /// The pair whose access token the request carries, whichever grant it is of.
    pub(super) fn bearer<T>(&self, request: &Request<T>) -> Result<Pair, Refusal> {
        let token = bearer_token(request).ok_or(Refusal::no_bearer())?;
        let memory = self.memory();
        let pair = memory.pairs.by_access_token(token, self.clock.now()).cloned();
        pair.ok_or(Refusal::invalid_token(
            "the bearer is no access token, has expired, or was ended by a newer pair",
        ))
    }

    /// The pair of a company's access token.
    pub(super) fn company_bearer<T>(&self, request: &Request<T>) -> Result<Pair, Refusal> {
        self.bearer_of(request, Grant::Company, "this takes a company's access token, not a user's")
    }

    /// The pair of a user's access token.
    pub(super) fn user_bearer<T>(&self, request: &Request<T>) -> Result<Pair, Refusal> {
        self.bearer_of(request, Grant::User, "this takes a user's access token, not a company's")
    }

    fn bearer_of<T>(&self, request: &Request<T>, grant: Grant, rule: &'static str) -> Result<Pair, Refusal> {
        let pair = self.bearer(request)?;
        if pair.grant == grant { Ok(pair) } else { Err(Refusal::invalid_token(rule)) }
    }
}
