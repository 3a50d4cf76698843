//! One process takes over from another: whoever is connected stays, whoever comes is let in.

use std::fs::Permissions;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Barrier};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::harness::{
    Folder, RawUpstream, Running, SITE, Wire, eventually, free_address, head, member_gateway,
};

fn configuration(listen: &[SocketAddr], upstream: &RawUpstream) -> String {
    let listen: Vec<String> = listen.iter().map(|address| format!("\"{address}\"")).collect();
    format!(
        "[server]\nlisten = [{}]\nhandover = \"unix:handover\"\n\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"{SITE}\"\nupstream = [\"http://{}\"]\nproviders = [\"ymca\"]\n\n\
         [[site.rule]]\npath = \"/**\"\naccess = \"public\"\n",
        listen.join(", "),
        upstream.address()
    )
}

fn answering(answer: &'static str) -> RawUpstream {
    RawUpstream::answering(answer)
}

const OLD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold";
const NEW: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew";

fn write(folder: &Folder, configuration: String) {
    std::fs::write(folder.path().join("gateway.toml"), configuration).unwrap();
}

fn served_by(address: SocketAddr) -> String {
    let mut client = Wire::to(address);
    client.send(head("GET /a", "Connection: close\r\n"));
    client.answer().1
}

#[test]
fn a_new_process_serves_at_all_addresses_and_the_old_one_finishes_its_work() {
    let finish = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&finish);
    let slow = RawUpstream::serving(move |wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no");
        waits.wait();
        wire.send("ld");
    });
    let new = answering(NEW);
    let addresses = [free_address(), free_address()];
    let folder = Folder::with(&configuration(&addresses, &slow));
    let old = Running::start(&folder, addresses[0]);
    let socket = folder.path().join("handover");
    eventually("it can be taken over from", || socket.exists());
    assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    let mut client = Wire::to(addresses[1]);
    client.send(head("GET /a", ""));
    client.until("\r\n\r\no");

    write(&folder, configuration(&addresses, &new));
    let mut second = Running::spawn(&mut folder.command(&["run", "--takeover"]));
    let log = second.log();
    log.says("has handed over");
    for address in addresses {
        for _ in 0..8 {
            assert_eq!(served_by(address), "new");
        }
    }
    finish.wait();

    assert_eq!(client.exactly(2), *b"ld");
    assert_eq!(old.ended(), Some(0));
    // The next one takes over from the second.
    let mut third = Running::spawn(&mut folder.command(&["run", "--takeover"]));
    third.log().says("has handed over");
    assert_eq!(second.ended(), Some(0));
    assert_eq!(served_by(addresses[0]), "new");
    third.signal("TERM");
    assert_eq!(third.ended(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_new_process_that_ends_half_way_changes_nothing() {
    let (old, new, address) = (answering(OLD), answering(NEW), free_address());
    let folder = Folder::with(&configuration(&[address], &old));
    let mut first = Running::start(&folder, address);
    let log = first.log();
    let path = folder.path().join("handover");
    eventually("it can be taken over from", || path.exists());
    for (has_all, times) in [(false, 1), (true, 2)] {
        let mut asking = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        asking.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        let mut message = [0; 256];
        while has_all && !message.starts_with(b"all") {
            assert_ne!(asking.read(&mut message).unwrap(), 0);
        }
        drop(asking);
        let said = || log.text().matches("this process serves on").count();
        eventually("it serves on", || said() == times);
        assert_eq!(served_by(address), "old");
    }
    write(&folder, "no = \"configuration\"".to_owned());
    assert_eq!(member_gateway(&folder, &["run", "--takeover"], "").status, 2);
    assert_eq!(served_by(address), "old");

    write(&folder, configuration(&[address], &new));
    let mut second = Running::spawn(&mut folder.command(&["run", "--takeover"]));
    second.log().says("has handed over");
    assert_eq!(served_by(address), "new");
    assert_eq!(first.ended(), Some(0));
}

#[test]
fn the_admin_address_goes_over_as_well() {
    let (upstream, address, admin) = (answering(OLD), free_address(), free_address());
    let text = configuration(&[address], &upstream)
        .replace("handover =", &format!("admin_listen = \"{admin}\"\nhandover ="));
    let folder = Folder::with(&text);
    let first = Running::start(&folder, address);
    let answers = || {
        let mut client = Wire::to(admin);
        client.send("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(client.answer().0.starts_with("HTTP/1.1 200 "));
    };
    eventually("it can be taken over from", || folder.path().join("handover").exists());
    answers();

    let mut second = Running::spawn(&mut folder.command(&["run", "--takeover"]));
    second.log().says("has handed over");

    answers();
    assert_eq!(first.ended(), Some(0));
    answers();
}

#[test]
fn whoever_asks_for_the_sockets_and_does_not_read_keeps_no_gateway_from_ending() {
    let (upstream, address) = (answering(OLD), free_address());
    // More than the queue of the asking socket takes.
    let many: String = (0..180).map(|index| format!("\"unix:{index}.sock\", ")).collect();
    let text = configuration(&[address], &upstream).replace("listen = [", &format!("listen = [{many}"));
    let folder = Folder::with(&text);
    let mut running = Running::start(&folder, address);
    let log = running.log();
    let path = folder.path().join("handover");
    let asking = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let place = SockAddr::unix(&path).unwrap();
    eventually("it can be taken over from", || path.exists());
    asking.connect(&place).unwrap();
    log.says("another process asks to take over");

    running.signal("TERM");

    eventually("it has ended", || !running.is_there());
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn an_address_that_is_new_is_listened_on_and_one_that_has_gone_is_closed() {
    let (upstream, [stays, goes, comes]) = (answering(OLD), [free_address(), free_address(), free_address()]);
    let folder = Folder::with(&configuration(&[goes, stays], &upstream));
    let first = Running::start(&folder, stays);
    // It serves before anybody can take over from it.
    eventually("it can be taken over from", || folder.path().join("handover").exists());

    write(&folder, configuration(&[stays, comes], &upstream));
    let mut second = Running::spawn(&mut folder.command(&["run", "--takeover"]));
    second.log().says("has handed over");

    assert_eq!((served_by(stays), served_by(comes)), ("old".to_owned(), "old".to_owned()));
    eventually("the address is closed", || TcpStream::connect(goes).is_err());
    assert_eq!(first.ended(), Some(0));
    assert_eq!(served_by(stays), "old");
}

#[test]
fn where_nobody_is_to_take_over_from_it_begins_by_itself_and_without_a_place_to_ask_it_says_so() {
    let (upstream, address) = (answering(OLD), free_address());
    let text = configuration(&[address], &upstream);
    let folder = Folder::with(&text);
    // What a gateway has left that was killed.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("handover")).unwrap());
    let mut running = Running::spawn(&mut folder.command(&["run", "--takeover"]));
    running.log().says("no gateway to take over from");
    eventually("it serves", || TcpStream::connect(address).is_ok());
    assert_eq!(served_by(address), "old");

    let folder = Folder::with(&text.replace("handover = \"unix:handover\"", ""));
    let ended = member_gateway(&folder, &["run", "--takeover"], "");
    assert_eq!(ended.status, 2);
    assert!(ended.errors.contains("handover = \"unix:"), "{}", ended.errors);
}

/// Only the superuser can start a program as somebody else; whoever else runs this test has no stranger to send.
#[test]
fn a_stranger_gets_no_sockets_even_where_the_file_lets_them_in() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (upstream, address) = (answering(OLD), free_address());
    let folder = Folder::with(&configuration(&[address], &upstream));
    let mut running = Running::start(&folder, address);
    let log = running.log();
    let path = folder.path().join("handover");
    eventually("it can be taken over from", || path.exists());
    for open in [folder.path(), &path] {
        std::fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
    }
    let asks = "import socket, sys\n\
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n\
                s.connect(sys.argv[1])\n\
                s.settimeout(10)\n\
                print(len(s.recvmsg(4096, 4096)[1]))";
    let mut stranger = Command::new("python3");
    let asked = stranger.args(["-c", asks]).arg(&path).uid(65534).gid(65534).output().unwrap();

    log.says("as another user");
    assert_eq!(
        String::from_utf8_lossy(&asked.stdout).trim(),
        "0",
        "{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    assert_eq!(served_by(address), "old");
}
