//! The sandbox against the vendor's documents: what a simulation promises, and above all what it refuses.
//!
//! Each test talks HTTP to a simulation on a port of its own and sets the clock by hand.

mod harness;

mod authorize;
mod faults;
mod legacy_app;
mod resources;
mod settings;
mod tokens;
