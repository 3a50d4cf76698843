//! The sandbox against the vendor's documents: what a simulation promises, and above all what it refuses.
//!
//! Each test talks HTTP to a simulation on a port of its own and sets the clock by hand. The numbers `d01` to `d19`
//! hold together the tests of one rule of Daxko's code flow, from the first request to the inactive member.

mod harness;

mod authorize;
mod faults;
mod legacy_app;
mod partners;
mod partners_authorize;
mod partners_resources;
mod partners_tokens;
mod resources;
mod settings;
mod tokens;
