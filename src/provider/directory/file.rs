//! A directory in a file, which is kept in view.
//!
//! The file is read at the start, and again when it has changed, which is looked at on use and every few seconds at the
//! most. A file that has become wrong changes nothing: the last good rows stay, and the log says so once.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rows::{Entry, FileError, MOST_OCTETS, Rows, rows};
use crate::provider::ProviderError;
use crate::provider::claims::{Address, Ids};
use crate::time::UnixTime;

/// Between two looks at whether the file has changed.
const PAUSE: Duration = Duration::from_secs(5);

/// What tells one state of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    octets: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    file: (u64, u64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            octets: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            file: (metadata.dev(), metadata.ino()),
        }
    }
}

/// What one look at the file has found.
struct Reading {
    /// Nothing where there is no file to look at.
    stamp: Option<Stamp>,
    /// Whether the last line ends: one that does not may be half a line.
    is_whole: bool,
    rows: Result<Rows, FileError>,
    text: Vec<u8>,
}

struct State {
    rows: Arc<Rows>,
    /// The state of the file that was read last, well or badly.
    stamp: Option<Stamp>,
    /// A state of the file that may not be whole yet.
    pending: Option<Stamp>,
    looked: Option<UnixTime>,
    is_wrong: bool,
}

/// A directory in a CSV file. Clones are the same directory.
#[derive(Clone)]
pub struct FileDirectory(Arc<Watched>);

impl PartialEq for FileDirectory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for FileDirectory {}

impl std::fmt::Debug for FileDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileDirectory({})", self.0.path.display())
    }
}

impl FileDirectory {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong with it, and where.
    pub fn open(path: PathBuf) -> Result<Self, FileError> {
        let Reading { stamp, is_whole, rows, text } = read(&path);
        let mut rows = rows?;
        let (mut stamp, mut pending) = (stamp, None);
        if !is_whole {
            // The first login looks again, and takes the last line too if nobody is writing any more.
            (stamp, pending) = (None, stamp);
            let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
            rows = super::rows::rows(&text[..end]).unwrap_or_default();
        }
        let state = State { rows: Arc::new(rows), stamp, pending, looked: None, is_wrong: false };
        Ok(Self(Arc::new(Watched { path, state: Mutex::new(state) })))
    }

    /// Whether it is in this file.
    #[must_use]
    pub fn is_in(&self, path: &Path) -> bool {
        self.0.path == path
    }

    /// Has the next one who asks look whether the file has changed.
    pub fn look_again(&self) {
        self.0.state().looked = None;
    }

    /// The ids that belong to an address.
    ///
    /// # Errors
    /// [`ProviderError::NotInDirectory`] and [`ProviderError::AmbiguousInDirectory`].
    pub async fn find(&self, address: &Address, now: UnixTime) -> Result<Ids, ProviderError> {
        if let Some(known) = self.0.due(now) {
            let watched = Arc::clone(&self.0);
            // Reading takes a while, and whoever else is signing in on this thread need not wait for it. Should it panic,
            // the old rows are still there.
            let _ = tokio::task::spawn_blocking(move || watched.look(known)).await;
        }
        let rows = Arc::clone(&self.0.state().rows);
        match rows.get(address) {
            Some(Entry::Ids(ids)) => Ok(ids.clone()),
            Some(Entry::Ambiguous) => Err(ProviderError::AmbiguousInDirectory),
            None => Err(ProviderError::NotInDirectory),
        }
    }
}

/// A file, and what it said when it was right the last time.
struct Watched {
    path: PathBuf,
    state: Mutex<State>,
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is half done when somebody panics in between: each change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stamp to compare the file with, where it is time for another look. Only one of those who ask at the same
    /// time gets it; a clock that was set back does not stop the looking.
    fn due(&self, now: UnixTime) -> Option<Option<Stamp>> {
        let mut state = self.state();
        let is_due = state.looked.is_none_or(|looked| now < looked || now.since(looked) >= PAUSE);
        is_due.then(|| {
            state.looked = Some(now);
            state.stamp
        })
    }

    /// Reads the file anew, if it is another one than `known`.
    fn look(&self, known: Option<Stamp>) {
        let stamp = std::fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if stamp.is_none() || stamp != known {
            self.take(read(&self.path));
        }
    }

