//! What is promised of memberships, with vendors that say what they are told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::memory::{MOST, PAUSE};
use super::*;
use crate::member::{MemberId, MemberUnitId, Profile};

const LOGIN: UnixTime = UnixTime(1_795_300_000);
const HOUR: u64 = 3600;

/// Says what it was told to say, in that order.
struct Vendor(Mutex<VecDeque<Result<Standing, ProviderError>>>);

impl Membership for Vendor {
    fn standing<'a>(&'a self, _: Subject, _: &'a Member) -> BoxFuture<'a, Result<Standing, ProviderError>> {
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
    fn standing<'a>(&'a self, _: Subject, _: &'a Member) -> BoxFuture<'a, Result<Standing, ProviderError>> {
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

/// Memberships of a slow vendor, and what makes it say to the first who asks what it is told.
fn slow() -> (tokio::sync::oneshot::Sender<Standing>, Memberships) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let vendor = Arc::new(Slow(Mutex::new(Some(receiver))));
    (sender, Memberships::new(vendor, policy(Subject::Member), Remembered::default()))
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
    assert_eq!(memberships.look_up(&rosa, after(3 * HOUR), after(4 * HOUR)), active(after(3 * HOUR), true));
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
    let odd = || Err(ProviderError::Unintelligible { endpoint: "unit's record", what: "it does not say" });
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
    let (sender, memberships) = slow();
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
    let (sender, memberships) = slow();
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

/// Counts who asks at the same time. It says to each that the membership is active, or that it has too much to do.
#[derive(Default)]
struct Crowded {
    is_down: bool,
    asked: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Membership for Crowded {
    fn standing<'a>(&'a self, _: Subject, _: &'a Member) -> BoxFuture<'a, Result<Standing, ProviderError>> {
        Box::pin(async {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.most.fetch_max(self.under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            // All who may come in do so before anybody has an answer.
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            if self.is_down { busy(None) } else { Ok(Standing::Active) }
        })
    }
}

/// Three times as many members as may be asked about at the same time, all due; the vendor when all of them are done.
async fn all_are_due(is_down: bool, is_waited_for: bool) -> Arc<Crowded> {
    let vendor = Arc::new(Crowded { is_down, ..Crowded::default() });
    let memberships =
        Memberships::new(Arc::clone(&vendor) as _, policy(Subject::Member), Remembered::default());
    let members: Vec<Member> = (0..3 * QUESTIONS).map(|number| member(&format!("member-{number}"))).collect();
    let now = after(HOUR);
    futures_util::future::join_all(members.iter().map(async |member| {
        if is_waited_for {
            memberships.ask(member, now).await.ok()
        } else {
            memberships.ask_unless_paused(member, now).await.ok().flatten()
        }
    }))
    .await;
    vendor
}

#[tokio::test]
async fn so_many_questions_are_under_way_and_the_others_wait_for_their_turn() {
    for is_waited_for in [false, true] {
        let vendor = all_are_due(false, is_waited_for).await;
        assert_eq!(vendor.most.load(Ordering::Relaxed), QUESTIONS);
        assert_eq!(vendor.asked.load(Ordering::Relaxed), 3 * QUESTIONS, "and all are answered");
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_is_not_asked_of_a_vendor_that_fails_meanwhile() {
    let vendor = all_are_due(true, false).await;
    assert_eq!(vendor.asked.load(Ordering::Relaxed), QUESTIONS);
}
