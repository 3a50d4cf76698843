//! The hall: the journey of one request through the rooms, and back.
//!
//! [`Gateway`] owns what all workers share; nothing in it changes while it serves. A [`Worker`] is the hall of one core,
//! with upstream connections of its own. The clock is read here, once for each request.

mod admission;
mod assertions;
pub mod body;
pub mod branding;
mod caching;
pub mod challenge;
pub mod colour;
mod departure;
mod desk;
mod endpoints;
pub mod failure;
mod forward_auth;
pub mod head;
pub mod language;
pub mod pages;
pub mod passage;
pub mod preserve;
pub mod record;
mod redirect;
pub mod refusal;
mod samples;
pub mod site;
mod standing;
pub mod starts;
mod stranger;
pub mod templates;
mod texts;
pub mod via;
mod vigil;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::ControlFlow::{self, Break, Continue};
use std::rc::Rc;
use std::sync::Arc;

use http::header::{HOST, HeaderValue, STRICT_TRANSPORT_SECURITY};

use crate::aside::aside;
use crate::deadline::Watch;
use crate::drain::Draining;
use crate::message::{Fields, Request, Response};
use crate::revocation::Revocations;
use crate::route::path::Readings;
use crate::route::rule::Rule;
use crate::route::{NoSite, Scheme, Sites};
use crate::server::Incoming;
use crate::server::pace::Paced;
use crate::server::peer::{Client, TrustedProxies};
use crate::server::tls::Misdirected;
use crate::server::{Arrival, Entrance, Event, Making, Respond};
use crate::telemetry::Telemetry;
use crate::telemetry::keyed_hash::KeyedHash;
use crate::telemetry::trace::Tracing;
use crate::time::{Clock, UnixTime};
use crate::upstream::body::RequestBody;
use crate::upstream::fields::{self, ForwardedStyle};
use crate::upstream::{Pool, UpstreamError};
use admission::{Admission, Visitor, admit};
use assertions::Assertions;
use body::Body;
use departure::Departure;
use desk::Desk;
use failure::Reference;
use head::HeadLimits;
use record::{Record, Recorded};
use refusal::{Reader, Refusal};
use site::Site;
use via::Pseudonym;
use vigil::Vigil;

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
    /// What is borne in a head.
    pub head_limits: HeadLimits,
    /// What https sites say in `Strict-Transport-Security` (RFC 6797) over TLS of ours.
    pub hsts: Option<HeaderValue>,
    /// Where the time comes from.
    pub clock: Clock,
    /// What it calls itself in `Via`.
    pub pseudonym: Pseudonym,
    /// What it tells of itself.
    pub telemetry: Arc<Telemetry>,
    /// The sessions that have been ended.
    pub revocations: Arc<Revocations>,
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
    /// In the order of the sites.
    assertions: Vec<Assertions>,
    desk: Rc<Desk>,
    texts: Texts,
    vigil: Rc<Vigil>,
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
        let assertions = gateway.sites.iter().map(|site| Assertions::of_site(&site.identity)).collect();
        let desk = Desk::new(Arc::clone(&gateway));
        let texts = Texts::new(&gateway);
        let begun = || Vigil::begin(Arc::clone(&gateway.revocations), gateway.clock.clone());
        let vigil = before.map_or_else(begun, |before| Rc::clone(&before.vigil));
        Rc::new(Self { texts, gateway, pools, assertions, desk, vigil, draining: draining.clone() })
    }
}

impl Respond for Worker {
    type Body = Recorded;

    /// The whole journey as one future. What is decided without waiting is decided in functions and what is rare stands aside, so
    /// that it has room for one request, its record and the wait for the upstream, and for little more.
    #[expect(clippy::manual_async_fn, reason = "an async fn has room for its arguments twice")]
    fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        arrival: Arrival,
        watch: Rc<Watch>,
    ) -> impl Future<Output = Response<Recorded>> {
        async move {
            let now = self.gateway.clock.now();
            let mut record = Record::open(&self.desk, &request, arrival);
            let reader = Reader::of(request.method(), request.uri(), request.headers());
            let client = self.gateway.trusted_proxies.client(arrival, request.headers());
            record.is_from(&client);
            let place = match self.place_of(&request, arrival, &client) {
                Continue(place) => place,
                Break(Elsewhere::Asked) => {
                    return aside(|| forward_auth::answer(&self, request, &client, now, record)).await;
                }
                Break(Elsewhere::Answered(answer)) => {
                    let answer = answer.unwrap_or_else(|refusal| refusal.into_response(&reader, None));
                    return record.with(answer);
                }
            };
            record.is_for(place.index);
            let mut next = self.receive(place, request, &client, now, &mut record);
            let outcome = match &mut next {
                Ok(Next::Leaves(departure)) => self.send(place, departure, now, &watch, &mut record).await,
                _ => aside(|| self.settle(place, next, &client, now, &watch, &mut record)).await,
            };
            let mut answer =
                outcome.unwrap_or_else(|refusal| refusal.into_response(&reader, Some(place.site)));
            self.gateway.insist_on_https(place.site, arrival.entrance, answer.headers_mut());
            record.with(answer)
        }
    }

    fn notice(&self, entrance: Entrance, event: Event) {
        self.desk.notice(entrance, event);
    }
}

