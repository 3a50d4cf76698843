//! The gateway's own answers, and the one type of body that these and an upstream's answers share.
//!
//! Whatever the gateway says itself is never stored, never sniffed, never framed, and sends no referrer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde_json::{Value, json};

use super::failure::Reference;
use super::pages::Rendered;
use super::preserve::Place;
use super::vigil::Tie;
use crate::message::{Fields, Response};
use crate::upstream::body::{AnswerBody, AnswerBroken};

/// The policy of what is no page.
const NOTHING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The body of an answer.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all answers are an upstream's, and a box would cost each of them"
)]
pub enum Body {
    /// The gateway's own, whole; nothing once it has been taken.
    Own(Option<Bytes>),
    /// An upstream's, as it comes; for a member, as long as the session lasts.
    Upstream(AnswerBody, Option<Tie>),
}

/// Why the body of an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The upstream has broken it off.
    #[error(transparent)]
    Upstream(#[from] AnswerBroken),
    /// The session has ended for which it was begun.
    #[error("the session of this answer has ended")]
    SessionOver,
}

impl Body {
    /// That of an answer that has none.
    pub(super) const NONE: Self = Self::Own(None);

    /// The same; it takes this place until all of it has gone.
    pub(super) fn in_place(self, place: Place) -> Self {
        match self {
            Self::Own(octets) => Self::Own(octets.map(|octets| place.around(octets))),
            Self::Upstream(..) => self,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream(_, Some(tie)) if tie.is_known_to_be_over() => {
                Poll::Ready(Some(Err(Broken::SessionOver)))
            }
            Self::Upstream(body, tie) => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(polled) => Poll::Ready(polled.map(|frame| frame.map_err(Broken::from))),
                Poll::Pending if tie.as_mut().is_some_and(|tie| tie.is_over(cx)) => {
                    Poll::Ready(Some(Err(Broken::SessionOver)))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Upstream(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Upstream(body, _) => body.size_hint(),
        }
    }
}

/// Answers that the gateway gives itself.
#[derive(Debug)]
pub struct Own;

impl Own {
    /// Any answer, with the fields that all of them carry.
    fn answer(status: StatusCode, content_type: Option<&'static str>, body: Option<Bytes>) -> Response<Body> {
        let mut response = Response::new(Body::Own(body));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        if let Some(content_type) = content_type {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        fields.insert(CONTENT_SECURITY_POLICY, NOTHING);
        response
    }

    /// A page. Whoever opened it cannot reach into it.
    ///
    /// A redirect does not say so: it would cut the tie between a window of the app and one that it opened, in which
    /// somebody signs in on the way (HTML §7.1.3).
    pub(super) fn page(status: StatusCode, page: Rendered) -> Response<Body> {
        let html = Some("text/html; charset=utf-8");
        let mut response = Self::answer(status, html, Some(page.html.into()));
        let fields = response.headers_mut();
        fields.insert(CONTENT_SECURITY_POLICY, page.content_security_policy);
        fields.insert(CONTENT_LANGUAGE, HeaderValue::from_static(page.language.tag()));
        fields.insert(VARY, HeaderValue::from_name(ACCEPT_LANGUAGE));
        fields.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
        response
    }

    /// 200, and nothing but the fields of it.
    pub(super) fn nothing() -> Response<Body> {
        Self::answer(StatusCode::OK, None, None)
    }

    /// 204.
    pub(super) fn empty() -> Response<Body> {
        Self::answer(StatusCode::NO_CONTENT, None, None)
    }

    /// A few words.
    pub(super) fn text(status: StatusCode, text: &'static str) -> Response<Body> {
        Self::answer(status, Some("text/plain; charset=utf-8"), Some(text.into()))
    }

    /// JSON.
    pub(super) fn json(status: StatusCode, value: &Value) -> Response<Body> {
        Self::answer(status, Some("application/json"), Some(value.to_string().into()))
    }

    /// A problem (RFC 9457).
    pub(super) fn problem(
        status: StatusCode,
        title: &str,
        detail: &str,
        reference: &Reference,
        login_url: Option<&str>,
    ) -> Response<Body> {
        let mut problem = json!({
            "type": "about:blank",
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
            "reference": reference.to_string(),
        });
        if let Some(login_url) = login_url {
            problem["login_url"] = login_url.into();
        }
        Self::answer(status, Some("application/problem+json"), Some(problem.to_string().into()))
    }

    /// 302: the browser repeats what it was doing there (RFC 9110 §15.4.3).
    pub(super) fn found(location: &str) -> Response<Body> {
        Self::redirect(StatusCode::FOUND, location)
    }

    /// 303: the browser goes on there with GET (RFC 9110 §15.4.4).
    pub(super) fn see_other(location: &str) -> Response<Body> {
        Self::redirect(StatusCode::SEE_OTHER, location)
    }

    /// 308: the same request, there (RFC 9110 §15.4.9).
    pub(super) fn permanent_redirect(location: &str) -> Response<Body> {
        Self::redirect(StatusCode::PERMANENT_REDIRECT, location)
    }

    fn redirect(status: StatusCode, location: &str) -> Response<Body> {
        let mut response = Self::answer(status, None, None);
        let location = HeaderValue::try_from(location).unwrap_or_else(|_| HeaderValue::from_static("/"));
        response.headers_mut().insert(LOCATION, location);
        response
    }
}

/// Appends `Set-Cookie` fields.
pub(super) fn set_cookies(fields: &mut Fields, cookies: impl IntoIterator<Item = HeaderValue>) {
    for cookie in cookies {
        fields.append(http::header::SET_COOKIE, cookie);
    }
}
