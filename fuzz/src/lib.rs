//! The targets of `fuzz_targets/`, as functions; `tests/fuzz` runs the same ones without libFuzzer.

pub mod targets;
