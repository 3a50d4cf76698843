//! The program in a folder of its own, with a listener in the clear and one with TLS, and what it is measured by.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::harness::{Authority, Browser, Folder, eventually};

/// The name of the site.
pub(crate) const NAME: &str = "members.localhost";

/// A running gateway with one site: `/public/**` is for everybody, the rest for members.
pub(crate) struct Site {
    process: Child,
    folder: Folder,
    /// HTTP/1.1, and HTTP/2 with prior knowledge.
    pub(crate) plain: SocketAddr,
    /// The same over TLS.
    pub(crate) secure: SocketAddr,
}

impl Site {
    /// One in front of this app, with further keys of the site.
    pub(crate) fn in_front_of(app: SocketAddr, keys: &str) -> Self {
        let (certificate, key, authority) = certificate();
        let folder = Folder::with(&format!(
            "[server]\n\
             listen = [{{ address = \"127.0.0.1:0\", tls = false, h2c = true }}, \"127.0.0.1:0\"]\n\
             tls = {{ certificates = [{{ cert = \"site.pem\", key = \"site.key\" }}] }}\n\n\
             [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
             [[site]]\npublic_url = \"https://{NAME}\"\nupstream = [\"http://{app}\"]\nproviders = [\"ymca\"]\n{keys}\n\n\
             [[site.rule]]\npath = \"/public/**\"\naccess = \"public\"\n\n\
             [[site.rule]]\npath = \"/test.Open/**\"\naccess = \"public\"\n",
        ));
        let folder =
            folder.and("site.pem", &certificate).and("site.key", &key).and("authority.pem", &authority);
        // As many files as the system lets it have: a tunnel takes two.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -S -n \"$(ulimit -H -n)\" && exec \"$0\" run"]);
        command.arg(env!("CARGO_BIN_EXE_member-gateway")).current_dir(folder.path()).env("RUST_LOG", "info");
        let log = File::create(folder.path().join("log")).unwrap();
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut addresses = None;
        eventually("the program serves", || {
            assert!(process.try_wait().unwrap().is_none(), "it ends instead of serving: {}", log_in(&folder));
            addresses = listening(&log_in(&folder));
            addresses.is_some()
        });
        let (plain, secure) = addresses.unwrap();
        Self { process, folder, plain, secure }
    }

    /// What it has said on standard error.
    fn log(&self) -> String {
        log_in(&self.folder)
    }

    /// The file of the authority that its certificate is of.
    pub(crate) fn authority(&self) -> String {
        self.folder.path().join("authority.pem").display().to_string()
    }

    /// The session cookie of somebody who has signed in, as `name=value`.
    pub(crate) async fn member(&self) -> String {
        let mut browser = Browser::new(self.plain);
        let callback = browser.up_to_the_callback("/").await;
        assert_eq!(browser.go(&callback).await.status, 303);
        format!("__Host-member-session={}", browser.session_cookie().unwrap())
    }

    /// The memory it has now, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS")
    }

    /// The most it has ever had since [`Site::forget_memory`], in KiB: the kernel keeps it, nothing is sampled.
    pub(crate) fn most_memory(&self) -> u64 {
        self.status("VmHWM")
    }

    /// Has the kernel count the most from now on (proc_pid_clear_refs(5)).
    pub(crate) fn forget_memory(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
    }

    /// How many files and sockets it has open.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    fn status(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("what the gateway said:\n{}", self.log());
        }
    }
}

/// A certificate of the site, its key, and that of the authority that vouches for it.
fn certificate() -> (String, String, String) {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&[NAME]);
    (certificate, key, authority.pem().to_owned())
}

fn log_in(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path().join("log")).unwrap()
}

/// Where it says that it listens: `serving listen="ADDRESS, ADDRESS" …`.
fn listening(log: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (_, said) = log.split_once("serving listen=\"")?;
    let (plain, secure) = said.split_once("\" ")?.0.split_once(", ")?;
    Some((plain.parse().unwrap(), secure.parse().unwrap()))
}

/// A script of `tests/interop`, to be run by the interpreter that has the packages it needs.
pub(crate) fn script(name: &str) -> Command {
    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
    let python = format!("{FOLDER}/tests/.tools/venv/bin/python");
    assert!(std::path::Path::new(&python).exists(), "{python} is missing; `scripts/test` makes it");
    let mut command = Command::new(python);
    command.arg(format!("{FOLDER}/tests/interop/{name}"));
    command
}

/// The output of a command that has to succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let ended = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `scripts/test` installs what the tests need"));
    let (said, wrong) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{command:?}: {}\n{said}\n{wrong}", ended.status);
    said.into_owned()
}
