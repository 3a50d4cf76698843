//! What is wrong with `gateway.toml`, told to the operator: every mistake at once, each with its file, line and
//! column, the line itself, a caret and what was expected instead.
//!
//! A quoted line is masked first, so that nothing that could be a secret is repeated. What a problem
//! says in its own words is the business of whoever found it; this file knows neither rooms nor keys.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use crate::config::masking::Mask;

/// A configuration file as it was read. Not `Debug`: it holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// What the operator calls the file, usually its path.
    pub name: String,
    /// Its text, byte for byte: spans count in it.
    pub text: String,
}

impl Source {
    /// A file of this name with this text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The bytes of the line on which `offset` lies, without its line ending.
    pub(crate) fn line_at(&self, offset: usize) -> Range<usize> {
        let offset = self.text.floor_char_boundary(offset);
        let start = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |newline| offset + newline);
        let line = &self.text[start..end];
        start..start + line.strip_suffix('\r').unwrap_or(line).len()
    }

    fn line_number(&self, line: &Range<usize>) -> usize {
        self.text[..line.start].matches('\n').count() + 1
    }
}

/// One mistake. None of its texts may repeat a value that could be a secret: only the quoted line is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The bytes that are wrong; of several lines the first is shown.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected there, written beside the caret.
    pub expected: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A mistake at this place.
    #[must_use]
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), expected: None, help: None }
    }

    /// The same, with what was expected instead.
    #[must_use]
    pub fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All mistakes of one file, in the order in which they stand there.
#[derive(Clone)]
pub struct Problems {
    source: Source,
    mask: Box<Mask>,
    problems: Vec<Problem>,
}

impl Problems {
    /// The mistakes of `source`, whose lines may be quoted as far as `mask` allows.
    pub(crate) fn new(source: Source, mask: Mask, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        Self { source, mask: Box::new(mask), problems }
    }

    /// The mistakes, by position.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.problems
    }

    /// The same with further problems of the same file.
    #[must_use]
    pub fn with(self, problems: Vec<Problem>) -> Self {
        Self::new(self.source, *self.mask, [self.problems, problems].concat())
    }

    fn render(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &self.source;
        let line = source.line_at(problem.span.start);
        let number = source.line_number(&line);
        let start = source.text.floor_char_boundary(problem.span.start).clamp(line.start, line.end);
        let end = problem.span.end.clamp(start, line.end);
        let column = source.text[line.start..start].trim_start_matches('\u{feff}').chars().count() + 1;
        let gutter = " ".repeat(number.to_string().len());

        let mut quoted = String::new();
        let (mut indent, mut carets) = (0, 0);
        for piece in self.mask.pieces(source, line) {
            let shown = printable(&piece.shown);
            // What is masked is marked as a whole; of what is shown, the very bytes.
            let exact = piece.shown == source.text[piece.range.clone()];
            let width_of = |range: Range<usize>| width(&printable(&source.text[range]));
            let Range { start: from, end: to } = piece.range;
            if exact {
                indent += width_of(from..start.clamp(from, to));
                carets += width_of(start.clamp(from, to)..end.clamp(from, to));
            } else if to <= start {
                indent += width(&shown);
            } else if from < end.max(start + 1) {
                carets += width(&shown);
            }
            quoted.push_str(&shown);
        }

        writeln!(f, "error: {}", problem.message)?;
        writeln!(f, "{gutter}--> {}:{number}:{column}", source.name)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{}", format!("{number} | {quoted}").trim_end())?;
        write!(f, "{gutter} | {}{}", " ".repeat(indent), "^".repeat(carets.max(1)))?;
        match &problem.expected {
            Some(expected) => writeln!(f, " expected {expected}")?,
            None => writeln!(f)?,
        }
        if let Some(help) = &problem.help {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            self.render(problem, f)?;
        }
        match self.problems.len() {
            1 => write!(f, "1 problem in {}", self.source.name),
            count => write!(f, "{count} problems in {}", self.source.name),
        }
    }
}

