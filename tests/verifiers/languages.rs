//! The verifiers in `verify/`: each language's own program reads the vectors and says what its verifier finds.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::vectors;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where Debian keeps the servlet API, in a container that can be run in a test.
const SERVLETS: &str = "/usr/share/java/tomcat10-embed-core.jar";
/// The same under its name before it was given to Eclipse.
const OLD_SERVLETS: &str = "/usr/share/java/servlet-api.jar";

/// How many vectors C# judges: those of hmac-sha256, and of the others what is found before a signature is looked at.
const WITHOUT_PUBLIC_KEYS: usize = 186;

#[test]
fn the_verifier_in_python_finds_in_every_vector_what_it_must_find() {
    let site = Site::start();
    finds_them_all(site.told(&mut program(tool("venv/bin/python"))).arg(language("vectors.py")));
    site.was_asked_three_times();
}

#[test]
fn the_verifier_in_javascript_finds_in_every_vector_what_it_must_find() {
    let site = Site::start();
    finds_them_all(site.told(&mut program("node")).arg(language("vectors.mjs")));
    site.was_asked_three_times();
}

#[test]
fn the_verifier_in_php_finds_in_every_vector_what_it_must_find() {
    let (site, folder) = (Site::start(), folder());
    // Without the machine's php.ini, which could switch errors off.
    let mut php = program("php");
    php.env("FOLDER", folder.path()).arg("-n").arg(language("vectors.php"));
    finds_them_all(site.told(&mut php));
    site.was_asked_three_times();
}

#[test]
fn the_verifier_in_ruby_finds_in_every_vector_what_it_must_find() {
    let site = Site::start();
    finds_them_all(site.told(&mut program("ruby")).arg("-w").arg(language("vectors.rb")));
    site.was_asked_three_times();
}

#[test]
fn the_verifier_in_perl_finds_in_every_vector_what_it_must_find() {
    let site = Site::start();
    finds_them_all(site.told(&mut program("perl")).arg(language("vectors.pl")));
    site.was_asked_three_times();
}

#[test]
fn the_verifier_in_go_finds_in_every_vector_what_it_must_find() {
    let (site, folder) = (Site::start(), folder());
    copy("verify/membergateway.go", folder.path());
    copy("tests/verifiers/languages/vectors_test.go", folder.path());
    std::fs::write(folder.path().join("go.mod"), "module membergateway\n\ngo 1.22\n").expect("a module");
    let mut go = program(tool("venv/bin/go"));
    go.current_dir(folder.path())
        .args(["test", "-count=1"])
        .env("VECTORS", vectors::PATH)
        .env("GOCACHE", tool("go"))
        // The standard library is all there is to it.
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod");
    output(site.told(&mut go));
    site.was_asked_three_times();
}

#[test]
fn the_verifier_in_java_finds_in_every_vector_what_it_must_find() {
    let (site, folder) = (Site::start(), folder());
    assert!(
        Path::new(SERVLETS).exists(),
        "{SERVLETS} is not there: `scripts/test` installs what the tests need"
    );
    let mut javac = program("javac");
    javac.args(["-Xlint:all", "-Werror", "-cp", SERVLETS, "-d"]).arg(folder.path());
    output(javac.arg("verify/MemberFilter.java").arg(language("Vectors.java")));
    let path = format!("{}:{SERVLETS}", folder.path().display());
    finds_them_all(site.told(&mut program("java")).args(["-cp", &path, "Vectors"]));
    site.was_asked_three_times();
}

#[test]
fn the_filter_compiles_for_old_containers_with_another_name_of_the_package() {
    let folder = folder();
    assert!(
        Path::new(OLD_SERVLETS).exists(),
        "{OLD_SERVLETS} is not there: `scripts/test` installs what the tests need"
    );
    let text = std::fs::read_to_string(Path::new(ROOT).join("verify/MemberFilter.java")).expect("the filter");
    let source = folder.path().join("MemberFilter.java");
    std::fs::write(&source, text.replace("jakarta.servlet", "javax.servlet")).expect("the other filter");
    output(
        program("javac")
            .args(["-Xlint:all", "-Werror", "-cp", OLD_SERVLETS, "-d"])
            .arg(folder.path())
            .arg(source),
    );
}

#[test]
fn the_verifier_in_csharp_finds_in_every_vector_of_hmac_what_it_must_find() {
    let folder = folder();
    let program_file = folder.path().join("vectors.exe");
    let mut mcs = program("mcs");
    mcs.arg(format!("-out:{}", program_file.display()))
        .args(["-warnaserror", "-r:System.Web.Extensions.dll"]);
    output(mcs.arg("verify/MemberGateway.cs").arg(language("Vectors.cs")));
    let said = output(program("mono").arg(program_file));
    assert_eq!(said.trim(), format!("{WITHOUT_PUBLIC_KEYS} vectors"));
}

fn finds_them_all(command: &mut Command) {
    let count = vectors::read()["vectors"].as_array().map_or(0, Vec::len);
    assert_eq!(output(command).trim(), format!("{count} vectors"));
}

fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(ROOT);
    command
}

/// What `scripts/test` puts into the tests' own folder.
fn tool(path: &str) -> PathBuf {
    Path::new(ROOT).join("tests/.tools").join(path)
}

fn language(file: &str) -> PathBuf {
    Path::new("tests/verifiers/languages").join(file)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn copy(file: &str, folder: &Path) {
    let source = Path::new(ROOT).join(file);
    std::fs::copy(&source, folder.join(source.file_name().expect("a file"))).expect("a copy");
}

/// What a program says that ends well.
fn output(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "{:?} is not installed: `scripts/test` installs what the tests need",
                command.get_program()
            )
        }
        Err(error) => panic!("{:?} does not start: {error}", command.get_program()),
    };
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    said.into_owned()
}

/// The address at which a site publishes its keys.
struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("the port that was found");
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let answer = answer();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                serve(stream, &answer);
            }
        });
        Self { address, asked }
    }

    fn told<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("JWK_SET", format!("http://{}/_gateway/keys", self.address))
    }

    /// At first, for an id that it does not know, and when an hour has passed.
    fn was_asked_three_times(&self) {
        assert_eq!(self.asked.load(Ordering::Relaxed), 3, "how often the keys were fetched");
    }
}

/// Reads one request and answers it. Whoever goes away early has what they wanted.
fn serve(mut stream: TcpStream, answer: &str) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    let _ = stream.write_all(answer.as_bytes());
}

/// The public keys of the vectors, and a secret that nobody may take for one.
fn answer() -> String {
    let file = vectors::read();
    let keys = file["keys"].as_object().expect("keys").values();
    let mut jwks: Vec<Value> = keys.filter_map(|key| key.get("jwk").cloned()).collect();
    jwks.push(json!({ "kty": "oct", "kid": "?", "k": "AAAA" }));
    let set = json!({ "keys": jwks }).to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/jwk-set+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{set}",
        set.len()
    )
}
