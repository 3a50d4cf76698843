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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use crate::config::diagnostics::{Problem, Source};
    use crate::config::sample::{GOOD, outline, report};
    use crate::config::structure::check;

    /// Every line of a file, as it is quoted; a mistake at its end makes sure that there is a report.
    fn quoted(text: &str) -> String {
        let source = Source::new("gateway.toml", text);
        let everywhere = |problems: Vec<Problem>| {
            let mut starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
            starts.insert(0, 0);
            let mut all = problems;
            all.extend(starts.into_iter().map(|at| Problem::new(at..at + 1, "here")));
            all
        };
        match check(&source, &outline()) {
            Ok(document) => document.problems(everywhere(Vec::new())).to_string(),
            Err(problems) => problems.with(everywhere(Vec::new())).to_string(),
        }
    }

    #[test]
    fn a_quoted_line_shows_nothing_that_could_be_a_secret() {
        let rows: &[(&str, &str)] = &[
            ("[[provider]]\nclient_secret = \"hunter2\"", "client_secret = \"…\""),
            ("[[provider]]\nclient_secert = \"hunter2\"", "client_secert = \"…\""),
            ("[[provider]]\nclient_secret = 'hunter2'", "client_secret = \"…\""),
            ("[[provider]]\nclient_secret = hunter2", "client_secret = …"),
            ("[[provider]]\nclient_secret = 0f1e2dhunter2", "client_secret = …"),
            ("[[provider]]\nclient_secret = 12345678", "client_secret = …"),
            ("[[provider]]\nclient_secret \"hunter2\"", "client_secret \"…\""),
            ("[[provider]]\nclient_secret: hunter2", "client_secret…"),
            ("[[provider]]\nclient_secret = \"hunter2", "client_secret = …"),
            ("[[provider]]\nclient_secert = 'hunter2", "client_secert = …"),
            ("[[provider]]\nclient_secret = hunter2\"", "client_secret = …"),
            ("[[provider]]\nclient_secret = \"hun\"ter2\"", "client_secret = …"),
            ("[[provider]]\nclient_secret = \"\"\"\nhunter2\n\"\"\"", "\"…\""),
            ("[[provider]]\nclient_secret = \"\"\"\nhunter2 = 1\n", "client_secret = …"),
            ("[[provider]]\nclient_secret = '''\nhunter2\n", "client_secret = …"),
            ("[[provider]]\nclient_secret = \"\"\n-----BEGIN\nhunter2==\n\"\"\"", "…"),
            ("[[provider]]\nclient_secret = { env = \"DAXKO\" }", "client_secret = { env = \"DAXKO\" }"),
            ("[session]\nkeys = [{ env = \"SESSION_KEY\" }]", "keys = [{ env = \"SESSION_KEY\" }]"),
            ("[session]\nkeys = [{ env = \"hunter2\" }]", "keys = [{ env = \"…\" }]"),
            ("[session]\nkeys = [{ evn = \"hunter2\" }]", "keys = [{ evn = \"…\" }]"),
            ("[session]\nkeys = [\"hunter2\", 'hunter2']", "keys = [\"…\", \"…\"]"),
            ("[session]\nkeys = \"hunter2\"", "keys = \"…\""),
            ("[session]\nkeys = [hunter2]", "keys = …"),
            ("[session]\nmax_age = [\"hunter2\"]", "max_age = [\"…\"]"),
            ("[session]\nmax_age = \"12h\" # was hunter2", "max_age = \"12h\" # …"),
            ("# client_secret = \"hunter2\"", "# …"),
            ("provider.client_secret = \"hunter2\"", "provider.client_secret = \"…\""),
            ("session.store = \"hunter2\"", "session.store = \"…\""),
            ("[session]\nstore = \"redis://:hunter2@host\"", "store = \"…\""),
            ("[[site]]\npublic_url = \"https://a:hunter2@host\"", "public_url = \"…\""),
            ("[[site]]\npublic_url = \"https://a\\u003ahunter2\\u0040host\"", "public_url = \"…\""),
            ("[[site]]\npublic_url = \"https://host/?key=hunter2\"", "public_url = \"…\""),
            ("[[site]]\npublic_url = \"https://host/\"", "public_url = \"https://host/\""),
            ("[[site]]\nclient_secret = \"hunter2\"", "client_secret = \"…\""),
            (
                "[[site]]\nupstream = [\"http://h\", \"0123456789abcdefhunter20123456789abcdef\"]",
                "[\"http://h\", \"…\"]",
            ),
            ("\"hunter2\" = 1", "\"…\" = …"),
            ("[\"hunter2\"]\nx = 1", "[\"…\"]"),
            ("hunter2", "…"),
            ("[hunter2", "[…"),
            (
                "[[provider]]\nkind = \"daxko\"\nauthorize_params = { a = \"hunter2\" }",
                "authorize_params = { a = \"…\" }",
            ),
            ("[session]\nmax_age = \"1h\"\nmax_age = \"hunter2\"", "max_age = …"),
            ("[session]\r\nclient_secert = \"hunter2\"\r\n", "client_secert = \"…\""),
        ];
        for (text, line) in rows {
            let report = quoted(text);
            assert!(!report.contains("hunter2"), "{text:?} shows the secret:\n{report}");
            assert!(
                report.contains(&format!("| {line}")) || report.contains(line),
                "no {line:?} in\n{report}"
            );
        }
    }

    const CANARY: &str = "Xq7canaryZ2w";

    /// A file with the canary in every place where a secret can stand.
    fn with_canaries() -> String {
        let mut text = GOOD.replace("hunter2", CANARY).replace("plain", CANARY);
        let _ = write!(
            text,
            "[[provider]]\nkind = \"xoxoday\"\nname = \"r\"\nclient_secret = \"{CANARY}\" # {CANARY}\n\
             [[provider]]\nkind = \"xoxoday\"\nname = \"s\"\nclient_secret = \"\"\"\n{CANARY}\n{CANARY} = '{CANARY}'\n\"\"\"\n\
             [[provider]]\nclient_secert = '{CANARY}'\nextra = [\"{CANARY}\", {{ key = \"{CANARY}\" }}]\n"
        );
        text
    }

    proptest! {
        #[test]
        fn no_mangled_file_gives_a_secret_away(
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize), 1..6),
        ) {
            let mut text = with_canaries();
            for (place, edit) in edits {
                let at = text.floor_char_boundary(place.index(text.len()));
                // The canary itself stays whole, or finding it would prove nothing.
                if text.match_indices(CANARY).any(|(start, _)| start < at && at < start + CANARY.len()) {
                    continue;
                }
                match ["\"", "'", "\n", "=", "[", "]", "{", "}", "\"\"\"", "#", ",", ""][edit] {
                    "" if !text[at..].starts_with(CANARY) => { text.remove(at); }
                    "" => {}
                    inserted => text.insert_str(at, inserted),
                }
            }
            let report = quoted(&text);
            prop_assert!(!report.contains(CANARY), "{}\n{}", text, report);
        }

        #[test]
        fn no_text_makes_a_report_panic(text in "(\\PC|[\\[\\]{}=\"'#\n\r\t,. a-z0-9]|\"\"\"|\\[\\[site\\]\\]|session){0,60}") {
            report(&text);
            quoted(&text);
        }
    }
}
