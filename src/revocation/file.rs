//! A file that keeps revocations over a restart: a line for each, sealed, and written to the end.
//!
//! Several processes can have the same file, as one does that takes over from another: who writes holds a lock, and each
//! looks now and then for what others have written. A line that a crash has torn is the last one, and nobody has been told
//! that it was kept. Where an earlier one is damaged nobody knows whom it named, so everybody's sessions end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::entry::{self, Entry};
use super::keeper::{Order, Outbox, Shared};
use super::{Revocation, Target};
use crate::session::seal::Seal;
use crate::time::{Clock, UnixTime};

/// How often is looked at what others have written.
const LOOK: Duration = Duration::from_millis(250);
/// How many lines there may be that end nothing any more, beside as many as do.
const MOST_DEAD: usize = 1000;
/// Longer than anybody holds the lock, and shorter than whoever waits for us.
const LOCK: Duration = Duration::from_secs(2);

/// The file, read up to some place.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    file: File,
    /// All before this has been read.
    read: u64,
    /// How many lines that are.
    lines: usize,
}

/// Whether the file can be read and written; where there is none yet, whether it has a folder to be in.
pub(super) fn can_be_used(path: &Path) -> io::Result<()> {
    match OpenOptions::new().read(true).append(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            fs::read_dir(folder.unwrap_or_else(|| Path::new("."))).map(|_| ())
        }
        Err(error) => Err(error),
    }
}

/// What was found in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    revocations: Vec<Revocation>,
    of_another_key: usize,
    damaged: usize,
}

impl Kept {
    /// Opens the file, or makes one that only we can read.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = opened(path)?;
        Ok(Self { path: path.to_owned(), file, read: 0, lines: 0 })
    }

    /// Reads on, and learns what is new. Whoever calls this holds the lock, or looks at it once more afterwards: what follows
    /// the last newline may be on its way still.
    fn read_on(&mut self, seal: &Seal) -> io::Result<Found> {
        self.file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let mut found = Found::default();
        for line in bytes[..whole].split_inclusive(|&byte| byte == b'\n') {
            let line = &line[..line.len() - 1];
            self.lines += 1;
            match Entry::read(&line[..line.len().min(entry::LONGEST)], seal) {
                Entry::Of(revocation) => found.revocations.push(revocation),
                Entry::OfAnotherKey => found.of_another_key += 1,
                Entry::Damaged => found.damaged += 1,
            }
        }
        self.read += whole as u64;
        Ok(found)
    }

    /// Whether somebody has written since it was read, or has put another file in its place.
    fn has_changed(&self) -> io::Result<bool> {
        Ok(!self.is_in_place()? || self.file.metadata()?.len() > self.read)
    }

    fn is_in_place(&self) -> io::Result<bool> {
        let (ours, there) = (self.file.metadata()?, fs::metadata(&self.path));
        Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
    }

    /// Takes the lock, of the file that is in place by then.
    async fn lock(&mut self) -> io::Result<()> {
        let since = tokio::time::Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) if self.is_in_place()? => return Ok(()),
                Ok(()) => {
                    self.file.unlock()?;
                    *self = Self::open(&self.path)?;
                }
                Err(TryLockError::WouldBlock) if since.elapsed() < LOCK => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Cuts off what a crash has torn. Whoever calls this holds the lock, so that nobody is about to write the rest.
    fn cut_torn(&self) -> io::Result<()> {
        if self.file.metadata()?.len() > self.read {
            tracing::warn!(file = %self.path.display(), "the last revocation was not written to its end, and is left out");
            self.file.set_len(self.read)?;
        }
        Ok(())
    }

    /// Writes to the end, and sees to it that it stays.
    fn append(&mut self, revocations: &[Revocation], seal: &Seal) -> io::Result<()> {
        let mut text = String::new();
        for revocation in revocations {
            text.push_str(&entry::sealed(revocation, seal));
            text.push('\n');
        }
        self.file.seek(SeekFrom::Start(self.read))?;
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line would be damage to whoever writes next.
            let _ = self.file.set_len(self.read);
            return Err(error);
        }
        self.read += text.len() as u64;
        self.lines += revocations.len();
        Ok(())
    }

    /// Puts a file in its place that holds these and nothing else.
    fn rewrite(&mut self, revocations: &[Revocation], seal: &Seal) -> io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        // Of a crash; whoever writes one holds the lock.
        let _ = fs::remove_file(&new);
        let mut next = Self { path: self.path.clone(), file: opened(&new)?, read: 0, lines: 0 };
        // Whoever finds it in place finds it locked, until this is done.
        next.file.lock()?;
        next.append(revocations, seal)?;
        next.file.sync_all()?;
        fs::rename(&new, &self.path)?;
        sync_folder(&self.path)?;
        *self = next;
        Ok(())
    }

    fn unlock(&self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the file of revocations stays locked");
        }
    }
}

