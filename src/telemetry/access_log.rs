//! The access log: a line of JSON for each request, written by a thread of its own.
//!
//! A worker writes its lines into a [`Notebook`], which is memory and nothing else, and hands over page by page. Where the
//! writer does not keep up, since a pipe is blocked or a disk is full, pages are dropped and counted, and the log of events
//! tells so once a minute; no request ever waits for its line.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::count::Count;
use super::line::{Line, Stamp};
use crate::time::Clock;

/// How often a page is handed over that is not full.
pub const TURN: Duration = Duration::from_millis(250);
/// A page this long is handed over.
const FULL: usize = 64 * 1024;
/// Pages that may wait for the writer: 2 MiB, some 5000 lines.
const WAITING: usize = 32;
/// Lost lines are told of so often.
const TELL: Duration = Duration::from_secs(60);
/// How long the writer rests where the other end takes nothing.
const REST: Duration = Duration::from_millis(20);

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error, between the events.
    Stderr,
    /// The end of a file, which is made where it is not there.
    File(PathBuf),
}

/// An access log that is being written.
#[derive(Debug)]
pub struct AccessLog {
    destination: Destination,
    pages: SyncSender<Page>,
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
}

/// Some lines, whole.
#[derive(Debug, Default)]
struct Page {
    text: Vec<u8>,
    lines: u64,
}

/// What the writer and those who write to it have in common.
#[derive(Debug)]
struct Shared {
    /// The file may have been moved away.
    reopen: AtomicBool,
    /// Lines nobody will read.
    dropped: Arc<Count>,
    /// Those of them that have not been told of.
    untold: AtomicU64,
    began: Instant,
    /// When it was told the last time, in milliseconds since it began; zero for never.
    told: AtomicU64,
    /// Telling would only add to what does not get through.
    is_mute: bool,
}

impl AccessLog {
    /// Opens it. Lost lines are added to `dropped`.
    ///
    /// # Errors
    /// Where the file cannot be opened, or there can be no thread.
    pub fn open(destination: Destination, dropped: Arc<Count>) -> io::Result<Self> {
        let file = destination.open()?;
        let (pages, waiting) = mpsc::sync_channel(WAITING);
        let shared = Arc::new(Shared {
            reopen: AtomicBool::new(false),
            dropped,
            untold: AtomicU64::new(0),
            began: Instant::now(),
            told: AtomicU64::new(0),
            is_mute: destination == Destination::Stderr,
        });
        let writer =
            Writer { file, destination: destination.clone(), shared: Arc::clone(&shared), torn: false };
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        let writer = thread.spawn(move || writer.run(&waiting))?;
        Ok(Self { destination, pages, shared, writer })
    }

    /// Where its lines go.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// A notebook for one worker.
    #[must_use]
    pub fn notebook(&self, clock: Clock) -> Notebook {
        let notebook = Notebook {
            page: RefCell::default(),
            pages: self.pages.clone(),
            shared: Arc::clone(&self.shared),
            anchor: Cell::new((Instant::now(), 0)),
            stamp: RefCell::default(),
            clock,
        };
        notebook.set_clock();
        notebook
    }

    /// Opens the file anew, which has been moved away. What is waiting still goes to one or the other.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // The writer looks when it gets a page; one of no lines will do. If there is no room, others wake it.
        let _ = self.pages.try_send(Page::default());
    }

    /// Writes what is waiting, for as long as `patience` lasts. All notebooks have to be gone.
    pub fn finish(self, patience: Duration) {
        let Self { pages, writer, .. } = self;
        drop(pages);
        let deadline = Instant::now() + patience;
        while !writer.is_finished() && Instant::now() < deadline {
            std::thread::sleep(REST);
        }
    }
}

impl Destination {
    fn open(&self) -> io::Result<File> {
        match self {
            Self::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            Self::Stderr => io::stderr().as_fd().try_clone_to_owned().map(File::from),
            // Who was where and when is not for everybody on the machine.
            Self::File(path) => OpenOptions::new().append(true).create(true).mode(0o640).open(path),
        }
    }
}

impl Shared {
    fn lose(&self, lines: u64) {
        self.dropped.add(lines);
        self.untold.fetch_add(lines, Ordering::Relaxed);
        self.tell();
    }

    /// Says how many lines were lost, unless that was said within the last minute.
    fn tell(&self) {
        if self.is_mute || self.untold.load(Ordering::Relaxed) == 0 {
            return;
        }
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let told = self.told.load(Ordering::Relaxed);
        let is_due =
            told == 0 || now.saturating_sub(told) >= u64::try_from(TELL.as_millis()).unwrap_or(u64::MAX);
        let is_ours =
            is_due && self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_ours {
            let lines = self.untold.swap(0, Ordering::Relaxed);
            tracing::warn!(
                lines,
                "lines of the access log were dropped: they could not be written as fast as they came"
            );
        }
    }
}

/// The other end of the queue.
struct Writer {
    file: File,
    destination: Destination,
    shared: Arc<Shared>,
    /// The last write broke off in the middle of a line.
    torn: bool,
}

impl Writer {
    fn run(mut self, pages: &Receiver<Page>) {
        while let Ok(Page { text, lines }) = pages.recv() {
            if self.shared.reopen.swap(false, Ordering::Acquire) {
                self.reopen();
            }
            if let Err(error) = self.write(&text) {
                tracing::debug!(%error, "the access log cannot be written");
                self.shared.lose(lines);
            } else {
                self.shared.tell();
            }
        }
    }

