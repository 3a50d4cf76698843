//! `[identity]` and its signature: field names and keys, checked.

use std::time::Duration;

use http::HeaderName;

use super::assemble::{RandomKeys, at};
use super::mistakes::Mistakes;
use super::structure::Path;
use super::{AlgorithmChoice, IdentityTable, SignatureTable};
use crate::field_name::folded;
use crate::identity::Attribute;
use crate::identity::keys::{Algorithm, SigningKey, SigningKeys};
use crate::secret::Secret;

/// A key in parts, for those who verify.
#[derive(Clone, Debug)]
pub struct KeyMaterial {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub algorithm: Algorithm,
    /// The key, the seed or the PEM text.
    pub secret: Secret,
}

/// Signing keys and how long what they sign holds.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) material: Vec<KeyMaterial>,
    pub(super) ttl: Duration,
    pub(super) are_random: bool,
}

impl Keys {
    pub(super) fn signing_keys(&self) -> Option<SigningKeys> {
        let key =
            |material: &KeyMaterial| SigningKey::new(&material.id, material.algorithm, &material.secret).ok();
        SigningKeys::new(self.material.iter().map(key).collect::<Option<_>>()?)
    }
}

/// The keys of a signature table at `path`; random ones where there are none and every site is on loopback.
pub(super) fn keys(
    table: &SignatureTable,
    path: &Path,
    random_keys: &RandomKeys,
    on_loopback: bool,
    mistakes: &mut Mistakes<'_>,
) -> Option<Keys> {
    let ttl = mistakes.duration(table.ttl.as_ref(), 60, &path.key("ttl"));
    if ttl > Duration::from_secs(60 * 60) {
        mistakes.note(
            &path.key("ttl"),
            "whoever copies a signature could use it for too long",
            "at most \"1h\"",
        );
    }
    let help = "`member-gateway keygen hmac` prints a key";
    let path = path.key("keys");
    let Some(tables) = &table.keys else {
        if !on_loopback {
            let message = format!("{} is missing, and not every site is on loopback", mistakes.name(&path));
            mistakes.note_with_help(&path, message, "keys = [{ id = …, algorithm = …, key = … }]", help);
            return None;
        }
        let secret = random_keys.key(&mistakes.name(&path));
        let material =
            vec![KeyMaterial { id: "random".to_owned(), algorithm: Algorithm::HmacSha256, secret }];
        return Some(Keys { material, ttl, are_random: true });
    };
    if tables.is_empty() {
        mistakes.note_with_help(&path, "there is no signing key", "at least one", help);
        return None;
    }
    let mut material: Vec<KeyMaterial> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let path = path.index(index);
        let algorithm = match table.algorithm {
            AlgorithmChoice::HmacSha256 => Algorithm::HmacSha256,
            AlgorithmChoice::Ed25519 => Algorithm::Ed25519,
            AlgorithmChoice::EcdsaP256Sha256 => Algorithm::EcdsaP256Sha256,
        };
        if material.iter().any(|known| known.id == table.id) {
            mistakes.note(&path.key("id"), "two keys have this id", "each id once");
        }
        let Some(secret) = mistakes.key(&table.key, &path.key("key")) else { continue };
        match SigningKey::new(&table.id, algorithm, &secret) {
            Ok(_) => material.push(KeyMaterial { id: table.id.clone(), algorithm, secret }),
            Err(error @ crate::identity::keys::InvalidKey::Id) => {
                mistakes.note(&path.key("id"), error.to_string(), "such as \"2026-11\"");
            }
            Err(error) => {
                let help = format!("`member-gateway keygen {}` prints a key", keygen(algorithm));
                mistakes.note_with_help(&path.key("key"), error.to_string(), "", &help);
            }
        }
    }
    (material.len() == tables.len()).then_some(Keys { material, ttl, are_random: false })
}

const fn keygen(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha256 => "hmac",
        Algorithm::Ed25519 => "ed25519",
        Algorithm::EcdsaP256Sha256 => "p256",
    }
}

