//! What is known, in memory: looked up for each request, changed now and then.
//!
//! A look-up takes no lock. Each map is cut into shards, and a shard is never changed but exchanged for a changed copy: so
//! a look-up costs the same among ten and a million, and a change copies some hundreds of entries and never all of them.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::{Kind, Revocation, Target};
use crate::member::{Member, MemberId, MemberUnitId, ProviderName};
use crate::session::{Session, SessionId};
use crate::time::UnixTime;

/// Of a million entries a shard has a thousand. A power of two.
const SHARDS: usize = 1024;

/// Which sessions have been ended.
pub(super) struct Known {
    everybody: Shards<(), Cuts>,
    members: Shards<MemberId, Cuts>,
    units: Shards<MemberUnitId, Cuts>,
    sessions: Shards<SessionId, UnixTime>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            everybody: Shards::new(1),
            members: Shards::new(SHARDS),
            units: Shards::new(SHARDS),
            sessions: Shards::new(SHARDS),
        }
    }
}

impl Known {
    pub(super) fn have_ended(&self, session: &Session) -> bool {
        self.sessions.with(&session.id, |_| ()).is_some()
            || self.latest(&session.member).is_some_and(|until| session.created <= until)
    }

    /// The last instant up to which sessions of this member have been ended.
    pub(super) fn latest(&self, member: &Member) -> Option<UnixTime> {
        let by = |cuts: &Cuts| cuts.by(&member.provider);
        let everybody = self.everybody.with(&(), by).flatten();
        let own = self.members.with(&member.id, by).flatten();
        let unit = self.units.with(&member.unit_id, by).flatten();
        everybody.max(own).max(unit)
    }

    /// Adds to it, and forgets what ends nothing that began after `oldest`.
    pub(super) fn learn(&self, revocations: impl IntoIterator<Item = Revocation>, oldest: UnixTime) {
        let (mut everybody, mut members, mut units, mut sessions) = (vec![], vec![], vec![], vec![]);
        for revocation in revocations {
            let until = revocation.last();
            let cut = (revocation.provider, until);
            match revocation.target {
                Target::Everybody => everybody.push(((), cut)),
                Target::Member(id) => members.push((id, cut)),
                Target::Unit(id) => units.push((id, cut)),
                Target::Session(id) => sessions.push((id, until)),
            }
        }
        let add = |cuts: &mut Cuts, (provider, until)| cuts.add(provider, until);
        let lasts = |cuts: &mut Cuts| cuts.last_beyond(oldest);
        self.everybody.learn(everybody, add, lasts);
        self.members.learn(members, add, lasts);
        self.units.learn(units, add, lasts);
        self.sessions.learn(sessions, |known, until| *known = until.max(*known), |until| *until >= oldest);
    }

    /// Everything that may end a session that began at `oldest` or later.
    pub(super) fn all(&self, oldest: UnixTime) -> Vec<Revocation> {
        let mut all = Vec::new();
        let mut add = |target: Target, provider: Option<ProviderName>, until: UnixTime| {
            if until >= oldest {
                all.push(Revocation::until(target, provider, until));
            }
        };
        let mut add_cuts = |target: Target, cuts: &Cuts| {
            if let Some(until) = cuts.anywhere {
                add(target.clone(), None, until);
            }
            for (provider, until) in &cuts.at {
                add(target.clone(), Some(provider.clone()), *until);
            }
        };
        self.everybody.each(|(), cuts| add_cuts(Target::Everybody, cuts));
        self.members.each(|id, cuts| add_cuts(Target::Member(id.clone()), cuts));
        self.units.each(|id, cuts| add_cuts(Target::Unit(id.clone()), cuts));
        self.sessions.each(|id, until| add(Target::Session(*id), None, *until));
        all
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Everybody => self.everybody.len(),
            Kind::Member => self.members.len(),
            Kind::Unit => self.units.len(),
            Kind::Session => self.sessions.len(),
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Kind::ALL.map(|kind| (kind, self.count(kind)))).finish()
    }
}

/// Up to when sessions have been ended: at whichever provider, and at those that were named.
#[derive(Clone, Debug, Default)]
struct Cuts {
    anywhere: Option<UnixTime>,
    at: Vec<(ProviderName, UnixTime)>,
}

impl Cuts {
    fn by(&self, provider: &ProviderName) -> Option<UnixTime> {
        let named = self.at.iter().find(|(name, _)| name == provider).map(|(_, until)| *until);
        self.anywhere.max(named)
    }

