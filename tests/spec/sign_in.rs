//! Signing in: from a deep link through the vendor and back to it.

use crate::harness::Gateway;

#[tokio::test]
async fn a_stranger_signs_in_and_arrives_where_they_were_going() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let page = browser.visit("/classes?week=2").await;

    assert_eq!((page.status.as_u16(), page.path_and_query()), (200, "/classes?week=2"));
    assert_eq!(gateway.upstream().last_request().field("x-member-id"), "400007995-00");
}

#[tokio::test]
async fn two_tabs_that_start_at_once_both_arrive() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    let first = browser.up_to_the_callback("/classes?week=1").await;
    let second = browser.up_to_the_callback("/book").await;

    assert_eq!(browser.go(&second).await.location(), "/book");
    assert_eq!(browser.go(&first).await.location(), "/classes?week=1");
}
