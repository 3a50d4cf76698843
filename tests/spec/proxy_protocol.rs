//! The PROXY protocol in front of HTTP and of TLS: who may speak it, and what comes of it.

use std::sync::Arc;

use crate::harness::{Authority, Folder, Gateway, Options, Secured, Wire, last_head, trusting};

const LISTEN: &str = "{ address = \"127.0.0.1:0\", proxy_protocol = true }";
const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\", \"198.51.100.0/24\"]";

fn gateway(server: &'static str) -> Gateway {
    Gateway::with(&Options { listen: Some(LISTEN), server, ..Options::default() })
}

/// Version 2, for a client with this IPv4 address.
fn binary(command: u8, source: [u8; 4], tlvs: &[u8]) -> Vec<u8> {
    let rest = [&source[..], &[192, 0, 2, 1, 0xdc, 4, 0, 80], tlvs].concat();
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, 0x11, 0, u8::try_from(rest.len()).unwrap()]);
    bytes.extend(rest);
    bytes
}

#[test]
fn the_client_is_who_the_proxy_names() {
    let gateway = gateway(TRUSTED);
    for (preamble, fields, expected) in [
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 80\r\n".to_vec(), "", "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 80\r\n".to_vec(), "", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "", "127.0.0.1"),
        (binary(0x21, [203, 0, 113, 7], &[]), "", "203.0.113.7"),
        (binary(0x21, [203, 0, 113, 7], &[4, 0, 1, 9]), "", "203.0.113.7"),
        (binary(0x20, [203, 0, 113, 7], &[]), "", "127.0.0.1"),
        // What a client says whom the proxy does not name is no word of the proxy's.
        (b"PROXY UNKNOWN\r\n".to_vec(), "X-Forwarded-For: 192.0.2.99\r\n", "127.0.0.1"),
        (binary(0x20, [203, 0, 113, 7], &[]), "X-Forwarded-For: 192.0.2.99\r\n", "127.0.0.1"),
        // The client is not trusted because the proxy is; it is where it is trusted itself.
        (binary(0x21, [203, 0, 113, 7], &[]), "X-Forwarded-For: 192.0.2.99\r\n", "203.0.113.7"),
        (binary(0x21, [198, 51, 100, 7], &[]), "X-Forwarded-For: 192.0.2.99\r\n", "192.0.2.99"),
    ] {
        gateway.upstream().forget();
        let answer = gateway.raw([&preamble[..], last_head("GET /public/a", fields).as_bytes()].concat());

        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(gateway.upstream().last_request().field("x-real-ip"), expected, "{preamble:?}");
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let gateway = gateway(TRUSTED);
    for preamble in
        [b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 80\r\n".to_vec(), binary(0x21, [203, 0, 113, 7], &[])]
    {
        let mut client = Wire::to(gateway.address());
        for byte in &preamble {
            client.send([*byte]);
        }
        client.send(last_head("GET /public/a", ""));
        assert!(client.answer().0.starts_with("HTTP/1.1 200 "));
        assert_eq!(gateway.upstream().last_request().field("x-real-ip"), "203.0.113.7");
    }
}

#[test]
fn who_does_not_begin_with_it_is_turned_away() {
    let gateway = gateway(TRUSTED);
    for bytes in ["", "PROXY TCP4 203.0.113.7\r\n", "PROXY TCP4 203.0.113.7 192.0.2.1 1 2 3\r\n"] {
        assert_eq!(gateway.raw(format!("{bytes}{}", last_head("GET /public/a", ""))), "");
    }
    assert_eq!(gateway.upstream().requests().len(), 0);
}

#[test]
fn who_is_not_trusted_may_not_speak_it() {
    let gateway = gateway("trusted_proxies = [\"198.51.100.7\"]");
    let preamble = "PROXY TCP4 198.51.100.7 192.0.2.1 56324 80\r\n";
    assert_eq!(gateway.raw(format!("{preamble}{}", last_head("GET /public/a", ""))), "");
    assert_eq!(gateway.raw(last_head("GET /public/a", "")), "");
    assert_eq!(gateway.upstream().requests().len(), 0);
}

#[test]
fn who_does_not_end_it_is_not_waited_for() {
    let gateway = gateway("trusted_proxies = [\"127.0.0.1\"]\nlimits = { head_timeout = \"1s\" }");
    let mut client = Wire::to(gateway.address());
    client.send("PROXY TCP4 ");
    assert_eq!(client.rest(), "");
}

#[test]
fn where_it_is_not_configured_it_is_no_request() {
    let gateway = Gateway::with(&Options { server: TRUSTED, ..Options::default() });
    let preamble = "PROXY TCP4 203.0.113.7 192.0.2.1 56324 80\r\n";
    let answer = gateway.raw(format!("{preamble}{}", last_head("GET /public/a", "")));
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(gateway.upstream().requests().len(), 0);
}

#[test]
fn it_comes_before_the_handshake_of_tls() {
    const NAME: &str = "members.localhost";
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&[NAME]);
    let folder = Folder::empty().and("site.pem", &certificate).and("site.key", &key);
    let gateway = Gateway::with(&Options {
        listen: Some(LISTEN),
        server: "trusted_proxies = [\"127.0.0.1\"]\n\
                 tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }",
        folder: Some(folder.path().to_owned()),
        ..Options::default()
    });
    let trust = Arc::new(trusting(&authority));
    let preamble = binary(0x21, [203, 0, 113, 7], &[]);
    let mut client = Secured::behind(gateway.address(), &preamble, NAME, &trust).unwrap();
    client.send(last_head("GET /public/a", ""));
    assert!(client.rest().starts_with("HTTP/1.1 200 "));
    assert_eq!(gateway.upstream().last_request().field("x-real-ip"), "203.0.113.7");
    assert!(Secured::to(gateway.address(), NAME, &trust).is_err());
}
