//! Where a fault can be set, and the errors Xoxoday documents without saying how to bring them about.
//!
//! The bodies are those of Xoxoday's documents; that they come on demand is no vendor's behaviour.

use serde::Deserialize;
use serde_json::json;

use crate::sandbox::faults::{self, Fault};

/// The faults of one running simulation.
pub type Faults = faults::Faults<Endpoint>;

/// Where a fault can be set. All paths are under `/chef`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `GET /v1/oauth/authorize`.
    Authorize,
    /// `POST /login`, the log-in form as it is sent.
    LogIn,
    /// `GET` and `POST /signup`, and `POST /signup/verify`.
    SignUp,
    /// `POST /consent`, Allow or Deny.
    Consent,
    /// `POST /v1/oauth/token/company`.
    CompanyToken,
    /// `POST /v1/oauth/token/user`.
    UserToken,
    /// `GET /v1/oauth/token`.
    Validate,
    /// `POST /v1/oauth/token/create/user`.
    CreateUser,
    /// `POST /v1/oauth/sso/stores/company`.
    Sso,
    /// `GET /v1/oauth/redirect/stores/{ssoToken}`.
    Store,
    /// `POST /v1/oauth/api`, the user-details call.
    UserDetails,
}

/// The shapes of Xoxoday's errors. Only their bodies are documented; the status is chosen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// 400 with `error` and `error_description`.
    InvalidRequest,
    /// 401: the token is dead, for example because another administrator made one.
    InvalidToken,
    /// 401: an administrator reset the password.
    PasswordReset,
    /// 429: too many refreshes.
    TooManyRefreshes,
    /// 429: too many calls, with the seconds to wait.
    RateLimit,
    /// 404, with Xoxoday's own number of the error.
    ApiError,
    /// 401, as in the API definitions.
    Unauthorized,
}

impl From<ErrorShape> for Fault {
    fn from(shape: ErrorShape) -> Self {
        let (status, body) = match shape {
            ErrorShape::InvalidRequest => (
                400,
                json!({ "error": "invalid_request", "error_description": "missing/invalid parameters" }),
            ),
            ErrorShape::InvalidToken => {
                (401, json!({ "error": "invalid_token", "error_description": "invalid/expired token" }))
            }
            ErrorShape::PasswordReset => {
                (401, json!({ "success": 0, "error_message_id": "auth.token_error" }))
            }
            ErrorShape::TooManyRefreshes => (429, json!({ "message": "auth.request_limit_exceeded" })),
            ErrorShape::RateLimit => (
                429,
                json!({ "errors": [{ "message": "auth.request_limit_exceeded", "penaltySeconds": 60 }] }),
            ),
            ErrorShape::ApiError => (
                404,
                json!({
                    "code": 404,
                    "errorId": "PLE10030",
                    "errorInfo": "This error was asked for.",
                    "error": "Not found",
                }),
            ),
            ErrorShape::Unauthorized => (401, json!({ "error": "Unauthorized" })),
        };
        Self::Answer { status, body }
    }
}

/// How a fault is written in the body of `POST /sandbox/faults`: as anywhere, or `{"error": "password_reset"}`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Written {
    /// An error in one of Xoxoday's shapes.
    Shape {
        /// Which one.
        error: ErrorShape,
    },
    /// Any other fault.
    Fault(Fault),
}

impl From<Written> for Fault {
    fn from(written: Written) -> Self {
        match written {
            Written::Shape { error } => error.into(),
            Written::Fault(fault) => fault,
        }
    }
}
