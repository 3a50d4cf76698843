//! Random bytes, from one place.
//!
//! Rooms that need chance take it as an argument; those who call them take it from here.

/// `N` bytes nobody can guess.
///
/// # Panics
/// Where the operating system has no random bytes to give; nothing secret can be made on such a machine.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
