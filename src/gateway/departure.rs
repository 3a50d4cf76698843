//! Departure: a request made ours before it goes on to the upstream, and the answer to it made ours.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;

use super::admission::Visitor;
use super::body::Body;
use super::failure::Reference;
use super::record::Record;
use super::refusal::Refusal;
use super::site::Site;
use super::vigil::{Tie, Vigil};
use super::{Place, Worker};
use crate::drain::Draining;
use crate::identity::RequestLine;
use crate::identity::bridge::NoUsername;
use crate::identity::signature::{self, SIGNATURE};
use crate::random;
use crate::server::peer::Client;
use crate::session::{Session, cookie};
use crate::time::UnixTime;
use crate::upstream::body::{AnswerBody, RequestBody};
use crate::upstream::fields::{self, Whence};
use crate::upstream::upgrade;

/// A request as the upstream gets it, and what its answer will be judged by.
pub(super) struct Departure {
    pub(super) request: Request<RequestBody>,
    visitor: Visitor,
    /// The client's connection, should this handshake of a WebSocket succeed.
    upgrade: Option<OnUpgrade>,
}

impl Worker {
    /// Makes a request ours: first away with what is not for the upstream, then in with what is ours.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, each used once")]
    pub(super) fn prepare(
        &self,
        place: Place<'_>,
        mut head: Parts,
        mut body: RequestBody,
        client: &Client,
        visitor: Visitor,
        now: UnixTime,
        record: &Record,
    ) -> Result<Departure, Refusal> {
        let Place { site, authority, .. } = place;
        let is_handshake = upgrade::is_websocket(&head.method, head.version, &head.headers);
        // Over HTTP/1.1 nobody was asked for trailers, and over HTTP/2 only a client that knows of them sends any.
        let knows_trailers = head.version == Version::HTTP_2 && head.headers.contains_key(TE);
        let mut announced = None;
        if knows_trailers && !body.is_end_stream() {
            fields::rebuild_trailer(&mut head.headers, |name| site.may_be_trailer(name));
            announced = head.headers.remove(TRAILER);
            body = body.with_trailers(site.trailers());
        }

        head.uri = origin_form(head.uri);
        // Each connection has its own version (RFC 9112 §2.3). With that of an older client, or an older upstream, an
        // answer would end where its connection does, and nobody could tell a whole one from one that broke off.
        head.version = Version::HTTP_11;
        let mut dropped =
            fields::drop_unwanted(&mut head.headers, client, |name| site.identity.is_guarded(name));
        let label = signature::remove_label(&mut head.headers).then_some(SIGNATURE);
        warn_of_lookalike(dropped.lookalike.take().or(label));
        cookie::remove_ours(&mut head.headers);
        if knows_trailers && !is_handshake {
            // gRPC asks for it. It is between two ends of a connection (RFC 9110 §10.1.4); HTTP/2 does not say so.
            head.headers.insert(TE, HeaderValue::from_static("trailers"));
            head.headers.insert(CONNECTION, HeaderValue::from_static("TE"));
        }
        if let Some(names) = announced {
            head.headers.insert(TRAILER, names);
        }
        let peer = &self.texts.peer(client.peer);
        let whence = Whence { client, peer, scheme: site.origin.scheme(), authority };
        fields::write_forwarding(&mut head.headers, self.gateway.forwarded, &whence, &dropped);
        head.headers.insert(HOST, authority.clone());
        self.gateway.pseudonym.sign(&mut head.headers, self.texts.via.clone())?;
        record.write_ids(&mut head.headers);
        frame_body(&mut head.headers, &body);
        if is_handshake {
            upgrade::write_fields(&mut head.headers);
        }
        if let Visitor::Member { session, .. } = &visitor {
            let line = RequestLine {
                method: head.method.as_str(),
                authority: site.origin.authority(),
                path: head.uri.path(),
                query: head.uri.query(),
            };
            self.introduce(place.index, session, &line, &mut head.headers, now, record)?;
        }
        let mut request = Request::from_parts(head, body);
        let upgrade = is_handshake.then(|| hyper::upgrade::on(&mut request));
        Ok(Departure { request, visitor, upgrade })
    }

