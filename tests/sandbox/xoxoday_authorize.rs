//! Xoxoday: the authorization request, log-in, sign-up and consent.

use reqwest::{Response, StatusCode};

use crate::harness::{location, query_of};
use crate::xoxoday::{CALLBACK, Sandbox, cookies_of};
use member_gateway::sandbox::xoxoday::{Switches, Visitor, Xoxoday};

/// 400, a page, no redirect, and the rule in words.
async fn assert_refused(response: Response, rule: &str) {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.headers().get("location").is_none());
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let page = response.text().await.expect("a page");
    assert!(page.contains(rule), "{page}");
}

/// Refused where the request comes in, and again at every form that carries it.
async fn assert_refused_everywhere(sandbox: &Sandbox, cookies: &str, change: (&str, &str), rule: &str) {
    assert_refused(sandbox.authorize("", &[change]).await, rule).await;
    assert_refused(sandbox.authorize(cookies, &[change]).await, rule).await;
    for path in ["/login", "/signup", "/signup/verify", "/consent", "/logout"] {
        assert_refused(sandbox.submit(path, cookies, &[("decision", "allow")], &[change]).await, rule).await;
    }
}

#[tokio::test]
async fn x01_an_unknown_client_id_is_refused() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    for client_id in ["9A31C0DE5F7742D08B6E14A2F3C5D7E9", "lakes_web", ""] {
        let change = ("client_id", client_id);
        assert_refused_everywhere(&sandbox, &cookies, change, "none of Xoxoday").await;
    }
}

#[tokio::test]
async fn x01_a_domain_that_is_not_registered_is_refused() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    for uri in [
        "https://attacker.example/",
        "https://members.example.org.attacker.example/_gateway/callback/rewards",
        "https://sub.members.example.org/_gateway/callback/rewards",
        "https://attacker.example\\@members.example.org/",
        "https://members.example.org@attacker.example/",
        "https://members.example.org/#fragment",
        "javascript://members.example.org/%0aalert(1)",
        "//members.example.org/_gateway/callback/rewards",
        "/_gateway/callback/rewards",
        "https://harbor.example.org/callback",
        "",
    ] {
        let change = ("redirect_uri", uri);
        assert_refused_everywhere(&sandbox, &cookies, change, "is not registered").await;
    }
}

#[tokio::test]
async fn x01_a_response_type_other_than_code_is_refused() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    for response_type in ["token", "code token", "Code", ""] {
        let change = ("response_type", response_type);
        assert_refused_everywhere(&sandbox, &cookies, change, "response_type").await;
    }
}

#[tokio::test]
async fn x01_a_repeated_parameter_is_refused() {
    let sandbox = Sandbox::start();
    assert_refused(sandbox.raw_authorize("", "client_id=a&client_id=b").await, "at most once").await;
}

#[tokio::test]
async fn a_request_that_would_fill_the_memory_is_refused() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    let long = format!("{CALLBACK}?{}", "x".repeat(2048));
    assert_refused_everywhere(&sandbox, &cookies, ("redirect_uri", &long), "too long").await;
    let scopes = ["user_session"; 4].join(",");
    assert_refused_everywhere(&sandbox, &cookies, ("scope", &scopes), "there twice").await;
}

#[tokio::test]
async fn x02_another_path_on_the_registered_domain_is_accepted_by_the_authorization_request() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    for uri in [
        "https://members.example.org/elsewhere",
        "https://MEMBERS.example.org/",
        "http://members.example.org/",
    ] {
        let answer = sandbox.decide(&cookies, "allow", &[("redirect_uri", uri)]).await;
        assert_eq!(answer.status(), StatusCode::FOUND);
        assert!(location(&answer).starts_with(&format!("{uri}?code=")), "{}", location(&answer));
    }
}

#[tokio::test]
async fn x03_a_scope_that_is_missing_or_unknown_is_refused() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    assert_refused_everywhere(&sandbox, &cookies, ("scope", ""), "scope is missing").await;
    for scope in ["admin", "user_session,admin", "User_Session", "user_session,", ",user_session"] {
        assert_refused_everywhere(&sandbox, &cookies, ("scope", scope), "scope is not registered").await;
    }
}

