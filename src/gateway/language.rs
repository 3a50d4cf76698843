//! Languages: which one a person reads, by `Accept-Language` (RFC 9110 §12.5.4).
//!
//! Only the primary subtag counts (`es-MX` is Spanish), by the quality that the browser gives it. What is not well formed
//! counts for nothing, and where nothing is left it is English.

use http::header::{ACCEPT_LANGUAGE, HeaderValue};

use crate::message::Fields;

/// More ranges than any browser sends; what stands behind them is not read.
const MOST_RANGES: usize = 32;

/// A language in which the gateway speaks to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Whoever says nothing gets this one.
    #[default]
    English,
    /// Spanish.
    Spanish,
    /// French.
    French,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::English, Self::Spanish, Self::French];

    /// Its tag (RFC 5646).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
            Self::French => "fr",
        }
    }

    /// The language that a request prefers.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        Self::preferred(fields.get_all(ACCEPT_LANGUAGE))
    }

    /// The language that these lines of the field prefer.
    #[must_use]
    pub fn preferred<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let lines = lines.into_iter().filter_map(|line| line.to_str().ok());
        let ranges: Vec<(&str, u16)> =
            lines.flat_map(|line| line.split(',')).take(MOST_RANGES).filter_map(range).collect();
        let named = |language: Self| {
            let own = ranges.iter().enumerate().filter(move |(_, (tag, _))| language.is_meant_by(tag));
            own.max_by_key(|(place, (_, quality))| (*quality, std::cmp::Reverse(*place)))
        };
        // What a language is worth, and where it stands; `*` is about those that are not named.
        let wish = |language: Self| {
            let any = || ranges.iter().enumerate().find(|(_, (tag, _))| *tag == "*");
            let (place, (_, quality)) = named(language).or_else(any)?;
            (*quality > 0).then_some((*quality, std::cmp::Reverse(place), language))
        };
        // Of several that are worth the same the first one counts: of those named the first in the field, else English.
        let wishes = Self::ALL.into_iter().rev().filter_map(wish);
        wishes
            .max_by_key(|(quality, place, _)| (*quality, *place))
            .map_or(Self::English, |(.., language)| language)
    }

    fn is_meant_by(self, range: &str) -> bool {
        range.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case(self.tag()))
    }
}

/// A language range (RFC 4647 §2.1) and its quality in thousandths; nothing where either is malformed.
fn range(text: &str) -> Option<(&str, u16)> {
    let (tag, weight) = text.split_once(';').map_or((text, None), |(tag, weight)| (tag, Some(weight)));
    let tag = tag.trim();
    let is_subtag =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if tag != "*" && !tag.split('-').all(|part| part == "*" || is_subtag(part)) {
        return None;
    }
    let quality = weight.map_or(Some(1000), |weight| {
        let (name, value) = weight.trim().split_once('=')?;
        name.eq_ignore_ascii_case("q").then(|| quality(value)).flatten()
    });
    Some((tag, quality?))
}

/// A qvalue (RFC 9110 §12.4.2) in thousandths.
fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok().filter(|_| are_digits)?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(line: &str) -> Language {
        Language::of(&[(ACCEPT_LANGUAGE, line.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn the_language_of_the_highest_quality_counts() {
        use Language::{English, French, Spanish};
        for (line, expected) in [
            ("es", Spanish),
            ("ES-mx", Spanish),
            ("es-419,es;q=0.9", Spanish),
            ("fr-CA, en;q=0.8", French),
            ("en-GB,en;q=0.9,fr;q=0.8", English),
            ("en;q=0.3, es;q=0.7 ,fr ; q=0.5", Spanish),
            ("es;q=0.2, es-MX;q=0.9, fr;q=0.5", Spanish),
            ("fr, es", French),
            ("es, fr", Spanish),
            ("de, fr;q=0.1", French),
            ("de, fr;q=0.1, *;q=0.05", French),
            ("de", English),
            ("*", English),
            ("en;q=0, *", Spanish),
            ("en;q=0, es;q=0.000, *;q=0.1", French),
            ("*, es;q=0.5", English),
            ("*;q=0.1, es;q=0.5", Spanish),
            ("fr;q=0", English),
            ("es;Q=1.000", Spanish),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_malformed_counts_for_nothing() {
        for line in [
            "",
            ",",
            ";q=1",
            "es;q=2",
            "es;q=abc",
            "es;q=0.1234",
            "es;q=1.1",
            "es;w=1",
            "es fr",
            "e$",
            "esperanto-",
            "espa",
            "fr_CA",
            "es;q=",
            "es;q=-0",
        ] {
            assert_eq!(of(line), Language::English, "{line}");
        }
        assert_eq!(of("es;q=x, fr;q=0.1"), Language::French);
        assert_eq!(of(&format!("{}es", "x,".repeat(MOST_RANGES))), Language::English);
        let lines = ["de", "es"].map(|line| (ACCEPT_LANGUAGE, line.parse().unwrap()));
        assert_eq!(
            Language::of(&lines.into_iter().collect()),
            Language::Spanish,
            "several fields are one list"
        );
        assert_eq!(Language::of(&Fields::new()), Language::English);
    }

    proptest! {
        #[test]
        fn nothing_a_browser_sends_is_too_much(line in "[ -~]{0,200}") {
            let _ = of(&line);
        }
    }
}
