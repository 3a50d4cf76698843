//! The hall: the journey of one request through the rooms, and back.
//!
//! [`Gateway`] owns what all workers share; nothing in it changes while it serves. A [`Worker`] is the hall of one core,
//! with upstream connections of its own. The clock is read here, once for each request.

mod admission;
pub mod body;
pub mod branding;
mod caching;
pub mod challenge;
pub mod colour;
mod desk;
mod endpoints;
pub mod failure;
mod head;
pub mod language;
pub mod pages;
pub mod preserve;
pub mod record;
mod redirect;
pub mod refusal;
mod samples;
pub mod site;
mod standing;
mod stranger;
pub mod templates;
mod texts;
pub mod via;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{
    CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, TE, TRAILER,
    TRANSFER_ENCODING,
};
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};

use crate::deadline::Watch;
use crate::drain::Draining;
use crate::identity::RequestLine;
use crate::identity::signature::{self, SIGNATURE};
use crate::random;
use crate::route::path::Readings;
use crate::route::rule::Rule;
use crate::route::{NoSite, Scheme, Sites};
use crate::server::pace::Paced;
use crate::server::peer::{Client, TrustedProxies};
use crate::server::tls::Misdirected;
use crate::server::{Arrival, Entrance, Event, Making, Respond};
use crate::session::cookie;
use crate::telemetry::Telemetry;
use crate::telemetry::keyed_hash::KeyedHash;
use crate::telemetry::trace::Tracing;
use crate::time::{Clock, UnixTime};
use crate::upstream::body::RequestBody;
use crate::upstream::fields::{self, ForwardedStyle, Whence};
use crate::upstream::{Pool, UpstreamError, upgrade};
use admission::{Admission, Visitor, admit};
use body::{Body, set_cookies};
use desk::Desk;
use failure::Reference;
use record::{Record, Recorded};
use refusal::{Reader, Refusal};
use site::Site;
use via::Pseudonym;

/// What all workers share.
#[derive(Debug)]
pub struct Gateway {
    /// The sites, in the order of the config.
    pub sites: Vec<Site>,
    /// The same, by authority.
    pub authorities: Sites,
    /// Whose forwarding fields are believed.
    pub trusted_proxies: TrustedProxies,
    /// How upstreams are told where a request came from.
    pub forwarded: ForwardedStyle,
    /// The longest target that is taken, in octets.
    pub target_bytes: usize,
    /// What https sites say in `Strict-Transport-Security` (RFC 6797) over TLS of ours.
    pub hsts: Option<HeaderValue>,
    /// Where the time comes from.
    pub clock: Clock,
    /// What it calls itself in `Via`.
    pub pseudonym: Pseudonym,
    /// What it tells of itself.
    pub telemetry: Arc<Telemetry>,
    /// What is done about `traceparent`.
    pub tracing: Tracing,
    /// What the access log calls members.
    pub member_hash: KeyedHash,
}

/// The hall of one worker.
#[derive(Debug)]
pub struct Worker {
    gateway: Arc<Gateway>,
    pools: Vec<Rc<Pool>>,
    desk: Rc<Desk>,
    texts: Texts,
    draining: Draining,
}

/// Field values that many requests share. Each worker has its own: the count of who holds one would otherwise travel
/// from core to core with every request.
#[derive(Debug)]
struct Texts {
    /// The authority of each site.
    authorities: Vec<HeaderValue>,
    via: HeaderValue,
    /// The peer of the last request; a proxy in front of us is the peer of them all.
    peer: RefCell<(IpAddr, HeaderValue)>,
}

impl Texts {
    fn new(gateway: &Gateway) -> Self {
        let authority =
            |site: &Site| HeaderValue::try_from(site.origin.authority()).expect("an authority is ASCII");
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            authorities: gateway.sites.iter().map(authority).collect(),
            via: gateway.pseudonym.entry(),
            peer: RefCell::new((nobody, fields::written(nobody))),
        }
    }

    /// The address of a peer, written out.
    fn peer(&self, address: IpAddr) -> HeaderValue {
        let mut last = self.peer.borrow_mut();
        if last.0 != address {
            *last = (address, fields::written(address));
        }
        last.1.clone()
    }
}

