//! The PROXY protocol, versions 1 and 2: what a proxy in front says of its client before anything else is sent.
//!
//! Written from <https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt>. What is read is pure: bytes in, a header or
//! a reason out. As long as a header is incomplete, every byte given belongs to it, so whoever reads never takes a byte
//! of what comes behind. TLVs are passed over, their checksum included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first bytes of version 2 (§2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, with its line end (§2.1).
const MOST_V1: usize = 107;
/// Version, command, family and length behind the signature.
const HEAD_V2: usize = 16;
/// The longest header of version 2 that is taken; beyond addresses of 216 bytes it holds nothing that is read.
pub(super) const MOST: usize = 4096;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// How many bytes it is long.
    pub(super) length: usize,
    /// The client, where the proxy speaks for one and it has an address.
    pub(super) source: Option<IpAddr>,
}

/// Why bytes begin no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoHeader {
    #[error("it does not begin with a header of the PROXY protocol")]
    Missing,
    #[error("the line of version 1 is malformed")]
    Line,
    #[error("version, command or family is unknown")]
    Unknown,
    #[error("it is shorter than its addresses, or longer than {MOST} bytes")]
    Length,
}

/// Reads a header; nothing yet, where it goes on behind the last byte.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    if begins(bytes, &SIGNATURE) {
        return version_2(bytes);
    }
    if begins(bytes, b"PROXY ") {
        return version_1(bytes);
    }
    Err(NoHeader::Missing)
}

/// Whether the bytes begin with `expected`, as far as they go.
fn begins(bytes: &[u8], expected: &[u8]) -> bool {
    let common = bytes.len().min(expected.len());
    bytes[..common] == expected[..common]
}

/// §2.1: `PROXY TCP4 192.0.2.7 192.0.2.1 56324 443`
fn version_1(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let line = &bytes[..bytes.len().min(MOST_V1)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if line.len() == MOST_V1 { Err(NoHeader::Line) } else { Ok(None) };
    };
    let text = line[..end].strip_suffix(b"\r").and_then(|text| std::str::from_utf8(text).ok());
    let mut words = text.ok_or(NoHeader::Line)?.split(' ').skip(1);
    let mut next = || words.next().unwrap_or_default();
    let source = match next() {
        // Whatever else stands on the line is not looked at.
        "UNKNOWN" => None,
        "TCP4" => Some(addresses::<Ipv4Addr>(&mut next).ok_or(NoHeader::Line)?.into()),
        "TCP6" => Some(addresses::<Ipv6Addr>(&mut next).ok_or(NoHeader::Line)?.into()),
        _ => return Err(NoHeader::Line),
    };
    if source.is_some() && words.next().is_some() {
        return Err(NoHeader::Line);
    }
    Ok(Some(Header { length: end + 1, source }))
}

/// Two addresses and two ports; the first address.
fn addresses<'a, A: std::str::FromStr>(next: &mut impl FnMut() -> &'a str) -> Option<A> {
    let source = next().parse().ok()?;
    next().parse::<A>().ok()?;
    for port in [next(), next()] {
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        port.parse::<u16>().ok().filter(|_| is_number)?;
    }
    Some(source)
}

/// §2.2
fn version_2(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let Some(&[.., command, family, high, low]) = bytes.get(..HEAD_V2) else { return Ok(None) };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    let length = HEAD_V2 + rest;
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(NoHeader::Unknown),
    };
    // Families and transports beyond these are accepted, and say nothing.
    let needed = match family >> 4 {
        0 => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return Err(NoHeader::Unknown),
    };
    if family & 0x0f > 2 {
        return Err(NoHeader::Unknown);
    }
    // A proxy that speaks for itself may say anything behind it.
    if length > MOST || (!is_local && rest < needed) {
        return Err(NoHeader::Length);
    }
    let Some(rest) = bytes.get(HEAD_V2..length) else { return Ok(None) };
    let source = match family >> 4 {
        1 if !is_local => rest.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        2 if !is_local => rest.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    };
    Ok(Some(Header { length, source }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn found(length: usize, source: Option<&str>) -> Result<Option<Header>, NoHeader> {
        Ok(Some(Header { length, source: source.map(|source| source.parse().unwrap()) }))
    }

    #[test]
    fn a_line_of_version_1_names_the_client() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n", Some("192.0.2.7")),
            ("PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", Some("2001:db8::7")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 whatever\r\n", None),
        ] {
            assert_eq!(read(line.as_bytes()), found(line.len(), source), "{line}");
            let followed = format!("{line}GET / HTTP/1.1\r\n\r\n");
            assert_eq!(read(followed.as_bytes()), found(line.len(), source), "{line}");
        }
    }

    #[test]
    fn what_is_no_line_of_version_1_is_refused() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 1 +2\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n",
            "PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n",
            "PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n",
            "PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n",
            "PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n",
            "PROXY \r\n",
        ] {
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
        let endless = format!("PROXY UNKNOWN {}", "a".repeat(MOST_V1));
        assert_eq!(read(endless.as_bytes()), Err(NoHeader::Line));
    }

    #[test]
    fn a_header_of_version_2_names_the_client_and_its_tlvs_are_passed_over() {
        let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0xdc, 4, 1, 0xbb];
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        let with_tlv = [&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
        for (bytes, source) in [
            (v2(0x21, 0x11, &v4), Some("192.0.2.7")),
            (v2(0x21, 0x12, &v4), Some("192.0.2.7")),
            (v2(0x21, 0x11, &with_tlv), Some("192.0.2.7")),
            (v2(0x21, 0x21, &v6), Some("2001:db8::7")),
            (v2(0x21, 0x31, &[0; 216]), None),
            (v2(0x21, 0x00, &[]), None),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x20, 0x11, &v4), None),
        ] {
            assert_eq!(read(&bytes), found(bytes.len(), source), "{bytes:?}");
            for short in 0..bytes.len() {
                assert_eq!(read(&bytes[..short]), Ok(None), "{short} of {bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_of_version_2_is_refused() {
        for bytes in [
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x41, &[0; 12]),
            v2(0x21, 0x13, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x11, &[0; MOST]),
        ] {
            assert!(read(&bytes).is_err(), "{bytes:?}");
        }
    }

    /// Bytes that look like headers more often than chance would have it.
    fn headers() -> impl Strategy<Value = Vec<u8>> {
        let line = "PROXY (TCP4|TCP6|UNKNOWN) [0-9a-f.:]{0,40} [0-9.:]{0,40} [0-9]{0,6} [0-9]{0,6}\r?\n?";
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            (line, proptest::collection::vec(any::<u8>(), 0..50)).prop_map(|(line, rest)| [
                line.as_bytes(),
                &rest
            ]
            .concat()),
            (0x1f_u8..0x23, any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300))
                .prop_map(|(command, family, rest)| v2(command, family, &rest)),
        ]
    }

    proptest! {
        #[test]
        fn a_header_ends_within_the_bytes_and_does_not_depend_on_what_follows(
            bytes in headers(),
            more in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            if let Ok(Some(header)) = read(&bytes) {
                prop_assert!(header.length <= bytes.len());
                prop_assert_eq!(read(&[&bytes[..], &more].concat()), Ok(Some(header)));
                // One byte less is not enough, so nothing behind the header is ever taken for it.
                prop_assert_eq!(read(&bytes[..header.length - 1]), Ok(None));
            }
        }
    }
}
