//! The sieve: looks for a token in an answer as it streams by, also where it is cut in two.
//!
//! A vendor that repeats a request in its error page repeats the token with it, escaped as the page wants it. What could be
//! the beginning of one is held back until more has come; of nearly all pieces that is nothing, so an answer streams as it
//! did.

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
        let mut begins = None;
        for at in 0..whole.len() {
            match written(&self.token, &whole[at..]) {
                Written::Wholly => return Err(Found),
                Written::SoFar => begins = begins.or(Some(at)),
                Written::Not => {}
            }
        }
        if let Some(at) = begins {
            self.held = whole.split_off(at);
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

/// Whether a token stands in a text, however it is written.
pub(super) fn holds(text: &[u8], token: &[u8]) -> bool {
    (0..text.len()).any(|at| written(token, &text[at..]) == Written::Wholly)
}

/// Whether a text begins with something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    Not,
    /// It does as far as it goes.
    SoFar,
    Wholly,
}

/// Whether a text begins with a token: as it is, or with any of its octets escaped.
fn written(token: &[u8], text: &[u8]) -> Written {
    // Nearly every octet of an answer gets no further.
    if text.first() != token.first() && !matches!(text.first(), Some(b'%' | b'\\' | b'&')) {
        return Written::Not;
    }
    begins(text, token, <[u8]>::eq).max(escaped(token, text))
}

/// The same where octets are escaped. What a token is made of (RFC 6750 §2.1) begins no escape, so one way is all there is.
fn escaped(token: &[u8], text: &[u8]) -> Written {
    let mut rest = text;
    for &octet in token {
        let (seen, length) = match rest.first() {
            Some(b'%' | b'\\' | b'&') => spelt(octet, rest),
            Some(_) | None => (begins(rest, &[octet], <[u8]>::eq), 1),
        };
        if seen != Written::Wholly {
            return seen;
        }
        rest = &rest[length..];
    }
    Written::Wholly
}

/// Whether a text begins with an octet as URLs (RFC 3986 §2.1), JSON (RFC 8259 §7) and HTML write it, and at what length.
fn spelt(octet: u8, text: &[u8]) -> (Written, usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let [high, low] = [octet >> 4, octet & 0xf].map(|digit| HEX[usize::from(digit)]);
    let [hundreds, tens, ones] = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
    let (plain, slashed) = ([octet], [b'\\', octet]);
    let spellings: [&[u8]; 7] = [
        &plain,
        // Before letters a backslash means something else.
        if octet.is_ascii_alphanumeric() { &plain } else { &slashed },
        &[b'%', high, low],
        &[b'\\', b'u', b'0', b'0', high, low],
        &[b'&', b'#', b'x', high, low, b';'],
        &[b'&', b'#', tens, ones, b';'],
        &[b'&', b'#', hundreds, tens, ones, b';'],
    ];
    // Digits may be of either case.
    let seen =
        spellings.map(|spelling| (begins(text, spelling, <[u8]>::eq_ignore_ascii_case), spelling.len()));
    seen.into_iter().max().unwrap_or((Written::Not, 0))
}

/// Whether a text begins with another, to which it is compared so.
fn begins(text: &[u8], other: &[u8], is_same: impl Fn(&[u8], &[u8]) -> bool) -> Written {
    let length = text.len().min(other.len());
    if !is_same(&text[..length], &other[..length]) {
        Written::Not
    } else if length < other.len() {
        Written::SoFar
    } else {
        Written::Wholly
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
    fn a_token_is_found_however_it_is_written_and_wherever_that_is_cut() {
        for written in [
            "a/b+c=.1",
            r"a\/b+c=.1",
            r"a\/b\u002bc\u003D.1",
            "a%2Fb%2Bc%3D.1",
            "a%2fb%2bc%3d.1",
            "a/b%2Bc%3D%2e1",
            "a&#x2F;b&#43;c&#x3d;.1",
            "%61%2fb%2bc%3d%2e%31",
        ] {
            let text = format!("x%a{written}&");
            for cut in 0..text.len() {
                let mut sieve = Sieve::new(b"a/b+c=.1");
                let (first, second) = text.split_at(cut);
                let mut pass = |piece: &str| sieve.pass(Bytes::copy_from_slice(piece.as_bytes()));
                assert!(pass(first).and_then(|_| pass(second)).is_err(), "{text} {cut}");
            }
        }
        for token in ["a%2Fb", r"a\u002f", r#"a"b&c"#] {
            let escaped = serde_json::to_string(token).unwrap();
            for text in [token, &escaped, &token.replace('%', "%25"), &token.replace('&', "&#38;")] {
                let mut sieve = Sieve::new(token.as_bytes());
                assert_eq!(sieve.pass(Bytes::copy_from_slice(text.as_bytes())), Err(Found), "{token} {text}");
            }
        }
    }

    #[test]
    fn what_is_no_token_passes_octet_for_octet() {
        for text in [
            b"ababa".as_slice(),
            b"abababxababa",
            b"",
            b"cabab",
            b"ac ab aba",
            b"a%6",
            br"\u0061b&#x6",
            b"&#9",
        ] {
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
