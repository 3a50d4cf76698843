//! What the gateway takes for well-framed HTTP/1.1, alone and in front of hyper.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use member_gateway::server::framing::{Breach, Framing, Phase, Violation};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

#[path = "data/corpus.rs"]
mod corpus;

use corpus::{Expected, Row, corpus};

/// What hyper is given in place of what is not well framed: it answers everything before, then 400, and closes.
///
/// Where a head is expected or has begun, NUL is an error in every place, and the empty line makes hyper look, for it does
/// not parse a head again before it sees an end. Where a chunked body has begun, NUL is an error in every place but two:
/// it passes in a chunk extension, where the LF is the error, and in a trailer section, which is judged at the empty line.
const POISON: &[u8] = b"\0\n\r\n\r\n";

/// Follows the parts one after the other and says where in the whole it ended.
fn follow<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<u64, Breach> {
    let mut framing = Framing::new();
    let mut before = 0;
    for part in parts {
        framing.follow(part).map_err(|breach| Breach { sound: before + breach.sound, ..breach })?;
        before += part.len();
    }
    Ok(framing.heads_seen())
}

fn outcome(verdict: Result<u64, Breach>) -> (Result<u64, String>, Option<usize>) {
    match verdict {
        Ok(heads) => (Ok(heads), None),
        Err(breach) => (Err(format!("{:?}", breach.violation)), Some(breach.sound)),
    }
}

fn expected_outcome(expected: &Expected) -> (Result<u64, String>, Option<usize>) {
    match expected {
        Expected::Requests(requests) => (Ok(*requests), None),
        Expected::Violation { name, at } => (Err((*name).to_owned()), Some(*at)),
    }
}

#[test]
fn every_line_of_the_corpus_gets_its_verdict_however_it_is_cut() {
    for Row { name, bytes, expected } in corpus() {
        let expected = expected_outcome(&expected);
        assert_eq!(outcome(follow([&bytes[..]])), expected, "{name}, in one piece");
        assert_eq!(outcome(follow(bytes.chunks(1))), expected, "{name}, byte by byte");
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(outcome(follow([first, second])), expected, "{name}, cut at {at}");
        }
    }
}

#[test]
fn every_violation_stands_in_the_corpus_and_names_its_rule() {
    let all = [
        Violation::BareLf,
        Violation::BareCr,
        Violation::Nul,
        Violation::EmptyLines,
        Violation::RequestLine,
        Violation::Target,
        Violation::Fragment,
        Violation::Version,
        Violation::LeadingBlank,
        Violation::ObsFold,
        Violation::FieldName,
        Violation::BlankBeforeColon,
        Violation::ContentLength,
        Violation::RepeatedContentLength,
        Violation::TransferEncoding,
        Violation::RepeatedTransferEncoding,
        Violation::TransferEncodingInHttp10,
        Violation::LengthBesideCoding,
        Violation::ChunkSize,
        Violation::ChunkExtension,
        Violation::ChunkExtensionTooLong,
        Violation::ChunkEnd,
        Violation::FramingInTrailers,
        Violation::TrailersTooLarge,
    ];
    let corpus = corpus();
    for violation in all {
        let named = |row: &Row| matches!(row.expected, Expected::Violation { name, .. } if name == format!("{violation:?}"));
        assert!(corpus.iter().any(named), "{violation:?} is in no line of the corpus");
        assert!(violation.to_string().contains("(RFC 91"), "{violation:?} names no section");
    }
}

