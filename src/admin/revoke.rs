//! `POST /revoke`: the question, as a program asks it in JSON.
//!
//! Ids of members stand in the body of a request and nowhere else: not in an address, and in no answer.

use serde::{Deserialize, Serialize};

use crate::member::{MemberId, MemberUnitId, ProviderName};
use crate::revocation::{Revocation, Target};
use crate::session::SessionId;
use crate::time::UnixTime;

/// Whose sessions are to end: exactly one of the first four, and perhaps at which provider.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Question {
    /// One person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_id: Option<String>,
    /// One unit's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_unit_id: Option<String>,
    /// One session, as the log and `/_gateway/session` name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Everybody's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only sessions of this provider's members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// Why nobody's sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// It is no JSON of this form.
    #[error("This takes JSON: {{\"member_id\": \"…\"}}, and see the others in docs/sessions.md.")]
    Unintelligible,
    /// Nobody is named.
    #[error("Name one of member_id, member_unit_id and session_id, or \"all\": true.")]
    Nobody,
    /// Several are named.
    #[error("Name only one of member_id, member_unit_id, session_id and all.")]
    Several,
    /// No member can have such an id.
    #[error("No member has such an id: it is empty, too long, or holds a character that ids do not hold.")]
    Id,
    /// No session can have such an id.
    #[error("No session has such an id: it has 22 characters, as the log and /_gateway/session show them.")]
    SessionId,
    /// No provider can have such a name.
    #[error("No provider has such a name: it has lower-case letters, digits and hyphens.")]
    Provider,
}

impl Question {
    /// The question in the body of a request.
    ///
    /// # Errors
    /// [`NoTarget::Unintelligible`] where there is none.
    pub fn parse(body: &[u8]) -> Result<Self, NoTarget> {
        serde_json::from_slice(body).map_err(|_| NoTarget::Unintelligible)
    }

    /// What is to be done about it.
    ///
    /// # Errors
    /// [`NoTarget`] where it does not say whose sessions are to end.
    pub fn revocation(self, now: UnixTime) -> Result<Revocation, NoTarget> {
        let target = match (self.member_id, self.member_unit_id, self.session_id, self.all) {
            (Some(id), None, None, false) => Target::Member(MemberId::new(id).map_err(|_| NoTarget::Id)?),
            (None, Some(id), None, false) => Target::Unit(MemberUnitId::new(id).map_err(|_| NoTarget::Id)?),
            (None, None, Some(id), false) => {
                Target::Session(SessionId::parse(&id).ok_or(NoTarget::SessionId)?)
            }
            (None, None, None, true) => Target::Everybody,
            (None, None, None, false) => return Err(NoTarget::Nobody),
            (Some(_) | None, Some(_) | None, Some(_) | None, true | false) => return Err(NoTarget::Several),
        };
        let provider = self.provider.map(ProviderName::new).transpose().map_err(|_| NoTarget::Provider)?;
        Ok(Revocation { target, provider, at: now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Result<Revocation, NoTarget> {
        Question::parse(text.as_bytes())?.revocation(UnixTime(1_795_300_000))
    }

    #[test]
    fn one_target_is_named_and_perhaps_a_provider() {
        let id = MemberId::new("400007995-00").unwrap();
        let revocation = asked(r#"{"member_id": "400007995-00"}"#).unwrap();
        assert_eq!((revocation.target, revocation.provider), (Target::Member(id), None));
        let revocation = asked(r#"{"all": true, "provider": "ymca"}"#).unwrap();
        assert_eq!(revocation.target, Target::Everybody);
        assert_eq!(revocation.provider, ProviderName::new("ymca").ok());
        let session = SessionId([7; 16]);
        let revocation = asked(&format!(r#"{{"session_id": "{session}"}}"#)).unwrap();
        assert_eq!(revocation.target, Target::Session(session));
    }

    #[test]
    fn what_names_nobody_or_several_ends_nothing() {
        for (text, reason) in [
            ("", NoTarget::Unintelligible),
            ("[]", NoTarget::Nobody),
            (r#"{"member": "400007995-00"}"#, NoTarget::Unintelligible),
            (r#"{"member_id": 400007995}"#, NoTarget::Unintelligible),
            (r#"{"all": "true"}"#, NoTarget::Unintelligible),
            ("{}", NoTarget::Nobody),
            (r#"{"all": false}"#, NoTarget::Nobody),
            (r#"{"provider": "ymca"}"#, NoTarget::Nobody),
            (r#"{"member_id": "1", "member_unit_id": "1"}"#, NoTarget::Several),
            (r#"{"member_id": "1", "all": true}"#, NoTarget::Several),
            (r#"{"member_id": ""}"#, NoTarget::Id),
            (r#"{"member_unit_id": "a b"}"#, NoTarget::Id),
            (r#"{"session_id": "400007995-00"}"#, NoTarget::SessionId),
            (r#"{"all": true, "provider": "YMCA"}"#, NoTarget::Provider),
        ] {
            assert_eq!(asked(text), Err(reason), "{text}");
        }
    }
}
