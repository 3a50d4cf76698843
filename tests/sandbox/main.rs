//! The sandbox against the vendor's documents: what a simulation promises, and above all what it refuses.
//!
//! Each test talks HTTP to a simulation on a port of its own and sets the clock by hand. The numbers `d01` to `d19`
//! hold together the tests of one rule of Daxko's code flow, from the first request to the inactive member; `x01` to
//! `x19` do the same for Xoxoday's, from the authorization request to the errors it documents.

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
mod xoxoday;
mod xoxoday_authorize;
mod xoxoday_bearers;
mod xoxoday_faults;
mod xoxoday_tokens;
