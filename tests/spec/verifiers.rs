//! The apps in `examples/`, and the servers of docs/verify/, which verify with the files in `verify/`, behind the gateway
//! whose signatures they verify.

mod app;

use app::{App, Example};

use crate::harness::{Gateway, Options};

/// A member is known to the app, and nobody is who comes past the gateway or past the sign-in.
async fn knows_members_and_them_alone(example: Example) {
    let app = App::start(example);
    let gateway =
        Gateway::with(&Options { real_time: true, upstream: Some(app.address), ..Options::default() });

    // A path that only its raw form tells: whoever verifies what was decoded, verifies another.
    for target in ["/classes?week=2", "/classes/a%20b/c%2Bd;e=f?g=%26h&&i"] {
        let page = gateway.browser().visit(target).await;
        assert_eq!(
            (page.status.as_u16(), page.path_and_query()),
            (200, target),
            "{example:?}: {}",
            page.body
        );
        assert!(
            page.body.contains("member 400007995-00 of unit 400007995 (ymca)"),
            "{example:?}: {}",
            page.body
        );
    }

    let forged = "GET /classes?week=2 HTTP/1.1\r\nHost: members.localhost\r\nX-Member-Id: 400007995-00\r\n\
                  X-Member-Unit-Id: 400007995\r\nX-Member-Provider: ymca\r\nConnection: close\r\n\r\n";
    let answer = app.ask(forged);
    assert!(answer.starts_with("HTTP/1.1 401 "), "{example:?}: {answer}");

    // On a public path nobody is anybody, with or without the gateway.
    let forged = forged.replace("/classes", "/public/classes");
    for answer in [app.ask(&forged), gateway.raw(forged)] {
        let is_public =
            answer.starts_with("HTTP/1.1 200 ") && answer.contains("the schedule, for everybody\n");
        assert!(is_public, "{example:?}: {answer}");
    }
}

/// What was signed for a member is nothing on another path, behind the gateway's back.
async fn refuses_what_was_signed_for_another_request(example: Example) {
    let app = App::start(example);
    let gateway = Gateway::with(&Options { real_time: true, ..Options::default() });
    gateway.browser().visit("/classes?week=2").await;
    let head = gateway.upstream().last_request().head();
    let head = head.trim_end().to_owned() + "\r\nConnection: close\r\n\r\n";

    assert!(app.ask(&head).starts_with("HTTP/1.1 200 "), "{example:?} believes what was signed");
    let answer = app.ask(&head.replacen("week=2", "week=3", 1));
    let is_refused = answer.starts_with("HTTP/1.1 401 ") && answer.contains("wrong-signature");
    assert!(is_refused, "{example:?}: {answer}");
}

/// What the documentation has for servers in front of apps that cannot verify.
async fn lets_members_in_and_nobody_else(example: Example) {
    let app = App::start(example);
    let gateway =
        Gateway::with(&Options { real_time: true, upstream: Some(app.address), ..Options::default() });
    for target in ["/classes?week=2", "/cl%61sses?a=%26&&b"] {
        let page = gateway.browser().visit(target).await;
        assert_eq!((page.status.as_u16(), &*page.body), (200, "the schedule\n"), "{example:?}");
    }
    let answer = app.ask(
        "GET /classes HTTP/1.1\r\nHost: members.localhost\r\nX-Member-Id: 1\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 401 "), "{example:?}: {answer}");
}

#[tokio::test]
async fn nginx_verifies_for_an_app_that_cannot() {
    lets_members_in_and_nobody_else(Example::Nginx).await;
    refuses_what_was_signed_for_another_request(Example::Nginx).await;
}

#[tokio::test]
async fn apache_verifies_for_an_app_that_cannot() {
    lets_members_in_and_nobody_else(Example::Apache).await;
}

#[tokio::test]
async fn a_page_in_php_knows_members_and_them_alone() {
    knows_members_and_them_alone(Example::Php).await;
    refuses_what_was_signed_for_another_request(Example::Php).await;
}

#[tokio::test]
async fn an_app_in_flask_knows_members_and_them_alone() {
    knows_members_and_them_alone(Example::Flask).await;
    refuses_what_was_signed_for_another_request(Example::Flask).await;
}

#[tokio::test]
async fn an_app_in_express_knows_members_and_them_alone() {
    knows_members_and_them_alone(Example::Express).await;
    refuses_what_was_signed_for_another_request(Example::Express).await;
}

#[tokio::test]
async fn a_servlet_knows_members_and_them_alone() {
    knows_members_and_them_alone(Example::Servlet).await;
    refuses_what_was_signed_for_another_request(Example::Servlet).await;
}
