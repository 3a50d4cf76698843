//! The sieve: looks for a token in an answer as it streams by, also where it is cut in two.
//!
//! A vendor that repeats a request in its error page repeats the token with it. What could be the beginning of one is held
//! back until more has come; of nearly all pieces that is nothing, so an answer streams as it did.

use bytes::{Bytes, BytesMut};

/// Looks for one token.
pub(super) struct Sieve {
    token: Vec<u8>,
    /// The end of what has come, where that could be the beginning of the token.
    held: Bytes,
}

/// The token stands in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found;

impl Sieve {
    pub(super) fn new(token: &[u8]) -> Self {
        Self { token: token.to_vec(), held: Bytes::new() }
    }

    /// What may go on now that this has come.
    pub(super) fn pass(&mut self, piece: Bytes) -> Result<Bytes, Found> {
        let held = std::mem::take(&mut self.held);
        let mut whole = if held.is_empty() {
            piece
        } else {
            let mut both = BytesMut::from(&*held);
            both.extend_from_slice(&piece);
            both.freeze()
        };
        if memchr::memmem::find(&whole, &self.token).is_some() {
            return Err(Found);
        }
        let longest = whole.len().min(self.token.len().saturating_sub(1));
        let is_beginning = |length: &usize| whole.ends_with(&self.token[..*length]);
        if let Some(length) = (1..=longest).rev().find(is_beginning) {
            self.held = whole.split_off(whole.len() - length);
        }
        Ok(whole)
    }

    /// What was held back and turns out to be nothing.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    /// Whether something is held back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"ababac";

    fn sieved(pieces: &[&[u8]]) -> Result<Vec<u8>, Found> {
        let mut sieve = Sieve::new(TOKEN);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&sieve.pass(Bytes::copy_from_slice(piece))?);
        }
        out.extend_from_slice(&sieve.rest());
        Ok(out)
    }

    #[test]
    fn a_token_is_found_wherever_it_is_cut() {
        let text = b"xxabababacyy";
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(sieved(&pieces), Err(Found), "{first} {second}");
            }
        }
        let octets: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(sieved(&octets), Err(Found));
    }

    #[test]
    fn what_is_no_token_passes_octet_for_octet() {
        for text in [b"ababa".as_slice(), b"abababxababa", b"", b"cabab", b"ac ab aba"] {
            for cut in 0..=text.len() {
                assert_eq!(sieved(&[&text[..cut], &text[cut..]]).unwrap(), text);
            }
        }
    }

    #[test]
    fn nothing_is_held_back_that_cannot_become_one() {
        let mut sieve = Sieve::new(TOKEN);
        assert_eq!(sieve.pass(Bytes::from_static(b"{\"name\":\"x\"}")).unwrap().len(), 12);
        assert!(!sieve.holds());
    }
}
