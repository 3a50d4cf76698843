//! Where connections come in: sockets, TLS and the reading of HTTP. It never heard of sites, members or sessions.

pub mod framing;
