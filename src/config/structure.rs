//! The shape of `gateway.toml`: is it TOML, and are its keys and the kinds of their values those of the schema?
//!
//! Promises to report every such mistake at once, and that serde will find none in a file that passes. What values
//! mean is left to others; a [`Document`] tells them where each stands, so that they can report in the same way.

use std::ops::Range;

use serde_json::Value;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, de};

use crate::config::conformance::Conformance;
use crate::config::diagnostics::{Problem, Problems, Source};
use crate::config::masking::{Mask, is_bare};
pub use crate::config::places::{Path, Step};
use crate::config::places::{Place, Places, Shape};
use crate::config::schema::{Schema, Words};

/// How many errors of syntax are looked for: enough for a person's mistakes, few enough for a file that is no TOML.
const MAX_ROUNDS: usize = 64;

/// A file that has the shape of the schema.
#[derive(Clone)]
pub struct Document {
    source: Source,
    mask: Mask,
    places: Places,
}

impl Document {
    /// The file as it was read.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Where a value stands or, of a table with a header, the header. Where the file leaves the value out, this is
    /// the innermost table that it would stand in.
    #[must_use]
    pub fn span_of(&self, path: impl Into<Path>) -> Range<usize> {
        self.places.nearest(&path.into()).map_or_else(|| end_of(&self.source), |place| place.value.clone())
    }

    /// Where the key of a value stands; of an element of an array, the element.
    #[must_use]
    pub fn key_span_of(&self, path: impl Into<Path>) -> Range<usize> {
        let path = path.into();
        match self.places.get(&path).and_then(|place| place.key.as_ref()) {
            Some((_, span)) => span.clone(),
            None => self.span_of(path),
        }
    }

    /// Whether the file says anything at this path.
    #[must_use]
    pub fn has(&self, path: impl Into<Path>) -> bool {
        self.places.get(&path.into()).is_some()
    }

    /// What an operator calls a place: "`idle_timeout` in \[session\]", "\[\[site\]\] number 2".
    #[must_use]
    pub fn name_of(&self, path: impl Into<Path>) -> String {
        self.places.name(&path.into())
    }

    /// Mistakes in what the file means, ready to be shown.
    #[must_use]
    pub fn problems(&self, problems: Vec<Problem>) -> Problems {
        Problems::new(self.source.clone(), self.mask.clone(), problems)
    }
}

/// What a file should hold. It is made once: that takes longer than most files take to be looked at.
pub struct Outline {
    schema: Value,
    words: Words,
}

impl Outline {
    /// The outline that a JSON Schema gives.
    #[must_use]
    pub fn new(schema: Value) -> Self {
        Self { words: Words::of(Schema { root: &schema }), schema }
    }
}

/// Compares a file with what it should hold.
///
/// # Errors
///
/// All mistakes in its syntax and structure.
pub fn check(source: &Source, Outline { schema, words }: &Outline) -> Result<Document, Problems> {
    let schema = Schema { root: schema };
    let mut mask = Mask::new(words.clone());
    let parsed = parse(source, &mut mask);

    let places = Survey { source, words, doubtful: &parsed.doubtful, mask: &mut mask }.take(&parsed.text);
    let mut problems = parsed.problems;
    if parsed.readable {
        let (table, _) = DeTable::parse_recoverable(&parsed.text);
        let mut conformance = Conformance::new(schema, words, source, &places, &mut mask);
        conformance.check_root(&DeValue::Table(table.into_inner()), parsed.complete);
        problems.extend(conformance.problems);
    }
    if problems.is_empty() {
        return Ok(Document { source: source.clone(), mask, places });
    }
    Err(Problems::new(source.clone(), mask, problems))
}

/// What word processors make of quotes.
const TYPOGRAPHIC: [char; 8] = ['“', '”', '„', '‘', '’', '‚', '«', '»'];

/// Where something that the file lacks would be added.
pub(crate) fn end_of(source: &Source) -> Range<usize> {
    let end = source.text.trim_end().len();
    end..end
}

