//! A whole gateway, as it is started by `run`, with a recording app behind it; both on Unix sockets, so that a million
//! connections leave no ports behind.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use member_gateway::cli::run::{self, Started};
use member_gateway::config::diagnostics::Source;
use member_gateway::time::{Clock, ManualClock};

use super::app::App;
use super::members::{NOW, SESSION_KEY, SIGNING_KEY, SITE, sealed_session};
use super::with;

/// After so long a silence nothing more is expected of what has been sent.
const SILENCE: Duration = Duration::from_millis(4);
/// It ends what has ended for the client in far less.
const PATIENCE: Duration = Duration::from_secs(5);

/// The gateway and its app. They end with the process.
pub struct Rig {
    pub app: &'static App,
    path: PathBuf,
    _started: Started,
}

/// The one of this process.
pub fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let place = |what: &str| {
            let path =
                std::env::temp_dir().join(format!("member-gateway-fuzz-{}-{what}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            path
        };
        let (path, behind) = (place("front"), place("behind"));
        let app = App::start(&behind);
        let key = |key: &str| URL_SAFE_NO_PAD.encode(key);
        let text = format!(
            r#"
[server]
listen = [{{ address = "unix:{path}", h2c = true }}]

[session]
keys = ["{session_key}"]

[identity.signature]
keys = [{{ id = "1", algorithm = "hmac-sha256", key = "{signing_key}" }}]

[[provider]]
name = "ymca"
kind = "daxko"
environment = "sandbox"

[[site]]
public_url = "{SITE}"
upstream = ["unix:{behind}"]
providers = ["ymca"]

[[site.rule]]
path = "/public/**"
access = "public"

[[site.rule]]
path = "/optional/**"
access = "optional"

[[site.rule]]
path = "/denied/**"
access = "deny"
"#,
            path = path.display(),
            behind = behind.display(),
            session_key = key(SESSION_KEY),
            signing_key = key(SIGNING_KEY),
        );
        let clock = Clock::Manual(ManualClock::starting_at(NOW));
        let started = run::start(&Source::new("gateway.toml", text), ".".into(), clock);
        let started = started.unwrap_or_else(|error| panic!("{error}"));
        Rig { app, path, _started: started }
    })
}

impl Rig {
    /// A new connection.
    pub fn connect(&self) -> Peer {
        Peer(UnixStream::connect(&self.path).expect("the gateway listens"))
    }
}

/// The bytes with a session that counts wherever they want one.
pub fn with_session(bytes: &[u8]) -> Vec<u8> {
    with(bytes, "{SESSION}", sealed_session())
}

/// The client's end of a connection.
pub struct Peer(UnixStream);

impl Peer {
    /// Writes, as far as anything is taken.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Reads on, until `is_enough` of all that has come; or it ends; or it is silent, which is an end if it is `over`.
    pub fn read(&mut self, into: &mut Vec<u8>, is_enough: impl Fn(&[u8]) -> bool) -> bool {
        let _ = self.0.set_read_timeout(Some(SILENCE));
        let mut piece = [0; 16 * 1024];
        while !is_enough(into) {
            match self.0.read(&mut piece) {
                Ok(0) => return true,
                Ok(count) => into.extend_from_slice(&piece[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return false;
                }
                Err(_) => return true,
            }
        }
        false
    }

    /// Sends nothing more, and reads what still comes. Fails where the gateway does not come to an end.
    pub fn end(mut self, into: &mut Vec<u8>) {
        let _ = self.0.shutdown(Shutdown::Write);
        let _ = self.0.set_read_timeout(Some(PATIENCE));
        let mut piece = [0; 16 * 1024];
        loop {
            match self.0.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => into.extend_from_slice(&piece[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the client is gone, and the gateway holds on to the connection");
                }
                Err(_) => return,
            }
        }
    }
}
