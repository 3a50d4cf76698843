//! The app behind the gateway. It reads what comes by a strict reading of its own, and keeps count of what should never
//! have come:
//!
//! * a request that is not well formed, or frames its body twice or in an odd way;
//! * one the gateway did not write: without its own `Via`, which nobody else knows, or for another `Host`;
//! * an identity field without a signature of this very request, or with a nonce that was there before; in another
//!   spelling, or twice;
//! * a request without one to a path that is not public, unless it is a preflight that carries nothing;
//! * the gateway's own cookies, or fields of the client's connection.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use member_gateway::secret::Secret;
use member_gateway::verify::{Key, Request, Verifier};

use super::cookies::{is_ours, name_of};
use super::members::{HOST, NOW, SIGNING_KEY};

/// Larger than any head that is let through.
const MOST_HEAD: usize = 256 * 1024;
/// Nonces that are remembered.
const NONCES: usize = 4096;
const OURS: [&str; 3] = ["x_member_id", "x_member_unit_id", "x_member_provider"];

/// The app, and what it has seen.
pub struct App {
    requests: AtomicU64,
    faults: Mutex<Vec<String>>,
    nonces: Mutex<VecDeque<String>>,
    /// What the gateway calls itself, once it has been heard.
    via: OnceLock<String>,
    verifier: Verifier,
}

struct Head {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
}

impl App {
    /// Begins to listen at `path`.
    pub fn start(path: &Path) -> &'static Self {
        let listener = UnixListener::bind(path).expect("a socket for the app");
        let key = Key::hmac("1", &Secret::new(SIGNING_KEY));
        let app: &'static Self = Box::leak(Box::new(Self {
            requests: AtomicU64::new(0),
            faults: Mutex::default(),
            nonces: Mutex::default(),
            via: OnceLock::new(),
            verifier: Verifier::new(vec![key]).at(HOST),
        }));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                std::thread::spawn(move || app.serve(socket));
            }
        });
        app
    }

    /// How many requests it has seen.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Fails where something has come that should not have.
    pub fn check(&self) {
        let faults = std::mem::take(&mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner));
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    fn serve(&self, socket: UnixStream) {
        let Ok(mut writer) = socket.try_clone() else { return };
        let mut reader = BufReader::new(socket);
        loop {
            let raw = match head(&mut reader) {
                Ok(Some(raw)) => raw,
                // Between two requests, or in the middle of one that was given up.
                Ok(None) => return,
                Err(why) => return self.fault(&why, &[]),
            };
            let head = match parsed(&raw) {
                Ok(head) => head,
                Err(why) => return self.fault(&why, &raw),
            };
            self.requests.fetch_add(1, Ordering::SeqCst);
            if let Err(why) = self.judge(&head) {
                return self.fault(&why, &raw);
            }
            match body(&head, &mut reader) {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => return self.fault(&why, &raw),
            }
            if head.is_there("upgrade") && head.target.contains("/ws") {
                let _ = writer.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                );
                // No more HTTP.
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
                return;
            }
            let answer: &[u8] = if head.method == "HEAD" {
                b"HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: 2\r\n\r\n"
            } else if head.target.contains("/chunks") {
                b"HTTP/1.1 200 OK\r\nX-App: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            } else {
                b"HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nok"
            };
            if writer.write_all(answer).is_err() {
                return;
            }
        }
    }

    fn fault(&self, why: &str, raw: &[u8]) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(format!("{why}: {}", raw.escape_ascii()));
    }

    fn judge(&self, head: &Head) -> Result<(), String> {
        if head.all("host") != [HOST.as_bytes()] {
            return Err("another host, or several".to_owned());
        }
        let framings = head.all("content-length").len() + head.all("transfer-encoding").len();
        let disguised = head.fields.iter().any(|(name, _)| {
            matches!(folded(name).as_str(), "content_length" | "transfer_encoding" | "host" | "cookie")
                && name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        });
        if framings > 1 || disguised {
            return Err("framed in two ways".to_owned());
        }
        let via =
            head.all("via").last().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
        let own = self.via.get_or_init(|| via.clone());
        if via != *own || !own.contains("member-gateway-") {
            return Err("not by the gateway".to_owned());
        }
        for name in ["proxy", "proxy-connection", "keep-alive", "proxy-authorization", "expect"] {
            if head.is_there(name) {
                return Err(format!("{name} has come through"));
            }
        }
        let connection = head.all("connection").concat().to_ascii_lowercase();
        if !matches!(connection.as_slice(), b"" | b"te" | b"upgrade") {
            return Err("Connection has come through".to_owned());
        }
        // Under another name its owner may send it where it will.
        let cookies = head.all("cookie").join(&b';');
        if cookies.split(|&byte| byte == b';').any(|piece| is_ours(&name_of(piece))) {
            return Err("one of our cookies has come through".to_owned());
        }
        self.judge_identity(head)
    }

    fn judge_identity(&self, head: &Head) -> Result<(), String> {
        let spelt = |name: &&(String, Vec<u8>)| OURS.contains(&folded(&name.0).as_str());
        let found: Vec<_> = head.fields.iter().filter(spelt).collect();
        if found.is_empty() {
            let is_public = ["/public", "/optional"].iter().any(|folder| {
                let path = head.target.split('?').next().unwrap_or_default();
                path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            let is_preflight = head.method == "OPTIONS"
                && !head.target.starts_with("/denied")
                && head.is_there("origin")
                && head.is_there("access-control-request-method")
                && !["cookie", "authorization", "content-length", "transfer-encoding"]
                    .iter()
                    .any(|name| head.is_there(name));
            return if is_public || is_preflight {
                Ok(())
            } else {
                Err("a stranger, and not public".to_owned())
            };
        }
        let fields = head.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = Request { method: &head.method, target: &head.target, fields };
        let proof = self.verifier.verify(&request, NOW).map_err(|refused| format!("identity: {refused}"))?;
        if proof.value("x-member-id") != Some("300418822-01") || found.len() != OURS.len() {
            return Err("somebody else".to_owned());
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.contains(&proof.nonce) {
            return Err("the same request twice".to_owned());
        }
        nonces.push_back(proof.nonce);
        if nonces.len() > NONCES {
            nonces.pop_front();
        }
        Ok(())
    }
}

impl Head {
    fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice()).collect()
    }

    fn is_there(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }
}