/// The identity fields in the order in which they stand in the file; defaults that are not written come first.
pub(super) fn field_names(
    table: &IdentityTable,
    mistakes: &mut Mistakes<'_>,
) -> Option<Vec<(Attribute, HeaderName)>> {
    let written = [
        (Attribute::MemberId, "member_id", &table.member_id, Some("X-Member-Id")),
        (Attribute::MemberUnitId, "member_unit_id", &table.member_unit_id, Some("X-Member-Unit-Id")),
        (Attribute::Provider, "provider", &table.provider, Some("X-Member-Provider")),
        (Attribute::FirstName, "first_name", &table.first_name, None),
        (Attribute::LastName, "last_name", &table.last_name, None),
        (Attribute::Email, "email", &table.email, None),
    ];
    let mut names = Vec::new();
    let mut known: Vec<Vec<u8>> = Vec::new();
    let mut complete = true;
    for (attribute, key, text, default) in written {
        let Some(text) = text.as_deref().or(default) else { continue };
        let path = at(["identity", key]);
        let Some(name) = field_name(text, &path, mistakes) else {
            complete = false;
            continue;
        };
        let read_as = folded(name.as_str());
        if known.contains(&read_as) {
            mistakes.note(
                &path,
                "two identity fields have this name, as some upstreams read it",
                "a name of its own",
            );
            complete = false;
        }
        known.push(read_as);
        names.push((mistakes.position(&path).unwrap_or_default(), attribute, name));
    }
    names.sort_by_key(|(position, ..)| *position);
    complete.then(|| names.into_iter().map(|(_, attribute, name)| (attribute, name)).collect())
}

/// The field of the JWT, where the table is there. `names` are those of the identity fields.
pub(super) fn jwt_field(
    table: &IdentityTable,
    names: Option<&Vec<(Attribute, HeaderName)>>,
    mistakes: &mut Mistakes<'_>,
) -> Option<HeaderName> {
    let text = table.jwt.as_ref()?.field.as_deref().unwrap_or("X-Member-Assertion");
    let path = at(["identity", "jwt", "field"]);
    let name = field_name(text, &path, mistakes)?;
    let names: Vec<HeaderName> = names.into_iter().flatten().map(|(_, name)| name.clone()).collect();
    if is_taken(&name, &names) {
        mistakes.note(
            &path,
            "an identity field has this name, as some upstreams read it",
            "a name of its own",
        );
    }
    Some(name)
}

/// Whether some upstream would read a name as one of these.
pub(super) fn is_taken(name: &HeaderName, by: &[HeaderName]) -> bool {
    by.iter().any(|other| folded(other.as_str()) == folded(name.as_str()))
}

/// Whether one of the keys of a site can sign a JWT. `path` is that of the keys.
pub(super) fn check_jwt_key(keys: &Keys, path: &Path, mistakes: &mut Mistakes<'_>) {
    let is_pair = |material: &KeyMaterial| match material.algorithm {
        Algorithm::HmacSha256 => false,
        Algorithm::Ed25519 | Algorithm::EcdsaP256Sha256 => true,
    };
    if keys.material.iter().any(is_pair) {
        return;
    }
    mistakes.note_with_help(
        path,
        "[identity.jwt] needs a key that is a pair: whoever verifies a JWT with an hmac key could as well sign one",
        "an ed25519 or ecdsa-p256-sha256 key among them",
        "`member-gateway keygen ed25519` prints one; it may stand behind the hmac key, which then goes on to sign requests",
    );
}

/// Further names that never arrive from a client.
pub(super) fn strip(table: &IdentityTable, mistakes: &mut Mistakes<'_>) -> Vec<HeaderName> {
    let path = at(["identity", "strip"]);
    let names = table.strip.iter().enumerate();
    names.filter_map(|(index, text)| field_name(text, &path.index(index), mistakes)).collect()
}

/// Names that HTTP or this gateway needs for itself, folded.
const RESERVED: [&str; 38] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "proxy",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "signature",
    "signature-input",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-real-ip",
    "x-request-id",
];

pub(super) fn field_name(text: &str, path: &Path, mistakes: &mut Mistakes<'_>) -> Option<HeaderName> {
    let expected = "a field name of its own, such as \"X-Member-Id\"";
    let Ok(name) = HeaderName::try_from(text) else {
        mistakes.note(path, "this is no field name", expected);
        return None;
    };
    let read_as = folded(name.as_str());
    let is_reserved = RESERVED.iter().any(|reserved| reserved.as_bytes() == read_as);
    let is_family = [&b"x-forwarded-"[..], b"sec-", b"proxy-", b"access-control-"]
        .iter()
        .any(|family| read_as.starts_with(family));
    if is_reserved || is_family {
        mistakes.note(path, "HTTP or this gateway needs this field for itself", expected);
        return None;
    }
    Some(name)
}
