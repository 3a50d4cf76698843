//! One line of JSON, written straight into memory.
//!
//! Whatever comes from outside is escaped, so that a line stays one line and every reader of JSON can read it: octets that
//! are no printable ASCII become `\u00XX`, be they part of a character or not.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::trace::write_hex;

/// Text from outside is cut off here; no honest path is longer.
const MOST: usize = 1024;
const DAY: u64 = 86_400;

/// A line being written.
#[derive(Debug)]
pub struct Line<'a>(&'a mut Vec<u8>);

impl<'a> Line<'a> {
    /// Begins with the time, in milliseconds since 1970.
    pub(super) fn begin(text: &'a mut Vec<u8>, stamp: &mut Stamp, millis: u64) -> Self {
        text.extend_from_slice(b"{\"time\":\"");
        stamp.write(text, millis);
        text.push(b'"');
        Self(text)
    }

    pub(super) fn end(self) {
        self.0.extend_from_slice(b"}\n");
    }

    /// A word of ours, in which nothing has to be escaped.
    pub fn word(&mut self, name: &'static str, word: &str) {
        debug_assert!(word.bytes().all(is_plain), "{word}");
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
    }

    /// A text.
    pub fn text(&mut self, name: &'static str, value: &[u8]) {
        self.name(name);
        self.0.push(b'"');
        escape(self.0, value);
        self.0.push(b'"');
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        number(self.0, value);
    }

    /// A time in milliseconds, to the microsecond.
    pub fn millis(&mut self, name: &'static str, value: Duration) {
        let micros = value.as_secs().saturating_mul(1_000_000).saturating_add(value.subsec_micros().into());
        self.name(name);
        number(self.0, micros / 1000);
        self.0.push(b'.');
        digits(self.0, micros % 1000, 3);
    }

    /// Octets as hexadecimal.
    pub fn hex<const N: usize>(&mut self, name: &'static str, value: &[u8; N]) {
        self.name(name);
        self.0.push(b'"');
        let start = self.0.len();
        self.0.resize(start + 2 * N, 0);
        write_hex(value, &mut self.0[start..]);
        self.0.push(b'"');
    }

    /// Sixteen octets as base64url.
    pub fn base64(&mut self, name: &'static str, value: &[u8; 16]) {
        let mut text = [0; 22];
        self.name(name);
        self.0.push(b'"');
        if URL_SAFE_NO_PAD.encode_slice(value, &mut text).is_ok() {
            self.0.extend_from_slice(&text);
        }
        self.0.push(b'"');
    }

    /// An address.
    pub fn address(&mut self, name: &'static str, value: IpAddr) {
        self.name(name);
        self.0.push(b'"');
        match value {
            IpAddr::V4(address) => {
                for (index, octet) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        self.0.push(b'.');
                    }
                    number(self.0, octet.into());
                }
            }
            IpAddr::V6(address) => self.0.extend_from_slice(address.to_string().as_bytes()),
        }
        self.0.push(b'"');
    }

    fn name(&mut self, name: &'static str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

/// Whether an octet stands for itself in a JSON string (RFC 8259 §7).
const fn is_plain(byte: u8) -> bool {
    // Without a branch, so that many octets are looked at at once.
    (byte.wrapping_sub(b' ') < 0x7f - b' ') & (byte != b'"') & (byte != b'\\')
}

/// Writes text into a JSON string (RFC 8259 §7).
fn escape(into: &mut Vec<u8>, text: &[u8]) {
    let (text, is_cut) = text.get(..MOST).map_or((text, false), |start| (start, text.len() > MOST));
    let mut rest = text;
    // Nearly all there is needs nothing.
    let is_odd = text.iter().fold(false, |is_odd, &byte| is_odd | !is_plain(byte));
    while let Some(at) = rest.iter().position(|&byte| is_odd && !is_plain(byte)) {
        into.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => into.extend_from_slice(&[b'\\', byte]),
            byte => {
                let mut digits = *b"\\u0000";
                write_hex(&[byte], &mut digits[4..]);
                into.extend_from_slice(&digits);
            }
        }
        rest = &rest[at + 1..];
    }
    into.extend_from_slice(rest);
    if is_cut {
        into.extend_from_slice(b"...");
    }
}

/// A number in decimal.
fn number(into: &mut Vec<u8>, value: u64) {
    into.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The same, with zeros in front up to `least` digits.
fn digits(into: &mut Vec<u8>, mut value: u64, least: usize) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while value > 0 || text.len() - at < least {
        at -= 1;
        text[at] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
    into.extend_from_slice(&text[at..]);
}

/// The time as RFC 3339 has it. The last second is remembered: nearly every line is of the same one as that before.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: u64,
    /// `2026-11-22T23:59:59`
    text: Vec<u8>,
}

impl Stamp {
    fn write(&mut self, into: &mut Vec<u8>, millis: u64) {
        let second = millis / 1000;
        if self.text.is_empty() || second != self.second {
            self.second = second;
            self.text.clear();
            let (year, month, day) = date(second / DAY);
            let time = second % DAY;
            let parts =
                [(year, b'-'), (month, b'-'), (day, b'T'), (time / 3600, b':'), (time / 60 % 60, b':')];
            for (number, behind) in parts {
                digits(&mut self.text, number, if behind == b'-' && number > 99 { 4 } else { 2 });
                self.text.push(behind);
            }
            digits(&mut self.text, time % 60, 2);
        }
        into.extend_from_slice(&self.text);
        into.push(b'.');
        digits(into, millis % 1000, 3);
        into.push(b'Z');
    }
}

/// Year, month and day, so many days after 1970-01-01. With March for the first month of a year, a leap day is its last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut text = Vec::new();
        let mut line = Line::begin(&mut text, &mut Stamp::default(), 0);
        write(&mut line);
        line.end();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_kind_of_value() {
        let text = line(|line| {
            line.text("path", b"/a");
            line.number("none", 0);
            line.number("most", u64::MAX);
            line.millis("ms", Duration::from_micros(12_003));
            line.hex("hex", &[0, 0xab]);
            line.base64("id", &[255; 16]);
            line.address("v4", "127.0.0.10".parse().unwrap());
            line.address("v6", "2001:db8::1".parse().unwrap());
        });
        let expected = "{\"time\":\"1970-01-01T00:00:00.000Z\",\"path\":\"/a\",\"none\":0,\"most\":18446744073709551615,\
            \"ms\":12.003,\"hex\":\"00ab\",\"id\":\"_____________________w\",\"v4\":\"127.0.0.10\",\"v6\":\"2001:db8::1\"}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn whatever_bytes_come_a_line_stays_a_line_of_json() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = line(|line| line.text("path", &bytes));
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.is_ascii());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let path: Vec<u8> =
            value["path"].as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect();
        assert_eq!(path, bytes);
    }

    #[test]
    fn a_path_as_long_as_a_book_is_cut() {
        let text = line(|line| line.text("path", &[b'a'; 5000]));
        assert!(text.len() < 1100 && text.contains("aaa...\""), "{text}");
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_383_000_007, "2026-11-22T21:30:00.007Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut text = Vec::new();
            Stamp::default().write(&mut text, millis);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
