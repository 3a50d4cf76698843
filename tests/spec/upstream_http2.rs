//! HTTP/2 towards an app: requests share connections, and none is sent twice that must not be.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::harness::{
    Gateway, Modern, Options, Pieces, RawUpstream, Wire, answer, eventually, head, trailers,
};

pub const H2: &str = "protocol = \"h2\"";
const WAIT: Duration = Duration::from_secs(20);

fn in_front_of(upstream: &Modern) -> Gateway {
    Gateway::with(&Options { upstream: Some(upstream.address()), site: H2, ..Options::default() })
}

/// Reads an answer in chunks; gives its head and its body.
fn chunked(client: &mut Wire) -> (String, String) {
    let head = client.head();
    assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
    let mut body = String::new();
    loop {
        let size = client.until("\r\n");
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        if size == 0 {
            return (head, body);
        }
        body += &String::from_utf8(client.exactly(size)).unwrap();
        client.exactly(2);
    }
}

#[test]
fn requests_share_a_connection() {
    let upstream = Modern::plain(async |_: Request<Incoming>| answer("ok"));
    let gateway = in_front_of(&upstream);

    let mut clients: Vec<Wire> = (0..10).map(|_| gateway.connect()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.send(head("GET /public/a?b", "TE: trailers\r\nConnection: te\r\n"));
        }
        for client in &mut clients {
            assert!(client.until("0\r\n\r\n").contains("2\r\nok"));
        }
    }

    // One for each worker.
    let workers = std::thread::available_parallelism().unwrap().get();
    assert!(upstream.connections() <= workers, "{}", upstream.connections());
    for request in upstream.heads() {
        assert_eq!(request.version, Version::HTTP_2);
        assert_eq!(request.uri.to_string(), "http://members.localhost/public/a?b");
        for name in ["host", "connection", "transfer-encoding", "upgrade", "keep-alive"] {
            assert!(!request.headers.contains_key(name), "{name}");
        }
    }
}

#[test]
fn bodies_and_trailers_pass_in_both_directions() {
    let upstream = Modern::plain(async |request: Request<Incoming>| {
        let (sender, pieces) = Pieces::channel();
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.unwrap().into_data() {
                    sender.send(Frame::data(data)).await.unwrap();
                }
            }
            let fields = [("grpc-status", "0"), ("set-cookie", "a=b"), ("x-member-id", "forged")];
            sender.send(trailers(&fields)).await.unwrap();
        });
        Response::builder().header("trailer", "grpc-status").body(pieces).unwrap()
    });
    let gateway = in_front_of(&upstream);
    let mut client = gateway.connect();
    let whole = 3_000_000;

    client.send(head("POST /public/a", "TE: trailers\r\nConnection: te\r\nTransfer-Encoding: chunked\r\n"));
    std::thread::scope(|scope| {
        let mut writing = client.another();
        scope.spawn(move || {
            for _ in 0..whole / 30_000 {
                writing.send(format!("{:x}\r\n{}\r\n", 30_000, "x".repeat(30_000)));
            }
            writing.send("0\r\n\r\n");
        });
        let (_, body) = chunked(&mut client);
        assert_eq!(body.len(), whole);
    });
    let rest = client.until("\r\n\r\n");
    assert_eq!(rest, "grpc-status: 0\r\n\r\n");
}

#[test]
fn an_answer_may_end_before_the_request_does() {
    let upstream = Modern::plain(async |_: Request<Incoming>| {
        Response::builder().header("grpc-status", "12").body(Pieces::whole("")).unwrap()
    });
    let gateway = in_front_of(&upstream);
    let mut client = gateway.connect();

    client.send(head("POST /public/a", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");

    let answer = client.head();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("grpc-status: 12"), "{answer}");
}

/// An upstream that answers a request at once, reads nothing of its body, and tells with which reason its stream ended.
fn answering_and_reading_nothing() -> (SocketAddr, mpsc::Receiver<Reason>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(socket).await.unwrap();
            let (_request, mut answer) = connection.accept().await.unwrap().unwrap();
            let mut stream = answer.send_response(Response::new(()), true).unwrap();
            tokio::spawn(async move { while connection.accept().await.is_some() {} });
            tell.send(poll_fn(|cx| stream.poll_reset(cx)).await.unwrap()).unwrap();
        });
    });
    (address, told)
}