    fn add(&mut self, provider: Option<ProviderName>, until: UnixTime) {
        let Some(provider) = provider else {
            self.anywhere = self.anywhere.max(Some(until));
            return;
        };
        match self.at.iter_mut().find(|(name, _)| *name == provider) {
            Some((_, known)) => *known = until.max(*known),
            None => self.at.push((provider, until)),
        }
    }

    /// Forgets what is older than that, and says whether anything is left.
    fn last_beyond(&mut self, oldest: UnixTime) -> bool {
        self.anywhere = self.anywhere.filter(|until| *until >= oldest);
        self.at.retain(|(_, until)| *until >= oldest);
        self.anywhere.is_some() || !self.at.is_empty()
    }
}

/// A map that is read by many at every moment and written by one now and then.
struct Shards<K, V> {
    shards: Box<[ArcSwapOption<HashMap<K, V>>]>,
    hasher: RandomState,
    /// Nearly everywhere nothing is known, and then nothing is looked up.
    length: AtomicUsize,
    /// Those who write take turns.
    turn: Mutex<()>,
}

impl<K: Clone + Eq + Hash, V: Clone + Default> Shards<K, V> {
    fn new(number: usize) -> Self {
        let shards = std::iter::repeat_with(ArcSwapOption::empty).take(number).collect();
        Self { shards, hasher: RandomState::new(), length: AtomicUsize::new(0), turn: Mutex::new(()) }
    }

    fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    fn index<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        // The upper half: the maps themselves go by the lower.
        usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default() & (self.shards.len() - 1)
    }

    /// What `read` makes of the value, where there is one.
    fn with<Q, R>(&self, key: &Q, read: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if self.len() == 0 {
            return None;
        }
        let shard = self.shards[self.index(key)].load();
        shard.as_ref()?.get(key).map(read)
    }

    fn each(&self, mut see: impl FnMut(&K, &V)) {
        for shard in self.shards.iter().filter_map(ArcSwapOption::load_full) {
            shard.iter().for_each(|(key, value)| see(key, value));
        }
    }

    /// Adds to the values of these keys. Whatever does not last is left out of the shards that are touched.
    fn learn<C>(&self, changes: Vec<(K, C)>, add: impl Fn(&mut V, C), mut lasts: impl FnMut(&mut V) -> bool) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_shard: HashMap<usize, Vec<(K, C)>> = HashMap::new();
        for (key, change) in changes {
            by_shard.entry(self.index(&key)).or_default().push((key, change));
        }
        for (index, changes) in by_shard {
            let before = self.shards[index].load_full();
            let mut shard = before.as_deref().cloned().unwrap_or_default();
            for (key, change) in changes {
                add(shard.entry(key).or_default(), change);
            }
            shard.retain(|_, value| lasts(value));
            let (fewer, more) = (before.map_or(0, |before| before.len()), shard.len());
            self.shards[index].store(Some(Arc::new(shard)));
            // In this order there is always something to be looked up where there is something.
            self.length.fetch_add(more, Ordering::Relaxed);
            self.length.fetch_sub(fewer, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{LEEWAY, Revocations};
    use super::*;
    use crate::member::Profile;

    const NOW: UnixTime = UnixTime(1_795_300_000);
    const MAX_AGE: Duration = Duration::from_secs(12 * 3600);

    fn provider(name: &str) -> ProviderName {
        ProviderName::new(name.to_owned()).unwrap()
    }

    fn member(provider_name: &str, id: &str, unit: &str) -> Member {
        Member {
            provider: provider(provider_name),
            id: MemberId::new(id.to_owned()).unwrap(),
            unit_id: MemberUnitId::new(unit.to_owned()).unwrap(),
            profile: Profile::default(),
        }
    }

    fn session(number: u8, member: Member, created: UnixTime) -> Session {
        Session::begin(SessionId([number; 16]), member, created, created)
    }

    fn rosa() -> Member {
        member("ymca", "400007995-00", "400007995")
    }

    fn end(revocations: &Revocations, revocation: Revocation) {
        let now = revocation.at;
        revocations.shared.learn(vec![revocation], now);
    }

    fn revoked(target: Target, provider: Option<ProviderName>) -> Revocations {
        let revocations = Revocations::default();
        end(&revocations, Revocation { target, provider, at: NOW });
        revocations
    }

    #[test]
    fn each_target_ends_the_sessions_it_names_and_no_others() {
        let others = [
            session(2, member("ymca", "400007995-01", "400007995"), NOW),
            session(3, member("rewards", "400007995-00", "other"), NOW),
            session(4, member("ymca", "300418822-01", "300418822"), NOW),
        ];
        let unit = || Target::Unit(rosa().unit_id);
        for (target, at, expected) in [
            (Target::Everybody, None, [true; 3]),
            (Target::Everybody, Some("ymca"), [true, false, true]),
            (Target::Member(rosa().id), None, [false, true, false]),
            (Target::Member(rosa().id), Some("ymca"), [false; 3]),
            (unit(), None, [true, false, false]),
            (unit(), Some("ymca"), [true, false, false]),
            (Target::Session(SessionId([1; 16])), None, [false; 3]),
        ] {
            let revocations = revoked(target.clone(), at.map(provider));
            assert!(revocations.have_ended(&session(1, rosa(), NOW)), "{target:?} {at:?}");
            let ended = others.each_ref().map(|session| revocations.have_ended(session));
            assert_eq!(ended, expected, "{target:?} {at:?}");
        }
    }

    #[test]
    fn what_names_another_provider_ends_nothing() {
        for target in [Target::Everybody, Target::Member(rosa().id), Target::Unit(rosa().unit_id)] {
            let revocations = revoked(target, Some(provider("rewards")));
            assert!(!revocations.have_ended(&session(1, rosa(), NOW)));
        }
    }

    #[test]
    fn a_session_that_a_faster_clock_has_dated_ends_too() {
        let revocations = revoked(Target::Member(rosa().id), None);
        assert!(revocations.have_ended(&session(1, rosa(), NOW.plus(LEEWAY))));
    }

    #[test]
    fn whoever_signs_in_afterwards_has_a_session_that_holds_at_once() {
        let revocations = revoked(Target::Member(rosa().id), None);
        let session = session(2, rosa(), revocations.beginning(&rosa(), NOW));
        let policy = crate::session::Policy { idle_timeout: Duration::from_secs(3600), max_age: MAX_AGE };
        assert!(!revocations.have_ended(&session));
        assert!(session.is_live_at(NOW, &policy), "{session:?}");
        let other = member("ymca", "300418822-01", "300418822");
        assert_eq!(revocations.beginning(&other, NOW), NOW);
        assert_eq!(revocations.beginning(&rosa(), NOW.plus(MAX_AGE)), NOW.plus(MAX_AGE));
    }

    #[tokio::test]
    async fn whoever_is_signed_out_again_within_the_same_second_is_signed_out() {
        let revocations = Revocations::default();
        for number in 0..10 {
            let target = Target::Member(rosa().id);
            revocations.revoke(Revocation { target, provider: None, at: NOW }).await.unwrap();
            let session = session(number, rosa(), revocations.beginning(&rosa(), NOW));
            assert!(!revocations.have_ended(&session), "{number}");
            let target = Target::Unit(rosa().unit_id);
            revocations.revoke(Revocation { target, provider: None, at: NOW }).await.unwrap();
            assert!(revocations.have_ended(&session), "{number}");
        }
    }

    #[test]
    fn a_later_revocation_counts_beside_an_earlier_one_in_whatever_order_they_come() {
        let times = [NOW, NOW.plus(Duration::from_secs(600))];
        for [first, second] in [times, [times[1], times[0]]] {
            let revocations = Revocations::default();
            for at in [first, second] {
                let target = Target::Unit(rosa().unit_id);
                end(&revocations, Revocation { target, provider: None, at });
            }
            assert!(revocations.have_ended(&session(1, rosa(), times[1])));
        }
    }

    #[test]
    fn what_can_end_nothing_any_more_is_forgotten() {
        let revocations = Revocations::default();
        revocations.shared.max_age.store(MAX_AGE.as_secs(), Ordering::Relaxed);
        let end_session = |number: u16, at: UnixTime| {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let target = Target::Session(SessionId(id));
            end(&revocations, Revocation { target, provider: None, at });
        };
        (0..5000).for_each(|number| end_session(number, NOW));
        assert_eq!(revocations.known()[3], (Kind::Session, 5000));
        (5000..10_000).for_each(|number| end_session(number, NOW.plus(MAX_AGE + LEEWAY + LEEWAY)));
        let left = revocations.known()[3].1;
        assert!((5000..5100).contains(&left), "{left}");
    }

    #[test]
    fn a_target_does_not_print_whom_it_names() {
        assert_eq!(format!("{:?}", Target::Member(rosa().id)), "member");
        assert!(!format!("{:?}", revoked(Target::Unit(rosa().unit_id), None)).contains("400007995"));
    }
}