struct Parsed {
    /// The file without the lines that did not parse, every byte of the rest where it was.
    text: String,
    problems: Vec<Problem>,
    /// Whether the rest parses.
    readable: bool,
    /// Whether nothing is left out, so that a key which is not there is really missing.
    complete: bool,
    /// Where what looks like a key may be a line of a string, since a quotation mark above it is not where it should
    /// be. A stray `"""` puts the whole file in doubt, any other one its section.
    doubtful: Vec<Range<usize>>,
}

/// Reads the syntax. At most errors the parser loses the thread and says the same of every line that follows, so only
/// the first is believed: its line is blanked and the rest is read again, until the rest is sound. A section whose
/// header is broken goes with it, or its keys would fall to the section above.
fn parse(source: &Source, mask: &mut Mask) -> Parsed {
    let mut text = source.text.clone();
    let mut problems = Vec::new();
    let mut doubtful = Vec::new();
    let is_multi_line = source.text.contains("\"\"\"") || source.text.contains("'''");
    for round in 0..MAX_ROUNDS {
        let (_, errors) = DeTable::parse_recoverable(&text);
        let spanned = errors.into_iter().map(|error| (error.span().unwrap_or_else(|| end_of(source)), error));
        let (syntax, duplicates): (Vec<_>, Vec<_>) = spanned.partition(|(_, error)| is_syntax(error));
        let Some((span, error)) = syntax.into_iter().min_by_key(|(span, _)| span.start) else {
            for (span, error) in duplicates {
                mask.distrust(source.line_at(span.start).start..source.line_at(span.end).end);
                problems.push(duplicate(&error, span, source));
            }
            return Parsed { text, problems, readable: true, complete: round == 0, doubtful };
        };
        if round == 0 && is_multi_line {
            mask.distrust(0..source.text.len());
            doubtful.push(0..source.text.len());
        }
        let (problem, damage) = syntax_problem(&error, span, source);
        problems.push(problem);
        mask.distrust(damage.clone());
        if source.text[damage.clone()].contains(['"', '\'']) {
            let section =
                source.text[damage.end..].find("\n[").map_or(source.text.len(), |at| damage.end + at);
            doubtful.push(damage.start..section);
        }
        text = without(&text, source, &damage, mask);
    }
    Parsed { text: String::new(), problems, readable: false, complete: false, doubtful }
}

fn is_syntax(error: &de::Error) -> bool {
    error.message() != "duplicate key" && !error.message().starts_with("cannot extend")
}

/// What to say of an error, and the lines that are lost to it.
fn syntax_problem(error: &de::Error, span: Range<usize>, source: &Source) -> (Problem, Range<usize>) {
    let line = source.line_at(span.start);
    // The parser's texts are fixed ones: none repeats what stands in the file.
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    if message.starts_with("missing comma between")
        && let Some(opening) = left_open(source, &line, &span)
    {
        let problem = Problem::new(opening..opening + 1, "this bracket is never closed")
            .help("the next key or header stands where it should have been closed");
        return (problem, source.line_at(opening).start..line.start.saturating_sub(1));
    }
    if message.starts_with("invalid multi-line") && span.start >= source.text.trim_end().len() {
        let delimiter = if message.contains("literal") { "'''" } else { "\"\"\"" };
        // Had it been followed by another one, that one would have closed it.
        let opening = source.text.rfind(delimiter).unwrap_or(span.start);
        let problem = Problem::new(opening..opening + 3, "this string is never closed")
            .help(format!("close it with {delimiter}"));
        return (problem, source.line_at(opening).start..source.text.len());
    }
    let damage = line.start..source.line_at(span.end).end;
    let problem = Problem::new(span, message);
    let problem = match (message, expected) {
        ("string values must be quoted", _) if source.text[line].contains(TYPOGRAPHIC) => {
            problem.expecting("a value").help("write text in straight quotes, \"…\", as a keyboard has them")
        }
        ("string values must be quoted", _) => problem.expecting("a value").help("write text in quotes"),
        ("invalid basic string", Some("`\"`")) => {
            problem.expecting("`\"`").help("close the text with another \" on the same line")
        }
        (_, Some(expected)) => problem.expecting(expected),
        (_, None) => problem,
    };
    (problem, damage)
}

