//! Where it listens beside IP addresses: Unix sockets, and sockets that systemd hands over.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use crate::harness::{
    Ended, Folder, RawUpstream, Running, SITE, eventually, free_address, last_head, member_gateway,
};

fn configuration(server: &str, upstream: &str) -> String {
    format!(
        "[server]\n{server}\n\n[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"{SITE}\"\nupstream = [\"http://{upstream}\"]\nproviders = [\"ymca\"]\n\n\
         [[site.rule]]\npath = \"/**\"\naccess = \"public\"\n"
    )
}

fn upstream() -> RawUpstream {
    RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

fn ask(mut socket: impl Read + Write, fields: &str) -> String {
    socket.write_all(last_head("GET /a", fields).as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn serves_at(path: &Path, running: &mut Running) {
    eventually("it serves", || {
        assert!(running.is_there());
        UnixStream::connect(path).is_ok()
    });
}

#[test]
fn a_unix_socket_is_served_by_whoever_may_write_to_its_file_and_goes_with_the_gateway() {
    let upstream = upstream();
    let server =
        "listen = [{ address = \"unix:mg.sock\", mode = \"0600\" }]\ntrusted_proxies = [\"127.0.0.1\"]";
    let folder = Folder::with(&configuration(server, &upstream.address().to_string()));
    let path = folder.path().join("mg.sock");
    // What a gateway has left that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let mut running = Running::spawn(&mut folder.command(&["run"]));
    serves_at(&path, &mut running);

    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    for _ in 0..8 {
        let answer = ask(UnixStream::connect(&path).unwrap(), "X-Forwarded-For: 203.0.113.7\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // Its peer is 127.0.0.1, which is trusted here.
    assert!(upstream.received().concat().contains("203.0.113.7"));

    let second = member_gateway(&folder, &["run"], "");
    assert_eq!(second.status, 1);
    assert!(second.errors.contains("mg.sock") && second.errors.contains("`listen`"), "{}", second.errors);

    running.signal("TERM");
    assert_eq!(running.ended(), Some(0));
    assert!(!path.exists());
}

#[test]
fn the_proxy_protocol_is_spoken_at_a_unix_socket_too() {
    let upstream = upstream();
    let server =
        "listen = [{ address = \"unix:mg.sock\", proxy_protocol = true }]\ntrusted_proxies = [\"127.0.0.1\"]";
    let folder = Folder::with(&configuration(server, &upstream.address().to_string()));
    let path = folder.path().join("mg.sock");
    let mut running = Running::spawn(&mut folder.command(&["run"]));
    serves_at(&path, &mut running);

    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 80\r\n").unwrap();

    assert!(ask(client, "").starts_with("HTTP/1.1 200 "));
    assert!(upstream.received().concat().contains("203.0.113.7"));
}

/// What systemd hands a socket over with: it listens itself, and starts the program when somebody asks.
fn activated(folder: &Folder, address: SocketAddr) -> Running {
    let mut command = Command::new("systemd-socket-activate");
    command.arg(format!("--listen={address}")).args([env!("CARGO_BIN_EXE_member-gateway"), "run"]);
    let mut running = Running::spawn(command.current_dir(folder.path()));
    eventually("somebody can ask", || {
        assert!(running.is_there());
        TcpStream::connect(address).is_ok()
    });
    running
}

#[test]
fn a_socket_that_systemd_hands_over_is_listened_on_in_place_of_one_of_its_own() {
    let (upstream, address) = (upstream(), free_address());
    let server = format!("listen = [\"{address}\"]");
    let folder = Folder::with(&configuration(&server, &upstream.address().to_string()));
    let running = activated(&folder, address);
    for _ in 0..8 {
        assert!(ask(TcpStream::connect(address).unwrap(), "").starts_with("HTTP/1.1 200 "));
    }
    running.signal("TERM");
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn a_socket_of_systemd_s_that_is_no_address_of_the_configuration_is_an_error() {
    let (upstream, address) = (upstream(), free_address());
    let server = format!("listen = [\"{}\"]", free_address());
    let folder = Folder::with(&configuration(&server, &upstream.address().to_string()));
    let mut running = activated(&folder, address);
    let log = running.log();
    log.says(&address.to_string());
    log.says("ListenStream=");
    assert_eq!(running.ended(), Some(1));
}

fn check(server: &str) -> Ended {
    member_gateway(&Folder::with(&configuration(server, "127.0.0.1:3000")), &["check"], "")
}

#[test]
fn mistakes_about_listeners_are_told_where_they_stand() {
    let long = format!("listen = [\"unix:/{}\"]", "a".repeat(120));
    for (server, says) in [
        ("listen = [\"unix:\"]", "no address to listen on"),
        (&*long, "too long"),
        ("listen = [\"unix:a.sock\", \"unix:a.sock\"]", "twice"),
        ("listen = [{ address = \"127.0.0.1:0\", mode = \"0660\" }]", "only a Unix socket"),
        ("listen = [{ address = \"unix:a.sock\", mode = \"rw\" }]", "no permissions"),
        ("listen = [{ address = \"unix:a.sock\", mode = \"1777\" }]", "no permissions"),
        ("listen = [{ address = \"unix:a.sock\", tls = true }]", "not spoken at a Unix socket"),
        ("listen = [{ address = \"127.0.0.1:0\", proxy_protocol = true }]", "nobody is trusted"),
        ("handover = \"/run/handover\"", "no Unix socket"),
        ("handover = \"unix:a.sock\"\nlisten = [\"unix:a.sock\"]", "a path of its own"),
    ] {
        let ended = check(server);
        assert_eq!(ended.status, 2, "{server}");
        assert!(
            ended.errors.contains(says) && ended.errors.contains("gateway.toml:"),
            "{server}: {}",
            ended.errors
        );
    }
    let listen = "listen = [\"unix:a.sock\", { address = \"127.0.0.1:0\", proxy_protocol = true }]";
    let ended = check(&format!("{listen}\ntrusted_proxies = [\"127.0.0.1\"]\nhandover = \"unix:handover\""));
    assert_eq!((ended.status, &*ended.errors), (0, ""));
    assert!(ended.output.contains("a.sock") && ended.output.contains("(PROXY protocol)"), "{}", ended.output);
}
