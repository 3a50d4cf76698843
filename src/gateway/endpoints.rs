//! The gateway's own paths: everything below `/_gateway/`, on every site.
//!
//! No rule applies to them and nothing of them reaches an upstream, in whatever way the path is written.

use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use url::form_urlencoded;

use super::body::{Body, Own, set_cookies};
use super::branding::Localized;
use super::challenge;
use super::failure::{Cause, Failure, Reference};
use super::language::Language;
use super::pages::{Button, Choice, Kind, Page, Trouble};
use super::preserve::{self, KeptForm};
use super::refusal::{self, Refusal};
use super::site::Site;
use super::texts::Texts;
use crate::login::return_to::{KEPT_FORM, ReturnTo};
use crate::member::ProviderName;
use crate::message::{Fields, Request, Response};
use crate::provider::Registered;
use crate::random;
use crate::route::path::Readings;
use crate::server::Incoming;
use crate::server::pace::Paced;
use crate::server::peer::Client;
use crate::session::cookie::Presented;
use crate::session::{Session, SessionId};
use crate::time::UnixTime;

/// RFC 9110 §11.6.1 asks for a challenge with every 401; no registered scheme means "by way of a login page".
const LOGIN_PAGE: HeaderValue = HeaderValue::from_static("MemberGateway");
const PREFIX: &str = "/_gateway/";
/// More than a sign-out form ever holds.
const MOST_FORM: usize = 4 * 1024;
/// All that a query's value can hold bare.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether a path is the gateway's own in any of its readings.
pub(super) fn are_meant(readings: &Readings<'_>, ignore_case: bool) -> bool {
    let same = |path: &[u8], text: &str| {
        path == text.as_bytes() || (ignore_case && path.eq_ignore_ascii_case(text.as_bytes()))
    };
    readings.iter().any(|path| {
        let start = path.get(..PREFIX.len()).unwrap_or(path);
        same(start, PREFIX) || same(path, PREFIX.trim_end_matches('/'))
    })
}

/// Whether a path is a callback, whose address may hold a code.
pub(super) fn is_callback(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|endpoint| endpoint.starts_with("callback/"))
}

/// The health check, which answers under any host.
pub(super) fn health(method: &Method, path: &str) -> Option<Response<Body>> {
    (path == "/_gateway/health" && matches!(*method, Method::GET | Method::HEAD))
        .then(|| Own::text(StatusCode::OK, "ok\n"))
}

/// Where a login starts that comes back to `return_to`.
pub(super) fn login_path(provider: Option<&ProviderName>, return_to: &ReturnTo) -> String {
    let place = utf8_percent_encode(return_to.as_str(), QUERY_VALUE);
    match provider {
        Some(provider) => format!("/_gateway/login?provider={provider}&return_to={place}"),
        None => format!("/_gateway/login?return_to={place}"),
    }
}

/// Answers a request to one of the gateway's own paths.
pub(super) async fn answer(
    site: &Site,
    request: Request<Incoming>,
    client: &Client,
    now: UnixTime,
) -> Result<Response<Body>, Refusal> {
    const READ: &[Method] = &[Method::GET, Method::HEAD];
    // The raw path alone is taken for an endpoint; any other spelling of it is unknown.
    let path = request.uri().path().to_owned();
    let endpoint = path.strip_prefix(PREFIX).ok_or_else(Refusal::no_such_endpoint)?;
    let only = |methods: &[Method], allow: &'static str| {
        if methods.contains(request.method()) { Ok(()) } else { Err(Refusal::method_not_allowed(allow)) }
    };
    match endpoint {
        // Whose session counts is not known.
        "session" | "form" if !site.revocations.are_known(now) => Err(Refusal::revocations_unknown()),
        "login" => only(READ, "GET, HEAD").and_then(|()| login(site, &request, client, now)),
        "error" => only(READ, "GET, HEAD").map(|()| error_page(site, &request, now)),
        "session" => only(READ, "GET, HEAD").map(|()| session(site, request.headers(), now)),
        "form" => only(READ, "GET, HEAD").and_then(|()| kept_form(site, request.headers(), client, now)),
        "keys" => only(READ, "GET, HEAD").map(|()| keys(site)),
        "health" => Err(Refusal::method_not_allowed("GET, HEAD")),
        "logout" => {
            only(&[Method::GET, Method::HEAD, Method::POST], "GET, HEAD, POST")?;
            logout(site, request, now).await
        }
        _ => {
            let name = endpoint.strip_prefix("callback/").ok_or_else(Refusal::no_such_endpoint)?;
            let provider = site.login.provider(name).ok_or_else(Refusal::no_such_endpoint)?;
            // Not HEAD: whoever only looks at a link must not spend a code.
            only(&[Method::GET], "GET")?;
            Ok(callback(site, provider, &request, now).await)
        }
    }
}

