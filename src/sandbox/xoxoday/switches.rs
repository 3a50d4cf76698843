//! Where Xoxoday's own texts contradict each other: which of them the simulation follows.
//!
//! The switches are set at the start, by the handle, or by `POST /sandbox/switches`; `DELETE` there puts them back.

use serde::Deserialize;

/// What the simulation does where the texts differ. The default is the older text, which describes the code flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// The fields of a token response.
    pub response_shape: ResponseShape,
    /// How `expires_in` is written.
    pub expires_in: ExpiresIn,
    /// What becomes of a refresh token that was replaced.
    pub old_refresh_token: OldRefreshToken,
    /// What a visitor sees who is not logged in.
    pub visitor: Visitor,
    /// What the user-details call says.
    pub user_details: UserDetails,
}

/// The fields of a token response, and the inside of an access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResponseShape {
    /// Those of the storefront's chapter on token management.
    #[default]
    Old,
    /// Those of the newer API definitions: both `…_expiry` fields beside them, as strings of milliseconds. The
    /// definitions do not mention `email`; a company's response keeps it, or nobody could say who logged in.
    New,
}

/// How `expires_in` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiresIn {
    /// A JSON number, as documented.
    #[default]
    Number,
    /// A string, as public clients have seen it.
    String,
}

/// What becomes of a refresh token that was replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum OldRefreshToken {
    /// It works for six more hours, as the chapter on token management says.
    #[default]
    #[serde(rename = "grace-6h")]
    Grace6h,
    /// It is dead at once, as the newer API definition says.
    #[serde(rename = "dead")]
    Dead,
}

/// What a visitor sees who is not logged in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visitor {
    /// The log-in page.
    #[default]
    LoginPage,
    /// The `access_denied` redirect first, and the log-in page when the browser comes again, as Compass, a sister
    /// product, describes it.
    DeniedFirst,
}

/// What the user-details call says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserDetails {
    /// The two fields that public clients read: `email` and `first_name`.
    #[default]
    Observed,
    /// The ids of a member as well, so that one can see a gateway find them there. Xoxoday knows no such ids.
    WithIds,
}

/// The body of `POST /sandbox/switches`: those to set; the others stay as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Order {
    response_shape: Option<ResponseShape>,
    expires_in: Option<ExpiresIn>,
    old_refresh_token: Option<OldRefreshToken>,
    visitor: Option<Visitor>,
    user_details: Option<UserDetails>,
}

impl Switches {
    /// These switches after some of them were set.
    pub(super) fn changed(self, order: &Order) -> Self {
        Self {
            response_shape: order.response_shape.unwrap_or(self.response_shape),
            expires_in: order.expires_in.unwrap_or(self.expires_in),
            old_refresh_token: order.old_refresh_token.unwrap_or(self.old_refresh_token),
            visitor: order.visitor.unwrap_or(self.visitor),
            user_details: order.user_details.unwrap_or(self.user_details),
        }
    }
}