#[test]
fn an_app_that_has_answered_and_takes_nothing_of_the_rest_is_not_waited_for() {
    let (address, ended) = answering_and_reading_nothing();
    let site = "protocol = \"h2\"\ntimeouts = { idle = \"1s\" }";
    let gateway = Gateway::with(&Options { upstream: Some(address), site, ..Options::default() });
    let mut client = gateway.connect();

    // More than the window of a stream has room for (RFC 9113 §6.9.2), and less than all of it.
    client.send(head("POST /public/a", "Content-Length: 1000000\r\n") + &"x".repeat(200_000));
    assert!(client.head().starts_with("HTTP/1.1 200 "));

    assert_eq!(ended.recv_timeout(WAIT), Ok(Reason::CANCEL));
}

#[test]
fn a_handshake_of_websockets_and_one_of_ntlm_go_over_http_1_1() {
    // HTTP/1.1 and HTTP/2 are told apart by their first bytes.
    let upstream = RawUpstream::serving(|wire| {
        while wire.hears_within(WAIT) {
            let head = wire.head();
            if head.starts_with("PRI ") {
                return;
            }
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway =
        Gateway::with(&Options { upstream: Some(upstream.address()), site: H2, ..Options::default() });

    for fields in [
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
        "Authorization: NTLM TlRMTVNTUAAB\r\n",
        "Authorization: Negotiate YII=\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(head("GET /public/a", fields));
        assert_eq!(client.answer().1, "ok", "{fields}");
    }
    assert!(upstream.connections() > 1, "what NTLM has been spoken over is not used again");
}

#[test]
fn an_upstream_that_takes_one_stream_at_a_time_gets_no_more() {
    let (at_once, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (counted, seen) = (Arc::clone(&at_once), Arc::clone(&most));
    let upstream = Modern::narrow(1, move |_: Request<Incoming>| {
        let (at_once, most) = (Arc::clone(&counted), Arc::clone(&seen));
        async move {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            answer("ok")
        }
    });
    let gateway = in_front_of(&upstream);

    let mut clients: Vec<Wire> = (0..60).map(|_| gateway.connect()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.send(head("GET /public/a", ""));
        }
        for client in &mut clients {
            assert!(client.until("0\r\n\r\n").contains("2\r\nok"));
        }
    }
    assert!(most.load(Ordering::SeqCst) <= upstream.connections());
}

/// What a hand-made upstream does with a request.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Answer,
    Reset(Reason),
    /// Goes without a word.
    Vanish,
    /// Answers with a head of a megabyte.
    LargeHead,
}

/// An upstream of HTTP/2 that does these things with the requests of each connection, one after the other, and then
/// answers; it keeps a ledger of the paths that it has seen.
fn doing(deeds: &'static [Deed]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ledger = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&ledger);
    let done = Arc::<AtomicUsize>::default();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, deeds, Arc::clone(&done), Arc::clone(&kept)));
            }
        });
    });
    (address, ledger)
}

async fn serve(
    socket: tokio::net::TcpStream,
    deeds: &'static [Deed],
    done: Arc<AtomicUsize>,
    ledger: Arc<Mutex<Vec<String>>>,
) {
    let mut connection = h2::server::handshake(socket).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let request: Request<h2::RecvStream> = request;
        let respond: &mut SendResponse<Bytes> = &mut respond;
        ledger.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        match deeds.get(done.fetch_add(1, Ordering::SeqCst)).unwrap_or(&Deed::Answer) {
            Deed::Answer => {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
            }
            Deed::Reset(reason) => respond.send_reset(*reason),
            Deed::Vanish => return,
            Deed::LargeHead => {
                let answer = Response::builder().header("x-large", "x".repeat(1024 * 1024)).body(()).unwrap();
                respond.send_response(answer, true).unwrap();
            }
        }
    }
}

