//! `tests/data/signature-vectors.json`: requests, the verifier each meets, and what it must find.
//!
//! The file is made here and read by the test of every verifier in `verify/`. Text in it stands for bytes: each
//! character is one.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use member_gateway::verify::Refused;
use serde_json::{Map, Value, json};

use crate::believed::{BELIEVED, BELIEVED_OF_ANY};
use crate::cases::{Bench, Case};
use crate::keys::{Algorithm, Key, Known, Which, hmac_of};
use crate::refused::{REFUSED, REFUSED_OF_ANY};

/// Where the vectors are.
pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signature-vectors.json");

/// Set, the file is written anew.
const REGENERATE: &str = "REGENERATE";

const ABOUT: &str = "Requests, the verifier each meets, and what it must find; made by tests/verifiers/vectors.rs, which \
                     says how. Each character stands for one byte. `verifier` leaves out what is usual: the three identity \
                     fields, no authority of its own, no memory for nonces. `folded` is what is found by a verifier that is \
                     given names as CGI writes them, and several lines as one, where that differs. `remembered` are the \
                     nonces in its memory afterwards.";

/// The identity fields a verifier reads that was told nothing else.
const USUAL_FIELDS: &[&str] = &["x-member-id", "x-member-unit-id", "x-member-provider"];

#[test]
fn the_vectors_are_what_is_made_here() {
    let old = std::fs::read_to_string(PATH).unwrap_or_default();
    let new = text(&known_signatures(&old));
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(PATH, &new).expect("the file can be written");
    } else {
        assert!(
            old == new,
            "tests/data/signature-vectors.json is not what its generator makes. After a change of the generator run \
             {REGENERATE}=1 cargo test --test verifiers the_vectors, look at the difference and commit it."
        );
    }
}

#[test]
fn every_error_of_the_verifiers_has_a_vector() {
    let text = std::fs::read_to_string(PATH).expect("the vectors");
    for error in Refused::NAMES {
        assert!(text.contains(&format!("{{\"error\":\"{error}\"}}")), "no vector expects {error}");
    }
}

#[test]
fn the_example_in_the_documentation_has_the_signature_that_is_printed_there() {
    let text = include_str!("../../docs/verify/README.md");
    let base =
        text.split("```text\n").find(|block| block.starts_with("\"@method\"")).expect("a signature base");
    let (base, _) = base.split_once("\n```").expect("the end of the signature base");
    let signature = STANDARD.encode(hmac_of(&[7; 32], base.as_bytes()));
    assert!(text.contains(&format!("`member=:{signature}:`")), "{base}");
}

#[test]
fn every_error_is_in_the_documentation_in_the_order_in_which_it_is_looked_for() {
    let text = include_str!("../../docs/verify/README.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let names: Vec<&str> = rows.filter_map(|row| row.rsplit('`').nth(1)).collect();
    let documented: Vec<&str> = names.into_iter().filter(|name| Refused::NAMES.contains(name)).collect();
    assert_eq!(documented, Refused::NAMES);
}

/// The vectors, as the file has them.
pub(crate) fn read() -> Value {
    let text = std::fs::read_to_string(Path::new(PATH)).expect("the vectors");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn text(known: &Known) -> String {
    let keys: Vec<String> =
        Key::held().map(|key| format!("  {}: {}", json!(key.label()), key.published())).collect();
    let mut vectors = Vec::new();
    for algorithm in Algorithm::ALL {
        let bench = Bench { algorithm, known };
        let of_any = algorithm == Algorithm::Hmac;
        for (what, case) in BELIEVED.iter().chain(BELIEVED_OF_ANY.iter().filter(|_| of_any)) {
            vectors.push(vector(algorithm, what, &case(&bench), None));
        }
        for (what, case, error) in REFUSED.iter().chain(REFUSED_OF_ANY.iter().filter(|_| of_any)) {
            vectors.push(vector(algorithm, what, &case(&bench), Some(error)));
        }
    }
    format!(
        "{{\n\"about\": {},\n\"keys\": {{\n{}\n}},\n\"vectors\": [\n{}\n]\n}}\n",
        json!(ABOUT),
        keys.join(",\n"),
        vectors.join(",\n")
    )
}

fn vector(algorithm: Algorithm, what: &str, case: &Case, error: Option<&str>) -> String {
    let Case { request, keys, fields, authority, nonces, now, folded } = case;
    let usual = [Key(algorithm, Which::Usual)];
    let labels: Vec<String> = keys.as_deref().unwrap_or(&usual).iter().map(|key| key.label()).collect();
    let mut verifier = Map::from_iter([("keys".to_owned(), json!(labels))]);
    let own = [("fields", json!(fields)), ("authority", json!(authority)), ("nonces", json!(nonces))];
    verifier.extend(
        own.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.into(), value)),
    );

    let expected = error.map_or_else(|| json!({ "member": member(case) }), |error| json!({ "error": error }));
    let mut lines = vec![
        format!("  \"name\": {}", json!(format!("{}: {what}", algorithm.name()))),
        format!("  \"method\": {}, \"target\": {}", json!(request.method), json!(request.target)),
        format!("  \"fields\": {}", json!(request.fields)),
        format!("  \"verifier\": {}, \"now\": {now}", Value::Object(verifier)),
        format!("  \"expected\": {expected}"),
    ];
    if let Some(error) = folded {
        lines.push(format!("  \"folded\": {}", json!({ "error": error })));
    }
    if let Some(nonces) = nonces {
        let new = error.is_none().then_some("b3VyIG5vbmNl");
        let remembered: Vec<&str> = nonces.iter().copied().chain(new).collect();
        lines.push(format!("  \"remembered\": {}", json!(remembered)));
    }
    format!(" {{\n{}\n }}", lines.join(",\n"))
}

/// What a verifier says of the member.
fn member(case: &Case) -> Map<String, Value> {
    let names = case.fields.unwrap_or(USUAL_FIELDS).iter();
    let values = names.map(|name| {
        let name = name.trim_end_matches('?');
        (name.to_owned(), json!(case.request.field(name).trim()))
    });
    values.filter(|(_, value)| value != "").collect()
}

/// The signatures that stand in the file; of ECDSA's, each may be the one of a base to come.
fn known_signatures(file: &str) -> Known {
    let pieces = file.split("member=:").skip(1).filter_map(|rest| rest.split_once(':'));
    let signatures = pieces.filter_map(|(text, _)| STANDARD.decode(text).ok());
    Known::new(signatures.filter(|bytes| bytes.len() == 64).collect())
}
