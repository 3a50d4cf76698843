//! Refusals: every error becomes a response here, and nowhere else.
//!
//! A refusal has two texts: a plain sentence and a next step for the person who reads it, and the error with its sources
//! for the log. The reference number stands in both.

use http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::{Response, StatusCode};

use super::body::{Body, Own};
use super::failure::{Cause, Reference};
use super::pages;
use crate::login::LoginError;
use crate::provider::ProviderError;
use crate::route::NoSite;
use crate::upstream::UpstreamError;

/// Who reads an answer: a person in a browser, or a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Gets a page.
    Person,
    /// Gets `application/problem+json` (RFC 9457).
    Program,
}

/// An error on its way to becoming a response.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    title: &'static str,
    advice: &'static str,
    fields: Vec<(HeaderName, HeaderValue)>,
    /// Under which it is in the log already.
    logged_as: Option<Reference>,
}

impl Refusal {
    const fn new(status: StatusCode, title: &'static str, advice: &'static str) -> Self {
        Self { status, title, advice, fields: Vec::new(), logged_as: None }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    /// The same, for an error that is in the log under this reference.
    #[must_use]
    pub fn logged_as(mut self, reference: Reference) -> Self {
        self.logged_as = Some(reference);
        self
    }

    /// The target is longer than the operator allows.
    #[must_use]
    pub fn target_too_long() -> Self {
        let title = "This address is too long.";
        // What comes after such a head is not worth reading.
        Self::new(StatusCode::URI_TOO_LONG, title, "Please go back and follow the link again.")
            .ending_connection()
    }

    /// The target holds something that is no part of an address (RFC 3986 §2).
    #[must_use]
    pub const fn target_not_ascii() -> Self {
        let advice = "Please check the link; letters beyond A to Z have to be percent-encoded in an address.";
        Self::new(StatusCode::BAD_REQUEST, "This address is not well formed.", advice)
    }

    /// The path means one thing to one program and another to the next.
    #[must_use]
    pub const fn ambiguous_path() -> Self {
        let advice =
            "Please check the link: its path can be read in several ways that are treated differently.";
        Self::new(StatusCode::BAD_REQUEST, "This address is not clear.", advice)
    }

    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    #[must_use]
    pub const fn unknown_expectation() -> Self {
        let title = "The request expects something that is not offered here.";
        Self::new(StatusCode::EXPECTATION_FAILED, title, "Only “Expect: 100-continue” is understood.")
    }

    /// A method that is for proxies alone.
    #[must_use]
    pub const fn method_not_served() -> Self {
        let title = "This method is not served here.";
        let advice = "CONNECT, TRACE and methods that are not in capitals are not passed on.";
        Self::new(StatusCode::NOT_IMPLEMENTED, title, advice)
    }

    /// The request has been here before (RFC 9110 §7.6.3).
    #[must_use]
    pub const fn going_in_circles() -> Self {
        let title = "This request goes in circles.";
        let advice =
            "To the people who run this site: an `upstream` of the gateway leads back to the gateway itself.";
        Self::new(StatusCode::LOOP_DETECTED, title, advice)
    }

    /// One of the gateway's own paths, asked in a way it does not answer.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let title = "This address does not take that method.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, title, "Please go back and try again.")
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Below the gateway's own path and not there.
    #[must_use]
    pub const fn no_such_endpoint() -> Self {
        let title = "There is no page at this address.";
        Self::new(StatusCode::NOT_FOUND, title, "Please check the link, or start from the front page.")
    }

    /// The rule says that nobody gets through.
    #[must_use]
    pub const fn denied() -> Self {
        let title = "This page is not open to anybody.";
        Self::new(StatusCode::FORBIDDEN, title, "If you need it, please ask the people who run this site.")
    }

    /// A member whom the rule does not name.
    #[must_use]
    pub const fn not_admitted() -> Self {
        let advice = "You are signed in, but this page is for other members. If you think that you should see it, \
                      please ask the people who run this site.";
        Self::new(StatusCode::FORBIDDEN, "This page is not open to your membership.", advice)
    }

    /// A member whose membership has ended while the session lasted; the session ends with this.
    #[must_use]
    pub fn lapsed(delete_session: HeaderValue) -> Self {
        refuse_login(Cause::Lapsed).with(SET_COOKIE, delete_session)
    }

    /// Whether the membership is active could not be asked for longer than the operator allows.
    #[must_use]
    pub fn membership_unknown() -> Self {
        let title = "Your membership cannot be checked at the moment.";
        let advice =
            "The service that knows it is not answering. Nothing is lost: please try again in a few minutes.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, title, advice)
            .with(RETRY_AFTER, HeaderValue::from_static("60"))
    }

    /// A WebSocket handshake that a page of another site began (RFC 6455 §10.2).
    #[must_use]
    pub const fn foreign_origin() -> Self {
        let title = "Another site may not connect here.";
        let advice = "The people who run this site can allow an origin in a rule of their gateway.";
        Self::new(StatusCode::FORBIDDEN, title, advice)
    }

    /// A form of another site that would end the session.
    #[must_use]
    pub const fn foreign_form() -> Self {
        let title = "You are still signed in.";
        Self::new(
            StatusCode::FORBIDDEN,
            title,
            "Another site tried to sign you out. You can do that on this one.",
        )
    }

    /// An upstream that switches protocols without being asked (RFC 9110 §15.2.2).
    #[must_use]
    pub const fn unasked_upgrade() -> Self {
        let title = "The site gave an answer that makes no sense.";
        let advice =
            "Please try again in a moment. If it stays like this, please tell the people who run this site.";
        Self::new(StatusCode::BAD_GATEWAY, title, advice)
    }

    /// A form that was kept during the login and cannot be opened any more.
    #[must_use]
    pub fn form_not_kept() -> Self {
        let title = "Your form could not be sent again.";
        let advice = "It was kept for too long while you signed in, or belongs to another page. Please fill it in once more.";
        Self::new(StatusCode::BAD_REQUEST, title, advice).ending_connection()
    }

    /// The page of a failed login, which offers to start again; it is in the log under its reference already.
    pub(super) fn into_login_page(
        self,
        site: &str,
        reference: &Reference,
        login_path: &str,
    ) -> Response<Body> {
        let page = pages::login_failed(site, self.title, self.advice, reference, login_path);
        let mut response = Own::page(self.status, page);
        response.headers_mut().extend(self.fields);
        response
    }

    /// What the callback answers in its place: the way to the error page, without the code.
    #[must_use]
    pub fn instead_of_callback(self) -> Response<Body> {
        tracing::info!(status = self.status.as_u16(), title = self.title, "a callback was refused");
        Own::see_other("/_gateway/error")
    }

    /// The response to it. Its reference is in the log, for whoever asks about it with the number from the page.
    #[must_use]
    pub fn into_response(self, audience: Audience, site: &str) -> Response<Body> {
        let Self { status, title, advice, fields, logged_as } = self;
        let reference = logged_as.unwrap_or_else(|| {
            let reference = Reference::new();
            let status = status.as_u16();
            match audience {
                Audience::Person => tracing::info!(site, %reference, status, title, "refused"),
                Audience::Program => tracing::debug!(site, %reference, status, title, "refused"),
            }
            reference
        });
        let mut response = match audience {
            Audience::Person => {
                let leads_home = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
                Own::page(status, pages::refusal(site, title, advice, &reference, leads_home))
            }
            Audience::Program => Own::problem(status, title, advice, &reference, None),
        };
        response.headers_mut().extend(fields);
        response
    }

    fn ending_connection(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }
}

impl From<NoSite> for Refusal {
    fn from(error: NoSite) -> Self {
        match error {
            NoSite::Malformed => {
                let title = "The request does not say which site it is for.";
                Self::new(StatusCode::BAD_REQUEST, title, "It has to name one host, and a well-formed one.")
                    .ending_connection()
            }
            NoSite::Unknown => {
                let title = "There is no such site here.";
                let advice = "Please check the address. To the people who run this site: the host has to be that of \
                              a public_url in the configuration of the gateway.";
                Self::new(StatusCode::MISDIRECTED_REQUEST, title, advice)
            }
        }
    }
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        let again =
            "Please try again in a moment. If it stays like this, please tell the people who run this site.";
        match error {
            UpstreamError::Connect { .. }
            | UpstreamError::Answer { .. }
            | UpstreamError::Ambiguous { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, "The site is not answering at the moment.", again)
            }
            UpstreamError::Silent { .. } => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "The site is taking too long to answer.", again)
            }
            UpstreamError::RequestBody(_) => {
                let title = "What you sent did not arrive completely.";
                Self::new(StatusCode::BAD_REQUEST, title, "Please go back and send it again.")
                    .ending_connection()
            }
        }
    }
}

