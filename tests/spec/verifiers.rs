//! The verifiers of docs/verify/, as the apps that they are, behind the gateway whose signatures they verify.

use crate::harness::{Gateway, Options, SIGNING_KEY};

#[path = "../verifiers/app.rs"]
#[allow(dead_code, reason = "the tests of the verifiers alone use the rest")]
mod app;

use app::App;

/// A member is known to the app, and nobody is who comes past the gateway.
async fn knows_members_and_them_alone(name: &'static str) {
    let app = App::started(name, SIGNING_KEY);
    let gateway =
        Gateway::with(&Options { real_time: true, upstream: Some(app.address), ..Options::default() });

    let page = gateway.browser().visit("/classes?week=2").await;
    assert_eq!((page.status.as_u16(), page.path_and_query()), (200, "/classes?week=2"), "{}", page.body);
    assert_eq!(page.body.trim_end(), "member 400007995-00 of unit 400007995 (ymca)");

    let forged = "GET /classes?week=2 HTTP/1.1\r\nHost: members.localhost\r\nX-Member-Id: 400007995-00\r\n\
                  X-Member-Unit-Id: 400007995\r\nX-Member-Provider: ymca\r\nConnection: close\r\n\r\n";
    let answer = app.ask(forged.as_bytes());
    assert_eq!((answer.status, &*answer.text), (401, "no-signature"));

    let public = gateway.raw(forged.replace("/classes", "/public/classes"));
    assert!(public.starts_with("HTTP/1.1 401 ") && public.contains("no-signature"), "{public}");
}

#[tokio::test]
async fn an_app_in_php_knows_members_and_them_alone() {
    knows_members_and_them_alone("verify.php").await;
}

#[tokio::test]
async fn an_app_in_python_knows_members_and_them_alone() {
    knows_members_and_them_alone("verify.py").await;
}

#[tokio::test]
async fn an_app_in_node_knows_members_and_them_alone() {
    knows_members_and_them_alone("verify.mjs").await;
}