/// Where the array or inline table opens in the midst of which a line begins a new key or section.
fn left_open(source: &Source, line: &Range<usize>, span: &Range<usize>) -> Option<usize> {
    let text = source.text[line.clone()].trim_start();
    let after_key = text.trim_start_matches(|c| is_bare(c) || c == '.').trim_start();
    let begins_anew = text.starts_with('[') || after_key.len() < text.len() && after_key.starts_with('=');
    if !begins_anew || !source.text.get(line.start..span.start)?.trim().is_empty() {
        return None;
    }
    let above = &source.text[..line.start];
    let mut openings = above.match_indices('=').filter_map(|(at, _)| {
        let value = above[at + 1..].trim_start_matches([' ', '\t']);
        value.starts_with(['[', '{']).then(|| above.len() - value.len())
    });
    let begins_line = |at: &usize| {
        let before = source.text[source.line_at(*at).start..*at].trim_end_matches([' ', '\t', '=']);
        before.trim_start().chars().all(|c| is_bare(c) || c == '.')
    };
    openings.rfind(begins_line)
}

fn duplicate(error: &de::Error, span: Range<usize>, source: &Source) -> Problem {
    let line = source.text[source.line_at(span.start)].trim();
    if is_header(line) {
        let name = line.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
        let double = format!("[[{name}]]");
        if !line.starts_with("[[") && source.text.lines().any(|other| other.trim().starts_with(&double)) {
            return Problem::new(span, "this table has single brackets here and double ones elsewhere")
                .help("write the header in double brackets");
        }
        return Problem::new(span, "this table stands here for the second time")
            .help("write each table once");
    }
    if error.message() == "duplicate key" {
        return Problem::new(span, "this key stands here for the second time").help("remove one of the two");
    }
    Problem::new(span, error.message()).help("write a table in one place only")
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// A text with these lines overwritten with spaces and, where a header is among them, the section below it as well.
fn without(text: &str, source: &Source, damage: &Range<usize>, mask: &mut Mask) -> String {
    let mut result = String::with_capacity(text.len());
    let mut in_broken_section = false;
    for line in text.split_inclusive('\n') {
        let start = result.len();
        let is_broken = damage.contains(&start) || start == damage.start;
        if is_header(line) {
            in_broken_section = is_broken;
        }
        if is_broken || in_broken_section {
            mask.distrust(source.line_at(start));
            result.extend(
                line.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { char::from(byte) } else { ' ' }),
            );
        } else {
            result.push_str(line);
        }
    }
    result
}

/// Walks through everything that parsed: notes where it stands, and hides every value until somebody vouches for it.
struct Survey<'a> {
    source: &'a Source,
    words: &'a Words,
    doubtful: &'a [Range<usize>],
    mask: &'a mut Mask,
}

