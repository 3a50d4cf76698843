//! One of the apps in `examples/`, running, and ended when it is dropped.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{SIGNING_KEY, free_address};

/// How long an interpreter may take until it listens; a busy machine needs some of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where Debian keeps the container of the servlet.
const SERVLETS: &str = "/usr/share/java/tomcat10-embed-core.jar:/usr/share/java/tomcat10-annotations-api.jar";

/// Which app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    Php,
    Flask,
    Express,
    Servlet,
    /// The recipe for nginx, in front of a file.
    Nginx,
    /// The recipe for Apache, in front of a file.
    Apache,
}

pub struct App {
    pub address: SocketAddr,
    process: Child,
    /// What it was compiled into and works in.
    _folder: TempDir,
}

impl App {
    /// Starts an app. Between finding a port and listening at it some other program can take it, so that one attempt
    /// proves nothing.
    pub fn start(example: Example) -> Self {
        let app = (0..5).find_map(|_| Self::try_start(example));
        app.unwrap_or_else(|| panic!("the example {example:?} ends instead of listening"))
    }

    /// Starts an app and waits until it listens. Nothing, if it ended instead.
    fn try_start(example: Example) -> Option<Self> {
        // One at a time: two that were told the same port would look alike from here.
        static STARTING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut command = example.command(address, folder.path());
        command
            .env("PORT", address.port().to_string())
            .env("MEMBER_GATEWAY_SIGNING_KEY", SIGNING_KEY)
            .env("MEMBER_GATEWAY_SIGNING_KEY_ID", "2026-11")
            .env("MEMBER_GATEWAY_SITE", "members.localhost")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| missing(&command, &error));
        let mut app = Self { address, process, _folder: folder };
        app.listens().then_some(app)
    }

    /// Whether the process listens before it ends.
    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !somebody_answers_at(self.address) {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "nothing listens at {} after {PATIENCE:?}", self.address);
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Sends one request, which has to end the connection, and reads the whole answer.
    pub fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Example {
    fn command(self, address: SocketAddr, folder: &Path) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let examples = root.join("examples");
        match self {
            Self::Php => {
                let mut command = Command::new("php");
                command
                    .args(["-n", "-S", &address.to_string(), "index.php"])
                    .current_dir(examples.join("php"));
                command
            }
            Self::Flask => {
                // Python runs gunicorn itself: a wrapper could outlive its end.
                let mut command = Command::new(root.join("tests/.tools/venv/bin/python"));
                command
                    .args(["-m", "gunicorn", "--bind", &address.to_string(), "app:app"])
                    .current_dir(examples.join("flask"))
                    .env("PYTHONPATH", root.join("verify"))
                    .env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Self::Express => {
                let mut command = Command::new("node");
                command.arg("app.mjs").current_dir(examples.join("express"));
                command
            }
            Self::Servlet => {
                compile(&[examples.join("servlet/Club.java"), root.join("verify/MemberFilter.java")], folder);
                let mut command = Command::new("java");
                command.arg("-cp").arg(format!("{}:{SERVLETS}", folder.display())).arg("Club").arg(folder);
                command
            }
            Self::Nginx => {
                fs::write(folder.join("nginx.conf"), nginx(address, root)).unwrap();
                let mut command = Command::new(system_program("nginx"));
                command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
                command
            }
            Self::Apache => {
                fs::write(
                    folder.join("MemberAccess.pm"),
                    with_our_site(&recipe("perl", "package MemberAccess;")),
                )
                .unwrap();
                fs::copy(root.join("verify/MemberGateway.pm"), folder.join("MemberGateway.pm")).unwrap();
                fs::write(folder.join("classes"), "the schedule\n").unwrap();
                fs::write(folder.join("apache.conf"), apache(address, folder)).unwrap();
                let mut command = Command::new(system_program("apache2"));
                command.args(["-X", "-f"]).arg(folder.join("apache.conf"));
                command
            }
        }
    }
}

/// A block of the documentation that begins in this way.
fn recipe(language: &str, beginning: &str) -> String {
    let text = include_str!("../../../docs/verify/README.md");
    let fence = format!("```{language}\n");
    let mut blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split_once("\n```"));
    let found = blocks.find(|(block, _)| block.starts_with(beginning));
    found.unwrap_or_else(|| panic!("docs/verify/README.md has a block of {language}")).0.to_owned()
}

fn with_our_site(recipe: &str) -> String {
    recipe.replace("members.example.org", "members.localhost")
}

fn nginx(address: SocketAddr, root: &Path) -> String {
    let recipe = with_our_site(&recipe("nginx", "load_module"))
        .replace("modules/ngx", "/usr/lib/nginx/modules/ngx")
        .replace("/etc/nginx/member_gateway.js", &root.join("verify/nginx.js").display().to_string())
        .replace("127.0.0.1:3000", &address.to_string())
        .replace('…', SIGNING_KEY)
        .replace("proxy_pass http://127.0.0.1:3001;", "return 200 \"the schedule\\n\";")
        .replace("http {", "http { access_log off;");
    format!("{recipe}\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n")
}

fn apache(address: SocketAddr, folder: &Path) -> String {
    const MODULES: &str = "/usr/lib/apache2/modules";
    let recipe = recipe("apache", "PerlSwitches").replace("/etc/apache2/perl", &folder.display().to_string());
    let modules = ["mpm_prefork", "authz_core", "perl"];
    let modules = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).concat();
    let folder = folder.display();
    format!(
        "ServerRoot {folder}\nServerName members.localhost\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n\
         DocumentRoot {folder}\nListen {address}\n{modules}{recipe}\n"
    )
}

/// A program of the system's, whose folder not everybody has in the path.
fn system_program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { name.into() }
}

fn compile(sources: &[PathBuf], folder: &Path) {
    let mut command = Command::new("javac");
    command.args(["-cp", SERVLETS, "-d"]).arg(folder).args(sources);
    let ended = command.output().unwrap_or_else(|error| missing(&command, &error));
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn missing(command: &Command, error: &std::io::Error) -> ! {
    let program = command.get_program();
    if error.kind() == ErrorKind::NotFound {
        panic!("{program:?} is not installed: `scripts/test` installs what the tests need");
    }
    panic!("{program:?} does not start: {error}")
}

/// Whether a connection can be made, and not to itself: on loopback, a port nobody listens at can be chosen as the
/// connection's own.
fn somebody_answers_at(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
}
