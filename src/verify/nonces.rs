//! The nonces an app has seen: for where a recorded request must not be played again while its signature holds.

use std::collections::HashMap;

use super::{Proof, Refused, TOLERANCE};
use crate::time::UnixTime;

/// Nonces, each until its signature has expired. One process remembers for itself alone.
#[derive(Debug, Default)]
pub struct Nonces(HashMap<String, u64>);

impl Nonces {
    /// Remembers the nonce of a request whose signature holds; nobody else's, or a stranger could fill this memory.
    ///
    /// # Errors
    /// [`Refused::Replayed`] where it was there already.
    pub fn remember(&mut self, proof: &Proof<'_>, now: UnixTime) -> Result<(), Refused> {
        self.0.retain(|_, expires| expires.saturating_add(TOLERANCE) > now.0);
        match self.0.insert(proof.nonce.clone(), proof.expires) {
            None => Ok(()),
            Some(_) => Err(Refused::Replayed),
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
