//! The authorization request and the log-in form.

use reqwest::{Response, StatusCode};

use crate::harness::{CALLBACK, Sandbox, location, query_of, settings};
use member_gateway::sandbox::daxko::{Daxko, Settings};

/// 400, a page, no redirect, and the rule in words.
async fn assert_refused(response: Response, rule: &str) {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.headers().get("location").is_none());
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let page = response.text().await.expect("a page");
    assert!(page.contains(rule), "{page}");
}

#[tokio::test]
async fn d01_before_the_settings_are_saved_there_is_no_form() {
    let sandbox = Sandbox::with(Settings::default());
    assert_refused(sandbox.form(&[]).await, "never saved").await;
    assert_refused(sandbox.log_in(&[]).await, "never saved").await;
}

#[tokio::test]
async fn d01_a_redirect_uri_is_compared_character_for_character() {
    let sandbox = Sandbox::start();
    for uri in [
        "https://members.example.org/_gateway/callback/ymca/",
        "https://members.example.org/_gateway/callback/YMCA",
        "https://Members.example.org/_gateway/callback/ymca",
        "https://members.example.org:443/_gateway/callback/ymca",
        "http://members.example.org/_gateway/callback/ymca",
        "https://members.example.org/_gateway/callback/ymca?",
        "https://members.example.org/_gateway/callback/ymca?a=1",
        "https://members.example.org/_gateway/callback",
        "https://attacker.example/",
        "",
    ] {
        assert_refused(sandbox.form(&[("redirect_uri", uri)]).await, "character for character").await;
        assert_refused(sandbox.log_in(&[("redirect_uri", uri)]).await, "character for character").await;
    }
    assert_eq!(sandbox.form(&[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn d01_what_was_sent_is_shown_escaped() {
    let sandbox = Sandbox::start();
    let page = sandbox.form(&[("redirect_uri", "<script>alert(1)</script>")]).await.text().await.unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
}

#[tokio::test]
async fn d02_an_unknown_client_id_is_refused() {
    let sandbox = Sandbox::start();
    for client_id in ["4711", "LAKES_WEB", ""] {
        assert_refused(sandbox.form(&[("client_id", client_id)]).await, "no API username").await;
    }
}

#[tokio::test]
async fn d02_a_response_type_other_than_code_is_refused() {
    let sandbox = Sandbox::start();
    for response_type in ["token", "code token", "Code", ""] {
        assert_refused(sandbox.form(&[("response_type", response_type)]).await, "response_type").await;
    }
}

#[tokio::test]
async fn d02_a_scope_without_client_or_basic_info_is_refused() {
    let sandbox = Sandbox::start();
    for scope in ["member:basic_info", "client:x member:basic_info", "clientIntegrationId:OPS_4711", ""] {
        assert_refused(sandbox.form(&[("scope", scope)]).await, "names no client").await;
    }
    assert_refused(sandbox.form(&[("scope", "client:4711")]).await, "lacks member:basic_info").await;
}

#[tokio::test]
async fn d02_a_client_that_is_not_granted_is_refused() {
    let sandbox = Sandbox::start();
    assert_refused(sandbox.form(&[("scope", "client:4712 member:basic_info")]).await, "not granted").await;
    assert_eq!(sandbox.last().refused_by, Some("The client of the scope is not granted to this client_id."));
}

#[tokio::test]
async fn d03_the_scope_may_be_written_in_every_way_that_decodes_alike() {
    let sandbox = Sandbox::start();
    let rest = "response_type=code&client_id=lakes_web&state=s&\
                redirect_uri=https%3A%2F%2Fmembers.example.org%2F_gateway%2Fcallback%2Fymca";
    for scope in [
        "client:4711+member:basic_info",
        "client:4711%20member:basic_info",
        "client%3A4711+member%3Abasic_info",
        "client%3a4711%20member:basic_info",
    ] {
        let answer = sandbox.raw_form(&format!("{rest}&scope={scope}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{scope}");
    }
    assert_refused(
        sandbox.raw_form(&format!("{rest}&scope=client:4711%2Bmember:basic_info")).await,
        "no client",
    )
    .await;
}

#[tokio::test]
async fn d04_a_code_is_appended_to_the_query_a_redirect_uri_has() {
    let with_query = format!("{CALLBACK}?site=2");
    let sandbox =
        Sandbox::with(Settings { valid_redirect_uris: Some(vec![with_query.clone()]), ..settings() });
    let answer = sandbox.log_in(&[("redirect_uri", &with_query)]).await;
    assert!(location(&answer).starts_with(&format!("{with_query}&code=")), "{}", location(&answer));
    assert_eq!(query_of(&answer, "site").as_deref(), Some("2"));
}

#[tokio::test]
async fn d05_a_state_comes_back_byte_for_byte() {
    let sandbox = Sandbox::start();
    let state = "-._~:/?#[]@!$&'()*+,;= %2B%\"<>\\^`{|}ü";
    let page = sandbox.form(&[("state", state)]).await.text().await.unwrap();
    assert!(
        page.contains("name=\"state\" value=\"-._~:/?#[]@!$&amp;'()*+,;= %2B%&quot;&lt;&gt;\\^`{|}ü\""),
        "{page}"
    );
    let answer = sandbox.log_in(&[("state", state)]).await;
    assert_eq!(query_of(&answer, "state").as_deref(), Some(state));
}

#[tokio::test]
async fn d05_a_state_that_was_not_sent_does_not_come_back() {
    let sandbox = Sandbox::start();
    let answer = sandbox.log_in(&[("state", "")]).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert!(!location(&answer).contains("state"), "{}", location(&answer));
}

#[tokio::test]
async fn d06_a_wrong_password_or_an_unknown_user_stays_on_the_form() {
    let sandbox = Sandbox::start();
    for (username, password) in
        [("rosa", "wrong"), ("rosa", ""), ("nobody", "rosa-swims"), ("ines", "ines-sails")]
    {
        let answer = sandbox.log_in(&[("username", username), ("password", password)]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().get("location").is_none());
        let page = answer.text().await.unwrap();
        assert!(page.contains("role=\"alert\"") && page.contains("do not match"), "{page}");
        assert!(page.contains("name=\"state\" value=\"q7Zk3n\""), "the parameters are carried on: {page}");
    }
}

#[tokio::test]
async fn a_good_password_ends_in_a_redirect_with_code_and_state() {
    let sandbox = Sandbox::start();
    let answer = sandbox.log_in(&[]).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(query_of(&answer, "state").as_deref(), Some("q7Zk3n"));
    let code = query_of(&answer, "code").unwrap();
    assert!(
        code.len() == 43 && code.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)),
        "{code}"
    );
    assert_ne!(sandbox.code(&[]).await, code);
}

#[tokio::test]
async fn the_form_signs_the_sample_member_in_with_one_click() {
    let page = Sandbox::start().form(&[]).await.text().await.unwrap();
    let rosa = Daxko::members()[0];
    assert_eq!(rosa.member_id, "400007995-00");
    assert!(page.contains(&format!("value=\"{}\"", rosa.username)), "{page}");
    assert!(page.contains(&format!("value=\"{}\"", rosa.password)), "{page}");
}

#[tokio::test]
async fn another_member_is_picked_by_a_link_that_keeps_the_request() {
    let sandbox = Sandbox::start();
    let page = sandbox.form(&[]).await.text().await.unwrap();
    let link = page.split("href=\"").find(|rest| rest.contains("sandbox_member=400007995-01")).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let page = sandbox.http.get(sandbox.url(&link)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("value=\"jin\"") && page.contains("value=\"jin-rows\""), "{page}");
    assert!(
        page.contains("name=\"state\" value=\"q7Zk3n\"") && !page.contains("name=\"sandbox_member\""),
        "{page}"
    );
}

#[tokio::test]
async fn links_are_shown_only_where_there_is_somewhere_to_go() {
    let links = Settings {
        sign_up_url: "https://www.example.org/join".into(),
        forgot_password_url: " ".into(),
        ..settings()
    };
    let page = Sandbox::with(links).form(&[]).await.text().await.unwrap();
    assert!(page.contains("href=\"https://www.example.org/join\"") && !page.contains("Forgot"), "{page}");
    let page = Sandbox::start().form(&[]).await.text().await.unwrap();
    assert!(!page.contains("Create an account") && !page.contains("Forgot"), "{page}");
}

#[tokio::test]
async fn a_repeated_parameter_is_refused() {
    let sandbox = Sandbox::start();
    let twice = sandbox.raw_form("client_id=lakes_web&client_id=harbor_kiosk").await;
    assert_refused(twice, "at most once").await;
}

#[tokio::test]
async fn the_page_runs_no_script_and_is_in_no_frame() {
    let answer = Sandbox::start().form(&[]).await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!answer.text().await.unwrap().contains("<script"));
}
