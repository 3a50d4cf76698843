//! A small configuration in the style of the real one, for the tests of this room.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::diagnostics::Source;
use crate::config::structure::{Outline, check};

/// A file without mistakes.
pub(crate) const GOOD: &str = r#"
server.port = 80

[session]
keys = [{ env = "SESSION_KEY" }, "hunter2"]
idle_timeout = "1h"
max_age = "12h"

[identity.signature]
keys = [{ id = "2026-11", algorithm = "hmac-sha256", key = { file = "secrets/key" } }]

[[provider]]
kind = "daxko"
name = "ymca"
client = 9991
client_secret = { env = "DAXKO_PASSWORD" }
authorize_params = { ui = "plain" }

[[site]]
public_url = "https://one.example.org"

[[site]]
public_url = "https://two.example.org"
[[site.rule]]
path = "/assets/**"
"#;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub(crate) struct Sample {
    #[serde(default)]
    server: Server,
    session: Session,
    #[serde(default)]
    identity: Identity,
    #[serde(default)]
    provider: Vec<Provider>,
    site: Vec<Site>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Server {
    #[serde(default)]
    listen: Vec<Listen>,
    port: Option<u16>,
    #[serde(default)]
    compress: bool,
    limits: Option<Limits>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Listen {
    Address(String),
    Full(ListenTable),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct ListenTable {
    address: String,
    tls: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Limits {
    fields: Option<u32>,
    idle: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Session {
    #[serde(default)]
    keys: Vec<SecretText>,
    idle_timeout: Option<String>,
    max_age: String,
    #[schemars(extend("x-secret" = true))]
    store: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum SecretText {
    Literal(String),
    Env(EnvTable),
    File(FileTable),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct EnvTable {
    env: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct FileTable {
    file: String,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Identity {
    member_id: Option<String>,
    signature: Option<Signature>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Signature {
    ttl: Option<String>,
    keys: Vec<SigningKey>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct SigningKey {
    id: String,
    algorithm: Option<Algorithm>,
    key: SecretText,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code)]
enum Algorithm {
    /// A shared secret.
    HmacSha256,
    Ed25519,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[allow(dead_code)]
enum Provider {
    Daxko {
        name: String,
        client: u32,
        client_secret: SecretText,
        authorize_params: Option<BTreeMap<String, String>>,
    },
    Xoxoday {
        name: String,
        client_secret: SecretText,
        grant: Option<String>,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Site {
    public_url: String,
    #[serde(default)]
    upstream: Vec<String>,
    #[serde(default)]
    rule: Vec<Rule>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Rule {
    path: String,
    access: Option<String>,
}

/// The outline of [`Sample`].
pub(crate) fn outline() -> Outline {
    Outline::new(schemars::schema_for!(Sample).to_value())
}

/// What the operator is told about this file; nothing where all is well.
pub(crate) fn report(text: &str) -> String {
    match check(&Source::new("gateway.toml", text), &outline()) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}
