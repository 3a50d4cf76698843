//! Listening sockets that were there before this process: systemd's, or those of a gateway that hands over.

use std::io;

use listenfd::ListenFd;

use super::listener::{Address, Socket};

/// Sockets by address; several of one address each have a queue of their own.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(Address, Vec<Socket>)>,
    /// The files of Unix sockets are this process's to remove.
    pub(super) files_are_ours: bool,
}

/// Sockets that systemd has handed over and that are of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is of another kind.
    #[error(
        "socket {number} that systemd hands over (LISTEN_FDS) is no stream socket with an address: {source}"
    )]
    Kind {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        source: io::Error,
    },
}

impl Inherited {
    pub(super) const fn new(sockets: Vec<(Address, Vec<Socket>)>, files_are_ours: bool) -> Self {
        Self { sockets, files_are_ours }
    }

    /// What systemd hands over (sd_listen_fds(3)); nothing, where it does not. The names in `LISTEN_FDNAMES` are not read:
    /// a socket knows its address, which is what `listen` names, and two words for one thing could contradict each other.
    ///
    /// # Errors
    /// [`Unusable`], where one of the sockets is none to accept from.
    pub fn from_systemd() -> Result<Self, Unusable> {
        let mut handed = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..handed.len() {
            let unix = handed.take_unix_listener(index).map(|socket| socket.map(Socket::Unix));
            let socket =
                unix.or_else(|_| handed.take_tcp_listener(index).map(|socket| socket.map(Socket::Tcp)));
            let no_use = |source| Unusable::Kind { number: index + 1, source };
            let Some(socket) = socket.map_err(no_use)? else { continue };
            let address = socket.address().ok_or_else(|| no_use(io::Error::other("it has no address")))?;
            inherited.add(address, socket);
        }
        Ok(inherited)
    }

    fn add(&mut self, address: Address, socket: Socket) {
        match self.sockets.iter_mut().find(|(known, _)| *known == address) {
            Some((_, sockets)) => sockets.push(socket),
            None => self.sockets.push((address, vec![socket])),
        }
    }

    /// The sockets of an address, as it is configured.
    pub(super) fn take(&mut self, address: &Address) -> Option<Vec<Socket>> {
        let index = self.sockets.iter().position(|(known, _)| known == address)?;
        Some(self.sockets.remove(index).1)
    }

    /// Whether they are systemd's, to which an address that is not configured would be a mistake.
    #[must_use]
    pub const fn is_of_systemd(&self) -> bool {
        !self.files_are_ours
    }

    /// The addresses that nobody has taken.
    #[must_use]
    pub fn rest(&self) -> Vec<String> {
        self.sockets.iter().map(|(address, _)| address.to_string()).collect()
    }
}
