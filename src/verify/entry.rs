//! What stands behind the label in `Signature-Input` and `Signature`, in the one form the gateway writes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::LABEL;

/// The parts of an entry in `Signature-Input`.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The list and its parameters, as they were signed.
    pub(super) parameters: &'a str,
    /// The inside of the list.
    pub(super) covered: &'a str,
    pub(super) created: u64,
    pub(super) expires: u64,
    pub(super) nonce: &'a str,
    pub(super) keyid: &'a str,
    pub(super) alg: &'a str,
    pub(super) tag: &'a str,
}

impl<'a> Entry<'a> {
    pub(super) fn parse(field: &'a str) -> Option<Self> {
        let entry = field.strip_prefix(LABEL)?.strip_prefix('=')?;
        let (covered, rest) = entry.strip_prefix('(')?.split_once(')')?;
        if covered.contains('(') {
            return None;
        }
        let (created, rest) = number(rest, ";created=")?;
        let (expires, rest) = number(rest, ";expires=")?;
        let (nonce, rest) = string(rest, ";nonce=\"")?;
        let (keyid, rest) = string(rest, ";keyid=\"")?;
        let (alg, rest) = string(rest, ";alg=\"")?;
        let (tag, rest) = string(rest, ";tag=\"")?;
        let parameters = &entry[..entry.len() - rest.len()];
        ends(rest).then_some(Self { parameters, covered, created, expires, nonce, keyid, alg, tag })
    }
}

/// The bytes of our signature in `Signature`.
pub(super) fn signature(field: &str) -> Option<Vec<u8>> {
    let (text, rest) = field.strip_prefix(LABEL)?.strip_prefix("=:")?.split_once(':')?;
    // The engine takes nothing but the canonical text: padding is demanded, spare bits are zero.
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())?;
    ends(rest).then_some(bytes)
}

/// At most 15 digits, as structured fields have them (RFC 9651 §3.3.1).
fn number<'a>(text: &'a str, name: &str) -> Option<(u64, &'a str)> {
    let text = text.strip_prefix(name)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok().filter(|_| digits <= 15)?;
    Some((number, &text[digits..]))
}

fn string<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (inside, rest) = text.strip_prefix(name)?.split_once('"')?;
    inside.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\').then_some((inside, rest))
}

/// Whether an entry ends here, and none of those behind it bears our label: of two, others would take the last.
fn ends(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '\t']);
    (rest.is_empty() || rest.starts_with(','))
        && !rest.split_once(',').is_some_and(|(_, behind)| names_ours(behind))
}

/// Whether an entry of a list bears our label, to one who cuts it at commas and knows nothing of quotation marks.
pub(crate) fn names_ours(list: &str) -> bool {
    list.split(',').any(|piece| {
        let behind = piece.trim_start_matches([' ', '\t']).strip_prefix(LABEL);
        let goes_on =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte);
        behind.is_some_and(|behind| !behind.as_bytes().first().is_some_and(goes_on))
    })
}
