//! Names of fields that have been read before, by worker.
//!
//! Clients and apps say the same few names with every message, spelled as they always spell them. Who has read one once
//! need not check it again, put it into lower case, and, where HTTP has not registered it, make a copy.

use std::cell::RefCell;

use http::HeaderName;
use http::header::InvalidHeaderName;

/// Longer ones are read anew each time.
const LONGEST: usize = 31;
/// So many places there are for names that are kept. Two that would stand in the same one take turns.
pub const PLACES: usize = 256;

thread_local! {
    static KNOWN: RefCell<[Option<Known>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// A name as it was spelled, and what it is.
struct Known {
    spelling: [u8; LONGEST],
    length: u8,
    name: HeaderName,
}

impl Known {
    fn spelling(&self) -> &[u8] {
        &self.spelling[..usize::from(self.length)]
    }
}

/// The name that is spelled so.
///
/// # Errors
/// Where it is none (RFC 9110 §5.1).
pub fn name(spelling: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    let (Some(place), Ok(length)) = (place(spelling), u8::try_from(spelling.len())) else {
        return HeaderName::from_bytes(spelling);
    };
    if spelling.len() > LONGEST {
        return HeaderName::from_bytes(spelling);
    }
    KNOWN.with_borrow_mut(|known| {
        let place = &mut known[usize::from(place)];
        if let Some(known) = place.as_ref().filter(|known| is_same(known.spelling(), spelling)) {
            return Ok(known.name.clone());
        }
        let name = HeaderName::from_bytes(spelling)?;
        let mut kept = [0; LONGEST];
        kept[..spelling.len()].copy_from_slice(spelling);
        *place = Some(Known { spelling: kept, length, name: name.clone() });
        Ok(name)
    })
}

/// Whether two short texts are the same. To compare slices is a call, which costs more than so few octets do.
#[inline]
#[must_use]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (ones, last_of_one) = one.as_chunks::<8>();
    let (others, last_of_other) = other.as_chunks::<8>();
    one.len() == other.len()
        && ones.iter().zip(others).all(|(one, other)| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other))
        && match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
            (Some(one), Some(other)) => u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other),
            _ => last_of_one.iter().eq(last_of_other),
        }
}

/// In which place a name is kept that is spelled so; none, where it is too short to be worth it.
#[must_use]
pub fn place(spelling: &[u8]) -> Option<u8> {
    let &[first, .., third, second, last] = spelling else { return None };
    let [length, ..] = spelling.len().to_le_bytes();
    let traits = u32::from_le_bytes([length.wrapping_add(first), third, second, last]);
    // The top bits of a product depend on all of its factor's. This one keeps those apart that come together.
    let [.., place] = traits.wrapping_mul(0x27d4_eb2f).to_le_bytes();
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_is_however_often_it_is_read_and_whatever_else_was() {
        let many = (b' '..=b'~').flat_map(|a| (b' '..=b'~').map(move |b| vec![b'x', a, b'y', b]));
        let others =
            ["", "a", "Cookie", "cookie", "COOKIE", "sec-fetch-site", "Sec-Fetch-Site", "bad name", "é"];
        let long = [30, 31, 32, 33, 255, 256, 300].map(|length| "X".repeat(length).into_bytes());
        let spellings: Vec<_> = many.chain(others.map(|name| name.as_bytes().to_vec())).chain(long).collect();
        for spelling in spellings.iter().chain(&spellings).chain(spellings.iter().rev()) {
            let (read, expected) = (name(spelling), HeaderName::from_bytes(spelling));
            assert_eq!(read.ok(), expected.ok(), "{}", spelling.escape_ascii());
        }
    }

    #[test]
    fn texts_are_the_same_where_no_octet_and_no_length_differs() {
        let text = *b"sec-ch-ua-platform-version-and-more-of-it";
        for length in 0..text.len() {
            assert!(is_same(&text[..length], &text[..length]), "{length}");
            assert!(!is_same(&text[..length], &text[..=length]), "{length}");
            for place in 0..length {
                let mut other = text;
                other[place] ^= 1;
                assert!(!is_same(&text[..length], &other[..length]), "{place} of {length}");
            }
        }
    }
}
