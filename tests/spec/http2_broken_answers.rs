//! Answers that break off over HTTP/2: with which error their streams end (RFC 9113 §7).

use std::net::SocketAddr;

use h2::Reason;

use crate::harness::http2::{H2C, Http2, head, in_time, request};
use crate::harness::{Gateway, Options, RawUpstream};
use crate::upstream_http2::{H2, saying};

/// `:status: 200`, and half of a body.
const HEAD: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
const HALF: &[u8] = b"\0\0\x04\0\0\0\0\0\x01half";

/// With which error an answer breaks off that an upstream at this address has begun.
async fn reason(upstream: SocketAddr, site: &'static str) -> Reason {
    let gateway =
        Gateway::with(&Options { listen: Some(H2C), upstream: Some(upstream), site, ..Options::default() });
    let mut client = Http2::to(gateway.address()).await;
    let (answer, _) = client.send(request("GET", "/public/a", ""), true).await;
    let mut body = head(answer).await.into_body();
    loop {
        let piece = in_time(body.data()).await.expect("it does not end as if it were complete");
        if let Err(error) = piece {
            assert!(error.is_reset() && error.is_remote(), "{error}");
            return error.reason().unwrap();
        }
    }
}

/// The same, where the upstream says these frames of HTTP/2 behind the first half, and goes.
async fn reason_after(frames: &'static [&'static [u8]]) -> Reason {
    let (upstream, _told) = saying(frames);
    reason(upstream, H2).await
}

#[tokio::test]
async fn what_an_app_says_when_it_resets_its_answer_the_client_hears() {
    const CANCEL: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    const INTERNAL_ERROR: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    const ENHANCE_YOUR_CALM: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 11];
    assert_eq!(reason_after(&[HEAD, HALF, CANCEL]).await, Reason::CANCEL);
    assert_eq!(reason_after(&[HEAD, HALF, INTERNAL_ERROR]).await, Reason::INTERNAL_ERROR);
    assert_eq!(reason_after(&[HEAD, HALF, ENHANCE_YOUR_CALM]).await, Reason::ENHANCE_YOUR_CALM);
}

/// Some clients take NO_ERROR for an end, repeat whatever was refused, and ask anew over HTTP/1.1 where that is required.
#[tokio::test]
async fn what_an_app_says_that_is_not_so_for_the_client_it_does_not_hear() {
    const NO_ERROR: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    const REFUSED_STREAM: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
    const HTTP_1_1_REQUIRED: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 13];
    for reset in [&[HEAD, HALF, NO_ERROR], &[HEAD, HALF, REFUSED_STREAM], &[HEAD, HALF, HTTP_1_1_REQUIRED]] {
        assert_eq!(reason_after(reset).await, Reason::INTERNAL_ERROR, "{:?}", reset[2]);
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_connection_to_an_app_is_nothing_that_the_client_has_done() {
    /// The last stream is the first, and ENHANCE_YOUR_CALM.
    const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 11];
    /// A window that is opened by nothing: an error of the stream (§6.9).
    const NOTHING: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    /// A PING of a stream: an error of the connection (§6.7).
    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for (what, frames) in [
        ("it goes without a word", &[HEAD, HALF][..]),
        ("it says why it goes", &[HEAD, HALF, GOAWAY]),
        ("it breaks the rules of a stream", &[HEAD, HALF, NOTHING]),
        ("it breaks the rules of the connection", &[HEAD, HALF, PING]),
    ] {
        assert_eq!(reason_after(frames).await, Reason::INTERNAL_ERROR, "{what}");
    }
}

#[tokio::test]
async fn an_answer_of_http_1_1_that_breaks_off_is_an_error_of_ours() {
    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    const NO_CHUNK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nz\r\n";
    for (answer, stays) in [(LENGTH, false), (CHUNKED, false), (NO_CHUNK, true), (LENGTH, true)] {
        let upstream = RawUpstream::serving(move |wire| {
            wire.head();
            wire.send(answer);
            if stays {
                wire.rest();
            }
        });
        let site = "timeouts = { idle = \"1s\" }";
        assert_eq!(
            reason(upstream.address(), site).await,
            Reason::INTERNAL_ERROR,
            "{answer}, stays: {stays}"
        );
    }
}
