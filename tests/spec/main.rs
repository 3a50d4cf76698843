//! What is promised, as sentences. Each file is a capability, each test a promise; the bodies are short.

#![allow(clippy::unwrap_used, reason = "what is not there makes the test fail, as it should")]
#![allow(unreachable_pub, reason = "a harness is public to the tests beside it")]

mod access_rules;
mod active_membership;
mod attempts;
mod bad_days_at_the_vendor;
mod check_online;
mod chooser;
mod cli;
mod client_token;
mod configuration;
mod configuration_mistakes;
mod configuration_xoxoday;
mod daxko;
mod daxko_settings;
mod deadlines;
mod documented_commands;
mod doubt;
mod error_page;
mod forwarding;
mod framing;
mod harness;
mod http2;
mod http2_abuse;
mod http2_websockets;
mod identity_fields;
mod logs;
mod loops;
mod own_paths;
mod pages;
mod partners;
mod path_readings;
mod preserve;
mod return_to;
mod session_cookie;
mod sign_in;
mod signature;
mod strangers;
mod streaming;
mod tls;
mod tls_listeners;
mod two_vendors;
mod upgrades;
mod upstream;
mod upstream_health;
mod upstream_http2;
mod upstream_targets;
mod upstream_tls;
mod upstream_unix;
mod verifiers;
mod xoxoday;
mod xoxoday_rules;
mod xoxoday_sandbox;