/// An upstream that, on its first connection, answers the first request with these frames and goes. It is written by hand,
/// for the library takes all that it has handed out for looked at.
pub fn saying(frames_back: &'static [&'static [u8]]) -> (SocketAddr, mpsc::Receiver<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().unwrap();
        // SETTINGS first (RFC 9113 §3.4), the rest once the request has come.
        socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        let mut received = Vec::new();
        let is_head = |bytes: &[u8]| frames(bytes).any(|kind| kind == 1);
        while !is_head(&received) {
            let mut bytes = [0; 4096];
            let length = socket.read(&mut bytes).unwrap();
            received.extend_from_slice(&bytes[..length]);
        }
        socket.write_all(&frames_back.concat()).unwrap();
        drop(socket);
        tell.send(()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, &[], Arc::default(), Arc::default()));
            }
        });
    });
    (address, told)
}

/// The kinds of the frames behind the preface.
fn frames(bytes: &[u8]) -> impl Iterator<Item = u8> {
    const PREFACE: usize = 24;
    let mut rest = bytes.get(PREFACE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let head = rest.get(..9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let kind = head[3];
        rest = rest.get(9 + length..)?;
        Some(kind)
    })
}

#[test]
fn what_an_upstream_has_not_looked_at_is_sent_again_whatever_it_is() {
    for line in ["GET /public/a", "POST /public/order"] {
        let (refusing, seen) = doing(&[Deed::Reset(Reason::REFUSED_STREAM)]);
        let (willing, _) = doing(&[]);
        let gateway = Gateway::between(&[refusing, willing], "protocol = \"h2\"\nbalance = \"round_robin\"");

        let answer = gateway.raw(head(line, "Content-Length: 0\r\nConnection: close\r\n"));

        assert!(answer.starts_with("HTTP/1.1 200 "), "{line}: {answer}");
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

#[test]
fn a_request_beyond_the_last_stream_of_a_goaway_is_sent_again_and_no_other() {
    // The first request of a client is in stream 1.
    const NONE: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const THE_FIRST: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let cases: [(&'static [&'static [u8]], _, _); 2] =
        [(&[NONE], "HTTP/1.1 200 ", 1), (&[THE_FIRST], "HTTP/1.1 502 ", 0)];
    for (last, expected, times) in cases {
        let (address, left) = saying(last);
        let (willing, seen) = doing(&[]);
        let gateway = Gateway::between(&[address, willing], "protocol = \"h2\"\nbalance = \"round_robin\"");

        let answer = gateway.raw(head("POST /public/order", "Content-Length: 0\r\nConnection: close\r\n"));

        assert!(answer.starts_with(expected), "{last:?}: {answer}");
        left.recv_timeout(WAIT).unwrap();
        assert_eq!(seen.lock().unwrap().len(), times, "{last:?}");
    }
}

#[test]
fn what_an_upstream_may_have_looked_at_is_sent_again_only_if_it_means_the_same_twice() {
    for (deed, line, expected) in [
        (&[Deed::Vanish], "GET /public/a", "HTTP/1.1 200 "),
        (&[Deed::Vanish], "POST /public/order", "HTTP/1.1 502 "),
        (&[Deed::Reset(Reason::INTERNAL_ERROR)], "GET /public/a", "HTTP/1.1 502 "),
        (&[Deed::Reset(Reason::INTERNAL_ERROR)], "POST /public/order", "HTTP/1.1 502 "),
    ] {
        let (first, seen) = doing(deed);
        let (second, also_seen) = doing(&[]);
        let gateway = Gateway::between(&[first, second], "protocol = \"h2\"\nbalance = \"round_robin\"");

        let answer = gateway.raw(head(line, "Content-Length: 0\r\nConnection: close\r\n"));

        assert!(answer.starts_with(expected), "{deed:?}, {line}: {answer}");
        let times = seen.lock().unwrap().len() + also_seen.lock().unwrap().len();
        assert_eq!(times, 1 + usize::from(expected.ends_with("200 ")), "{deed:?}, {line}");
    }
}

#[test]
fn an_answer_that_its_upstream_breaks_off_never_looks_complete_whatever_it_says() {
    // `:status: 200`, half of a body, and RST_STREAM with NO_ERROR, INTERNAL_ERROR, CANCEL (RFC 9113 §7).
    const HEAD: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
    const HALF: &[u8] = b"\0\0\x04\0\0\0\0\0\x01half";
    const RESETS: [&[&[u8]]; 3] = [
        &[HEAD, HALF, &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0]],
        &[HEAD, HALF, &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2]],
        &[HEAD, HALF, &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8]],
    ];
    for frames_back in RESETS {
        let (address, _told) = saying(frames_back);
        let gateway = Gateway::with(&Options { upstream: Some(address), site: H2, ..Options::default() });

        let answer = gateway.raw(head("GET /public/a", "Connection: close\r\n"));

        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\nhalf\r\n"), "{answer}");
    }
}

