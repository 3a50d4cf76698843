//! Apps that are asked now and then whether they are well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Gateway, RawUpstream, Wire, eventually, head};

const CHECKS: &str =
    "balance = \"round_robin\"\nhealth = { path = \"/up?deep\", interval = \"1s\", fall = 1, rise = 1 }";

/// An app that says its name, and whether it is well.
struct App {
    upstream: RawUpstream,
    is_well: Arc<AtomicBool>,
}

impl App {
    fn new(name: char) -> Self {
        let is_well = Arc::new(AtomicBool::new(true));
        let well = Arc::clone(&is_well);
        let upstream = RawUpstream::serving(move |wire| {
            while wire.hears_within(Duration::from_secs(20)) {
                let is_question = wire.head().starts_with("GET /up?deep ");
                let is_ill = is_question && !well.load(Ordering::SeqCst);
                let status = if is_ill { "500 Internal Server Error" } else { "200 OK" };
                wire.send(format!("HTTP/1.1 {status}\r\nContent-Length: 1\r\n\r\n{name}"));
            }
        });
        Self { upstream, is_well }
    }

    fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    fn is(&self, well: bool) {
        self.is_well.store(well, Ordering::SeqCst);
    }
}

/// Who answers four requests.
fn four(client: &mut Wire) -> String {
    let mut answers = String::new();
    for _ in 0..4 {
        client.send(head("GET /public/a", ""));
        answers += &client.answer().1;
    }
    answers
}

#[test]
fn one_that_is_not_well_gets_nothing_until_it_is() {
    let (a, b) = (App::new('a'), App::new('b'));
    let gateway = Gateway::between(&[a.address(), b.address()], CHECKS);
    let mut client = gateway.connect();
    assert_eq!(four(&mut client), "abab");

    a.is(false);
    eventually("only the other one is asked", || four(&mut client) == "bbbb");
    a.is(true);
    eventually("both are asked", || four(&mut client).contains('a'));
}

#[test]
fn where_none_is_well_all_are_asked() {
    let (a, b) = (App::new('a'), App::new('b'));
    let gateway = Gateway::between(&[a.address(), b.address()], CHECKS);
    let mut client = gateway.connect();
    a.is(false);
    eventually("only the other one is asked", || four(&mut client) == "bbbb");

    b.is(false);
    eventually("both are asked", || four(&mut client).contains('a'));
}

#[test]
fn the_question_is_for_the_site_and_comes_over_a_connection_of_its_own() {
    let app = App::new('a');
    let _gateway = Gateway::between(&[app.address()], CHECKS);

    eventually("it is asked", || app.upstream.received().concat().contains("\r\n\r\n"));

    let question = app.upstream.received().concat().to_lowercase();
    assert!(question.starts_with("get /up?deep http/1.1\r\n"), "{question}");
    assert!(question.contains("\r\nhost: members.localhost\r\n"), "{question}");
    assert!(!question.contains("x-member-id"), "{question}");
}