#[tokio::test]
async fn x03_scopes_separated_by_spaces_are_refused() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    for scope in ["user_session company_session", "user_session, company_session", " user_session"] {
        assert_refused_everywhere(&sandbox, &cookies, ("scope", scope), "not by spaces").await;
    }
}

#[tokio::test]
async fn x03_a_company_session_without_a_user_session_is_refused() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    assert_refused_everywhere(&sandbox, &cookies, ("scope", "company_session"), "contains user_session")
        .await;
    assert_eq!(sandbox.authorize("", &[("scope", "user_session")]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn x03_a_comma_may_be_written_raw_or_encoded() {
    let sandbox = Sandbox::start();
    let rest = "client_id=9a31c0de5f7742d08b6e14a2f3c5d7e9&response_type=code&\
                redirect_uri=https%3A%2F%2Fmembers.example.org%2F_gateway%2Fcallback%2Frewards";
    for scope in ["user_session,company_session", "user_session%2Ccompany_session"] {
        let answer = sandbox.raw_authorize("", &format!("{rest}&scope={scope}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{scope}");
    }
}

#[tokio::test]
async fn x04_a_visitor_logs_in_first_and_then_gives_consent() {
    let sandbox = Sandbox::start();
    let page = sandbox.authorize("", &[]).await.text().await.unwrap();
    assert!(page.contains("<h1>Log in</h1>") && page.contains("Sign up"), "{page}");

    let account = Xoxoday::accounts()[0];
    let fields = [("email", account.email), ("password", account.password)];
    let answer = sandbox.submit("/login", "", &fields, &[]).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert!(location(&answer).starts_with("/chef/v1/oauth/authorize?"), "{}", location(&answer));
    assert!(!location(&answer).contains("rosa"), "no address and no password in a URL");

    let next = format!("{}{}", sandbox.xoxoday.base_url(), location(&answer));
    let page = sandbox.http.get(next).header("cookie", cookies_of(&answer)).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("Allow access?") && page.contains("rosa.alvarez@example.org"), "{page}");
    assert!(page.contains("name=\"state\" value=\"q7Zk3n\""), "{page}");
}

#[tokio::test]
async fn x04_who_is_logged_in_gives_consent_at_once() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(1).await;
    let page = sandbox.authorize(&cookies, &[]).await.text().await.unwrap();
    assert!(page.contains("Allow access?") && page.contains("Jin.Kim@Example.org"), "{page}");
    sandbox.advance(86400);
    let page = sandbox.authorize(&cookies, &[]).await.text().await.unwrap();
    assert!(page.contains("<h1>Log in</h1>"), "a log-in ends after a day: {page}");
}

#[tokio::test]
async fn x04_a_wrong_password_or_an_unknown_address_stays_on_the_form() {
    let sandbox = Sandbox::start();
    for (email, password) in [
        ("rosa.alvarez@example.org", "wrong"),
        ("rosa.alvarez@example.org", ""),
        ("nobody@example.org", "rosa-swims"),
    ] {
        let answer = sandbox.submit("/login", "", &[("email", email), ("password", password)], &[]).await;
        assert_eq!((answer.status(), cookies_of(&answer)), (StatusCode::OK, String::new()));
        let page = answer.text().await.unwrap();
        assert!(page.contains("role=\"alert\"") && page.contains("value=\"q7Zk3n\""), "{page}");
    }
}

#[tokio::test]
async fn x04_a_code_needs_a_log_in() {
    let sandbox = Sandbox::start();
    for cookies in ["", "sandbox_xoxoday=made-up"] {
        let answer = sandbox.decide(cookies, "allow", &[]).await;
        assert!(location(&answer).starts_with("/chef/v1/oauth/authorize?"), "{}", location(&answer));
    }
}

#[tokio::test]
async fn x04_a_switch_denies_a_visitor_first_and_then_shows_the_log_in() {
    let sandbox = Sandbox::switched(Switches { visitor: Visitor::DeniedFirst, ..Switches::default() });
    let denied = sandbox.authorize("", &[]).await;
    assert_eq!(query_of(&denied, "error").as_deref(), Some("access_denied"));
    let page = sandbox.authorize(&cookies_of(&denied), &[]).await.text().await.unwrap();
    assert!(page.contains("<h1>Log in</h1>"), "{page}");
    let logged_in = sandbox.log_in(0).await;
    assert_eq!(sandbox.authorize(&logged_in, &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn x05_deny_is_the_documented_redirect_to_the_letter() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    let answer = sandbox.decide(&cookies, "deny", &[]).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(
        location(&answer),
        format!("{CALLBACK}?error=access_denied&error_description=The+user+denied+the+request&state=q7Zk3n")
    );
}

#[tokio::test]
async fn x05_allow_ends_in_a_redirect_with_code_and_state() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    let answer = sandbox.decide(&cookies, "allow", &[]).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    let code = query_of(&answer, "code").unwrap();
    assert_eq!(location(&answer), format!("{CALLBACK}?code={code}&state=q7Zk3n"));
    assert!(code.len() == 32 && code.bytes().all(|it| it.is_ascii_hexdigit()), "{code}");
    let with_query = format!("{CALLBACK}?site=2");
    let answer = sandbox.decide(&cookies, "allow", &[("redirect_uri", &with_query)]).await;
    assert!(location(&answer).starts_with(&format!("{with_query}&code=")), "{}", location(&answer));
}

#[tokio::test]
async fn x06_a_state_comes_back_byte_for_byte() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    let state = "-._~:/?#[]@!$&'()*+,;= %2B%\"<>\\^`{|}ü";
    let page = sandbox.authorize(&cookies, &[("state", state)]).await.text().await.unwrap();
    assert!(
        page.contains("name=\"state\" value=\"-._~:/?#[]@!$&amp;'()*+,;= %2B%&quot;&lt;&gt;\\^`{|}ü\""),
        "{page}"
    );
    for decision in ["allow", "deny"] {
        let answer = sandbox.decide(&cookies, decision, &[("state", state)]).await;
        assert_eq!(query_of(&answer, "state").as_deref(), Some(state));
    }
}

#[tokio::test]
async fn x06_a_state_that_was_not_sent_does_not_come_back() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    for decision in ["allow", "deny"] {
        let answer = sandbox.decide(&cookies, decision, &[("state", "")]).await;
        assert_eq!(answer.status(), StatusCode::FOUND);
        assert!(!location(&answer).contains("state"), "{}", location(&answer));
    }
}

