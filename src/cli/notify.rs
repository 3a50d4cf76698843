//! What the service manager is told (sd_notify(3)): that the gateway serves, reloads, stops. Nobody has to listen.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// The line to the service manager.
pub(super) struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// The one that the environment names; otherwise nobody is told.
    pub(super) fn from_environment() -> Self {
        let path = std::env::var_os("NOTIFY_SOCKET");
        Self(path.and_then(|path| {
            let line = address(&path).and_then(|address| Ok((UnixDatagram::unbound()?, address)));
            line.inspect_err(|error| tracing::warn!(%error, "NOTIFY_SOCKET is of no use")).ok()
        }))
    }

    /// It serves, or has reloaded.
    pub(super) fn ready(&self) {
        self.say("READY=1");
    }

    /// It reads its configuration again.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It is about to end.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, words: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(words.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

/// A path, or a name in the abstract namespace (unix(7)), which begins with `@`.
fn address(path: &OsString) -> io::Result<SocketAddr> {
    match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(path),
    }
}
