//! A request as an upstream app gets it, signed by hand: RFC 9421 §2.5 (the base) without the gateway's own code, so
//! that the vectors cannot agree with our mistakes.
//!
//! Text stands for bytes: each character is one, as in ISO 8859-1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::keys::{Algorithm, Key, Known, Which};

/// When everything here takes place.
pub(crate) const NOW: i64 = 1_795_300_000;

/// What the gateway covers, in its order.
pub(crate) const COMPONENTS: &[&str] =
    &["@method", "@authority", "@path", "@query", "x-member-id", "x-member-unit-id", "x-member-provider"];

/// The head of a request; forging one is a matter of changing it after it was signed.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Request {
    /// A member's request without its signature.
    pub(crate) fn to(method: &str, target: &str) -> Self {
        let fields = [
            ("Host", "members.example.org"),
            ("X-Member-Id", "400007995-00"),
            ("X-Member-Unit-Id", "400007995"),
            ("X-Member-Provider", "ymca"),
        ];
        let fields = fields.map(|(name, value)| (name.into(), value.into())).into();
        Self { method: method.into(), target: target.into(), fields }
    }

    /// The usual request, without its signature.
    pub(crate) fn unsigned() -> Self {
        Self::to("GET", "/classes?week=2")
    }

    /// Adds `Signature-Input` and `Signature`.
    pub(crate) fn sign(self, params: &Params, known: &Known) -> Self {
        let input = params.input();
        let signature = params.key.sign(&self.base(&params.components, &input), known);
        self.carry(&input, &signature)
    }

    /// Adds `Signature-Input` and `Signature` with these bytes for a signature.
    pub(crate) fn carry(self, input: &str, signature: &[u8]) -> Self {
        self.and("Signature-Input", &format!("member={input}"))
            .and("Signature", &format!("member=:{}:", STANDARD.encode(signature)))
    }

    /// The signature base (RFC 9421 §2.5).
    pub(crate) fn base(&self, components: &[String], input: &str) -> Vec<u8> {
        let line = |name: &String| {
            let bare = name.split(';').next().unwrap_or_default().trim_matches('"');
            format!("{name}: {}\n", self.component(bare))
        };
        let lines: String = components.iter().map(line).collect();
        bytes(&format!("{lines}\"@signature-params\": {input}"))
    }

    fn component(&self, name: &str) -> String {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        match name {
            "@method" => self.method.clone(),
            "@authority" => self.field("Host").into(),
            "@path" => path.into(),
            "@query" => format!("?{query}"),
            field => self.field(field).into(),
        }
    }

    /// The value of a field; an empty one where it is missing.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The same request with another method.
    pub(crate) fn with_method(self, method: &str) -> Self {
        Self { method: method.into(), ..self }
    }

    /// The same request with another target.
    pub(crate) fn with_target(self, target: &str) -> Self {
        Self { target: target.into(), ..self }
    }

    /// The same request with another value in one field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        for (candidate, old) in &mut self.fields {
            if candidate.eq_ignore_ascii_case(name) {
                *old = value.into();
            }
        }
        self
    }

    /// The same request with a field under another name.
    pub(crate) fn renamed(mut self, name: &str, other: &str) -> Self {
        for (candidate, _) in &mut self.fields {
            if candidate.eq_ignore_ascii_case(name) {
                *candidate = other.into();
            }
        }
        self
    }

    /// The same request with one more line at the end.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The same request with one more line at the start.
    pub(crate) fn after(mut self, name: &str, value: &str) -> Self {
        self.fields.insert(0, (name.into(), value.into()));
        self
    }

    /// The same request without a field.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(candidate, _)| !candidate.eq_ignore_ascii_case(name));
        self
    }

    /// The same request whose `Signature-Input` was edited afterwards.
    pub(crate) fn edited(self, from: &str, to: &str) -> Self {
        let input = self.field("Signature-Input");
        assert!(input.contains(from), "{from} stands in {input}");
        let input = input.replacen(from, to, 1);
        self.with("Signature-Input", &input)
    }

    /// The bytes of its signature.
    pub(crate) fn signature(&self) -> Vec<u8> {
        let text = self.field("Signature").trim_start_matches("member=:").trim_end_matches(':');
        STANDARD.decode(text).expect("a signature of ours")
    }
}

/// The bytes that a text stands for.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).expect("a character for a byte")).collect()
}

/// The parameters of a signature and the key it is made with; `by` gives what the gateway would write.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    pub(crate) key: Key,
    /// With their quotes, for one may have parameters.
    components: Vec<String>,
    /// `created`, `expires`, `nonce`, `keyid`, `alg`, `tag`.
    parameters: Vec<(String, String)>,
}

impl Params {
    pub(crate) fn by(key: Key) -> Self {
        let quoted = |text: &str| format!("\"{text}\"");
        let parameters = [
            ("created", NOW.to_string()),
            ("expires", (NOW + 60).to_string()),
            ("nonce", quoted("b3VyIG5vbmNl")),
            ("keyid", quoted(&key.id())),
            ("alg", quoted(key.0.name())),
            ("tag", quoted("member-gateway")),
        ];
        Self {
            key,
            components: COMPONENTS.iter().map(|name| quoted(name)).collect(),
            parameters: parameters.map(|(name, value)| (name.into(), value)).into(),
        }
    }

    /// With components of these names.
    pub(crate) fn covering(self, names: &[&str]) -> Self {
        Self { components: names.iter().map(|name| format!("\"{name}\"")).collect(), ..self }
    }

    /// With components written in this way.
    pub(crate) fn covering_literally(self, components: &[&str]) -> Self {
        Self { components: components.iter().map(ToString::to_string).collect(), ..self }
    }

    /// Seconds from now.
    pub(crate) fn between(self, created: i64, expires: i64) -> Self {
        self.set("created", &(NOW + created).to_string()).set("expires", &(NOW + expires).to_string())
    }

    /// With another value for a parameter, written in this way.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        for (known, old) in &mut self.parameters {
            if known == name {
                *old = value.into();
            }
        }
        self
    }

    /// Without a parameter.
    pub(crate) fn lacking(mut self, name: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self
    }

    /// With one more parameter.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// With the parameters in the reverse order.
    pub(crate) fn reversed(mut self) -> Self {
        self.parameters.reverse();
        self
    }

    /// What `Signature-Input` says behind the label.
    pub(crate) fn input(&self) -> String {
        let parameters: String =
            self.parameters.iter().map(|(name, value)| format!(";{name}={value}")).collect();
        format!("({}){parameters}", self.components.join(" "))
    }

    /// The components, with their quotes.
    pub(crate) fn components(&self) -> &[String] {
        &self.components
    }
}

/// The usual key of an algorithm.
pub(crate) const fn usual(algorithm: Algorithm) -> Key {
    Key(algorithm, Which::Usual)
}
