//! Memberships: a login proves a password, not a membership. Whether it is active is asked at the login, and again
//! from time to time while the session lasts.
//!
//! The last answer travels in the session as the instant at which it was given, so that a restart forgets nothing; what
//! the vendor has said since is kept here, in bounded memory. While the vendor cannot be asked the last good answer
//! counts, for a time that the operator sets, and the vendor is left alone for a while; where it only has an odd record of
//! one member, it is left alone about that one. How a vendor is asked is [`Membership`]'s to know; what a lapsed member sees
//! is not decided here.

mod memory;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::memory::{Memory, Record, is_about_one, pause_after};
use super::{BoxFuture, ProviderError};
use crate::member::{Member, ProviderName};
use crate::time::UnixTime;

/// How long one who asks is waited for before somebody else may; longer than any answer can take.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many answers can be waited for at the same time.
const TURNS: usize = 64;

/// So many questions are on their way to the vendor at the same time; others wait. Thousands of members may be due at once.
const QUESTIONS: usize = 64;

/// Whose membership it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The person's.
    Member,
    /// The unit's.
    Unit,
}

/// What a vendor says of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is active.
    Active,
    /// It has ended, is on hold, or is not there.
    Lapsed,
}

/// A vendor that can be asked about memberships.
pub trait Membership: Send + Sync {
    /// Whether the membership is active at this moment.
    fn standing<'a>(
        &'a self,
        subject: Subject,
        member: &'a Member,
    ) -> BoxFuture<'a, Result<Standing, ProviderError>>;
}

/// How often is asked, and how long an answer counts when nobody can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose membership has to be active.
    pub subject: Subject,
    /// An answer older than this is asked for again.
    pub recheck: Duration,
    /// How much older it may become while the vendor cannot be asked.
    pub grace: Duration,
}

/// What is known of a member's standing without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What counts at present.
    pub verdict: Verdict,
    /// Whether whoever reads this is to [`Memberships::ask`]: in the background where the verdict is clear.
    pub ask: bool,
}

/// What counts at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Active, as the vendor said at this instant.
    Active(UnixTime),
    /// Not active.
    Lapsed,
    /// The last answer is too old to count.
    Unknown,
}

/// All that the answers of a vendor depend on: what it says of one account it does not say of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// The name of the provider in the config.
    pub provider: ProviderName,
    /// Base of the API that is asked.
    pub api: String,
    /// On whose behalf it is asked.
    pub client: String,
    /// Whose membership it is asked about.
    pub subject: Subject,
}

/// What a vendor has said of memberships, and who waits for it to say more. Clones are the same, so that it can outlive
/// the [`Memberships`] of one configuration.
#[derive(Clone)]
pub struct Remembered(Arc<Shared>);

struct Shared {
    memory: Mutex<Memory>,
    /// Whoever waits for an answer takes one of these, the same for the same subject.
    turns: [tokio::sync::Mutex<()>; TURNS],
    hasher: RandomState,
    questions: Semaphore,
}

impl Default for Remembered {
    fn default() -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        let questions = Semaphore::new(QUESTIONS);
        Self(Arc::new(Shared { memory: Mutex::default(), turns, hasher: RandomState::new(), questions }))
    }
}

/// The memberships of one provider's members.
pub struct Memberships {
    vendor: Arc<dyn Membership>,
    policy: Policy,
    remembered: Remembered,
}

impl fmt::Debug for Memberships {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memberships({:?})", self.policy)
    }
}

impl Memberships {
    /// Known is what is remembered.
    #[must_use]
    pub const fn new(vendor: Arc<dyn Membership>, policy: Policy, remembered: Remembered) -> Self {
        Self { vendor, policy, remembered }
    }

    /// What is known of a member of whom the vendor said at `vouched` that the membership is active. Of all who look up
    /// the same member one is told to ask. As long as the answer is not due, this takes no lock.
    #[must_use]
    pub fn look_up(&self, member: &Member, vouched: UnixTime, now: UnixTime) -> Known {
        if !self.is_due(vouched, now) {
            return Known { verdict: Verdict::Active(vouched), ask: false };
        }
        let mut memory = self.memory();
        let lasts = |pause: Option<UnixTime>| pause.is_some_and(|until| now < until);
        let is_paused = lasts(memory.paused_until);
        let record = memory.record(self.subject_of(member), self.policy.recheck, now);
        let is_paused = is_paused || lasts(record.paused_until);
        let vouched = match record.answer {
            Some((Standing::Lapsed, at)) if at >= vouched => {
                return Known { verdict: Verdict::Lapsed, ask: false };
            }
            Some((Standing::Active, at)) => at.max(vouched),
            Some((Standing::Lapsed, _)) | None => vouched,
        };
        if !self.is_due(vouched, now) {
            return Known { verdict: Verdict::Active(vouched), ask: false };
        }
        if now.since(vouched) >= self.policy.recheck.saturating_add(self.policy.grace) {
            // Everybody who waits for an answer asks: whoever was to ask for all may have gone.
            return Known { verdict: Verdict::Unknown, ask: !is_paused };
        }
        let somebody_asks = record.asked.is_some_and(|asked| now.since(asked) < PATIENCE);
        let ask = !is_paused && !somebody_asks;
        if ask {
            record.asked = Some(now);
        }
        Known { verdict: Verdict::Active(vouched), ask }
    }

