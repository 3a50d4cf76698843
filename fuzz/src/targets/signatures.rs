//! Signatures: a request of five lines (method, authority, path and query, an id, a change), and behind an empty line
//! fields that somebody claims to be signed. `{INPUT}` and `{SIGNATURE}` are those of a request that was signed.
//!
//! * What the gateway signs verifies, for the values that were signed.
//! * Anything about it changed, it does not.
//! * Nothing verifies that was not signed, however its fields are written.

use std::sync::OnceLock;

use http::header::{HeaderName, HeaderValue};
use member_gateway::field_lines::Lines;
use member_gateway::identity::keys::{Algorithm, SigningKey};
use member_gateway::identity::signature::{Component, Message, SIGNATURE, SIGNATURE_INPUT, Signer};
use member_gateway::message::Fields;
use member_gateway::secret::Secret;
use member_gateway::verify::{Key, Proof, Request, Verifier};

use super::members::{HOST, NOW, SIGNING_KEY};
use super::{fields_of, with};

struct Stage {
    signer: Signer,
    key: SigningKey,
    verifier: Verifier,
    /// The fields of a request that was signed.
    input: String,
    signature: String,
}

const ID: &str = "300418822-01";

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let id = Component::Field(HeaderName::from_static("x-member-id"));
        let parts = vec![Component::Method, Component::Authority, Component::Path, Component::Query, id];
        let signer = Signer::new(parts, 60);
        let key = SigningKey::new("1", Algorithm::HmacSha256, &Secret::new(SIGNING_KEY)).expect("a key");
        let verifier =
            Verifier::new(vec![Key::hmac("1", &Secret::new(SIGNING_KEY))]).reading(["x-member-id"]);
        let fields =
            Fields::from_iter([(HeaderName::from_static("x-member-id"), HeaderValue::from_static(ID))]);
        let message = Message { method: "GET", authority: HOST, path: "/a", query: None, fields: &fields };
        let signed = signer.sign(&message, &key, NOW, [9; 16]).expect("signed");
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("ASCII");
        let (input, signature) = (text(signed.input()), text(signed.signature()));
        Stage { signer, key, verifier, input, signature }
    })
}

pub fn run(bytes: &[u8]) {
    let mut lines = bytes.splitn(6, |&byte| byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (method, authority, target, id, change) = (next(), next(), next(), next(), next());
    sign_and_verify(method, authority, target, id, change);
    forge(next());
}

fn sign_and_verify(method: &[u8], authority: &[u8], target: &[u8], id: &[u8], change: &[u8]) {
    let Stage { signer, key, verifier, .. } = stage();
    let visible = |bytes: &[u8]| bytes.iter().all(|byte| (0x21..0x7f).contains(byte)) && !bytes.is_empty();
    if ![method, authority, target, id].into_iter().all(visible) || [authority, id].concat().contains(&b',') {
        return;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (method, authority, target, id) = (text(method), text(authority), text(target), text(id));
    let (path, query) =
        target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    let mut fields = Fields::new();
    fields.insert(HeaderName::from_static("x-member-id"), HeaderValue::from_str(&id).expect("visible"));
    let message = Message { method: &method, authority: &authority, path, query, fields: &fields };
    let signed = signer.sign(&message, key, NOW, [1; 16]).expect("all is there");
    fields.insert(http::header::HOST, HeaderValue::from_str(&authority).expect("visible"));
    fields.text(&SIGNATURE_INPUT, signed.input());
    fields.text(&SIGNATURE, signed.signature());
    let proof = verified(verifier, &method, &target, &fields).expect("just signed");
    assert_eq!(proof.value("x-member-id"), Some(id.as_str()));

    // One octet of it put in the place of another.
    let [part, at, new, ..] = *change else { return };
    let mut parts = [method, authority, target, id].map(String::into_bytes);
    let names = ["host", "x-member-id", "signature-input", "signature"];
    let values = names.map(|name| fields.get(name).expect("all is there").as_bytes().to_vec());
    let mut all = [
        parts[0].clone(),
        parts[2].clone(),
        values[0].clone(),
        values[1].clone(),
        values[2].clone(),
        values[3].clone(),
    ];
    let chosen = &mut all[usize::from(part) % 6];
    let at = usize::from(at) % chosen.len();
    if chosen[at] == new || !(0x21..0x7f).contains(&new) {
        return;
    }
    // The query's question mark is always signed, whether it was there or not (RFC 9421 §2.2.7).
    chosen[at] = new;
    parts = [all[0].clone(), all[1].clone(), Vec::new(), Vec::new()];
    for (name, value) in names.into_iter().zip(&all[2..]) {
        fields.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("visible"));
    }
    let (method, target) = (text(&parts[0]), text(&parts[1]));
    let found = verified(verifier, &method, &target, &fields);
    assert!(found.is_none(), "{method} {target} {fields:?}");
}

fn forge(claimed: &[u8]) {
    let Stage { verifier, input, signature, .. } = stage();
    let claimed = with(&with(claimed, "{INPUT}", input), "{SIGNATURE}", signature);
    let fields = fields_of(&claimed);
    for target in ["/a", "/a?", "/b", "/a?x"] {
        for method in ["GET", "POST"] {
            if let Some(proof) = verified(verifier, method, target, &fields) {
                assert_eq!((method, proof.value("x-member-id")), ("GET", Some(ID)));
                assert!(target == "/a" || target == "/a?");
                assert_eq!(fields.get("host").expect("a host").as_bytes(), HOST.as_bytes());
            }
        }
    }
}

fn verified<'a>(
    verifier: &'a Verifier,
    method: &'a str,
    target: &'a str,
    fields: &'a Fields,
) -> Option<Proof<'a>> {
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    verifier.verify(&Request { method, target, fields }, NOW).ok()
}
