//! A request as an upstream app gets it, signed by hand: RFC 9421 §2.5 (the base), §3.3.3 (HMAC using SHA-256).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use member_gateway::time::Clock;

use crate::app::KEY;

/// What the gateway covers, in its order.
pub(crate) const COMPONENTS: &[&str] =
    &["@method", "@authority", "@path", "@query", "x-member-id", "x-member-unit-id", "x-member-provider"];

/// The head of a request; forging one is a matter of changing it after it was signed.
pub(crate) struct Request {
    method: &'static str,
    target: &'static str,
    fields: Vec<(String, String)>,
}

impl Request {
    /// A member's request without its signature.
    pub(crate) fn to(method: &'static str, target: &'static str) -> Self {
        let fields = [
            ("Host", "members.example.org"),
            ("X-Member-Id", "400007995-00"),
            ("X-Member-Unit-Id", "400007995"),
            ("X-Member-Provider", "ymca"),
        ];
        Self { method, target, fields: fields.map(|(name, value)| (name.into(), value.into())).into() }
    }

    /// The usual request, without its signature.
    pub(crate) fn unsigned() -> Self {
        Self::to("GET", "/classes?week=2")
    }

    /// The usual request, as the gateway sends it.
    pub(crate) fn signed() -> Self {
        Self::unsigned().sign(&Params::new())
    }

    /// Adds `Signature-Input` and `Signature`.
    pub(crate) fn sign(self, params: &Params) -> Self {
        let names: Vec<String> = params.components.iter().map(|name| format!("\"{name}\"")).collect();
        let parameters = format!("({}){params}", names.join(" "));
        let mut lines: Vec<String> =
            params.components.iter().map(|name| format!("\"{name}\": {}", self.component(name))).collect();
        lines.push(format!("\"@signature-params\": {parameters}"));
        let signature = signature(&params.key, &lines.join("\n"));
        self.and("Signature-Input", &format!("member={parameters}"))
            .and("Signature", &format!("member=:{signature}:"))
    }

    fn component(&self, name: &str) -> String {
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        match name {
            "@method" => self.method.into(),
            "@authority" => self.field("Host").into(),
            "@path" => path.into(),
            "@query" => format!("?{query}"),
            field => self.field(field).into(),
        }
    }

    /// The value of a field that is there.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("the request has a field {name}")).1
    }

    /// The same request with another method.
    pub(crate) fn with_method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// The same request with another target.
    pub(crate) fn with_target(self, target: &'static str) -> Self {
        Self { target, ..self }
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

    /// The same request with one more line.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The same request without a field.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(candidate, _)| !candidate.eq_ignore_ascii_case(name));
        self
    }

    /// What goes over the socket.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += "Content-Length: 0\r\nConnection: close\r\n\r\n";
        head.into_bytes()
    }
}

/// HMAC using SHA-256 over a signature base, as base64.
pub(crate) fn signature(key: &[u8], base: &str) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), base.as_bytes()))
}

/// The parameters of a signature, and the key it is made with; `new` gives what the gateway would write.
pub(crate) struct Params {
    components: Vec<String>,
    created: i64,
    expires: i64,
    keyid: &'static str,
    alg: &'static str,
    tag: &'static str,
    key: Vec<u8>,
}

impl Params {
    pub(crate) fn new() -> Self {
        Self {
            components: COMPONENTS.iter().map(ToString::to_string).collect(),
            created: now(),
            expires: now() + 60,
            keyid: "2026-11",
            alg: "hmac-sha256",
            tag: "member-gateway",
            key: KEY.into(),
        }
    }

    pub(crate) fn components(self, components: &[&str]) -> Self {
        Self { components: components.iter().map(ToString::to_string).collect(), ..self }
    }

    /// Seconds from now.
    pub(crate) fn created(self, seconds: i64) -> Self {
        Self { created: now() + seconds, ..self }
    }

    /// Seconds from now.
    pub(crate) fn expires(self, seconds: i64) -> Self {
        Self { expires: now() + seconds, ..self }
    }

    pub(crate) fn keyid(self, keyid: &'static str) -> Self {
        Self { keyid, ..self }
    }

    pub(crate) fn alg(self, alg: &'static str) -> Self {
        Self { alg, ..self }
    }

    pub(crate) fn tag(self, tag: &'static str) -> Self {
        Self { tag, ..self }
    }

    pub(crate) fn key(self, key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), ..self }
    }
}

impl std::fmt::Display for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { created, expires, keyid, alg, tag, .. } = self;
        write!(f, ";created={created};expires={expires};nonce=\"b3VyIG5vbmNl\"")?;
        write!(f, ";keyid=\"{keyid}\";alg=\"{alg}\";tag=\"{tag}\"")
    }
}

fn now() -> i64 {
    i64::try_from(Clock::System.now().0).expect("the clock shows a time of this age")
}
