//! Answers, and refusals that name the rule they follow.
//!
//! A rule is a sentence in words that a developer finds in Daxko's documents or in RFC 6749; it goes into the log, into
//! the journal and into the answer, so that a refusal explains itself wherever it is seen first.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::form;
use crate::sandbox::server::{self, Body};

/// A response, and the rule that refused the request, if one did.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) refused_by: Option<&'static str>,
}

impl Answer {
    /// JSON with status 200.
    pub(super) fn json(value: &Value) -> Self {
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
    /// A page for the browser, with what to do about it.
    Page {
        advice: String,
    },
    /// 400 with an error of RFC 6749 §5.2.
    OAuth(&'static str),
    Unauthorized,
    Forbidden,
    NotFound,
    BadRequest,
    MethodNotAllowed(&'static str),
}

impl Refusal {
    /// A request whose client or redirect URI is not trusted ends on a page: a redirect would send the browser, and
    /// perhaps a code, wherever the request says (RFC 6749 §4.1.2.1).
    pub(super) const fn page(rule: &'static str, advice: String) -> Self {
        Self { rule, kind: Kind::Page { advice } }
    }

    /// 400 with an error code.
    pub(super) const fn oauth(error: &'static str, rule: &'static str) -> Self {
        Self { rule, kind: Kind::OAuth(error) }
    }

    /// 401: the bearer is not the one this endpoint takes.
    pub(super) const fn unauthorized(rule: &'static str) -> Self {
        Self { rule, kind: Kind::Unauthorized }
    }

    /// 403: the bearer is good, but not for this.
    pub(super) const fn forbidden(rule: &'static str) -> Self {
        Self { rule, kind: Kind::Forbidden }
    }

    /// 404.
    pub(super) const fn not_found(rule: &'static str) -> Self {
        Self { rule, kind: Kind::NotFound }
    }

    /// 400 for a body that is not what the endpoint takes.
    pub(super) const fn bad_request(rule: &'static str) -> Self {
        Self { rule, kind: Kind::BadRequest }
    }

    /// 405, with the methods there are.
    pub(super) const fn method_not_allowed(allowed: &'static str) -> Self {
        Self { rule: "this path knows other methods", kind: Kind::MethodNotAllowed(allowed) }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let rule = refusal.rule;
        let message = |status| server::json(status, &json!({ "message": rule }));
        let response = match refusal.kind {
            Kind::Page { advice } => form::refusal(rule, &advice),
            Kind::OAuth(error) => {
                server::json(StatusCode::BAD_REQUEST, &json!({ "error": error, "error_description": rule }))
            }
            Kind::Unauthorized => {
                let mut response = message(StatusCode::UNAUTHORIZED);
                let challenge = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
            Kind::Forbidden => message(StatusCode::FORBIDDEN),
            Kind::NotFound => message(StatusCode::NOT_FOUND),
            Kind::BadRequest => message(StatusCode::BAD_REQUEST),
            Kind::MethodNotAllowed(allowed) => {
                let mut response = message(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
                response
            }
        };
        Self { response, refused_by: Some(rule) }
    }
}
