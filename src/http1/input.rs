//! What has come over a connection and was not taken yet.

use std::io;
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};

use super::spares;

/// What is read at a time, at first, and when much comes. More than this would have left the processor's cache before it is
/// written.
const LITTLE: usize = 8 * 1024;
const MUCH: usize = 256 * 1024;
/// The same of what may lie here for long, beside much else of the same kind.
const SPARING: usize = 16 * 1024;

/// Octets that were read.
#[derive(Debug)]
pub struct Input {
    bytes: BytesMut,
    /// The room that the next read gets: more after one that has filled it, less after two that have not come near.
    room: usize,
    /// It gets no more than this.
    most: usize,
    /// The room that was made for the octets that are here, or were until they were taken; `capacity` does not tell it.
    made: usize,
    was_little: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { bytes: BytesMut::new(), room: LITTLE, most: MUCH, made: 0, was_little: false }
    }
}

impl Input {
    /// What has come.
    pub const fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// Whether all has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has come, for somebody who reads on.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.bytes.freeze()
    }

    /// Takes octets that were read elsewhere, where there are none.
    pub fn put(&mut self, octets: &[u8]) {
        (self.bytes, self.made) = (BytesMut::from(octets), octets.len());
    }

    /// Reads no large pieces from now on, or large ones again.
    pub fn be_sparing(&mut self, is_sparing: bool) {
        self.most = if is_sparing { SPARING } else { MUCH };
        self.room = self.room.min(self.most);
        if is_sparing {
            self.leave_large_room();
        }
    }

    /// Lets whoever reads next have a large room that is full, and from which all has been taken. Where that has been written
    /// by then, it still lies in the processor's cache; in a room of each connection's own it would not. One that is not full
    /// stays: pieces of a body that drips and is not taken would have a room each, and keep it.
    pub fn pass_on_room(&mut self) {
        if self.bytes.capacity() < self.room / 2 {
            self.leave_large_room();
        }
    }

    /// Gives back what room a large message has needed.
    pub fn shrink(&mut self) {
        self.leave_large_room();
        (self.room, self.was_little) = (LITTLE, false);
    }

    fn leave_large_room(&mut self) {
        if self.made > SPARING && self.bytes.is_empty() {
            spares::keep_room(std::mem::take(&mut self.bytes));
            self.made = 0;
        }
    }

    /// Reads more, by `read`, into what room there is behind the octets. Says how many came: none at the end.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn poll_fill(
        &mut self,
        read: impl FnOnce(&mut BytesMut) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let room = self.bytes.capacity() - self.bytes.len();
        // The buffer is used again where nobody holds any of it. To enlarge it would be to copy what has been taken.
        if room < self.room / 2 && !self.bytes.try_reclaim(self.room) {
            if self.bytes.is_empty() {
                let is_large = self.room > SPARING;
                self.bytes =
                    if is_large { spares::room(self.room) } else { BytesMut::with_capacity(self.room) };
                self.made = self.room;
            } else {
                self.bytes.reserve(self.room);
                self.made = self.made.max(self.room);
            }
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let count = ready!(read(&mut self.bytes))?;
        let is_little = count < self.room / 4;
        if count == room {
            self.room = (self.room * 2).min(self.most);
        } else if is_little && self.was_little {
            self.room = (self.room / 2).max(LITTLE);
        }
        self.was_little = is_little;
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many octets a read gets room for, which it fills.
    fn fill(input: &mut Input) -> usize {
        let filled = input.poll_fill(|bytes| {
            let room = bytes.capacity() - bytes.len();
            bytes.resize(bytes.capacity(), b'x');
            Poll::Ready(Ok(room))
        });
        let Poll::Ready(Ok(room)) = filled else { panic!("{filled:?}") };
        drop(input.bytes().split());
        room
    }

    /// Of a connection that reads much.
    fn large() -> Input {
        let mut input = Input::default();
        let most = (0..20).map(|_| fill(&mut input)).max();
        assert!(most >= Some(MUCH), "{most:?}");
        input
    }

    /// What one connection reads into a room that may be passed on.
    fn read(input: &mut Input, octet: u8) -> Bytes {
        let filled = input.poll_fill(|bytes| {
            bytes.resize(bytes.capacity(), octet);
            Poll::Ready(Ok(bytes.len()))
        });
        assert!(filled.is_ready());
        let read = input.bytes().split().freeze();
        input.pass_on_room();
        read
    }

    #[test]
    fn a_large_room_is_passed_on_once_all_has_gone_that_was_read_into_it() {
        let (mut one, mut other) = (large(), large());
        let first = read(&mut one, b'1');
        let place = first.as_ptr();

        let second = read(&mut other, b'2');
        assert_ne!(second.as_ptr(), place);
        assert!(first.iter().all(|&octet| octet == b'1'));

        drop(first);
        let third = read(&mut other, b'3');
        assert_eq!(third.as_ptr(), place);
        assert!(second.iter().all(|&octet| octet == b'2'));
    }

    /// Or each piece of a body that drips, while its client takes none, would keep a large room.
    #[test]
    fn a_large_room_that_is_not_full_is_read_into_again() {
        let mut input = large();
        let mut drip = || {
            let dripped = input.poll_fill(|bytes| {
                bytes.extend_from_slice(b"drip");
                Poll::Ready(Ok(4))
            });
            assert!(dripped.is_ready());
            let piece = input.bytes().split().freeze();
            input.pass_on_room();
            piece
        };
        let pieces = [drip(), drip(), drip()];
        let [first, second, third] = pieces.each_ref().map(|piece| piece.as_ptr().addr());
        assert_eq!((second - first, third - second), (4, 4));
    }

    #[test]
    fn a_connection_that_idles_holds_no_large_room() {
        for little in [0, 20] {
            let mut input = large();
            // Messages that follow are short, and may stand in what room there is.
            for _ in 0..little {
                let short = input.poll_fill(|bytes| {
                    bytes.extend_from_slice(b"short");
                    Poll::Ready(Ok(5))
                });
                assert!(short.is_ready());
                drop(input.bytes().split());
            }
            input.shrink();
            assert!(!input.bytes().try_reclaim(SPARING + 1), "after {little}");
        }
    }

    #[test]
    fn octets_that_nobody_has_taken_stay_whatever_becomes_of_their_room() {
        let mut input = large();
        let filled = input.poll_fill(|bytes| {
            bytes.extend_from_slice(b"the next request");
            Poll::Ready(Ok(16))
        });
        assert!(filled.is_ready());
        input.pass_on_room();
        input.be_sparing(true);
        input.shrink();
        assert_eq!(input.bytes(), &b"the next request"[..]);
    }

    #[test]
    fn whoever_is_to_be_sparing_leaves_the_room_that_much_has_needed() {
        let mut input = large();
        input.be_sparing(true);
        for _ in 0..20 {
            let room = fill(&mut input);
            assert!(room <= SPARING, "{room}");
        }
        input.be_sparing(false);
        let most = (0..20).map(|_| fill(&mut input)).max();
        assert!(most >= Some(MUCH), "{most:?}");
    }
}