impl Worker {
    /// A hall. Its pools are those of the one before, where a site's upstream is the same, and otherwise empty.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, making: &Making<'_, Self>) -> Rc<Self> {
        let Making { ticker, draining, before } = *making;
        let pool = |site: &Site| {
            let known = before.and_then(|before| {
                let index = before.gateway.sites.iter().position(|known| known.has_pool_of(site))?;
                before.pools.get(index)
            });
            if let Some(pool) = known {
                return Rc::clone(pool);
            }
            Pool::new(site.upstream.clone(), ticker, site.trailers())
        };
        let pools = gateway.sites.iter().map(pool).collect();
        let desk = Desk::new(Arc::clone(&gateway));
        let texts = Texts::new(&gateway);
        Rc::new(Self { texts, gateway, pools, desk, draining: draining.clone() })
    }
}

impl Respond for Worker {
    type Body = Recorded<Body>;

    async fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        arrival: Arrival,
        watch: Rc<Watch>,
    ) -> Response<Recorded<Body>> {
        let mut record = Record::open(&self.desk, &request, arrival);
        let reader = Reader::of(request.method(), request.uri(), request.headers());
        let response = match self.journey(request, arrival, &watch, &mut record).await {
            Ok(response) => response,
            Err((refusal, site)) => {
                let site = site.and_then(|index| self.gateway.sites.get(index));
                let mut response = refusal.into_response(&reader, site);
                if let Some(site) = site {
                    self.gateway.insist_on_https(site, arrival.entrance, response.headers_mut());
                }
                response
            }
        };
        record.with(response)
    }

    fn notice(&self, entrance: Entrance, event: Event) {
        self.desk.notice(entrance, event);
    }
}

/// A site, and what this worker has for it.
#[derive(Clone, Copy)]
struct Place<'a> {
    site: &'a Site,
    pool: &'a Rc<Pool>,
    authority: &'a HeaderValue,
}

impl Worker {
    /// From the socket to the answer. A refusal says on which site it happened, as far as that is known.
    async fn journey(
        &self,
        request: Request<Incoming>,
        arrival: Arrival,
        watch: &Rc<Watch>,
        record: &mut Record,
    ) -> Result<Response<Body>, (Refusal, Option<usize>)> {
        let gateway = &*self.gateway;
        let now = gateway.clock.now();
        let nowhere = |refusal| (refusal, None);
        let client = gateway.trusted_proxies.client(arrival.peer, request.headers());
        record.is_from(&client);
        if let Some(health) = endpoints::health(request.method(), request.uri().path()) {
            return Ok(health);
        }
        if arrival.entrance == Entrance::Redirect {
            return redirect::answer(gateway, &request, &client).map_err(nowhere);
        }
        let found = gateway.site_of(&request, &client, arrival.entrance);
        let index = found.map_err(|error| nowhere(no_site(&request, error)))?;
        record.is_for(index);
        if let Err(refusal) = head::check(&request, gateway.target_bytes) {
            // Not even a refusal may be shown at an address that holds a code.
            let is_callback = endpoints::is_callback(request.uri().path());
            return if is_callback { Ok(refusal.instead_of_callback()) } else { Err((refusal, Some(index))) };
        }
        let site = &gateway.sites[index];
        let place = Place { site, pool: &self.pools[index], authority: &self.texts.authorities[index] };
        let visit = self.visit(place, request, &client, now, watch, record);
        let mut response = visit.await.map_err(|refusal| (refusal, Some(index)))?;
        gateway.insist_on_https(site, arrival.entrance, response.headers_mut());
        Ok(response)
    }