/// What the error page shows of a failed login.
pub(super) fn refuse_login(cause: Cause) -> Refusal {
    match cause {
        Cause::Stale => Refusal::new(
            StatusCode::BAD_REQUEST,
            "This sign-in is no longer valid.",
            "It took too long, was used already, or was started in another browser. Nothing is lost: please sign in again.",
        ),
        Cause::Malformed => Refusal::new(
            StatusCode::BAD_REQUEST,
            "This sign-in did not come back as it should.",
            "Please sign in again. If you came by a link or a bookmark, please use the site's own pages instead.",
        ),
        Cause::Denied => Refusal::new(
            StatusCode::FORBIDDEN,
            "You were not signed in.",
            "Access was refused when you signed in. If you did not mean to refuse it, please sign in again.",
        ),
        Cause::NoIdentity => Refusal::new(
            StatusCode::BAD_GATEWAY,
            "Your membership could not be read.",
            "You have signed in, but your membership number did not come with it. Please tell the people who run this site.",
        ),
        Cause::NotInDirectory => Refusal::new(
            StatusCode::FORBIDDEN,
            "You are not known here as a member.",
            "You have signed in, but the address you signed in with is not in the list of members. Please ask the people who run this site to add it.",
        ),
        Cause::AmbiguousInDirectory => Refusal::new(
            StatusCode::FORBIDDEN,
            "It is not clear which member you are.",
            "You have signed in, but the address you signed in with belongs to several members. Please ask the people who run this site to give each of them an address of their own.",
        ),
        Cause::Lapsed => Refusal::new(
            StatusCode::FORBIDDEN,
            "Your membership is not active.",
            "You have signed in, but your membership has ended or is on hold. The people who run this site can tell you how to renew it.",
        ),
        Cause::Loop => Refusal::new(
            StatusCode::BAD_REQUEST,
            "Signing in goes round in circles.",
            "You were sent to sign in five times within a minute. Usually the browser does not keep the cookies of this site: please allow them, check the clock of your device, and then try again.",
        ),
        Cause::VendorRefuses => Refusal::new(
            StatusCode::BAD_GATEWAY,
            "Sign-in is not set up correctly.",
            "This is not your mistake. Please tell the people who run this site, with the reference number below.",
        ),
        Cause::VendorBroken => Refusal::new(
            StatusCode::BAD_GATEWAY,
            "Sign-in did not work.",
            "The sign-in service gave an answer that makes no sense. Please try again in a few minutes.",
        ),
        Cause::VendorAway => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Sign-in is not available at the moment.",
            "The sign-in service is not answering. Please try again in a few minutes.",
        )
        .with(RETRY_AFTER, HeaderValue::from_static("60")),
    }
}

