//! What is promised, as sentences. Each file is a capability, each test a promise; the bodies are short.

mod harness;

mod framing;
mod identity_fields;
mod preserve;
mod sign_in;
mod signature;
mod strangers;
mod upstream;
mod verifiers;