impl Survey<'_> {
    fn take(mut self, text: &str) -> Places {
        let mut places = Places::default();
        let (table, _) = DeTable::parse_recoverable(text);
        self.table(&mut places, &Path::root(), table.get_ref());
        places
    }

    fn table(&mut self, places: &mut Places, path: &Path, table: &DeTable<'_>) {
        for (key, value) in table {
            let label = if self.may_show(key) { key.get_ref().to_string() } else { "…".to_owned() };
            if label == "…" {
                self.mask.hide(key.span());
            } else {
                self.mask.show(key.span());
            }
            let path = path.key(key.get_ref().as_ref());
            self.value(places, &path, Some((label, key.span())), value);
        }
    }

    fn value(
        &mut self,
        places: &mut Places,
        path: &Path,
        key: Option<(String, Range<usize>)>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let inline = self.source.text[value.span().start..].starts_with('{');
        let shape = match value.get_ref() {
            DeValue::Table(_) if !inline => Shape::Section,
            DeValue::Table(_) => Shape::Inline,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => Shape::Value,
        };
        places.insert(path.clone(), Place { key, value: value.span(), shape });
        if let Some(table) = value.get_ref().as_table() {
            self.table(places, path, table);
        } else if let Some(array) = value.get_ref().as_array() {
            for (index, element) in array.iter().enumerate() {
                self.value(places, &path.index(index), None, element);
            }
        } else {
            self.mask.hide(value.span());
        }
    }

    /// A key may be a value that ended up on the wrong side: one in quotes, a very long one, or any where a quotation
    /// mark is missing.
    fn may_show(&self, key: &Spanned<de::DeString<'_>>) -> bool {
        if self.words.contains(key.get_ref()) {
            return true;
        }
        let written = &self.source.text[key.span()];
        let is_doubtful = self.doubtful.iter().any(|range| range.contains(&key.span().start));
        let is_likely = written.len() <= 32 && !is_doubtful || self.words.nearest(key.get_ref()).is_some();
        is_likely && written.chars().all(is_bare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample::{GOOD, Sample, outline, report};

    fn reports(text: &str, expected: &[&str]) {
        let report = report(text);
        for line in expected {
            assert!(report.contains(line), "no {line:?} in\n{report}");
        }
    }

    #[test]
    fn a_good_file_passes_and_serde_agrees() {
        assert_eq!(report(GOOD), "");
        assert!(toml::from_str::<Sample>(GOOD).is_ok());
    }

    #[test]
    fn five_different_mistakes_are_five_problems() {
        let text = "[server]\nport = \"80\"\n[session]\nidle_timout = \"1h\"\nmax_age = \"12h\"\nmax_age = \"1h\"\n\
                    [identity.signature]\nkeys = [{ id = \"a\", algorithm = \"rsa\", key = \"x\" }]\n[[site]]\n";
        reports(
            text,
            &[
                "`port` in [server] is a string",
                "did you mean `idle_timeout`?",
                "this key stands here for the second time",
                "unknown value of `algorithm` in item 1 of `keys` in [identity.signature]",
                "missing key `public_url` in [[site]]",
                "5 problems in gateway.toml",
            ],
        );
    }

    #[test]
    fn every_kind_of_mistake_has_its_words() {
        let session = "[session]\nmax_age = \"1h\"\n[[site]]\npublic_url = \"u\"\n";
        let rows: &[(&str, &str)] = &[
            ("[server]\nport = 70000", "expected an integer between 0 and 65535"),
            ("[server]\nport = -1", "is out of range"),
            ("[server]\nport = 1.5", "is a float"),
            ("[server]\nport = 1979-05-27", "is a date or time"),
            ("[server]\ncompress = 1", "expected a boolean"),
            ("[server]\nlisten = [3]", "expected a string or a table with `address`"),
            ("[server]\nlisten = [{}]", "missing key `address` in item 1 of `listen` in [server]"),
            ("[server]\nlisten = \"a\"", "write it in brackets"),
            ("[server]\nlimits = { field = 1 }", "unknown key `field` in `limits` in [server]"),
            ("[server.limits]\nfield = 1", "unknown key `field` in [server.limits]"),
            ("server.limits.field = 1", "unknown key `field` in [server.limits]"),
            ("[server]\npublic_url = \"u\"", "`public_url` belongs in [[site]]"),
            ("[server]\npublc_url = \"u\"", "did you mean `public_url`, which belongs in [[site]]?"),
            ("[[server]]\n", "write the header in single brackets"),
            ("[provider]\n", "write the header in double brackets"),
            ("[serve]\n", "unknown table [serve]"),
            ("[[provider]]\nname = \"x\"\nclient_secret = \"x\"", "missing key `kind` in [[provider]]"),
            (
                "[[provider]]\nkind = \"xoxoday\"\nname = \"x\"\nclient_secret = \"x\"\nclient = 1",
                "`client` goes with kind = \"daxko\"",
            ),
            (
                "[[provider]]\nkind = \"xoxoday\"\nname = \"x\"\nclient_secret = { env = \"X\", file = \"x\" }",
                "`file` does not go together",
            ),
            (
                "[[provider]]\nkind = \"xoxoday\"\nname = \"x\"\nclient_secret = {}",
                "expected a string, a table with `env` or a table with `file`",
            ),
            ("[server]\nport = 1\n[server]\nport = 2", "this table stands here for the second time"),
            ("[server]\nlisten = [\"a\"\ncompress = true", "this bracket is never closed"),
            ("[server]\nlisten = [\"a\"\n[identity]\n", "this bracket is never closed"),
            ("[identity]\nmember_id = \"\"\"x", "this string is never closed"),
            ("[server]\nport 8", "key with no value"),
        ];
        for (mistake, words) in rows {
            let report =
                report(&format!("{mistake}\n{}", if mistake.contains("\"\"\"") { "" } else { session }));
            assert!(report.contains(words), "no {words:?} for {mistake:?} in\n{report}");
        }
    }

    #[test]
    fn what_a_whole_file_lacks_is_reported_at_its_end() {
        reports(
            "[[site]]\npublic_url = \"u\"\n",
            &["missing key `session` at the top level", "gateway.toml:2:17"],
        );
    }

    #[test]
    fn several_errors_of_syntax_hide_neither_each_other_nor_an_unknown_key() {
        let text = "[session]\nmax_age = abc\nidle_timeout \"1h\"\nkeys = [\"k\n[server]\nfoo = 1\n[[site]\nbar = 1\n";
        reports(text, &[":2:", ":3:", ":4:", "unknown key `foo` in [server]", ":7:", "5 problems"]);
        assert!(!report(text).contains("missing key"), "what did not parse is not missing");
    }

    #[test]
    fn a_table_of_an_array_is_named_with_its_number() {
        let text = "[session]\nmax_age = \"1h\"\n[[site]]\npublic_url = \"a\"\n[[site]]\npublic_url = \"b\"\n\
                    [[site.rule]]\npath = \"/\"\n[[site.rule]]\npaht = \"/\"\n";
        reports(text, &["unknown key `paht` in [[site.rule]] number 2 of [[site]] number 2", "1 problem in"]);
    }

    #[test]
    fn a_document_knows_where_its_values_stand() {
        let document = check(&Source::new("gateway.toml", GOOD), &outline()).unwrap();
        let text = |span: Range<usize>| &GOOD[span];
        let site = Path::from(["site"]).index(1);
        assert_eq!(text(document.span_of(["session", "idle_timeout"])), "\"1h\"");
        assert_eq!(text(document.key_span_of(["session", "idle_timeout"])), "idle_timeout");
        assert_eq!(text(document.span_of(site.key("public_url"))), "\"https://two.example.org\"");
        assert_eq!(text(document.span_of(&site)), "[[site]]");
        assert_eq!(
            text(document.span_of(["session", "store"])),
            "[session]",
            "what is not written is missing there"
        );
        assert_eq!(document.name_of(site.key("public_url")), "`public_url` in [[site]] number 2");
        assert!(document.has(&site) && !document.has(["session", "store"]));
    }

    #[test]
    fn a_later_check_reports_in_the_same_way() {
        let document = check(&Source::new("gateway.toml", GOOD), &outline()).unwrap();
        let problem = Problem::new(document.span_of(["session", "keys"]), "too few keys").expecting("two");
        let report = document.problems(vec![problem]).to_string();
        assert!(report.contains("keys = [{ env = \"SESSION_KEY\" }, \"…\"]"), "{report}");
        assert!(report.contains("expected two"), "{report}");
    }
}
