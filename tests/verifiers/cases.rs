//! What a vector is made of: a request, the verifier it meets, and the time.

use crate::keys::{Algorithm, Key, Known, Which};
use crate::request::{NOW, Params, Request, usual};

/// Where requests are signed: for one algorithm, with signatures that are known already.
pub(crate) struct Bench<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) known: &'a Known,
}

impl Bench<'_> {
    /// The parameters the gateway would write.
    pub(crate) fn params(&self) -> Params {
        Params::by(usual(self.algorithm))
    }

    /// The parameters of another key.
    pub(crate) fn params_of(&self, which: Which) -> Params {
        Params::by(Key(self.algorithm, which))
    }

    /// The usual request, as the gateway sends it.
    pub(crate) fn signed(&self) -> Request {
        self.sign(Request::unsigned(), &self.params())
    }

    pub(crate) fn sign(&self, request: Request, params: &Params) -> Request {
        request.sign(params, self.known)
    }

    /// The usual request, signed with these parameters.
    pub(crate) fn with(&self, params: &Params) -> Request {
        self.sign(Request::unsigned(), params)
    }

    /// The usual request over other components.
    pub(crate) fn covering(&self, components: &[&str]) -> Request {
        self.with(&self.params().covering(components))
    }

    /// The usual request, its `Signature-Input` edited after it was signed.
    pub(crate) fn edited(&self, from: &str, to: &str) -> Request {
        self.signed().edited(from, to)
    }

    /// The usual request with other bytes for a signature, made from the right ones.
    pub(crate) fn resigned(&self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Request {
        let signature = change(self.signed().signature());
        Request::unsigned().carry(&self.params().input(), &signature)
    }

    /// The usual request with another text for a signature.
    pub(crate) fn resigned_as(&self, change: impl FnOnce(&str) -> String) -> Request {
        let request = self.signed();
        let text = change(request.field("Signature"));
        request.with("Signature", &text)
    }
}

/// A request before a verifier.
pub(crate) struct Case {
    pub(crate) request: Request,
    /// The keys it holds; nothing for the usual one alone.
    pub(crate) keys: Option<Vec<Key>>,
    /// The identity fields it reads; nothing for the usual three.
    pub(crate) fields: Option<&'static [&'static str]>,
    /// The authority that is its own.
    pub(crate) authority: Option<&'static str>,
    /// The nonces it has seen, where it remembers them.
    pub(crate) nonces: Option<&'static [&'static str]>,
    pub(crate) now: i64,
    /// What a verifier finds that is given names as CGI writes them, where that differs.
    pub(crate) folded: Option<&'static str>,
}

impl From<Request> for Case {
    fn from(request: Request) -> Self {
        Self { request, keys: None, fields: None, authority: None, nonces: None, now: NOW, folded: None }
    }
}

impl Request {
    pub(crate) fn before(self) -> Case {
        Case::from(self)
    }
}

impl Case {
    pub(crate) fn holding(self, keys: &[Key]) -> Self {
        Self { keys: Some(keys.into()), ..self }
    }

    pub(crate) fn reading(self, fields: &'static [&'static str]) -> Self {
        Self { fields: Some(fields), ..self }
    }

    pub(crate) fn at(self, authority: &'static str) -> Self {
        Self { authority: Some(authority), ..self }
    }

    pub(crate) fn remembering(self, nonces: &'static [&'static str]) -> Self {
        Self { nonces: Some(nonces), ..self }
    }

    pub(crate) fn later(self, seconds: i64) -> Self {
        Self { now: NOW + seconds, ..self }
    }

    pub(crate) fn folded(self, error: &'static str) -> Self {
        Self { folded: Some(error), ..self }
    }
}

/// Says what is unusual about a request whose signature holds, and makes it.
pub(crate) type Believed = (&'static str, fn(&Bench<'_>) -> Case);

/// Says what a forged request differs in, makes it, and names the error that every verifier must give.
pub(crate) type Refused = (&'static str, fn(&Bench<'_>) -> Case, &'static str);
