//! Gate R5: the Redis that holds revocations is away, does not answer, and comes back.

use std::time::{Duration, Instant};

use crate::harness::{Gateway, Options, Redis, eventually, raw_to};
use crate::load::{Load, app};
use crate::{metrics, scaled};

/// How long each of it lasts: a moment, or as long as it takes somebody to wake up.
const AWAY: Duration = Duration::from_secs(scaled(1, 60) as u64);
const STUCK: Duration = Duration::from_secs(scaled(1, 5) as u64);

fn gateway(redis: &Redis, app: std::net::SocketAddr) -> Gateway {
    Gateway::with(&Options {
        server: "admin_listen = \"127.0.0.1:0\"",
        session: format!("store = \"{}\"", redis.url()).leak(),
        upstream: Some(app),
        real_time: true,
        ..Options::USUAL
    })
}

fn revoke(gateway: &Gateway, question: &str) -> String {
    let length = question.len();
    let head =
        "POST /revoke HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    raw_to(gateway.admin(), format!("{head}Content-Length: {length}\r\n\r\n{question}"))
}

fn store_is_up(gateway: &Gateway) -> bool {
    metrics::sum(gateway.admin(), "member_gateway_revocation_store_up", &[]) > 0.5
}

#[tokio::test(flavor = "multi_thread")]
async fn members_go_on_while_redis_is_away_or_stuck_and_what_was_revoked_is_known_soon_after() {
    let mut redis = Redis::start();
    let app = app();
    let gateways = [gateway(&redis, app), gateway(&redis, app)];
    let cookie = gateways[0].member().await;
    let addresses = [gateways[0].address(), gateways[1].address()];
    let load = Load::with_fields(&addresses, 4, &cookie);
    load.goes_on_for(100);
    println!("R5 before: {}", load.seen().waits());

    redis.kill();
    for gateway in &gateways {
        eventually("it is noticed", || !store_is_up(gateway));
    }
    let refused = revoke(&gateways[0], r#"{"member_id": "somebody-else"}"#);
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    load.goes_on_during(AWAY);
    println!("R5 while it is away: {}", load.seen().waits());

    redis.restart();
    let since = Instant::now();
    for gateway in &gateways {
        eventually("it is there again", || store_is_up(gateway));
    }
    println!("R5 reached again after {} ms", since.elapsed().as_millis());
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());

    redis.signal("STOP");
    load.goes_on_during(STUCK);
    println!("R5 while it is stuck: {}", load.seen().waits());
    redis.signal("CONT");
    for gateway in &gateways {
        eventually("it answers again", || store_is_up(gateway));
    }
    load.end().is_flawless();

    let since = Instant::now();
    let taken = revoke(&gateways[0], r#"{"all": true}"#);
    assert!(taken.starts_with("HTTP/1.1 204 "), "{taken}");
    let ask = format!("GET /api/a HTTP/1.1\r\nHost: members.localhost\r\n{cookie}Connection: close\r\n\r\n");
    eventually("the other knows", || raw_to(addresses[1], &ask).starts_with("HTTP/1.1 401 "));
    println!("R5 revoked here, refused there after {} ms", since.elapsed().as_millis());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}
