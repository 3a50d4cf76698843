//! The errors of RFC 9113, one by one, each over a connection of its own: the gateway takes them as the standard asks,
//! and where hyper by itself takes one in another way, none worse than it.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

use crate::harness::{Upstream, http2};
use crate::site::{NAME, Site, output, script};

/// What hyper takes for a request and the gateway does not: here it is never enough to be like hyper.
const CLOSED: [&str; 4] = [
    "a host that is not the :authority",
    "neither host nor :authority",
    "a field value that begins with a blank",
    "an :authority with a user",
];

/// hyper as it comes, with nothing of ours around it.
fn bare_hyper() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((socket, _)) = listener.accept().await {
            let answer = service_fn(|request: Request<Incoming>| async {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello from hyper")))
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // An error of this client is what the test is about.
            tokio::spawn(server.serve_connection(TokioIo::new(socket), answer));
        }
    });
    address
}

/// How a server takes every case.
async fn taken_by(address: SocketAddr, target: &'static str) -> Vec<Value> {
    let asked = tokio::task::spawn_blocking(move || {
        output(script("http2_errors.py").args([&address.to_string(), NAME, target]))
    });
    asked.await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_the_standard_is_taken_as_it_asks_and_none_worse_than_by_hyper() {
    let app = Upstream::start();
    let site = Site::in_front_of(app.address(), "");

    let (ours, bare) = tokio::join!(taken_by(site.plain, "/public/a"), taken_by(bare_hyper(), "/public/a"));

    assert_eq!(ours.len(), bare.len());
    assert!(ours.len() > 80, "{} cases", ours.len());
    let mut wrong = Vec::new();
    for (ours, bare) in ours.iter().zip(&bare) {
        let case = ours["case"].as_str().unwrap();
        let like_hyper = ours["outcome"] == bare["outcome"] && !CLOSED.contains(&case);
        if is_allowed(ours) || is_a_general_error(ours) || like_hyper {
            continue;
        }
        wrong.push(format!("{case} ({}): {}; hyper: {}", ours["section"], ours["outcome"], bare["outcome"]));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for case in CLOSED {
        assert!(ours.iter().any(|ours| ours["case"] == case), "{case} was not tried");
    }
    let mut client = http2::Http2::to(site.plain).await;
    assert_eq!(client.ask(http2::request("GET", "/public/a", "")).await.status, 200);
}

fn is_allowed(taken: &Value) -> bool {
    taken["allowed"].as_array().unwrap().contains(&taken["outcome"])
}

/// An error of the connection where the standard asks for one, by the code for errors that have no other: hyper's HTTP/2
/// knows few of the others, and what comes of it is the same.
fn is_a_general_error(taken: &Value) -> bool {
    let allowed = taken["allowed"].as_array().unwrap().iter();
    taken["outcome"] == "goaway:PROTOCOL_ERROR"
        && allowed.filter_map(Value::as_str).any(|allowed| allowed.starts_with("goaway:"))
}
