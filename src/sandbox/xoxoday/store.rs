//! The way into the store without a log-in, and the call that says whose token a user's is.
//!
//! A company's token opens the store as any address: Xoxoday says so, and the simulation does so. What the documents
//! call a temporary token works until it expires, more than once; they do not say otherwise.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::account::Person;
use super::pages;
use super::refusal::{Answer, Refusal};
use super::switches::UserDetails;
use super::token::check_address;
use super::{RecordedRequest, Vendor};
use crate::sandbox::issued::Found;

/// The longest id of the site's that is remembered.
const MAX_ID: usize = 254;

/// What an SSO token stands for.
pub(super) struct Arrival {
    person: Arc<Person>,
    /// The site's own id of the person.
    unique_id: Option<String>,
}

impl Vendor {
    /// `POST /v1/oauth/sso/stores/company`. Whoever is unknown gets an account.
    pub(super) fn sso(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        self.company_bearer(request)?;
        let body = object(request, entry)?;
        let Some(email) = body.get("user_input").and_then(Value::as_str) else {
            return Err(Refusal::invalid_request("user_input is missing"));
        };
        check_address(email)?;
        let unique_id = body.pointer("/tpd/unique_id").and_then(Value::as_str);
        let unique_id = unique_id.filter(|id| id.len() <= MAX_ID).map(str::to_owned);
        let mut memory = self.memory();
        let person = memory.people.find_or_make(email);
        let arrival = Arrival { person, unique_id };
        let token = memory.arrivals.issue("eyJhbGciOiJIUzI1NiJ9.", arrival, self.clock.now());
        Ok(Answer::json(&json!({ "data": { "ssoToken": token } })))
    }

    /// `GET /v1/oauth/redirect/stores/{ssoToken}`: a page that says who arrived.
    pub(super) fn store(&self, token: &str) -> Result<Answer, Refusal> {
        let mut memory = self.memory();
        match memory.arrivals.find(token, self.clock.now()) {
            Found::Live(arrival) => Ok(pages::store(&arrival.person, arrival.unique_id.as_deref()).into()),
            Found::Expired | Found::Unknown => Err(Refusal::page(
                "The ssoToken was never issued, or has expired.",
                "Ask for a new one with POST /chef/v1/oauth/sso/stores/company.".to_owned(),
            )),
        }
    }

    /// `POST /v1/oauth/api`: the address and the given name behind a user's token.
    ///
    /// Public clients make this call, but its query is not published; so the simulation is told at its start which one it
    /// answers.
    pub(super) fn user_details(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let pair = self.user_bearer(request)?;
        let body = object(request, entry)?;
        if body.get("query").and_then(Value::as_str) != Some(&*self.user_details_query) {
            return Err(Refusal::not_found(
                "this query is not answered in the sandbox; docs/xoxoday.md has the one that is",
            ));
        }
        let person = pair.person;
        let mut details = json!({ "email": person.email, "first_name": person.first_name });
        if self.switches().user_details == UserDetails::WithIds
            && let (Some(member_id), Some(unit)) = (person.member_id, person.member_unit_id)
        {
            details["member_id"] = member_id.into();
            details["member_unit_id"] = unit.into();
        }
        Ok(Answer::json(&json!({ "data": { "fetchUserDetails": details } })))
    }
}

/// The JSON object of a body, whatever its media type says.
fn object(request: &Request<Bytes>, entry: &mut RecordedRequest) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let members = body.as_object().ok_or(Refusal::invalid_request("the body is no JSON object"))?;
    entry.note(members.keys().map(|name| (name.as_str(), "")));
    Ok(body)
}