/// Whose fault a failed login is, which decides what its page says.
pub(super) fn cause_of(error: &LoginError) -> Cause {
    match error {
        LoginError::Malformed => Cause::Malformed,
        LoginError::Denied => Cause::Denied,
        LoginError::UnknownAttempt
        | LoginError::UsedAttempt
        | LoginError::ExpiredAttempt
        | LoginError::Provider(ProviderError::CodeRefused) => Cause::Stale,
        LoginError::Provider(ProviderError::NoIdentity { .. }) => Cause::NoIdentity,
        LoginError::Provider(ProviderError::NotInDirectory) => Cause::NotInDirectory,
        LoginError::Provider(ProviderError::AmbiguousInDirectory) => Cause::AmbiguousInDirectory,
        LoginError::Provider(ProviderError::Lapsed) => Cause::Lapsed,
        LoginError::Provider(ProviderError::ClientRefused { .. }) => Cause::VendorRefuses,
        LoginError::Vendor(Some(code)) if code == "temporarily_unavailable" => Cause::VendorAway,
        LoginError::Provider(ProviderError::Unintelligible { .. }) | LoginError::Vendor(_) => {
            Cause::VendorBroken
        }
        LoginError::Provider(ProviderError::Busy { .. } | ProviderError::Unreachable { .. }) => {
            Cause::VendorAway
        }
    }
}
