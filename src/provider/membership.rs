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

use self::memory::{Memory, Record, is_about_one, pause_after};
use super::{BoxFuture, ProviderError};
use crate::member::{Member, ProviderName};
use crate::time::UnixTime;

/// How long one who asks is waited for before somebody else may; longer than any answer can take.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many answers can be waited for at the same time.
const TURNS: usize = 64;

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
}

impl Default for Remembered {
    fn default() -> Self {
        let turns = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self(Arc::new(Shared { memory: Mutex::default(), turns, hasher: RandomState::new() }))
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
mod tests {
    use std::collections::VecDeque;

    use super::memory::{MOST, PAUSE};
    use super::*;
    use crate::member::{MemberId, MemberUnitId, Profile};

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
            Box::pin(async {
                tokio::task::yield_now().await;
                answer
            })
        }
    }

    /// Says to the first who asks what it is told to say later, and to all others that the membership has ended.
    struct Slow(Mutex<Option<tokio::sync::oneshot::Receiver<Standing>>>);

    impl Membership for Slow {
        fn standing<'a>(
            &'a self,
            _: Subject,
            _: &'a Member,
        ) -> BoxFuture<'a, Result<Standing, ProviderError>> {
            let later = self.0.lock().unwrap().take();
            Box::pin(async {
                match later {
                    Some(answer) => Ok(answer.await.unwrap()),
                    None => Ok(Standing::Lapsed),
                }
            })
        }
    }

    fn policy(subject: Subject) -> Policy {
        Policy { subject, recheck: Duration::from_secs(HOUR), grace: Duration::from_secs(24 * HOUR) }
    }

    fn memberships(
        answers: impl IntoIterator<Item = Result<Standing, ProviderError>>,
        subject: Subject,
    ) -> Memberships {
        let vendor = Arc::new(Vendor(Mutex::new(answers.into_iter().collect())));
        Memberships::new(vendor, policy(subject), Remembered::default())
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

    #[tokio::test]
    async fn one_record_that_makes_no_sense_keeps_nobody_else_from_being_asked_about() {
        let odd =
            || Err(ProviderError::Unintelligible { endpoint: "unit's record", what: "it does not say" });
        let memberships = memberships([odd(), odd(), odd()], Subject::Member);
        let [rosa, jin] = ["400007995-00", "400007995-01"].map(member);
        let again = after(26 * HOUR);
        memberships.ask(&rosa, again).await.unwrap_err();
        memberships.ask(&rosa, again).await.unwrap_err();

        assert_eq!(memberships.look_up(&jin, LOGIN, again), Known { verdict: Verdict::Unknown, ask: true });
        assert!(!memberships.look_up(&rosa, LOGIN, again).ask, "about her it is not asked over and over");
        assert!(memberships.look_up(&rosa, LOGIN, again.plus(PAUSE)).ask);

        // Two in a row: it is the vendor that has changed.
        memberships.ask(&jin, again).await.unwrap_err();
        assert!(!memberships.look_up(&member("400007995-02"), LOGIN, again).ask);
    }

    #[tokio::test]
    async fn of_two_answers_that_of_whoever_asked_last_counts_in_whatever_order_they_come() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let memberships = Memberships::new(
            Arc::new(Slow(Mutex::new(Some(receiver)))),
            policy(Subject::Member),
            Remembered::default(),
        );
        let rosa = member("400007995-00");
        let (first, second) = tokio::join!(memberships.ask(&rosa, after(HOUR)), async {
            let second = memberships.ask(&rosa, after(HOUR + 1)).await;
            sender.send(Standing::Active).unwrap();
            second
        });
        assert_eq!((first.unwrap(), second.unwrap()), (Standing::Lapsed, Standing::Lapsed));

        assert_eq!(memberships.look_up(&rosa, LOGIN, after(HOUR + 2)).verdict, Verdict::Lapsed);
    }

    #[tokio::test]
    async fn nobody_is_signed_in_on_an_answer_that_a_later_one_has_overtaken() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let memberships = Memberships::new(
            Arc::new(Slow(Mutex::new(Some(receiver)))),
            policy(Subject::Member),
            Remembered::default(),
        );
        let rosa = member("400007995-00");
        let (login, _) = tokio::join!(memberships.at_login(&rosa, after(HOUR)), async {
            memberships.ask(&rosa, after(HOUR + 1)).await.unwrap();
            sender.send(Standing::Active).unwrap();
        });
        assert!(matches!(login, Err(ProviderError::Lapsed)), "{login:?}");
    }

    #[tokio::test]
    async fn all_who_wait_for_an_answer_wait_for_the_same_one() {
        let memberships = memberships([Ok(Standing::Active), busy(None)], Subject::Member);
        let [rosa, jin] = ["400007995-00", "400007995-01"].map(member);
        let now = after(26 * HOUR);
        for (member, expected) in [(&rosa, Some(Verdict::Active(now))), (&jin, None)] {
            let ask = || memberships.ask_in_turn(member, LOGIN, now);
            let (one, two, three) = tokio::join!(ask(), ask(), ask());
            assert_eq!(one.ok(), expected);
            for other in [two, three] {
                assert_eq!(other.unwrap(), expected.unwrap_or(Verdict::Unknown), "of {member:?}");
            }
        }
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
