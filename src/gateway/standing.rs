//! Standing: whether a member with a session is still one, where the operator wants to know.
//!
//! An answer that is due is asked for in the background, and the request goes on with the one before. Only where that
//! one is too old to count does the request wait.

use std::sync::Arc;

use super::site::Site;
use crate::member::Member;
use crate::provider::ProviderError;
use crate::provider::membership::{Memberships, Verdict};
use crate::session::Session;
use crate::time::UnixTime;

/// A session that is one no longer, or perhaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The membership is not active.
    Lapsed,
    /// Nobody could say for too long.
    Unknown,
}

/// The session with the instant at which its membership was last known to be active.
pub(super) async fn confirm(site: &Site, session: Session, now: UnixTime) -> Result<Session, Doubt> {
    let Some(memberships) = site.memberships_of(&session.member) else { return Ok(session) };
    let known = memberships.look_up(&session.member, session.vouched, now);
    let doubt = match known.verdict {
        Verdict::Active(vouched) => {
            if known.ask {
                ask_in_background(Arc::clone(memberships), session.member.clone(), now);
            }
            return Ok(Session { vouched, ..session });
        }
        Verdict::Lapsed => Doubt::Lapsed,
        Verdict::Unknown if known.ask => {
            let answer = memberships.ask_in_turn(&session.member, session.vouched, now).await;
            match answer.inspect_err(|error| say_why(&session.member, error)) {
                Ok(Verdict::Active(vouched)) => return Ok(Session { vouched, ..session }),
                Ok(Verdict::Lapsed) => Doubt::Lapsed,
                Ok(Verdict::Unknown) | Err(_) => Doubt::Unknown,
            }
        }
        Verdict::Unknown => Doubt::Unknown,
    };
    tracing::info!(site = site.origin.as_str(), session = %session.id, ?doubt, "a session is not let through");
    let cause = match doubt {
        Doubt::Lapsed => "lapsed",
        Doubt::Unknown => "membership_unknown",
    };
    site.telemetry.metrics.rejects(site.origin.as_str(), cause);
    Err(doubt)
}

pub(super) fn ask_in_background(memberships: Arc<Memberships>, member: Member, now: UnixTime) {
    tokio::spawn(async move {
        if let Err(error) = memberships.ask_unless_paused(&member, now).await {
            say_why(&member, &error);
        }
    });
}

fn say_why(member: &Member, error: &ProviderError) {
    let error = error as &(dyn std::error::Error + 'static);
    tracing::warn!(provider = %member.provider, error, "whether a membership is active could not be asked");
}
