//! Every reason for which a request is not answered by the vendor → an answer of our own (RFC 9457).
//!
//! The field [`REASON`] says in a word what the problem says in a sentence, so that an app can tell our 401, 403 or 429
//! from the vendor's.

use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use super::fields::REASON;
use super::gate::NotAdmitted;
use super::paths::Closed;
use super::record::Outcome;
use crate::message::Response;
use crate::provider::ProviderError;
use crate::provider::quota::NoCall;

/// The methods of the API.
pub(super) const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// When to come again, where nobody knows better.
const SOON: u64 = 5;

/// Why the vendor does not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Whoever asks may not.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Not for this.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The method is none of the API.
    #[error("the method is none that the API has")]
    Method,
    /// The body broke off.
    #[error("the body of the request broke off")]
    Body,
    /// There is to be no call now.
    #[error(transparent)]
    NoCall(#[from] NoCall),
    /// There is no token to ask with.
    #[error("there is no token to ask with")]
    NoToken(#[from] ProviderError),
    /// The vendor cannot be reached, or breaks off.
    #[error("the vendor gives no answer")]
    Away(#[source] reqwest::Error),
    /// What it sends is none.
    #[error("what the vendor sends is no answer")]
    NoAnswer,
    /// What it sends is in a coding, so that nobody can look for the token in it.
    #[error("the vendor's answer is in a coding that was not asked for")]
    Coded,
    /// It says nothing.
    #[error("the vendor has not answered in time")]
    Silent,
}

impl Refusal {
    /// Whose fault it is, in the words of the access log and the metrics.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::NotAdmitted(_) | Self::Closed(_) | Self::Method => Outcome::Refused,
            Self::Body => Outcome::Aborted,
            Self::NoCall(_) => Outcome::Throttled,
            Self::NoToken(_) => Outcome::NoToken,
            Self::Away(_) | Self::NoAnswer | Self::Coded => Outcome::VendorAway,
            Self::Silent => Outcome::VendorSilent,
        }
    }

    /// Whether an operator should hear of it.
    pub(super) const fn is_noteworthy(&self) -> bool {
        match self {
            Self::NoToken(_) | Self::Away(_) | Self::NoAnswer | Self::Coded | Self::Silent => true,
            Self::NotAdmitted(_) | Self::Closed(_) | Self::Method | Self::Body | Self::NoCall(_) => false,
        }
    }

    /// What the app gets.
    pub(super) fn answer(&self) -> Response<Bytes> {
        let (status, reason, detail) = self.said();
        let problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": detail,
            "reason": reason,
        });
        let mut answer = Response::new(Bytes::from(problem.to_string()));
        *answer.status_mut() = status;
        let fields = answer.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(REASON, HeaderValue::from_static(reason));
        if let Some(seconds) = self.retry_after() {
            fields.insert(RETRY_AFTER, seconds.into());
        }
        if matches!(self, Self::Method) {
            fields.insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"member-gateway\"");
            fields.insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::NoCall(NoCall::Paused { seconds }) => Some(*seconds),
            Self::NoToken(ProviderError::Busy { retry_after, .. }) => {
                Some(retry_after.map_or(SOON, |seconds| seconds.clamp(1, 60)))
            }
            Self::NoCall(NoCall::Full) | Self::NoToken(ProviderError::Unreachable { .. }) => Some(SOON),
            Self::NotAdmitted(_)
            | Self::Closed(_)
            | Self::Method
            | Self::Body
            | Self::NoToken(_)
            | Self::Away(_)
            | Self::NoAnswer
            | Self::Coded
            | Self::Silent => None,
        }
    }

    fn said(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotAdmitted(NotAdmitted::ForeignHost) => (
                StatusCode::FORBIDDEN,
                "foreign-host",
                "Ask for 127.0.0.1, localhost or a name that stands in `api_hosts` of the provider.",
            ),
            Self::NotAdmitted(NotAdmitted::Browser) => (
                StatusCode::FORBIDDEN,
                "from-a-page",
                "This is for programs. A page asks its own app, and the app asks here.",
            ),
            Self::NotAdmitted(NotAdmitted::Member) => {
                (StatusCode::FORBIDDEN, "through-a-site", "This is for programs, and no upstream of a site.")
            }
            Self::NotAdmitted(NotAdmitted::NoKey) => {
                (StatusCode::UNAUTHORIZED, "no-key", "Send Authorization: Bearer with the key of `api_key`.")
            }
            Self::NotAdmitted(NotAdmitted::WrongKey) => {
                (StatusCode::UNAUTHORIZED, "wrong-key", "The key is not the one of `api_key`.")
            }
            Self::Closed(Closed::Unreadable) => (
                StatusCode::BAD_REQUEST,
                "unreadable-path",
                "Write the path without dot segments, and percent-encode what RFC 3986 does not let stand.",
            ),
            Self::Closed(Closed::TokenEndpoint) => (
                StatusCode::FORBIDDEN,
                "token-endpoint",
                "Answers here hold tokens. The gateway attaches them by itself; what else is needed stands in `api_paths` by its name.",
            ),
            Self::Closed(Closed::NotListed) => (
                StatusCode::FORBIDDEN,
                "path-not-listed",
                "`api_paths` of the provider does not open this path.",
            ),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method", "The API has no such method."),
            Self::Body => (
                StatusCode::BAD_REQUEST,
                "body-broke-off",
                "The body of the request did not come to its end.",
            ),
            Self::NoCall(NoCall::Paused { .. }) => (
                StatusCode::TOO_MANY_REQUESTS,
                "paused",
                "The vendor has said 429, and is not asked again before Retry-After.",
            ),
            Self::NoCall(NoCall::Full) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "full",
                "As many calls as `api_calls` allows are under way, and none has ended for a while.",
            ),
            Self::NoToken(ProviderError::Busy { .. } | ProviderError::Unreachable { .. }) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no-token",
                "The vendor hands out no token just now. Come again.",
            ),
            Self::NoToken(_) => (
                StatusCode::BAD_GATEWAY,
                "no-token",
                "The vendor grants this gateway no token. Its operator reads why in the log.",
            ),
            Self::Away(_) | Self::NoAnswer => {
                (StatusCode::BAD_GATEWAY, "vendor-away", "The vendor gives no answer.")
            }
            Self::Coded => (
                StatusCode::BAD_GATEWAY,
                "vendor-coded",
                "The vendor's answer is compressed, though it was asked not to be. It was dropped, for nobody can look for a token in it.",
            ),
            Self::Silent => {
                (StatusCode::GATEWAY_TIMEOUT, "vendor-silent", "The vendor has not answered in time.")
            }
        }
    }
}
