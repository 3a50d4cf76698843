//! The end of a gateway over HTTP/2: it goes away (RFC 9113 §6.8), and what is under way finishes.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;

use crate::drain::GOING_AWAY;
use crate::harness::http2::{Http2, head, piece, read, request};
use crate::harness::{Folder, RawUpstream, Running, SITE, eventually, free_address};
use crate::http2_websockets::{connect, open};

fn serving(upstream: &RawUpstream) -> (SocketAddr, Running) {
    let address = free_address();
    let folder = Folder::with(&format!(
        "[server]\nlisten = [{{ address = \"{address}\", h2c = true }}]\n\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"{SITE}\"\nupstream = [\"http://{}\"]\nproviders = [\"ymca\"]\n\n\
         [[site.rule]]\npath = \"/**\"\naccess = \"public\"\n",
        upstream.address()
    ));
    (address, Running::start(&folder, address))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_under_way_finish_no_others_begin_and_idle_connections_end() {
    let finish = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&finish);
    let upstream = RawUpstream::serving(move |wire| {
        while wire.hears_within(Duration::from_secs(20)) {
            if wire.head().starts_with("GET /slow") {
                waits.wait();
            }
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let (address, running) = serving(&upstream);
    let (mut idle, mut busy) = (Http2::to(address).await, Http2::to(address).await);
    assert_eq!(idle.ask(request("GET", "/a", "")).await.status, 200);
    let (slow, _) = busy.send(request("GET", "/slow", ""), true).await;
    eventually("the upstream is asked", || upstream.received().concat().contains("GET /slow"));

    running.signal("TERM");

    assert_eq!(idle.goes_away().await, Some(h2::Reason::NO_ERROR));
    assert_eq!(busy.goes_away().await, Some(h2::Reason::NO_ERROR));
    finish.wait();
    let answer = read(slow).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"ok"[..]));
    assert_eq!(running.ended(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_closed_between_two_frames_to_either_side() {
    let (upstream, told) = RawUpstream::telling(|wire| {
        open(wire, "");
        // A frame that is not at its end.
        wire.send([0x81, 5, b'h', b'e']);
        let close = wire.exactly(8);
        wire.send("llo");
        wire.send(GOING_AWAY);
        (close, wire.rest())
    });
    let (address, running) = serving(&upstream);
    let mut client = Http2::to(address).await;
    assert!(client.is_ready_for_websockets().await);
    let (answer, mut sending) = client.send(connect("/chat", ""), false).await;
    let mut body = head(answer).await.into_body();
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.extend(piece(&mut body).await.unwrap());
    }

    running.signal("TERM");

    while heard.len() < 11 {
        heard.extend(piece(&mut body).await.unwrap());
    }
    assert_eq!(heard, [&[0x81, 5][..], b"hello", &GOING_AWAY].concat());
    sending.send_data(Bytes::from_static(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]), true).unwrap();
    assert!(piece(&mut body).await.is_none());
    let (close, rest) = told.recv().unwrap();
    let unmasked = [close[6] ^ close[2], close[7] ^ close[3]];
    assert_eq!((&close[..2], unmasked, &*rest), (&[0x88, 0x82][..], [3, 0xe9], ""));
    assert_eq!(running.ended(), Some(0));
}
