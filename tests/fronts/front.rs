//! A program in front, running, and ended when it is dropped.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::free_address;

/// How long a program may take until it listens; a busy machine needs some of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where `scripts/test` puts what comes from PyPI.
const PYPI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.tools/venv/bin");

const FORWARD_AUTH: &str = include_str!("../../docs/forward-auth.md");
const IN_FRONT: &str = include_str!("../../docs/in-front.md");

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Nginx,
    Caddy,
    Traefik,
    Haproxy,
    Apache,
}

/// What it does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Keeps the requests for the app, and asks about them.
    Asking,
    /// The same for an app that is told in other ways too, with the lines that the page has for it.
    AskingForBridges,
    /// Passes everything on.
    Passing,
    /// Passes connections on, and says whose they are.
    PassingConnections,
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
    /// Starts a program, and waits until it serves.
    pub fn start(program: Program, task: Task, behind: Behind) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let mut command = program.command(task, &Setting { address, behind, folder: folder.path() });
        let output = || {
            let file = fs::OpenOptions::new().create(true).append(true).open(folder.path().join("output"));
            file.unwrap()
        };
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(output()).stderr(output());
        let process = command.spawn().unwrap_or_else(|error| missing(&command, &error));
        let mut front = Self { address, process, folder };
        let deadline = Instant::now() + PATIENCE;
        while !serves(address) {
            let ended = front.process.try_wait().unwrap();
            assert!(ended.is_none(), "{program:?} ends instead of serving: {}", front.output());
            assert!(Instant::now() < deadline, "{program:?} does not serve: {}", front.output());
            std::thread::sleep(Duration::from_millis(10));
        }
        front
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
    fn command(self, task: Task, setting: &Setting<'_>) -> Command {
        let (page, is_bridged) = match task {
            Task::Asking => (FORWARD_AUTH, false),
            Task::AskingForBridges => (FORWARD_AUTH, true),
            Task::Passing | Task::PassingConnections => (IN_FRONT, false),
        };
        match (self, task) {
            (Self::Nginx, _) => {
                let mut whole = recipe(page, "nginx", "http {");
                if is_bridged {
                    insert(&mut whole, "location / {\n", &recipe(page, "nginx", "# To the lines"));
                }
                nginx(setting, &whole)
            }
            (Self::Caddy, _) => {
                let mut whole = recipe(page, "caddyfile", "members.example.org {");
                if is_bridged {
                    let more = recipe(page, "caddyfile", "# To the lines");
                    let (copied, removed) = more.split_once("# In front of").unwrap();
                    insert(&mut whole, "uri /_gateway/auth?unauthenticated=auto\n", copied);
                    insert(&mut whole, "request_header -*signature*\n", &format!("# In front of{removed}"));
                }
                caddy(setting, &whole)
            }
            (Self::Traefik, _) => traefik(setting, is_bridged),
            (Self::Haproxy, Task::Asking | Task::AskingForBridges) => {
                let mut lua = recipe(page, "lua", "--");
                if is_bridged {
                    insert(&mut lua, "\"signature\" }\n", &recipe(page, "lua", "-- Below IDENTITY"));
                }
                setting.write("member_auth.lua", &setting.here(&lua));
                haproxy(setting, &recipe(page, "haproxy", "global"))
            }
            (Self::Haproxy, Task::Passing) => {
                haproxy(setting, &recipe(page, "haproxy", "defaults\n    mode http"))
            }
            (Self::Haproxy, Task::PassingConnections) => {
                haproxy(setting, &recipe(page, "haproxy", "defaults\n    mode tcp"))
            }
            (Self::Apache, _) => apache(setting, &recipe(page, "apache", "<VirtualHost")),
        }
    }
}

fn nginx(setting: &Setting<'_>, recipe: &str) -> Command {
    let recipe = setting
        .here(recipe)
        .replace("listen 443 ssl;", &format!("listen {};", setting.address))
        .replacen(
            "http {",
            "http {\naccess_log off;\nclient_body_temp_path bodies;\nproxy_temp_path proxied;",
            1,
        )
        .replacen(
            "http {",
            "http {\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;",
            1,
        );
    let own = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n";
    setting.write("nginx.conf", &format!("{own}{recipe}\n"));
    let mut command = Command::new(system_program("nginx"));
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(setting.folder);
    command
}

fn caddy(setting: &Setting<'_>, recipe: &str) -> Command {
    let site = format!("http://members.localhost:{} {{", setting.address.port());
    let recipe = setting.here(recipe).replacen("members.localhost {", &site, 1);
    setting.write("Caddyfile", &format!("{{\n    admin off\n    persist_config off\n}}\n{recipe}\n"));
    let mut command = Command::new(format!("{PYPI}/caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).env("HOME", setting.folder);
    command
}

fn traefik(setting: &Setting<'_>, is_bridged: bool) -> Command {
    let fixed = recipe(FORWARD_AUTH, "yaml", "entryPoints:")
        .replace(":443", &setting.address.to_string())
        .replace("/etc/traefik", &setting.folder.display().to_string());
    setting.write("traefik.yml", &fixed);
    let mut sites = recipe(FORWARD_AUTH, "yaml", "http:");
    if is_bridged {
        let longer = recipe(FORWARD_AUTH, "yaml", "authResponseHeaders:").replace('\n', "");
        let (start, rest) = sites.split_once("authResponseHeaders:").unwrap();
        sites = format!("{start}{longer}\n{}", rest.split_once('\n').unwrap().1);
    }
    setting.write("members.yml", &setting.here(&sites).replace("tls: {}", ""));
    let mut command = Command::new(format!("{PYPI}/traefik"));
    command.arg("--configFile=traefik.yml");
    command
}

fn apache(setting: &Setting<'_>, recipe: &str) -> Command {
    const MODULES: &str = "/usr/lib/apache2/modules";
    let recipe =
        setting.here(recipe).replace("*:443", &setting.address.to_string()).replace("SSLEngine on", "");
    let modules = ["mpm_event", "authz_core", "headers", "proxy", "proxy_http"];
    let modules = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).concat();
    let Setting { address, folder, .. } = setting;
    let folder = folder.display();
    setting.write(
        "apache.conf",
        &format!(
            "ServerRoot {folder}\nServerName members.localhost\nPidFile {folder}/pid\nErrorLog {folder}/output\n\
             DefaultRuntimeDir {folder}\nListen {address}\n{modules}{recipe}\n"
        ),
    );
    let mut command = Command::new(system_program("apache2"));
    command.args(["-X", "-f"]).arg(setting.folder.join("apache.conf"));
    command
}

fn haproxy(setting: &Setting<'_>, recipe: &str) -> Command {
    let recipe = setting
        .here(&recipe.replace(" ssl crt /etc/ssl/members.pem", "").replace(" alpn h2,http/1.1", ""))
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

/// Puts more lines behind the one that ends so.
fn insert(recipe: &mut String, end: &str, lines: &str) {
    let place = recipe.find(end).unwrap() + end.len();
    recipe.insert_str(place, &format!("{lines}\n"));
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

/// Whether a program listens there and has read all of its configuration: Traefik listens before it has.
fn serves(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = "GET /_gateway/health HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(question.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && !answer.starts_with("HTTP/1.1 404 ")
}
