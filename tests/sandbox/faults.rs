//! Faults on demand, by the handle and by the control endpoint, and the bounds of the server under both simulations.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Sandbox, answer, query_of};
use member_gateway::sandbox::daxko::{Endpoint, Fault};

#[tokio::test]
async fn a_fault_happens_once_and_then_everything_works_again() {
    let sandbox = Sandbox::start();
    sandbox.daxko.faults().next(Endpoint::ClientToken, Fault::Status(503));
    assert_eq!(sandbox.client_grant(&[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(sandbox.client_grant(&[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_lasting_fault_stays_until_it_is_cleared() {
    let sandbox = Sandbox::start();
    sandbox.daxko.faults().always(Endpoint::ClientToken, Fault::Status(500));
    for _ in 0..3 {
        assert_eq!(sandbox.client_grant(&[]).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    }
    sandbox.daxko.faults().clear();
    assert_eq!(sandbox.client_grant(&[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_form_can_refuse_with_an_error_redirect_but_never_to_a_stranger() {
    let sandbox = Sandbox::start();
    for error in ["server_error", "access_denied"] {
        sandbox.daxko.faults().always(Endpoint::Authorize, Fault::ErrorRedirect(error.into()));
        let refused = sandbox.form(&[]).await;
        assert_eq!(query_of(&refused, "error").as_deref(), Some(error));
        assert_eq!(query_of(&refused, "state").as_deref(), Some("q7Zk3n"));
    }
    let untrusted = sandbox.form(&[("redirect_uri", "https://attacker.example/")]).await;
    assert_eq!(untrusted.status(), StatusCode::BAD_REQUEST);
    assert!(untrusted.headers().get("location").is_none());
}

#[tokio::test]
async fn too_many_requests_may_say_when_to_come_back() {
    let sandbox = Sandbox::start();
    for retry_after in [Some(7), None] {
        sandbox.daxko.faults().next(Endpoint::MembersMe, Fault::TooManyRequests { retry_after });
        let answer = sandbox.http.get(sandbox.url("/v3/members/me")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let field = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(field, retry_after.map(|seconds| seconds.to_string()));
    }
}

#[tokio::test]
async fn an_answer_may_never_come() {
    let sandbox = Sandbox::start();
    sandbox.daxko.faults().next(Endpoint::MembersMe, Fault::NoAnswer);
    let arrived = async {
        while sandbox.daxko.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = sandbox.http.get(sandbox.url("/v3/members/me")).send() => panic!("{answer:?}"),
        () = arrived => assert_eq!(sandbox.last().status, None),
    }
}

#[tokio::test]
async fn a_connection_closed_in_the_exchange_leaves_the_code_unspent() {
    let sandbox = Sandbox::start();
    let code = sandbox.code(&[]).await;
    sandbox.daxko.faults().always(Endpoint::MemberToken, Fault::ClosedConnection);
    let failed = sandbox.exchange_request(&code, &[]).send().await.unwrap_err();
    assert!(!failed.is_timeout(), "{failed}");
    sandbox.daxko.faults().clear();
    assert_eq!(sandbox.exchange(&code, &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_success_may_be_none() {
    let sandbox = Sandbox::start();
    let faults = sandbox.daxko.faults();
    faults.next(Endpoint::ClientToken, Fault::Html);
    assert_eq!(sandbox.client_grant(&[]).await, (StatusCode::OK, Value::Null));
    faults.next(Endpoint::ClientToken, Fault::ErrorBody);
    assert_eq!(sandbox.client_grant(&[]).await, (StatusCode::OK, json!({ "error": "server_error" })));
    faults.next(Endpoint::ClientToken, Fault::Oversized);
    let (status, body) = sandbox.client_grant(&[]).await;
    assert_eq!((status, body["access_token"].as_str().unwrap().len()), (StatusCode::OK, 10 * 1024 * 1024));
    faults.next(Endpoint::MembersMe, Fault::Redirect("https://elsewhere.example/".into()));
    let moved = sandbox.http.get(sandbox.url("/v3/members/me")).send().await.unwrap();
    assert_eq!(
        (moved.status(), &moved.headers()["location"]),
        (StatusCode::FOUND, &"https://elsewhere.example/".parse().unwrap())
    );
}

#[tokio::test]
async fn an_id_may_be_missing_or_be_anything() {
    let sandbox = Sandbox::start();
    let bearer = sandbox.member_token("rosa", "rosa-swims").await;
    sandbox.daxko.faults().next(Endpoint::MembersMe, Fault::WithoutField("member_id".into()));
    let (_, body) = sandbox.get("/v3/members/me", &bearer).await;
    assert!(body.get("member_id").is_none() && body["member_unit_id"] == "400007995", "{body}");
    for value in [
        json!(null),
        json!(""),
        json!(400),
        json!(["a"]),
        json!("9".repeat(300)),
        json!("a\r\nb"),
        json!("1,2"),
        json!("Ü"),
    ] {
        let fault = Fault::WithField { name: "member_id".into(), value: value.clone() };
        sandbox.daxko.faults().next(Endpoint::MembersMe, fault);
        let (_, body) = sandbox.get("/v3/members/me", &bearer).await;
        assert_eq!(body["member_id"], value);
    }
}

#[tokio::test]
async fn expires_in_may_be_a_number() {
    let sandbox = Sandbox::start();
    sandbox.daxko.faults().numeric_expires_in(true);
    assert_eq!(sandbox.client_grant(&[]).await.1["expires_in"], json!(86400));
}

#[tokio::test]
async fn faults_can_be_set_over_http() {
    let sandbox = Sandbox::start();
    let control = sandbox.url("/sandbox/faults");
    let order = json!({ "endpoint": "client_token", "fault": { "status": 503 }, "until_cleared": true });
    assert_eq!(answer(sandbox.http.post(&control).json(&order)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(sandbox.client_grant(&[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(sandbox.client_grant(&[]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer(sandbox.http.delete(&control)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(sandbox.client_grant(&[]).await.0, StatusCode::OK);
    for order in [
        json!({ "endpoint": "client_token", "fault": "no_answer" }),
        json!({ "endpoint": "members_me", "fault": { "too_many_requests": { "retry_after": null } } }),
        json!({ "endpoint": "members_me", "fault": { "with_field": { "name": "member_id", "value": 7 } } }),
    ] {
        assert_eq!(
            answer(sandbox.http.post(&control).json(&order)).await.0,
            StatusCode::NO_CONTENT,
            "{order}"
        );
    }
}

#[tokio::test]
async fn an_order_that_is_not_understood_is_refused_and_so_is_a_simple_request_of_a_foreign_page() {
    let sandbox = Sandbox::start();
    let control = sandbox.url("/sandbox/faults");
    let order = json!({ "endpoint": "nowhere", "fault": "html" });
    assert_eq!(answer(sandbox.http.post(&control).json(&order)).await.0, StatusCode::BAD_REQUEST);
    let body = json!({ "endpoint": "client_token", "fault": "html" }).to_string();
    let simple = sandbox.http.post(&control).header("content-type", "text/plain").body(body);
    assert_eq!(answer(simple).await.0, StatusCode::BAD_REQUEST);
    assert_ne!(sandbox.client_grant(&[]).await.1, Value::Null);
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let sandbox = Sandbox::start();
    let post = sandbox.http.post(sandbox.url("/online/auth")).body("x".repeat(256 * 1024 + 1));
    assert_eq!(post.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn bytes_that_are_no_http_end_the_connection_and_nothing_else() {
    let sandbox = Sandbox::start();
    for bytes in [
        &b"\x16\x03\x01\x00\xa5\x01"[..],
        b"GET / HTTP/1.1\nHost: a\r\n\r\n\0\xff",
        b"GET \xff\xfe HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(sandbox.daxko.address()).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Whether an error or an end of file comes is up to the machine; that it comes is ours.
        let _ = stream.read_to_end(&mut answer);
    }
    let mut stream = TcpStream::connect(sandbox.daxko.address()).unwrap();
    stream.write_all(b"GET /v3/members/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[test]
fn the_last_handle_that_is_dropped_stops_the_server() {
    let sandbox = Sandbox::start();
    let address = sandbox.daxko.address();
    let other = sandbox.daxko.clone();
    drop(sandbox);
    assert!(TcpStream::connect(address).is_ok(), "one handle is left");
    drop(other);
    assert!(TcpStream::connect(address).is_err());
}