    /// A request whose site is known: the gateway's own paths, the rule, the session, and on to the upstream.
    async fn visit(
        &self,
        place: Place<'_>,
        request: Request<Incoming>,
        client: &Client,
        now: UnixTime,
        watch: &Rc<Watch>,
        record: &mut Record,
    ) -> Result<Response<Body>, Refusal> {
        let site = place.site;
        // What is rare is boxed, so that the common way need not have room for it.
        let Some(rule) = rule_of(site, &request)? else {
            record.is_for_us();
            return Box::pin(endpoints::answer(site, request, now)).await;
        };
        record.falls_under(site.rules.place_of(rule));
        match admit(site, rule, &request, now)? {
            Admission::Pass(visitor) => {
                if let Visitor::Member { session, .. } = &visitor {
                    record.belongs_to(session);
                }
                let visitor = if visitor.is_to_be_confirmed(site) {
                    Box::pin(visitor.confirmed(site, rule, now)).await?
                } else {
                    visitor
                };
                self.forward(place, request, client, visitor, now, watch, record).await
            }
            Admission::TurnAway { unreadable } => {
                let mut response = Box::pin(stranger::turn_away(site, rule, request, now)).await;
                record.is_turned_away(response.status());
                if unreadable {
                    site.telemetry.metrics.rejects(site.origin.as_str(), "unreadable");
                    set_cookies(response.headers_mut(), [site.cookies.delete_session()]);
                }
                Ok(response)
            }
        }
    }

    /// Makes the request ours, sends it on, and makes the answer ours.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, each used once")]
    async fn forward(
        &self,
        place: Place<'_>,
        mut request: Request<Incoming>,
        client: &Client,
        visitor: Visitor,
        now: UnixTime,
        watch: &Rc<Watch>,
        record: &mut Record,
    ) -> Result<Response<Body>, Refusal> {
        let Place { site, pool, authority } = place;
        let is_handshake = upgrade::is_websocket(request.method(), request.version(), request.headers());
        let client_upgrade = is_handshake.then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        let is_member = matches!(visitor, Visitor::Member { .. });
        let may_be_kept_form =
            || preserve::may_be_kept_form(&head.method, &head.headers, site.origin.as_str());
        let body = Paced::new(body, &mut head.extensions);
        let mut body = if is_member && site.preserve.form && may_be_kept_form() {
            Box::pin(stranger::restore_form(site, &mut head, body, now)).await?
        } else {
            RequestBody::new(body)
        };
        // Over HTTP/1.1 nobody was asked for trailers, and over HTTP/2 only a client that knows of them sends any.
        let knows_trailers = head.version == Version::HTTP_2 && head.headers.contains_key(TE);
        let mut announced = None;
        if knows_trailers && !body.is_end_stream() {
            fields::rebuild_trailer(&mut head.headers, |name| site.may_be_trailer(name));
            announced = head.headers.remove(TRAILER);
            body = body.with_trailers(site.trailers());
        }

        // First away with what is not for the upstream, then in with what is ours.
        head.uri = origin_form(head.uri);
        // Each connection has its own version (RFC 9112 §2.3). With that of an older client, or an older upstream, an
        // answer would end where its connection does, and nobody could tell a whole one from one that broke off.
        head.version = Version::HTTP_11;
        let mut dropped =
            fields::drop_unwanted(&mut head.headers, client, |name| site.identity.is_guarded(name));
        let label = signature::remove_label(&mut head.headers).then_some(SIGNATURE);
        warn_of_lookalike(dropped.lookalike.take().or(label));
        cookie::remove_ours(&mut head.headers);
        if knows_trailers {
            // gRPC asks for it.
            head.headers.insert(TE, HeaderValue::from_static("trailers"));
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
            site.identity.write(&mut head.headers, &session.member, &line, now, random::nonce());
        }

        let outgoing = Request::from_parts(head, body);
        record.is_asked();
        let mut answer = pool.forward(outgoing, watch).await.map_err(|error| refuse(site, error, record))?;
        record.is_served();

        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched {
            let is_websocket = upgrade::asks_for_websocket(answer.headers());
            let (Some(client_upgrade), true, Some(upstream)) =
                (client_upgrade, is_websocket, answer.body_mut().switch())
            else {
                return Err(Refusal::unasked_upgrade());
            };
            upgrade::tunnel(client_upgrade, upstream, &self.draining);
        }
        let mut answer = answer.map(Body::Upstream);
        *answer.version_mut() = Version::HTTP_11;
        let fields = answer.headers_mut();
        fields::drop_connection_specific(fields);
        fields::rebuild_trailer(fields, |name| site.may_be_trailer(name));
        cookie::remove_ours_set_by_upstream(fields);
        if switched {
            upgrade::write_fields(fields);
        } else {
            visitor.sees(site, fields, now);
        }
        Ok(answer)
    }
}

