//! What one message leaves to another: room for fields and for octets, by worker.
//!
//! A message takes room when it comes and gives it back when it has gone, so that none has to be made for each, and a
//! connection that waits for the next one holds none.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::BytesMut;

use crate::message::Fields;

/// How many there are of each at most.
const MOST: usize = 32;
/// What was larger, for one message that was, is not kept.
const MOST_OCTETS: usize = 32 * 1024;
const MOST_FIELDS: usize = 128;
/// What an ordinary head is no longer than. Many are under way at once over HTTP/2, more than there are spares.
const USUAL_OCTETS: usize = 2 * 1024;

/// How many large rooms are kept. Whoever reads much, and has it written at once, needs two; more would not stay in the
/// processor's cache.
const MOST_ROOMS: usize = 4;

thread_local! {
    static FIELDS: RefCell<Vec<Fields>> = const { RefCell::new(Vec::new()) };
    static OCTETS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static ROOMS: RefCell<VecDeque<BytesMut>> = const { RefCell::new(VecDeque::new()) };
}

/// No fields, and room for some.
#[must_use]
pub fn fields() -> Fields {
    FIELDS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps the room of fields. What stood in there is gone.
pub fn keep_fields(mut fields: Fields) {
    if (1..=MOST_FIELDS).contains(&fields.capacity()) {
        fields.clear();
        FIELDS.with_borrow_mut(|spares| keep(spares, fields));
    }
}

/// An empty buffer.
#[must_use]
pub fn octets() -> Vec<u8> {
    OCTETS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(USUAL_OCTETS))
}

/// Keeps the room of a buffer. What stood in it is gone.
pub fn keep_octets(mut octets: Vec<u8>) {
    if (1..=MOST_OCTETS).contains(&octets.capacity()) {
        octets.clear();
        OCTETS.with_borrow_mut(|spares| keep(spares, octets));
    }
}

/// Room for so many octets: where others stood that have gone, the last ones first.
#[must_use]
pub fn room(octets: usize) -> BytesMut {
    ROOMS.with_borrow_mut(|rooms| {
        let free = rooms.iter_mut().rposition(|room| room.try_reclaim(octets));
        free.and_then(|free| rooms.remove(free)).unwrap_or_else(|| BytesMut::with_capacity(octets))
    })
}

/// Keeps a room that may be used again once all has gone that was taken from it. What stands in it still is gone.
pub fn keep_room(mut room: BytesMut) {
    room.clear();
    ROOMS.with_borrow_mut(|rooms| {
        if rooms.len() == MOST_ROOMS {
            rooms.pop_front();
        }
        rooms.push_back(room);
    });
}

fn keep<T>(spares: &mut Vec<T>, spare: T) {
    if spares.len() < MOST {
        spares.push(spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_finds_what_another_has_left() {
        let mut left = BytesMut::with_capacity(64);
        left.extend_from_slice(b"of somebody else");
        let place = left.as_ptr();
        keep_room(left);
        let room = room(8);
        assert_eq!((room.as_ptr(), room.len()), (place, 0));

        keep_octets(b"of somebody else".to_vec());
        assert_eq!(octets(), b"");
    }
}
