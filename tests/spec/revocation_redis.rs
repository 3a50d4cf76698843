//! Sessions that end everywhere: gateways that share a Redis, and what becomes of members while it is away.
//!
//! News is to arrive within a second; a test waits for five times as long and asserts no time.

use std::time::{Duration, Instant};

use http::Method;

use crate::harness::{Browser, Gateway, Options, Redis, eventually, raw_to};
use crate::revocation::{ADMIN, revoke};

const SOON: Duration = Duration::from_secs(5);
const SAME_ORIGIN: (&str, &str) = ("origin", "https://members.localhost");

fn gateway(redis: &Redis, more: &str) -> Gateway {
    let session = format!("store = \"{}\"\n{more}", redis.url());
    Gateway::with(&Options { session: session.leak(), ..ADMIN })
}

async fn status(browser: &mut Browser) -> u16 {
    browser.fetch(Method::GET, "/api/classes", &[]).await.status.as_u16()
}

async fn becomes(browser: &mut Browser, expected: u16) {
    let since = Instant::now();
    while status(browser).await != expected {
        assert!(since.elapsed() < SOON, "it does not become {expected}");
    }
}

fn ready(gateway: &Gateway) -> String {
    raw_to(gateway.admin(), "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn metrics(gateway: &Gateway) -> String {
    raw_to(gateway.admin(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn whom_one_gateway_signs_out_the_other_refuses() {
    let redis = Redis::start();
    let (one, other) = (gateway(&redis, ""), gateway(&redis, ""));
    for question in [
        r#"{"member_id": "400007995-00"}"#,
        r#"{"member_unit_id": "400007995"}"#,
        r#"{"all": true, "provider": "ymca"}"#,
    ] {
        let mut there = one.signed_in().await.at(&other);
        assert_eq!(status(&mut there).await, 200);
        assert!(revoke(&one, question).starts_with("HTTP/1.1 204 "), "{question}");
        becomes(&mut there, 401).await;
    }
    let mut leaver = one.signed_in().await;
    let mut copy = leaver.at(&other);
    assert_eq!(status(&mut copy).await, 200, "a login afterwards holds at both");
    assert_eq!(leaver.request(Method::POST, "/_gateway/logout", &[SAME_ORIGIN], "").await.status, 303);
    becomes(&mut copy, 401).await;
    assert!(!redis.says("XRANGE member-gateway:revocations - +").contains("400007995"), "Redis learns no id");
}

#[tokio::test]
async fn without_redis_members_go_on_and_what_happened_meanwhile_is_caught_up_with() {
    let mut redis = Redis::start();
    let (one, other) = (gateway(&redis, ""), gateway(&redis, ""));
    let (mut rosa, mut ended, mut leaver) =
        (one.signed_in().await, one.signed_in().await, one.signed_in().await);
    let id = ended.session().await["session_id"].as_str().unwrap().to_owned();
    let kept = ended.clone();
    assert!(revoke(&one, &format!(r#"{{"session_id": "{id}"}}"#)).starts_with("HTTP/1.1 204 "));

    redis.kill();
    eventually("it is noticed", || ready(&one).contains("store of revocations is lost"));
    assert!(ready(&one).starts_with("HTTP/1.1 200 "), "the gateway serves on");
    assert!(metrics(&one).contains("member_gateway_revocation_store_up 0\n"));
    assert_eq!((status(&mut rosa).await, status(&mut ended).await), (200, 401), "what is known counts");
    let answer = revoke(&one, r#"{"all": true}"#);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("No session has ended"), "{answer}");
    assert_eq!(status(&mut rosa).await, 200);
    let mut copies = [leaver.clone(), leaver.at(&other)];
    // Whoever has been refused has no cookie any more.
    let untouched = [leaver.clone(), kept];
    leaver.request(Method::POST, "/_gateway/logout", &[SAME_ORIGIN], "").await;
    assert_eq!(status(&mut copies[0]).await, 401, "a sign-out counts at once where it was");
    assert!(metrics(&one).contains("member_gateway_revocations_waiting 1\n"), "and waits");

    redis.restart();
    eventually("it is there again", || metrics(&one).contains("member_gateway_revocation_store_up 1\n"));
    becomes(&mut copies[1], 401).await;
    assert!(revoke(&one, r#"{"all": true}"#).starts_with("HTTP/1.1 204 "));
    becomes(&mut rosa.at(&other), 401).await;
    let fresh = gateway(&redis, "");
    for copy in untouched {
        assert_eq!(status(&mut copy.at(&fresh)).await, 401, "whoever starts knows all of it");
    }
}

#[tokio::test]
async fn a_redis_that_has_lost_what_it_held_is_told_again() {
    let mut redis = Redis::start();
    let one = gateway(&redis, "");
    let mut rosa = one.signed_in().await;
    assert!(revoke(&one, r#"{"all": true}"#).starts_with("HTTP/1.1 204 "));

    redis.restart_empty();

    eventually("it is told again", || redis.says("XLEN member-gateway:revocations").starts_with(":1\r\n"));
    let fresh = gateway(&redis, "");
    assert_eq!(status(&mut rosa.at(&fresh)).await, 401);
    assert_eq!(status(&mut rosa).await, 401);
}

#[tokio::test]
async fn a_gateway_that_has_never_reached_redis_lets_no_member_in() {
    let mut redis = Redis::start();
    let rosa = gateway(&redis, "").signed_in().await;
    redis.kill();
    let blind = gateway(&redis, "");
    let mut rosa = rosa.at(&blind);

    assert!(ready(&blind).starts_with("HTTP/1.1 503 "), "{}", ready(&blind));
    assert_eq!(status(&mut rosa).await, 503);
    assert_eq!(rosa.fetch(Method::GET, "/public/x", &[]).await.status, 200);
    assert!(rosa.session_cookie().is_some(), "and nobody is signed out");

    redis.restart();
    becomes(&mut rosa, 200).await;
    assert!(ready(&blind).starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn whoever_can_write_to_redis_ends_nobodys_session() {
    let redis = Redis::start();
    let one = gateway(&redis, "");
    let mut rosa = one.signed_in().await;
    for text in ["rubbish", "{\"all\":true}", "AQ"] {
        redis.says(&format!("XADD member-gateway:revocations * revocation {text}"));
    }
    redis.says("XADD member-gateway:revocations * other field");
    assert!(revoke(&one, r#"{"member_id": "300418822-01"}"#).starts_with("HTTP/1.1 204 "));
    // Behind all of these, so they have been read.
    let beside = gateway(&redis, "");
    assert_eq!(status(&mut rosa.at(&beside)).await, 200);
    assert_eq!(status(&mut rosa).await, 200);
}
