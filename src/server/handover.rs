//! Hand-over: a new process takes the listening sockets of the one that runs, and not one connection is refused.
//!
//! Both talk over a Unix socket of packets, so that no message runs into the next:
//!
//! 1. The new process connects. Each sees to it that the other runs as the same user, or as root (`SO_PEERCRED`).
//! 2. The old one sends its sockets (`SCM_RIGHTS`), address by address as it is configured, then says that these are all.
//! 3. The new one serves, and says which addresses it has taken. Until then the old one serves as if nothing happened; a
//!    new process that ends before changes nothing.
//! 4. The old one stops accepting, closes what was not taken, and answers. Its sockets live on, and with them whatever
//!    waits in their queues.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use socket2::{Domain, SockAddr, Type};

use super::inherited::Inherited;
use super::listener::{Address, Listeners, Socket, SocketFile, remove_stale};

/// The first packet: who speaks, and how.
const GREETING: &str = "member-gateway hand-over 1";
/// Sockets in one packet; the kernel takes 253.
const MOST_SOCKETS: usize = 64;
/// More than any packet of text.
const MOST_TEXT: usize = 8 * 1024;
/// How long the other process may take; the new one has read its configuration before it asks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nobody is let in when the machine has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// One address and its sockets, for whoever takes over.
#[derive(Debug)]
struct Offer {
    address: Address,
    sockets: Vec<Socket>,
}

/// The listening sockets of a server, for as long as it serves. Clones are the same.
#[derive(Clone, Debug)]
pub struct Offered(Arc<Mutex<Shown>>);

#[derive(Debug, Default)]
struct Shown {
    offers: Arc<[Offer]>,
    /// Who is being sent them.
    asking: Option<socket2::Socket>,
}

impl Offered {
    pub(super) fn of(listeners: &Listeners) -> io::Result<Self> {
        let mut offers: Vec<_> = listeners.configured.iter().cloned().map(Offer::new).collect();
        for post in listeners.posts.iter().flatten() {
            if let Some(offer) = offers.get_mut(post.number) {
                offer.sockets.push(post.socket.try_clone()?);
            }
        }
        Ok(Self(Arc::new(Mutex::new(Shown { offers: offers.into(), asking: None }))))
    }

    /// Lets go of them: a queue ends when nobody holds it any more. Whoever asks for them and does not read is not waited
    /// for.
    pub(super) fn withdraw(&self) {
        let mut shown = self.shown();
        shown.offers = Arc::default();
        if let Some(asking) = shown.asking.take() {
            // What is being sent to it fails now. Where it has gone already, nothing is.
            let _ = asking.shutdown(Shutdown::Both);
        }
    }

    /// What there is to send to whoever asks.
    fn show(&self, asking: &socket2::Socket) -> io::Result<Arc<[Offer]>> {
        let asking = asking.try_clone()?;
        let mut shown = self.shown();
        shown.asking = Some(asking);
        Ok(Arc::clone(&shown.offers))
    }

    /// It has all of it, and what becomes of it is its own affair.
    fn has_been_shown(&self) {
        self.shown().asking = None;
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Offer {
    const fn new(address: Address) -> Self {
        Self { address, sockets: Vec::new() }
    }
}

/// Where the next process asks for the sockets.
#[derive(Debug)]
pub struct Office {
    socket: socket2::Socket,
    file: Option<SocketFile>,
}

/// Removes the file when nobody is to ask any more.
#[derive(Debug)]
pub struct Closing(Option<SocketFile>);

impl Closing {
    /// Nobody can ask any more.
    pub fn close(&self) {
        self.0.iter().for_each(SocketFile::remove);
    }
}

impl Office {
    /// Opens at this path, for this user alone.
    ///
    /// # Errors
    /// Where another gateway answers there, or the file cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        remove_stale(path, || connect(path).map(drop))?;
        // A file that nobody listens at yet would look to the next process like one that was left over. So it is made
        // beside its place, and moved there.
        let beside = beside(path)?;
        remove_stale(&beside, || connect(&beside).map(drop))?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.bind(&SockAddr::unix(&beside)?)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
        socket.listen(1)?;
        std::fs::rename(&beside, path)?;
        Ok(Self { socket, file: SocketFile::at(path, 0) })
    }

    /// Waits for a process that takes over, on a thread of its own; `then` is called with that process, and for each
    /// server with the numbers of the listeners whose sockets live on in it.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn wait(
        self,
        offered: Vec<Offered>,
        then: impl FnOnce(Successor, Vec<Arc<[usize]>>) + Send + 'static,
    ) -> io::Result<Closing> {
        let Self { socket, file } = self;
        let thread = std::thread::Builder::new().name("handover".to_owned());
        thread.spawn(move || {
            loop {
                let (peer, _) = match socket.accept() {
                    Ok(peer) => peer,
                    Err(error) => {
                        tracing::warn!(%error, "nobody can ask for the sockets just now");
                        std::thread::sleep(ACCEPT_PAUSE);
                        continue;
                    }
                };
                match hand_over(&peer, &offered) {
                    Ok(taken) => {
                        // Free for the next one, who asks the new process.
                        drop(socket);
                        then(Successor(peer), taken);
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "nothing was handed over: this process serves on"),
                }
            }
        })?;
        Ok(Closing(file))
    }
}

