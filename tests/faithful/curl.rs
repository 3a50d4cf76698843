//! curl, over HTTP/1.1, over HTTP/2 with TLS, and over HTTP/2 with prior knowledge: whatever it asks for, it gets the
//! same each way.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::harness::{RawUpstream, Wire};
use crate::site::{NAME, Site, output};

/// A way to speak with the gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Http1,
    Http2,
    PriorKnowledge,
}

impl Way {
    const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::PriorKnowledge];

    fn version(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 | Self::PriorKnowledge => "HTTP/2",
        }
    }

    /// curl, asking the site for this path; its output is the head and the body.
    fn curl(self, site: &Site, path: &str, arguments: &[&str]) -> Command {
        let (flag, scheme, port, address) = match self {
            Self::Http1 => ("--http1.1", "https", 443, site.secure),
            Self::Http2 => ("--http2", "https", 443, site.secure),
            Self::PriorKnowledge => ("--http2-prior-knowledge", "http", 80, site.plain),
        };
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--include", "--no-buffer", "--max-time", "60", flag]);
        command.arg("--cacert").arg(site.authority());
        command.args([
            "--connect-to",
            &format!("{NAME}:{port}:{address}"),
            &format!("{scheme}://{NAME}{path}"),
        ]);
        command.args(arguments);
        command
    }
}

/// What the app gives to each path, where that is all there is to it.
fn given(head: &str) -> String {
    const WHOLE: &str = "0123456789";
    let head = head.to_ascii_lowercase();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = |status: &str, fields: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len())
    };
    match path {
        "/public/204" => "HTTP/1.1 204 No Content\r\nX-Kept: yes\r\n\r\n".to_owned(),
        "/public/304" if head.contains("if-none-match: \"a\"") => {
            "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n".to_owned()
        }
        "/public/trailers" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n\
                               5\r\nhello\r\n0\r\nX-Checksum: 5\r\nX-Member-Id: forged\r\n\r\n"
            .to_owned(),
        _ if head.starts_with("head ") => {
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nAccept-Ranges: bytes\r\n\r\n".to_owned()
        }
        _ if head.contains("range: bytes=2-4\r\n") => {
            answer("206 Partial Content", "Content-Range: bytes 2-4/10\r\n", &WHOLE[2..5])
        }
        _ if head.contains("range: bytes=99-\r\n") => {
            answer("416 Range Not Satisfiable", "Content-Range: bytes */10\r\n", "")
        }
        _ => answer("200 OK", "Accept-Ranges: bytes\r\n", WHOLE),
    }
}

fn giving() -> RawUpstream {
    RawUpstream::serving(|wire| {
        while wire.hears_within(std::time::Duration::from_secs(20)) {
            let head = wire.head();
            wire.send(given(&head));
        }
    })
}

/// Asserts that an answer has this status, these fields and this body.
fn has(answer: &str, way: Way, status: u16, fields: &[&str], body: &str) {
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(
        head.starts_with(&format!("{} {status}", way.version().to_ascii_lowercase())),
        "{way:?}: {answer}"
    );
    for field in fields {
        assert!(head.lines().any(|line| line == *field), "{way:?}: {field}: {answer}");
    }
    assert_eq!(rest, body, "{way:?}: {answer}");
}

#[test]
fn parts_of_an_answer_heads_and_answers_without_a_body_arrive_as_they_are() {
    let app = giving();
    let site = Site::in_front_of(app.address(), "");
    for way in Way::ALL {
        let ask = |path, arguments: &[&str]| output(&mut way.curl(&site, path, arguments));
        let part = ["content-range: bytes 2-4/10", "content-length: 3"];
        has(&ask("/public/a", &["--range", "2-4"]), way, 206, &part, "234");
        has(&ask("/public/a", &["--range", "99-"]), way, 416, &["content-range: bytes */10"], "");
        has(&ask("/public/a", &[]), way, 200, &["accept-ranges: bytes", "content-length: 10"], "0123456789");
        has(&ask("/public/a", &["--head"]), way, 200, &["content-length: 10"], "");
        has(&ask("/public/204", &[]), way, 204, &["x-kept: yes"], "");
        has(&ask("/public/304", &["--header", "If-None-Match: \"a\""]), way, 304, &["etag: \"a\""], "");
    }
}

