//! Bad days at the vendor: whatever its services answer, the member gets a page, nobody is signed in by mistake, no code
//! is tried twice, and the next login works.

use member_gateway::sandbox::daxko::{Endpoint, Fault};
use serde_json::{Value, json};

use crate::harness::{Gateway, Options, Page, Upstream};

const ME: Endpoint = Endpoint::MembersMe;
const TOKEN: Endpoint = Endpoint::MemberToken;

/// A login on a day on which one endpoint is at fault.
async fn ends_with(gateway: &Gateway, endpoint: Endpoint, fault: Fault, status: u16) -> Page {
    let what = format!("{endpoint:?}: {fault:?}");
    let what = what.get(..120).unwrap_or(&what);
    let (before, mut browser) = (gateway.exchanges(), gateway.browser());
    let callback = browser.up_to_the_callback("/classes").await;
    gateway.daxko().faults().always(endpoint, fault);

    let page = browser.visit(&callback).await;

    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", status), "{what}: {}", page.body);
    assert!(page.body.contains("Sign in again"), "{what}");
    assert_eq!(browser.session_cookie(), None, "{what}");
    assert_eq!(gateway.exchanges(), before + 1, "{what}: the code is tried once");
    gateway.daxko().faults().clear();
    assert_eq!(browser.visit("/classes").await.path_and_query(), "/classes", "{what}: the next login works");
    page
}

/// The same, where the vendor's answer makes no sense and its content is not looked at.
async fn is_unintelligible(gateway: &Gateway, endpoint: Endpoint, fault: Fault) {
    let page = ends_with(gateway, endpoint, fault, 502).await;
    assert!(page.body.contains("an answer that makes no sense"), "{}", page.body);
}

async fn id_is_refused(value: Value) {
    let gateway = Gateway::with_sandbox();
    for name in ["member_id", "member_unit_id"] {
        let fault = Fault::WithField { name: name.into(), value: value.clone() };
        ends_with(&gateway, ME, fault, 502).await;
    }
}

async fn id_is_taken(value: Value, id: &str) {
    let gateway = Gateway::with_sandbox();
    gateway.daxko().faults().next(ME, Fault::WithField { name: "member_id".into(), value });
    gateway.signed_in().await.go("/").await;
    assert_eq!(gateway.upstream().last_request().field("x-member-id"), id);
}

#[tokio::test]
async fn a_page_in_place_of_json() {
    let gateway = Gateway::with_sandbox();
    is_unintelligible(&gateway, TOKEN, Fault::Html).await;
    is_unintelligible(&gateway, ME, Fault::Html).await;
}

#[tokio::test]
async fn a_server_error() {
    let gateway = Gateway::with_sandbox();
    for status in [500, 502, 503] {
        ends_with(&gateway, TOKEN, Fault::Status(status), 503).await;
        ends_with(&gateway, ME, Fault::Status(status), 503).await;
    }
}

#[tokio::test]
async fn an_odd_status() {
    let gateway = Gateway::with_sandbox();
    for status in [400, 401, 403, 404, 418] {
        // The sandbox says `server_error` with each of them; a token endpoint that says so is out of order.
        ends_with(&gateway, TOKEN, Fault::Status(status), 503).await;
        ends_with(&gateway, ME, Fault::Status(status), 502).await;
    }
}

#[tokio::test]
async fn no_answer_at_all() {
    let gateway = Gateway::with(&Options { provider: "timeout = \"1s\"", ..Options::USUAL });
    ends_with(&gateway, TOKEN, Fault::NoAnswer, 503).await;
    ends_with(&gateway, ME, Fault::NoAnswer, 503).await;
}

#[tokio::test]
async fn a_connection_that_is_closed() {
    let gateway = Gateway::with_sandbox();
    ends_with(&gateway, TOKEN, Fault::ClosedConnection, 503).await;
    ends_with(&gateway, ME, Fault::ClosedConnection, 503).await;
}

#[tokio::test]
async fn ten_megabytes() {
    let gateway = Gateway::with_sandbox();
    is_unintelligible(&gateway, TOKEN, Fault::Oversized).await;
    is_unintelligible(&gateway, ME, Fault::Oversized).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (gateway, elsewhere) = (Gateway::with_sandbox(), Upstream::start());
    let address = format!("http://{}/token", elsewhere.address());

    is_unintelligible(&gateway, TOKEN, Fault::Redirect(address.clone())).await;
    is_unintelligible(&gateway, ME, Fault::Redirect(address)).await;

    assert!(elsewhere.requests().is_empty(), "the secrets stay where they belong");
}

