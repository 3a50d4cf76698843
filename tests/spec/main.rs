//! What is promised, as sentences. Each file is a capability, each test a promise; the bodies are short.

#[allow(dead_code, reason = "a harness is there before all its tests are")]
mod harness;

mod preserve;
mod sign_in;
mod strangers;
