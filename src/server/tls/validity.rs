//! From when until when a certificate holds (RFC 5280 §4.1.2.5).
//!
//! The library that verifies certificates does not tell. What is read here it has read before, strictly; this file only
//! walks to the two times, and says nothing where they are not what they should be.

use crate::time::UnixTime;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last instant of a certificate in DER.
pub(super) fn validity(certificate: &[u8]) -> Option<(UnixTime, UnixTime)> {
    let (certificate, _) = take(certificate, SEQUENCE)?;
    let (mut body, _) = take(certificate, SEQUENCE)?;
    if let Some((_, rest)) = take(body, VERSION) {
        body = rest;
    }
    // The serial number, the algorithm, the issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, body) = take(body, tag)?;
    }
    let (validity, _) = take(body, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some((from, until))
}

/// The content of the value in front, which has this tag, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // No certificate is longer than four octets can say.
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A time, always in UTC and with seconds.
fn time(der: &[u8]) -> Option<(UnixTime, &[u8])> {
    let (year, text, rest) = if let Some((text, rest)) = take(der, UTC_TIME) {
        let (year, text) = text.split_at_checked(2)?;
        let year = number(year)?;
        (if year < 50 { 2000 + year } else { 1900 + year }, text, rest)
    } else {
        let (text, rest) = take(der, GENERALIZED_TIME)?;
        let (year, text) = text.split_at_checked(4)?;
        (number(year)?, text, rest)
    };
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.len() == 10)?;
    let mut parts = digits.chunks(2).map(number);
    let mut part = || parts.next().flatten();
    let (month, day, hour, minute, second) = (part()?, part()?, part()?, part()?, part()?);
    let sound = (1..=12).contains(&month) && (1..=31).contains(&day);
    let sound = sound && hour < 24 && minute < 60 && second < 60;
    let days = sound.then(|| days(year, month, day)).flatten()?;
    Some((UnixTime(days * 86_400 + hour * 3_600 + minute * 60 + second), rest))
}

fn number(digits: &[u8]) -> Option<u64> {
    let all_digits = digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Days from 1970-01-01; with March for the first month of a year, a leap day is its last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let month = (month + 9) % 12;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    #[test]
    fn a_time_is_seconds_since_1970() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "000229235959Z", 951_868_799),
            (UTC_TIME, "261122213000Z", 1_795_383_000),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(time(&der(tag, text.as_bytes())), Some((UnixTime(seconds), &[][..])), "{text}");
        }
        for (tag, text) in [
            (UTC_TIME, "7001010000Z"),
            (UTC_TIME, "700101000000+0100"),
            (UTC_TIME, "701301000000Z"),
            (UTC_TIME, "6901010+0000Z"),
            (UTC_TIME, "691231235959Z"),
            (GENERALIZED_TIME, "00000101000000Z"),
            (GENERALIZED_TIME, "99991231235960Z"),
            (INTEGER, "700101000000Z"),
        ] {
            assert_eq!(time(&der(tag, text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let times = [der(UTC_TIME, b"260101000000Z"), der(UTC_TIME, b"270101000000Z")].concat();
        let body =
            [der(INTEGER, &[1]), der(SEQUENCE, &[]), der(SEQUENCE, &[]), der(SEQUENCE, &times)].concat();
        let certificate = der(SEQUENCE, &der(SEQUENCE, &body));
        assert_eq!(validity(&certificate), Some((UnixTime(1_767_225_600), UnixTime(1_798_761_600))));
        for end in 0..certificate.len() {
            assert_eq!(validity(&certificate[..end]), None, "{end}");
        }
        for at in 0..certificate.len() {
            for byte in [0, 0x7f, 0x80, 0x81, 0x84, 0xff] {
                let mut mangled = certificate.clone();
                mangled[at] = byte;
                let _ = validity(&mangled);
            }
        }
    }
}
