//! How much memory the forms of a site may take, while they are kept and while they come back.
//!
//! A form is read whole before it can be sealed, and whoever posts one need not be anybody. So what all of them hold is counted
//! as it comes, until the last octet has gone of what was made of it; a form for which there is no room is not kept, like one
//! that is too large.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted in.
const KIB: usize = 1024;
/// An octet of a form is held as it came, and once more as it is sealed or opened.
const COPIES: usize = 2;

/// The room that there is.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// What a form takes of it. It is given back when this goes.
#[derive(Debug)]
pub(in crate::gateway) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Why a form was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Unread {
    /// It is longer than any is to be, or breaks off.
    Unfit,
    /// Others take all the room that there is.
    NoRoom,
}

impl Room {
    /// For so many octets, counted as they are held in memory.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self(Arc::new(Semaphore::new((octets / KIB).min(Semaphore::MAX_PERMITS))))
    }

    /// The least of it in which a form of this length has room.
    #[must_use]
    pub const fn least(length: usize) -> usize {
        length.saturating_mul(COPIES).div_ceil(KIB).saturating_mul(KIB)
    }

    /// Reads a form to its end. What pieces it comes in does not matter: they are copied, and not kept.
    pub(in crate::gateway) async fn read<B>(
        &self,
        mut form: B,
        limit: usize,
    ) -> Result<(Bytes, Place), Unread>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut octets = Vec::new();
        let mut permit = self.more(0)?;
        while let Some(frame) = form.frame().await {
            let Ok(piece) = frame.map_err(|_| Unread::Unfit)?.into_data() else { continue };
            let length = octets.len() + piece.len();
            if length > limit {
                return Err(Unread::Unfit);
            }
            permit.merge(self.more(Self::least(length) / KIB - permit.num_permits())?);
            octets.extend_from_slice(&piece);
        }
        Ok((octets.into(), Place { _permit: permit }))
    }

    fn more(&self, kib: usize) -> Result<OwnedSemaphorePermit, Unread> {
        let kib = u32::try_from(kib).map_err(|_| Unread::NoRoom)?;
        Arc::clone(&self.0).try_acquire_many_owned(kib).map_err(|_| Unread::NoRoom)
    }
}

impl Place {
    /// The same octets, which keep the place until the last of them has gone.
    pub(in crate::gateway) fn around(self, octets: Bytes) -> Bytes {
        Bytes::from_owner(Held { octets, _place: self })
    }
}

struct Held {
    octets: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn read(room: &Room, length: usize) -> Result<(Bytes, Place), Unread> {
        room.read(Full::new(Bytes::from(vec![b'x'; length])), 4 * KIB).await
    }

    #[tokio::test]
    async fn there_is_room_for_so_much_and_it_is_given_back_with_the_last_octet() {
        let room = Room::new(Room::least(4 * KIB) + Room::least(KIB));
        let (octets, place) = read(&room, 4 * KIB).await.unwrap();
        let (_, small) = read(&room, KIB).await.unwrap();
        assert_eq!(read(&room, 1).await.unwrap_err(), Unread::NoRoom);

        let mut octets = place.around(octets);
        let last = octets.split_off(octets.len() - 1);
        drop((octets, small));
        assert!(read(&room, KIB).await.is_ok());
        assert_eq!(read(&room, KIB + 1).await.unwrap_err(), Unread::NoRoom);
        drop(last);
        assert!(read(&room, 4 * KIB).await.is_ok());
    }

    #[tokio::test]
    async fn a_form_that_is_too_long_is_not_read_whatever_room_there_is() {
        let room = Room::new(1024 * KIB);
        assert_eq!(read(&room, 4 * KIB + 1).await.unwrap_err(), Unread::Unfit);
        assert!(read(&room, 0).await.is_ok());
        assert_eq!(room.0.available_permits(), 1024, "and nothing of it is kept");
    }
}
