//! Holds a parsed `gateway.toml` against its JSON Schema, table by table, and collects what does not fit.
//!
//! On the way it vouches, to the mask, for the values that may be shown: those of keys the schema names and does not
//! call secret, and of the kind that it asks for. A problem's own words name keys and what was expected, never a value.

use std::ops::Range;

use serde_json::Value;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::config::diagnostics::{Problem, Source};
use crate::config::likeness::nearest;
use crate::config::masking::{Mask, is_suspicious};
use crate::config::places::{Path, Places, Shape, Step};
use crate::config::schema::{Kind, Rules, Schema, Words, one_of};
use crate::config::structure::end_of;

/// A comparison under way.
pub(crate) struct Conformance<'a, 's> {
    schema: Schema<'s>,
    words: &'a Words,
    source: &'a Source,
    places: &'a Places,
    mask: &'a mut Mask,
    complete: bool,
    pub(crate) problems: Vec<Problem>,
}

/// What holds for a value because of where it stands.
struct Expectation<'s> {
    /// One of these must hold.
    schemas: Vec<&'s Value>,
    /// Whether it is a secret or stands in one.
    secret: bool,
    /// Whether the schema has a name for it, or for the array it stands in.
    named: bool,
}

impl<'a, 's> Conformance<'a, 's> {
    pub(crate) fn new(
        schema: Schema<'s>,
        words: &'a Words,
        source: &'a Source,
        places: &'a Places,
        mask: &'a mut Mask,
    ) -> Self {
        Self { schema, words, source, places, mask, complete: true, problems: Vec::new() }
    }

    /// Compares a whole file. Of one that is not `complete` nothing can be called missing.
    pub(crate) fn check_root(&mut self, root: &DeValue<'_>, complete: bool) {
        self.complete = complete;
        self.check(
            &Path::root(),
            root,
            Expectation { schemas: vec![self.schema.root], secret: false, named: true },
        );
    }

    fn check(&mut self, path: &Path, value: &DeValue<'_>, mut expected: Expectation<'s>) {
        expected.secret = self.schema.is_secret(&expected.schemas, expected.secret);
        let kind = Kind::of(value);
        if !self.schema.accepts(&expected.schemas, kind) {
            self.report_kind(path, kind, &expected);
            return;
        }
        let rules = self.schema.rules(&expected.schemas, value);
        match value {
            DeValue::Table(table) => self.check_table(path, table, &rules, &expected),
            DeValue::Array(array) => {
                self.check_length(path, array.len(), &rules);
                let items = rules.items();
                for (index, item) in array.iter().enumerate().filter(|_| !items.is_empty()) {
                    let expected = Expectation { schemas: items.clone(), ..expected };
                    self.check(&path.index(index), item.get_ref(), expected);
                }
            }
            DeValue::String(text) => {
                let is_variable = expected.secret && is_variable(path, text);
                if expected.named && (is_variable || !expected.secret && !is_suspicious(text)) {
                    self.mask.show(self.span(path));
                }
                self.check_choice(path, text, &expected);
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                if expected.named && !expected.secret {
                    self.mask.show(self.span(path));
                }
                if let DeValue::Integer(number) = value {
                    self.check_bounds(path, number, &rules);
                }
            }
        }
    }

    fn check_table(
        &mut self,
        path: &Path,
        table: &DeTable<'_>,
        rules: &Rules<'s>,
        expected: &Expectation<'s>,
    ) {
        let before = self.problems.len();
        let mut meant = Vec::new();
        for (key, value) in table {
            let secret = expected.secret;
            let place = path.key(key.get_ref().as_ref());
            match (rules.property(key.get_ref()), rules.further()) {
                (schemas, None) if schemas.is_empty() => {
                    self.report_unknown(path, key.get_ref(), rules);
                    meant.extend(nearest(key.get_ref(), rules.keys().into_iter()));
                }
                (schemas, Some(further)) if schemas.is_empty() => {
                    if !further.is_empty() {
                        self.check(
                            &place,
                            value.get_ref(),
                            Expectation { schemas: further, secret, named: false },
                        );
                    }
                }
                (schemas, _) => {
                    self.check(&place, value.get_ref(), Expectation { schemas, secret, named: true });
                }
            }
        }
        if !self.complete {
            return;
        }
        // A misspelled key is one mistake, not two.
        for key in rules.required.iter().filter(|key| !table.contains_key(**key) && !meant.contains(*key)) {
            self.report_missing(path, key, &rules.property(key));
        }
        if rules.ambiguous && self.problems.len() == before {
            let message = format!("{} does not say which it is", self.places.name(path));
            self.problems.push(
                Problem::new(self.span(path), message).expecting(self.schema.describe(&expected.schemas)),
            );
        }
    }