#[test]
fn the_phase_tells_which_deadline_applies() {
    let mut framing = Framing::new();
    let mut phase_after = |bytes: &[u8]| {
        framing.follow(bytes).unwrap();
        (framing.phase(), framing.heads_seen())
    };
    assert_eq!(phase_after(b""), (Phase::BetweenMessages, 0));
    assert_eq!(phase_after(b"\r\n"), (Phase::BetweenMessages, 0));
    assert_eq!(phase_after(b"P"), (Phase::Head, 0));
    assert_eq!(phase_after(b"OST / HTTP/1.1\r\nContent-Length: 2\r\n\r"), (Phase::Head, 0));
    assert_eq!(phase_after(b"\n"), (Phase::Body, 1));
    assert_eq!(phase_after(b"a"), (Phase::Body, 1));
    assert_eq!(phase_after(b"b"), (Phase::BetweenMessages, 1));
    assert_eq!(phase_after(b"GET / HTTP/1.1\r\n\r\nGE"), (Phase::Head, 2));
    assert_eq!(phase_after(b"T / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), (Phase::Body, 3));
    assert_eq!(phase_after(b"\r\n"), (Phase::BetweenMessages, 3));
}

#[test]
fn after_a_breach_nothing_is_sound() {
    let mut framing = Framing::new();
    let breach = framing.follow(b"GET / HTTP/1.1\nHost: a\r\n\r\n").unwrap_err();
    assert_eq!(breach, Breach { sound: 14, violation: Violation::BareLf });
    assert_eq!(framing.phase(), Phase::Head);
    let again = framing.follow(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n").unwrap_err();
    assert_eq!(again, Breach { sound: 0, violation: Violation::BareLf });
}

#[test]
fn behind_a_request_for_an_upgrade_anything_goes() {
    let mut framing = Framing::new();
    framing.follow(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81").unwrap();
    assert_eq!(framing.follow(b"\x00\0\n\nGET"), Ok(()));
    assert_eq!((framing.phase(), framing.heads_seen()), (Phase::BetweenMessages, 1));
}

#[test]
fn it_stays_small() {
    assert!(size_of::<Framing>() <= 128, "{} bytes", size_of::<Framing>());
}

/// What a connection got, served by hyper behind the framing.
#[derive(Debug, Default)]
struct Served {
    /// How often the service was called, and whether the body came to a clean end.
    bodies_clean: Vec<bool>,
    statuses: Vec<u16>,
    /// The last request is the last one by what it says itself, so that nothing behind it is read.
    last_by_its_words: bool,
}

/// Whether the connection ends with this request (RFC 9112 §9.3).
fn ends_the_connection(request: &Request<Incoming>) -> bool {
    let says = |word: &str| {
        let values = request.headers().get_all(CONNECTION).into_iter();
        let mut words = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        words.any(|said| said.trim().eq_ignore_ascii_case(word))
    };
    says("close") || (request.version() == Version::HTTP_10 && !says("keep-alive"))
}

/// Who does what on a connection.
#[derive(Clone, Copy)]
struct Manners {
    /// Otherwise the stream stays open, so that only the server can end the connection.
    client_ends: bool,
    /// Otherwise it answers at once.
    service_reads: bool,
}

/// Sends `parts` one by one.
async fn serve(parts: &[&[u8]], manners: Manners) -> Served {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let ended = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&ended);
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        ends.store(ends_the_connection(&request), Ordering::Relaxed);
        async move {
            let is_last = request.headers().contains_key(UPGRADE);
            let clean = !manners.service_reads || request.into_body().collect().await.is_ok();
            seen.lock().expect("no panic elsewhere").push(clean);
            let mut answer = Response::new(Full::new(Bytes::new()));
            if is_last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let followed = Followed { inner: server, framing: Framing::new(), ready: VecDeque::new(), broken: false };
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(manners.client_ends)
        .serve_connection(TokioIo::new(followed), service);

    let conversation = async {
        for part in parts {
            // The server may have hung up already.
            let _ = client.write_all(part).await;
            tokio::task::yield_now().await;
        }
        if manners.client_ends {
            client.shutdown().await.expect("the server still reads");
        }
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("an end");
        answer
    };
    let both = async { tokio::join!(connection, conversation) };
    let (_, answer) = tokio::time::timeout(Duration::from_secs(5), both).await.expect("the connection ends");

    let answer = String::from_utf8(answer).expect("ASCII");
    let statuses =
        answer.split("HTTP/1.").skip(1).map(|response| response[2..5].parse().expect("a status")).collect();
    let bodies_clean = bodies.lock().expect("no panic elsewhere").clone();
    Served { bodies_clean, statuses, last_by_its_words: ended.load(Ordering::Relaxed) }
}

/// A socket that is followed before hyper reads it.
struct Followed {
    inner: DuplexStream,
    framing: Framing,
    /// Allowed, and not yet taken by hyper.
    ready: VecDeque<u8>,
    broken: bool,
}

impl AsyncRead for Followed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.ready.is_empty() {
            if this.broken {
                // Nothing more ever comes: hyper has to end the connection of its own accord.
                return Poll::Pending;
            }
            let mut space = [0; 4096];
            let mut read = ReadBuf::new(&mut space);
            std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            match this.framing.follow(read.filled()) {
                Ok(()) => this.ready.extend(read.filled()),
                Err(breach) => {
                    this.ready.extend(&read.filled()[..breach.sound]);
                    this.ready.extend(POISON);
                    this.broken = true;
                }
            }
        }
        let (part, _) = this.ready.as_slices();
        let part = &part[..part.len().min(buf.remaining())];
        buf.put_slice(part);
        let taken = part.len();
        this.ready.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Followed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Whole, byte by byte, and cut right before and right after the place of the breach.
fn cuts(bytes: &[u8], at: usize) -> Vec<Vec<&[u8]>> {
    let mut cuts = vec![vec![bytes], vec![&bytes[..at], &bytes[at..]]];
    if at < bytes.len() {
        cuts.push(vec![&bytes[..=at], &bytes[at + 1..]]);
    }
    if bytes.len() < 1000 {
        cuts.push(bytes.chunks(1).collect());
    }
    cuts
}

#[tokio::test]
async fn hyper_counts_the_same_requests_in_what_is_well_framed() {
    for Row { name, bytes, expected } in corpus() {
        let Expected::Requests(requests) = expected else { continue };
        for parts in cuts(&bytes, bytes.len() / 2) {
            let served = serve(&parts, Manners { client_ends: true, service_reads: true }).await;
            let requests = usize::try_from(requests).unwrap();
            assert_eq!(served.bodies_clean, vec![true; requests], "{name}");
            assert_eq!(served.statuses, vec![200; requests], "{name}");
        }
    }
}

#[tokio::test]
async fn hyper_answers_what_came_before_a_violation_then_400_and_closes() {
    for Row { name, bytes, expected } in corpus() {
        let Expected::Violation { at, .. } = expected else { continue };
        let (heads, phase) = broken_at(&bytes);
        for parts in cuts(&bytes, at) {
            let served = serve(&parts, Manners { client_ends: false, service_reads: true }).await;
            if phase == Phase::Body {
                let mut clean = vec![true; heads];
                clean[heads - 1] = false;
                assert_eq!(served.bodies_clean, clean, "{name}: {served:?}");
                assert_eq!(served.statuses, vec![200; heads], "{name}: the service's own answers");
            } else {
                let mut statuses = vec![200; heads];
                statuses.push(400);
                assert_eq!(served.statuses, statuses, "{name}");
                assert_eq!(served.bodies_clean, vec![true; heads], "{name}: the service was not called");
            }
        }
    }
}

#[tokio::test]
async fn a_violation_ends_the_connection_even_if_nobody_reads_the_body() {
    for Row { name, bytes, expected } in corpus() {
        let Expected::Violation { at, .. } = expected else { continue };
        let (heads, _) = broken_at(&bytes);
        for parts in cuts(&bytes, at) {
            let served = serve(&parts, Manners { client_ends: false, service_reads: false }).await;
            assert!(served.bodies_clean.len() <= heads, "{name}: {served:?}");
        }
    }
}

#[tokio::test]
async fn behind_a_request_that_is_the_last_one_by_its_words_nothing_is_read() {
    for first in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nConnection: a, close\r\n\r\n"] {
        let bytes = format!("{first}GET /behind HTTP/1.1\r\n\r\n");
        assert_eq!(follow([bytes.as_bytes()]), Ok(2));
        let served = serve(&[bytes.as_bytes()], Manners { client_ends: true, service_reads: true }).await;
        assert_eq!((served.statuses, served.bodies_clean), (vec![200], vec![true]), "{first}");
    }
}

/// How many heads came to their end before the violation, and in what it is.
fn broken_at(bytes: &[u8]) -> (usize, Phase) {
    let mut framing = Framing::new();
    framing.follow(bytes).expect_err("a violation");
    (usize::try_from(framing.heads_seen()).expect("few"), framing.phase())
}

/// One well-framed request.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let empty_line = prop_oneof![4 => Just(""), 1 => Just("\r\n")];
    let fields =
        prop::collection::vec(("[a-zA-Z][a-zA-Z0-9_-]{0,20}", "[ -~]{0,40}"), 0..6).prop_map(|fields| {
            let framing = |name: &str| {
                name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
            };
            let lines = fields.into_iter().filter(|(name, _)| !framing(name));
            lines.map(|(name, value)| format!("{name}:{value}\r\n")).collect::<String>()
        });
    let extension = prop_oneof![3 => Just(String::new()), 1 => ";[ -~]{0,20}"];
    let data = || prop::collection::vec(any::<u8>(), 1..40);
    let chunks =
        (prop::collection::vec((data(), extension), 0..4), fields.clone()).prop_map(|(chunks, trailers)| {
            let mut body = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
            for (data, extension) in chunks {
                body.extend(format!("{:x}{extension}\r\n", data.len()).bytes());
                body.extend(data);
                body.extend(b"\r\n");
            }
            body.extend(format!("0\r\n{trailers}\r\n").bytes());
            body
        });
    let length = data()
        .prop_map(|data| [format!("content-length: {}\r\n\r\n", data.len()).as_bytes(), &data[..]].concat());
    let body = prop_oneof![Just(b"\r\n".to_vec()), length, chunks];
    (empty_line, "[A-Z]{1,8} /[!-\"$-~]{0,30} HTTP/1\\.1", fields, body).prop_map(
        |(empty, line, fields, body)| [format!("{empty}{line}\r\n{fields}").as_bytes(), &body[..]].concat(),
    )
}

/// A few bytes to be put in the place of others.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(&b"\r\n\0 :\t,;0#"[..])];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 1..4)
}

fn changed(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (place, byte) in changes {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
    bytes
}

/// Cuts the bytes at these places, taken as shares of the whole.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut begin = 0;
    for place in places {
        pieces.push(&bytes[begin..place]);
        begin = place;
    }
    pieces.push(&bytes[begin..]);
    pieces
}

proptest! {
    #[test]
    fn well_framed_messages_are_followed_however_they_are_cut(
        messages in prop::collection::vec(message(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = messages.concat();
        prop_assert_eq!(follow(pieces(&bytes, &cuts)), Ok(messages.len() as u64));
    }

    /// The promise itself, with bytes that are nearly right: hyper calls the service once for every head that was seen, or
    /// for fewer, and then it has refused: with 400, or with an error in the last body; or the last request was to be the
    /// last one, as in HTTP/1.0, and what came behind it was read by nobody.
    #[test]
    fn hyper_frames_what_is_followed_in_the_same_way(
        messages in prop::collection::vec(message(), 1..4),
        changes in changes(),
    ) {
        let bytes = changed(messages.concat(), &changes);
        let mut framing = Framing::new();
        let verdict = framing.follow(&bytes);
        let heads = usize::try_from(framing.heads_seen()).expect("few");
        // A breach is answered, then the connection ends; without one the client has to end it.
        let manners = Manners { client_ends: verdict.is_ok(), service_reads: true };

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let served = runtime.block_on(serve(&[&bytes], manners));

        let answered_400 = served.statuses.last() == Some(&400);
        prop_assert_eq!(served.statuses.len(), served.bodies_clean.len() + usize::from(answered_400));
        // Only the last body may be broken: nothing is taken for a request after it.
        let broken = served.bodies_clean.iter().position(|clean| !clean);
        prop_assert!(broken.is_none_or(|broken| broken + 1 == served.bodies_clean.len()), "{:?}", served);
        prop_assert!(served.bodies_clean.len() <= heads, "{:?}", served);
        let refused = answered_400 || broken.is_some();
        prop_assert!(refused || served.last_by_its_words || served.bodies_clean.len() == heads, "{:?}", served);
        if framing.phase() == Phase::Body {
            prop_assert!(refused || served.bodies_clean.len() < heads, "a body without an end: {:?}", served);
        }
    }

    #[test]
    fn a_verdict_does_not_depend_on_the_cuts(
        messages in prop::collection::vec(message(), 1..4),
        changes in changes(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = changed(messages.concat(), &changes);
        let whole = follow([&bytes[..]]);
        prop_assert_eq!(follow(pieces(&bytes, &cuts)), whole);
        prop_assert_eq!(follow(bytes.chunks(1)), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(follow(bytes.chunks(1)), follow([&bytes[..]]));
    }
}
