//! `gateway.toml` as written.

mod conformance;
pub mod diagnostics;
mod masking;
mod places;
mod schema;
pub mod structure;

#[cfg(test)]
mod sample;