/// The process that has taken over. It waits until this one has stopped to accept.
#[derive(Debug)]
pub struct Successor(socket2::Socket);

impl Successor {
    /// Tells it so.
    pub fn may_go_on(self) {
        if let Err(error) = send(&self.0, "stops accepting", &[]) {
            tracing::debug!(%error, "the new process does not listen any more");
        }
    }
}

/// The old process's half; for each server the numbers of the listeners that the new one has taken.
fn hand_over(peer: &socket2::Socket, offered: &[Offered]) -> io::Result<Vec<Arc<[usize]>>> {
    wait_for(peer, PATIENCE)?;
    is_one_of_us(peer)?;
    tracing::info!("another process asks to take over");
    send(peer, GREETING, &[])?;
    let mut counts = Vec::new();
    for offered in offered {
        let offers = offered.show(peer)?;
        counts.push(offers.len());
        let sent = offers.iter().try_for_each(|offer| send_offer(peer, offer));
        offered.has_been_shown();
        sent?;
    }
    send(peer, "all", &[])?;
    let (taken, _) = receive(peer)?;
    let taken = taken.strip_prefix("serves ").ok_or_else(|| io::Error::other("it ended before it served"))?;
    let numbers: Result<Vec<usize>, _> = taken.split_whitespace().map(str::parse).collect();
    let numbers = numbers.map_err(io::Error::other)?;
    // They are counted through all servers.
    let mut first = 0;
    let of_each = counts.into_iter().map(|count| {
        let own = first..first + count;
        first += count;
        numbers.iter().filter(|number| own.contains(number)).map(|number| number - own.start).collect()
    });
    Ok(of_each.collect())
}

fn send_offer(peer: &socket2::Socket, Offer { address, sockets }: &Offer) -> io::Result<()> {
    for sockets in sockets.chunks(MOST_SOCKETS) {
        send(peer, &format!("listen {address}"), sockets)?;
    }
    // An address of its own begins, even where it is written like the one before.
    send(peer, "next", &[])
}

/// A gateway that runs, and waits for this process to serve.
#[derive(Debug)]
pub struct Predecessor {
    socket: socket2::Socket,
    path: PathBuf,
    addresses: Vec<Address>,
}

