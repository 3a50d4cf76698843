//! The sandbox: Daxko, Xoxoday and a member site, on loopback addresses of this machine.
//!
//! It lets somebody who has no account at either vendor see the whole gateway work, and it is what the tests talk to. Each
//! simulation is written from its vendor's own documents, refusals included, and shares no line with the code it is
//! there to check; a mistake made twice would otherwise pass for agreement. It keeps everything in memory, bounds
//! whatever a client may send, and stops when its last handle is dropped.
//!
//! ✗ It never hears of the gateway's providers, sessions or signatures.

mod control;
pub mod daxko;
mod faults;
mod issued;
mod journal;
pub mod legacy_app;
mod pages;
mod parameters;
mod server;
pub mod xoxoday;
