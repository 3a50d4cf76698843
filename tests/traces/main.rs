//! Traces by OpenTelemetry, as a collector gets them; for a build with the feature `otel`.

#![allow(clippy::unwrap_used, reason = "what is not there makes the test fail, as it should")]
#![allow(unreachable_pub, reason = "this is a binary")]

#[path = "../spec/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod harness;

mod collector;
mod privacy;
mod scene;
mod spans;
mod variables;
