//! What is read of a connection and written to it, over a real socket.

#[path = "../../../tests/data/corpus.rs"]
mod corpus;

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

use corpus::{Expected, Row, corpus};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::*;
use crate::deadline::Ticker;
use crate::message::{Fields, Request};
use crate::server::Entrance;
use crate::server::framing::{Framing as Followed, Phase};

pub(super) fn limits() -> Limits {
    let long = Duration::from_secs(60);
    Limits {
        head_timeout: long,
        head_bytes: 64 * 1024,
        fields: 100,
        body_idle: Duration::from_secs(10),
        body_rate: NonZeroU32::new(100),
        idle: long,
        connections: 1000,
        connections_per_peer: 1000,
        http2_bytes: 1024 * 1024,
    }
}

/// An app that answers with these words.
#[derive(Default)]
struct App {
    /// It reads bodies first.
    reads: bool,
    /// It keeps what it has not read, or not to its end, for as long as it is there.
    keeps: bool,
    kept: RefCell<Vec<Incoming>>,
    text: &'static str,
    fields: Fields,
    status: Cell<StatusCode>,
    heard: RefCell<Vec<Heard>>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    line: String,
    /// Nothing where it broke off, or was not read.
    body: Option<Bytes>,
}

impl Respond for App {
    type Body = Full<Bytes>;

    async fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        _: Arrival,
        _: Rc<Watch>,
    ) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let read = if self.reads {
            (&mut body).collect().await.ok()
        } else {
            // It takes its time.
            tokio::task::yield_now().await;
            None
        };
        let line = format!("{} {}", head.method, head.uri);
        self.heard.borrow_mut().push(Heard { line, body: read.map(http_body_util::Collected::to_bytes) });
        if self.keeps {
            self.kept.borrow_mut().push(body);
        }
        let mut answer = Response::new(Full::from(self.text));
        *answer.status_mut() = self.status.get();
        *answer.headers_mut() = self.fields.clone();
        answer.headers_mut().insert(http::header::DATE, HeaderValue::from_static("today"));
        answer
    }
}

/// A connection to an app, and what has to be awaited for it to be served.
fn connect(app: &Rc<App>) -> (UnixStream, impl Future<Output = ()> + use<>) {
    let (client, socket) = UnixStream::pair().unwrap();
    let (ticker, app) = (Ticker::default(), Rc::clone(app));
    let peer = Ipv4Addr::LOCALHOST.into();
    let arrival = Arrival { peer, entrance: Entrance::Plain, tls: None, is_nameless: false };
    let serving = serve(socket, arrival, app, limits(), ticker.watch(), std::future::pending(), None, None);
    (client, serving)
}

/// The statuses of what was said, interim ones aside.
fn statuses(said: &str) -> Vec<u16> {
    let answers = said.split("HTTP/1.").skip(1).map(|answer| answer[2..5].parse().unwrap());
    answers.filter(|status| *status != 100).collect()
}

/// What is said to somebody who sends these octets one after the other, waits for so many answers and goes.
async fn told(app: &Rc<App>, parts: &[&[u8]], answers: usize) -> String {
    let (mut client, serving) = connect(app);
    let talking = async {
        for part in parts {
            // The server may have hung up already.
            let _ = client.write_all(part).await;
            tokio::task::yield_now().await;
        }
        let mut said = Vec::new();
        while statuses(str::from_utf8(&said).unwrap()).len() < answers {
            if client.read_buf(&mut said).await.unwrap_or(0) == 0 {
                break;
            }
        }
        let _ = client.shutdown().await;
        let _ = client.read_to_end(&mut said).await;
        drop(client);
        String::from_utf8(said).unwrap()
    };
    let both = async { tokio::join!(talking, serving).0 };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("an end")
}

fn app(reads: bool) -> Rc<App> {
    Rc::new(App { reads, ..App::default() })
}

/// Whole, octet by octet, and cut right before and right behind a place.
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
async fn what_is_well_framed_is_answered_request_by_request_however_it_is_cut() {
    for Row { name, bytes, expected } in corpus() {
        let Expected::Requests(requests) = expected else { continue };
        let requests = usize::try_from(requests).unwrap();
        for parts in cuts(&bytes, bytes.len() / 2) {
            let app = app(true);
            let said = told(&app, &parts, requests).await;
            assert_eq!(statuses(&said), vec![200; requests], "{name}");
            let heard = app.heard.borrow();
            assert!(heard.iter().all(|heard| heard.body.is_some()), "{name}: {heard:?}");
        }
    }
}

