//! A Redis over TLS: who has to vouch for it before it is told anything, and what it is shown.

use http::Method;

use crate::doctor;
use crate::harness::{Authority, Folder, Gateway, Options, Redis, eventually, raw_to};
use crate::revocation::{ADMIN, revoke};

const MUTUAL: &str = "{ ca = \"ca.pem\", cert = \"gateway.pem\", key = \"gateway.key\" }";

/// An authority, and this folder with its certificate and one that it has issued to the gateway.
fn scene(folder: Folder) -> (Authority, Folder) {
    let authority = Authority::new();
    let (cert, key) = authority.issue(&["gateway.internal"]);
    let folder = folder.and("ca.pem", authority.pem()).and("gateway.pem", &cert).and("gateway.key", &key);
    (authority, folder)
}

fn gateway(folder: &Folder, redis: &Redis) -> Gateway {
    let session = format!("store = \"{}\"\nstore_tls = {MUTUAL}", redis.secured_url());
    Gateway::with(&Options { session: session.leak(), folder: Some(folder.path().to_owned()), ..ADMIN })
}

fn ready(gateway: &Gateway) -> String {
    raw_to(gateway.admin(), "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn gateways_share_a_redis_that_their_authority_vouches_for_and_are_shown_to_it() {
    let (authority, folder) = scene(Folder::empty());
    let mut redis = Redis::secured(&authority.issue(&["localhost"]), &authority);
    let (one, other) = (gateway(&folder, &redis), gateway(&folder, &redis));
    let mut there = one.signed_in().await.at(&other);
    assert_eq!(there.fetch(Method::GET, "/api/classes", &[]).await.status, 200);

    redis.restart();
    eventually("it is reached again", || revoke(&one, r#"{"all": true}"#).starts_with("HTTP/1.1 204 "));

    for _ in 0..10_000 {
        if there.fetch(Method::GET, "/api/classes", &[]).await.status == 401 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the other does not hear of it");
}

#[test]
fn a_redis_that_nobody_vouches_for_is_told_nothing_and_it_is_said_why() {
    let (authority, folder) = scene(doctor::folder("http://127.0.0.1:9", "listen = [\"127.0.0.1:0\"]", ""));
    let file = folder.path().join("gateway.toml");
    let usual = std::fs::read_to_string(&file).unwrap();
    let stranger = Authority::new();
    let trusting = "{ ca = \"ca.pem\" }";
    for (issued, papers, why) in [
        // Its name is the same, and its key another one.
        (stranger.issue(&["localhost"]), MUTUAL, "BadSignature"),
        (authority.issue(&["redis.internal"]), MUTUAL, "not valid for name \"localhost\""),
        (authority.issue_until(&["localhost"], 2001), MUTUAL, "expired"),
        // The machine does not know this authority.
        (authority.issue(&["localhost"]), "{}", "UnknownIssuer"),
        // Redis wants to know who asks.
        (authority.issue(&["localhost"]), trusting, "CertificateRequired"),
    ] {
        let redis = Redis::secured(&issued, &authority);
        let url = redis.secured_url().replace("//", "//:swordfish@");
        let store = format!("\"{url}\"\nstore_tls = {papers}");
        std::fs::write(&file, usual.replace("\"file:ended\"", &store)).unwrap();

        let found = doctor::findings(&folder);

        assert!(found.contains("  WRONG    kept in the Redis at localhost:"), "{found}");
        assert!(found.contains(why) && found.contains("`store_tls` with its certificate"), "{why}: {found}");
        let commands = redis.says("INFO commandstats");
        assert!(!commands.contains("cmdstat_auth") && !commands.contains("cmdstat_hello"), "{commands}");
    }
}

#[tokio::test]
async fn a_gateway_lets_no_member_in_on_the_word_of_a_redis_with_another_name() {
    let (authority, folder) = scene(Folder::empty());
    let redis = Redis::secured(&authority.issue(&["redis.internal"]), &authority);
    let gateway = gateway(&folder, &redis);

    let mut rosa = Gateway::with_sandbox().signed_in().await.at(&gateway);

    assert_eq!(rosa.fetch(Method::GET, "/api/classes", &[]).await.status, 503);
    assert!(ready(&gateway).starts_with("HTTP/1.1 503 "));
    assert!(revoke(&gateway, r#"{"all": true}"#).starts_with("HTTP/1.1 503 "));
    assert!(redis.says("XLEN member-gateway:revocations").starts_with(":0\r\n"));
}
