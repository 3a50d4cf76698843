//! A configuration that is read again: what holds from the next request on, and what is not touched.

use std::sync::{Arc, Barrier};

use member_gateway::cli::run;
use member_gateway::config::diagnostics::Source;
use member_gateway::time::{Clock, ManualClock};

use crate::harness::{
    Authority, Browser, Folder, Gateway, NOW, Options, RawUpstream, Running, SITE, Secured, Wire, eventually,
    free_address, head, trusting,
};

const OPEN: &str = "[[site.rule]]\npath = \"/new/**\"\naccess = \"public\"\n";

#[tokio::test]
async fn a_rule_holds_from_the_next_request_on_the_same_connection_and_nobody_is_signed_out() {
    let mut gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let mut client = gateway.connect();
    client.send(head("GET /new/a", ""));
    assert!(client.answer().0.starts_with("HTTP/1.1 401 "));

    gateway.reload(&Options { more: OPEN, ..Options::default() }).unwrap();

    client.send(head("GET /new/a", ""));
    assert!(client.answer().0.starts_with("HTTP/1.1 200 "));
    let page = browser.visit("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(gateway.exchanges(), 1, "the member has signed in once");
}

#[test]
fn a_request_under_way_keeps_what_it_began_with() {
    let finish = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&finish);
    let old = RawUpstream::serving(move |wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe ");
        waits.wait();
        wire.send("old\n");
    });
    let new = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe new\n");
    let mut gateway = Gateway::in_front_of(&old);
    let mut client = gateway.connect();
    client.send(head("GET /public/a", ""));
    client.until("the ");

    gateway.reload(&Options { upstream: Some(new.address()), ..Options::default() }).unwrap();
    finish.wait();

    assert_eq!(client.until("\n"), "old\n");
    client.send(head("GET /public/a", ""));
    assert_eq!(client.answer().1, "the new\n");
}

#[test]
fn connections_to_an_upstream_that_stays_are_used_again() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut gateway = Gateway::in_front_of(&upstream);
    let options = Options { upstream: Some(upstream.address()), more: OPEN, ..Options::default() };
    let mut client = gateway.connect();
    for _ in 0..3 {
        client.send(head("GET /public/a", ""));
        assert_eq!(client.answer().1, "ok");
        gateway.reload(&options).unwrap();
    }
    assert_eq!(upstream.connections(), 1);
    // A field that is to be kept from members may not come by a trailer either: such a pool begins anew.
    gateway.reload(&Options { identity: "strip = [\"X-Secret\"]", ..options }).unwrap();
    client.send(head("GET /public/a", ""));
    client.answer();
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_configuration_with_a_mistake_changes_nothing() {
    let mut gateway = Gateway::with_sandbox();
    for (options, says) in [
        (
            Options { more: "[[site.rule]]\npath = \"/new/**\"\naccess = \"pubic\"", ..Options::default() },
            "access",
        ),
        (Options { providers: Some("\"ymcaa\""), more: OPEN, ..Options::default() }, "did you mean `ymca`?"),
    ] {
        let error = gateway.reload(&options).unwrap_err();

        assert!(error.contains("gateway.toml") && error.contains(says), "{error}");
        assert!(gateway.raw(head("GET /new/a", "Connection: close\r\n")).starts_with("HTTP/1.1 401 "));
    }
}

#[tokio::test]
async fn nobody_is_signed_out_where_keys_are_random() {
    let usual = Gateway::with_sandbox();
    let text = usual.configuration.replace("keys = [\"c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\"]", "");
    assert_ne!(text, usual.configuration);
    let source = Source::new("gateway.toml", &*text);
    let clock = Clock::Manual(ManualClock::starting_at(NOW));
    let mut started = run::start(&source, ".".into(), clock).unwrap();
    let mut browser = Browser::new(started.running.addresses()[0]);
    assert_eq!(browser.visit("/").await.status, 200);
    let cookie = browser.session_cookie().unwrap();

    started.reload(&source).unwrap();

    let mut client = Wire::to(started.running.addresses()[0]);
    client.send(head("GET /_gateway/session", &format!("Cookie: __Host-member-session={cookie}\r\n")));
    assert!(client.answer().0.starts_with("HTTP/1.1 200 "));
    started.running.stop();
}

#[test]
fn another_list_of_certificates_holds_from_the_next_handshake_on() {
    const NAME: &str = "members.localhost";
    const TLS: &str = "tls = { certificates = [{ cert = \"old.pem\", key = \"old.key\" }] }";
    const OTHER: &str = "tls = { certificates = [{ cert = \"new.pem\", key = \"new.key\" }] }";
    let [old, new] = [Authority::new(), Authority::new()];
    let (pairs, trust) = ([old.issue(&[NAME]), new.issue(&[NAME])], [&old, &new].map(trusting).map(Arc::new));
    let folder = Folder::empty().and("old.pem", &pairs[0].0).and("old.key", &pairs[0].1);
    let folder = folder.and("new.pem", &pairs[1].0).and("new.key", &pairs[1].1);
    let options = |server| Options { server, folder: Some(folder.path().to_owned()), ..Options::default() };
    let mut gateway = Gateway::with(&options(TLS));
    let mut before = Secured::to(gateway.address(), NAME, &trust[0]).unwrap();

    gateway.reload(&options(OTHER)).unwrap();

    assert!(Secured::to(gateway.address(), NAME, &trust[1]).is_ok());
    assert!(Secured::to(gateway.address(), NAME, &trust[0]).is_err());
    before.send(head("GET /public/a", "Connection: close\r\n"));
    assert!(before.rest().starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_signal_has_the_file_read_again_and_the_log_says_what_came_of_it() {
    let upstream = RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let address = free_address();
    let text = |listen: &str, access: &str| {
        format!(
            "[server]\nlisten = [\"{listen}\"]\n\n[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
             [[site]]\npublic_url = \"{SITE}\"\nupstream = [\"http://{}\"]\nproviders = [\"ymca\"]\n\n\
             [[site.rule]]\npath = \"/**\"\naccess = \"{access}\"\n",
            upstream.address()
        )
    };
    let listen = address.to_string();
    let folder = Folder::with(&text(&listen, "deny"));
    let write = |text: String| std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let mut running = Running::start(&folder, address);
    let log = running.log();
    let status = || {
        let mut client = Wire::to(address);
        client.send(head("GET /a", ""));
        client.answer().0[9..12].to_owned()
    };
    assert_eq!(status(), "403");

    write(text(&listen, "pubic"));
    running.signal("HUP");
    log.says("the one before stays");
    log.says("pubic");
    assert_eq!(status(), "403");

    write(text("127.0.0.1:1", "public"));
    running.signal("HUP");
    log.says("`listen` differs");
    eventually("the new rules hold", || status() == "200");
    running.signal("TERM");
    assert_eq!(running.ended(), Some(0));
}
