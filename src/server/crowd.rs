//! How many connections there may be: in all, and from one address.
//!
//! Each costs memory and a file descriptor, and one that says nothing is waited for. Who has more than enough is turned away
//! at once, before anything is read. Proxies in front bring the connections of many, and whoever comes from this machine is
//! one of them or could do worse: for them only the number in all counts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What of an IPv6 address says who somebody is: a household has the rest to itself (RFC 6177).
const NETWORK: u128 = !0 << 64;

/// The connections that are there, on all workers.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    all: AtomicUsize,
    /// Those that are counted by address.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// There are enough connections.
    All,
    /// There are enough from this address.
    Address,
}

/// One of the connections, for as long as this is there.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    /// Whether it is one of all, or only one more of its address.
    is_one_of_all: bool,
    address: Option<IpAddr>,
}

/// What a connection takes: a tunnel costs what any other does, and outlasts whoever has spoken HTTP over it.
#[expect(dead_code, reason = "they are there to be dropped")]
#[derive(Debug)]
pub(super) struct Seats {
    /// Among all.
    pub(super) one_of_all: Place,
    /// Among those of its address, where they are counted.
    pub(super) of_address: Option<Place>,
}

impl Crowd {
    /// Takes a connection from this address, where there are fewer than `most`.
    pub(super) fn admit(self: &Arc<Self>, most: usize) -> Result<Place, Crowded> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= most {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return Err(Crowded::All);
        }
        Ok(Place { crowd: Arc::clone(self), is_one_of_all: true, address: None })
    }

    /// Counts a connection that was taken for this address, where it has fewer than `most`.
    pub(super) fn admit_from(self: &Arc<Self>, address: IpAddr, most: usize) -> Result<Place, Crowded> {
        let address = network(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= most {
            return Err(Crowded::Address);
        }
        *count += 1;
        drop(by_address);
        Ok(Place { crowd: Arc::clone(self), is_one_of_all: false, address: Some(address) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_one_of_all {
            self.crowd.all.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(address) = self.address else { return };
        let mut by_address = self.crowd.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = by_address.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What of an address is counted together.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn there_are_so_many_and_no_more_until_one_has_gone() {
        let crowd = Arc::<Crowd>::default();
        let first = crowd.admit(2).unwrap();
        let _second = crowd.admit(2).unwrap();
        assert_eq!(crowd.admit(2).unwrap_err(), Crowded::All);
        drop(first);
        let _third = crowd.admit(2).unwrap();
        assert_eq!(crowd.admit(2).unwrap_err(), Crowded::All);
    }

    #[test]
    fn each_address_has_a_number_of_its_own_and_nothing_is_kept_of_who_has_gone() {
        let crowd = Arc::<Crowd>::default();
        let first = crowd.admit_from(address("192.0.2.1"), 1).unwrap();
        assert_eq!(crowd.admit_from(address("192.0.2.1"), 1).unwrap_err(), Crowded::Address);
        assert_eq!(crowd.admit_from(address("::ffff:192.0.2.1"), 1).unwrap_err(), Crowded::Address);
        let other = crowd.admit_from(address("192.0.2.2"), 1).unwrap();
        drop((first, other));
        assert!(crowd.by_address.lock().unwrap().is_empty());
        assert!(crowd.admit_from(address("192.0.2.1"), 1).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let crowd = Arc::<Crowd>::default();
        let _first = crowd.admit_from(address("2001:db8::1"), 1).unwrap();
        assert_eq!(crowd.admit_from(address("2001:db8::ffff:1"), 1).unwrap_err(), Crowded::Address);
        assert!(crowd.admit_from(address("2001:db8:0:1::1"), 1).is_ok());
    }
}