#[tokio::test]
async fn what_was_sent_is_shown_escaped() {
    let sandbox = Sandbox::start();
    let page = sandbox.authorize("", &[("redirect_uri", "<script>alert(1)</script>")]).await;
    let page = page.text().await.unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
}

#[tokio::test]
async fn another_account_is_picked_by_a_link_that_holds_no_address() {
    let sandbox = Sandbox::start();
    let page = sandbox.authorize("", &[]).await.text().await.unwrap();
    assert!(
        page.contains("value=\"rosa.alvarez@example.org\"") && page.contains("value=\"rosa-swims\""),
        "{page}"
    );
    let link = page.split("href=\"").find(|rest| rest.contains("sandbox_account=1")).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    assert!(!link.contains("Jin") && !link.contains("%40"), "{link}");
    let page = sandbox.http.get(format!("{}{link}", sandbox.xoxoday.base_url())).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("value=\"Jin.Kim@Example.org\"") && page.contains("value=\"jin-rows\""), "{page}");
    assert!(page.contains("name=\"state\" value=\"q7Zk3n\""), "{page}");
}

#[tokio::test]
async fn whoever_logs_out_at_the_sandbox_can_log_in_as_somebody_else() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    let answer = sandbox.submit("/logout", &cookies, &[], &[]).await;
    assert!(location(&answer).starts_with("/chef/v1/oauth/authorize?"), "{}", location(&answer));
    assert_eq!(cookies_of(&answer), "sandbox_xoxoday=");
    let page = sandbox.authorize(&cookies, &[]).await.text().await.unwrap();
    assert!(page.contains("<h1>Log in</h1>"), "the old cookie is worth nothing: {page}");
}

#[tokio::test]
async fn the_log_in_cookie_stays_at_the_vendor() {
    let sandbox = Sandbox::start();
    let account = Xoxoday::accounts()[0];
    let answer =
        sandbox.submit("/login", "", &[("email", account.email), ("password", account.password)], &[]).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("Path=/chef") && cookie.contains("HttpOnly"), "{cookie}");
}

