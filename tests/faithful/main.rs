//! What is carried arrives: the program as operators run it, between clients and apps that others have written.
//!
//! gRPC by grpcio, curl, h2load, the Python package h2 with its checks off; and bodies and tunnels in numbers that show
//! whether memory grows with them. `scripts/test` installs what has to be there; without it a test fails and says so.

#![allow(clippy::unwrap_used, reason = "what is not there makes the test fail, as it should")]
#![allow(clippy::print_stdout, reason = "the figures are for whoever asks for them with --nocapture")]

#[path = "../spec/harness/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it is that of the specification")]
mod harness;
mod site;

mod curl;
mod grpc;
mod h2load;
mod http2_errors;
mod large_bodies;
mod websockets;
