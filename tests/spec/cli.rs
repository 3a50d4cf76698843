//! The program: its commands, its exit statuses, and its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Barrier;

use crate::harness::{Folder, RawUpstream, Running, Wire, eventually, free_address, member_gateway};

#[test]
fn keygen_prints_one_fresh_key_and_nothing_else() {
    let folder = Folder::empty();
    let mut keys = HashSet::new();
    for kind in [&["keygen"][..], &["keygen", "session"], &["keygen", "hmac"], &["keygen", "ed25519"]] {
        let ended = member_gateway(&folder, kind, "");

        assert_eq!((ended.status, &*ended.errors, ended.output.lines().count()), (0, "", 1), "{kind:?}");
        let key = ended.output.trim_end().to_owned();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(key.len() == 43 && key.chars().all(fits), "{kind:?}: {key}");
        assert!(keys.insert(key), "{kind:?}");
    }
    let pem = member_gateway(&folder, &["keygen", "p256"], "").output;
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.ends_with("-----END PRIVATE KEY-----\n"));
}

#[test]
fn schema_prints_a_json_schema() {
    let ended = member_gateway(&Folder::empty(), &["schema"], "");

    let schema: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!((ended.status, &*ended.errors), (0, ""));
    assert!(schema["$schema"].is_string() && schema["properties"]["site"].is_object());
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = member_gateway(&Folder::empty(), &["completions", shell], "");

        assert!(ended.status == 0 && ended.output.contains("keygen"), "{shell}");
    }
}

#[test]
fn help_and_version_are_answers_and_not_errors() {
    let folder = Folder::empty();
    for arguments in [&["--help"][..], &["help"], &["keygen", "--help"], &["--version"], &["-V"]] {
        let ended = member_gateway(&folder, arguments, "");

        assert_eq!((ended.status, &*ended.errors), (0, ""), "{arguments:?}");
        assert!(!ended.output.is_empty(), "{arguments:?}");
    }
    let help = member_gateway(&folder, &["--help"], "").output;
    for command in ["run", "check", "keygen", "verify", "schema", "completions", "--config"] {
        assert!(help.contains(command), "{command}: {help}");
    }
}

#[test]
fn what_the_program_does_not_understand_exits_2() {
    for arguments in
        [&["chekc"][..], &["--confg", "a"], &["keygen", "rsa"], &["completions"], &["verify", "--at", "noon"]]
    {
        let ended = member_gateway(&Folder::empty(), arguments, "");

        assert_eq!((ended.status, &*ended.output), (2, ""), "{arguments:?}");
        assert!(!ended.errors.is_empty(), "{arguments:?}");
    }
}

/// A gateway of its own process in front of an upstream, which everybody gets to.
fn public_site(address: std::net::SocketAddr, upstream: &RawUpstream) -> Folder {
    Folder::with(&format!(
        "[server]\nlisten = [\"{address}\"]\n\n[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"http://{address}\"\nupstream = [\"http://{}\"]\nproviders = [\"ymca\"]\n\n\
         [[site.rule]]\npath = \"/**\"\naccess = \"public\"\n",
        upstream.address()
    ))
}

#[test]
fn a_signal_lets_what_is_under_way_finish_takes_nothing_new_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let finish = Arc::new(Barrier::new(2));
        let waits = Arc::clone(&finish);
        let upstream = RawUpstream::serving(move |wire| {
            wire.head();
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            waits.wait();
            wire.send("world");
        });
        let address = free_address();
        let mut running = Running::start(&public_site(address, &upstream), address);
        let mut client = Wire::to(address);
        client.send(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        client.until("hello");

        running.signal(signal);
        eventually("nobody is let in any more", || std::net::TcpStream::connect(address).is_err());
        assert!(running.is_there(), "{signal} ends what is under way");
        finish.wait();

        assert_eq!(client.rest(), "world", "{signal}");
        assert_eq!(running.ended(), Some(0), "{signal}");
    }
}
