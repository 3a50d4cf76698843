//! Listening sockets: one accept queue for each worker and address.
//!
//! The workers' sockets share an address by `SO_REUSEPORT`, and the kernel spreads new connections over them. That option
//! would let a second gateway slip in beside a running one, so an address is first taken without it.
//! What is spoken at an address, its [`Door`], is only carried along here.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::tls::Tls;

/// Connections the kernel holds for a worker that is busy.
const BACKLOG: i32 = 1024;

/// An address to listen on.
#[derive(Clone, Debug)]
pub struct Listen {
    /// IP address and port.
    pub address: SocketAddr,
    /// What is spoken there.
    pub door: Door,
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
    pub address: SocketAddr,
    /// What the operating system says.
    pub source: io::Error,
}

/// The sockets of all workers: for each worker one for each address.
#[derive(Debug)]
pub struct Listeners(pub(super) Vec<Vec<(TcpListener, Door)>>);

impl Listeners {
    /// Listens on every address, `workers` times.
    ///
    /// # Errors
    /// [`BindError`] for the first address that is taken or not there.
    pub fn bind(addresses: &[Listen], workers: usize) -> Result<Self, BindError> {
        let mut sockets: Vec<Vec<(TcpListener, Door)>> = (0..workers).map(|_| Vec::new()).collect();
        for Listen { address, door } in addresses {
            let failed = |source| BindError { address: *address, source };
            let mut address = *address;
            if address.port() != 0 {
                drop(listen(address, false).map_err(failed)?);
            }
            for sockets in &mut sockets {
                let listener = listen(address, true).map_err(failed)?;
                // With port 0 the first socket gets a port and the others share it.
                address = listener.local_addr().map_err(failed)?;
                sockets.push((listener, door.clone()));
            }
        }
        Ok(Self(sockets))
    }

    /// The addresses, with the ports that were chosen where port 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let first = self.0.first().map(Vec::as_slice).unwrap_or_default();
        first.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(address: SocketAddr) -> Listen {
        Listen { address, door: Door::Plain }
    }

    #[test]
    fn the_workers_share_an_address() {
        let listeners = Listeners::bind(&[plain("127.0.0.1:0".parse().unwrap())], 3).unwrap();
        let addresses: Vec<_> =
            listeners.0.iter().map(|sockets| sockets[0].0.local_addr().unwrap()).collect();
        assert_eq!(addresses, vec![listeners.addresses()[0]; 3]);
    }

    #[test]
    fn an_address_that_another_gateway_listens_on_is_taken() {
        let running = Listeners::bind(&[plain("127.0.0.1:0".parse().unwrap())], 2).unwrap();
        let error = Listeners::bind(&[plain(running.addresses()[0])], 2).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(error.address, running.addresses()[0]);
    }
}
