//! A member in front of a real browser: Chromium, without a window, by way of chromedriver.
//!
//! What only a browser decides is tested here: which cookies it takes and sends along, where its buttons lead, what a
//! policy forbids it, how a page looks. Each test has a gateway with a sandbox and a browser of its own; one browser runs
//! at a time, so that a small machine is not measured instead of the gateway. Nothing waits for a time to pass, only for
//! something to appear. `scripts/test` installs what has to be there.

#[path = "../spec/harness/addresses.rs"]
#[allow(unreachable_pub, clippy::unwrap_used, reason = "it is that of the specification")]
mod addresses;
mod axe;
mod chromium;
mod nginx;
mod site;
mod tour;
#[path = "../spec/harness/upstream.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "it is that of the specification")]
mod upstream;

mod choosing;
mod cookies;
mod http2;
mod pages;
mod preserve;
mod sign_in;
mod sign_out;
mod through_nginx;
mod turned_away;
mod xoxoday;
