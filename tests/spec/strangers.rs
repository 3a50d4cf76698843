//! Strangers: what somebody gets who has not signed in.

use crate::harness::Gateway;

#[tokio::test]
async fn a_navigation_is_sent_to_the_vendor() {
    let gateway = Gateway::with_sandbox();

    let page = gateway.browser().go("/classes?week=2").await;

    assert_eq!(page.status, 302);
    assert!(page.location().starts_with(&gateway.daxko().base_url()), "{}", page.location());
    assert!(gateway.upstream().requests().is_empty());
}
