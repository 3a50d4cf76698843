//! What a stranger gets in the upstream's place, and the form that is kept meanwhile and comes back with the member.

use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, REFERER};

use super::body::{self, Body};
use super::challenge::{self, Challenge};
use super::endpoints;
use super::language::Language;
use super::preserve::{self, KeptForm, Place, Unread};
use super::refusal::Refusal;
use super::site::Site;
use crate::login::return_to::ReturnTo;
use crate::message::{Fields, Request, RequestHead, Response};
use crate::route::rule::Rule;
use crate::server::Incoming;
use crate::server::pace::Paced;
use crate::server::peer::Client;
use crate::time::UnixTime;
use crate::upstream::body::RequestBody;

/// What a stranger gets instead of the upstream's answer.
pub(super) async fn turn_away(
    site: &Site,
    rule: &Rule,
    request: Request<Incoming>,
    client: &Client,
    now: UnixTime,
) -> Result<Response<Body>, Refusal> {
    let headers = request.headers();
    let here = || ReturnTo::new(request.uri().path_and_query().map_or("/", |target| target.as_str()));
    Ok(match challenge::challenge(request.method(), request.version(), headers, rule.unauthenticated) {
        Challenge::SignIn if site.preserve.fragment && request.method() == Method::GET => {
            endpoints::keep_fragment(site, &here(), headers)
        }
        Challenge::SignIn => endpoints::sign_in(site, here(), headers, client, now)?,
        Challenge::SignInFirst => {
            let elsewhere = body::Own::see_other(&endpoints::login_path(None, &here()));
            if !site.preserve.keeps(request.method(), headers, site.origin.as_str()) {
                return Ok(elsewhere);
            }
            let language = Language::of(headers);
            match kept_form(site, request).await {
                Some((form, place)) => {
                    endpoints::keep_form(site, &form, language, now).map(|page| page.in_place(place))
                }
                None => elsewhere,
            }
        }
        Challenge::Unauthorized => {
            endpoints::unauthorized(site, &endpoints::login_path(None, &page_of(site, headers)))
        }
    })
}

/// The page that a script runs on: its own address is no place for a person.
pub(super) fn page_of(site: &Site, fields: &Fields) -> ReturnTo {
    let page = fields.get(REFERER).and_then(|referrer| referrer.to_str().ok());
    ReturnTo::new(page.and_then(|page| page.strip_prefix(site.origin.as_str())).unwrap_or_default())
}

/// Takes a cookie from a browser that is worth nothing.
pub(super) fn take_cookie(site: &Site, answer: &mut Response<Body>) {
    site.telemetry.metrics.rejects(site.origin.as_str(), "unreadable");
    body::set_cookies(answer.headers_mut(), [site.cookies.delete_session()]);
}

/// The form in the body of a request, and the room it takes; nothing where it is too large, breaks off, or there is no room.
async fn kept_form(site: &Site, request: Request<Incoming>) -> Option<(KeptForm, Place)> {
    let (mut head, body) = request.into_parts();
    let body = Paced::new(body, &mut head.extensions);
    let (body, place) = site.preserve.room.read(body, site.preserve.limit).await.ok()?;
    let target = head.uri.path_and_query()?.as_str().to_owned();
    Some((KeptForm { target, content_type: head.headers.get(CONTENT_TYPE)?.clone(), body }, place))
}

/// The body of a member's request; where it holds a form that was kept during the login, that form as it was.
pub(super) async fn restore_form(
    site: &Site,
    head: &mut RequestHead,
    body: Paced,
    now: UnixTime,
) -> Result<RequestBody, Refusal> {
    let marker = format!("{}=", preserve::FIELD);
    let mut body = RequestBody::new(body);
    if !body.starts_with(marker.as_bytes()).await {
        return Ok(body);
    }
    let read = site.preserve.room.read(body, preserve::sealed_limit(site.preserve.limit)).await;
    let (body, place) = read.map_err(|unread| match unread {
        Unread::Unfit => Refusal::form_not_kept(),
        Unread::NoRoom => Refusal::no_room_for_form(),
    })?;
    let form =
        KeptForm::open(&site.preserve.seal, &body, &head.uri, now).ok_or_else(Refusal::form_not_kept)?;
    head.headers.insert(CONTENT_TYPE, form.content_type);
    head.headers.insert(CONTENT_LENGTH, form.body.len().into());
    Ok(RequestBody::full(place.around(form.body)))
}
