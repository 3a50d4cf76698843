//! Reading a JSON Schema the way the checks of `gateway.toml` need it: which kinds of value may stand somewhere, which
//! keys a table has, which keys are secret, and how to say so in words.
//!
//! Understands what schemars writes for serde's structs and enums: `$ref`, `allOf`, `anyOf`, `oneOf`, `type`, `const`,
//! `enum`, `properties`, `required`, `additionalProperties`, `items` and bounds. Anything else restricts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use crate::config::likeness::nearest;

/// A definition of this name is a secret wherever it is referred to.
const SECRET_DEFINITION: &str = "SecretText";
/// A property with this keyword is one too, or with `false` is none in spite of what it stands in.
const SECRET_KEYWORD: &str = "x-secret";
/// A schema that refers to itself without a value in between would never end.
const MAX_DEPTH: usize = 24;

type Object = Map<String, Value>;

/// The kinds of value that TOML has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Integer,
    Float,
    Boolean,
    Datetime,
    Array,
    Table,
}

impl Kind {
    pub(crate) fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(_) => Self::String,
            DeValue::Integer(_) => Self::Integer,
            DeValue::Float(_) => Self::Float,
            DeValue::Boolean(_) => Self::Boolean,
            DeValue::Datetime(_) => Self::Datetime,
            DeValue::Array(_) => Self::Array,
            DeValue::Table(_) => Self::Table,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Float => "a float",
            Self::Boolean => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array => "an array",
            Self::Table => "a table",
        }
    }

    fn is_type(self, name: &str) -> bool {
        match self {
            Self::String => name == "string",
            Self::Integer => name == "integer" || name == "number",
            Self::Float => name == "number",
            Self::Boolean => name == "boolean",
            Self::Datetime => false,
            Self::Array => name == "array",
            Self::Table => name == "object",
        }
    }

    fn is_kind_of(self, value: &Value) -> bool {
        match value {
            Value::String(_) => self == Self::String,
            Value::Number(_) => matches!(self, Self::Integer | Self::Float),
            Value::Bool(_) => self == Self::Boolean,
            Value::Array(_) => self == Self::Array,
            Value::Object(_) => self == Self::Table,
            Value::Null => false,
        }
    }
}

/// What applies to one value, once the alternatives that it cannot mean are out.
#[derive(Default)]
pub(crate) struct Rules<'s> {
    /// The schemas that hold together.
    pub(crate) layers: Vec<&'s Object>,
    /// Keys that must be there.
    pub(crate) required: BTreeSet<&'s str>,
    /// Alternatives that the value's keys or its tag decided against.
    pub(crate) rejected: Vec<&'s Value>,
    /// Whether several alternatives are left between which nothing decides.
    pub(crate) ambiguous: bool,
}

impl<'s> Rules<'s> {
    /// The schemas of a key, of which one must hold.
    pub(crate) fn property(&self, key: &str) -> Vec<&'s Value> {
        self.layers.iter().filter_map(|layer| layer.get("properties")?.get(key)).collect()
    }

    /// The schemas of keys without a name of their own; nothing where such keys are errors.
    pub(crate) fn further(&self) -> Option<Vec<&'s Value>> {
        let keywords = ["additionalProperties", "unevaluatedProperties"];
        let stated: Vec<&Value> = self
            .layers
            .iter()
            .flat_map(|layer| keywords.iter().filter_map(|word| layer.get(*word)))
            .collect();
        if stated.contains(&&Value::Bool(false)) {
            return None;
        }
        Some(stated.into_iter().filter(|schema| schema.is_object()).collect())
    }

    /// All keys that have a name.
    pub(crate) fn keys(&self) -> BTreeSet<&'s str> {
        let properties = self.layers.iter().filter_map(|layer| layer.get("properties")?.as_object());
        properties.flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    /// The schema of an array's elements.
    pub(crate) fn items(&self) -> Vec<&'s Value> {
        self.layers.iter().filter_map(|layer| layer.get("items")).collect()
    }

    fn add(&mut self, other: Self) {
        self.layers.extend(other.layers);
        self.required.extend(other.required);
        self.rejected.extend(other.rejected);
        self.ambiguous |= other.ambiguous;
    }
}

