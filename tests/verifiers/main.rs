//! The verifiers in `verify/` and the crate's own: each finds in every vector what it must find.
//!
//! The vectors are signed here by hand, as RFC 9421 describes it and without the gateway's own code: the verifiers are
//! what developers of upstream apps copy, so they are held to the text of the RFC and not to our reading of it.

mod believed;
mod cases;
mod forging;
mod keys;
mod languages;
mod refused;
mod request;
mod rust;
mod vectors;