    /// Writes who a member is, in all the ways in which the app of a site wants to be told with this request.
    pub(super) fn introduce(
        &self,
        index: usize,
        session: &Session,
        line: &RequestLine<'_>,
        fields: &mut HeaderMap,
        now: UnixTime,
        record: &Record,
    ) -> Result<(), Refusal> {
        let site = &self.gateway.sites[index];
        let bridged = site.identity.bridge().write(fields, &session.member);
        bridged.map_err(|error| cannot_be_named(site, error, record))?;
        if let Some(jwt) = site.identity.jwt() {
            let (policy, kept) = (site.cookies.policy(), &self.assertions[index]);
            let jwt_of_now = kept.for_session(session, policy, &site.identity, now, random::nonce);
            jwt_of_now.map(|value| fields.insert(jwt.field(), value));
        }
        site.identity.write(fields, &session.member, line, now, random::nonce());
        Ok(())
    }
}

impl Departure {
    /// Makes the answer ours, and ties what goes on for a member to the session, which it takes along.
    pub(super) fn conclude(
        &mut self,
        place: Place<'_>,
        mut answer: Response<AnswerBody>,
        now: UnixTime,
        vigil: &Rc<Vigil>,
        draining: &Draining,
    ) -> Result<Response<Body>, Refusal> {
        let site = place.site;
        let visitor = std::mem::replace(&mut self.visitor, Visitor::Anonymous { unreadable: false });
        *answer.version_mut() = Version::HTTP_11;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            take_out(site, answer.headers_mut());
            visitor.sees(site, answer.headers_mut(), now);
            // What is complete already outlasts nothing.
            let is_complete = answer.body().is_end_stream();
            let tie = if is_complete { None } else { visitor.into_tie(vigil, site) };
            return Ok(answer.map(|body| Body::Upstream(body, tie)));
        }
        let is_websocket = upgrade::asks_for_websocket(answer.headers());
        let (Some(client), true, Some(upstream)) =
            (self.upgrade.take(), is_websocket, answer.body_mut().switch())
        else {
            return Err(Refusal::unasked_upgrade());
        };
        let over = visitor.into_tie(vigil, site).map(Tie::comes_to_its_end);
        upgrade::tunnel(client, upstream, draining, over);
        take_out(site, answer.headers_mut());
        upgrade::write_fields(answer.headers_mut());
        Ok(answer.map(|body| Body::Upstream(body, None)))
    }
}

/// Takes out of an answer what is for the other connection only, and what is for nobody but the gateway to say.
fn take_out(site: &Site, fields: &mut HeaderMap) {
    fields::drop_connection_specific(fields);
    fields::rebuild_trailer(fields, |name| site.may_be_trailer(name));
    cookie::remove_ours_set_by_upstream(fields);
}

/// The target in origin form (RFC 9112 §3.2.1), which is what an upstream is asked with; path and query as they came.
fn origin_form(uri: Uri) -> Uri {
    if uri.authority().is_none() {
        return uri;
    }
    let mut parts = uri.into_parts();
    (parts.scheme, parts.authority) = (None, None);
    Uri::from_parts(parts).expect("a path and query by themselves are a target")
}

/// The length as it came, or chunks where it was not known or trailers are announced: also for methods that usually have
/// no body.
fn frame_body(headers: &mut HeaderMap, body: &RequestBody) {
    let needs_chunks = body.size_hint().exact().is_none() || headers.contains_key(TRAILER);
    if !body.is_end_stream() && needs_chunks {
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Logs that a member cannot be told to the app in the one way it understands, under the reference that the page shows.
fn cannot_be_named(site: &Site, error: NoUsername, record: &Record) -> Refusal {
    let reference = Reference::new();
    let (site, metrics) = (site.origin.as_str(), &site.telemetry.metrics);
    metrics.rejects(site, "no_username");
    tracing::warn!(site, %reference, request_id = record.request_id(), "{error}; [site.bridge.basic] wants one");
    Refusal::cannot_be_named().logged_as(reference)
}

/// Says once that somebody sends our fields: a forger, or a proxy in front that an operator has forgotten.
fn warn_of_lookalike(name: Option<HeaderName>) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if let Some(name) = name
        && !SAID.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(%name, "a client sent an identity field; it was removed, and so will be all others, silently");
    }
}
