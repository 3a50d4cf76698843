//! Listening sockets: one accept queue for each worker and address.
//!
//! The workers' sockets share an address by `SO_REUSEPORT`, and the kernel spreads new connections over them. That option
//! would let a second gateway slip in beside a running one, so an address is first taken without it. A Unix socket has
//! one queue, from which all workers take; so has whatever is inherited, unless it comes with more.
//! What is spoken at an address, its [`Door`], is only carried along here.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socket2::{Domain, Protocol, SockAddr, Type};

use super::inherited::Inherited;
use super::tls::Tls;

/// Connections the kernel holds for a worker that is busy.
const BACKLOG: i32 = 1024;
/// What a connection holds that has not been sent yet. Beyond that nothing is written, so a client that reads slowly is seen
/// to read: the kernel alone would take megabytes, and say nothing until a third of them are gone.
const MOST_UNSENT: u32 = 128 * 1024;

/// Where connections come in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// On a network.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl Address {
    /// IP address and port, where it has them.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether another listener cannot have the same.
    #[must_use]
    pub const fn is_definite(&self) -> bool {
        match self {
            Self::Tcp(address) => address.port() != 0,
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A text that is neither an IP address with a port nor a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no address to listen on")]
pub struct NoAddress;

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        match text.strip_prefix("unix:") {
            Some("") => Err(NoAddress),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| NoAddress),
        }
    }
}

/// An address to listen on.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where.
    pub address: Address,
    /// What is spoken there.
    pub door: Door,
    /// Whether the PROXY protocol comes before it.
    pub proxy_protocol: bool,
    /// Who may open a Unix socket, as permissions of its file.
    pub mode: u32,
}

impl Listen {
    /// Whoever can, may, and speaks at once.
    #[must_use]
    pub const fn new(address: Address, door: Door) -> Self {
        Self { address, door, proxy_protocol: false, mode: 0o660 }
    }

    /// Whether both describe the same listener, certificates aside.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.address == other.address
            && std::mem::discriminant(&self.door) == std::mem::discriminant(&other.door)
            && self.proxy_protocol == other.proxy_protocol
            && self.mode == other.mode
    }
}

/// What is spoken at an address.
#[derive(Clone, Debug)]
pub enum Door {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1, and HTTP/2 where a client knows that it is spoken (RFC 9113 §3.3).
    H2c,
    /// HTTP/1.1 and HTTP/2 over TLS.
    Tls(Tls),
    /// HTTP, only to be told to come again with https.
    Redirect,
}

/// Which door a connection came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// [`Door::Plain`] or [`Door::H2c`]
    Plain,
    /// [`Door::Tls`]
    Tls,
    /// [`Door::Redirect`]
    Redirect,
}

impl Door {
    /// Its name without what stands behind it.
    #[must_use]
    pub const fn entrance(&self) -> Entrance {
        match self {
            Self::Plain | Self::H2c => Entrance::Plain,
            Self::Tls(_) => Entrance::Tls,
            Self::Redirect => Entrance::Redirect,
        }
    }
}

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address, as it is configured.
    pub address: Address,
    /// What the operating system says.
    pub source: io::Error,
}

/// A listening socket.
#[derive(Debug)]
pub enum Socket {
    /// On a network.
    Tcp(TcpListener),
    /// Of this machine alone.
    Unix(UnixListener),
}

impl Socket {
    /// The same queue once more.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }

    /// Where it listens; nothing where that has no name.
    pub(super) fn address(&self) -> Option<Address> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok().map(Address::Tcp),
            Self::Unix(socket) => {
                socket.local_addr().ok()?.as_pathname().map(|path| Address::Unix(path.into()))
            }
        }
    }

    fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => {
                // What is accepted inherits it.
                socket2::SockRef::from(socket).set_tcp_notsent_lowat(MOST_UNSENT)?;
                socket.set_nonblocking(true)
            }
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// One worker's socket, and what it is to know of the connections that come there.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) socket: Socket,
    pub(super) door: Door,
    pub(super) proxy_protocol: bool,
    /// Which of the addresses it is.
    pub(super) number: usize,
}

/// The sockets of all workers: for each worker at least one for each address.
#[derive(Debug)]
pub struct Listeners {
    pub(super) posts: Vec<Vec<Post>>,
    /// The addresses, as they are configured.
    pub(super) configured: Vec<Address>,
    pub(super) files: Vec<SocketFile>,
}

impl Listeners {
    /// Listens on every address, `workers` times. What is inherited is listened on as it is, and taken from there.
    ///
    /// # Errors
    /// [`BindError`] for the first address that is taken or not there.
    pub fn bind(addresses: &[Listen], workers: usize, inherited: &mut Inherited) -> Result<Self, BindError> {
        let mut listeners = Self {
            posts: (0..workers.max(1)).map(|_| Vec::new()).collect(),
            configured: addresses.iter().map(|listen| listen.address.clone()).collect(),
            files: Vec::new(),
        };
        for (number, listen) in addresses.iter().enumerate() {
            let failed = |source| BindError { address: listen.address.clone(), source };
            let taken = inherited.take(&listen.address);
            let is_ours = taken.is_none() || inherited.files_are_ours;
            let sockets = taken.map_or_else(|| bind(listen, workers), Ok).map_err(failed)?;
            listeners.share_out(sockets, number, listen).map_err(failed)?;
            if let Address::Unix(path) = &listen.address
                && is_ours
            {
                listeners.files.extend(SocketFile::at(path, number));
            }
        }
        Ok(listeners)
    }

