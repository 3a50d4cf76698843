//! The PROXY protocol: any octets as the first of a connection.
//!
//! * What comes behind a header changes nothing about it, and is not taken.
//! * As long as a header is not complete, nobody says that it is there or that it is none.

use member_gateway::server::fuzzing::proxy_header;

pub fn run(bytes: &[u8]) {
    let whole = proxy_header(bytes);
    let Some(Some((length, source))) = whole else {
        // What is no header does not become one by going on.
        if whole.is_none() {
            assert_eq!(proxy_header(&[bytes, b"\r\n\r\n\0\r\n"].concat()), None);
        }
        return;
    };
    assert!(length <= bytes.len());
    assert_eq!(proxy_header(&bytes[..length]), Some(Some((length, source))));
    assert_eq!(
        proxy_header(&[&bytes[..length], b"GET / HTTP/1.1\r\n"].concat()),
        Some(Some((length, source)))
    );
    for cut in 0..length {
        assert_eq!(proxy_header(&bytes[..cut]), Some(None), "cut at {cut}");
    }
}
