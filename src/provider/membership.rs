//! Memberships: a login proves a password, not a membership. Whether it is active is asked at the login, and again
//! from time to time while the session lasts.
//!
//! The last answer travels in the session as the instant at which it was given, so that a restart forgets nothing; what
//! the vendor has said since is kept here, in bounded memory. While the vendor cannot be asked the last good answer
//! counts, for a time that the operator sets, and the vendor is left alone for a while. How a vendor is asked is
//! [`Membership`]'s to know; what a lapsed member sees is not decided here.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;

use super::{BoxFuture, ProviderError};
use crate::member::Member;
use crate::time::UnixTime;

/// Members that are remembered at most, some 10 MiB of them.
const MOST: usize = 65_536;
/// How long one who asks is waited for before somebody else may; longer than any answer can take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a vendor that could not answer is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// The same at most, however long it asks for itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Whose membership it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The memberships of one provider's members.
pub struct Memberships {
    vendor: Arc<dyn Membership>,
    policy: Policy,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    records: HashMap<Bytes, Record>,
    paused_until: Option<UnixTime>,
}

#[derive(Clone, Copy, Default)]
struct Record {
    answer: Option<(Standing, UnixTime)>,
    asked: Option<UnixTime>,
}

impl fmt::Debug for Memberships {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memberships({:?})", self.policy)
    }
}

impl Memberships {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(vendor: Arc<dyn Membership>, policy: Policy) -> Self {
        Self { vendor, policy, memory: Mutex::default() }
    }

