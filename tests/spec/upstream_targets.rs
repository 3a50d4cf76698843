//! Several addresses for one app: which of them is asked, and what happens when one does not answer.

use std::cell::Cell;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use http::Method;
use http::header::HOST;
use http::uri::PathAndQuery;
use member_gateway::deadline::Ticker;
use member_gateway::field_lines::Lines;
use member_gateway::message::Fields;
use member_gateway::upstream::body::RequestBody;
use member_gateway::upstream::outgoing::{Outgoing, Traits};
use member_gateway::upstream::target::Target;
use member_gateway::upstream::{Balance, Pool, Protocol, Reuse, Settings, Timeouts, Upstream};
use tokio::runtime::{Builder, LocalOptions};

use crate::harness::{Gateway, Options, RawUpstream, free_address, head};

const A: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
const B: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb";
const C: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc";

/// Reads one request of each connection, and closes it without an answer.
fn mute() -> RawUpstream {
    RawUpstream::serving(|wire| {
        if wire.hears_within(Duration::from_secs(20)) {
            wire.head();
        }
    })
}

#[test]
fn requests_go_to_one_after_the_other() {
    let upstreams = [A, B, C].map(RawUpstream::answering);
    let gateway =
        Gateway::between(&upstreams.each_ref().map(RawUpstream::address), "balance = \"round_robin\"");
    let mut client = gateway.connect();

    let mut answers = String::new();
    for _ in 0..6 {
        client.send(head("GET /public/a", ""));
        answers += &client.answer().1;
    }

    assert_eq!(answers, "abcabc");
}

#[test]
fn requests_go_to_whichever_is_serving_the_fewest() {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    let slow = RawUpstream::serving(|wire| {
        wire.head();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslow");
        wire.rest();
    });
    let quick = RawUpstream::answering(B);
    let seconds = Duration::from_secs;
    let settings = Settings {
        targets: vec![Target::plain(slow.address()), Target::plain(quick.address())],
        balance: Balance::LeastBusy,
        protocol: Protocol::Auto,
        tls: None,
        health: None,
        timeouts: Timeouts { connect: seconds(20), first_byte: seconds(20), idle: seconds(20) },
        reuse: Reuse::default(),
        in_flight: 100,
    };
    runtime.block_on(async {
        let ticker = Ticker::default();
        let pool = Pool::new(Upstream::new(settings), &ticker, Rc::new(|_| true));
        let watched = ticker.watch();
        let ask = async || {
            let target = PathAndQuery::from_static("/");
            let mut head = pool.head(&Method::GET, &target);
            head.text(&HOST, b"a");
            let (body, room) = (RequestBody::empty(), Fields::new());
            let mut request = Outgoing::new(Method::GET, head, body, None, Traits::default(), room);
            pool.forward(&mut request, &watched.share(), &Cell::default()).await.unwrap()
        };
        // The one whose answer does not end stays busy, and all others go past it.
        let mut held = Vec::new();
        for _ in 0..10 {
            let answer = ask().await;
            if answer.headers().get("content-length").unwrap() == "5" {
                held.push(answer);
            }
        }
        assert_eq!((held.len(), slow.connections()), (1, 1));
        held.clear();
        let answers = [ask().await, ask().await];
        assert!(
            answers.iter().any(|answer| answer.headers().get("content-length").unwrap() == "5"),
            "it is free again"
        );
    });
}

#[test]
fn where_nobody_listens_whatever_was_asked_goes_elsewhere() {
    let upstream = RawUpstream::serving(|wire| {
        while wire.hears_within(Duration::from_secs(20)) {
            wire.head();
            wire.until("hello");
            wire.send(A);
        }
    });
    let gateway =
        Gateway::between(&[free_address(), upstream.address(), free_address()], "balance = \"round_robin\"");
    let mut client = gateway.connect();

    for _ in 0..12 {
        client.send(head("POST /public/order", "Content-Length: 5\r\n") + "hello");
        assert_eq!(client.answer().1, "a");
    }

    assert_eq!(upstream.received().concat().matches("POST /public/order").count(), 12);
}

#[test]
fn what_means_the_same_twice_goes_to_another_when_there_is_no_answer() {
    for line in ["GET /public/a", "PUT /public/a", "DELETE /public/a"] {
        let (silent, other) = (mute(), RawUpstream::answering(B));
        let gateway = Gateway::between(&[silent.address(), other.address()], "balance = \"round_robin\"");
        let mut client = gateway.connect();

        for _ in 0..4 {
            client.send(head(line, ""));
            assert_eq!(client.answer().1, "b", "{line}");
        }
        assert!(silent.connections() > 0);
    }
}