#[test]
fn a_connection_that_has_been_closed_is_replaced() {
    let (address, seen) = doing(&[Deed::Answer, Deed::Vanish]);
    let gateway = Gateway::with(&Options { upstream: Some(address), site: H2, ..Options::default() });
    let mut client = gateway.connect();

    for _ in 0..3 {
        client.send(head("GET /public/a", ""));
        assert_eq!(chunked(&mut client).1, "ok");
        client.until("\r\n");
    }

    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[test]
fn what_is_no_answer_in_http_2_is_a_bad_gateway_and_ends_nothing_else() {
    for deed in [&[Deed::LargeHead], &[Deed::Vanish], &[Deed::Reset(Reason::PROTOCOL_ERROR)]] {
        let (address, _) = doing(deed);
        let gateway = Gateway::with(&Options { upstream: Some(address), site: H2, ..Options::default() });
        let mut client = gateway.connect();

        client.send(head("GET /public/a", ""));
        assert!(client.answer().0.starts_with("HTTP/1.1 502 "), "{deed:?}");
        client.send(head("GET /public/a", ""));
        assert_eq!(chunked(&mut client).1, "ok", "{deed:?}");
        client.until("\r\n");
    }
}

#[test]
fn what_is_no_http_2_is_no_answer() {
    for words in [&[0xff; 64 * 1024][..], b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"] {
        let upstream = RawUpstream::serving(move |wire| {
            wire.head();
            wire.send(words);
            wire.rest();
        });
        let address = Some(upstream.address());
        let gateway = Gateway::with(&Options { upstream: address, site: H2, ..Options::default() });

        let answer = gateway.raw(head("GET /public/a", "Connection: close\r\n"));

        assert!(answer.starts_with("HTTP/1.1 502 ") && !answer.contains("forged"), "{answer}");
    }
}

#[test]
fn a_client_that_goes_away_resets_its_stream_and_no_other() {
    let (tell, told) = mpsc::channel();
    let tell = Arc::new(Mutex::new(tell));
    let upstream = Modern::plain(move |request: Request<Incoming>| {
        let tell = Arc::clone(&tell);
        async move {
            let (sender, pieces) = Pieces::channel();
            if request.uri().path().ends_with("endless") {
                tokio::spawn(async move {
                    while sender.send(Frame::data(Bytes::from_static(b"more"))).await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                    tell.lock().unwrap().send(()).unwrap();
                });
            }
            Response::new(pieces)
        }
    });
    let gateway = in_front_of(&upstream);
    let mut client = gateway.connect();
    client.send(head("GET /public/endless", ""));
    client.until("more");

    drop(client);

    told.recv_timeout(WAIT).expect("the stream is reset");
    assert!(gateway.raw(head("GET /public/b", "Connection: close\r\n")).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_client_that_does_not_read_holds_the_upstream_up() {
    let sent = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&sent);
    let upstream = Modern::plain(move |_: Request<Incoming>| {
        let sent = Arc::clone(&counted);
        async move {
            let (sender, pieces) = Pieces::channel();
            tokio::spawn(async move {
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                while sender.send(Frame::data(piece.clone())).await.is_ok() {
                    sent.fetch_add(piece.len(), Ordering::SeqCst);
                }
            });
            Response::new(pieces)
        }
    });
    let gateway = in_front_of(&upstream);
    let mut client = gateway.connect();
    client.send(head("GET /public/a", ""));
    client.head();

    // It goes on until everything between the two is full, and then it stands.
    let mut before = usize::MAX;
    eventually("the upstream stands still", || {
        std::thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut before, sent.load(Ordering::SeqCst)) == before
    });
    assert!(before < 32 * 1024 * 1024, "{before}");
    client.exactly(8 * 1024 * 1024);
    eventually("it goes on", || sent.load(Ordering::SeqCst) > before);
}
