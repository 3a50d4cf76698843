//! Departure: a request made ours before it goes on to the upstream, and the answer to it made ours.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONNECTION, HOST, HeaderName, TE, TRAILER, UPGRADE, VIA};
use http::uri::PathAndQuery;
use http::{StatusCode, Version};
use http_body::Body as _;

use super::admission::Visitor;
use super::body::Body;
use super::failure::Reference;
use super::passage::{Customs, InCircles};
use super::record::Record;
use super::refusal::Refusal;
use super::site::Site;
use super::vigil::{Tie, Vigil};
use super::{Place, Worker};
use crate::drain::Draining;
use crate::field_lines::Lines;
use crate::identity::RequestLine;
use crate::identity::bridge::NoUsername;
use crate::message::{Fields, RequestHead, Response};
use crate::random;
use crate::server::incoming::OnUpgrade;
use crate::server::peer::Client;
use crate::session::{Session, cookie};
use crate::time::UnixTime;
use crate::upstream::body::{AnswerBody, RequestBody};
use crate::upstream::fields::{self, Whence};
use crate::upstream::outgoing::{Outgoing, Traits};
use crate::upstream::upgrade;

/// A request as the upstream gets it, and what its answer will be judged by.
pub(super) struct Departure {
    pub(super) request: Outgoing,
    visitor: Visitor,
    /// The client's connection, should this handshake of a WebSocket succeed.
    upgrade: Option<OnUpgrade>,
}

impl Worker {
    /// Makes a request ours: first what is for the upstream of what the client said, then what is ours.
    ///
    /// Each connection has its own version (RFC 9112 §2.3). With that of an older client, or an older upstream, an answer
    /// would end where its connection does, and nobody could tell a whole one from one that broke off.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, each used once")]
    pub(super) fn prepare(
        &self,
        place: Place<'_>,
        mut head: RequestHead,
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
        // Path and query as they came, which is the target in origin form (RFC 9112 §3.2.1).
        let root;
        let target = match head.uri.path_and_query() {
            Some(target) => target,
            None => {
                root = PathAndQuery::from_static("/");
                &root
            }
        };
        let mut lines = place.pool.head(&head.method, target);
        let customs = Customs {
            identity: &site.identity,
            client,
            pseudonym: &self.gateway.pseudonym,
            keeps_id: record.keeps_id(),
            keeps_parent: record.keeps_parent(),
            keeps_state: record.keeps_state(),
        };
        // The first of all fields (RFC 9110 §7.2).
        lines.field(&HOST, authority);
        let held =
            customs.pass(&head.headers, &mut lines).map_err(|InCircles| Refusal::going_in_circles())?;
        warn_of_lookalike(held.lookalike);

        let peer = &self.texts.peer(client.peer);
        let whence = Whence { client, peer, scheme: site.origin.scheme(), authority };
        fields::write_forwarding(&mut lines, self.gateway.forwarded, &whence, &held.before);
        lines.field(&VIA, &self.texts.via);
        record.write_ids(&mut lines);
        if is_handshake {
            lines.text(&CONNECTION, b"upgrade");
            lines.text(&UPGRADE, b"websocket");
        } else if knows_trailers {
            // gRPC asks for it. It is between two ends of a connection (RFC 9110 §10.1.4); HTTP/2 does not say so.
            lines.text(&TE, b"trailers");
            lines.text(&CONNECTION, b"TE");
        }
        if let Visitor::Member { session, .. } = &visitor {
            let line = RequestLine {
                method: head.method.as_str(),
                authority: site.origin.authority(),
                path: target.path(),
                query: target.query(),
            };
            self.introduce(place.index, session, &line, &mut lines, now, record)?;
        }
        for (name, value) in held.signatures.iter().flat_map(|others| others.iter()) {
            lines.field(name, value);
        }
        let upgrade = if is_handshake { body.on_upgrade() } else { None };
        let traits = Traits {
            binds: held.binds,
            upgrades: is_handshake,
            says_empty: held.says_empty,
            shares_connection: head.version == Version::HTTP_2,
        };
        let (method, room) = (head.method, head.headers);
        let request = Outgoing::new(method, lines, body, announced, traits, room);
        Ok(Departure { request, visitor, upgrade })
    }

    /// Writes who a member is, in all the ways in which the app of a site wants to be told with this request.
    pub(super) fn introduce(
        &self,
        index: usize,
        session: &Session,
        line: &RequestLine<'_>,
        lines: &mut impl Lines,
        now: UnixTime,
        record: &Record,
    ) -> Result<(), Refusal> {
        let site = &self.gateway.sites[index];
        let bridged = site.identity.bridge().write(lines, &session.member);
        bridged.map_err(|error| cannot_be_named(site, error, record))?;
        let (policy, kept) = (site.cookies.policy(), &self.assertions[index]);
        let jwt = kept.for_session(session, policy, &site.identity, now, random::nonce);
        site.identity.write(lines, &session.member, jwt.as_ref(), line, now, random::nonce());
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
fn take_out(site: &Site, fields: &mut Fields) {
    fields::drop_connection_specific(fields);
    fields::rebuild_trailer(fields, |name| site.may_be_trailer(name));
    cookie::remove_ours_set_by_upstream(fields);
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