/// A parameter of the query; the first one counts.
pub(super) fn parameter(request: &Request<Incoming>, name: &str) -> Option<String> {
    form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

fn login(
    site: &Site,
    request: &Request<Incoming>,
    client: &Client,
    now: UnixTime,
) -> Result<Response<Body>, Refusal> {
    let return_to = ReturnTo::new(&parameter(request, "return_to").unwrap_or_default());
    // Whoever can put a picture into a page of the site could otherwise fill a browser with attempts.
    if challenge::is_subresource(request.headers()) {
        return Ok(unauthorized(site, &login_path(None, &return_to)));
    }
    let named = parameter(request, "provider").and_then(|name| site.login.provider(&name));
    start(site, named, return_to, request.headers(), client, now)
}

/// Starts a login, or shows the chooser page where there are several providers and none is named.
fn start(
    site: &Site,
    named: Option<&Registered>,
    return_to: ReturnTo,
    fields: &Fields,
    client: &Client,
    now: UnixTime,
) -> Result<Response<Body>, Refusal> {
    if challenge::is_prefetch(fields) {
        return Ok(unauthorized(site, &login_path(None, &return_to)));
    }
    let only = || site.login.providers().first().filter(|_| site.login.providers().len() == 1);
    let Some(provider) = named.or_else(only) else { return Ok(chooser(site, &return_to, fields)) };
    if !site.starts.admits(client.address, now) {
        return Err(Refusal::too_many_sign_ins());
    }
    Ok(match site.login.start(provider, return_to, &site.cookies, fields, now) {
        Ok(started) => {
            site.telemetry.metrics.logins_started.of([provider.name.as_str()]).one();
            let mut response = Own::found(&started.location);
            set_cookies(response.headers_mut(), started.cookies);
            response
        }
        Err(looping) => {
            let reference = Reference::new();
            let (site_name, name) = (site.origin.as_str(), &provider.name);
            tracing::warn!(
                site = site_name,
                provider = %name,
                %reference,
                "signing in goes round in circles: five times within a minute in one browser"
            );
            site.telemetry.metrics.logins_failed.of([name.as_str(), Cause::Loop.name()]).one();
            let (cause, provider) = (Cause::Loop, Some(name.clone()));
            let failure = Failure { cause, return_to: looping.return_to, provider, reference };
            let mut response = to_error_page(site, &failure, now);
            set_cookies(response.headers_mut(), looping.cookies);
            response
        }
    })
}

/// The way to the page that tells of a failed login.
fn to_error_page(site: &Site, failure: &Failure, now: UnixTime) -> Response<Body> {
    Own::see_other(&format!("/_gateway/error?ref={}", failure.sealed(&site.failures, now)))
}

/// Several ways to sign in, with the one that was used the last time in front.
fn chooser(site: &Site, return_to: &ReturnTo, fields: &Fields) -> Response<Body> {
    let last = site.cookies.last_provider(fields).find_map(|name| site.login.provider(name));
    let is_last = |provider: &Registered| last.is_some_and(|last| last.name == provider.name);
    let mut providers: Vec<&Registered> = site.login.providers().iter().collect();
    providers.sort_by_key(|provider| !is_last(provider));
    let with_path = |provider: &Registered| login_path(Some(&provider.name), return_to);
    let paths: Vec<String> = providers.iter().map(|provider| with_path(provider)).collect();
    let choices: Vec<Choice<'_>> = providers
        .into_iter()
        .zip(&paths)
        .map(|(provider, login_path)| Choice {
            title: &provider.title,
            login_path,
            logo: site.pages.branding().provider_logos.get(provider.name.as_str()),
            is_last: is_last(provider),
        })
        .collect();
    Own::page(StatusCode::OK, site.pages.render(&Page::Chooser(&choices), Language::of(fields)))
}

/// Sends a stranger on a navigation to sign in: straight to the vendor, or to the chooser page.
pub(super) fn sign_in(
    site: &Site,
    return_to: ReturnTo,
    fields: &Fields,
    client: &Client,
    now: UnixTime,
) -> Result<Response<Body>, Refusal> {
    match site.login.providers() {
        [_] => start(site, None, return_to, fields, client, now),
        _ => Ok(Own::found(&login_path(None, &return_to))),
    }
}

/// 401, with the address of the login and the site's own origin, so that its scripts can read it.
pub(super) fn unauthorized(site: &Site, login_path: &str) -> Response<Body> {
    let login_url = format!("{}{login_path}", site.origin.as_str());
    let mut response = Own::problem(
        StatusCode::UNAUTHORIZED,
        "Signing in is needed.",
        "Send the person to `login_url`, as a navigation of the whole page, and repeat the request afterwards.",
        &Reference::new(),
        Some(&login_url),
    );
    let origin = HeaderValue::try_from(site.origin.as_str()).expect("an origin is ASCII");
    let fields = response.headers_mut();
    fields.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    fields.insert(http::header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    fields.insert(WWW_AUTHENTICATE, LOGIN_PAGE);
    response
}

async fn callback(
    site: &Site,
    provider: &Registered,
    request: &Request<Incoming>,
    now: UnixTime,
) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let fields = request.headers();
    match site.login.finish(provider, query, &site.cookies, fields, now).await {
        Ok(finished) => {
            let member = site.identity_keeps(finished.member);
            let beginning = site.revocations.beginning(&member, now);
            let session = Session::begin(SessionId(random::bytes()), member, finished.vouched, beginning);
            tracing::info!(site = site.origin.as_str(), provider = %provider.name, session = %session.id, "signed in");
            site.telemetry.metrics.logins_finished.of([provider.name.as_str()]).one();
            let mut response = Own::see_other(finished.return_to.as_str());
            set_cookies(response.headers_mut(), [finished.cookie, site.cookies.set_session(&session)]);
            if site.login.providers().len() > 1 {
                set_cookies(response.headers_mut(), [site.cookies.set_last_provider(&provider.name)]);
            }
            response
        }
        Err(failed) => {
            let cause = refusal::cause_of(&failed.error);
            // The back button and the bookmark: somebody who is signed in just goes on.
            if failed.cookie.is_none() && site.session(fields, now).is_some() {
                return Own::see_other(failed.return_to.as_str());
            }
            site.telemetry.metrics.logins_failed.of([provider.name.as_str(), cause.name()]).one();
            let reference = Reference::new();
            tracing::warn!(
                site = site.origin.as_str(),
                provider = %provider.name,
                %reference,
                error = &failed.error as &(dyn std::error::Error + 'static),
                "a sign-in failed"
            );
            let name = Some(provider.name.clone());
            let failure = Failure { cause, return_to: failed.return_to, provider: name, reference };
            let mut response = to_error_page(site, &failure, now);
            set_cookies(response.headers_mut(), failed.cookie);
            response
        }
    }
}

fn error_page(site: &Site, request: &Request<Incoming>, now: UnixTime) -> Response<Body> {
    let failure = parameter(request, "ref").and_then(|text| Failure::open(&site.failures, &text, now));
    let language = Language::of(request.headers());
    let Some(failure) = failure else {
        let login_path = login_path(None, &ReturnTo::default());
        let trouble = Trouble {
            kind: Kind::Error,
            explanation: &Texts::of(language).nothing_to_tell,
            remedy: None,
            button: Some(Button::SignIn(&login_path)),
            other: Some(Button::FrontPage),
            reference: None,
        };
        return Own::page(StatusCode::BAD_REQUEST, site.pages.render(&Page::Trouble(trouble), language));
    };
    let still_there = failure.provider.as_ref().filter(|name| site.login.provider(name.as_str()).is_some());
    let again = login_path(still_there, &failure.return_to);
    // Somebody whom one vendor still knows gets the same answer there each time.
    let has_choice = site.login.providers().len() > 1;
    let chooser = has_choice.then(|| login_path(None, &failure.return_to));
    refusal::refuse_login(failure.cause).into_login_page(
        &site.pages,
        language,
        &failure.reference,
        &again,
        chooser.as_deref(),
    )
}

fn session(site: &Site, fields: &Fields, now: UnixTime) -> Response<Body> {
    match site.cookies.session(fields, now) {
        Presented::Session(session) if site.honours(&session, now) => {
            let member = &session.member;
            Own::json(
                StatusCode::OK,
                &json!({
                    "authenticated": true,
                    "provider": member.provider.as_str(),
                    "member_id": member.id.as_str(),
                    "member_unit_id": member.unit_id.as_str(),
                    "session_id": session.id.to_string(),
                    "expires_at": session.expires_at(site.cookies.policy()).0,
                }),
            )
        }
        presented @ (Presented::Session(_) | Presented::Unreadable | Presented::Nothing) => {
            let mut response = Own::json(StatusCode::UNAUTHORIZED, &json!({ "authenticated": false }));
            if !matches!(presented, Presented::Nothing) {
                set_cookies(response.headers_mut(), [site.cookies.delete_session()]);
            }
            response
        }
    }
}

/// Sends the form that was kept during the login; a stranger signs in first.
fn kept_form(
    site: &Site,
    fields: &Fields,
    client: &Client,
    now: UnixTime,
) -> Result<Response<Body>, Refusal> {
    if site.session(fields, now).is_none() {
        return sign_in(site, ReturnTo::new(KEPT_FORM), fields, client, now);
    }
    let page = Page::SendForm { field: preserve::FIELD };
    Ok(Own::page(StatusCode::OK, site.pages.render(&page, Language::of(fields))))
}

/// 401 with a page that keeps a form in the browser and goes on to the login.
pub(super) fn keep_form(site: &Site, form: &KeptForm, language: Language, now: UnixTime) -> Response<Body> {
    let sealed = form.sealed(&site.preserve.seal, now);
    let next = login_path(None, &ReturnTo::new(KEPT_FORM));
    let without = login_path(None, &ReturnTo::new(&form.target));
    let (target, sealed) = (&form.target, &sealed);
    let page = Page::KeepForm { target, sealed, login_path: &next, login_without: &without };
    let mut response = Own::page(StatusCode::UNAUTHORIZED, site.pages.render(&page, language));
    response.headers_mut().insert(WWW_AUTHENTICATE, LOGIN_PAGE);
    response
}

/// 401 with a page that takes the fragment along to the login.
pub(super) fn keep_fragment(site: &Site, here: &ReturnTo, fields: &Fields) -> Response<Body> {
    let page = Page::KeepFragment { login_path: &login_path(None, here) };
    let mut response = Own::page(StatusCode::UNAUTHORIZED, site.pages.render(&page, Language::of(fields)));
    response.headers_mut().insert(WWW_AUTHENTICATE, LOGIN_PAGE);
    response
}

fn keys(site: &Site) -> Response<Body> {
    Own::json(StatusCode::OK, &site.identity.signing_keys().jwk_set())
}

/// Takes the session from the browser, and ends it for whoever has a copy.
async fn logout(site: &Site, request: Request<Incoming>, now: UnixTime) -> Result<Response<Body>, Refusal> {
    let from_query = parameter(&request, "return_to");
    if request.method() != Method::POST {
        let return_to = ReturnTo::new(&from_query.unwrap_or_default());
        let page = Page::SignOut { return_to: return_to.as_str() };
        return Ok(Own::page(StatusCode::OK, site.pages.render(&page, Language::of(request.headers()))));
    }
    if !challenge::is_same_origin(request.headers(), site.origin.as_str()) {
        return Err(Refusal::foreign_form());
    }
    let (mut head, body) = request.into_parts();
    let mut may_live_until = None;
    for session in site.cookies.sessions(&head.headers, now) {
        tracing::info!(site = site.origin.as_str(), session = %session.id, "signed out");
        site.telemetry.metrics.revocations.of(["sign_out"]).one();
        if let Err(error) = site.revocations.sign_out(session.id, now).await {
            tracing::warn!(session = %session.id, %error, "a sign-out is known here only, for now");
            let end = session.created.plus(site.cookies.policy().max_age);
            may_live_until = may_live_until.max(Some(end));
        }
    }
    let form = Limited::new(Paced::new(body, &mut head.extensions), MOST_FORM).collect().await;
    let form: Bytes = form.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let from_form = form_urlencoded::parse(&form)
        .find_map(|(name, value)| (name == "return_to").then(|| value.into_owned()));
    let return_to = ReturnTo::new(&from_form.or(from_query).unwrap_or_default());
    let mut response = match may_live_until {
        Some(end) => signed_out_here(site, end, Language::of(&head.headers)),
        None => Own::see_other(return_to.as_str()),
    };
    set_cookies(response.headers_mut(), [site.cookies.delete_session()]);
    Ok(response)
}

/// The page for whoever has signed out while nobody else could be told.
fn signed_out_here(site: &Site, end: UnixTime, language: Language) -> Response<Body> {
    let end = Localized::One(end.to_string());
    let trouble = Trouble {
        kind: Kind::Error,
        explanation: &Texts::of(language).signed_out_here,
        remedy: Some(&end),
        button: Some(Button::FrontPage),
        other: None,
        reference: None,
    };
    Own::page(StatusCode::OK, site.pages.render(&Page::Trouble(trouble), language))
}
