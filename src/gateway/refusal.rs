//! Refusals: every error becomes a response here, and nowhere else.
//!
//! A refusal has two texts: a plain sentence and a next step for the person who reads it, and the error with its sources
//! for the log. The reference number stands in both.

use http::header::{ACCEPT_LANGUAGE, ALLOW, CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri};

use super::body::{Body, Own};
use super::branding::Localized;
use super::challenge;
use super::failure::{Cause, Reference};
use super::language::Language;
use super::pages::{self, Button, Kind, Page, Pages, Trouble};
use super::site::Site;
use super::texts::{Explanation, Texts};
use crate::login::LoginError;
use crate::login::return_to::ReturnTo;
use crate::message::{Fields, Response};
use crate::provider::ProviderError;
use crate::provider::restraint::LeftAlone;
use crate::route::NoSite;
use crate::route::pattern::Pattern;
use crate::upstream::UpstreamError;

/// Who reads an answer: a person in a browser, or a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Gets a page.
    Person,
    /// Gets `application/problem+json` (RFC 9457), in English.
    Program,
}

/// Whoever reads the refusal of one request. Nearly every request goes through, so this only keeps what it would take to
/// write one.
#[derive(Clone, Debug)]
pub struct Reader {
    audience: Audience,
    /// The first line of the field; browsers send one.
    accept_language: Option<HeaderValue>,
    /// What was asked for, where asking again does no harm.
    again: Option<PathAndQuery>,
}

impl Reader {
    /// The reader of the answer to a request.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri, fields: &Fields) -> Self {
        let audience = challenge::audience(fields);
        let is_person = audience == Audience::Person;
        let accept_language = is_person.then(|| fields.get(ACCEPT_LANGUAGE).cloned()).flatten();
        let again = (is_person && method == Method::GET).then(|| uri.path_and_query().cloned()).flatten();
        Self { audience, accept_language, again }
    }

    fn language(&self) -> Language {
        Language::preferred(&self.accept_language)
    }

    /// The address once more, where it is a place on this site and nothing else (`//host/` would be another one).
    fn again(&self) -> Option<&str> {
        let target = self.again.as_ref()?.as_str();
        (ReturnTo::new(target).as_str() == target).then_some(target)
    }
}

/// An error on its way to becoming a response.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    kind: Kind,
    explain: fn(&'static Texts) -> &'static Explanation,
    /// The rule that wants it.
    rule: Option<Box<ByRule>>,
    fields: Vec<(HeaderName, HeaderValue)>,
    /// Under which it is in the log already.
    logged_as: Option<Reference>,
}

/// What is known of a rule that turns somebody away.
#[derive(Debug)]
struct ByRule {
    /// For the log.
    pattern: String,
    /// What the operator says about it.
    remedy: Option<Localized>,
}

impl Refusal {
    const fn new(status: StatusCode, explain: fn(&'static Texts) -> &'static Explanation) -> Self {
        Self { status, kind: Kind::Error, explain, rule: None, fields: Vec::new(), logged_as: None }
    }

    /// The app behind the site gives no answer.
    const fn unavailable(status: StatusCode, explain: fn(&'static Texts) -> &'static Explanation) -> Self {
        Self::new(status, explain).of_kind(Kind::Unavailable)
    }

    const fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
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

    /// The same, as a rule wants it, with what the operator says about it.
    #[must_use]
    pub fn by_rule(mut self, rule: &Pattern, remedy: Option<&Localized>) -> Self {
        self.rule = Some(Box::new(ByRule { pattern: rule.to_string(), remedy: remedy.cloned() }));
        self
    }

    /// The target is longer than the operator allows.
    #[must_use]
    pub fn target_too_long() -> Self {
        // What comes after such a head is not worth reading.
        Self::new(StatusCode::URI_TOO_LONG, |texts| &texts.target_too_long).ending_connection()
    }

    /// There are more cookies than the operator bears.
    #[must_use]
    pub const fn too_many_cookies() -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, |texts| &texts.too_many_cookies)
    }

    /// The target holds something that is no part of an address (RFC 3986 §2).
    #[must_use]
    pub const fn target_not_ascii() -> Self {
        Self::new(StatusCode::BAD_REQUEST, |texts| &texts.target_not_ascii)
    }

    /// The path means one thing to one program and another to the next.
    #[must_use]
    pub const fn ambiguous_path() -> Self {
        Self::new(StatusCode::BAD_REQUEST, |texts| &texts.ambiguous_path)
    }

    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    #[must_use]
    pub const fn unknown_expectation() -> Self {
        Self::new(StatusCode::EXPECTATION_FAILED, |texts| &texts.unknown_expectation)
    }

