//! Gate R11, the HTTP/2 bomb: heads that cost their sender a few octets and the gateway many, on as many streams as there may be,
//! and answers that nobody reads (CVE-2026-49975 and its kin; CVE-2016-6581 has the half of HPACK).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::free_address;
use crate::load::PATIENCE;
use crate::program::Program;

const CONNECTIONS: usize = 100;
const STREAMS: u32 = 100;
/// What the gateway may grow by, in KiB. Without optimisation its tasks are half as large again.
const MOST_GROWTH: u64 = if cfg!(debug_assertions) { 96 * 1024 } else { 64 * 1024 };

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_OF_HEAD_AND_STREAM: u8 = 5;

/// What the streams of one bomb ask for.
struct Bomb {
    target: &'static str,
    /// How much of each answer may be sent.
    window: u32,
    /// How the head goes on: the first on a connection, which fills the table of HPACK, and all others.
    fields: [Vec<u8>; 2],
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A string of HPACK, not compressed (RFC 7541 §5.2).
fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = match u8::try_from(text.len()) {
        Ok(length @ ..127) => vec![length],
        Ok(_) | Err(_) => {
            let rest = text.len() - 127;
            vec![127, 0x80 | u8::try_from(rest & 0x7f).unwrap(), u8::try_from(rest >> 7).unwrap()]
        }
    };
    bytes.extend_from_slice(text);
    bytes
}

/// `cookie` with this value, remembered in the table as number 62 (§6.2.1), and then once more for each octet (§6.1).
fn crumbs(value: &[u8], times: usize) -> [Vec<u8>; 2] {
    let again = vec![0x80 | 62; times - 1];
    let first = [vec![0x40 | 32], string(value), again.clone()].concat();
    [first, [again, vec![0x80 | 62]].concat()]
}

impl Bomb {
    fn head(&self, is_first: bool) -> Vec<u8> {
        let [first, others] = &self.fields;
        // :method GET, :scheme http, :path, :authority
        let start = [
            &[0x82, 0x86, 0x04][..],
            &string(self.target.as_bytes()),
            &[0x01],
            &string(b"members.localhost"),
        ];
        [start.concat(), if is_first { first.clone() } else { others.clone() }].concat()
    }

    /// Opens a connection and all of its streams.
    fn throw(&self, address: SocketAddr) -> TcpStream {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let window = [&[0, 4][..], &self.window.to_be_bytes()].concat();
        bytes.extend(frame(SETTINGS, 0, 0, &window));
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
        for number in 0..STREAMS {
            bytes.extend(frame(HEADERS, END_OF_HEAD_AND_STREAM, 1 + 2 * number, &self.head(number == 0)));
        }
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(&bytes).unwrap();
        socket
    }
}

/// An app that says nothing where it is asked to wait, and otherwise as much as it is asked for.
fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket));
            }
        });
    });
    address
}

async fn answer(mut socket: tokio::net::TcpStream) -> io::Result<()> {
    let mut bytes = vec![0; 1024];
    let read = socket.read(&mut bytes).await?;
    let length = match &bytes[..read] {
        [b'G', b'E', b'T', b' ', b'/', b'l', ..] => 1024 * 1024,
        [b'G', b'E', b'T', b' ', b'/', b't', ..] => 6000,
        _ => 0,
    };
    if length > 0 {
        socket.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await?;
        socket.write_all(&vec![0; length]).await?;
    }
    while socket.read(&mut bytes).await? > 0 {}
    Ok(())
}

fn configuration(address: SocketAddr, app: SocketAddr) -> String {
    format!(
        "[server]\nlisten = [{{ address = \"{address}\", h2c = true }}]\n\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"http://members.localhost\"\nupstream = [\"http://{app}\"]\nproviders = [\"ymca\"]\n\n\
         [[site.rule]]\npath = \"/wait\"\naccess = \"public\"\n\n\
         [[site.rule]]\npath = \"/tail\"\naccess = \"public\"\n\n\
         [[site.rule]]\npath = \"/large\"\naccess = \"public\"\n"
    )
}

/// Whether somebody else is served.
fn serves(address: SocketAddr) -> bool {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET /_gateway/health HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200 ")
}

#[test]
fn a_hundred_connections_with_a_hundred_streams_each_hold_no_more_than_64_mib() {
    let app = app();
    let few = crumbs(&[b'a'; 4000], 15);
    for (name, target, window, fields) in [
        ("crumbs, and nobody answers", "/wait", 0, few.clone()),
        ("many crumbs, and nobody answers", "/wait", 0, crumbs(b"a=b", 90)),
        ("crumbs of strangers who read nothing", "/member", 0, few.clone()),
        ("strangers who read nothing", "/member", 0, [vec![], vec![]]),
        ("a large answer", "/large", 1, [vec![], vec![]]),
        ("the tail of an answer", "/tail", 1, few),
        // The pieces that are read of an answer grow with the pace at which it is taken.
        ("a large answer that is taken up to its middle", "/large", 600_000, [vec![], vec![]]),
    ] {
        let bomb = Bomb { target, window, fields };
        let address = free_address();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gateway.toml"), configuration(address, app)).unwrap();
        let program = Program::start(folder.path(), &["run"]);
        program.says("serving");
        assert!(serves(address));
        let before = program.resident();
        let connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| bomb.throw(address)).collect();
        for socket in &connections {
            let mut socket = socket.try_clone().unwrap();
            std::thread::spawn(move || while socket.read(&mut [0; 64 * 1024]).is_ok_and(|read| read > 0) {});
        }
        let most = program.resident_at_rest();
        assert!(serves(address), "{name}");
        let growth = most - before;
        println!("{name}: {growth} KiB more, at most {MOST_GROWTH}");
        assert!(growth < MOST_GROWTH, "{name}: {growth} KiB");
        drop(connections);
    }
}
