//! One verifier, running as the small app that it is, and ended when it is dropped.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The secret that gateway and app share, where it does not matter which one.
pub(crate) const KEY: [u8; 32] = [7; 32];

/// How long an interpreter may take until it listens; a busy machine needs some of it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct App {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    process: Process,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl App {
    pub(crate) fn php() -> Self {
        Self::started("verify.php", &shared_key())
    }

    /// PHP's own server listens whatever the key is; only its page complains.
    pub(crate) fn php_with(key: &str) -> Self {
        Self::started("verify.php", key)
    }

    pub(crate) fn python() -> Self {
        Self::started("verify.py", &shared_key())
    }

    pub(crate) fn python_serves_with(key: &str) -> bool {
        Self::start("verify.py", key).is_some()
    }

    pub(crate) fn node() -> Self {
        Self::started("verify.mjs", &shared_key())
    }

    pub(crate) fn node_serves_with(key: &str) -> bool {
        Self::start("verify.mjs", key).is_some()
    }

    /// Starts a verifier that has no reason to end. Between finding a port and listening at it some other program can
    /// take it, so that one attempt proves nothing.
    pub(crate) fn started(name: &'static str, key: &str) -> Self {
        (0..5)
            .find_map(|_| Self::start(name, key))
            .unwrap_or_else(|| panic!("{name} ends instead of listening"))
    }

    /// Starts a verifier and waits until it listens. Nothing, if it ended instead.
    fn start(name: &'static str, key: &str) -> Option<Self> {
        // One at a time: two that were told the same port would look alike from here.
        static STARTING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let address = free_address();
        let mut command = match name {
            "verify.php" => Command::new("php"),
            "verify.py" => Command::new("python3"),
            _ => Command::new("node"),
        };
        if name == "verify.php" {
            command.args(["-n", "-S", &address.to_string()]);
        }
        command
            .arg(name)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PORT", address.port().to_string())
            .env("MEMBER_GATEWAY_SIGNING_KEY", key)
            .env("MEMBER_GATEWAY_SIGNING_KEY_ID", "2026-11")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::start(&mut command);
        process.listens_at(address).then_some(Self { name, address, process })
    }

    /// Sends one request, which has to end the connection, and reads the whole answer.
    pub(crate) fn ask(&self, request: &[u8]) -> Answer {
        let answer = self.exchange(request);
        let answer =
            answer.unwrap_or_else(|error| panic!("{} ({}): {error}", self.name, self.process.0.id()));
        let answer = String::from_utf8(answer).expect("an answer in ASCII");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer with a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        // Node sends the body in chunks (RFC 9112 §7.1): the line we look for is the one that is no chunk size.
        let text = body.lines().find(|line| line.contains(|c: char| !c.is_ascii_hexdigit())).unwrap_or("");
        Answer { status, text: text.into() }
    }

    fn exchange(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// A child process that does not outlive its test.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!(
                    "{:?} is not installed: `scripts/test` installs what the tests need",
                    command.get_program()
                )
            }
            Err(error) => panic!("{:?} does not start: {error}", command.get_program()),
        }
    }

    /// Whether the process listens at `address` before it ends.
    fn listens_at(&mut self, address: SocketAddr) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !somebody_answers_at(address) {
            if self.0.try_wait().expect("the state of a child of ours").is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "nothing listens at {address} after {PATIENCE:?}");
            thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a connection can be made, and not to itself: on loopback, a port nobody listens at can be chosen as the
/// connection's own.
fn somebody_answers_at(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
}

fn shared_key() -> String {
    URL_SAFE_NO_PAD.encode(KEY)
}

/// An address nobody listens at, as the system sees it.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
    listener.local_addr().expect("the port that was found")
}
