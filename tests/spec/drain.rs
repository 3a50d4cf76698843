//! The end of a gateway: nobody is cut off who had begun, and nobody is let in who would not be served.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};

use crate::harness::{Folder, RawUpstream, Running, SITE, Wire, eventually, free_address, head};

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// A Close frame with status 1001 (RFC 6455 §5.5.1).
pub const GOING_AWAY: [u8; 4] = [0x88, 2, 3, 0xe9];

fn serving(upstream: &RawUpstream) -> (SocketAddr, Running) {
    let address = free_address();
    let folder = Folder::with(&format!(
        "[server]\nlisten = [\"{address}\"]\n\n[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"{SITE}\"\nupstream = [\"http://{}\"]\nproviders = [\"ymca\"]\n\n\
         [[site.rule]]\npath = \"/**\"\naccess = \"public\"\n",
        upstream.address()
    ));
    (address, Running::start(&folder, address))
}

#[test]
fn an_answer_that_is_under_way_says_that_it_is_the_last_and_idle_connections_end() {
    let finish = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&finish);
    let upstream = RawUpstream::serving(move |wire| {
        while wire.hears_within(std::time::Duration::from_secs(20)) {
            if wire.head().starts_with("GET /slow") {
                waits.wait();
            }
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let (address, running) = serving(&upstream);
    let (mut slow, mut idle) = (Wire::to(address), Wire::to(address));
    idle.send(head("GET /a", ""));
    assert!(!idle.answer().0.to_lowercase().contains("connection: close"));
    slow.send(head("GET /slow", ""));
    eventually("the upstream is asked", || upstream.received().concat().contains("GET /slow"));

    running.signal("TERM");
    assert_eq!(idle.rest(), "");
    assert!(TcpStream::connect(address).is_err());
    finish.wait();

    let (head, body) = slow.answer();
    assert!(head.to_lowercase().contains("connection: close") && body == "ok", "{head}");
    assert_eq!(slow.rest(), "");
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn who_waits_in_the_queue_is_still_served() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (address, running) = serving(&upstream);
    running.signal("STOP");
    let mut waiting: Vec<Wire> = (0..20).map(|_| Wire::to(address)).collect();
    for client in &mut waiting {
        client.send(head("GET /a", ""));
    }

    running.signal("TERM");
    running.signal("CONT");

    for mut client in waiting {
        let (head, body) = client.answer();
        assert!(head.starts_with("HTTP/1.1 200 ") && body == "ok", "{head}");
    }
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn websockets_are_closed_between_two_frames_to_either_side() {
    let (upstream, told) = RawUpstream::telling(|wire| {
        wire.head();
        wire.send(SWITCHING);
        // A frame that is not at its end.
        wire.send([0x81, 5, b'h', b'e']);
        let close = wire.exactly(8);
        wire.send("llo");
        wire.send([0x81, 1, b'!']);
        wire.send(GOING_AWAY);
        (close, wire.rest())
    });
    let (address, running) = serving(&upstream);
    let mut client = Wire::to(address);
    client.send(head("GET /chat", HANDSHAKE));
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.exactly(4), [0x81, 5, b'h', b'e']);

    running.signal("TERM");

    assert_eq!(client.exactly(3), *b"llo");
    assert_eq!(client.exactly(4), GOING_AWAY);
    client.send([0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]);
    assert_eq!(client.rest(), "");
    let (close, rest) = told.recv().unwrap();
    let unmasked = [close[6] ^ close[2], close[7] ^ close[3]];
    assert_eq!((&close[..2], unmasked, &*rest), (&[0x88, 0x82][..], [3, 0xe9], ""));
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let upstream = RawUpstream::serving(|wire| {
        wire.head();
        wire.rest();
    });
    let (address, mut running) = serving(&upstream);
    let log = running.log();
    let mut client = Wire::to(address);
    client.send(head("GET /a", ""));
    eventually("the upstream is asked", || upstream.connections() == 1);
    running.signal("TERM");
    log.says("stopping");
    eventually("nobody is let in any more", || TcpStream::connect(address).is_err());
    assert!(running.is_there());

    running.signal("INT");

    assert_eq!(running.ended(), Some(0));
    assert_eq!(client.rest(), "");
}