    /// A method that is for proxies alone.
    #[must_use]
    pub const fn method_not_served() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, |texts| &texts.method_not_served)
    }

    /// The request has been here before (RFC 9110 §7.6.3).
    #[must_use]
    pub const fn going_in_circles() -> Self {
        Self::new(StatusCode::LOOP_DETECTED, |texts| &texts.going_in_circles)
    }

    /// One of the gateway's own paths, asked in a way it does not answer.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, |texts| &texts.method_not_allowed)
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Below the gateway's own path and not there.
    #[must_use]
    pub const fn no_such_endpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, |texts| &texts.no_such_endpoint)
    }

    /// The rule says that nobody gets through.
    #[must_use]
    pub const fn denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, |texts| &texts.denied).of_kind(Kind::Forbidden)
    }

    /// The member's id is none in the one way in which the app can be told of it.
    #[must_use]
    pub const fn cannot_be_named() -> Self {
        Self::new(StatusCode::FORBIDDEN, |texts| &texts.cannot_be_named).of_kind(Kind::Forbidden)
    }

    /// A member whom the rule does not name.
    #[must_use]
    pub const fn not_admitted() -> Self {
        Self::new(StatusCode::FORBIDDEN, |texts| &texts.not_admitted).of_kind(Kind::Forbidden)
    }

    /// A member whose membership has ended while the session lasted; the session ends with this.
    #[must_use]
    pub fn lapsed(delete_session: HeaderValue) -> Self {
        refuse_login(Cause::Lapsed).with(SET_COOKIE, delete_session)
    }

    /// Whether the membership is active could not be asked for longer than the operator allows.
    #[must_use]
    pub fn membership_unknown() -> Self {
        Self::unavailable(StatusCode::SERVICE_UNAVAILABLE, |texts| &texts.membership_unknown)
            .with(RETRY_AFTER, HeaderValue::from_static("60"))
    }

    /// Which sessions have been ended is not known.
    #[must_use]
    pub fn revocations_unknown() -> Self {
        Self::unavailable(StatusCode::SERVICE_UNAVAILABLE, |texts| &texts.revocations_unknown)
            .with(RETRY_AFTER, HeaderValue::from_static("10"))
    }

    /// Somebody asks about the requests of others who is no trusted proxy.
    #[must_use]
    pub const fn untrusted_proxy() -> Self {
        Self::new(StatusCode::FORBIDDEN, |texts| &texts.untrusted_proxy)
    }

    /// A proxy asks about a request and does not say clearly about which.
    #[must_use]
    pub const fn unclear_question() -> Self {
        Self::new(StatusCode::BAD_REQUEST, |texts| &texts.unclear_question)
    }

    /// A proxy asks about a request that it has to pass to the gateway, and to no app.
    #[must_use]
    pub const fn own_path_asked_about() -> Self {
        Self::new(StatusCode::FORBIDDEN, |texts| &texts.own_path_asked_about)
    }

    /// A WebSocket handshake that a page of another site began (RFC 6455 §10.2).
    #[must_use]
    pub const fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, |texts| &texts.foreign_origin)
    }

    /// Somebody, or everybody behind one address, begins to sign in again and again.
    #[must_use]
    pub fn too_many_sign_ins() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, |texts| &texts.too_many_sign_ins)
            .with(RETRY_AFTER, HeaderValue::from_static("60"))
    }

    /// A form of another site that would end the session.
    #[must_use]
    pub const fn foreign_form() -> Self {
        Self::new(StatusCode::FORBIDDEN, |texts| &texts.foreign_form)
    }

    /// An upstream that switches protocols without being asked (RFC 9110 §15.2.2).
    #[must_use]
    pub const fn unasked_upgrade() -> Self {
        Self::unavailable(StatusCode::BAD_GATEWAY, |texts| &texts.unasked_upgrade)
    }

    /// A form that was kept during the login and cannot be opened any more.
    #[must_use]
    pub fn form_not_kept() -> Self {
        Self::new(StatusCode::BAD_REQUEST, |texts| &texts.form_not_kept).ending_connection()
    }

    /// A form that was kept during the login, while others take all the room that there is; it can be sent again.
    #[must_use]
    pub fn no_room_for_form() -> Self {
        Self::unavailable(StatusCode::SERVICE_UNAVAILABLE, |texts| &texts.upstream_full)
            .with(RETRY_AFTER, HeaderValue::from_static("5"))
            .ending_connection()
    }

    /// The page of a failed login, which offers to start again, or another way where there is a choice; it is in the log
    /// under its reference already.
    pub(super) fn into_login_page(
        self,
        pages: &Pages,
        language: Language,
        reference: &Reference,
        login_path: &str,
        chooser_path: Option<&str>,
    ) -> Response<Body> {
        let explanation = (self.explain)(Texts::of(language));
        // Where signing in again and again is the trouble, there is one button and it goes on.
        let is_loop = !explanation.points.is_empty();
        let button = if is_loop { Button::SignIn(login_path) } else { Button::SignInAgain(login_path) };
        let trouble = Trouble {
            kind: self.kind,
            explanation,
            remedy: None,
            button: Some(button),
            other: (!is_loop).then_some(chooser_path.map_or(Button::FrontPage, Button::AnotherWay)),
            reference: Some(reference),
        };
        let mut response = Own::page(self.status, pages.render(&Page::Trouble(trouble), language));
        response.headers_mut().extend(self.fields);
        response
    }

    /// What the callback answers in its place: the way to the error page, without the code.
    #[must_use]
    pub fn instead_of_callback(self) -> Response<Body> {
        let title = (self.explain)(Texts::of(Language::English)).title;
        tracing::info!(status = self.status.as_u16(), title, "a callback was refused");
        Own::see_other("/_gateway/error")
    }

    /// The response to it. Its reference is in the log, for whoever asks about it with the number from the page.
    #[must_use]
    pub fn into_response(self, reader: &Reader, site: Option<&Site>) -> Response<Body> {
        let Self { status, kind, explain, rule, fields, logged_as } = self;
        let pages = site.map_or(&*pages::NOWHERE, |site| &site.pages);
        let Explanation { title, advice, .. } = *explain(Texts::of(Language::English));
        let reference = logged_as.unwrap_or_else(|| {
            let (reference, status) = (Reference::new(), status.as_u16());
            let site = site.map(|site| site.origin.as_str());
            let rule = rule.as_ref().map(|rule| &*rule.pattern);
            match reader.audience {
                Audience::Person => tracing::info!(site, %reference, status, rule, title, "refused"),
                Audience::Program => tracing::debug!(site, %reference, status, rule, title, "refused"),
            }
            reference
        });
        let mut response = match reader.audience {
            Audience::Person => {
                let trouble = Trouble {
                    kind,
                    explanation: explain(Texts::of(reader.language())),
                    remedy: rule.as_ref().and_then(|rule| rule.remedy.as_ref()),
                    button: reader.again().filter(|_| kind == Kind::Unavailable).map(Button::TryAgain),
                    other: matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
                        .then_some(Button::FrontPage),
                    reference: Some(&reference),
                };
                Own::page(status, pages.render(&Page::Trouble(trouble), reader.language()))
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
                Self::new(StatusCode::BAD_REQUEST, |texts| &texts.no_site_named).ending_connection()
            }
            NoSite::Unknown => Self::new(StatusCode::MISDIRECTED_REQUEST, |texts| &texts.unknown_site),
        }
    }
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Connect { .. }
            | UpstreamError::Answer { .. }
            | UpstreamError::Ambiguous { .. } => {
                Self::unavailable(StatusCode::BAD_GATEWAY, |texts| &texts.upstream_away)
            }
            UpstreamError::Full => {
                Self::unavailable(StatusCode::SERVICE_UNAVAILABLE, |texts| &texts.upstream_full)
                    .with(RETRY_AFTER, HeaderValue::from_static("5"))
            }
            UpstreamError::Silent { .. } => {
                Self::unavailable(StatusCode::GATEWAY_TIMEOUT, |texts| &texts.upstream_silent)
            }
            UpstreamError::RequestBody(_) => {
                Self::new(StatusCode::BAD_REQUEST, |texts| &texts.request_broken_off).ending_connection()
            }
        }
    }
}