    /// Whether the vendor has said since `vouched` that the membership is not active.
    #[must_use]
    pub fn knows_lapsed(&self, member: &Member, vouched: UnixTime, now: UnixTime) -> bool {
        self.is_due(vouched, now)
            && self
                .memory()
                .records
                .get(&self.subject_of(member))
                .is_some_and(|record| matches!(record.answer, Some((Standing::Lapsed, at)) if at >= vouched))
    }

    /// Asks the vendor, and remembers what it says. Where somebody who asked later has had an answer meanwhile, it is that
    /// one.
    ///
    /// # Errors
    /// Where there is no answer. The vendor is then left alone for a while by all who need not wait for it.
    pub async fn ask(&self, member: &Member, now: UnixTime) -> Result<Standing, ProviderError> {
        let _place = self.place().await;
        self.ask_at_once(member, now).await
    }

    /// The same on behalf of somebody who does not wait for the answer. Where the vendor turns out to be one to leave alone
    /// while the question waits for its turn, it is not asked: there may be thousands of them.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn ask_unless_paused(
        &self,
        member: &Member,
        now: UnixTime,
    ) -> Result<Option<Standing>, ProviderError> {
        let _place = self.place().await;
        if self.memory().paused_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        self.ask_at_once(member, now).await.map(Some)
    }

    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed, and without it the question would be asked all the same.
        self.remembered.0.questions.acquire().await.ok()
    }

    async fn ask_at_once(&self, member: &Member, now: UnixTime) -> Result<Standing, ProviderError> {
        let question = self.memory().next_question();
        let answer = self.vendor.standing(self.policy.subject, member).await;
        let subject = self.subject_of(member);
        let mut memory = self.memory();
        match &answer {
            Ok(standing) => {
                (memory.paused_until, memory.odd) = (None, None);
                let record = memory.record(subject, self.policy.recheck, now);
                // An answer that was long on its way says less than one to a later question.
                match record.answer {
                    Some((later, _)) if record.question > question => return Ok(later),
                    Some(_) | None => {
                        *record = Record { answer: Some((*standing, now)), question, ..Record::default() };
                    }
                }
            }
            Err(error) => {
                let until = now.plus(pause_after(error));
                // Of one member it is the record that is odd, of the next one too it is the vendor.
                let is_only_one = memory.odd.as_ref().is_none_or(|odd| *odd == subject);
                if is_about_one(error) && is_only_one {
                    memory.odd = Some(subject.clone());
                    memory.record(subject, self.policy.recheck, now).paused_until = Some(until);
                } else {
                    memory.paused_until = Some(until);
                }
            }
        }
        answer
    }

    /// Asks on behalf of somebody who has to wait for the answer, once for all who wait for the same one.
    ///
    /// # Errors
    /// Where there is no answer. Whoever comes next is not told why, only that it is unknown.
    pub async fn ask_in_turn(
        &self,
        member: &Member,
        vouched: UnixTime,
        now: UnixTime,
    ) -> Result<Verdict, ProviderError> {
        let _turn = self.turn_of(member).lock().await;
        let known = self.look_up(member, vouched, now);
        if known.verdict != Verdict::Unknown || !known.ask {
            return Ok(known.verdict);
        }
        Ok(match self.ask(member, now).await? {
            Standing::Active => Verdict::Active(now),
            Standing::Lapsed => Verdict::Lapsed,
        })
    }

    /// Asks on behalf of somebody who is signing in, and says when the vendor last called the membership active. That is
    /// not now where the vendor cannot be asked and has been asked before.
    ///
    /// # Errors
    /// [`ProviderError::Lapsed`], or why there is no answer.
    pub async fn at_login(&self, member: &Member, now: UnixTime) -> Result<UnixTime, ProviderError> {
        let error = match self.ask(member, now).await {
            Ok(Standing::Active) => return Ok(now),
            Ok(Standing::Lapsed) => return Err(ProviderError::Lapsed),
            Err(error) => error,
        };
        let record = self.memory().records.get(&self.subject_of(member)).copied().unwrap_or_default();
        match record.answer {
            Some((Standing::Active, at))
                if now.since(at) < self.policy.recheck.saturating_add(self.policy.grace) =>
            {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::warn!(
                    provider = %member.provider,
                    error,
                    "whether a membership is active could not be asked; the last answer counts"
                );
                Ok(at)
            }
            Some((Standing::Active | Standing::Lapsed, _)) | None => Err(error),
        }
    }

    fn is_due(&self, vouched: UnixTime, now: UnixTime) -> bool {
        now.since(vouched) >= self.policy.recheck
    }

    fn turn_of(&self, member: &Member) -> &tokio::sync::Mutex<()> {
        let Shared { turns, hasher, .. } = &*self.remembered.0;
        let hash = hasher.hash_one(self.subject_of(member));
        &turns[usize::try_from(hash % TURNS as u64).unwrap_or_default()]
    }

    fn subject_of(&self, member: &Member) -> Bytes {
        match self.policy.subject {
            Subject::Member => member.id.to_bytes(),
            Subject::Unit => member.unit_id.to_bytes(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.remembered.0.memory.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests;
