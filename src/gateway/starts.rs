//! How often a sign-in may be begun from one address.
//!
//! To begin one costs us next to nothing; but whoever begins thousands has some vendor's page opened thousands of times, in
//! our name. What is remembered is bounded: where there are more addresses than that, nobody in particular is at fault.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::server::crowd::network;
use crate::time::UnixTime;

/// What is counted together, in seconds.
const WINDOW: u64 = 60;
/// As many addresses are remembered.
const MOST_ADDRESSES: usize = 16 * 1024;

/// The sign-ins that were begun of late.
#[derive(Debug)]
pub struct Starts {
    most: u32,
    /// Of each address: in which minute, and how many.
    by_address: Mutex<HashMap<IpAddr, (u64, u32)>>,
}

impl Starts {
    /// At most so many from one address within a minute.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, by_address: Mutex::default() }
    }

    /// Whether one more may begin from this address. Connections from this machine are those of a proxy.
    #[must_use]
    pub fn admits(&self, address: IpAddr, now: UnixTime) -> bool {
        if address.to_canonical().is_loopback() {
            return true;
        }
        let (address, window) = (network(address), now.0 / WINDOW);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if by_address.len() >= MOST_ADDRESSES && !by_address.contains_key(&address) {
            by_address.retain(|_, (last, _)| *last == window);
            if by_address.len() >= MOST_ADDRESSES {
                by_address.clear();
            }
        }
        let (last, count) = by_address.entry(address).or_default();
        if *last != window {
            (*last, *count) = (window, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_795_300_020);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_begins_so_many_in_a_minute_and_others_have_their_own() {
        let starts = Starts::new(2);
        let admits = |text, now| starts.admits(address(text), now);
        assert!(admits("192.0.2.1", NOW) && admits("192.0.2.1", NOW));
        assert!(!admits("192.0.2.1", NOW));
        assert!(admits("192.0.2.2", NOW));
        assert!(admits("192.0.2.1", UnixTime(NOW.0 + 60)));
    }

    #[test]
    fn a_household_counts_as_one() {
        let starts = Starts::new(1);
        assert!(starts.admits(address("2001:db8::1"), NOW));
        assert!(!starts.admits(address("2001:db8::2"), NOW));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let starts = Starts::new(1);
        for number in 0..100_000_u32 {
            assert!(starts.admits(IpAddr::V4((0x0a00_0000 + number).into()), NOW));
        }
        assert!(starts.by_address.lock().unwrap().len() <= MOST_ADDRESSES);
    }
}
