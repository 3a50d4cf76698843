//! Where everything in a parsed `gateway.toml` stands: a path of keys and indexes leads to a span and to the name an
//! operator has for the place, such as `[[site]] number 2`.
//!
//! Holds no values, so nothing of it can be a secret. A key that might be one, misplaced, has the label `…`.

use std::collections::BTreeMap;
use std::ops::Range;

/// One step from a table or an array to what is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into an array, counted from zero.
    Index(usize),
}

/// The way from the top of the file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

impl Path {
    /// The file itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// What this key of the table leads to.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.then(Step::Key(key.into()))
    }

    /// What stands at this index of the array, counted from zero.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// The table or array this stands in.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// The steps from the top.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(keys: [&str; N]) -> Self {
        keys.iter().fold(Self::root(), |path, key| path.key(*key))
    }
}

impl From<&Self> for Path {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A table with a header, or one that only dotted keys or deeper headers imply.
    Section,
    /// Any other table.
    Inline,
    /// Everything else.
    Value,
}

/// One value of the file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its key as it may be shown, and where it stands; elements of an array have none.
    pub(crate) key: Option<(String, Range<usize>)>,
    /// The value, or the header of a table that has one.
    pub(crate) value: Range<usize>,
    pub(crate) shape: Shape,
}

/// Every value of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<Path, Place>);

impl Places {
    pub(crate) fn insert(&mut self, path: Path, place: Place) {
        self.0.insert(path, place);
    }

    pub(crate) fn get(&self, path: &Path) -> Option<&Place> {
        self.0.get(path)
    }

    /// The place itself or, where it is not written, the innermost table around it.
    pub(crate) fn nearest(&self, path: &Path) -> Option<&Place> {
        self.get(path).or_else(|| self.nearest(&path.parent()?))
    }

    /// What an operator calls a place.
    pub(crate) fn name(&self, path: &Path) -> String {
        let (Some(step), Some(parent)) = (path.0.last(), path.parent()) else {
            return "the file".to_owned();
        };
        let section = self.get(path).is_some_and(|place| place.shape == Shape::Section);
        match step {
            Step::Key(_) if section => format!("[{}]{}", self.dotted(path), self.of_table(&parent)),
            Step::Key(_) => format!("`{}`{}", self.label(path), self.within(&parent)),
            Step::Index(_) if section => {
                format!("[[{}]]{}{}", self.dotted(path), self.number(path), self.of_table(&parent))
            }
            Step::Index(index) => format!("item {} of {}", index + 1, self.name(&parent)),
        }
    }

    /// The same, as the end of "unknown key …".
    pub(crate) fn within(&self, path: &Path) -> String {
        if path.0.is_empty() { " at the top level".to_owned() } else { format!(" in {}", self.name(path)) }
    }

    /// The innermost of several tables of one name that a path leads through.
    fn of_table(&self, path: &Path) -> String {
        let Some(parent) = path.parent() else { return String::new() };
        if self.number(path).is_empty() {
            return self.of_table(&parent);
        }
        format!(" of {}", self.name(path))
    }

    fn number(&self, path: &Path) -> String {
        match (path.0.last(), path.parent()) {
            (Some(Step::Index(index)), Some(parent)) if self.get(&parent.index(1)).is_some() => {
                format!(" number {}", index + 1)
            }
            _ => String::new(),
        }
    }

    fn dotted(&self, path: &Path) -> String {
        let ancestors = (1..=path.0.len()).map(|length| Path(path.0[..length].to_vec()));
        let labels = ancestors.filter(|path| matches!(path.0.last(), Some(Step::Key(_))));
        labels.map(|path| self.label(&path).to_owned()).collect::<Vec<_>>().join(".")
    }

    fn label<'a>(&'a self, path: &'a Path) -> &'a str {
        let key = self.get(path).and_then(|place| place.key.as_ref());
        match (key, path.0.last()) {
            (Some((label, _)), _) => label,
            // Not in the file, so it is a key that the program asks for.
            (None, Some(Step::Key(key))) => key,
            (None, _) => "…",
        }
    }
}