/// A site, and what this worker has for it.
#[derive(Clone, Copy)]
struct Place<'a> {
    index: usize,
    site: &'a Site,
    pool: &'a Rc<Pool>,
    authority: &'a HeaderValue,
}

/// What becomes of a request that is for no site itself.
enum Elsewhere {
    /// It is answered.
    Answered(Box<Result<Response<Body>, Refusal>>),
    /// A proxy asks about another one.
    Asked,
}

impl Elsewhere {
    fn answered(answer: Result<Response<Body>, Refusal>) -> Self {
        Self::Answered(Box::new(answer))
    }
}

/// What becomes of a request whose head has been looked at.
enum Next<'a> {
    /// It is answered.
    Answered(Response<Body>),
    /// It is for one of the gateway's own paths.
    Own(Request<Incoming>),
    /// It is of somebody who is not known and has to be; perhaps with a cookie that is worth nothing.
    Stranger { rule: &'a Rule, request: Request<Incoming>, unreadable: bool },
    /// It goes on, once it is known whether the visitor is still a member, or what form was kept for it.
    Waits { rule: &'a Rule, request: Request<Incoming>, visitor: Visitor },
    /// It goes on to the upstream.
    Leaves(Departure),
}

impl Worker {
    /// The site of a request; or what becomes of one that is for none.
    fn place_of(
        &self,
        request: &Request<Incoming>,
        arrival: Arrival,
        client: &Client,
    ) -> ControlFlow<Elsewhere, Place<'_>> {
        let gateway = &*self.gateway;
        if let Some(health) = endpoints::health(request.method(), request.uri().path()) {
            return Break(Elsewhere::answered(Ok(health)));
        }
        if arrival.entrance == Entrance::Redirect {
            return Break(Elsewhere::answered(redirect::answer(gateway, request, client)));
        }
        if forward_auth::is_asked(request.uri().path()) {
            return Break(Elsewhere::Asked);
        }
        let index = match gateway.site_of(request, client, arrival.entrance) {
            Ok(index) => index,
            Err(error) => return Break(Elsewhere::answered(Err(no_site(host_of(request), error)))),
        };
        let (site, authority) = (&gateway.sites[index], &self.texts.authorities[index]);
        Continue(Place { index, site, pool: &self.pools[index], authority })
    }

    /// From the head of a request to what becomes of it: the gateway's own paths, the rule, the session.
    fn receive<'a>(
        &self,
        place: Place<'a>,
        request: Request<Incoming>,
        client: &Client,
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Next<'a>, Refusal> {
        let site = place.site;
        if let Err(refusal) = head::check(&request, self.gateway.head_limits) {
            if !endpoints::is_callback(request.uri().path()) {
                return Err(refusal);
            }
            // Not even a refusal may be shown at an address that holds a code.
            return Ok(Next::Answered(refusal.instead_of_callback()));
        }
        let Some(rule) = rule_of(site, &request)? else {
            record.is_for_us();
            return Ok(Next::Own(request));
        };
        record.falls_under(site.rules.place_of(rule));
        let visitor = match admit(site, rule, &request, now)? {
            Admission::Pass(visitor) => visitor,
            Admission::TurnAway { unreadable } => return Ok(Next::Stranger { rule, request, unreadable }),
        };
        if let Visitor::Member { session, .. } = &visitor {
            record.belongs_to(session);
        }
        let mut request = request;
        if let Some(answer) = head::goes_no_further(&mut request) {
            return Ok(Next::Answered(answer));
        }
        if visitor.is_to_be_confirmed(site) || may_bring_a_kept_form(site, &visitor, &request) {
            return Ok(Next::Waits { rule, request, visitor });
        }
        let (mut head, body) = request.into_parts();
        let body = RequestBody::new(Paced::new(body, &mut head.extensions));
        self.prepare(place, head, body, client, visitor, now, record).map(Next::Leaves)
    }

    /// What nearly no request comes to, or what waits for more than the upstream.
    async fn settle(
        &self,
        place: Place<'_>,
        next: Result<Next<'_>, Refusal>,
        client: &Client,
        now: UnixTime,
        watch: &Rc<Watch>,
        record: &mut Record,
    ) -> Result<Response<Body>, Refusal> {
        let site = place.site;
        match next? {
            Next::Answered(answer) => Ok(answer),
            Next::Own(request) => endpoints::answer(site, request, client, now).await,
            Next::Stranger { rule, request, unreadable } => {
                let mut answer = stranger::turn_away(site, rule, request, client, now).await?;
                record.is_turned_away(answer.status());
                if unreadable {
                    stranger::take_cookie(site, &mut answer);
                }
                Ok(answer)
            }
            Next::Waits { rule, request, mut visitor } => {
                if visitor.is_to_be_confirmed(site) {
                    visitor = visitor.confirmed(site, rule, now).await?;
                }
                let may_bring_a_form = may_bring_a_kept_form(site, &visitor, &request);
                let (mut head, body) = request.into_parts();
                let body = Paced::new(body, &mut head.extensions);
                let body = if may_bring_a_form {
                    stranger::restore_form(site, &mut head, body, now).await?
                } else {
                    RequestBody::new(body)
                };
                let mut departure = self.prepare(place, head, body, client, visitor, now, record)?;
                self.send(place, &mut departure, now, watch, record).await
            }
            Next::Leaves(mut departure) => self.send(place, &mut departure, now, watch, record).await,
        }
    }

    /// Sends on what is ready, and makes the answer ours.
    async fn send(
        &self,
        place: Place<'_>,
        departure: &mut Departure,
        now: UnixTime,
        watch: &Rc<Watch>,
        record: &mut Record,
    ) -> Result<Response<Body>, Refusal> {
        record.is_asked();
        let outcome = place.pool.forward(&mut departure.request, watch, &record.target).await;
        departure.request.is_over();
        match outcome {
            Ok(answer) => {
                record.is_served();
                departure.conclude(place, answer, now, &self.vigil, &self.draining)
            }
            Err(error) => Err(refuse(place.site, error, record)),
        }
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

    /// The place of the site that a request is for.
    ///
    /// # Errors
    /// [`NoSite`] where there is none.
    pub fn site_of<B>(
        &self,
        request: &Request<B>,
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
    fn insist_on_https(&self, site: &Site, entrance: Entrance, fields: &mut Fields) {
        if entrance == Entrance::Tls
            && let Some(hsts) = &self.hsts
            && site.origin.scheme() == Scheme::Https
        {
            fields.append_if_absent(STRICT_TRANSPORT_SECURITY, || hsts.clone());
        }
    }
}

/// The rule that a request falls under; none for the gateway's own paths.
fn rule_of<'a>(site: &'a Site, request: &Request<Incoming>) -> Result<Option<&'a Rule>, Refusal> {
    let path = request.uri().path().as_bytes();
    let readings = Readings::of(path).map_err(|_| Refusal::ambiguous_path())?;
    if site.owns(&readings) {
        return Ok(None);
    }
    site.rules.find(request.method(), &readings).map(Some).map_err(|_| Refusal::ambiguous_path())
}

/// The host of a request, however it is named.
fn host_of(request: &Request<Incoming>) -> &[u8] {
    let named = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    request.headers().get(HOST).map(HeaderValue::as_bytes).or(named).unwrap_or_default()
}

/// Logs which host was asked for: nearly always a proxy in front does not pass it on.
fn no_site(host: &[u8], error: NoSite) -> Refusal {
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

/// Whether a request of a member may hold a form that was kept during the login.
fn may_bring_a_kept_form(site: &Site, visitor: &Visitor, request: &Request<Incoming>) -> bool {
    site.preserve.form
        && matches!(visitor, Visitor::Member { .. })
        && preserve::may_be_kept_form(request.method(), request.headers(), site.origin.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F>(_: impl Fn(Rc<Worker>, Request<Incoming>, Arrival, Rc<Watch>) -> F) -> usize {
        size_of::<F>()
    }

    /// It is moved with every request, and each connection keeps room for one: what grows it belongs into a box, if it is not
    /// needed by nearly all of them.
    #[test]
    fn the_future_of_a_request_stays_small() {
        let size = size(<Worker as Respond>::respond);
        assert!(size <= 2 * 1024, "{size} octets");
    }
}