// The derived form would hold the whole file, secrets included.
impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problems").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl Error for Problems {}

/// A piece of a line as a terminal may show it: tabs of one fixed width, and no control character that could move
/// the cursor or turn the direction of writing.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push_str("    "),
            '\u{feff}' => {}
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.push('\u{fffd}'),
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

/// How many columns a terminal gives to a text. The ranges are those of East Asian wide characters and emoji
/// (UAX #11), roughly: a caret that is one column off in a rare script still points at the right line.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match c {
            '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0,
            '\u{1100}'..='\u{115f}'
            | '\u{2e80}'..='\u{a4cf}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}'
            | '\u{ff00}'..='\u{ff60}'
            | '\u{ffe0}'..='\u{ffe6}'
            | '\u{1f300}'..='\u{1faff}'
            | '\u{20000}'..='\u{3fffd}' => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Words;

    fn rendered(text: &str, span: Range<usize>) -> String {
        let mut mask = Mask::new(Words::default());
        mask.show(0..text.len());
        let problem = Problem::new(span, "wrong").expecting("something else");
        Problems::new(Source::new("g.toml", text), mask, vec![problem]).to_string()
    }

    #[test]
    fn a_problem_shows_its_line_and_a_caret_under_its_span() {
        let expected = "error: wrong\n --> g.toml:2:5\n  |\n2 | b = 22\n  |     ^^ expected something else\n\n\
                        1 problem in g.toml";
        assert_eq!(rendered("a = 1\nb = 22\n", 10..12), expected);
    }

    #[test]
    fn the_caret_stands_right_after_tabs_wide_and_combining_characters() {
        assert!(rendered("\tx = 1", 1..2).contains("1 |     x = 1\n  |     ^ expected"));
        assert!(rendered("会議 x", 7..8).contains("1 | 会議 x\n  |      ^ expected"));
        assert!(rendered("e\u{301} x", 4..5).contains("  |   ^ expected"));
        assert!(rendered("\u{feff}x = 1", 3..4).contains("g.toml:1:1\n  |\n1 | x = 1\n  | ^ expected"));
    }

    #[test]
    fn crlf_is_no_part_of_a_line() {
        assert!(rendered("a = 1\r\nb = 2\r\n", 7..14).contains("2 | b = 2\n  | ^^^^^ expected"));
    }

    #[test]
    fn a_span_over_several_lines_marks_its_first() {
        assert!(rendered("a = [\n1,\n]", 4..10).contains("1 | a = [\n  |     ^ expected"));
    }

    #[test]
    fn a_span_at_or_beyond_the_end_still_has_a_caret() {
        assert!(rendered("a = 1\n", 6..6).contains("g.toml:2:1\n  |\n2 |\n  | ^ expected"));
        assert!(rendered("a = 1", 90..99).contains("1 | a = 1\n  |      ^ expected"));
        assert!(rendered("", 0..0).contains("g.toml:1:1"));
        assert!(rendered("é", 1..2).contains("1 | é\n  | ^ expected"));
    }

    #[test]
    fn nothing_in_a_line_moves_the_cursor() {
        assert!(!rendered("a = \u{1b}[2J\u{202e}", 0..1).contains(['\u{1b}', '\u{202e}']));
    }

    #[test]
    fn problems_come_in_the_order_of_the_file() {
        let problems = vec![Problem::new(3..4, "second"), Problem::new(0..1, "first")];
        let problems = Problems::new(Source::new("g.toml", "a\nb\n"), Mask::default(), problems);
        assert_eq!(problems.as_slice()[0].message, "first");
        assert!(problems.to_string().ends_with("2 problems in g.toml"));
    }

    #[test]
    fn debugging_does_not_print_the_file() {
        let problems = Problems::new(Source::new("g.toml", "hunter2"), Mask::default(), Vec::new());
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
}