    fn reopen(&mut self) {
        match self.destination.open() {
            Ok(file) => (self.file, self.torn) = (file, false),
            Err(error) => {
                tracing::warn!(%error, "the access log cannot be opened anew: it goes on in the file that was open");
            }
        }
    }

    fn write(&mut self, mut text: &[u8]) -> io::Result<()> {
        if self.torn && !text.is_empty() {
            self.write_some(b"\n")?;
            self.torn = false;
        }
        while !text.is_empty() {
            let written = self.write_some(text)?;
            text = &text[written..];
            self.torn = !text.is_empty();
        }
        Ok(())
    }

    /// Waits where the other end takes nothing: a pipe that somebody has made one that does not block.
    fn write_some(&mut self, text: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(text) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => return Ok(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(REST),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Where one worker writes its lines.
#[derive(Debug)]
pub struct Notebook {
    page: RefCell<Page>,
    pages: SyncSender<Page>,
    shared: Arc<Shared>,
    /// An instant, and what the clock said then in milliseconds since 1970; so no line has to ask it.
    anchor: Cell<(Instant, u64)>,
    stamp: RefCell<Stamp>,
    clock: Clock,
}

impl Notebook {
    /// Adds the line of something that began at `started`.
    pub fn add(&self, started: Instant, write: impl FnOnce(&mut Line<'_>)) {
        let mut page = self.page.borrow_mut();
        let Page { text, lines } = &mut *page;
        if text.capacity() == 0 {
            text.reserve(FULL + FULL / 4);
        }
        let mut line = Line::begin(text, &mut self.stamp.borrow_mut(), self.millis_at(started));
        write(&mut line);
        line.end();
        *lines += 1;
        if text.len() >= FULL {
            self.hand_over(&mut page);
        }
    }

    /// Hands over what there is.
    pub fn turn(&self) {
        self.set_clock();
        let mut page = self.page.borrow_mut();
        if page.lines > 0 {
            self.hand_over(&mut page);
        }
    }

    fn hand_over(&self, page: &mut Page) {
        match self.pages.try_send(std::mem::take(page)) {
            Ok(()) => {}
            Err(TrySendError::Full(full) | TrySendError::Disconnected(full)) => self.shared.lose(full.lines),
        }
    }

    fn set_clock(&self) {
        self.anchor.set((Instant::now(), self.clock.millis()));
    }

    fn millis_at(&self, instant: Instant) -> u64 {
        let (anchor, millis) = self.anchor.get();
        let between = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match instant.checked_duration_since(anchor) {
            Some(later) => millis.saturating_add(between(later)),
            None => millis.saturating_sub(between(anchor.duration_since(instant))),
        }
    }
}

impl Drop for Notebook {
    fn drop(&mut self) {
        self.turn();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::time::{ManualClock, UnixTime};

    fn open(file: File, destination: Destination) -> (AccessLog, Arc<Count>) {
        let (dropped, (pages, waiting)) = (Arc::<Count>::default(), mpsc::sync_channel(WAITING));
        let shared = Arc::new(Shared {
            reopen: AtomicBool::new(false),
            dropped: Arc::clone(&dropped),
            untold: AtomicU64::new(0),
            began: Instant::now(),
            told: AtomicU64::new(0),
            is_mute: false,
        });
        let writer =
            Writer { file, destination: destination.clone(), shared: Arc::clone(&shared), torn: false };
        let writer = std::thread::spawn(move || writer.run(&waiting));
        (AccessLog { destination, pages, shared, writer }, dropped)
    }

    fn clock() -> Clock {
        Clock::Manual(ManualClock::starting_at(UnixTime(1_795_300_000)))
    }

    #[test]
    fn lines_are_in_the_file_when_the_log_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::open(Destination::File(path.clone()), Arc::default()).unwrap();
        let notebook = log.notebook(clock());
        notebook.add(Instant::now(), |line| line.number("status", 200));
        drop(notebook);
        log.finish(Duration::from_secs(20));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.starts_with("{\"time\":\"2026-11-21T2") && text.ends_with("\",\"status\":200}\n"),
            "{text}"
        );
    }

    #[test]
    fn after_a_rotation_lines_go_to_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let [path, moved] = ["access.log", "access.log.1"].map(|name| folder.path().join(name));
        let log = AccessLog::open(Destination::File(path.clone()), Arc::default()).unwrap();
        let notebook = log.notebook(clock());
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        notebook.add(Instant::now(), |line| line.number("line", 2));
        drop(notebook);
        log.finish(Duration::from_secs(20));
        assert!(std::fs::read_to_string(path).unwrap().contains("\"line\":2}"));
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "");
    }

    #[test]
    fn a_reader_who_does_not_read_holds_nobody_up_and_what_is_lost_is_counted() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let (log, dropped) = open(File::from(std::os::fd::OwnedFd::from(writer)), Destination::Stdout);
        let notebook = log.notebook(clock());
        let most = 100_000;
        for number in 0..most {
            notebook.add(Instant::now(), |line| {
                line.number("number", number);
                line.text("filling", &[b'x'; 200]);
            });
        }
        drop(notebook);
        let lost = dropped.get();
        assert!(lost > 0 && lost < most, "{lost}");
        // Now it is read: whole lines, and with those that were lost as many as were written.
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        log.finish(Duration::from_secs(20));
        let text = reading.join().unwrap();
        assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with("x\"}")));
        assert_eq!(text.lines().count() as u64 + lost, most);
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (log, dropped) = open(full, Destination::Stdout);
        let notebook = log.notebook(clock());
        notebook.add(Instant::now(), |line| line.number("line", 1));
        drop(notebook);
        log.finish(Duration::from_secs(20));
        assert_eq!(dropped.get(), 1);
    }
}