fn opened(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if is_new {
        sync_folder(path)?;
    }
    Ok(file)
}

/// Sees to it that a name stays, too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Reads what is there at the start.
async fn begin(path: &Path, shared: &Shared, now: UnixTime) -> io::Result<Kept> {
    let mut kept = Kept::open(path)?;
    exchange(&mut kept, &mut Outbox::default(), shared, now).await?;
    Ok(kept)
}

/// Reads what is there, tells `first` how that went, and goes on.
pub(super) async fn keep(
    path: PathBuf,
    shared: Shared,
    orders: UnboundedReceiver<Order>,
    clock: Clock,
    first: SyncSender<io::Result<()>>,
) {
    let begun = begin(&path, &shared, clock.now()).await;
    match begun {
        Ok(kept) => {
            // Whoever has asked waits for it.
            let _ = first.send(Ok(()));
            drop(first);
            work(kept, shared, orders, clock).await;
        }
        Err(error) => {
            let _ = first.send(Err(error));
        }
    }
}

/// Keeps what it is told, and learns what others write.
async fn work(mut kept: Kept, shared: Shared, mut orders: UnboundedReceiver<Order>, clock: Clock) {
    let mut outbox = Outbox::default();
    loop {
        match tokio::time::timeout(LOOK, orders.recv()).await {
            Ok(Some(order)) => outbox.take(order),
            Ok(None) => return,
            Err(_) => {}
        }
        while let Ok(order) = orders.try_recv() {
            outbox.take(order);
        }
        let has_work = outbox.len() > 0 || outbox.reseal || kept.has_changed().unwrap_or(true);
        if !has_work {
            continue;
        }
        match exchange(&mut kept, &mut outbox, &shared, clock.now()).await {
            Ok(()) => shared.condition.reached(),
            Err(error) => {
                shared.condition.lost(&error, clock.now());
                outbox.not_kept();
            }
        }
        shared.condition.set_waiting(outbox.len());
    }
}

/// Reads what others have written, and writes what is to be kept.
async fn exchange(kept: &mut Kept, outbox: &mut Outbox, shared: &Shared, now: UnixTime) -> io::Result<()> {
    kept.lock().await?;
    let exchanged = exchange_locked(kept, outbox, shared, now);
    kept.unlock();
    exchanged
}