#[test]
fn trailers_reach_who_asks_for_them_and_none_under_our_names() {
    let app = giving();
    let site = Site::in_front_of(app.address(), "");
    for way in Way::ALL {
        let arguments: &[&str] = match way {
            Way::Http1 => &["--header", "TE: trailers", "--header", "Connection: TE"],
            Way::Http2 | Way::PriorKnowledge => &["--header", "TE: trailers"],
        };
        let answer = output(&mut way.curl(&site, "/public/trailers", arguments)).to_ascii_lowercase();
        let (_, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(rest.contains("hello") && rest.contains("x-checksum: 5\r\n"), "{way:?}: {answer}");
        assert!(!answer.contains("forged"), "{way:?}: {answer}");
    }
}

/// How much a body is that no window and no buffer holds at once.
const LARGE: usize = 32 << 20;

/// Reads a body with a length or in chunks and says how much there was of it.
fn counting() -> RawUpstream {
    RawUpstream::serving(|wire| {
        let head = wire.head().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let count = if let Some(length) = length {
            wire.exactly(length.parse().unwrap()).len()
        } else {
            chunks(wire)
        };
        let count = count.to_string();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{count}", count.len()));
    })
}

fn chunks(wire: &mut Wire) -> usize {
    let mut count = 0;
    loop {
        let length = usize::from_str_radix(wire.until("\r\n").trim(), 16).unwrap();
        count += wire.exactly(length).len();
        wire.until("\r\n");
        if length == 0 {
            return count;
        }
    }
}

/// Feeds curl on its standard input, where it may leave the rest; its output.
fn fed(mut command: Command) -> String {
    let mut curl = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It does not take what nobody wants.
    let _ = curl.stdin.take().unwrap().write_all(&vec![b'x'; LARGE]);
    let ended = curl.wait_with_output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", ended.status);
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[test]
fn a_large_upload_arrives_whole_whether_its_length_is_known_or_not() {
    let app = counting();
    let site = Site::in_front_of(app.address(), "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    std::fs::write(&file, vec![b'x'; LARGE]).unwrap();
    for way in Way::ALL {
        let known = ["--upload-file", file.to_str().unwrap(), "--header", "Expect:"];
        let answer = output(&mut way.curl(&site, "/public/up", &known));
        has(&answer, way, 200, &[], &LARGE.to_string());
        let answer = fed(way.curl(&site, "/public/up", &["--upload-file", "-", "--header", "Expect:"]));
        has(&answer, way, 200, &[], &LARGE.to_string());
    }
}

#[test]
fn who_may_upload_is_told_to_continue_and_who_may_not_never_sends_a_byte() {
    let app = counting();
    let site = Site::in_front_of(app.address(), "");
    // curl 7.88 waits for 100 over HTTP/1.1 alone; over HTTP/2 the specification has a client that does.
    let expecting = |path| {
        // So patient that it sends only because it is told to.
        let waiting = ["--upload-file", "-", "--header", "Expect: 100-continue", "--expect100-timeout", "50"];
        let written = ["--write-out", "\nsent %{size_upload}", "--header", "Sec-Fetch-Mode: cors"];
        fed(Way::Http1.curl(&site, path, &[&waiting[..], &written].concat()))
    };

    let answer = expecting("/public/up");
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(&format!("\r\n\r\n{LARGE}\nsent ")), "{answer}");
    let connections = app.connections();

    let answer = expecting("/members/up");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.ends_with("\nsent 0"), "{answer}");
    assert_eq!(app.connections(), connections, "the app heard nothing of it");
}

/// An app that sends an event each time it is told to, and tells when its client has gone.
fn app_of_events() -> (RawUpstream, Sender<u32>, Receiver<bool>) {
    let (next, events) = channel::<u32>();
    let events = Arc::new(Mutex::new(events));
    let (app, gone) = RawUpstream::telling(move |wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
        let events = events.lock().unwrap();
        while let Ok(number @ 1..) = events.recv() {
            wire.send(format!("data: {number}\n\n"));
        }
        wire.is_closed_within(std::time::Duration::from_secs(20))
    });
    (app, next, gone)
}

fn reads_events(mut command: Command) -> (Child, impl BufRead) {
    let mut curl = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(curl.stdout.take().unwrap());
    (curl, output)
}

#[test]
fn each_event_arrives_before_the_next_and_a_curl_that_is_killed_frees_the_app() {
    let (app, next, gone) = app_of_events();
    let site = Site::in_front_of(app.address(), "");
    for way in Way::ALL {
        let (mut curl, output) = reads_events(way.curl(&site, "/public/events", &[]));
        let mut lines = output.lines().map_while(Result::ok);
        for number in 1..=20 {
            // The app sends the next only now that the one before has been read.
            next.send(number).unwrap();
            let data = format!("data: {number}");
            assert!(lines.any(|line| line == data), "{way:?}: {data}");
        }

        curl.kill().unwrap();
        curl.wait().unwrap();
        next.send(0).unwrap();
        assert!(gone.recv().unwrap(), "{way:?}: the app is still asked");
    }
}