    fn check_choice(&mut self, path: &Path, text: &str, expected: &Expectation<'s>) {
        let Some(allowed) = self.schema.allowed(&expected.schemas).filter(|allowed| !allowed.contains(&text))
        else {
            return;
        };
        let message = format!("unknown value of {}", self.places.name(path));
        let mut problem =
            Problem::new(self.span(path), message).expecting(self.schema.describe(&expected.schemas));
        if let Some(known) = nearest(text, allowed.into_iter()).filter(|_| !expected.secret) {
            problem = problem.help(format!("did you mean \"{known}\"?"));
        }
        self.problems.push(problem);
    }

    fn check_bounds(&mut self, path: &Path, number: &DeInteger<'_>, rules: &Rules<'s>) {
        let value = i128::from_str_radix(number.as_str(), number.radix());
        let (mut least, mut most) = (i128::from(i64::MIN), i128::from(i64::MAX));
        for layer in &rules.layers {
            let (from, to) = range_of(layer.get("format").and_then(Value::as_str));
            let stated = |keyword: &str| layer.get(keyword).and_then(Value::as_i64).map(i128::from);
            least = least.max(from).max(stated("minimum").unwrap_or(from));
            most = most.min(to).min(stated("maximum").unwrap_or(to));
        }
        if value.is_ok_and(|value| (least..=most).contains(&value)) {
            return;
        }
        let message = format!("{} is out of range", self.places.name(path));
        let expected = match (least == i128::from(i64::MIN), most == i128::from(i64::MAX)) {
            (true, true) => "an integer of 64 bits".to_owned(),
            (false, true) => format!("an integer of at least {least}"),
            (true, false) => format!("an integer of at most {most}"),
            (false, false) => format!("an integer between {least} and {most}"),
        };
        self.problems.push(Problem::new(self.span(path), message).expecting(expected));
    }

    fn check_length(&mut self, path: &Path, length: usize, rules: &Rules<'s>) {
        let bound = |keyword: &str| {
            let stated = rules.layers.iter().filter_map(|layer| layer.get(keyword)?.as_u64());
            stated.filter_map(|bound| usize::try_from(bound).ok()).next()
        };
        let expected = match (bound("minItems"), bound("maxItems")) {
            (Some(least), _) if length < least => format!("at least {least}"),
            (_, Some(most)) if length > most => format!("at most {most}"),
            _ => return,
        };
        let message = format!("{} has {length} elements", self.places.name(path));
        self.problems.push(Problem::new(self.span(path), message).expecting(expected));
    }

    fn report_kind(&mut self, path: &Path, kind: Kind, expected: &Expectation<'s>) {
        let accepts = |kind| self.schema.accepts(&expected.schemas, kind);
        let message = format!("{} is {}", self.places.name(path), kind.name());
        let mut problem =
            Problem::new(self.span(path), message).expecting(self.schema.describe(&expected.schemas));
        let scalar = !matches!(kind, Kind::String | Kind::Array | Kind::Table);
        let section = self.places.get(path).is_some_and(|place| place.shape == Shape::Section);
        if scalar && accepts(Kind::String) {
            problem = problem.help("write it in quotes");
        } else if kind == Kind::String && (accepts(Kind::Integer) || accepts(Kind::Boolean)) {
            problem = problem.help("write it without quotes");
        } else if section && accepts(Kind::Array) {
            problem = problem.help("write the header in double brackets");
        } else if kind == Kind::Array
            && accepts(Kind::Table)
            && self.source.text[problem.span.clone()].starts_with("[[")
        {
            problem = problem.help("write the header in single brackets");
        } else if accepts(Kind::Array) && !section {
            problem = problem.help("write it in brackets");
        }
        self.problems.push(problem);
    }

