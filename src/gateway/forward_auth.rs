//! Forward-auth: another proxy has a request, and asks whether to let it through and what to tell the app.
//!
//! The request is told in the fields of the question ([`original`]), and only a trusted proxy is believed. From then on it
//! goes the way of every other request: its site, the readings of its path, the rule, the session, the membership. What
//! would be written into it is written into the answer, signed for the request that is asked about.
//!
//! The body of that request stays with the proxy, and so does what goes on after the answer: no form is kept during a
//! sign-in, and no stream is ended with its session.

mod original;

use crate::message::{Request, Response};
use crate::server::Incoming;
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, LOCATION, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use http::{Uri, Version};

use super::admission::{Admission, Visitor, admit};
use super::body::{Body, Own};
use super::challenge::{self, Challenge};
use super::failure::Reference;
use super::record::{Record, Recorded};
use super::refusal::{Reader, Refusal};
use super::site::Site;
use super::{Gateway, Worker, endpoints, head, no_site, rule_of, stranger};
use crate::identity::RequestLine;
use crate::login::return_to::ReturnTo;
use crate::route::path::Readings;
use crate::route::rule::{Rule, Unauthenticated};
use crate::server::peer::Client;
use crate::time::UnixTime;
use crate::upstream::upgrade;
use original::Original;

const PATH: &str = "/_gateway/auth";
const HANDSHAKE: [HeaderName; 4] =
    [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS];

/// Whether a path is the one at which proxies ask, in every reading of it. Envoy puts the path that it asks about behind it.
///
/// A server in front keeps this path from browsers, as it reads it, and may pass a request on as it was written: one that
/// could be read as another path is no question, or a browser could ask.
pub(super) fn is_asked(path: &str) -> bool {
    let is_here = |path: &[u8]| {
        path.strip_prefix(PATH.as_bytes()).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    };
    is_here(path.as_bytes())
        && Readings::of(path.as_bytes()).is_ok_and(|readings| readings.iter().all(is_here))
}

/// Answers a question.
pub(super) async fn answer(
    worker: &Worker,
    question: Request<Incoming>,
    client: &Client,
    now: UnixTime,
    mut record: Box<Record>,
) -> Response<Recorded> {
    let asker = Reader::of(question.method(), question.uri(), question.headers());
    let wish = Wish::of(&question);
    let (index, request) = match about(&worker.gateway, question, client) {
        Ok(about) => about,
        Err(refusal) => {
            record.is_for_us();
            return record.with(refusal.into_response(&asker, None));
        }
    };
    record.is_for(index);
    record.is_about(&request);
    // A proxy may pass the answer on to the browser that sent the request.
    let reader = Reader::of(request.method(), request.uri(), request.headers());
    let verdict = judge(worker, index, &request, wish, now, &mut record).await;
    record.with(
        verdict.unwrap_or_else(|refusal| refusal.into_response(&reader, worker.gateway.sites.get(index))),
    )
}

/// The request that a question is about, and its site.
fn about(
    gateway: &Gateway,
    question: Request<Incoming>,
    client: &Client,
) -> Result<(usize, Request<Incoming>), Refusal> {
    if !client.via_trusted_proxy {
        let reference = Reference::new();
        let peer = client.peer;
        tracing::info!(%reference, %peer, "somebody asks about a request who is not in `trusted_proxies`");
        return Err(Refusal::untrusted_proxy().logged_as(reference));
    }
    let original = Original::of(question.headers()).map_err(|error| {
        let reference = Reference::new();
        tracing::info!(%reference, peer = %client.peer, %error, "it is not clear which request a proxy asks about");
        Refusal::unclear_question().logged_as(reference)
    })?;
    let index = gateway.authorities.find(original.authority.as_bytes());
    let index = index.map_err(|error| no_site(original.authority.as_bytes(), error))?;
    let (mut head, body) = question.into_parts();
    (head.method, head.uri) = (original.method, Uri::from(original.target));
    // That of the question is another one: nginx asks with HTTP/1.0.
    head.version = Version::HTTP_11;
    // What makes a request a handshake belongs to the connection (RFC 6455 §4.1), so the proxy has not passed it on. No
    // script can send one of these fields, and no browser leaves all of them out; over HTTP/2 there is no key (RFC 8441 §5).
    if HANDSHAKE.iter().any(|name| head.headers.contains_key(name)) {
        upgrade::write_fields(&mut head.headers);
    }
    // A preflight has no body, and only the proxy knows whether this request has: nothing passes for one here.
    head.headers.remove(ACCESS_CONTROL_REQUEST_METHOD);
    Ok((index, Request::from_parts(head, body)))
}