impl Gateway {
    /// Goes on with what the one before knows, where that is as good: a reload must not look like a restart.
    pub fn follow(&mut self, before: &Self) {
        self.pseudonym = before.pseudonym.clone();
        for site in &mut self.sites {
            if let Some(known) = before.sites.iter().find(|known| known.origin == site.origin) {
                site.upstream.continue_from(&known.upstream);
            }
        }
    }

    /// The site of a request.
    fn site_of(
        &self,
        request: &Request<Incoming>,
        client: &Client,
        entrance: Entrance,
    ) -> Result<usize, NoSite> {
        // A trusted proxy speaks for its clients: what was spoken to it, and under which name, is its own affair.
        if !client.via_trusted_proxy {
            if !head::names_its_scheme(request, entrance) {
                return Err(NoSite::Malformed);
            }
            if request.extensions().get::<Misdirected>().is_some() {
                return Err(NoSite::Unknown);
            }
        }
        self.authorities.find(head::asked_for(request, client)?)
    }

    /// Has browsers come with https from now on. Over plain HTTP that would mean nothing (RFC 6797 §7.2), and where the
    /// app has said something itself, that stands.
    fn insist_on_https(&self, site: &Site, entrance: Entrance, fields: &mut HeaderMap) {
        if entrance == Entrance::Tls
            && let Some(hsts) = &self.hsts
            && site.origin.scheme() == Scheme::Https
        {
            fields.entry(STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
        }
    }
}

/// The rule that a request falls under; none for the gateway's own paths.
fn rule_of<'a>(site: &'a Site, request: &Request<Incoming>) -> Result<Option<&'a Rule>, Refusal> {
    let path = request.uri().path().as_bytes();
    let readings = Readings::of(path).map_err(|_| Refusal::ambiguous_path())?;
    if endpoints::are_meant(&readings, site.rules.ignore_case()) {
        return Ok(None);
    }
    site.rules.find(request.method(), &readings).map(Some).map_err(|_| Refusal::ambiguous_path())
}

/// Logs which host was asked for: nearly always a proxy in front does not pass it on.
fn no_site(request: &Request<Incoming>, error: NoSite) -> Refusal {
    let named = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes).or(named).unwrap_or_default();
    let host = host.get(..host.len().min(100)).unwrap_or_default().escape_ascii().to_string();
    let reference = Reference::new();
    tracing::info!(%reference, host, "{error}");
    Refusal::from(error).logged_as(reference)
}

/// Logs why there is no answer, under the reference that the page shows.
fn refuse(site: &Site, error: UpstreamError, record: &mut Record) -> Refusal {
    record.failed(&error);
    let reference = Reference::new();
    let site = site.origin.as_str();
    if matches!(error, UpstreamError::RequestBody(_)) {
        // The client's doing, and nothing an operator could mend.
        tracing::debug!(site, %reference, "a client broke off its request");
    } else {
        let error = &error as &(dyn std::error::Error + 'static);
        tracing::warn!(site, %reference, request_id = record.request_id(), error, "an upstream failed");
    }
    Refusal::from(error).logged_as(reference)
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

/// Says once that somebody sends our fields: a forger, or a proxy in front that an operator has forgotten.
fn warn_of_lookalike(name: Option<HeaderName>) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if let Some(name) = name
        && !SAID.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(%name, "a client sent an identity field; it was removed, and so will be all others, silently");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F>(_: impl Fn(Rc<Worker>, Request<Incoming>, Arrival, Rc<Watch>) -> F) -> usize {
        size_of::<F>()
    }

    /// It is moved with every request: what grows it belongs into a box, if it is not needed by nearly all of them.
    #[test]
    fn the_future_of_a_request_stays_small() {
        let size = size(<Worker as Respond>::respond);
        assert!(size <= 8 * 1024, "{size} octets");
    }
}