/// A name as CGI has it.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// RFC 9110 §5.6.2
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The octets of a head, its empty line included; nothing where the connection ends before.
fn head(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>, String> {
    let mut raw = Vec::new();
    while !raw.ends_with(b"\r\n\r\n") {
        match reader.read_until(b'\n', &mut raw) {
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) => return Ok(None),
        }
        if raw.len() > MOST_HEAD {
            return Err("a head without an end".to_owned());
        }
    }
    Ok(Some(raw))
}

fn parsed(raw: &[u8]) -> Result<Head, String> {
    let text = raw.strip_suffix(b"\r\n\r\n").ok_or("no end")?;
    let mut lines = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().any(|&byte| byte < 0x20 && byte != b'\t') {
            return Err("a control octet".to_owned());
        }
        lines.push(line);
    }
    if text.iter().filter(|&&byte| byte == b'\n').count()
        != text.windows(2).filter(|two| two == b"\r\n").count()
    {
        return Err("a bare LF".to_owned());
    }
    let line = lines.first().and_then(|line| str::from_utf8(line).ok()).ok_or("no request line")?;
    let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err("no request line".to_owned());
    };
    let is_target = target.starts_with('/') && !target.contains('#');
    let is_method = |byte: u8| is_token(byte) && !byte.is_ascii_lowercase();
    if method.is_empty() || !method.bytes().all(is_method) || !is_target {
        return Err("an odd request line".to_owned());
    }
    let mut fields = Vec::new();
    for line in &lines[1..] {
        let colon = line.iter().position(|&byte| byte == b':').ok_or("a line without a colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err("a name that is none".to_owned());
        }
        fields.push((String::from_utf8_lossy(name).into_owned(), value.trim_ascii().to_vec()));
    }
    Ok(Head { method: method.to_owned(), target: target.to_owned(), fields })
}

/// Reads the body. False where it was broken off, which a client may do.
fn body(head: &Head, reader: &mut impl BufRead) -> Result<bool, String> {
    if let [length] = head.all("content-length")[..] {
        let length: u64 =
            str::from_utf8(length).ok().and_then(|text| text.parse().ok()).ok_or("an odd length")?;
        let taken = std::io::copy(&mut reader.take(length), &mut std::io::sink());
        return Ok(taken.is_ok_and(|taken| taken == length));
    }
    let [coding] = head.all("transfer-encoding")[..] else { return Ok(true) };
    if coding != b"chunked" {
        return Err("an odd coding".to_owned());
    }
    loop {
        let Some(size) = line(reader)? else { return Ok(false) };
        let size = str::from_utf8(&size).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
        let size = size.ok_or("an odd chunk")?;
        if size == 0 {
            break;
        }
        let taken = std::io::copy(&mut reader.take(size), &mut std::io::sink());
        if !taken.is_ok_and(|taken| taken == size) {
            return Ok(false);
        }
        match line(reader)? {
            Some(end) if end.is_empty() => {}
            Some(_) => return Err("a chunk longer than it says".to_owned()),
            None => return Ok(false),
        }
    }
    loop {
        match line(reader)? {
            Some(line) if line.is_empty() => return Ok(true),
            Some(line) => {
                let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
                let name = folded(&String::from_utf8_lossy(name));
                let never =
                    ["host", "content_length", "transfer_encoding", "signature", "signature_input", "cookie"];
                if OURS.contains(&name.as_str()) || never.contains(&name.as_str()) {
                    return Err(format!("{name} as a trailer"));
                }
            }
            None => return Ok(false),
        }
    }
}

fn line(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        Ok(count) if count > 0 && line.ends_with(b"\n") => {}
        Ok(_) | Err(_) => return Ok(None),
    }
    let line = line.strip_suffix(b"\r\n").ok_or("a bare LF in chunks")?;
    Ok(Some(line.to_vec()))
}
