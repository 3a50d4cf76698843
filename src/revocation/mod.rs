//! Revocation: sessions that end before their time.
//!
//! A session lives in a cookie, so nobody can take it back. What can be kept is who may not come in with one any more: this
//! session, or all that a member, a unit or everybody began up to an instant. That is little, it is asked of memory for each
//! request and never of a disk or a network, and it is forgotten when the last session that it could end is too old anyway.
//!
//! Whoever signs in afterwards has a new session, which holds: it begins after the instant up to which they end.

mod entry;
mod file;
mod keeper;
mod known;
pub mod redis;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, watch};

use crate::member::{Member, MemberId, MemberUnitId, ProviderName};
use crate::session::seal::Seal;
use crate::session::{Session, SessionId};
use crate::time::{Clock, UnixTime};
use keeper::{Condition, Duty, Keeper};
pub use keeper::{NotKept, Reach};
use known::Known;

/// How much faster than ours a clock may go that has dated a session: half of what a session may come from the future, so
/// that one which begins after a revocation still counts everywhere.
const LEEWAY: Duration = Duration::from_secs(30);
/// How long members go on without the store where they are to be refused without it.
const GRACE: Duration = Duration::from_secs(60);
/// What time is counted in.
const SECOND: Duration = Duration::from_secs(1);
/// How long the start waits for a Redis.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose sessions end.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Everybody's.
    Everybody,
    /// Those of one person.
    Member(MemberId),
    /// Those of one unit.
    Unit(MemberUnitId),
    /// This one, whenever it began.
    Session(SessionId),
}

impl Target {
    /// What it is, without saying who.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Everybody => Kind::Everybody,
            Self::Member(_) => Kind::Member,
            Self::Unit(_) => Kind::Unit,
            Self::Session(_) => Kind::Session,
        }
    }
}

/// Ids of members reach no log.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().name())
    }
}

/// What kind of target it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everybody.
    Everybody,
    /// One person.
    Member,
    /// One unit.
    Unit,
    /// One session.
    Session,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Everybody, Self::Member, Self::Unit, Self::Session];

    /// As it stands in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Everybody => "all",
            Self::Member => "member",
            Self::Unit => "unit",
            Self::Session => "session",
        }
    }
}

/// Sessions end that began up to an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub target: Target,
    /// Only sessions of this provider's members. A session that is named needs nobody to vouch for it.
    pub provider: Option<ProviderName>,
    /// When they were ended.
    pub at: UnixTime,
}

impl Revocation {
    /// The last instant at which a session can have begun that it ends.
    const fn last(&self) -> UnixTime {
        self.at.plus(LEEWAY)
    }

    /// The revocation of which that is the last instant.
    const fn until(target: Target, provider: Option<ProviderName>, last: UnixTime) -> Self {
        Self { target, provider, at: UnixTime(last.0.saturating_sub(LEEWAY.as_secs())) }
    }
}

/// Where revocations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Nowhere but in memory: a restart forgets them.
    Memory,
    /// In a file, over a restart.
    File(PathBuf),
    /// In a Redis, over a restart, and for all gateways that share it.
    Redis(redis::Address),
}

impl Store {
    /// Whether it is there and can be used, as far as that can be told without changing anything.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn is_there(&self) -> io::Result<()> {
        match self {
            Self::Memory => Ok(()),
            Self::File(path) => file::can_be_used(path),
            Self::Redis(address) => address.answers().await,
        }
    }
}

/// What becomes of members while the store is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// They go on, and what is known counts.
    Serve,
    /// After a minute they do not.
    Refuse,
}

/// How revocations are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where.
    pub store: Store,
    /// What becomes of members while that is lost.
    pub outage: Outage,
    /// With which keys.
    pub seal: Seal,
    /// No session becomes older, so a revocation that is older ends nothing and is forgotten.
    pub max_age: Duration,
}

/// What everything here shares.
#[derive(Debug)]
struct Shared {
    known: Known,
    /// In seconds.
    max_age: AtomicU64,
    changes: watch::Sender<()>,
    condition: Condition,
    refuses_when_lost: AtomicBool,
    /// Only where there is a keeper.
    seal: ArcSwapOption<Seal>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            known: Known::default(),
            max_age: AtomicU64::new(u64::MAX),
            changes: watch::Sender::new(()),
            condition: Condition::default(),
            refuses_when_lost: AtomicBool::new(false),
            seal: ArcSwapOption::empty(),
        }
    }
}

impl Shared {
    /// Takes settings over, and says whether they have other keys than the ones before.
    fn take(&self, settings: &Settings) -> bool {
        self.max_age.store(settings.max_age.as_secs(), Ordering::Relaxed);
        self.refuses_when_lost.store(settings.outage == Outage::Refuse, Ordering::Relaxed);
        let before = self.seal.swap(Some(Arc::new(settings.seal.clone())));
        !before.is_some_and(|before| before.is_like(&settings.seal))
    }

    /// When the oldest session began that can be there.
    fn oldest(&self, now: UnixTime) -> UnixTime {
        UnixTime(now.0.saturating_sub(self.max_age.load(Ordering::Relaxed)))
    }

    fn learn(&self, revocations: Vec<Revocation>, now: UnixTime) {
        if !revocations.is_empty() {
            self.known.learn(revocations, self.oldest(now));
            self.changes.send_replace(());
        }
    }

