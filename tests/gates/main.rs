//! What has to hold under load and over time: nobody notices a reload, nor that another process serves now.
//!
//! Nothing here asserts a time. Each test runs until a number of things has happened, and counts what went wrong.

#![allow(clippy::unwrap_used, reason = "what is not there makes the test fail, as it should")]

#[path = "../spec/harness/addresses.rs"]
#[allow(unreachable_pub, clippy::unwrap_used, reason = "it is that of the specification")]
mod addresses;
mod bomb;
mod handover;
mod load;
mod program;
mod reload;
