//! Access rules: who gets through to which paths.

use http::Method;

use crate::harness::{Gateway, NAVIGATION, Options};

#[tokio::test]
async fn a_public_path_is_open_and_the_upstream_is_told_of_nobody() {
    let gateway = Gateway::with_sandbox();
    let mut member = gateway.signed_in().await;

    for browser in [&mut gateway.browser(), &mut member] {
        assert_eq!(browser.go("/public/style.css").await.status, 200);
        let request = gateway.upstream().last_request();
        assert!(!request.has("x-member-id") && !request.has("signature"), "{}", request.head());
    }
}

#[tokio::test]
async fn an_optional_path_is_open_and_the_upstream_is_told_of_members() {
    let gateway = Gateway::with_sandbox();
    let mut member = gateway.signed_in().await;

    assert_eq!(gateway.browser().go("/optional/news").await.status, 200);
    assert!(!gateway.upstream().last_request().has("x-member-id"));
    assert_eq!(member.go("/optional/news").await.status, 200);
    assert_eq!(gateway.upstream().last_request().field("x-member-id"), "400007995-00");
}

#[tokio::test]
async fn where_no_rule_matches_a_session_is_needed() {
    let gateway = Gateway::with_sandbox();

    for path in ["/", "/anything", "/publicity", "/public.html", "/Public/x", "/a/public/x"] {
        assert_eq!(gateway.browser().fetch(Method::GET, path, &[]).await.status, 401, "{path}");
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_pattern_with_two_stars_means_the_path_itself_and_all_below() {
    let gateway = Gateway::with_sandbox();

    for path in ["/public", "/public/", "/public/a/b/c.css"] {
        assert_eq!(gateway.browser().fetch(Method::GET, path, &[]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_denied_path_is_open_to_nobody() {
    let gateway = Gateway::with_sandbox();
    let mut member = gateway.signed_in().await;

    for browser in [&mut gateway.browser(), &mut member] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let page = browser.request(method, "/denied/x", &NAVIGATION, "").await;
            assert_eq!((page.status.as_u16(), page.set_cookies().len()), (403, 0));
        }
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_member_whom_the_rule_does_not_name_gets_403() {
    let gateway = Gateway::with_sandbox();
    let mut rosa = gateway.signed_in().await;

    let page = rosa.go("/staff/rota").await;

    assert_eq!(page.status, 403);
    assert!(page.field("content-type").starts_with("text/html"));
    assert_eq!(
        rosa.fetch(Method::GET, "/staff/rota", &[]).await.field("content-type"),
        "application/problem+json"
    );
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_member_whom_the_rule_names_gets_through() {
    let gateway = Gateway::with_sandbox();
    let mut tomasz = gateway.browser();
    tomasz.member = ("tomasz", "tomasz-runs");

    assert_eq!(tomasz.visit("/staff/rota").await.status, 200);
    assert_eq!(gateway.upstream().last_request().field("x-member-unit-id"), "400011208");
}

#[tokio::test]
async fn a_stranger_on_a_path_for_some_members_is_asked_to_sign_in() {
    let gateway = Gateway::with_sandbox();

    assert_eq!(gateway.browser().go("/staff/rota").await.status, 302);
}

#[tokio::test]
async fn a_rule_holds_for_the_methods_it_names_alone() {
    let more = "[[site.rule]]\npath = \"/files/**\"\nmethods = [\"GET\", \"HEAD\"]\naccess = \"public\"";
    let gateway = Gateway::with(&Options { more, ..Options::USUAL });
    let mut browser = gateway.browser();

    for (method, status) in [
        (Method::GET, 200),
        (Method::HEAD, 200),
        (Method::POST, 401),
        (Method::DELETE, 401),
        (Method::OPTIONS, 401),
    ] {
        assert_eq!(browser.fetch(method.clone(), "/files/a", &[]).await.status, status, "{method}");
    }
    assert_eq!(gateway.upstream().requests().len(), 2);
}

#[tokio::test]
async fn the_first_rule_that_matches_counts() {
    let more = "[[site.rule]]\npath = \"/shop/basket\"\naccess = \"member\"\n\
                [[site.rule]]\npath = \"/shop/**\"\naccess = \"public\"\n\
                [[site.rule]]\npath = \"/shop/closed\"\naccess = \"deny\"";
    let gateway = Gateway::with(&Options { more, ..Options::USUAL });
    let mut browser = gateway.browser();

    for (path, status) in [("/shop/basket", 401), ("/shop/a", 200), ("/shop/closed", 200)] {
        assert_eq!(browser.fetch(Method::GET, path, &[]).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_path_that_can_be_read_as_a_public_and_as_another_one_is_refused() {
    let gateway = Gateway::with_sandbox();

    for path in [
        "/public/../classes",
        "/public/%2e%2e/classes",
        "/public/..%2fclasses",
        "/public/%252e%252e/classes",
        "/public/..;/classes",
        "/public/..\\classes",
        "/public/%5c..%5c..%5cclasses",
        "/classes/../public/x",
        "/public%2f..%2fclasses",
        "//public/x",
        "/public;x/y",
        "/classes%00/../public/x",
    ] {
        let answer = gateway
            .raw(format!("GET {path} HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_denied_path_is_denied_in_all_its_spellings() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.signed_in().await.session_cookie().unwrap();

    for path in [
        "/denied/x",
        "/%64enied/x",
        "/a/../denied/x",
        "//denied/x",
        "/denied;a/x",
        "/denied%2fx",
        "/./denied",
    ] {
        let head = "Host: members.localhost\r\nConnection: close\r\nAccept: text/html";
        let answer = gateway
            .raw(format!("GET {path} HTTP/1.1\r\n{head}\r\nCookie: __Host-member-session={cookie}\r\n\r\n"));
        let refused = answer.starts_with("HTTP/1.1 403 ") || answer.starts_with("HTTP/1.1 400 ");
        assert!(refused, "{path}: {answer}");
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn a_path_all_of_whose_readings_fall_under_one_rule_arrives_byte_for_byte() {
    let gateway = Gateway::with_sandbox();

    for target in [
        "/public/a%2Fb",
        "/public/a//b/",
        "/public/x;jsessionid=1?a=%41&b=+%20&&c",
        "/public/%E2%82%AC?%",
        "/public/./a",
        "/public/a?",
        "/public/a%2fb?next=/../..//x",
    ] {
        let answer = gateway
            .raw(format!("GET {target} HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
        assert_eq!(gateway.upstream().last_request().target, target);
    }
}

#[tokio::test]
async fn case_is_ignored_where_the_site_says_so() {
    let gateway = Gateway::with(&Options { site: "ignore_case = true", ..Options::USUAL });
    let mut browser = gateway.browser();

    assert_eq!(browser.fetch(Method::GET, "/PUBLIC/x", &[]).await.status, 200);
    assert_eq!(browser.fetch(Method::GET, "/Denied/x", &[]).await.status, 403);
    assert_eq!(browser.fetch(Method::GET, "/_GATEWAY/session", &[]).await.status, 404);
}

#[test]
fn a_method_that_is_not_in_capitals_is_none_for_which_a_rule_was_written() {
    let gateway = Gateway::with_sandbox();

    for method in ["get", "Get", "gET", "delete", "Post", "pOST", "M-search"] {
        let answer = gateway.raw(format!(
            "{method} /public/x HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 501 "), "{method}: {answer}");
    }
    assert_eq!(gateway.upstream().connections(), 0);
}

#[test]
fn a_path_made_to_be_read_in_many_ways_is_refused_whatever_the_rules_say() {
    let gateway = Gateway::with_sandbox();

    for (times, status) in [(8, 200), (40, 400), (2000, 400)] {
        let escaped = "25".repeat(times);
        let answer = gateway.raw(format!(
            "GET /public/%{escaped}2e HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"
        ));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{times}: {answer}");
    }
    assert_eq!(gateway.upstream().requests().len(), 1);
}
