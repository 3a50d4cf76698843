//! The fuzz targets: each a function that takes any bytes and panics where something does not hold that always has to.
//!
//! That nothing panics, takes long or takes much goes without saying. Beyond that each file says in its first lines what
//! it promises, and looks whether it is so by means that are not the gateway's own.

pub mod answers;
mod app;
pub mod attempt;
pub mod authority;
pub mod callback;
pub mod config;
pub mod cookies;
pub mod fields;
pub mod forwarding;
pub mod framing;
mod gateway;
pub mod http1;
pub mod http2;
mod members;
pub mod paths;
pub mod proxy_protocol;
pub mod return_to;
pub mod sealed;
pub mod signatures;
pub mod tokens;

/// A name, as the corpus and the binary have it, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 17] = [
    ("answers", answers::run),
    ("attempt", attempt::run),
    ("authority", authority::run),
    ("callback", callback::run),
    ("config", config::run),
    ("cookies", cookies::run),
    ("fields", fields::run),
    ("forwarding", forwarding::run),
    ("framing", framing::run),
    ("http1", http1::run),
    ("http2", http2::run),
    ("paths", paths::run),
    ("proxy_protocol", proxy_protocol::run),
    ("return_to", return_to::run),
    ("sealed", sealed::run),
    ("signatures", signatures::run),
    ("tokens", tokens::run),
];

/// Runs the target of this name.
///
/// # Panics
/// Where there is none, or where it does not hold.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = ALL.iter().find(|(known, _)| *known == name).expect("a target of this name");
    target(bytes);
}

/// The bytes with `new` wherever `old` stands in them.
fn with(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(old.len()).position(|window| window == old.as_bytes()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new.as_bytes());
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// The lines as fields, `name: value` each, as far as they can be fields.
fn fields_of(bytes: &[u8]) -> member_gateway::message::Fields {
    let mut fields = member_gateway::message::Fields::new();
    for line in bytes.split(|&byte| byte == b'\n').take(200) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = http::HeaderName::from_bytes(&line[..colon]);
        let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    fields
}
