//! The programs that stand in front of a gateway, as their operators set them up: nginx, Caddy, Traefik, HAProxy, Apache.
//!
//! Their configurations are those of docs/forward-auth.md and docs/in-front.md, with other addresses in them. `scripts/test`
//! installs what has to be there.

#![allow(clippy::unwrap_used, reason = "what is not there makes the test fail, as it should")]
#![allow(unreachable_pub, reason = "a harness is public to the tests beside it")]
mod front;
#[path = "../spec/harness/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it is that of the specification")]
mod harness;

mod asking;
mod passing;