    fn report_missing(&mut self, path: &Path, key: &str, schemas: &[&'s Value]) {
        let what = self.schema.describe(schemas);
        let span = if path.steps().is_empty() { end_of(self.source) } else { self.span(path) };
        let message = format!("missing key `{key}`{}", self.places.within(path));
        self.problems.push(Problem::new(span, message).expecting(format!("`{key}`: {what}")));
    }

    fn report_unknown(&mut self, path: &Path, key: &str, rules: &Rules<'s>) {
        let child = path.key(key);
        let place = self.places.get(&child);
        let label = place.and_then(|place| place.key.as_ref()).map_or("…", |(label, _)| label);
        let is_section = place.is_some_and(|place| place.shape == Shape::Section);
        let message = match is_section {
            true => format!("unknown table {}", self.places.name(&child)),
            false => format!("unknown key `{label}`{}", self.places.within(path)),
        };
        let keys = rules.keys();
        let span = place
            .and_then(|place| place.key.as_ref())
            .map_or_else(|| self.span(path), |(_, span)| span.clone());
        let listed: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let mut problem = Problem::new(span, message).expecting(one_of(&listed));
        if let Some(help) = self.help_for(path, key, rules) {
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }

    /// What somebody who wrote this key may have meant.
    fn help_for(&self, path: &Path, key: &str, rules: &Rules<'s>) -> Option<String> {
        let has_key = |schema: &&Value| {
            self.schema.rules(&[schema], &DeValue::Table(DeTable::new())).keys().contains(key)
        };
        if let Some(other) = rules.rejected.iter().copied().find(has_key) {
            let tag = self.tag_of(other, rules);
            return Some(tag.map_or_else(
                || format!("`{key}` does not go together with the other keys here"),
                |(tag, value)| format!("`{key}` goes with {tag} = \"{value}\""),
            ));
        }
        let here = nearest(key, rules.keys().into_iter());
        let header = self.places.name(path);
        let (namesakes, homes): (Vec<&str>, Vec<&str>) =
            self.words.homes(key).partition(|home| header.starts_with(home));
        if homes.is_empty() && !namesakes.is_empty() && here.is_none() {
            return Some(format!("`{key}` belongs in a {} of another kind", namesakes.join(" or ")));
        }
        let homes = homes.get(..3).unwrap_or(&homes);
        match here {
            _ if !homes.is_empty() && here.is_none_or(|here| strsim::damerau_levenshtein(here, key) > 2) => {
                Some(format!("`{key}` belongs in {}", homes.join(" or ")))
            }
            Some(here) if rules.keys().contains(here) => Some(format!("did you mean `{here}`?")),
            _ => {
                let known = self.words.nearest(key).filter(|_| !path.steps().is_empty())?;
                let home = self.words.homes(known).next()?;
                Some(format!("did you mean `{known}`, which belongs in {home}?"))
            }
        }
    }

    /// The key and value by which an alternative is told from the one that was chosen.
    fn tag_of(&self, alternative: &'s Value, rules: &Rules<'s>) -> Option<(&'s str, &'s str)> {
        let other = self.schema.rules(&[alternative], &DeValue::Table(DeTable::new()));
        let keys: Vec<&'s str> =
            other.required.iter().copied().filter(|key| rules.required.contains(key)).collect();
        keys.into_iter().find_map(|key| {
            let theirs = self.schema.allowed(&other.property(key))?;
            let ours = self.schema.allowed(&rules.property(key))?;
            let [value] = theirs.as_slice() else { return None };
            (!ours.contains(value)).then_some((key, *value))
        })
    }

    fn span(&self, path: &Path) -> Range<usize> {
        self.places.get(path).map_or_else(|| end_of(self.source), |place| place.value.clone())
    }
}

/// Whether a string in a secret is the name of an environment variable, and looks like one: a password that ended up
/// in that place rarely does.
fn is_variable(path: &Path, text: &str) -> bool {
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    path.steps().last() == Some(&Step::Key("env".to_owned()))
        && text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.chars().all(is_upper)
}

/// The numbers that a `format` of schemars allows, as far as TOML can write them.
fn range_of(format: Option<&str>) -> (i128, i128) {
    match format.unwrap_or_default() {
        "uint8" => (0, i128::from(u8::MAX)),
        "uint16" => (0, i128::from(u16::MAX)),
        "uint32" => (0, i128::from(u32::MAX)),
        "uint64" | "uint" => (0, i128::from(i64::MAX)),
        "int8" => (i128::from(i8::MIN), i128::from(i8::MAX)),
        "int16" => (i128::from(i16::MIN), i128::from(i16::MAX)),
        "int32" => (i128::from(i32::MIN), i128::from(i32::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    }
}
