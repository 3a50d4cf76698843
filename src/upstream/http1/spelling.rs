//! Names of fields as apps expect them: each word with a capital. Old apps look for `X-Member-Id` and mean it to the letter.
//!
//! A worker writes the same few names with every request, so it keeps them as they are written.

use std::cell::RefCell;

use http::HeaderName;

use crate::http1;

/// A name, and what stands between it and its value.
const LONGEST: usize = 32;

thread_local! {
    static KNOWN: RefCell<[Option<Known>; http1::PLACES]> = const { RefCell::new([const { None }; http1::PLACES]) };
}

struct Known {
    name: HeaderName,
    written: [u8; LONGEST],
    length: usize,
}

impl Known {
    fn is(&self, name: &HeaderName) -> bool {
        http1::is_same(self.name.as_str().as_bytes(), name.as_str().as_bytes())
    }
}

/// Writes what stands in a field line before its value.
pub(super) fn begin_line(name: &HeaderName, out: &mut Vec<u8>) {
    let begin = out.len();
    let Some(place) = http1::place(name.as_str().as_bytes()) else { return write(name, out) };
    KNOWN.with_borrow_mut(|known| {
        let place = &mut known[usize::from(place)];
        if let Some(known) = place.as_ref().filter(|known| known.is(name)) {
            // So many octets are copied without a call, and too many of them do no harm.
            out.extend_from_slice(&known.written);
            out.truncate(begin + known.length);
            return;
        }
        write(name, out);
        let text = &out[begin..];
        if text.len() <= LONGEST {
            let mut written = [0; LONGEST];
            written[..text.len()].copy_from_slice(text);
            *place = Some(Known { name: name.clone(), written, length: text.len() });
        }
    });
}

fn write(name: &HeaderName, out: &mut Vec<u8>) {
    let mut begins = true;
    out.extend(name.as_str().bytes().map(|byte| {
        let byte = if begins { byte.to_ascii_uppercase() } else { byte };
        begins = byte == b'-';
        byte
    }));
    out.extend_from_slice(b": ");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_a_name_begins_with_a_capital_however_often_it_is_written_and_whatever_else_was() {
        let known = [
            ("a", "A"),
            ("te", "Te"),
            ("via", "Via"),
            ("host", "Host"),
            ("x-member-id", "X-Member-Id"),
            ("sec-ch-ua-platform-version", "Sec-Ch-Ua-Platform-Version"),
            ("-a--b-", "-A--B-"),
            ("1-2-x", "1-2-X"),
            ("x-y'z_w", "X-Y'z_w"),
        ]
        .map(|(name, written)| (name.to_owned(), written.to_owned()));
        let long = [29, 30, 31, 32, 300]
            .map(|length| ("x".repeat(length), "X".to_owned() + &"x".repeat(length - 1)));
        // More than there are places.
        let many = (0..1000).map(|number| (format!("x-{number:04}-y"), format!("X-{number:04}-Y")));
        let names: Vec<_> = known.into_iter().chain(long).chain(many).collect();
        for (name, expected) in names.iter().chain(&names).chain(names.iter().rev()) {
            let mut out = b"before ".to_vec();
            begin_line(&HeaderName::from_bytes(name.as_bytes()).unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("before {expected}: "));
        }
    }
}
