//! A vendor that is written by hand, where the simulation is too honest or too small; and an app that asks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::{Gateway, Options, RawUpstream, Wire};

/// What a provider needs to serve its API.
pub const API: &str = "api_listen = \"127.0.0.1:0\"";
/// Every token of this vendor begins so.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXRva2Vu";

/// A request as the vendor got it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub head: String,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name).map(str::to_owned)
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[derive(Default)]
struct Memory {
    asked: Mutex<Vec<Asked>>,
    tokens: AtomicUsize,
    served: AtomicUsize,
}

/// A vendor that hands out numbered tokens, and answers the rest as it is told.
pub struct Vendor {
    upstream: RawUpstream,
    memory: Arc<Memory>,
}

impl Default for Vendor {
    /// Everything is well.
    fn default() -> Self {
        Self::reading(|_| OK.to_owned())
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

impl Vendor {
    /// Each request is read to its end and gets this answer.
    pub fn reading(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let memory = Arc::<Memory>::default();
        let remembered = Arc::clone(&memory);
        let upstream = RawUpstream::serving(move |wire| {
            while let Some(head) = next(wire, &remembered) {
                let asked = Asked { body: body(wire, &head), head };
                remembered.asked.lock().unwrap().push(asked.clone());
                wire.send(answer(&asked));
            }
        });
        Self { upstream, memory }
    }

    /// Each request is served by hand once its head has come, and its connection ends with it.
    pub fn answering(serve: impl Fn(&mut Wire, &str) + Send + Sync + 'static) -> Self {
        let memory = Arc::<Memory>::default();
        let remembered = Arc::clone(&memory);
        let upstream = RawUpstream::serving(move |wire| {
            if let Some(head) = next(wire, &remembered) {
                remembered.asked.lock().unwrap().push(Asked { head: head.clone(), body: Vec::new() });
                serve(wire, &head);
                remembered.served.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { upstream, memory }
    }

    /// The first token it hands out has expired already.
    pub fn taking_the_second_token() -> Self {
        Self::reading(|asked| {
            if asked.field("authorization").is_some_and(|token| token.ends_with(".1")) {
                return "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned();
            }
            OK.to_owned()
        })
    }

    /// Where a provider finds it.
    pub fn base(&self) -> String {
        format!("api_base_url = \"http://{}\"", self.upstream.address())
    }

    /// A gateway that serves its API to apps, with further keys of the provider.
    pub fn relaying(&self, provider: &str) -> Gateway {
        self.relaying_with(provider, &Options::USUAL)
    }

    /// The same, otherwise like this.
    pub fn relaying_with(&self, provider: &str, options: &Options) -> Gateway {
        let provider = format!("{API}\n{}\n{provider}", self.base());
        Gateway::with(&Options { provider: Box::leak(provider.into_boxed_str()), ..options.clone() })
    }

    /// The requests whose head begins so.
    pub fn asked(&self, start: &str) -> Vec<Asked> {
        let asked = self.memory.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.head.starts_with(start)).cloned().collect()
    }

    /// How many requests were served by hand, to their end.
    pub fn served(&self) -> usize {
        self.memory.served.load(Ordering::Relaxed)
    }

    /// How many tokens it has handed out.
    pub fn tokens(&self) -> usize {
        self.memory.tokens.load(Ordering::Relaxed)
    }
}

/// The head of the next request that is no question for a token; those are answered here.
fn next(wire: &mut Wire, memory: &Memory) -> Option<String> {
    loop {
        if !wire.hears_within(Duration::from_secs(20)) {
            return None;
        }
        let head = wire.head();
        if !head.starts_with("POST /v3/partners/oauth2/token ") {
            return Some(head);
        }
        let asked = Asked { body: body(wire, &head), head };
        memory.asked.lock().unwrap().push(asked);
        let number = memory.tokens.fetch_add(1, Ordering::Relaxed) + 1;
        let token = format!(
            "{{\"access_token\":\"{TOKEN}.{number}\",\"expires_in\":\"86400\",\"token_type\":\"bearer\"}}"
        );
        wire.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{token}",
            token.len()
        ));
    }
}

fn body(wire: &mut Wire, head: &str) -> Vec<u8> {
    if let Some(length) = field(head, "content-length") {
        return wire.exactly(length.parse().unwrap());
    }
    let mut body = Vec::new();
    if field(head, "transfer-encoding").is_some() {
        loop {
            let size = usize::from_str_radix(wire.until("\r\n").trim(), 16).unwrap();
            body.extend(wire.exactly(size));
            wire.until("\r\n");
            if size == 0 {
                break;
            }
        }
    }
    body
}

/// An app of an operator, on this machine.
pub struct App(Wire);

/// What an app gets.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// All of it.
    pub fn text(&self) -> String {
        format!("{}{}", self.head, self.body)
    }
}

impl App {
    pub fn at(address: SocketAddr) -> Self {
        Self(Wire::to(address))
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "", b"");
        self.answer()
    }

    /// Sends a request with these fields, for the host it is served under.
    pub fn send(&mut self, method: &str, path: &str, fields: &str, body: &[u8]) {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.0.send(format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:8091\r\n{length}{fields}\r\n"));
        self.0.send(body);
    }

    pub fn send_chunked(&mut self, method: &str, path: &str, body: &[u8]) {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        self.0.send(head);
        for piece in body.chunks(60_000) {
            self.0.send(format!("{:x}\r\n", piece.len()));
            self.0.send(piece);
            self.0.send("\r\n");
        }
        self.0.send("0\r\n\r\n");
    }

    pub fn answer(&mut self) -> Answer {
        let (head, body) = self.0.answer();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Answer { status, head, body }
    }
}
