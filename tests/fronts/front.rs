//! A program in front, running, and ended when it is dropped.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a program may take until it listens; a busy machine needs some of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where `scripts/test` puts what comes from PyPI.
const PYPI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.tools/venv/bin");

const FORWARD_AUTH: &str = include_str!("../../docs/forward-auth.md");

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Nginx,
    Caddy,
    Traefik,
    Haproxy,
}

/// Whom it talks to.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    pub gateway: SocketAddr,
    pub app: SocketAddr,
}

pub struct Front {
    pub address: SocketAddr,
    process: Child,
    /// What it works in.
    folder: TempDir,
}

impl Front {
    /// Starts a program. Between finding a port and listening at it some other program can take it, so that one attempt
    /// proves nothing.
    pub fn start(program: Program, behind: Behind) -> Self {
        let mut said = String::new();
        for _ in 0..5 {
            match Self::try_start(program, behind) {
                Ok(front) => return front,
                Err(output) => said = output,
            }
        }
        panic!("{program:?} ends instead of listening:\n{said}")
    }

    /// Starts it and waits until it serves; what it has said, if it ended instead.
    fn try_start(program: Program, behind: Behind) -> Result<Self, String> {
        // One at a time: two that were told the same port would look alike from here.
        static STARTING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut command = program.command(&Setting { address, behind, folder: folder.path() });
        let output =
            || fs::OpenOptions::new().create(true).append(true).open(folder.path().join("output")).unwrap();
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(output()).stderr(output());
        let process = command.spawn().unwrap_or_else(|error| missing(&command, &error));
        let mut front = Self { address, process, folder };
        let deadline = Instant::now() + PATIENCE;
        while !reaches_the_gateway(address) {
            if front.process.try_wait().unwrap().is_some() {
                return Err(front.output());
            }
            assert!(Instant::now() < deadline, "nothing is served at {address}: {}", front.output());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(front)
    }

    /// What it has said so far.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a program is to stand.
struct Setting<'a> {
    address: SocketAddr,
    behind: Behind,
    folder: &'a Path,
}

impl Setting<'_> {
    /// A recipe of the documentation with our addresses, without what it says of certificates.
    fn here(&self, recipe: &str) -> String {
        let ours = recipe
            .replace("members.example.org", "members.localhost")
            .replace("127.0.0.1:8080", &self.behind.gateway.to_string())
            .replace("127.0.0.1:3000", &self.behind.app.to_string());
        let is_kept = |line: &&str| !line.contains("/etc/ssl/");
        ours.lines().filter(is_kept).collect::<Vec<_>>().join("\n")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }
}

impl Program {
    fn command(self, setting: &Setting<'_>) -> Command {
        let Setting { address, folder, .. } = setting;
        match self {
            Self::Nginx => nginx(setting, &recipe(FORWARD_AUTH, "nginx", "http {")),
            Self::Caddy => {
                let recipe = setting.here(&recipe(FORWARD_AUTH, "caddyfile", "members.example.org {"));
                let site = format!("http://members.localhost:{} {{", address.port());
                let recipe = recipe.replacen("members.localhost {", &site, 1);
                setting.write(
                    "Caddyfile",
                    &format!("{{\n    admin off\n    persist_config off\n}}\n{recipe}\n"),
                );
                let mut command = Command::new(format!("{PYPI}/caddy"));
                command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).env("HOME", folder);
                command
            }
            Self::Traefik => {
                let fixed = recipe(FORWARD_AUTH, "yaml", "entryPoints:")
                    .replace("\":443\"", &format!("\"{address}\""));
                let fixed = fixed.replace("/etc/traefik", &folder.display().to_string());
                setting.write("traefik.yml", &fixed);
                let sites = setting.here(&recipe(FORWARD_AUTH, "yaml", "http:")).replace("tls: {}", "");
                setting.write("members.yml", &sites);
                let mut command = Command::new(format!("{PYPI}/traefik"));
                command.arg("--configFile=traefik.yml");
                command
            }
            Self::Haproxy => {
                setting.write("member_auth.lua", &setting.here(&recipe(FORWARD_AUTH, "lua", "--")));
                haproxy(setting, &recipe(FORWARD_AUTH, "haproxy", "global"))
            }
        }
    }
}

fn nginx(setting: &Setting<'_>, recipe: &str) -> Command {
    let recipe = setting
        .here(recipe)
        .replace("listen 443 ssl;", &format!("listen {};", setting.address))
        .replacen("http {", "http {\naccess_log off;", 1);
    let own = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n";
    setting.write("nginx.conf", &format!("{own}{recipe}\n"));
    let mut command = Command::new(system_program("nginx"));
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(setting.folder);
    command
}

fn haproxy(setting: &Setting<'_>, recipe: &str) -> Command {
    let recipe = setting
        .here(&recipe.replace(" ssl crt /etc/ssl/members.pem", ""))
        .replace("bind :443", &format!("bind {}", setting.address))
        .replace("/etc/haproxy", &setting.folder.display().to_string());
    setting.write("haproxy.cfg", &format!("{recipe}\n"));
    let mut command = Command::new(system_program("haproxy"));
    command.args(["-db", "-f", "haproxy.cfg"]);
    command
}

/// A block of the documentation that begins in this way.
fn recipe(page: &str, language: &str, beginning: &str) -> String {
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1).filter_map(|rest| rest.split_once("\n```"));
    let found = blocks.find(|(block, _)| block.starts_with(beginning));
    found
        .unwrap_or_else(|| panic!("the page has a block of {language} that begins with {beginning}"))
        .0
        .to_owned()
}

/// A program of the system's, whose folder not everybody has in the path.
fn system_program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { name.into() }
}

fn missing(command: &Command, error: &std::io::Error) -> ! {
    let program = command.get_program();
    if error.kind() == ErrorKind::NotFound {
        panic!("{program:?} is not installed: `scripts/test` installs what the tests need");
    }
    panic!("{program:?} does not start: {error}")
}

/// Whether a program listens there and has read all of its configuration, which Traefik does when it listens already.
fn reaches_the_gateway(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    // On loopback, a port nobody listens at can be chosen as the connection's own.
    if stream.local_addr().is_ok_and(|own| own == address) {
        return false;
    }
    let question = "GET /_gateway/health HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(question.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200 ")
}

/// An address nobody listens at, as the system sees it.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
