//! Gate R10: thousands who begin something and never finish it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Authority, free_address};
use crate::load::{Load, app};
use crate::program::{Program, configuration};
use crate::scaled;

/// How many of each kind.
const EACH: usize = scaled(50, 1_000);
/// The gateway's own limits, as they are unless an operator says otherwise, or shorter so that a test is not long.
const HEAD: Duration = Duration::from_secs(scaled(1, 10) as u64);
const BODY: Duration = Duration::from_secs(scaled(1, 30) as u64);

/// What somebody begins, and when it has to be over.
struct Kind {
    name: &'static str,
    bytes: Vec<u8>,
    /// What it says every now and then, so that nobody takes it for dead.
    drip: &'static [u8],
    with_tls: bool,
    limit: Duration,
}

/// A connection with HTTP/2 that asks for a large answer and takes none of it (RFC 9113 §6.9.2).
fn closed_window() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    // GET http /a, :authority as it is.
    let authority = b"members.localhost";
    let mut head = vec![0x82, 0x86, 0x04, 2, b'/', b'a', 0x01, 17];
    head.extend(authority);
    bytes.extend([0, 0, u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    bytes.extend(head);
    bytes
}

#[test]
fn whoever_begins_and_never_ends_is_gone_soon_and_members_do_not_notice() {
    let (address, secured, folder) = (free_address(), free_address(), tempfile::tempdir().unwrap());
    let (certificate, key) = Authority::new().issue(&["members.localhost"]);
    std::fs::write(folder.path().join("site.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("site.key"), key).unwrap();
    let listen = format!("listen = [{{ address = \"{address}\", tls = false, h2c = true }}, \"{secured}\"]");
    let more = format!(
        "tls = {{ certificates = [{{ cert = \"site.pem\", key = \"site.key\" }}] }}\n\
         limits = {{ head_timeout = \"{}s\", body_idle = \"{body}s\", idle = \"{body}s\" }}\n",
        HEAD.as_secs(),
        body = BODY.as_secs()
    );
    let text = configuration(address, app(), 0)
        .replace(&format!("listen = [\"{address}\"]"), &(listen + "\n" + &more));
    std::fs::write(folder.path().join("gateway.toml"), text.replace("https://members", "http://members"))
        .unwrap();
    let program = Program::start(folder.path(), &["run"]);
    program.says("serving");
    let load = Load::with_fields(&[address], 2, "");
    load.goes_on_for(scaled(200, 5_000));
    println!("R10 before: {}", load.seen().waits());

    let kinds = [
        Kind {
            name: "half a head",
            bytes: b"GET / HTTP/1.1\r\nHost: a".to_vec(),
            drip: b"a",
            with_tls: false,
            limit: HEAD,
        },
        Kind {
            name: "a body that hardly comes",
            bytes: b"POST /a HTTP/1.1\r\nHost: members.localhost\r\nContent-Length: 99999\r\n\r\na".to_vec(),
            drip: b"a",
            with_tls: false,
            limit: BODY,
        },
        Kind {
            name: "half a greeting of TLS",
            bytes: vec![22, 3, 1, 2, 0, 1],
            drip: &[0],
            with_tls: true,
            limit: HEAD,
        },
        Kind {
            name: "a window that stays closed",
            bytes: closed_window(),
            drip: b"",
            with_tls: false,
            limit: 3 * BODY,
        },
    ];
    std::thread::scope(|scope| {
        for kind in kinds.map(Arc::new) {
            scope.spawn(move || attack(&kind, if kind.with_tls { secured } else { address }));
        }
    });
    println!("R10 meanwhile: {}", load.seen().waits());
    load.end().is_flawless();
}

/// Until the gateway has closed them all. Each is seen to end when it does, and its time is its own: from the moment it is
/// there, however long it took to open the others.
fn attack(kind: &Arc<Kind>, address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let attackers = async { (0..EACH).map(|_| lasts(Arc::clone(kind), address)).collect::<JoinSet<_>>() };
    let mut lasted = runtime.block_on(async { attackers.await.join_all().await });
    lasted.sort_unstable();
    let [first, half, last] = [0, EACH / 2, EACH - 1].map(|at| lasted[at].as_secs_f64());
    println!(
        "R10 {}: {EACH}, of which the first is closed after {first:.1} s, half after {half:.1} s and the last after {last:.1} s; \
         the limit is {} s",
        kind.name,
        kind.limit.as_secs()
    );
}

/// How long one of them is borne.
async fn lasts(kind: Arc<Kind>, address: SocketAddr) -> Duration {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let since = Instant::now();
    socket.write_all(&kind.bytes).await.unwrap();
    let mut drips = tokio::time::interval(Duration::from_millis(250));
    let mut bytes = [0; 4096];
    loop {
        let is_closed = tokio::select! {
            read = socket.read(&mut bytes) => !matches!(read, Ok(1..)),
            _ = drips.tick(), if !kind.drip.is_empty() => {
                socket.try_write(kind.drip).is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
            }
        };
        assert!(since.elapsed() < 5 * kind.limit, "{}: still open", kind.name);
        if is_closed {
            return since.elapsed();
        }
    }
}
