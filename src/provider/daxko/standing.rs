//! Whether a membership is active, as Daxko's API tells of members and units.
//!
//! `GET /v3/members/{member_id}` has `active`, `GET /v3/units/{unit_id}` has `status`
//! (<https://api.daxko.com/v3/docs/api>). Somebody whose unit is inactive can log in all the same.

use reqwest::StatusCode;
use serde_json::Value;

use super::Daxko;
use crate::member::Member;
use crate::provider::membership::{Membership, Standing, Subject};
use crate::provider::token_endpoint::Answer;
use crate::provider::{BoxFuture, ProviderError};

impl Membership for Daxko {
    fn standing<'a>(
        &'a self,
        subject: Subject,
        member: &'a Member,
    ) -> BoxFuture<'a, Result<Standing, ProviderError>> {
        Box::pin(async move {
            match subject {
                Subject::Member => {
                    let endpoint = "member's record";
                    let answer = self.get(endpoint, &["members", member.id.as_str()]).await?;
                    read(&answer, endpoint, |record| record.get("active")?.as_bool())
                }
                Subject::Unit => {
                    let endpoint = "unit's record";
                    let answer = self.get(endpoint, &["units", member.unit_id.as_str()]).await?;
                    read(&answer, endpoint, |record| {
                        let status = record.get("status")?.as_str()?;
                        Some(status.trim().eq_ignore_ascii_case("active"))
                    })
                }
            }
        })
    }
}

/// Whoever Daxko does not find (any more) has no membership. An answer that says neither is none.
fn read(
    answer: &Answer,
    endpoint: &'static str,
    is_active: impl Fn(&Value) -> Option<bool>,
) -> Result<Standing, ProviderError> {
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(Standing::Lapsed);
    }
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        return Err(ProviderError::ClientRefused { endpoint, status, error: None });
    }
    match answer.json.as_ref().and_then(is_active) {
        Some(true) => Ok(Standing::Active),
        Some(false) => Ok(Standing::Lapsed),
        None => Err(ProviderError::Unintelligible { endpoint, what: "it does not say who is active" }),
    }
}
