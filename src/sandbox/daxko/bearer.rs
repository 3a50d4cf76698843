//! Who a request says it is: the token after `Authorization: Bearer`, and which endpoints take it.
//!
//! Daxko's three tokens are for three kinds of endpoint, and each is refused by the other two; and what one
//! generation issued was never issued by the other.

use bytes::Bytes;
use http::Request;

use super::generation::Generation;
use super::members::SampleMember;
use super::refusal::Refusal;
use super::{Account, Memory, Vendor};
use crate::sandbox::issued::Found;
use crate::sandbox::server::bearer_token;

/// What a client-scoped token stands for.
#[derive(Clone, Copy)]
pub(super) struct ClientToken {
    /// Whose token it is.
    pub(super) account: usize,
    /// The client it serves.
    pub(super) client: u64,
}

enum Bearer {
    Missing,
    Unknown,
    Expired,
    Refresh(usize),
    /// A refresh token of partners-v1: no endpoint takes it as a bearer.
    PartnerRefresh,
    Client(ClientToken),
    Member(&'static SampleMember),
}

impl Vendor {
    /// The account whose refresh token the request carries: what both token endpoints take.
    pub(super) fn refresh_bearer(&self, request: &Request<Bytes>) -> Result<&Account, Refusal> {
        match self.bearer(Generation::V3, request, &mut self.memory()) {
            Bearer::Refresh(account) => Ok(&self.accounts[account]),
            Bearer::Missing => {
                Err(Refusal::unauthorized("a token request carries the refresh token as bearer"))
            }
            Bearer::Unknown | Bearer::Expired | Bearer::PartnerRefresh => {
                Err(Refusal::unauthorized("the bearer is no refresh token of Daxko's"))
            }
            Bearer::Client(_) | Bearer::Member(_) => {
                Err(Refusal::unauthorized("a token request takes the refresh token, not an access token"))
            }
        }
    }

    /// The client-scoped token, the partner token of partners-v1, that the request carries: what settings and resources
    /// take.
    pub(super) fn client_bearer(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
    ) -> Result<ClientToken, Refusal> {
        match self.bearer(generation, request, &mut self.memory()) {
            Bearer::Client(token) => Ok(token),
            Bearer::Missing => {
                Err(Refusal::unauthorized("this takes a client-scoped access token as bearer"))
            }
            Bearer::Unknown => Err(Refusal::unauthorized("the bearer was never issued")),
            Bearer::Expired => Err(Refusal::unauthorized("the access token has expired")),
            Bearer::Refresh(_) | Bearer::PartnerRefresh => {
                Err(Refusal::unauthorized("the refresh token is for the token endpoints alone"))
            }
            Bearer::Member(_) => {
                Err(Refusal::forbidden("a member access token reads members/me and nothing else"))
            }
        }
    }

    /// The member whose token the request carries: what `GET …/members/me` takes.
    pub(super) fn member_bearer(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
    ) -> Result<&'static SampleMember, Refusal> {
        match self.bearer(generation, request, &mut self.memory()) {
            Bearer::Member(member) => Ok(member),
            Bearer::Missing => Err(Refusal::unauthorized("this takes a member access token as bearer")),
            Bearer::Unknown => Err(Refusal::unauthorized("the bearer was never issued")),
            Bearer::Expired => Err(Refusal::unauthorized("the access token has expired")),
            Bearer::Refresh(_) | Bearer::PartnerRefresh => {
                Err(Refusal::unauthorized("the refresh token is for the token endpoints alone"))
            }
            Bearer::Client(_) => {
                Err(Refusal::unauthorized("a client-scoped access token says nothing about who logged in"))
            }
        }
    }

    fn bearer(&self, generation: Generation, request: &Request<Bytes>, memory: &mut Memory) -> Bearer {
        let Some(token) = bearer_token(request) else { return Bearer::Missing };
        if let Some(account) = self.accounts.iter().position(|account| account.has_refresh_token(token)) {
            return Bearer::Refresh(account);
        }
        let now = self.clock.now();
        if !matches!(memory.partner_refresh_tokens.find(token, now), Found::Unknown) {
            return Bearer::PartnerRefresh;
        }
        let handed = memory.of(generation);
        let expired = match handed.client_tokens.find(token, now) {
            Found::Live(token) => return Bearer::Client(*token),
            Found::Expired => true,
            Found::Unknown => false,
        };
        match handed.member_tokens.find(token, now) {
            Found::Live(member) => Bearer::Member(member),
            Found::Expired => Bearer::Expired,
            Found::Unknown if expired => Bearer::Expired,
            Found::Unknown => Bearer::Unknown,
        }
    }
}
