//! What somebody could guess octet by octet, if wrong guesses took longer the more of them is right.
//!
//! No test can assert a time. So this one reads the sources: each comparison of what nobody may know is made by a function
//! that looks at all of it. `scripts/gates/timing` prints what can be measured.

use std::fs;
use std::path::{Path, PathBuf};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Where something secret is compared, and what compares it.
const COMPARISONS: [(&str, &str, &str); 8] = [
    ("secret.rs", "pub fn same_bytes(", "constant_time::verify_slices_are_equal(left, right)"),
    ("secret.rs", "fn eq(&self, other: &Self)", "same_bytes("),
    ("login/attempt.rs", "pub fn has_state(", "same_bytes("),
    ("relay/gate.rs", "fn shows(", "if same_bytes("),
    ("identity/keys.rs", "pub fn verifies(", "Material::Hmac(key) => key.verifies("),
    ("verify/key.rs", "pub(super) fn verifies(", "Material::Hmac(key) => key.verifies("),
    ("mac.rs", "pub fn verifies(", ".verify_slice(code)"),
    ("session/seal.rs", "pub fn open(", ".decrypt_inout_detached("),
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A function from its head to the brace that ends it, which stands as far to the left.
fn function<'a>(source: &'a str, head: &str) -> &'a str {
    let at = source.find(head).unwrap_or_else(|| panic!("there is no {head}"));
    let line = source[..at].rfind('\n').map_or(0, |end| end + 1);
    let indent = source[line..].len() - source[line..].trim_start().len();
    let end = format!("\n{}}}\n", " ".repeat(indent));
    &source[at..at + source[at..].find(&end).unwrap()]
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn what_could_be_guessed_octet_by_octet_is_compared_as_a_whole() {
    for (file, head, comparison) in COMPARISONS {
        let source = read(&Path::new(SOURCES).join(file));
        assert!(function(&source, head).contains(comparison), "{file}: {head}…");
    }
}

#[test]
fn no_secret_that_was_exposed_is_compared_in_the_ordinary_way() {
    let mut files = Vec::new();
    rust_files(Path::new(SOURCES), &mut files);
    assert!(files.len() > 100);
    for file in files {
        for (number, line) in read(&file).lines().enumerate() {
            let exposes = ["expose()", "expose_str()"].iter().any(|name| line.contains(name));
            let compares = ["==", "!=", ".eq(", ".ne("].iter().any(|way| line.contains(way));
            assert!(!(exposes && compares), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}