/// Whether a request may go on; and if so, as whose.
async fn judge(
    worker: &Worker,
    index: usize,
    request: &Request<Incoming>,
    wish: Wish,
    now: UnixTime,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let site = &worker.gateway.sites[index];
    head::check(request, worker.gateway.head_limits)?;
    // The proxy would hand to the app what no app may get.
    let rule = rule_of(site, request)?.ok_or_else(Refusal::own_path_asked_about)?;
    record.falls_under(site.rules.place_of(rule));
    let visitor = match admit(site, rule, request, now)? {
        Admission::Pass(visitor) => visitor,
        Admission::TurnAway { unreadable } => {
            let mut answer = turn_away(site, rule, request, wish);
            record.is_turned_away(answer.status());
            if unreadable {
                stranger::take_cookie(site, &mut answer);
            }
            return Ok(answer);
        }
    };
    if let Visitor::Member { session, .. } = &visitor {
        record.belongs_to(session);
    }
    let visitor = visitor.confirmed(site, rule, now).await?;
    let mut answer = Own::nothing();
    visitor.sees(site, answer.headers_mut(), now);
    if let Visitor::Member { session, .. } = &visitor {
        let line = RequestLine {
            method: request.method().as_str(),
            authority: site.origin.authority(),
            path: request.uri().path(),
            query: request.uri().query(),
        };
        worker.introduce(index, session, &line, answer.headers_mut(), now, record)?;
    }
    record.is_admitted();
    Ok(answer)
}

/// In which form the proxy wants to hear that somebody has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// 401, out of which it makes what it likes.
    Told,
    /// 302, for it passes the answer on.
    Redirected,
    /// What a request would get that is sent to the gateway itself.
    Auto,
}

impl Wish {
    fn of(question: &Request<Incoming>) -> Self {
        match endpoints::parameter(question, "unauthenticated").as_deref() {
            Some("login") => Self::Redirected,
            Some("auto") => Self::Auto,
            Some(_) | None => Self::Told,
        }
    }

    /// What this makes of what a rule says. That one asks for 401 holds for everybody.
    const fn under(self, rule: &Rule) -> Unauthenticated {
        match (self, rule.unauthenticated) {
            (Self::Told, _) | (_, Unauthenticated::Status401) => Unauthenticated::Status401,
            (Self::Redirected, Unauthenticated::Auto | Unauthenticated::Login) => Unauthenticated::Login,
            (Self::Auto, by_rule @ (Unauthenticated::Auto | Unauthenticated::Login)) => by_rule,
        }
    }
}

/// What is said of somebody who has to sign in. No login begins with it: that is for the address it names.
fn turn_away(site: &Site, rule: &Rule, request: &Request<Incoming>, wish: Wish) -> Response<Body> {
    let fields = request.headers();
    let return_to = if challenge::is_subresource(fields) {
        stranger::page_of(site, fields)
    } else {
        ReturnTo::new(request.uri().path_and_query().map_or("/", |target| target.as_str()))
    };
    let login_path = endpoints::login_path(None, &return_to);
    let location = format!("{}{login_path}", site.origin.as_str());
    match challenge::challenge(request.method(), request.version(), fields, wish.under(rule)) {
        // Whatever the method was, the request itself is over, and its body was never here.
        Challenge::SignIn | Challenge::SignInFirst => Own::found(&location),
        Challenge::Unauthorized => {
            let mut answer = endpoints::unauthorized(site, &login_path);
            let location =
                HeaderValue::try_from(location).expect("an origin, and a path with a query that is encoded");
            answer.headers_mut().insert(LOCATION, location);
            answer
        }
    }
}
