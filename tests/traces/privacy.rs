//! What is in no span, whatever a request brings.

use http::Method;

use crate::harness::parameter;
use crate::scene::Scene;

#[tokio::test]
async fn no_query_no_cookie_no_field_and_nothing_of_a_member_is_in_any_span() {
    let scene = Scene::new();
    let mut browser = scene.browser();
    let callback = browser.up_to_the_callback("/page?canary-query=1").await;
    browser.go(&callback).await;
    let fields = [
        ("x-canary", "canary-field"),
        ("user-agent", "canary-agent"),
        ("authorization", "Bearer canary-token"),
        ("tracestate", "canary=1"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("x-request-id", "canary-id"),
    ];
    let page = browser.fetch(Method::GET, "/page?canary-query=1", &fields).await;
    assert_eq!(page.status, 200);
    scene.ask("CANARY /refused?canary-query", "");
    let session = browser.session().await;
    scene.ask("GET /public/last?canary-query=1", "Referer: canary-page\r\n");

    scene.served("/public/last");
    let callback_span = scene.served("/_gateway/callback/ymca");
    assert_eq!(callback_span.says("http.response.status_code"), "303");
    let cookies: Vec<String> = browser.cookies().into_values().collect();
    assert!(!cookies.is_empty());
    let given = ["code", "state"].map(|name| parameter(&callback, name).unwrap());
    let ids =
        ["member_id", "member_unit_id", "session_id"].map(|name| session[name].as_str().unwrap().to_owned());
    let words = ["canary", "CANARY", "Rosa", "rosa", "127.0.0.1", "?"].map(str::to_owned);
    for span in scene.collector.spans() {
        let mut text = format!("{span:?}");
        if span.is_client() {
            // The address of the app is no secret.
            text = text.replace("127.0.0.1", "the app");
        }
        for canary in cookies.iter().chain(&given).chain(&ids).chain(&words) {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
    // Nor in what this reading of them leaves out.
    for delivery in scene.collector.deliveries() {
        let text = String::from_utf8_lossy(&delivery.body).into_owned();
        for canary in cookies.iter().chain(&given).chain(&ids).chain(&words[..4]) {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

#[test]
fn a_path_as_long_as_a_book_is_cut() {
    let scene = Scene::new();
    let path = format!("/public/{}", "a".repeat(4000));
    scene.ask(&format!("GET {path}"), "");
    let call = scene.call_of(&scene.served(&path[..1024]));
    assert!(call.says("url.full").ends_with(&path[..1024]), "{call:?}");
}