#[tokio::test]
async fn the_pages_run_no_script_and_are_in_no_frame() {
    let sandbox = Sandbox::start();
    let cookies = sandbox.log_in(0).await;
    for answer in [sandbox.authorize("", &[]).await, sandbox.authorize(&cookies, &[]).await] {
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!answer.text().await.unwrap().contains("<script"));
    }
}

const NEW_ACCOUNT: [(&str, &str); 5] = [
    ("name", "Ida Bergström"),
    ("email", "Ida.B@Example.ORG"),
    ("country_code", "+46"),
    ("phone", "5550100"),
    ("password", "ida-skates"),
];

/// The value of the hidden field and the code that the page shows.
fn sign_up_and_code(page: &str) -> (String, String) {
    let after = |mark: &str| page.split(mark).nth(1).unwrap_or_else(|| panic!("{mark} in {page}"));
    let key = after("name=\"sign_up\" value=\"").split('"').next().expect("a value").to_owned();
    (key, after("<strong id=\"code\">").split('<').next().expect("a value").to_owned())
}

#[tokio::test]
async fn x04_who_signs_up_proves_it_with_a_one_time_code_and_goes_on_to_consent() {
    let sandbox = Sandbox::start();
    let page = sandbox.submit("/signup", "", &NEW_ACCOUNT, &[]).await.text().await.unwrap();
    assert!(page.contains("The sandbox sends none"), "{page}");
    let (key, code) = sign_up_and_code(&page);
    let answer = sandbox.submit("/signup/verify", "", &[("sign_up", &key), ("otp", &code)], &[]).await;
    assert!(location(&answer).starts_with("/chef/v1/oauth/authorize?"), "{}", location(&answer));
    let cookies = cookies_of(&answer);

    let answer = sandbox.decide(&cookies, "allow", &[]).await;
    let code = query_of(&answer, "code").unwrap();
    let (_, granted) = sandbox.exchange("company", &code, &[]).await;
    assert_eq!(granted["email"], "Ida.B@Example.ORG", "as typed at sign-up");
    let again = [("email", "ida.b@example.org"), ("password", "ida-skates")];
    assert_ne!(cookies_of(&sandbox.submit("/login", "", &again, &[]).await), "");
}

#[tokio::test]
async fn a_one_time_code_is_guessed_a_few_times_and_works_once() {
    let sandbox = Sandbox::start();
    let page = sandbox.submit("/signup", "", &NEW_ACCOUNT, &[]).await.text().await.unwrap();
    let (key, code) = sign_up_and_code(&page);
    let verify =
        async |otp: &str| sandbox.submit("/signup/verify", "", &[("sign_up", &key), ("otp", otp)], &[]).await;
    for _ in 0..5 {
        assert_eq!(verify("none").await.status(), StatusCode::OK);
    }
    let page = verify(&code).await.text().await.unwrap();
    assert!(page.contains("begin again"), "five wrong guesses end a sign-up: {page}");

    let page = sandbox.submit("/signup", "", &NEW_ACCOUNT, &[]).await.text().await.unwrap();
    let (key, code) = sign_up_and_code(&page);
    let fields = [("sign_up", &*key), ("otp", &*code)];
    assert_eq!(sandbox.submit("/signup/verify", "", &fields, &[]).await.status(), StatusCode::FOUND);
    assert_eq!(sandbox.submit("/signup/verify", "", &fields, &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_sign_up_that_lacks_something_comes_back_with_what_was_typed() {
    let sandbox = Sandbox::start();
    let long = "x".repeat(255);
    for change in [
        ("name", ""),
        ("email", ""),
        ("password", ""),
        ("email", "ida"),
        ("email", "@example.org"),
        ("email", "rosa.alvarez@EXAMPLE.org"),
        ("name", &*long),
    ] {
        let fields = crate::harness::changed(&NEW_ACCOUNT, &[change]);
        let page = sandbox.submit("/signup", "", &fields, &[]).await.text().await.unwrap();
        assert!(page.contains("role=\"alert\"") && page.contains("value=\"5550100\""), "{change:?}: {page}");
        assert!(!page.contains("ida-skates"), "a password is not shown again: {page}");
    }
}
