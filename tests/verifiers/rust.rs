//! The crate's own verifier.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use member_gateway::secret::Secret;
use member_gateway::time::UnixTime;
use member_gateway::verify::{Key, Nonces, Proof, Refused, Request, Verifier};
use serde_json::{Map, Value, json};

use crate::request::bytes;
use crate::vectors;

#[test]
fn the_verifier_in_rust_finds_in_every_vector_what_it_must_find() {
    let file = vectors::read();
    let vectors = file["vectors"].as_array().expect("a list");
    let mistakes: Vec<String> = vectors
        .iter()
        .filter_map(|vector| {
            let (found, remembered) = judged(&file["keys"], vector);
            let remembers =
                |nonces: &Value| nonces.as_array().is_none_or(|nonces| nonces.len() == remembered);
            let right = found == vector["expected"] && remembers(&vector["remembered"]);
            (!right).then(|| format!("{}: {found}, {remembered} nonces", vector["name"]))
        })
        .collect();
    assert!(mistakes.is_empty() && !vectors.is_empty(), "{}", mistakes.join("\n"));
}

/// What the verifier finds, and how many nonces it remembers afterwards.
fn judged(keys: &Value, vector: &Value) -> (Value, usize) {
    let text = |value: &Value| String::from_utf8(bytes(value.as_str().expect("text"))).expect("UTF-8");
    let texts =
        |value: &Value| -> Vec<String> { value.as_array().expect("a list").iter().map(text).collect() };
    let own = &vector["verifier"];
    let held = texts(&own["keys"]).iter().map(|label| key(&keys[label.as_str()])).collect();
    let mut verifier = Verifier::new(held);
    if own["fields"].is_array() {
        verifier = verifier.reading(texts(&own["fields"]).iter().map(String::as_str));
    }
    if let Some(authority) = own["authority"].as_str() {
        verifier = verifier.at(authority);
    }
    let now = UnixTime(vector["now"].as_u64().expect("seconds"));
    let mut nonces = Nonces::default();
    for nonce in own["nonces"].as_array().into_iter().flatten() {
        let proof = Proof { values: Vec::new(), nonce: text(nonce), expires: now.0 + 60 };
        nonces.remember(&proof, now).expect("each once");
    }

    let (method, target) = (text(&vector["method"]), text(&vector["target"]));
    let lines = vector["fields"].as_array().expect("a list").iter();
    let lines: Vec<(String, Vec<u8>)> =
        lines.map(|line| (text(&line[0]), bytes(line[1].as_str().expect("a value")))).collect();
    let fields = lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let found = verifier.verify(&Request { method: &method, target: &target, fields }, now);
    let found = found.and_then(|proof| {
        if own["nonces"].is_array() {
            nonces.remember(&proof, now)?;
        }
        Ok(proof)
    });
    (named(found), nonces.len())
}

fn named(found: Result<Proof<'_>, Refused>) -> Value {
    match found {
        Ok(proof) => {
            let values = proof.values.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
            json!({ "member": values.collect::<Map<_, _>>() })
        }
        Err(error) => json!({ "error": error.name() }),
    }
}

fn key(published: &Value) -> Key {
    match published["secret"].as_str() {
        Some(secret) => {
            let secret = Secret::new(URL_SAFE_NO_PAD.decode(secret).expect("base64url"));
            Key::hmac(published["id"].as_str().expect("an id"), &secret)
        }
        None => Key::from_jwk(&published["jwk"]).expect("a key of ours"),
    }
}