impl Predecessor {
    /// Asks the gateway that answers at `path` for its sockets; nothing, where nobody answers.
    ///
    /// # Errors
    /// Where somebody answers who is no gateway of this user, or breaks off.
    pub fn find(path: &Path) -> io::Result<Option<(Self, Inherited)>> {
        let socket = match connect(path) {
            Ok(socket) => socket,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        is_one_of_us(&socket)?;
        if receive(&socket)?.0 != GREETING {
            return Err(io::Error::other("it is no gateway that could be taken over from"));
        }
        let mut groups: Vec<(Address, Vec<Socket>)> = Vec::new();
        let mut begins = true;
        loop {
            let (text, handed) = receive(&socket)?;
            match text.split_once(' ') {
                Some(("listen", address)) => {
                    let address: Address = address.parse().map_err(io::Error::other)?;
                    let sockets = handed.into_iter().map(|socket| match address {
                        Address::Tcp(_) => Socket::Tcp(socket.into()),
                        Address::Unix(_) => Socket::Unix(socket.into()),
                    });
                    match groups.last_mut().filter(|_| !begins) {
                        Some((_, known)) => known.extend(sockets),
                        None => groups.push((address.clone(), sockets.collect())),
                    }
                    begins = false;
                }
                None if text == "next" => begins = true,
                None if text == "all" => break,
                Some(_) | None => return Err(io::Error::other("what it says makes no sense")),
            }
        }
        let addresses = groups.iter().map(|(address, _)| address.clone()).collect();
        Ok(Some((Self { socket, path: path.to_owned(), addresses }, Inherited::new(groups, true))))
    }

    /// Tells it that this process serves; whatever is left of what was inherited is closed before. Returns when the other
    /// has stopped to accept.
    ///
    /// # Errors
    /// Where it does not answer: both serve now.
    pub fn relieve(self, rest: Inherited) -> io::Result<()> {
        let left = rest.rest();
        drop(rest);
        let mut left: Vec<_> = left.iter().map(String::as_str).collect();
        let mut taken = String::from("serves ");
        for (number, address) in self.addresses.iter().enumerate().rev() {
            // Of addresses that are written alike the first ones were taken first.
            match left.iter().rposition(|text| *text == address.to_string()) {
                Some(index) => drop(left.remove(index)),
                None => taken.push_str(&format!("{number} ")),
            }
        }
        send(&self.socket, &taken, &[])?;
        receive(&self.socket).map(drop)
    }

    /// Where it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// `handover` is made as `.handover`.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    Ok(path.with_file_name(name))
}

fn connect(path: &Path) -> io::Result<socket2::Socket> {
    connect_within(path, PATIENCE)
}

fn connect_within(path: &Path, patience: Duration) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    // Before it connects: where many ask a process that does not accept, this one would wait for ever.
    wait_for(&socket, patience)?;
    socket.connect(&SockAddr::unix(path)?).map_err(unanswered)?;
    Ok(socket)
}

fn wait_for(socket: &socket2::Socket, patience: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))
}

/// What the system says of a time that is over tells nobody anything.
fn unanswered(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return error;
    }
    io::Error::new(
        io::ErrorKind::TimedOut,
        "it does not answer, though it is there: it may be stuck, or stopped",
    )
}

/// Sockets are neither given to strangers nor taken from them.
fn is_one_of_us(socket: &socket2::Socket) -> io::Result<()> {
    let other = rustix::net::sockopt::socket_peercred(socket)?;
    if other.uid.is_root() || other.uid == rustix::process::geteuid() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "the other process runs as another user"))
}

fn send(to: &socket2::Socket, text: &str, sockets: &[Socket]) -> io::Result<()> {
    use std::os::fd::AsFd;
    let fds: Vec<_> = sockets.iter().map(Socket::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !rights.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("too many sockets for one message"));
    }
    let sent = rustix::net::sendmsg(to, &[IoSlice::new(text.as_bytes())], &mut rights, SendFlags::NOSIGNAL);
    sent.map(drop).map_err(|error| unanswered(error.into()))
}

fn receive(from: &socket2::Socket) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut text = vec![0; MOST_TEXT];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut text)];
    let received = rustix::net::recvmsg(from, slices, &mut rights, RecvFlags::CMSG_CLOEXEC)
        .map_err(|error| unanswered(error.into()))?;
    let mut sockets = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds);
        }
    }
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("a message is too long"));
    }
    text.truncate(received.bytes);
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    Ok((text, sockets))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_was_left_over_half_way_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("handover");
        for left in [&place, &beside(&place).unwrap()] {
            drop(UnixListener::bind(left).unwrap());
        }

        let office = Office::open(&place).unwrap();

        assert!(connect(&place).is_ok());
        assert!(!beside(&place).unwrap().exists());
        // Nobody opens where somebody answers, and what is there stays.
        assert_eq!(Office::open(&place).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(place.exists());
        drop(office);
    }

    #[test]
    fn whoever_asks_a_process_that_is_stuck_is_told_so_and_does_not_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("handover");
        let stuck = socket2::Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        stuck.bind(&SockAddr::unix(&place).unwrap()).unwrap();
        stuck.listen(1).unwrap();

        let ask = || connect_within(&place, Duration::from_millis(50));
        // Some still stand in its queue, and get no answer; then the queue is full.
        let first = ask().unwrap();
        let unheard = receive(&first).unwrap_err();
        let waiting: Vec<_> = std::iter::from_fn(|| ask().ok()).take(100).collect();
        let refused = ask().unwrap_err();

        assert!(waiting.len() < 100, "the queue takes more than it is to");
        for error in [unheard, refused] {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        }
    }
}