    /// What is known of a member of whom the vendor said at `vouched` that the membership is active. Of all who look up
    /// the same member one is told to ask. As long as the answer is not due, this takes no lock.
    #[must_use]
    pub fn look_up(&self, member: &Member, vouched: UnixTime, now: UnixTime) -> Known {
        if !self.is_due(vouched, now) {
            return Known { verdict: Verdict::Active(vouched), ask: false };
        }
        let mut memory = self.memory();
        let is_paused = memory.paused_until.is_some_and(|until| now < until);
        let record = memory.record(self.subject_of(member), self.policy.recheck, now);
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

    /// Asks the vendor, and remembers what it says.
    ///
    /// # Errors
    /// Where there is no answer. The vendor is then left alone for a while by all who need not wait for it.
    pub async fn ask(&self, member: &Member, now: UnixTime) -> Result<Standing, ProviderError> {
        let answer = self.vendor.standing(self.policy.subject, member).await;
        let mut memory = self.memory();
        match &answer {
            Ok(standing) => {
                memory.paused_until = None;
                let record = memory.record(self.subject_of(member), self.policy.recheck, now);
                *record = Record { answer: Some((*standing, now)), asked: None };
            }
            Err(error) => memory.paused_until = Some(now.plus(pause_after(error))),
        }
        answer
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
                Ok(at)
            }
            Some((Standing::Active | Standing::Lapsed, _)) | None => Err(error),
        }
    }

    fn is_due(&self, vouched: UnixTime, now: UnixTime) -> bool {
        now.since(vouched) >= self.policy.recheck
    }

    fn subject_of(&self, member: &Member) -> Bytes {
        match self.policy.subject {
            Subject::Member => member.id.to_bytes(),
            Subject::Unit => member.unit_id.to_bytes(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics while it holds this lock")
    }
}

impl Memory {
    /// The record of a member. Where there are too many, those go that nobody could do without: their answers are due
    /// anyway, and the sessions remember when they were last good.
    fn record(&mut self, subject: Bytes, recheck: Duration, now: UnixTime) -> &mut Record {
        if self.records.len() >= MOST && !self.records.contains_key(&subject) {
            self.records.retain(|_, record| record.answer.is_some_and(|(_, at)| now.since(at) < recheck));
            if self.records.len() >= MOST {
                self.records.clear();
            }
        }
        self.records.entry(subject).or_default()
    }
}

fn pause_after(error: &ProviderError) -> Duration {
    match error {
        ProviderError::Busy { retry_after: Some(seconds), .. } => {
            Duration::from_secs(*seconds).clamp(PAUSE, LONGEST_PAUSE)
        }
        ProviderError::Busy { retry_after: None, .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::ClientRefused { .. }
        | ProviderError::Unintelligible { .. }
        | ProviderError::CodeRefused
        | ProviderError::NoIdentity { .. }
        | ProviderError::NotInDirectory
        | ProviderError::AmbiguousInDirectory
        | ProviderError::Lapsed => PAUSE,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::member::{MemberId, MemberUnitId, Profile, ProviderName};

    const LOGIN: UnixTime = UnixTime(1_795_300_000);
    const HOUR: u64 = 3600;

    /// Says what it was told to say, in that order.
    struct Vendor(Mutex<VecDeque<Result<Standing, ProviderError>>>);

    impl Membership for Vendor {
        fn standing<'a>(
            &'a self,
            _: Subject,
            _: &'a Member,
        ) -> BoxFuture<'a, Result<Standing, ProviderError>> {
            let answer = self.0.lock().unwrap().pop_front().expect("asked once too often");
            Box::pin(async { answer })
        }
    }

    fn memberships(
        answers: impl IntoIterator<Item = Result<Standing, ProviderError>>,
        subject: Subject,
    ) -> Memberships {
        let (recheck, grace) = (Duration::from_secs(HOUR), Duration::from_secs(24 * HOUR));
        let vendor = Arc::new(Vendor(Mutex::new(answers.into_iter().collect())));
        Memberships::new(vendor, Policy { subject, recheck, grace })
    }

    fn member(id: &str) -> Member {
        Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new(id.to_owned()).unwrap(),
            unit_id: MemberUnitId::new("400007995").unwrap(),
            profile: Profile::default(),
        }
    }

    fn busy(retry_after: Option<u64>) -> Result<Standing, ProviderError> {
        Err(ProviderError::Busy { endpoint: "member resource", status: 503, retry_after })
    }

    fn after(seconds: u64) -> UnixTime {
        LOGIN.plus(Duration::from_secs(seconds))
    }

    fn active(vouched: UnixTime, ask: bool) -> Known {
        Known { verdict: Verdict::Active(vouched), ask }
    }

    #[test]
    fn an_answer_counts_until_it_is_due_and_then_one_asks_for_all() {
        let memberships = memberships([], Subject::Member);
        let rosa = member("400007995-00");
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR - 1)), active(LOGIN, false));
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR)), active(LOGIN, true));
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR)), active(LOGIN, false));
        assert_eq!(memberships.look_up(&member("400007995-01"), LOGIN, after(HOUR)), active(LOGIN, true));
        // Whoever was told to ask has gone.
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR + 60)), active(LOGIN, true));
    }

    #[tokio::test]
    async fn a_new_answer_takes_the_place_of_the_old_one() {
        let memberships = memberships([Ok(Standing::Active), Ok(Standing::Lapsed)], Subject::Member);
        let rosa = member("400007995-00");
        memberships.ask(&rosa, after(HOUR)).await.unwrap();
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR)), active(after(HOUR), false));
        memberships.ask(&rosa, after(2 * HOUR)).await.unwrap();
        let lapsed = Known { verdict: Verdict::Lapsed, ask: false };
        assert_eq!(memberships.look_up(&rosa, after(HOUR), after(2 * HOUR)), lapsed);
        assert!(memberships.knows_lapsed(&rosa, after(HOUR), after(2 * HOUR)));
        // Somebody who has signed in since is not held to what was said before.
        assert_eq!(
            memberships.look_up(&rosa, after(3 * HOUR), after(4 * HOUR)),
            active(after(3 * HOUR), true)
        );
    }

    #[tokio::test]
    async fn one_answer_about_a_unit_is_one_about_each_of_its_members() {
        let memberships = memberships([Ok(Standing::Lapsed)], Subject::Unit);
        memberships.ask(&member("400007995-00"), after(HOUR)).await.unwrap();
        let jin = memberships.look_up(&member("400007995-01"), LOGIN, after(HOUR));
        assert_eq!(jin.verdict, Verdict::Lapsed);
    }

    #[tokio::test]
    async fn while_the_vendor_is_down_it_is_left_alone_and_the_last_answer_counts_up_to_the_grace() {
        let memberships = memberships([busy(None), busy(Some(120))], Subject::Member);
        let rosa = member("400007995-00");
        memberships.ask(&rosa, after(HOUR)).await.unwrap_err();
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR + 29)), active(LOGIN, false));
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR + 30)), active(LOGIN, true));
        memberships.ask(&rosa, after(HOUR + 30)).await.unwrap_err();
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR + 149)), active(LOGIN, false));
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(25 * HOUR - 1)).verdict, Verdict::Active(LOGIN));
        let unknown = Known { verdict: Verdict::Unknown, ask: true };
        assert_eq!(memberships.look_up(&rosa, LOGIN, after(25 * HOUR)), unknown);
    }

    #[tokio::test]
    async fn at_the_login_the_last_good_answer_counts_where_there_is_one() {
        let answers = [Ok(Standing::Lapsed), busy(None), Ok(Standing::Active), busy(None), busy(None)];
        let memberships = memberships(answers, Subject::Member);
        let rosa = member("400007995-00");
        assert!(matches!(memberships.at_login(&rosa, LOGIN).await, Err(ProviderError::Lapsed)));
        assert!(matches!(memberships.at_login(&rosa, LOGIN).await, Err(ProviderError::Busy { .. })));
        assert_eq!(memberships.at_login(&rosa, after(HOUR)).await.unwrap(), after(HOUR));
        assert_eq!(memberships.at_login(&rosa, after(2 * HOUR)).await.unwrap(), after(HOUR));
        assert!(memberships.at_login(&rosa, after(26 * HOUR)).await.is_err());
    }

    #[test]
    fn however_many_members_there_are_memory_is_bounded() {
        let memberships = memberships([], Subject::Member);
        for index in 0..MOST + 10 {
            let _ = memberships.look_up(&member(&index.to_string()), LOGIN, after(HOUR));
        }
        assert!(memberships.memory().records.len() <= MOST);
    }
}
