//! Masking: a line of `gateway.toml` as it may be repeated in an error message.
//!
//! Nothing is shown unless something vouches for it: the punctuation of TOML, keys, and values that parsed and belong
//! to a known key that is no secret. Everything else is `…`. That holds on lines that did not parse as well, where a
//! key that is nearly right still shows, and its value, quoted or not, never does. Which key is a secret, the schema
//! says; this file only remembers the answer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::config::diagnostics::Source;
use crate::config::schema::Words;

/// One stretch of a line, and what is printed in its place.
pub(crate) struct Piece<'a> {
    pub(crate) range: Range<usize>,
    pub(crate) shown: Cow<'a, str>,
}

/// What may be shown of a file.
#[derive(Clone, Default)]
pub(crate) struct Mask {
    /// Keys and values where the file parsed: from their start to their end, and whether they may be shown.
    marks: BTreeMap<usize, (usize, bool)>,
    /// Stretches that did not parse.
    broken: Vec<Range<usize>>,
    words: Words,
}

impl Mask {
    /// Shows nothing but punctuation and keys of these names.
    pub(crate) fn new(words: Words) -> Self {
        Self { marks: BTreeMap::new(), broken: Vec::new(), words }
    }

    /// A value or key of which nothing is known so far.
    pub(crate) fn hide(&mut self, span: Range<usize>) {
        self.marks.insert(span.start, (span.end, false));
    }

    /// Something that may be shown.
    pub(crate) fn show(&mut self, span: Range<usize>) {
        self.marks.insert(span.start, (span.end, true));
    }

    /// A stretch that did not parse: nothing that stands on its lines is what it seems.
    pub(crate) fn distrust(&mut self, span: Range<usize>) {
        self.broken.push(span);
    }

    /// Whether a line holds something that did not parse.
    pub(crate) fn is_broken(&self, line: &Range<usize>) -> bool {
        self.broken.iter().any(|broken| broken.start <= line.end && line.start <= broken.end)
    }

    /// A line, cut into what is shown and what is not.
    pub(crate) fn pieces<'a>(&self, source: &'a Source, line: Range<usize>) -> Vec<Piece<'a>> {
        let text = &source.text;
        let broken = self.is_broken(&line);
        let mut pieces = Vec::new();
        let mut at = line.start;
        while at < line.end {
            let rest = &text[at..line.end];
            if let Some((end, visible)) = self.mark_at(at).filter(|_| !broken) {
                let range = at..end.min(line.end);
                let shown = if visible { Cow::from(&text[range.clone()]) } else { dots(rest) };
                at = range.end;
                pieces.push(Piece { range, shown });
                continue;
            }
            let length = self.visible_length(rest, broken);
            if length == 0 {
                pieces.push(Piece { range: at..line.end, shown: dots(rest) });
                break;
            }
            let range = at..at + length;
            at = range.end;
            pieces.push(Piece { shown: Cow::from(&text[range.clone()]), range });
            if broken && rest.starts_with('=') {
                // Whatever follows is a value, quoted or not, and may be a secret.
                let value = text[at..line.end].trim_start_matches([' ', '\t']);
                let start = line.end - value.len();
                pieces.push(Piece { range: at..start, shown: Cow::from(&text[at..start]) });
                pieces.extend((start < line.end).then(|| Piece { range: start..line.end, shown: dots("") }));
                break;
            }
        }
        pieces
    }

    fn mark_at(&self, at: usize) -> Option<(usize, bool)> {
        self.marks.range(..=at).next_back().map(|(_, mark)| *mark).filter(|(end, _)| *end > at)
    }

    /// How much of the start of `text`, for which nothing vouches, is harmless by itself.
    fn visible_length(&self, text: &str, broken: bool) -> usize {
        let Some(first) = text.chars().next() else { return 0 };
        if matches!(first, ' ' | '\t' | '[' | ']' | '{' | '}' | '=' | ',' | '.' | '\u{feff}') {
            return first.len_utf8();
        }
        let word = &text[..text.find(|c| !is_bare(c)).unwrap_or(text.len())];
        // On a broken line a word can be the value of a key before it (`client_secret hunter2`): only names that
        // the file could mean are let through.
        let may_show = if broken { self.words.nearest(word).is_some() } else { self.words.contains(word) };
        if may_show { word.len() } else { 0 }
    }
}

/// Whether a key may hold this character without quotes.
pub(crate) fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Whether a string of a key that is no secret could hold one all the same: a URL with a password or a query, or
/// what looks like a key or token and was put in the wrong place.
pub(crate) fn is_suspicious(value: &str) -> bool {
    let url =
        value.contains(':') && value.contains('@') || value.contains("://") && value.contains(['?', '#']);
    let encoded = |c: char| is_bare(c) || matches!(c, '+' | '/' | '=');
    let token =
        value.len() >= 32 && value.chars().all(encoded) && value.contains(|c: char| c.is_ascii_digit());
    url || token || value.contains('\n')
}

fn dots(text: &str) -> Cow<'static, str> {
    match text.chars().next() {
        Some('"' | '\'') => Cow::from("\"…\""),
        Some('#') => Cow::from("# …"),
        _ => Cow::from("…"),
    }
}