#[tokio::test]
async fn a_success_that_holds_an_error() {
    let gateway = Gateway::with_sandbox();
    ends_with(&gateway, TOKEN, Fault::ErrorBody, 503).await;
    ends_with(&gateway, ME, Fault::ErrorBody, 502).await;
}

#[tokio::test]
async fn too_many_requests() {
    let gateway = Gateway::with_sandbox();
    for retry_after in [None, Some(7)] {
        ends_with(&gateway, TOKEN, Fault::TooManyRequests { retry_after }, 503).await;
        ends_with(&gateway, ME, Fault::TooManyRequests { retry_after }, 503).await;
    }
}

#[tokio::test]
async fn a_token_response_without_a_token() {
    let gateway = Gateway::with_sandbox();
    ends_with(&gateway, TOKEN, Fault::WithoutField("access_token".into()), 502).await;
    for value in [json!(null), json!(""), json!(7), json!("a\r\nX-Evil: 1"), json!("a b")] {
        ends_with(&gateway, TOKEN, Fault::WithField { name: "access_token".into(), value }, 502).await;
    }
}

#[tokio::test]
async fn a_token_that_is_no_bearer_token() {
    let gateway = Gateway::with_sandbox();
    let fault = |value| Fault::WithField { name: "token_type".into(), value };
    ends_with(&gateway, TOKEN, fault(json!("mac")), 502).await;
    ends_with(&gateway, TOKEN, fault(json!(7)), 502).await;
}

#[tokio::test]
async fn the_lifetime_of_a_token_may_be_a_number_or_missing() {
    let gateway = Gateway::with_sandbox();
    gateway.daxko().faults().numeric_expires_in(true);
    gateway.signed_in().await;
    gateway.daxko().faults().next(TOKEN, Fault::WithoutField("expires_in".into()));
    gateway.signed_in().await;
}

#[tokio::test]
async fn an_id_that_is_missing() {
    let gateway = Gateway::with_sandbox();
    for name in ["member_id", "member_unit_id"] {
        ends_with(&gateway, ME, Fault::WithoutField(name.into()), 502).await;
    }
}

#[tokio::test]
async fn an_id_that_is_null() {
    id_is_refused(json!(null)).await;
}

#[tokio::test]
async fn an_id_that_is_empty() {
    id_is_refused(json!("")).await;
}

#[tokio::test]
async fn an_id_of_blanks() {
    id_is_refused(json!("  ")).await;
}

#[tokio::test]
async fn an_id_that_is_a_list_an_object_or_a_truth() {
    for value in [json!(["400007995-00"]), json!({ "id": "400007995-00" }), json!(true)] {
        id_is_refused(value).await;
    }
}

#[tokio::test]
async fn an_id_that_is_too_long() {
    id_is_refused(json!("4".repeat(255))).await;
}

#[tokio::test]
async fn an_id_with_a_line_end() {
    for value in [json!("4000\r\nX-Evil: 1"), json!("4000\n"), json!("4000\u{0}")] {
        id_is_refused(value).await;
    }
}

#[tokio::test]
async fn an_id_that_could_be_read_as_two_or_as_quoted() {
    for value in [json!("1,2"), json!("1;2"), json!("1\"2"), json!("1\\2"), json!("1 2")] {
        id_is_refused(value).await;
    }
}

#[tokio::test]
async fn an_id_that_is_not_ascii() {
    for value in [json!("４００"), json!("é"), json!("4000\u{7f}")] {
        id_is_refused(value).await;
    }
}

#[tokio::test]
async fn an_id_that_is_no_whole_number_or_too_large_for_one() {
    let huge: Value = serde_json::from_str("400007995000000000000000").unwrap();
    for value in [json!(4.5), json!(-1), huge] {
        id_is_refused(value).await;
    }
}

#[tokio::test]
async fn an_id_that_is_a_whole_number_is_taken_digit_for_digit() {
    id_is_taken(json!(400_007_995_u64), "400007995").await;
    id_is_taken(json!(u64::MAX), "18446744073709551615").await;
}

#[tokio::test]
async fn an_id_with_leading_zeros_keeps_them() {
    id_is_taken(json!("0004-00"), "0004-00").await;
}

#[tokio::test]
async fn an_id_of_254_characters_is_taken() {
    let id = "4".repeat(254);
    id_is_taken(json!(id), &id).await;
}

#[tokio::test]
async fn a_form_that_is_out_of_order_ends_at_the_vendor_and_leaves_the_attempt() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let start = browser.go("/classes").await;
    gateway.daxko().faults().next(Endpoint::Authorize, Fault::Status(500));
    assert_eq!(browser.go(start.location()).await.status, 500);

    let form = browser.go(start.location()).await;
    let callback = browser.submit_form(&form).await.location().to_owned();

    assert_eq!(browser.go(&callback).await.location(), "/classes");
}