    fn all(&self, now: UnixTime) -> Vec<Revocation> {
        self.known.all(self.oldest(now))
    }

    fn length(&self) -> usize {
        Kind::ALL.into_iter().map(|kind| self.known.count(kind)).sum()
    }

    fn seal(&self) -> Arc<Seal> {
        self.seal.load_full().expect("there is a seal before there is a keeper")
    }
}

/// All that is known of sessions that have been ended, and the way to where it is kept.
#[derive(Debug, Default)]
pub struct Revocations {
    shared: Arc<Shared>,
    keeper: OnceLock<Keeper>,
    store: OnceLock<Store>,
    /// The latest instant at which a session has begun that began after a revocation.
    begun: AtomicU64,
}

impl Revocations {
    /// Keeps revocations from now on, and learns what is kept already. Once in the life of a process.
    ///
    /// # Errors
    /// Where they are kept in a file that cannot be read and written.
    pub fn begin(&self, settings: &Settings, clock: &Clock) -> io::Result<()> {
        self.shared.take(settings);
        let (sender, orders) = mpsc::unbounded_channel();
        let (first, begun) = std::sync::mpsc::sync_channel(1);
        let (shared, clock) = (Arc::clone(&self.shared), clock.clone());
        match settings.store.clone() {
            Store::Memory => {}
            Store::File(path) => {
                keeper::hire(move || file::keep(path, shared, orders, clock, first))?;
                begun.recv().map_err(io::Error::other)??;
                let _ = self.keeper.set(Keeper(sender));
            }
            Store::Redis(address) => {
                shared.condition.begin();
                keeper::hire(move || redis::work(address, shared, orders, clock, first))?;
                let _ = self.keeper.set(Keeper(sender));
                // Members are refused until it is reached; a moment's patience spares them that.
                if begun.recv_timeout(PATIENCE).is_err() {
                    tracing::warn!(
                        "the store of revocations has not been reached: members are refused until it is"
                    );
                }
            }
        }
        let _ = self.store.set(settings.store.clone());
        Ok(())
    }

    /// Goes on with these settings, but for the store. Where the keys are others, all that is known is written anew, so that
    /// an old key can go.
    pub fn go_on(&self, settings: &Settings) {
        let has_other_keys = self.shared.take(settings);
        if let Some(keeper) = self.keeper.get().filter(|_| has_other_keys) {
            keeper.reseal();
        }
    }

    /// Whether this is where revocations are kept.
    #[must_use]
    pub fn are_kept_in(&self, store: &Store) -> bool {
        self.store.get() == Some(store)
    }

    /// Whether somebody has ended this session. It takes no lock and waits for nobody.
    #[must_use]
    pub fn have_ended(&self, session: &Session) -> bool {
        self.shared.known.have_ended(session)
    }

    /// Whether what is known is enough to let members in. It takes no lock either.
    #[must_use]
    pub fn are_known(&self, now: UnixTime) -> bool {
        match self.shared.condition.reach() {
            Reach::There => true,
            Reach::NotYet => false,
            Reach::Lost(at) => {
                !self.shared.refuses_when_lost.load(Ordering::Relaxed) || now.since(at) < GRACE
            }
        }
    }

    /// Whether the store is there.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.shared.condition.reach()
    }

    /// How many sign-outs wait for the store to be there again.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.condition.waiting()
    }

    /// When a session begins whose member signs in now: after whatever has ended the ones before.
    #[must_use]
    pub fn beginning(&self, member: &Member, now: UnixTime) -> UnixTime {
        let Some(until) = self.shared.known.latest(member).filter(|until| *until >= now) else { return now };
        let beginning = until.plus(SECOND);
        self.begun.fetch_max(beginning.0, Ordering::Relaxed);
        beginning
    }

    /// Ends sessions, from the next request on.
    ///
    /// # Errors
    /// Where that could not be kept; then nobody's session has ended.
    pub async fn revoke(&self, mut revocation: Revocation) -> Result<(), NotKept> {
        // Somebody may have signed in again within this second. What begins afterwards must still count at once.
        let begun = self.begun.load(Ordering::Relaxed).saturating_sub(LEEWAY.as_secs());
        let latest = revocation.at.plus(LEEWAY - SECOND);
        revocation.at = revocation.at.max(UnixTime(begun).min(latest));
        match self.keeper.get() {
            Some(keeper) => keeper.keep(revocation, Duty::Now).await,
            None => {
                let now = revocation.at;
                self.shared.learn(vec![revocation], now);
                Ok(())
            }
        }
    }

    /// Ends the session of a member who signs out, here at once.
    ///
    /// # Errors
    /// Where that could not be kept yet: until it is, others know nothing of it, and neither does this process after a
    /// restart.
    pub async fn sign_out(&self, session: SessionId, now: UnixTime) -> Result<(), NotKept> {
        let revocation = Revocation { target: Target::Session(session), provider: None, at: now };
        self.shared.learn(vec![revocation.clone()], now);
        match self.keeper.get() {
            Some(keeper) => keeper.keep(revocation, Duty::Eventually).await,
            None => Ok(()),
        }
    }

    /// Hears whenever sessions have been ended.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }

    /// How many of each kind are known.
    #[must_use]
    pub fn known(&self) -> [(Kind, usize); 4] {
        Kind::ALL.map(|kind| (kind, self.shared.known.count(kind)))
    }
}