    /// Gives every worker a socket, and every socket a worker: whichever there are fewer of are used more than once.
    fn share_out(&mut self, sockets: Vec<Socket>, number: usize, listen: &Listen) -> io::Result<()> {
        let post = |socket: Socket| {
            socket.prepare()?;
            let Listen { door, proxy_protocol, .. } = listen;
            Ok::<_, io::Error>(Post { socket, door: door.clone(), proxy_protocol: *proxy_protocol, number })
        };
        let workers = self.posts.len();
        for worker in sockets.len()..workers {
            if let Some(socket) = sockets.get(worker % sockets.len().max(1)) {
                self.posts[worker].push(post(socket.try_clone()?)?);
            }
        }
        for (index, socket) in sockets.into_iter().enumerate() {
            self.posts[index % workers].push(post(socket)?);
        }
        Ok(())
    }

    /// The addresses on networks, with the ports that were chosen where port 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let posts = self.posts.first().map(Vec::as_slice).unwrap_or_default();
        let mut numbered: Vec<_> = posts.iter().map(|post| (post.number, post.socket.address())).collect();
        numbered.dedup_by_key(|(number, _)| *number);
        numbered.into_iter().filter_map(|(_, address)| address?.tcp()).collect()
    }
}

/// The sockets of an address that nobody has.
fn bind(listen: &Listen, workers: usize) -> io::Result<Vec<Socket>> {
    match &listen.address {
        Address::Tcp(address) => {
            let mut address = *address;
            if address.port() != 0 {
                drop(bind_tcp(address, false)?);
            }
            let one = |_| {
                let listener = bind_tcp(address, true)?;
                // With port 0 the first socket gets a port and the others share it.
                address = listener.local_addr()?;
                Ok(Socket::Tcp(listener))
            };
            (0..workers).map(one).collect()
        }
        Address::Unix(path) => Ok(vec![Socket::Unix(bind_unix(path, listen.mode)?)]),
    }
}

fn bind_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a gateway that has just ended do not keep the address.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    remove_stale(path, || UnixStream::connect(path).map(drop))?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Until it listens nobody gets in, so there is no moment at which the wrong ones do.
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Removes the file of a socket at which nobody answers; whatever else is there stays, and is an error.
pub(super) fn remove_stale(path: &Path, connect: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(data) if !data.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Ok(_) => {}
    }
    match connect() {
        Ok(()) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        // A gateway that is just ending has removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file of a Unix socket of ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: whatever else stands there later is not ours to remove.
    identity: (u64, u64),
    /// Which of the addresses it is.
    pub(super) listener: usize,
}

impl SocketFile {
    /// What is there now.
    pub(super) fn at(path: &Path, listener: usize) -> Option<Self> {
        Some(Self { path: path.to_owned(), identity: identity(path)?, listener })
    }

    /// Removes it.
    pub(super) fn remove(&self) {
        if identity(&self.path) == Some(self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the file of a Unix socket cannot be removed");
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let data = std::fs::symlink_metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(address: SocketAddr) -> Listen {
        Listen::new(Address::Tcp(address), Door::Plain)
    }

    fn bind(listen: &[Listen], workers: usize) -> Result<Listeners, BindError> {
        Listeners::bind(listen, workers, &mut Inherited::default())
    }

    #[test]
    fn the_workers_share_an_address() {
        let listeners = bind(&[plain("127.0.0.1:0".parse().unwrap())], 3).unwrap();
        let addresses: Vec<_> =
            listeners.posts.iter().filter_map(|posts| posts[0].socket.address()?.tcp()).collect();
        assert_eq!(addresses, vec![listeners.addresses()[0]; 3]);
    }

    #[test]
    fn an_address_that_another_gateway_listens_on_is_taken() {
        let running = bind(&[plain("127.0.0.1:0".parse().unwrap())], 2).unwrap();
        let error = bind(&[plain(running.addresses()[0])], 2).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(error.address, Address::Tcp(running.addresses()[0]));
    }

    #[test]
    fn every_worker_gets_a_socket_and_every_socket_a_worker() {
        let address = plain("127.0.0.1:0".parse().unwrap());
        for (sockets, workers) in [(1, 3), (3, 1), (3, 2), (2, 5)] {
            let before = bind(std::slice::from_ref(&address), sockets).unwrap();
            let taken: Vec<_> = before.posts.into_iter().flatten().map(|post| post.socket).collect();
            let mut inherited = Inherited::new(vec![(address.address.clone(), taken)], true);
            let after = Listeners::bind(std::slice::from_ref(&address), workers, &mut inherited).unwrap();
            assert_eq!(after.posts.len(), workers);
            assert!(after.posts.iter().all(|posts| !posts.is_empty()), "{sockets} for {workers}");
            assert_eq!(after.posts.iter().map(Vec::len).sum::<usize>(), sockets.max(workers));
            assert_eq!(after.addresses().len(), 1);
        }
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone_and_a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mg.sock");
        let listen = [Listen { mode: 0o600, ..Listen::new(Address::Unix(path.clone()), Door::Plain) }];
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(bind(&listen, 2).unwrap_err().source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::remove_file(&path).unwrap();

        let running = bind(&listen, 2).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(bind(&listen, 2).unwrap_err().source.kind(), io::ErrorKind::AddrInUse);
        drop(running);
        let again = bind(&listen, 2).unwrap();
        again.files[0].remove();
        assert!(!path.exists());
    }
}
