//! The configuration reference: the JSON Schema as Markdown for people.

use std::fmt::Write;

use serde_json::{Map, Value};

const INTRODUCTION: &str = "# Configuration reference

Written from the doc comments of the tables in `src/config` by `member-gateway schema --reference`; do not edit it by hand.

The gateway reads one file, `gateway.toml` in the working directory or the one named by `--config`. Unknown keys are
errors. Mistakes are reported together, each with its line and what was expected; where a whole table is none of the
configuration or a key is missing, the others may have to wait until that is mended. `member-gateway check` does just
that, and prints what would be served.

* A **duration** is a whole number and a unit: `\"30s\"`, `\"15m\"`, `\"12h\"`, `\"7d\"`. A **size** likewise: `\"512B\"`,
  `\"64KiB\"`, `\"1MiB\"`.
* A **secret** is the text itself, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`; one newline at its end is not part of it.
  Secrets are never printed, in no error message either.
* Relative paths start at the folder of the file.
* Loopback is 127.0.0.0/8, ::1, `localhost` and names below it.
";

/// The order of the tables, which is that of a request's journey; the schema has forgotten it.
const ORDER: [&str; 5] = ["server", "session", "identity", "provider", "site"];

/// The whole reference.
#[must_use]
pub fn markdown(schema: &Value) -> String {
    let mut text = INTRODUCTION.to_owned();
    table(&mut text, schema, schema, "", 0);
    text
}

/// The keys of one table; the tables below it follow.
fn table(text: &mut String, root: &Value, schema: &Value, name: &str, depth: usize) {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_required = |key: &String| required.contains(&key.as_str());
    let is_top = name.is_empty();
    let place = |key: &String| ORDER.iter().position(|known| is_top && known == key);
    let mut properties: Vec<(&String, &Value)> = properties.iter().collect();
    // Which kind of table this is comes first, then what has to be there.
    properties.sort_by_key(|(key, _)| (place(key), key.as_str() != "kind", !is_required(key)));
    let mut below = Vec::new();
    let mut keys = String::new();
    for (key, property) in properties {
        let description = described(root, property);
        match nested(root, property) {
            Some((table, is_list)) => below.push((key, description, table, is_list)),
            None => {
                let needed = if is_required(key) { "**Required.** " } else { "" };
                let kind = kind(root, property);
                writeln!(keys, "| `{key}` | {kind} | {needed}{description} |")
                    .expect("writing into a string");
            }
        }
    }
    if !keys.is_empty() {
        text.push_str("\n| key | value | meaning |\n| --- | --- | --- |\n");
        text.push_str(&keys);
    }
    for (key, description, table_schema, is_list) in below {
        let full = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let heading = if is_list { format!("[[{full}]]") } else { format!("[{full}]") };
        let hashes = "#".repeat((depth + 2).min(4));
        write!(text, "\n{hashes} `{heading}`\n\n{description}\n").expect("writing into a string");
        for (kind, variant) in variants(root, table_schema) {
            if let Some(kind) = kind {
                write!(text, "\nWith `kind = \"{kind}\"`:\n").expect("writing into a string");
            }
            table(text, root, variant, &full, depth + 1);
        }
    }
}

/// The kinds of a tagged table, each with its keys; or the table itself.
fn variants<'a>(root: &'a Value, schema: &'a Value) -> Vec<(Option<&'a str>, &'a Value)> {
    let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else { return vec![(None, schema)] };
    let tagged = |choice: &'a Value| {
        let kind = choice.pointer("/properties/kind/const").and_then(Value::as_str);
        let keys = if choice.get("$ref").is_some() { resolved(root, choice) } else { choice };
        (kind, keys)
    };
    choices.iter().map(tagged).collect()
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
    reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// What is behind `Option` and `$ref`.
fn unwrapped<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = resolved(root, schema);
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let only = choices.and_then(|choices| {
        let mut others =
            choices.iter().filter(|choice| choice.get("type").and_then(Value::as_str) != Some("null"));
        others.next().filter(|_| others.next().is_none())
    });
    only.map_or(schema, |only| resolved(root, only))
}

/// A table below this one, and whether there can be several of it.
fn nested<'a>(root: &'a Value, property: &'a Value) -> Option<(&'a Value, bool)> {
    let schema = unwrapped(root, property);
    let is_table = |schema: &Value| {
        schema.get("properties").is_some()
            || schema.get("oneOf").and_then(Value::as_array).is_some_and(|choices| {
                choices.iter().any(|choice| choice.pointer("/properties/kind").is_some())
            })
    };
    if is_table(schema) {
        return Some((schema, false));
    }
    let items = unwrapped(root, schema.get("items")?);
    is_table(items).then_some((items, true))
}

fn described(root: &Value, property: &Value) -> String {
    if let Some(only) = property.get("const") {
        return format!("Always `{only}`.");
    }
    let own = property.get("description").or_else(|| unwrapped(root, property).get("description"));
    own.and_then(Value::as_str).unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn kind(root: &Value, property: &Value) -> String {
    if property.to_string().contains("SecretText") {
        if property.get("additionalProperties").is_some() {
            return "table of secrets".to_owned();
        }
        return if unwrapped(root, property).get("items").is_some() { "secrets" } else { "secret" }
            .to_owned();
    }
    if property.to_string().contains("LocalizedText") {
        return "text, or `{ en, es, fr }`".to_owned();
    }
    let schema = unwrapped(root, property);
    if schema.get("enum").is_some() || schema.get("oneOf").is_some() {
        return "a choice".to_owned();
    }
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let is_table = |choice: &Value| resolved(root, choice).get("properties").is_some();
    if choices.is_some_and(|choices| choices.iter().any(is_table)) {
        return "text or table".to_owned();
    }
    let name = match schema.get("type") {
        Some(Value::Array(types)) => {
            types.iter().find_map(|kind| kind.as_str().filter(|kind| *kind != "null"))
        }
        Some(kind) => kind.as_str(),
        None => None,
    };
    match name {
        Some("array") => "list",
        Some("object") => "table of texts",
        Some("string") => "text",
        Some("integer") => "number",
        Some("boolean") => "true or false",
        Some(_) | None => "text or list",
    }
    .to_owned()
}