#[test]
fn what_could_do_harm_twice_does_not() {
    for (fields, body) in [("Content-Length: 0\r\n", ""), ("Content-Length: 5\r\n", "hello")] {
        let silent = [mute(), mute()];
        let gateway = Gateway::between(&silent.each_ref().map(RawUpstream::address), "");
        let mut client = gateway.connect();

        client.send(head("POST /public/order", fields) + body);

        assert!(client.head().starts_with("HTTP/1.1 502 "));
        let received = silent.iter().map(|upstream| upstream.received().concat()).collect::<String>();
        assert_eq!(received.matches("POST /public/order").count(), 1);
    }
}

#[test]
fn a_request_with_a_body_is_not_repeated_whatever_its_method() {
    let silent = [mute(), mute()];
    let gateway = Gateway::between(&silent.each_ref().map(RawUpstream::address), "");
    let mut client = gateway.connect();

    client.send(head("PUT /public/a", "Content-Length: 5\r\n") + "hello");

    assert!(client.head().starts_with("HTTP/1.1 502 "));
    assert_eq!(silent.iter().map(RawUpstream::connections).sum::<usize>(), 1);
}

#[test]
fn a_request_is_repeated_once_and_no_more() {
    let silent = [mute(), mute(), mute(), mute()];
    let gateway = Gateway::between(&silent.each_ref().map(RawUpstream::address), "");
    let mut client = gateway.connect();

    client.send(head("GET /public/a", ""));

    assert!(client.head().starts_with("HTTP/1.1 502 "));
    assert_eq!(silent.iter().map(RawUpstream::connections).sum::<usize>(), 2);
}

#[test]
fn one_byte_of_an_answer_is_enough_not_to_ask_again() {
    let half = [(); 2].map(|()| {
        RawUpstream::serving(|wire| {
            wire.head();
            wire.send("H");
        })
    });
    let gateway = Gateway::between(&half.each_ref().map(RawUpstream::address), "");
    let mut client = gateway.connect();

    client.send(head("GET /public/a", ""));

    assert!(client.head().starts_with("HTTP/1.1 502 "));
    assert_eq!(half.iter().map(RawUpstream::connections).sum::<usize>(), 1);
}

#[test]
fn one_that_fails_again_and_again_is_left_out() {
    let (silent, other) = (mute(), RawUpstream::answering(B));
    let gateway = Gateway::between(&[silent.address(), other.address()], "balance = \"round_robin\"");
    let mut client = gateway.connect();

    let mut failed = 0;
    for _ in 0..40 {
        client.send(head("POST /public/order", "Content-Length: 0\r\n"));
        let answer = client.answer().0;
        failed += usize::from(answer.starts_with("HTTP/1.1 502 "));
    }

    // Three, and one more for every pause that has passed; half of them, if nobody had noticed.
    assert!((3..=8).contains(&failed), "{failed}");
}

#[test]
fn where_all_are_left_out_all_are_tried() {
    let addresses = [free_address(), free_address()];
    let gateway = Gateway::between(&addresses, "");
    let mut client = gateway.connect();
    for _ in 0..8 {
        client.send(head("GET /public/a", ""));
        assert!(client.answer().0.starts_with("HTTP/1.1 502 "));
    }

    let listener = TcpListener::bind(addresses[1]).unwrap();
    let serving = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 4096]).unwrap();
        socket.write_all(A.as_bytes()).unwrap();
    });

    client.send(head("GET /public/a", ""));
    assert_eq!(client.answer().1, "a");
    serving.join().unwrap();
}

#[test]
fn a_name_is_looked_up_and_each_of_its_addresses_tried() {
    // `localhost` has an address of IPv6 as well on most machines, where nobody listens.
    let upstream = RawUpstream::answering(A);
    let listed = format!("\"http://localhost:{}\"", upstream.address().port());
    let gateway = Gateway::with(&Options { upstreams: Some(listed), ..Options::default() });
    let mut client = gateway.connect();

    client.send(head("GET /public/a", ""));

    assert_eq!(client.answer().1, "a");
}

#[test]
fn a_name_that_nobody_knows_is_an_upstream_that_is_down() {
    let listed = "\"http://app.invalid:80\"".to_owned();
    let gateway = Gateway::with(&Options {
        upstreams: Some(listed),
        site: "timeouts = { connect = \"2s\" }",
        ..Options::default()
    });

    let answer = gateway.raw(head("GET /public/a", "Connection: close\r\n"));

    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}
