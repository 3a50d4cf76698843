//! Reading on past mistakes of shape: the lines that are wrong are blanked, so that the rest can be understood.
//!
//! Whatever is blanked keeps its length, so that every place in the rest is the place in the file. Where a mistake cannot
//! be cut out cleanly, such as a whole table or a key that is missing, there is nothing to read on with.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::diagnostics::Problem;
use super::structure::Path;

/// A text without some of its entries.
pub(super) struct Pruned {
    /// The rest, where it was.
    pub(super) text: String,
    /// What was blanked: somebody who misses it should not be told that it is missing.
    pub(super) lost: Vec<Path>,
}

/// The text without the entries in which these problems stand; nothing where that does not rid it of all of them.
pub(super) fn without(text: &str, problems: &[Problem]) -> Option<Pruned> {
    let root = DeTable::parse(text).ok()?;
    let mut entries = Vec::new();
    collect(&Path::root(), root.get_ref(), &mut entries);
    let mut bytes = text.as_bytes().to_vec();
    let mut lost = Vec::new();
    for problem in problems {
        // The innermost entry that holds the problem.
        let holds =
            |entry: &&Entry| entry.span.start <= problem.span.start && problem.span.end <= entry.span.end;
        let Entry { path, span: entry } =
            entries.iter().filter(holds).min_by_key(|entry| entry.span.len())?;
        let written = text.get(entry.clone())?;
        let ends_line = text[entry.end..].lines().next().is_none_or(is_nothing);
        if written.contains('\n') || !ends_line {
            return None;
        }
        bytes[entry.clone()].fill(b' ');
        lost.push(path.clone());
    }
    Some(Pruned { text: String::from_utf8(bytes).ok()?, lost })
}

/// A key and its value.
struct Entry {
    path: Path,
    /// From the key to the end of the value.
    span: Range<usize>,
}

/// The entries of a table and of all below it.
fn collect(path: &Path, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let path = path.key(key.get_ref().as_ref());
        let span = key.span().start..value.span().end.max(key.span().end);
        below(&path, value.get_ref(), entries);
        entries.push(Entry { path, span });
    }
}

fn below(path: &Path, value: &DeValue<'_>, entries: &mut Vec<Entry>) {
    match value {
        DeValue::Table(table) => collect(path, table, entries),
        DeValue::Array(array) => {
            let items = array.iter().enumerate();
            items.for_each(|(index, item)| below(&path.index(index), item.get_ref(), entries));
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

fn is_nothing(rest: &str) -> bool {
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[session]\nidle_timout = \"1h\" # soon\nmax_age = \"12h\"\n\n[[site]]\npublic_url = \"a\"\npages = { nam = \"x\" }\n";

    fn prune(wrong: &[&str]) -> Option<Pruned> {
        let problem = |text: &&str| {
            let start = TEXT.find(*text).unwrap();
            Problem::new(start..start + text.len(), "wrong")
        };
        without(TEXT, &wrong.iter().map(problem).collect::<Vec<_>>())
    }

    #[test]
    fn a_wrong_line_is_blanked_and_everything_else_stays_where_it_was() {
        let Pruned { text: pruned, lost } = prune(&["idle_timout", "\"12h\""]).unwrap();
        assert_eq!(lost, [Path::from(["session", "idle_timout"]), Path::from(["session", "max_age"])]);
        assert_eq!(pruned.len(), TEXT.len());
        assert_eq!(pruned.find("[[site]]"), TEXT.find("[[site]]"));
        assert!(!pruned.contains("idle_timout") && !pruned.contains("max_age") && pruned.contains("# soon"));
    }

    #[test]
    fn what_cannot_be_cut_out_cleanly_is_not_cut_at_all() {
        assert!(prune(&["[session]"]).is_none());
        assert!(prune(&["nam"]).is_none());
        assert!(without("a = ", &[Problem::new(0..1, "wrong")]).is_none());
    }
}
