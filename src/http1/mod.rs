//! HTTP/1.1 as both sides of the gateway need it (RFC 9112): what has come and was not taken yet, what waits to be
//! written, room for both, and the names of fields.

mod input;
mod names;
mod outbox;
pub mod spares;

pub use self::input::Input;
pub use self::names::{PLACES, is_same, name, place};
pub use self::outbox::{Framing, Mismatch, Outbox, poll_write_slices, write_line};