    /// Takes a new state of the file over.
    fn take(&self, reading: Reading) {
        let path = self.path.display();
        let mut state = self.state();
        // Half a row could hold half an id, which may be somebody else's: such a file has to be the same twice.
        if reading.rows.is_ok() && !reading.is_whole && state.pending != reading.stamp {
            state.pending = reading.stamp;
            return;
        }
        state.pending = None;
        state.stamp = reading.stamp;
        match reading.rows {
            Ok(rows) => {
                tracing::info!(file = %path, addresses = rows.len(), "the directory has changed and is read anew");
                state.rows = Arc::new(rows);
                state.is_wrong = false;
            }
            Err(error) => {
                if !state.is_wrong {
                    tracing::warn!(
                        file = %path,
                        error = &error as &(dyn std::error::Error + 'static),
                        "the directory has become unusable; its last good rows are used until it is mended"
                    );
                }
                state.is_wrong = true;
            }
        }
    }
}

fn read(path: &Path) -> Reading {
    let mut stamp = None;
    let regular = std::fs::metadata(path).and_then(|metadata| {
        // A pipe would be waited for, perhaps for ever.
        if metadata.is_file() { Ok(()) } else { Err(io::Error::other("it is no regular file")) }
    });
    let text = regular.and_then(|()| File::open(path)).and_then(|file| {
        let before = Stamp::of(&file.metadata()?);
        let mut text = Vec::new();
        (&file).take(MOST_OCTETS + 1).read_to_end(&mut text)?;
        let is_settled = before == Stamp::of(&file.metadata()?);
        stamp = Some(before);
        Ok((text, is_settled))
    });
    match text {
        Ok((text, is_settled)) => {
            let is_whole = is_settled && text.ends_with(b"\n");
            Reading { stamp, is_whole, rows: rows(&text), text }
        }
        Err(error) => Reading { stamp: None, is_whole: true, rows: Err(error.into()), text: Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_795_300_000);
    const HEADER: &str = "email,member_id,member_unit_id\n";

    struct Fixture {
        folder: tempfile::TempDir,
        now: UnixTime,
    }

    impl Fixture {
        fn new(text: &str) -> (Self, FileDirectory) {
            let fixture = Self { folder: tempfile::tempdir().unwrap(), now: NOW };
            fixture.write(text);
            let directory = FileDirectory::open(fixture.path()).unwrap();
            (fixture, directory)
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("members.csv")
        }

        /// In one step, as operators are told to.
        fn write(&self, text: &str) {
            let new = self.folder.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, self.path()).unwrap();
        }

        fn later(&mut self, seconds: u64) {
            self.now = UnixTime(self.now.0 + seconds);
        }

        async fn ids(&self, directory: &FileDirectory, address: &str) -> String {
            match directory.find(&Address::new(address).unwrap(), self.now).await {
                Ok(ids) => format!("{} {}", ids.member_id, ids.unit_id),
                Err(error) => format!("{error:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_address_finds_its_row_in_any_case_and_nobody_elses() {
        let text = "\u{feff}name,member_unit_id, email ,member_id\r\n\"Haddad, Noor\",0042, Noor.Haddad@Example.org,0042-01\r\n\
                    ,7,,7-00\r\nx,8,k@example.org,8-00\r\n";
        let (fixture, directory) = Fixture::new(text);
        assert_eq!(fixture.ids(&directory, "NOOR.haddad@example.ORG ").await, "0042-01 0042");
        for other in [
            "noor@example.org",
            "noor.haddad@example.org.uk",
            "n@oor.haddad@example.org",
            "\u{212a}@example.org",
        ] {
            assert_eq!(fixture.ids(&directory, other).await, "NotInDirectory", "{other}");
        }
    }

    #[tokio::test]
    async fn two_rows_that_differ_find_nobody_and_two_that_agree_are_one() {
        let text = format!("{HEADER}a@b,1,1\nA@B,2,1\nc@d,3,3\nC@d ,3,3\ne@f,4,4\ne@f,4,5\ne@f,4,4\n");
        let (fixture, directory) = Fixture::new(&text);
        assert_eq!(fixture.ids(&directory, "a@b").await, "AmbiguousInDirectory");
        assert_eq!(fixture.ids(&directory, "c@d").await, "3 3");
        assert_eq!(fixture.ids(&directory, "e@f").await, "AmbiguousInDirectory");
    }

    #[tokio::test]
    async fn a_change_is_seen_within_five_seconds_and_not_looked_for_more_often() {
        let (mut fixture, directory) = Fixture::new(&format!("{HEADER}a@b,1,1\n"));
        assert_eq!(fixture.ids(&directory, "a@b").await, "1 1");
        fixture.write(&format!("{HEADER}a@b,2,2\n"));
        fixture.later(4);
        assert_eq!(fixture.ids(&directory, "a@b").await, "1 1", "not looked at yet");
        fixture.later(1);
        assert_eq!(fixture.ids(&directory, "a@b").await, "2 2");
        fixture.write(HEADER);
        fixture.now = UnixTime(NOW.0 - 3600);
        assert_eq!(fixture.ids(&directory, "a@b").await, "NotInDirectory", "a clock that was set back");
    }

    #[tokio::test]
    async fn a_file_that_has_become_wrong_or_is_gone_changes_nothing_until_it_is_mended() {
        let (mut fixture, directory) = Fixture::new(&format!("{HEADER}a@b,1,1\n"));
        for text in
            ["", "email;member_id;member_unit_id\na@b;2;2\n", "email,member_id,member_unit_id\na@b,2\n"]
        {
            fixture.write(text);
            fixture.later(5);
            assert_eq!(fixture.ids(&directory, "a@b").await, "1 1", "{text:?}");
            assert!(directory.0.state().is_wrong);
        }
        std::fs::remove_file(fixture.path()).unwrap();
        fixture.later(5);
        assert_eq!(fixture.ids(&directory, "a@b").await, "1 1");
        fixture.write(&format!("{HEADER}a@b,3,3\n"));
        fixture.later(5);
        assert_eq!(fixture.ids(&directory, "a@b").await, "3 3");
        assert!(!directory.0.state().is_wrong);
    }

    #[tokio::test]
    async fn a_last_line_that_may_be_half_written_is_taken_once_it_has_stayed_the_same() {
        let (mut fixture, directory) = Fixture::new(&format!("{HEADER}a@b,1,400-00"));
        assert_eq!(fixture.ids(&directory, "a@b").await, "1 400-00", "it is as it was at the start");
        fixture.write(&format!("{HEADER}a@b,1,40"));
        fixture.later(5);
        assert_eq!(fixture.ids(&directory, "a@b").await, "1 400-00");
        fixture.later(5);
        assert_eq!(fixture.ids(&directory, "a@b").await, "1 40");
    }

    #[tokio::test]
    async fn at_the_start_too_a_last_line_may_be_half_written() {
        let (mut fixture, directory) = Fixture::new(&format!("{HEADER}a@b,1,1\nc@d,2,40"));
        // Whoever is writing goes on.
        fixture.write(&format!("{HEADER}a@b,1,1\nc@d,2,400-"));
        assert_eq!(fixture.ids(&directory, "c@d").await, "NotInDirectory");
        assert_eq!(fixture.ids(&directory, "a@b").await, "1 1", "whoever is there is there");
        fixture.write(&format!("{HEADER}a@b,1,1\nc@d,2,400-00\n"));
        fixture.later(5);
        assert_eq!(fixture.ids(&directory, "c@d").await, "2 400-00");
    }

    #[tokio::test]
    async fn what_is_no_regular_file_is_not_waited_for() {
        let (mut fixture, directory) = Fixture::new(&format!("{HEADER}a@b,1,1\n"));
        std::fs::remove_file(fixture.path()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(fixture.path()).status().unwrap().success());
        fixture.later(5);
        let found = fixture.ids(&directory, "a@b");
        let found = tokio::time::timeout(Duration::from_secs(10), found).await;
        // Whoever waits for a writer would keep the test from ending; now there is one, for as long as it takes.
        drop(File::options().read(true).write(true).open(fixture.path()));
        assert_eq!(found.as_deref(), Ok("1 1"));
        assert!(FileDirectory::open("/dev/null".into()).unwrap_err().to_string().contains("no regular file"));
    }

    #[test]
    fn a_file_without_bounds_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.csv");
        File::create(&path).unwrap().set_len(MOST_OCTETS + 1).unwrap();
        assert!(matches!(FileDirectory::open(path), Err(FileError::TooLarge)));
    }

    #[test]
    fn neither_a_directory_nor_an_address_prints_what_it_holds() {
        let (_fixture, directory) = Fixture::new(&format!("{HEADER}noor@example.org,1,1\n"));
        let text = format!("{directory:?} {:?}", Address::new("noor@example.org").unwrap());
        assert!(!text.contains("noor"), "{text}");
    }
}
