//! Random bytes, from one place.
//!
//! Rooms that need chance take it as an argument; those who call them take it from here.
//!
//! It is the operating system that gives them, and no generator of this process: where a virtual machine is started twice
//! from one image, both would have the same generator, and seal under the same nonces. A kernel hears of that.

use std::cell::RefCell;

/// Fetched at a time for [`nonce`].
const AHEAD: usize = 1024;

/// `N` bytes nobody can guess.
///
/// # Panics
/// Where the operating system has no random bytes to give; nothing secret can be made on such a machine.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// `N` bytes nobody can guess beforehand, for what is no secret once it is used: nonces, ids of requests. Every request
/// takes some, so they are fetched many at a time; what is secret must not lie about like this, and takes [`bytes()`].
///
/// # Panics
/// As [`bytes()`].
#[must_use]
pub fn nonce<const N: usize>() -> [u8; N] {
    const { assert!(N <= AHEAD) };
    thread_local! {
        /// What was fetched, and how much of it is left at its start.
        static FETCHED: RefCell<([u8; AHEAD], usize)> = const { RefCell::new(([0; AHEAD], 0)) };
    }
    FETCHED.with_borrow_mut(|(fetched, left)| {
        if *left < N {
            fill(fetched);
            *left = AHEAD;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&fetched[*left - N..*left]);
        *left -= N;
        bytes
    })
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_nonce_comes_twice() {
        let nonces: HashSet<[u8; 24]> = (0..AHEAD).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), AHEAD);
        let zeros = nonces.iter().flatten().filter(|&&byte| byte == 0).count();
        assert!(zeros < AHEAD, "{zeros} zeros among {} bytes", 24 * AHEAD);
    }
}
