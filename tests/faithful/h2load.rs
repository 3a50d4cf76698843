//! h2load: a hundred streams at a time over one connection, and each is answered.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::Upstream;
use crate::site::{NAME, Site, output};

/// 2 000 requests, of which a hundred are always under way; every one is answered 2xx.
fn all_are_answered(url: &str, to: SocketAddr, cookie: &str) {
    let mut command = Command::new("h2load");
    command.args(["--requests=2000", "--clients=1", "--max-concurrent-streams=100"]);
    command.args([&format!("--connect-to={to}"), "--header", &format!("cookie: {cookie}"), url]);
    let said = output(&mut command);
    assert!(said.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(said.contains("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{said}");
    let protocol = if url.starts_with("https") { "protocol: h2\n" } else { "protocol: h2c\n" };
    assert!(said.contains(protocol), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_streams_at_a_time_are_answered_over_tls_and_in_the_clear() {
    let app = Upstream::start();
    let site = Site::in_front_of(app.address(), "");
    let cookie = site.member().await;
    app.forget();

    tokio::task::spawn_blocking(move || {
        for path in ["/public/a", "/members"] {
            all_are_answered(&format!("https://{NAME}{path}"), site.secure, &cookie);
            all_are_answered(&format!("http://{NAME}{path}"), site.plain, &cookie);
        }
    })
    .await
    .unwrap();

    let requests = app.requests();
    assert_eq!(requests.len(), 8000);
    let members = requests.iter().filter(|request| request.fields.contains_key("x-member-id"));
    assert_eq!(members.count(), 4000);
}
