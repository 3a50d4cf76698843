//! Gate R6: the vendor is down, slow, or talks nonsense.

use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::harness::{Gateway, Options};
use crate::load::{Load, app};
use crate::scaled;

/// How many come back from the vendor at once. Beyond the bound on calls, which is 64, somebody has to be told to wait.
const AT_ONCE: usize = scaled(80, 400);

#[tokio::test(flavor = "multi_thread")]
async fn only_sign_ins_fail_and_nobody_goes_round_in_circles() {
    for (name, fault, statuses) in [
        ("down", Fault::ClosedConnection, [503, 503]),
        ("in trouble", Fault::Status(500), [503, 502]),
        ("nonsense", Fault::Html, [502, 503]),
        ("silent", Fault::NoAnswer, [503, 503]),
    ] {
        let gateway = Gateway::with(&Options {
            server: "limits = { login_starts = 1000000 }",
            provider: "timeout = \"2s\"",
            upstream: Some(app()),
            ..Options::USUAL
        });
        let cookie = gateway.member().await;
        let mut coming = Vec::new();
        for _ in 0..AT_ONCE {
            let mut browser = gateway.browser();
            let callback = browser.up_to_the_callback("/").await;
            coming.push((browser, callback));
        }
        let before = gateway.exchanges();
        gateway.daxko().faults().always(Endpoint::MemberToken, fault);
        let load = Load::with_fields(&[gateway.address()], 2, &cookie);
        load.goes_on_for(50);
        let back = coming.into_iter().map(async |(mut browser, callback)| {
            let page = browser.visit(&callback).await;
            // One step to the page that says so, and no further.
            assert_eq!(page.url.path(), "/_gateway/error", "{name}");
            assert!(statuses.contains(&page.status.as_u16()), "{name}: {}", page.status);
        });
        futures_util::future::join_all(back).await;

        let calls = gateway.exchanges() - before;
        println!("R6 {name}: {AT_ONCE} came back at once, {calls} calls, members: {}", load.seen().waits());
        assert!(calls > 0, "{name}");
        // Where none of them ends, as many are under way as there ever are.
        assert!(calls <= 64 || name != "silent", "{calls}");
        load.goes_on_for(50);
        load.end().is_flawless();
    }
}