/// What the error page shows of a failed login.
pub(super) fn refuse_login(cause: Cause) -> Refusal {
    match cause {
        Cause::Stale => Refusal::new(StatusCode::BAD_REQUEST, |texts| &texts.stale),
        Cause::Malformed => Refusal::new(StatusCode::BAD_REQUEST, |texts| &texts.malformed),
        Cause::Denied => Refusal::new(StatusCode::FORBIDDEN, |texts| &texts.access_denied),
        Cause::NoIdentity => Refusal::new(StatusCode::BAD_GATEWAY, |texts| &texts.no_identity),
        Cause::NotInDirectory => Refusal::new(StatusCode::FORBIDDEN, |texts| &texts.not_in_directory),
        Cause::AmbiguousInDirectory => {
            Refusal::new(StatusCode::FORBIDDEN, |texts| &texts.ambiguous_in_directory)
        }
        Cause::Lapsed => Refusal::new(StatusCode::FORBIDDEN, |texts| &texts.lapsed).of_kind(Kind::Lapsed),
        Cause::Loop => Refusal::new(StatusCode::BAD_REQUEST, |texts| &texts.looping),
        Cause::VendorRefuses => Refusal::new(StatusCode::BAD_GATEWAY, |texts| &texts.vendor_refuses),
        Cause::VendorBroken => Refusal::new(StatusCode::BAD_GATEWAY, |texts| &texts.vendor_broken),
        Cause::VendorAway => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, |texts| &texts.vendor_away)
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
        LoginError::LeftAlone(LeftAlone::Busy | LeftAlone::Down)
        | LoginError::Provider(ProviderError::Busy { .. } | ProviderError::Unreachable { .. }) => {
            Cause::VendorAway
        }
    }
}
