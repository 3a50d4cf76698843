//! One site: everything that is known of one public origin, each part in the hands of the room it belongs to.

use std::rc::Rc;
use std::sync::Arc;

use http::header::HeaderName;

use super::branding::Localized;
use super::endpoints;
use super::pages::Pages;
use super::preserve::Preserve;
use super::starts::Starts;
use crate::identity::{Attribute, Identity};
use crate::login::Login;
use crate::member::{Member, Profile};
use crate::message::Fields;
use crate::provider::membership::Memberships;
use crate::revocation::Revocations;
use crate::route::Origin;
use crate::route::path::Readings;
use crate::route::rule::{Rule, Rules};
use crate::session::Session;
use crate::session::cookie::{Cookies, Presented};
use crate::session::seal::Seal;
use crate::telemetry::Telemetry;
use crate::time::UnixTime;
use crate::upstream::{self, TrailerFilter, fields};

/// A site, assembled.
#[derive(Debug)]
pub struct Site {
    /// Its public address.
    pub origin: Origin,
    /// The gateway's own pages on it.
    pub pages: Pages,
    /// What its paths ask for.
    pub rules: Rules,
    /// What the operator says to whoever a rule turns away, in the order of the rules.
    pub remedies: Vec<Option<Localized>>,
    /// Its cookies and its sessions.
    pub cookies: Cookies,
    /// Its logins.
    pub login: Login,
    /// How often they may be begun; the same for all sites.
    pub starts: Arc<Starts>,
    /// Seals what the error page has to say.
    pub failures: Seal,
    /// What of a request outlives a login.
    pub preserve: Preserve,
    /// What its upstream is told about members.
    pub identity: Arc<Identity>,
    /// Where its upstream is.
    pub upstream: upstream::Upstream,
    /// Where it counts.
    pub telemetry: Arc<Telemetry>,
    /// The sessions that have been ended.
    pub revocations: Arc<Revocations>,
}

impl Site {
    /// The session of a request, if it has one that counts here: a provider that the site no longer has vouches for
    /// nobody.
    #[must_use]
    pub fn session(&self, fields: &Fields, now: UnixTime) -> Option<Session> {
        match self.cookies.session(fields, now) {
            Presented::Session(session) if self.honours(&session, now) => Some(session),
            Presented::Session(_) | Presented::Unreadable | Presented::Nothing => None,
        }
    }

    /// Whether a path is one of the gateway's own, in one of its readings: no rule applies to it.
    #[must_use]
    pub fn owns(&self, readings: &Readings<'_>) -> bool {
        endpoints::are_meant(readings, self.rules.ignore_case())
    }

    /// Whether connections to the upstream of one can serve the other: a pool knows where its upstream is, and which
    /// trailers must not come from there.
    #[must_use]
    pub fn has_pool_of(&self, other: &Self) -> bool {
        self.origin == other.origin
            && self.upstream == other.upstream
            && self.identity.guards_the_same(&other.identity)
    }

    /// Whether nobody has ended a session, and the provider that vouched for it is one of the site's.
    #[must_use]
    pub fn accepts(&self, session: &Session) -> bool {
        let ended = self.revocations.have_ended(session);
        if ended {
            self.telemetry.metrics.rejects(self.origin.as_str(), "revoked");
        }
        !ended && self.login.registered(&session.member.provider).is_some()
    }

    /// Whether a session counts on one of the gateway's own paths: without asking anybody.
    #[must_use]
    pub(super) fn honours(&self, session: &Session, now: UnixTime) -> bool {
        let has_lapsed =
            |memberships: &Arc<Memberships>| memberships.knows_lapsed(&session.member, session.vouched, now);
        self.accepts(session) && !self.memberships_of(&session.member).is_some_and(has_lapsed)
    }

    /// The memberships of the provider that vouched for a member, where the operator wants to know of them.
    pub(super) fn memberships_of(&self, member: &Member) -> Option<&Arc<Memberships>> {
        self.login.registered(&member.provider)?.memberships.as_ref()
    }

    /// Whether a trailer may pass, in either direction: none that says what only HTTP or this gateway may say.
    pub(super) fn may_be_trailer(&self, name: &HeaderName) -> bool {
        is_harmless(&self.identity, name)
    }

    /// The same, for bodies to keep.
    pub(super) fn trailers(&self) -> TrailerFilter {
        let identity = Arc::clone(&self.identity);
        Rc::new(move |name| is_harmless(&identity, name))
    }

    /// What the operator says to whoever this rule turns away.
    #[must_use]
    pub fn remedy(&self, rule: &Rule) -> Option<&Localized> {
        self.remedies.get(self.rules.place_of(rule)?)?.as_ref()
    }

    /// The member as far as the upstream is told: what nobody asked for is not kept.
    #[must_use]
    pub(super) fn identity_keeps(&self, mut member: Member) -> Member {
        let wanted = |attribute| self.identity.fields().iter().any(|(kept, _)| *kept == attribute);
        let Profile { first_name, last_name, email } = member.profile;
        member.profile = Profile {
            first_name: first_name.filter(|_| wanted(Attribute::FirstName)),
            last_name: last_name.filter(|_| wanted(Attribute::LastName)),
            email: email.filter(|_| wanted(Attribute::Email)),
        };
        member
    }
}

fn is_harmless(identity: &Identity, name: &HeaderName) -> bool {
    fields::may_be_trailer(name) && !identity.is_guarded(name.as_str())
}
