//! Durations and sizes as operators write them: `"30s"`, `"64KiB"`.

use std::time::Duration;

/// A duration: a whole number and one of `s`, `m`, `h`, `d`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number
        .checked_mul(seconds)
        .filter(|seconds| (1..=MOST_SECONDS).contains(seconds))
        .map(Duration::from_secs)
}

/// A hundred years; longer is a slip of the keyboard.
const MOST_SECONDS: u64 = 100 * 366 * 24 * 60 * 60;

/// A size: a whole number and one of `B`, `KiB`, `MiB`.
#[must_use]
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return None,
    };
    number.checked_mul(bytes).filter(|bytes| *bytes > 0).and_then(|bytes| usize::try_from(bytes).ok())
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("30s", 30), ("15m", 900), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "30", "s", "0s", "-1s", "1.5h", "1w", "1 h", "1H", "99999999999999999999s", "9999999999d"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("1MiB", 1_048_576)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "64", "64kb", "64KB", "0KiB", "1GiB", "99999999999999999999B"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
