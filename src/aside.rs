//! What not every request comes to, kept out of the way of those that do not.

use std::pin::Pin;

/// Begins something that is rare, or that only some upstreams need, in a place of its own.
///
/// A future that is waited for where it is begun becomes a part of whoever waits: each of its variables has a place in that
/// one's frame, whether it is ever begun or not, and those of a handshake with an upstream, or of a login, are many. So that
/// the frame of every request stays small, what is returned here does not say what it is, and is made by a function that
/// becomes a part of nobody.
#[inline(never)]
pub fn aside<'a, F: Future + 'a>(begin: impl FnOnce() -> F) -> Pin<Box<dyn Future<Output = F::Output> + 'a>> {
    Box::pin(begin())
}
