//! How often a whole request allocates: a real gateway in this process, asked over loopback, with an allocator that counts.
//!
//! The difference of a short and a long run is the price of a request; what is made once, for a connection or for the whole
//! program, is in both. Whoever asks and the app behind work with buffers made beforehand, so that what is counted is the gateway's.
//! `cargo bench --bench allocations` prints one line of TOML for each kind of request; `scripts/bench guards` holds it against
//! `benches/baseline.toml`.

use std::alloc::System;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use member_gateway::cli::run;
use member_gateway::config::diagnostics::Source;
use member_gateway::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use member_gateway::secret::Secret;
use member_gateway::session::cookie::Cookies;
use member_gateway::session::seal::KeyRing;
use member_gateway::session::{Policy, Session, SessionId};
use member_gateway::time::Clock;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// 32 bytes, and the same as base64url.
const KEY: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const KEY_AS_TEXT: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
const ANSWER: usize = 1024;
const CONNECTIONS: usize = 16;
const SHORT: usize = 50;
const LONG: usize = 250;

fn main() -> io::Result<()> {
    let app = app()?;
    let port = free_port()?;
    let config = config(port, free_port()?, app);
    let source = Source::new("gateway.toml", config);
    let started = run::start(&source, PathBuf::new(), Clock::System)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut out = io::stdout().lock();
    for (name, target) in [("authenticated", "/classes?week=2"), ("public", "/assets/site.css")] {
        let mut asker = Asker::new(port, target)?;
        asker.ask(SHORT)?;
        let (short, long) = (asker.counted(SHORT)?, asker.counted(LONG)?);
        let requests = ((LONG - SHORT) * CONNECTIONS) as f64;
        let each = |long: usize, short: usize| (long as f64 - short as f64) / requests;
        let blocks = each(long.allocations, short.allocations);
        let moved = each(long.reallocations, short.reallocations);
        let bytes = each(long.bytes_allocated, short.bytes_allocated);
        writeln!(
            out,
            "{name} = {{ allocations = {blocks:.2}, reallocations = {moved:.2}, bytes = {bytes:.0} }}"
        )?;
    }
    drop(started);
    Ok(())
}

fn config(port: u16, admin: u16, app: SocketAddr) -> String {
    format!(
        r#"
[server]
listen = ["127.0.0.1:{port}"]
admin_listen = "127.0.0.1:{admin}"

[log]
access = "file:/dev/null"

[session]
keys = ["{KEY_AS_TEXT}"]

[identity.signature]
keys = [{{ id = "2026-11", algorithm = "hmac-sha256", key = "{KEY_AS_TEXT}" }}]

[[provider]]
name = "ymca"
kind = "daxko"
environment = "sandbox"

[[site]]
public_url = "http://localhost:{port}"
upstream = ["http://{app}"]
providers = ["ymca"]

[[site.rule]]
path = "/assets/**"
access = "public"
"#
    )
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A member's cookie, sealed as the gateway at this port seals it.
fn session(port: u16) -> String {
    let policy = Policy { idle_timeout: Duration::from_secs(3600), max_age: Duration::from_secs(43_200) };
    let ring = KeyRing::new([&Secret::new(KEY)]).expect("a key");
    let member = Member {
        provider: ProviderName::new("ymca").expect("a name"),
        id: MemberId::new("400007995-00").expect("an id"),
        unit_id: MemberUnitId::new("400007995").expect("an id"),
        profile: Profile::default(),
    };
    let now = Clock::System.now();
    let session = Session::begin(SessionId([7; 16]), member, now, now);
    let field = Cookies::new(&ring, &format!("http://localhost:{port}"), false, policy).set_session(&session);
    let field = field.to_str().expect("a cookie is ASCII");
    field.split(';').next().unwrap_or_default().to_owned()
}

/// Asks over some connections at once, and checks the answers.
struct Asker {
    request: Vec<u8>,
    connections: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl Asker {
    fn new(port: u16, target: &str) -> io::Result<Self> {
        let session = session(port);
        let request = format!(
            "GET {target} HTTP/1.1\r\n\
             Host: localhost:{port}\r\n\
             Connection: keep-alive\r\n\
             Upgrade-Insecure-Requests: 1\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0\r\n\
             Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
             Sec-Fetch-Site: same-origin\r\n\
             Sec-Fetch-Mode: navigate\r\n\
             Sec-Fetch-Dest: document\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\n\
             Accept-Language: en-US,en;q=0.9,es;q=0.8\r\n\
             Cookie: _ga=GA1.1.1234567890.1790000000; theme=dark; {session}; PHPSESSID=k2j3h4k2j3h4k2j3h4k2j3h4k2\r\n\
             \r\n"
        );
        let connect = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let connections = (0..CONNECTIONS).map(connect).collect::<io::Result<_>>()?;
        Ok(Self { request: request.into_bytes(), connections, buffer: vec![0; 64 * 1024] })
    }

    /// So many rounds of one request over each connection.
    fn ask(&mut self, rounds: usize) -> io::Result<()> {
        for _ in 0..rounds {
            for connection in &mut self.connections {
                connection.write_all(&self.request)?;
            }
            for connection in &mut self.connections {
                read_answer(connection, &mut self.buffer)?;
            }
        }
        Ok(())
    }

    fn counted(&mut self, rounds: usize) -> io::Result<Stats> {
        let region = Region::new(ALLOCATOR);
        self.ask(rounds)?;
        Ok(region.change())
    }
}

/// An answer of status 200 whose content is as long as the app's.
fn read_answer(connection: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    loop {
        let read = connection.read(&mut buffer[filled..])?;
        filled += read;
        let head = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n").map(|end| end + 4);
        match head {
            _ if read == 0 => return Err(io::Error::other("the connection ended within an answer")),
            Some(_) if !buffer.starts_with(b"HTTP/1.1 200 ") => {
                return Err(io::Error::other(String::from_utf8_lossy(&buffer[..filled]).into_owned()));
            }
            Some(head) if filled == head + ANSWER => return Ok(()),
            Some(head) if filled > head + ANSWER => {
                return Err(io::Error::other("there is more than an answer"));
            }
            Some(_) | None => {}
        }
    }
}

/// An app that answers every request alike, with buffers that it makes once for each connection.
fn app() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || serve(connection));
        }
    });
    Ok(address)
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {ANSWER}\r\n\r\n{}",
        "x".repeat(ANSWER)
    );
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = connection.read(&mut buffer[filled..])?;
        filled += read;
        if read == 0 {
            return Ok(());
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            connection.write_all(answer.as_bytes())?;
            filled = 0;
        }
    }
}
