//! What the tokens read: who logged in, a member, a unit.
//!
//! A client-scoped token sees its own client and no other; whatever belongs elsewhere is not found. Both
//! generations say the same; for partners-v1 that is our assumption, since its resources are not published.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::Vendor;
use super::generation::Generation;
use super::members::{self, SampleMember};
use super::parameters::Parameters;
use super::refusal::{Answer, Refusal};

impl Vendor {
    /// `GET …/members/me`.
    pub(super) fn members_me(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
    ) -> Result<Answer, Refusal> {
        Ok(Answer::json(&self.member_bearer(generation, request)?.identity()))
    }

    /// `GET …/members/{member_id}`.
    pub(super) fn member(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
        id: &str,
    ) -> Result<Answer, Refusal> {
        let token = self.client_bearer(generation, request)?;
        let member = members::of_client(token.client).find(|member| member.member_id == id);
        let member = member.ok_or(Refusal::not_found("this client has no such member"))?;
        Ok(Answer::json(&member.record()))
    }

    /// `POST …/virtualbranch/checkin`: a member visits. What it answers is not published.
    pub(super) fn check_in(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
    ) -> Result<Answer, Refusal> {
        let token = self.client_bearer(generation, request)?;
        let body: Option<Value> = serde_json::from_slice(request.body()).ok();
        let id = body.as_ref().and_then(|body| body.get("member_id")?.as_str());
        let id = id.ok_or(Refusal::bad_request("the body is JSON with a member_id"))?;
        let member = members::of_client(token.client).find(|member| member.member_id == id);
        let member = member.ok_or(Refusal::not_found("this client has no such member"))?;
        Ok(Answer::json(&json!({ "member_id": member.member_id, "checked_in": true })))
    }

    /// `GET …/units/{unit_id}`.
    pub(super) fn unit(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
        id: &str,
    ) -> Result<Answer, Refusal> {
        let token = self.client_bearer(generation, request)?;
        let members = members::of_unit(token.client, id);
        let Some(primary) = members.first() else {
            return Err(Refusal::not_found("this client has no such unit"));
        };
        let query = Parameters::urlencoded(request.uri().query().unwrap_or("").as_bytes());
        let inactive_too = query.get("include_inactive") == Some("true");
        let listed = members.iter().filter(|member| member.active || inactive_too);
        Ok(Answer::json(&json!({
            "name": primary.last_name.unwrap_or(primary.first_name),
            "status": if members.iter().any(|member| member.active) { "Active" } else { "Inactive" },
            "type": { "id": 2, "name": if members.len() > 1 { "Household" } else { "Individual" } },
            "number_of_members": members.len(),
            "home_location": { "id": 1, "name": "Lakeside" },
            "members": listed.map(|member| SampleMember::listed_in_unit(member)).collect::<Vec<Value>>(),
        })))
    }
}
