//! What the fuzz targets reach in this room that is otherwise its own.

use std::net::IpAddr;

/// Reads a header of the PROXY protocol: its length and the client it names; nothing inside where it goes on behind the
/// last byte, nothing at all where there is none.
#[must_use]
pub fn proxy_header(bytes: &[u8]) -> Option<Option<(usize, Option<IpAddr>)>> {
    let header = super::proxy_protocol::read(bytes).ok()?;
    Some(header.map(|header| (header.length, header.source)))
}
