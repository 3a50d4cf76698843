//! Frames of WebSockets (RFC 6455 §5): each octet arrives as it was sent, in both directions, be it as the standard has it
//! or not. What is wrong in a frame is for the two ends to say, and a gateway that repaired it would hide it from them.

use bytes::Bytes;

use crate::harness::http2::{H2C, Http2, head, piece};
use crate::harness::{Gateway, Options, RawUpstream, Wire};
use crate::http2_websockets::{connect, open};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Lengths at which a head grows, and the ones beside them.
const LENGTHS: [usize; 9] = [0, 1, 124, 125, 126, 127, 65_535, 65_536, 1024 * 1024];

/// How many octets of a head say the length.
#[derive(Clone, Copy)]
enum Length {
    /// As few as it needs.
    Shortest,
    /// Two, or eight, which RFC 6455 §5.2 forbids where fewer would do.
    InTwo,
    InEight,
}

fn frame(first: u8, masked: bool, length: Length, payload: &[u8]) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match (length, payload.len()) {
        (Length::Shortest, short @ ..=125) => frame.push(mask | u8::try_from(short).unwrap()),
        (Length::Shortest | Length::InTwo, medium @ ..=65_535) => {
            frame.push(mask | 126);
            frame.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        (Length::Shortest | Length::InTwo | Length::InEight, long) => {
            frame.push(mask | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend(payload);
    }
    frame
}

/// What a client or an app may say at all: masked or not, whoever says it.
fn matrix() -> Vec<Vec<u8>> {
    use Length::{InEight, InTwo, Shortest};
    let mut parts = Vec::new();
    for masked in [true, false] {
        let frame = |first, length, payload: &[u8]| frame(first, masked, length, payload);
        // Every opcode, also those that are reserved, with every reserved bit, final and not.
        for first in 0..=255 {
            parts.push([frame(first, Shortest, b""), frame(first, Shortest, b"hello")].concat());
        }
        for length in LENGTHS {
            let payload: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            // Text, binary, and a ping, which must not be longer than 125 octets (§5.5).
            parts.extend([0x81, 0x82, 0x89].map(|first| frame(first, Shortest, &payload)));
        }
        for (length, payload) in [(InTwo, &b""[..]), (InTwo, b"hello"), (InEight, b""), (InEight, b"hello")] {
            parts.push(frame(0x81, length, payload));
        }
        // A message in fragments, with control frames in between, and a letter that is cut in two (§5.4).
        parts.push(frame(0x01, Shortest, b"ha\xc3"));
        parts.push(frame(0x89, Shortest, b"are you there?"));
        parts.push(frame(0x00, Shortest, b"\xa4"));
        parts.push(frame(0x8a, Shortest, b""));
        parts.push(frame(0x80, Shortest, b""));
        // A continuation of nothing; text that is no UTF-8; compressed text (RFC 7692).
        parts.push(frame(0x80, Shortest, b"of what?"));
        parts.push(frame(0x81, Shortest, b"\xc0\xaf\xed\xa0\x80\xff"));
        parts.push(frame(0xc1, Shortest, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
        // Codes that may be said, that may not (§7.4), half of one, and a reason that is no UTF-8.
        for code in [0_u16, 999, 1000, 1001, 1004, 1005, 1006, 1008, 1015, 2999, 3000, 4999, 5000, 65_535] {
            parts.push(frame(0x88, Shortest, &[&code.to_be_bytes()[..], b"because"].concat()));
        }
        parts.push(frame(0x88, Shortest, b"\x03"));
        parts.push(frame(0x88, Shortest, b"\x03\xe8\xff\xfe"));
    }
    // Small ones, cut at every octet: what there is of a frame is not kept until the rest comes.
    for whole in [
        frame(0x81, true, Shortest, b"hello"),
        frame(0x82, false, InTwo, b"hello"),
        frame(0x82, true, InEight, b"hello"),
        frame(0x89, false, Shortest, b""),
        frame(0x88, true, Shortest, b"\x03\xe8bye"),
    ] {
        for at in 1..whole.len() {
            parts.extend([whole[..at].to_vec(), whole[at..].to_vec()]);
        }
    }
    // Longer than anything can be (the first bit has to be 0), and so never at its end.
    parts.push([&[0x82, 0xff][..], &[0xff; 8], &MASK, b"hello"].concat());
    parts
}

/// An app that opens a WebSocket and says again what it hears, part by part; it tells what it has heard.
fn echo() -> (RawUpstream, std::sync::mpsc::Receiver<Vec<Vec<u8>>>) {
    let lengths: Vec<usize> = matrix().iter().map(Vec::len).collect();
    RawUpstream::telling(move |wire: &mut Wire| {
        open(wire, "");
        let mut heard = Vec::new();
        for length in &lengths {
            heard.push(wire.exactly(*length));
            wire.send(heard.last().unwrap());
        }
        heard
    })
}

/// Says which part differs, and not what a megabyte of it looks like.
fn is_as_sent(heard: &[u8], sent: &[u8], part: usize) {
    let start = &sent[..sent.len().min(40)];
    assert!(heard == sent, "part {part}, which begins with {start:02x?}");
}

#[test]
fn every_octet_of_every_frame_arrives_as_it_was_sent_in_both_directions() {
    let (upstream, told) = echo();
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();
    client.send(
        "GET /public/chat HTTP/1.1\r\nHost: members.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(client.head().starts_with("HTTP/1.1 101 "));

    let parts = matrix();
    for (number, part) in parts.iter().enumerate() {
        client.send(part);
        is_as_sent(&client.exactly(part.len()), part, number);
    }

    for (number, (heard, part)) in told.recv().unwrap().iter().zip(&parts).enumerate() {
        is_as_sent(heard, part, number);
    }
    assert_eq!(client.rest(), "", "nothing is added");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_every_octet_of_every_frame_arrives_as_it_was_sent_in_both_directions() {
    let (upstream, told) = echo();
    let gateway = Gateway::with(&Options {
        listen: Some(H2C),
        upstream: Some(upstream.address()),
        ..Options::default()
    });
    let mut client = Http2::to(gateway.address()).await;
    assert!(client.is_ready_for_websockets().await);
    let (answer, mut sending) = client.send(connect("/public/chat", ""), false).await;
    let mut body = head(answer).await.into_body();

    let parts = matrix();
    for (number, part) in parts.iter().enumerate() {
        sending.send_data(Bytes::copy_from_slice(part), false).unwrap();
        let mut heard = Vec::new();
        while heard.len() < part.len() {
            heard.extend(piece(&mut body).await.expect("a piece"));
        }
        is_as_sent(&heard, part, number);
    }

    for (number, (heard, part)) in told.recv().unwrap().iter().zip(&parts).enumerate() {
        is_as_sent(heard, part, number);
    }
    assert_eq!(piece(&mut body).await, None, "nothing is added");
}
