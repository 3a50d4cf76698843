//! Addresses that somebody has to know before anybody listens there, or at which nobody ever will.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where the system starts to give out ports by itself, to listeners and to connections alike (Linux, by default).
const GIVEN_OUT_BY_THE_SYSTEM: u16 = 32_768;
const FIRST: u16 = 10_240;

/// An address at which nobody listens, until whoever asked for it does.
///
/// A port that was free a moment ago would not do: the system gives it to the next test that asks. These ports it gives
/// to nobody, and here each is given once.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Another process of tests starts somewhere else.
    let start = std::process::id().wrapping_mul(97);
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)).wrapping_add(start);
        let offset = next % u32::from(GIVEN_OUT_BY_THE_SYSTEM - FIRST);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + u16::try_from(offset).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