/// A whole JSON Schema. Where a function takes several schemas, one of them must hold.
#[derive(Clone, Copy)]
pub(crate) struct Schema<'s> {
    pub(crate) root: &'s Value,
}

impl<'s> Schema<'s> {
    /// Whether a value of this kind may stand there.
    pub(crate) fn accepts(self, schemas: &[&'s Value], kind: Kind) -> bool {
        schemas.iter().any(|schema| self.accepts_within(schema, kind, 0))
    }

    fn accepts_within(self, schema: &'s Value, kind: Kind, depth: usize) -> bool {
        if depth > MAX_DEPTH || schema == &Value::Bool(false) {
            return false;
        }
        self.layers(schema).into_iter().all(|layer| {
            let by_type = match layer.get("type") {
                Some(Value::String(name)) => kind.is_type(name),
                Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(|n| kind.is_type(n)),
                _ => true,
            };
            by_type
                && listed(layer).is_none_or(|values| values.iter().any(|value| kind.is_kind_of(value)))
                && branches(layer)
                    .is_none_or(|all| all.iter().any(|branch| self.accepts_within(branch, kind, depth + 1)))
        })
    }

    /// The strings that may stand there, where they are known one by one.
    pub(crate) fn allowed(self, schemas: &[&'s Value]) -> Option<Vec<&'s str>> {
        let fitting = schemas.iter().filter(|schema| self.accepts(&[schema], Kind::String));
        let lists: Option<Vec<_>> = fitting.map(|schema| self.allowed_by(schema)).collect();
        let mut values = lists?.concat();
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(*value));
        (!values.is_empty()).then_some(values)
    }

    fn allowed_by(self, schema: &'s Value) -> Option<Vec<&'s str>> {
        self.layers(schema).into_iter().find_map(|layer| match (listed(layer), branches(layer)) {
            (Some(values), _) => Some(values.iter().filter_map(Value::as_str).collect()),
            (None, Some(all)) => self.allowed(&all.iter().collect::<Vec<_>>()),
            (None, None) => None,
        })
    }

    /// Whether what stands there is a secret, or stands in one.
    pub(crate) fn is_secret(self, schemas: &[&'s Value], inherited: bool) -> bool {
        schemas.iter().any(|schema| {
            let layers = self.layers(schema);
            if let Some(stated) = layers.iter().find_map(|layer| layer.get(SECRET_KEYWORD)?.as_bool()) {
                return stated;
            }
            let refers = |layer: &&Object| {
                let target = layer.get("$ref").and_then(Value::as_str).unwrap_or_default();
                target.rsplit('/').next() == Some(SECRET_DEFINITION)
            };
            let branches = || layers.iter().filter_map(|layer| branches(layer)).flatten();
            inherited
                || layers.iter().any(refers)
                || branches().any(|branch| self.is_secret(&[branch], false))
        })
    }

    /// What applies to this very value.
    pub(crate) fn rules(self, schemas: &[&'s Value], value: &DeValue<'_>) -> Rules<'s> {
        self.choose(schemas, value, 0)
    }

    fn rules_within(self, schema: &'s Value, value: &DeValue<'_>, depth: usize) -> Rules<'s> {
        let mut rules = Rules::default();
        for layer in self.layers(schema) {
            let required = layer.get("required").and_then(Value::as_array).into_iter().flatten();
            rules.required.extend(required.filter_map(Value::as_str));
            rules.layers.push(layer);
            if let Some(all) = branches(layer).filter(|_| depth < MAX_DEPTH) {
                rules.add(self.choose(&all.iter().collect::<Vec<_>>(), value, depth + 1));
            }
        }
        rules
    }

    /// The rules of the alternative that a value means. Where a table does not say which, all its keys are known and
    /// only those are required that every alternative requires.
    fn choose(self, schemas: &[&'s Value], value: &DeValue<'_>, depth: usize) -> Rules<'s> {
        let kind = Kind::of(value);
        let fitting: Vec<&Value> = schemas.iter().copied().filter(|one| self.accepts(&[one], kind)).collect();
        let mut alternatives: Vec<Rules<'s>> =
            fitting.iter().map(|schema| self.rules_within(schema, value, depth)).collect();
        let meant = match value.as_table() {
            Some(table) => self.meant(&alternatives, table),
            None => (kind == Kind::Array).then_some(0),
        };
        if let Some(meant) = meant.filter(|meant| *meant < alternatives.len()) {
            let mut rules = alternatives.swap_remove(meant);
            rules
                .rejected
                .extend(fitting.iter().enumerate().filter(|(i, _)| *i != meant).map(|(_, one)| *one));
            return rules;
        }
        let common =
            alternatives.iter().map(|rules| rules.required.clone()).reduce(|left, right| &left & &right);
        let mut rules = Rules::default();
        for alternative in alternatives {
            rules.add(alternative);
        }
        rules.required = common.unwrap_or_default();
        rules.ambiguous = kind == Kind::Table;
        rules
    }

    fn meant(self, alternatives: &[Rules<'s>], table: &DeTable<'_>) -> Option<usize> {
        if alternatives.len() < 2 {
            return Some(0);
        }
        if let Some(tag) = alternatives[0].keys().into_iter().find(|key| self.is_tag(alternatives, key)) {
            let written = table.get(tag)?.get_ref().as_str()?;
            let names = |rules: &Rules<'s>| self.allowed(&rules.property(tag)).unwrap_or_default();
            return alternatives.iter().position(|rules| names(rules).contains(&written));
        }
        let fit = |rules: &Rules<'s>| {
            let known = table.keys().filter(|key| !rules.property(key.get_ref()).is_empty()).count();
            let missing = rules.required.iter().filter(|key| !table.contains_key(**key)).count();
            (known, usize::MAX - missing)
        };
        // The first of equals, as serde would try it.
        let best = (0..alternatives.len()).rev().max_by_key(|index| fit(&alternatives[*index]))?;
        (fit(&alternatives[best]).0 > 0).then_some(best)
    }

    /// Whether a key tells the alternatives apart: every one requires it, with values of its own.
    fn is_tag(self, alternatives: &[Rules<'s>], key: &str) -> bool {
        let values =
            |rules: &Rules<'s>| self.allowed(&rules.property(key)).filter(|_| rules.required.contains(key));
        let Some(lists) = alternatives.iter().map(values).collect::<Option<Vec<_>>>() else { return false };
        let all = lists.concat();
        all.iter().collect::<BTreeSet<_>>().len() == all.len()
    }

    /// What may stand there, in words.
    pub(crate) fn describe(self, schemas: &[&'s Value]) -> String {
        if let Some(values) = self.allowed(schemas).filter(|_| !self.accepts(schemas, Kind::Table)) {
            return one_of(&values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>());
        }
        let mut words = Vec::new();
        let kinds = [Kind::String, Kind::Integer, Kind::Float, Kind::Boolean, Kind::Array];
        for kind in kinds.into_iter().filter(|kind| self.accepts(schemas, *kind)) {
            // An integer will do as a number, and to say both would only confuse.
            if kind == Kind::Float {
                words.retain(|word| word != Kind::Integer.name());
                words.push("a number".to_owned());
            } else {
                words.push(kind.name().to_owned());
            }
        }
        let empty = DeValue::Table(DeTable::new());
        let mut tables = Vec::new();
        self.table_branches(schemas, 0, &mut tables);
        for schema in tables {
            let rules = self.rules_within(schema, &empty, 0);
            let keys: Vec<String> = rules.required.iter().map(|key| format!("`{key}`")).collect();
            let table = if keys.is_empty() { String::new() } else { format!(" with {}", keys.join(" and ")) };
            let table = format!("a table{table}");
            if !words.contains(&table) {
                words.push(table);
            }
        }
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            Some((last, _)) => last.clone(),
            None => "nothing".to_owned(),
        }
    }

    fn table_branches(self, schemas: &[&'s Value], depth: usize, found: &mut Vec<&'s Value>) {
        for schema in schemas.iter().filter(|schema| self.accepts(&[schema], Kind::Table)) {
            let inner: Vec<&Value> = self.layers(schema).into_iter().filter_map(branches).flatten().collect();
            if inner.is_empty() || depth > MAX_DEPTH {
                found.push(schema);
            } else {
                self.table_branches(&inner, depth + 1, found);
            }
        }
    }

    /// A schema with everything that it refers to and that holds without a choice.
    pub(crate) fn layers(self, schema: &'s Value) -> Vec<&'s Object> {
        let mut layers = Vec::new();
        let mut pending = vec![schema];
        while let Some(schema) = pending.pop() {
            let Some(object) = schema.as_object().filter(|_| layers.len() < MAX_DEPTH) else { continue };
            layers.push(object);
            let target =
                object.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
            pending.extend(target.and_then(|target| self.root.pointer(target)));
            pending.extend(object.get("allOf").and_then(Value::as_array).into_iter().flatten());
        }
        layers
    }
}

fn branches(layer: &Object) -> Option<&Vec<Value>> {
    layer.get("anyOf").or_else(|| layer.get("oneOf"))?.as_array()
}

fn listed(layer: &Object) -> Option<&[Value]> {
    match layer.get("const") {
        Some(value) => Some(std::slice::from_ref(value)),
        None => layer.get("enum")?.as_array().map(Vec::as_slice),
    }
}

/// A list as an operator reads it.
pub(crate) fn one_of(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => format!("only {only}"),
        several => format!("one of: {}", several.join(", ")),
    }
}

/// Every key that the schema knows, with the tables it belongs to.
#[derive(Clone, Default)]
pub(crate) struct Words(Arc<Homes>);

type Homes = BTreeMap<String, BTreeSet<String>>;

impl Words {
    pub(crate) fn of(schema: Schema<'_>) -> Self {
        let mut homes = Homes::new();
        collect(&mut homes, schema, schema.root, &Table { path: &[], many: false }, 0);
        Self(Arc::new(homes))
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The tables that have this key.
    pub(crate) fn homes(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// The known key that a word is, or nearly is.
    pub(crate) fn nearest(&self, word: &str) -> Option<&str> {
        nearest(word, self.0.keys().map(String::as_str))
    }
}

fn collect(homes: &mut Homes, schema: Schema<'_>, at: &Value, table: &Table<'_>, depth: usize) {
    if depth > 8 {
        return;
    }
    for layer in schema.layers(at) {
        for branch in branches(layer).into_iter().flatten() {
            collect(homes, schema, branch, table, depth + 1);
        }
        for (key, property) in layer.get("properties").and_then(Value::as_object).into_iter().flatten() {
            homes.entry(key.clone()).or_default().insert(table.name());
            let path = [table.path, &[key.as_str()]].concat();
            collect(homes, schema, property, &Table { path: &path, many: false }, depth + 1);
        }
        if let Some(further) = layer.get("additionalProperties").filter(|further| further.is_object()) {
            collect(homes, schema, further, table, depth + 1);
        }
        if let Some(items) = layer.get("items") {
            collect(homes, schema, items, &Table { path: table.path, many: true }, depth + 1);
        }
    }
}

/// A table that the schema knows, found while [`Words`] are collected.
struct Table<'a> {
    path: &'a [&'a str],
    many: bool,
}

impl Table<'_> {
    fn name(&self) -> String {
        match (self.path.join("."), self.many) {
            (path, _) if path.is_empty() => "the top level".to_owned(),
            (path, false) => format!("[{path}]"),
            (path, true) => format!("[[{path}]]"),
        }
    }
}
