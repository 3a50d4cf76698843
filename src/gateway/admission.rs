//! Admission: what the rule and the session of a request come to, and as whom its sender goes on to the upstream.
//!
//! Deciding is one thing, acting on it another: whoever is turned away is told so elsewhere.

use std::rc::Rc;

use http::header::{HeaderValue, ORIGIN, SET_COOKIE};

use super::refusal::Refusal;
use super::site::Site;
use super::standing::{self, Doubt};
use super::vigil::{Tie, Vigil};
use super::{caching, challenge};
use crate::message::{Fields, Request};
use crate::route::rule::{Access, Rule};
use crate::server::Incoming;
use crate::session::Session;
use crate::session::cookie::Presented;
use crate::time::UnixTime;
use crate::upstream::upgrade;

/// Somebody whose request goes on to the upstream.
pub(super) enum Visitor {
    /// Nobody who is known; perhaps with a cookie that is worth nothing.
    Anonymous {
        /// The cookie is to be taken from the browser.
        unreadable: bool,
    },
    /// A member.
    Member {
        /// Whose session it is.
        session: Session,
        /// The session says something that the browser's cookie does not say yet.
        has_changed: bool,
    },
}

/// What the rule and the session come to.
pub(super) enum Admission {
    /// On to the upstream.
    Pass(Visitor),
    /// Not without a session.
    TurnAway {
        /// There is a cookie that is worth nothing, to be taken from the browser.
        unreadable: bool,
    },
}

pub(super) fn admit(
    site: &Site,
    rule: &Rule,
    request: &Request<Incoming>,
    now: UnixTime,
) -> Result<Admission, Refusal> {
    let (method, headers) = (request.method(), request.headers());
    if rule.access == Access::Deny {
        return Err(Refusal::denied().by_rule(&rule.pattern, site.remedy(rule)));
    }
    if upgrade::is_websocket(method, request.version(), headers) && !origin_is_welcome(site, rule, headers) {
        return Err(Refusal::foreign_origin());
    }
    if rule.access == Access::Public || challenge::is_preflight(method, headers) {
        return Ok(Admission::Pass(Visitor::Anonymous { unreadable: false }));
    }
    let unreadable = match site.cookies.session(headers, now) {
        Presented::Session(_) if !site.revocations.are_known(now) => {
            if rule.access == Access::Optional {
                return Ok(Admission::Pass(Visitor::Anonymous { unreadable: false }));
            }
            site.telemetry.metrics.rejects(site.origin.as_str(), "revocations_unknown");
            return Err(Refusal::revocations_unknown());
        }
        Presented::Session(session) if site.accepts(&session) => {
            if !rule.allow.admits(&session.member) {
                site.telemetry.metrics.rejects(site.origin.as_str(), "not_admitted");
                return Err(Refusal::not_admitted().by_rule(&rule.pattern, site.remedy(rule)));
            }
            return Ok(Admission::Pass(Visitor::Member { session, has_changed: false }));
        }
        Presented::Session(_) | Presented::Unreadable => true,
        Presented::Nothing => false,
    };
    if rule.access == Access::Optional {
        return Ok(Admission::Pass(Visitor::Anonymous { unreadable }));
    }
    Ok(Admission::TurnAway { unreadable })
}

/// A handshake without Origin comes from a program; one with an Origin from a page, which has to be one of ours.
fn origin_is_welcome(site: &Site, rule: &Rule, headers: &Fields) -> bool {
    let is_ours = |origin: &HeaderValue| {
        let welcome = |known: &str| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes());
        welcome(site.origin.as_str()) || rule.origins.iter().any(|known| welcome(known))
    };
    headers.get_all(ORIGIN).all(is_ours)
}

impl Visitor {
    /// Whether somebody wants to know that the membership is still active.
    pub(super) fn is_to_be_confirmed(&self, site: &Site) -> bool {
        match self {
            Self::Member { session, .. } => site.memberships_of(&session.member).is_some(),
            Self::Anonymous { .. } => false,
        }
    }

    /// The same visitor, if the membership is still active where that is asked for.
    pub(super) async fn confirmed(self, site: &Site, rule: &Rule, now: UnixTime) -> Result<Self, Refusal> {
        let Self::Member { session, .. } = self else { return Ok(self) };
        let vouched = session.vouched;
        match standing::confirm(site, session, now).await {
            Ok(session) => Ok(Self::Member { has_changed: session.vouched != vouched, session }),
            Err(doubt) if rule.access == Access::Optional => {
                Ok(Self::Anonymous { unreadable: doubt == Doubt::Lapsed })
            }
            Err(Doubt::Lapsed) => Err(Refusal::lapsed(site.cookies.delete_session())),
            Err(Doubt::Unknown) => Err(Refusal::membership_unknown()),
        }
    }

    /// Ties what goes on for a member to the session.
    pub(super) fn into_tie(self, vigil: &Rc<Vigil>, site: &Site) -> Option<Tie> {
        match self {
            Self::Member { session, .. } => Some(Tie::new(vigil, site, session)),
            Self::Anonymous { .. } => None,
        }
    }

    /// What the gateway adds to the answer of an upstream.
    pub(super) fn sees(&self, site: &Site, headers: &mut Fields, now: UnixTime) {
        let cookie = match self {
            Self::Member { session, has_changed } => {
                // An answer for one person is for no cache that serves others, unless the upstream says that it is.
                if !caching::is_meant_for_caches(headers, now) {
                    caching::make_private(headers);
                }
                (*has_changed || session.wants_renewal_at(now, site.cookies.policy()))
                    .then(|| site.cookies.set_session(&session.clone().renewed_at(now)))
            }
            Self::Anonymous { unreadable } => unreadable.then(|| site.cookies.delete_session()),
        };
        if let Some(cookie) = cookie.filter(|_| !caching::may_be_cached(headers)) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}