#[tokio::test]
async fn what_came_before_a_violation_is_answered_then_400_and_nothing_behind_it() {
    for Row { name, bytes, expected } in corpus() {
        let Expected::Violation { at, .. } = expected else { continue };
        let mut framing = Followed::new();
        framing.follow(&bytes).expect_err("a violation");
        let (heads, is_in_body) = (framing.heads_seen(), framing.phase() == Phase::Body);
        let heads = usize::try_from(heads).unwrap();
        for parts in cuts(&bytes, at) {
            let app = app(true);
            let said = told(&app, &parts, usize::MAX).await;
            let heard: Vec<bool> = app.heard.borrow().iter().map(|heard| heard.body.is_some()).collect();
            let (mut statuses_due, mut bodies_due) = (vec![200; heads], vec![true; heads]);
            if is_in_body {
                // The app is told that it is not complete, and answers what it likes.
                bodies_due[heads - 1] = false;
            } else {
                statuses_due.push(400);
            }
            assert_eq!((statuses(&said), heard), (statuses_due, bodies_due), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn a_violation_ends_the_connection_even_if_nobody_reads_the_body() {
    for Row { name, bytes, expected } in corpus() {
        let Expected::Violation { at, .. } = expected else { continue };
        let mut framing = Followed::new();
        framing.follow(&bytes).expect_err("a violation");
        for parts in cuts(&bytes, at) {
            let app = app(false);
            let said = told(&app, &parts, usize::MAX).await;
            assert!(app.heard.borrow().len() as u64 <= framing.heads_seen(), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn the_end_of_a_body_is_the_end_for_whoever_still_holds_it() {
    let app = Rc::new(App { reads: true, keeps: true, ..App::default() });
    let requests = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nab\
        POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n0\r\n\r\n\
        POST /c HTTP/1.1\r\nContent-Length: 2\r\n\r\nef";
    let (mut client, serving) = connect(&app);
    client.write_all(requests).await.unwrap();
    let talking = async {
        let mut said = Vec::new();
        while statuses(str::from_utf8(&said).unwrap()).len() < 3 {
            client.read_buf(&mut said).await.unwrap();
        }
        let mut of_the_first = app.kept.borrow_mut().remove(0);
        assert!(of_the_first.is_end_stream());
        assert!(of_the_first.frame().await.is_none());
        drop(client);
    };
    tokio::join!(talking, serving);
    let bodies: Vec<_> = app.heard.borrow_mut().drain(..).filter_map(|heard| heard.body).collect();
    assert_eq!(bodies, ["ab", "cd", "ef"]);
}

#[tokio::test]
async fn a_body_breaks_off_for_whoever_holds_it_when_its_connection_ends() {
    let app = Rc::new(App { keeps: true, ..App::default() });
    let (mut client, serving) = connect(&app);
    client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab").await.unwrap();
    {
        let mut serving = pin!(serving);
        // Until it is answered: somebody still holds the body, so the connection waits for it.
        let mut said = Vec::new();
        while statuses(str::from_utf8(&said).unwrap()).is_empty() {
            tokio::select! {
                () = &mut serving => panic!("it ended"),
                read = client.read_buf(&mut said) => assert!(read.unwrap() > 0),
            }
        }
    }
    let mut body = app.kept.borrow_mut().remove(0);
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
    assert!(matches!(body.frame().await, Some(Err(_))), "never as if it were complete");
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the socket is closed though the body is held");
}

#[tokio::test]
async fn behind_a_violation_there_is_nothing_for_whoever_reads_on() {
    for broken in ["2\r\nabX", "5x\r\nabcde\r\n0\r\n\r\n", "0\r\na b\r\n\r\n"] {
        let app = Rc::new(App { reads: true, keeps: true, ..App::default() });
        let request = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{broken}");
        let said = told(&app, &[request.as_bytes()], usize::MAX).await;
        assert_eq!(statuses(&said), [200], "{said}");
        assert_eq!(app.heard.borrow()[0].body, None, "it has broken off");
        let mut body = app.kept.borrow_mut().remove(0);
        assert!(body.is_end_stream() && body.frame().await.is_none(), "{broken:?}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_told_once_and_only_if_its_body_is_wanted() {
    let head = "POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
    let said = told(&app(false), &[head.as_bytes()], usize::MAX).await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("\r\nconnection: close\r\n"), "{said}");

    let (mut client, serving) = connect(&app(true));
    let talking = async {
        client.write_all(head.as_bytes()).await.unwrap();
        let mut told = vec![0; CONTINUE.len()];
        client.read_exact(&mut told).await.unwrap();
        assert_eq!(told, CONTINUE);
        client.write_all(b"ab").await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        drop(client);
    };
    tokio::join!(talking, serving);

    // Whoever does not wait needs not be told, and HTTP/1.0 does not know it.
    let whole = format!("{head}ab");
    let old = whole.replace("HTTP/1.1", "HTTP/1.0");
    for request in [whole, old] {
        let said = told(&app(true), &[request.as_bytes()], 1).await;
        assert!(!said.contains(" 100 "), "{said}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_body_that_nobody_reads_is_no_request() {
    let begun = b"POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n";
    let app = app(false);
    let said = told(&app, &[begun], usize::MAX).await;
    assert_eq!((statuses(&said), app.heard.borrow().len()), (vec![200], 1), "{said}");

    // Where all of it has come, it is thrown away and the connection stays.
    let whole = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /next HTTP/1.1\r\n\r\n";
    let app = self::app(false);
    let said = told(&app, &[whole], 2).await;
    assert_eq!(statuses(&said), [200, 200], "{said}");
    assert_eq!(app.heard.borrow()[1].line, "GET /next");
}

#[tokio::test]
async fn an_answer_is_read_by_whoever_is_still_sending() {
    let begun = b"POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n";
    let unreadable = b"POST / HTTP/1.1\r\nContent-Length : 4000000\r\n\r\n";
    for (request, status) in [(&begun[..], 200), (unreadable, 400)] {
        let (mut client, serving) = connect(&app(false));
        let talking = async {
            client.write_all(request).await.unwrap();
            // A browser sends all of it before it looks for an answer.
            for _ in 0..400 {
                client.write_all(&[b'x'; 10_000]).await.unwrap();
            }
            let mut said = String::new();
            client.read_to_string(&mut said).await.unwrap();
            assert_eq!(statuses(&said), [status], "{said}");
            drop(client);
        };
        tokio::join!(talking, serving);
    }
}

#[tokio::test]
async fn whoever_goes_on_sending_is_not_read_for_longer_than_a_head_may_take() {
    let (mut client, socket) = UnixStream::pair().unwrap();
    let (ticker, app) = (Ticker::default(), app(false));
    let peer = Ipv4Addr::LOCALHOST.into();
    let arrival = Arrival { peer, entrance: Entrance::Plain, tls: None, is_nameless: false };
    let serving = serve(socket, arrival, app, limits(), ticker.watch(), std::future::pending(), None, None);
    let mut serving = pin!(serving);
    client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let talking = async { client.read_to_end(&mut said).await.unwrap() };
    tokio::select! {
        () = &mut serving => panic!("it ended"),
        _ = talking => {}
    }
    ticker.tick(limits().head_timeout * 2);
    serving.await;
    assert!(client.write_all(b"x").await.is_err());
}

#[tokio::test]
async fn a_connection_stays_or_ends_as_its_client_says_and_is_told() {
    let get = |version: &str, fields: &str| format!("GET / HTTP/{version}\r\n{fields}\r\n");
    for (version, fields, stays, says) in [
        ("1.1", "", true, None),
        ("1.1", "Connection: keep-alive\r\n", true, None),
        ("1.1", "Connection: x, Close\r\n", false, Some("close")),
        ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false, Some("close")),
        ("1.1", "Upgrade: h2c\r\nConnection: upgrade\r\n", false, Some("close")),
        ("1.0", "", false, Some("close")),
        ("1.0", "Connection: keep-alive\r\n", true, Some("keep-alive")),
        ("1.0", "Connection: keep-alive, close\r\n", false, Some("close")),
        ("1.0", "Connection: close\r\nConnection: keep-alive\r\n", false, Some("close")),
    ] {
        let twice = get(version, fields).repeat(2);
        let said = told(&app(true), &[twice.as_bytes()], if stays { 2 } else { usize::MAX }).await;
        assert_eq!(statuses(&said).len(), if stays { 2 } else { 1 }, "{version} {fields:?}: {said}");
        let (head, _) = said.split_once("\r\n\r\n").unwrap();
        let connection = head.lines().find_map(|line| line.strip_prefix("connection: "));
        assert_eq!(connection, says, "{version} {fields:?}: {said}");
        assert!(said.starts_with(&format!("HTTP/{version} 200 OK\r\n")), "{said}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_by_its_status() {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    let large = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(64 * 1024));
    let endless = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(65 * 1024));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(65_535));
    for (request, status) in [(many, 431), (large, 431), (endless, 431), (long, 431)] {
        let app = app(true);
        let said = told(&app, &[request.as_bytes()], usize::MAX).await;
        assert_eq!((statuses(&said), app.heard.borrow().len()), (vec![status], 0), "{said}");
        assert!(said.contains("\r\nconnection: close\r\n") && said.contains("\r\ncontent-length: 0\r\n"));
    }
    for fields in ["a: b\x01c\r\n", "a: b\x7f\r\n", "a:\x0cb\x0c\r\n", "a:\x0bb\x0b\r\n", "a: b\x0b\r\n"] {
        let said =
            told(&app(true), &[format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()], usize::MAX).await;
        assert_eq!(statuses(&said), [400], "{fields:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_ends_what_is_done_for_it() {
    struct Never;
    struct Told(Rc<Cell<bool>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    thread_local! { static GONE: Rc<Cell<bool>> = Rc::default(); }
    impl Respond for Never {
        type Body = Full<Bytes>;
        async fn respond(
            self: Rc<Self>,
            _: Request<Incoming>,
            _: Arrival,
            _: Rc<Watch>,
        ) -> Response<Full<Bytes>> {
            let _told = Told(GONE.with(Rc::clone));
            std::future::pending().await
        }
    }
    let (mut client, socket) = UnixStream::pair().unwrap();
    let peer = Ipv4Addr::LOCALHOST.into();
    let arrival = Arrival { peer, entrance: Entrance::Plain, tls: None, is_nameless: false };
    let ticker = Ticker::default();
    let serving =
        serve(socket, arrival, Rc::new(Never), limits(), ticker.watch(), std::future::pending(), None, None);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    serving.await;
    assert!(GONE.with(|gone| gone.get()));
}