fn exchange_locked(kept: &mut Kept, outbox: &mut Outbox, shared: &Shared, now: UnixTime) -> io::Result<()> {
    let seal = shared.seal();
    let Found { mut revocations, of_another_key, damaged } = kept.read_on(&seal)?;
    if of_another_key > 0 {
        tracing::warn!(
            lines = of_another_key,
            "revocations are kept under a key that is not in session.keys: they end nothing here"
        );
    }
    if damaged > 0 {
        tracing::error!(
            lines = damaged,
            file = %kept.path.display(),
            "revocations are damaged, and nobody knows whom they named: all sessions end"
        );
        revocations.push(Revocation { target: Target::Everybody, provider: None, at: now });
    }
    shared.learn(revocations, now);
    kept.cut_torn()?;
    let new = outbox.revocations();
    let too_many_dead = kept.lines > 2 * shared.length() + MOST_DEAD;
    if outbox.reseal || damaged > 0 || too_many_dead {
        let mut all = shared.all(now);
        all.extend(new.iter().cloned());
        kept.rewrite(&all, &seal)?;
        outbox.reseal = false;
    } else if !new.is_empty() {
        kept.append(&new, &seal)?;
    }
    shared.learn(new, now);
    outbox.kept();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{KEY, seal};
    use super::super::keeper::{Duty, Keeper};
    use super::super::{Kind, Outage, Revocations, Settings, Store};
    use super::*;
    use crate::member::MemberId;
    use crate::session::SessionId;
    use crate::time::ManualClock;

    const NOW: UnixTime = UnixTime(1_795_300_000);
    const OTHER: [u8; 32] = *b"fedcba9876543210fedcba9876543210";

    fn settings(path: &Path, keys: &[[u8; 32]]) -> Settings {
        let max_age = Duration::from_secs(12 * 3600);
        Settings { store: Store::File(path.to_owned()), outage: Outage::Serve, seal: seal(keys), max_age }
    }

    /// A process that has the file, without its keeper.
    async fn process(path: &Path, keys: &[[u8; 32]], now: UnixTime) -> (Shared, Kept) {
        let shared = Shared::default();
        shared.take(&settings(path, keys));
        let kept = begin(path, &shared, now).await.unwrap();
        (shared, kept)
    }

    fn member(number: u32, at: UnixTime) -> Revocation {
        let target = Target::Member(MemberId::new(format!("{number}")).unwrap());
        Revocation { target, provider: None, at }
    }

    async fn keep(kept: &mut Kept, shared: &Shared, revocations: &[Revocation], now: UnixTime) {
        let mut outbox = Outbox::default();
        let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
        for revocation in revocations {
            let keeper = Keeper(sender.clone());
            // Nobody waits for the reply.
            let asked = keeper.keep(revocation.clone(), Duty::Eventually);
            let _ = tokio::time::timeout(Duration::ZERO, asked).await;
            outbox.take(orders.recv().await.unwrap());
        }
        exchange(kept, &mut outbox, shared, now).await.unwrap();
    }

    fn known(shared: &Shared) -> Vec<Revocation> {
        let mut all = shared.all(UnixTime(0));
        all.sort_by_key(|revocation| format!("{:?}", entry::tests::bytes(revocation)));
        all
    }

    #[tokio::test]
    async fn what_is_kept_is_known_after_a_restart_and_nobody_reads_it_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let everything = [
            member(400_007_995, NOW),
            Revocation { target: Target::Everybody, provider: None, at: NOW },
            Revocation { target: Target::Session(SessionId([3; 16])), provider: None, at: NOW },
        ];
        let (before, mut kept) = process(&path, &[KEY], NOW).await;
        keep(&mut kept, &before, &everything, NOW).await;

        let (after, _) = process(&path, &[KEY], NOW).await;

        assert_eq!((known(&after).len(), known(&after)), (3, known(&before)));
        assert!(!fs::read_to_string(&path).unwrap().contains("400007995"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_last_line_that_a_crash_has_torn_loses_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let (shared, mut kept) = process(&path, &[KEY], NOW).await;
        keep(&mut kept, &shared, &[member(1, NOW), member(2, NOW)], NOW).await;
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;

        for torn in [&whole[..first + 1], &whole[..whole.len() - 1], &[&whole[..first], &[0; 100]].concat()] {
            fs::write(&path, torn).unwrap();
            let (shared, mut kept) = process(&path, &[KEY], NOW).await;
            assert_eq!(known(&shared), [member(1, NOW)]);
            keep(&mut kept, &shared, &[member(3, NOW)], NOW).await;
            let (shared, _) = process(&path, &[KEY], NOW).await;
            assert_eq!(known(&shared), [member(1, NOW), member(3, NOW)]);
        }
    }

    #[tokio::test]
    async fn where_an_earlier_line_is_damaged_everybodys_sessions_end_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let (shared, mut kept) = process(&path, &[KEY], NOW).await;
        keep(&mut kept, &shared, &[member(1, NOW), member(2, NOW)], NOW).await;
        let mut damaged = fs::read(&path).unwrap();
        damaged[70] ^= 1;
        fs::write(&path, damaged).unwrap();

        let later = NOW.plus(Duration::from_secs(100));
        let everybody = Revocation { target: Target::Everybody, provider: None, at: later };
        for restart in [later, later.plus(Duration::from_secs(100))] {
            let (shared, _) = process(&path, &[KEY], restart).await;
            assert_eq!(known(&shared), [everybody.clone(), member(2, NOW)]);
        }
    }

    #[tokio::test]
    async fn processes_with_the_same_file_learn_from_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let (old, mut of_old) = process(&path, &[KEY], NOW).await;
        let (new, mut of_new) = process(&path, &[KEY], NOW).await;

        keep(&mut of_old, &old, &[member(1, NOW)], NOW).await;
        assert!(of_new.has_changed().unwrap());
        keep(&mut of_new, &new, &[member(2, NOW)], NOW).await;
        keep(&mut of_old, &old, &[], NOW).await;
        assert_eq!((known(&old).len(), known(&old)), (2, known(&new)));

        // One of them writes it anew, and the other still has the file of before.
        let mut outbox = Outbox::default();
        outbox.take(Order::Reseal);
        exchange(&mut of_new, &mut outbox, &new, NOW).await.unwrap();
        keep(&mut of_old, &old, &[member(3, NOW)], NOW).await;
        keep(&mut of_new, &new, &[], NOW).await;
        assert_eq!((known(&old).len(), known(&old)), (3, known(&new)));
        assert!(!of_old.has_changed().unwrap() && !of_new.has_changed().unwrap());
    }

    #[tokio::test]
    async fn a_file_whose_lines_have_mostly_expired_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let (shared, mut kept) = process(&path, &[KEY], NOW).await;
        let many: Vec<Revocation> = (0..2000).map(|_| member(1, NOW)).collect();
        keep(&mut kept, &shared, &many, NOW).await;
        keep(&mut kept, &shared, &[member(2, NOW)], NOW).await;
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        let (shared, _) = process(&path, &[KEY], NOW).await;
        assert_eq!(known(&shared), [member(1, NOW), member(2, NOW)]);
    }

    #[tokio::test]
    async fn an_old_key_can_go_once_a_reload_has_put_a_new_one_in_front() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let (shared, mut kept) = process(&path, &[KEY], NOW).await;
        keep(&mut kept, &shared, &[member(1, NOW)], NOW).await;

        assert!(shared.take(&settings(&path, &[OTHER, KEY])), "the keys are others");
        let mut outbox = Outbox::default();
        outbox.take(Order::Reseal);
        exchange(&mut kept, &mut outbox, &shared, NOW).await.unwrap();

        let (after, _) = process(&path, &[OTHER], NOW).await;
        assert_eq!(known(&after), [member(1, NOW)]);
        let (without, _) = process(&path, &[KEY], NOW).await;
        assert_eq!(known(&without), [], "what another key has sealed ends nothing, and nobody");
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_refused_or_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let revocations = Revocations::default();
        let clock = Clock::Manual(ManualClock::starting_at(NOW));
        revocations.begin(&settings(&path, &[KEY]), &clock).unwrap();
        revocations.revoke(member(1, NOW)).await.unwrap();
        // Somebody else keeps it to himself for longer than anybody waits.
        let other = opened(&path).unwrap();
        other.lock().unwrap();

        assert_eq!(revocations.revoke(member(2, NOW)).await, Err(crate::revocation::NotKept));
        assert!(revocations.sign_out(SessionId([1; 16]), NOW).await.is_err());
        assert_eq!(revocations.known()[1], (Kind::Member, 1), "nothing is half done");
        assert_eq!(revocations.known()[3], (Kind::Session, 1), "a sign-out counts here at once");

        other.unlock().unwrap();
        revocations.revoke(member(3, NOW)).await.unwrap();
        let (after, _) = process(&path, &[KEY], NOW).await;
        assert_eq!(after.known.count(Kind::Session), 1, "and is kept as soon as it can be");
        assert_eq!(after.known.count(Kind::Member), 2);
    }
}
