//! `[provider.identity]` of a vendor without ids of its own, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::secret::SecretText;

/// `[provider.identity]` of a vendor that has no member ids of its own
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySourceTable {
    /// Where the ids come from: `"token"`, the answer of the code exchange; `"userinfo"`, a further call with the member's
    /// token; `"directory"`, the operator's own list of addresses. Default: `"token"`.
    pub from: IdentitySourceChoice,
    /// JSON pointer (RFC 6901) to the member id in the answer that `from` names. Default: `"/email"`; in the answer of a
    /// directory behind a URL `"/member_id"`. Not for a directory in a file, whose columns say it.
    pub member_id: Option<String>,
    /// The unit id: a JSON pointer into the same answer, `{ value = "…" }` for one that all members share, or
    /// `{ same_as = "member_id" }`. Default: `{ same_as = "member_id" }`; in the answer of a directory behind a URL
    /// `"/member_unit_id"`.
    pub member_unit_id: Option<UnitIdChoice>,
    /// JSON pointer to the given name in the vendor's answer. Not read unless it is set.
    pub first_name: Option<String>,
    /// JSON pointer to the family name in the vendor's answer. Not read unless it is set.
    pub last_name: Option<String>,
    /// JSON pointer to the e-mail address in the vendor's answer, by which a directory is asked. Default: `"/email"`.
    pub email: Option<String>,
    /// An id that is an e-mail address is written in lower case (ASCII), however the member typed it. Default: true; a
    /// directory's ids are taken as they are.
    pub lowercase: Option<bool>,
    /// The call that says who signed in.
    pub userinfo: Option<UserinfoTable>,
    /// The operator's list of addresses and ids.
    pub directory: Option<DirectoryTable>,
}

/// Where the ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdentitySourceChoice {
    /// The answer of the code exchange.
    #[default]
    Token,
    /// A further call with the member's token.
    Userinfo,
    /// The operator's own list of addresses.
    Directory,
}

/// The unit of a vendor that may have none.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UnitIdChoice {
    /// A JSON pointer (RFC 6901).
    Pointer(String),
    /// One unit for everybody.
    Value(UnitIdValue),
    /// The member alone.
    SameAs(UnitIdSameAs),
}

/// One unit for everybody.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitIdValue {
    /// The id of the unit.
    pub value: String,
}

/// A unit of one member.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitIdSameAs {
    /// Always `"member_id"`.
    pub same_as: SameAsChoice,
}

/// What the unit id is the same as.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameAsChoice {
    /// The member id.
    MemberId,
}

/// `[provider.identity.userinfo]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserinfoTable {
    /// `"GET"` or `"POST"`. Default: `"POST"` where there is a `body`, else `"GET"`.
    pub method: Option<UserinfoMethod>,
    /// The address that is asked, with the member's token as bearer. Default: `/v1/oauth/api` below `oauth_url`.
    pub url: Option<String>,
    /// Further fields of the request, each a text or a secret. `Content-Type` is `application/json` unless it is here.
    pub headers: BTreeMap<String, SecretText>,
    /// What is posted.
    pub body: Option<String>,
}

/// How the user-details call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum UserinfoMethod {
    /// Without a body.
    Get,
    /// With one.
    Post,
}

/// `[provider.identity.directory]`: either `file` or `url`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DirectoryTable {
    /// A CSV file with the columns `email`, `member_id` and `member_unit_id`, named in its first line; others are
    /// ignored. It is read again when it changes.
    pub file: Option<String>,
    /// An address with `{email}` in its path or query, which is asked for each login and answers with JSON.
    pub url: Option<String>,
    /// Fields of that request, such as `Authorization`, each a text or a secret.
    pub headers: BTreeMap<String, SecretText>,
    /// What becomes of a member whose address is not there: `"deny"`, they are not signed in. Default: `"deny"`.
    pub on_missing: OnMissingChoice,
}

/// What becomes of a member whose address a directory does not have.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingChoice {
    /// They are not signed in.
    #[default]
    Deny,
}
