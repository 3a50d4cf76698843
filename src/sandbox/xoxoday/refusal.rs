//! Answers, and refusals that name the rule they follow.
//!
//! The rule goes into the log and the journal. What the caller reads is in Xoxoday's own words where it documents some:
//! "missing/invalid parameters …" and "invalid/expired token" are all that a client there ever learns. The status of an
//! OAuth error is not documented beyond 400 for what is malformed and 401 for a failed authorization.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::pages;
use crate::sandbox::parameters::Malformed;
use crate::sandbox::server::{self, Body};

/// A response, and the rule that refused the request, if one did.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) refused_by: Option<&'static str>,
}

impl Answer {
    /// JSON with status 200.
    pub(super) fn json(value: &serde_json::Value) -> Self {
        server::json(StatusCode::OK, value).into()
    }
}

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self { response, refused_by: None }
    }
}

/// Why a request is not granted.
#[derive(Debug)]
pub(super) struct Refusal {
    rule: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Page { advice: String },
    OAuth { status: StatusCode, error: &'static str, description: &'static str },
    NotFound,
    MethodNotAllowed(&'static str),
}

impl Refusal {
    /// 400: a request whose client or redirect URI is not trusted ends on a page. A redirect would send the browser, and
    /// perhaps a code, wherever the request says (RFC 6749 §4.1.2.1).
    pub(super) const fn page(rule: &'static str, advice: String) -> Self {
        Self { rule, kind: Kind::Page { advice } }
    }

    /// 400 with an error code of OAuth's.
    pub(super) const fn oauth(error: &'static str, rule: &'static str) -> Self {
        Self { rule, kind: Kind::OAuth { status: StatusCode::BAD_REQUEST, error, description: rule } }
    }

    /// 400: something is missing from a body, or the body cannot be read.
    pub(super) const fn invalid_request(rule: &'static str) -> Self {
        let description = "missing/invalid parameters";
        Self {
            rule,
            kind: Kind::OAuth { status: StatusCode::BAD_REQUEST, error: "invalid_request", description },
        }
    }

    /// 401: the client is unknown, or its secret is another.
    pub(super) const fn unauthorized_client(rule: &'static str) -> Self {
        let error = "unauthorized_client";
        Self { rule, kind: Kind::OAuth { status: StatusCode::UNAUTHORIZED, error, description: rule } }
    }

    /// 401: there is no bearer.
    pub(super) const fn no_bearer() -> Self {
        let description = "missing/invalid parameters authorization header";
        let (rule, status) = ("this takes an access token as bearer", StatusCode::UNAUTHORIZED);
        Self { rule, kind: Kind::OAuth { status, error: "invalid_request", description } }
    }

    /// 401: the token is none that this endpoint takes.
    pub(super) const fn invalid_token(rule: &'static str) -> Self {
        let description = "invalid/expired token";
        Self {
            rule,
            kind: Kind::OAuth { status: StatusCode::UNAUTHORIZED, error: "invalid_token", description },
        }
    }

    /// 404.
    pub(super) const fn not_found(rule: &'static str) -> Self {
        Self { rule, kind: Kind::NotFound }
    }

    /// 405, with the methods there are.
    pub(super) const fn method_not_allowed(allowed: &'static str) -> Self {
        Self { rule: "this path knows other methods", kind: Kind::MethodNotAllowed(allowed) }
    }
}

impl From<Malformed> for Refusal {
    fn from(Malformed(rule): Malformed) -> Self {
        Self::invalid_request(rule)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let rule = refusal.rule;
        let response = match refusal.kind {
            Kind::Page { advice } => pages::refusal(rule, &advice),
            Kind::OAuth { status, error, description } => {
                let body = json!({ "error": error, "error_description": description });
                let mut response = server::json(status, &body);
                if status == StatusCode::UNAUTHORIZED {
                    let challenge = HeaderValue::from_static("Bearer");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                response
            }
            Kind::NotFound => {
                let body =
                    json!({ "code": 404, "errorId": "PLE10030", "errorInfo": rule, "error": "Not found" });
                server::json(StatusCode::NOT_FOUND, &body)
            }
            Kind::MethodNotAllowed(allowed) => {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let mut response = server::json(status, &json!({ "code": 405, "error": rule }));
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
                response
            }
        };
        Self { response, refused_by: Some(rule) }
    }
}
