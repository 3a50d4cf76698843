//! Attempts: each login of each tab, from its start to its one answer.

use crate::harness::{Browser, Gateway, NAVIGATION, Options, Page, parameter, with_parameter};
use member_gateway::sandbox::daxko::{Endpoint, Fault};

const TWO_PROVIDERS: Options = Options {
    providers: Some("\"ymca\", \"club\""),
    more: "[[provider]]\nname = \"club\"\nkind = \"daxko\"\nenvironment = \"sandbox\"",
    ..Options::USUAL
};

/// The page that the callback leads to, having looked that the browser was not signed in by it.
async fn refused(browser: &mut Browser, callback: &str) -> Page {
    let page = browser.visit(callback).await;
    assert_eq!(page.url.path(), "/_gateway/error", "{callback}");
    assert_eq!(browser.session_cookie(), None, "{callback}");
    page
}

#[tokio::test]
async fn eight_tabs_can_sign_in_at_a_time() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let mut callbacks = Vec::new();
    for tab in 0..8 {
        callbacks.push(browser.up_to_the_callback(&format!("/tab/{tab}")).await);
    }

    for (tab, callback) in callbacks.iter().enumerate() {
        assert_eq!(browser.go(callback).await.location(), format!("/tab/{tab}"));
    }
}

#[tokio::test]
async fn the_oldest_attempt_makes_way_for_a_ninth() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let first = browser.up_to_the_callback("/first").await;
    gateway.later(1);
    let second = browser.up_to_the_callback("/second").await;
    for tab in 3..=9 {
        gateway.later(1);
        assert_eq!(browser.go(&format!("/tab/{tab}")).await.status, 302);
    }

    assert_eq!(browser.attempts().len(), 8);
    assert_eq!(refused(&mut browser, &first).await.status, 400);
    assert_eq!(browser.go(&second).await.location(), "/second");
}

#[tokio::test]
async fn fifty_abandoned_attempts_never_make_a_head_that_is_too_large() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();

    for tab in 0..50 {
        let page = browser.go(&format!("/tab/{tab}?{}", "x".repeat(1000))).await;
        assert_eq!(page.status, 302, "attempt {tab}");
    }

    let octets: usize = browser.cookies().iter().map(|(name, value)| name.len() + value.len() + 3).sum();
    assert!(octets <= 8 * 1024, "{octets} octets of cookies");
    assert_eq!(browser.visit("/classes").await.path_and_query(), "/classes");
}

#[tokio::test]
async fn an_attempt_takes_an_answer_for_half_an_hour_and_no_longer() {
    let gateway = Gateway::with_sandbox();
    let start = gateway.browser().go("/classes").await;
    assert!(start.set_cookie("__Host-member-login-").contains("; Max-Age=1800"), "{:?}", start.set_cookies());

    for (seconds, arrives) in [(1799, true), (1800, false)] {
        let mut browser = gateway.browser();
        let mut page = browser.go("/classes").await;
        gateway.later(seconds);
        let form = browser.go(page.location()).await;
        page = browser.submit_form(&form).await;
        let callback = page.location().to_owned();
        let page = browser.visit(&callback).await;
        assert_eq!(page.url.path() == "/classes", arrives, "{seconds} s: {}", page.url);
        assert_eq!(browser.session_cookie().is_some(), arrives, "{seconds} s");
    }
    assert_eq!(gateway.exchanges(), 1, "the code of the late answer is left alone");
}

#[tokio::test]
async fn a_used_attempt_stays_marked_used() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes?week=2").await;
    let before = browser.cookies();
    let page = browser.go(&callback).await;

    let name = browser.attempts().remove(0);
    assert!(page.set_cookie(&name).contains("; Max-Age=1800"), "{:?}", page.set_cookies());
    assert_ne!(before[&name], browser.cookies()[&name]);
    let spent = gateway.exchanges();
    browser.set_cookie("__Host-member-session", "");
    let page = browser.visit(&callback).await;
    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 400));
    assert_eq!(gateway.exchanges(), spent, "no second answer to it is looked at");
}

#[tokio::test]
async fn the_back_button_leads_on_to_where_the_member_was_going() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes?week=2").await;
    browser.go(&callback).await;
    let session = browser.session_cookie();

    let again = browser.go(&callback).await;

    assert_eq!((again.status.as_u16(), again.location()), (303, "/classes?week=2"));
    assert_eq!((browser.session_cookie(), gateway.exchanges()), (session, 1));
}

#[tokio::test]
async fn a_second_use_without_a_session_ends_on_the_error_page() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    browser.go(&callback).await;
    browser.forget_cookie("__Host-member-session");

    assert_eq!(refused(&mut browser, &callback).await.status, 400);
    assert_eq!(gateway.exchanges(), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_used_too() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    gateway.daxko().faults().next(Endpoint::MemberToken, Fault::Status(500));

    assert_eq!(refused(&mut browser, &callback).await.status, 503);
    assert_eq!(refused(&mut browser, &callback).await.status, 400);
    assert_eq!(gateway.exchanges(), 1);
}

#[tokio::test]
async fn a_bookmarked_callback_leads_a_member_to_the_front_page_and_a_stranger_to_the_error_page() {
    let gateway = Gateway::with_sandbox();
    let mut member = gateway.signed_in().await;

    for bookmark in ["/_gateway/callback/ymca", "/_gateway/callback/ymca?code=old&state=old"] {
        assert_eq!(member.go(bookmark).await.location(), "/", "{bookmark}");
        assert_eq!(refused(&mut gateway.browser(), bookmark).await.status, 400, "{bookmark}");
    }
    assert_eq!(gateway.exchanges(), 1);
}

#[tokio::test]
async fn the_answer_of_another_browser_signs_nobody_in() {
    let gateway = Gateway::with_sandbox();
    let (mut attacker, mut victim) = (gateway.browser(), gateway.browser());
    attacker.member = ("tomasz", "tomasz-runs");
    let callback = attacker.up_to_the_callback("/classes").await;
    victim.up_to_the_callback("/classes").await;

    assert_eq!(refused(&mut victim, &callback).await.status, 400);
    assert_eq!(gateway.exchanges(), 0, "the code is left unspent");
    assert_eq!(attacker.go(&callback).await.location(), "/classes");
}

#[tokio::test]
async fn a_code_under_a_foreign_or_missing_state_is_left_unspent() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    let own = parameter(&callback, "state").unwrap();
    let foreign = gateway.browser().go("/").await.location_parameter("state");
    let states = [None, Some(""), Some("x"), Some(foreign.as_str()), Some(&own[..42]), Some("\u{e9}\u{0}%")];

    for state in states {
        let page = refused(&mut browser, &with_parameter(&callback, "state", state)).await;
        assert_eq!(page.status, 400, "{state:?}");
    }
    assert_eq!(gateway.exchanges(), 0);
    assert_eq!(browser.go(&callback).await.location(), "/classes", "the attempt and the code still hold");
}

#[tokio::test]
async fn an_attempt_without_its_cookie_is_none() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    browser.clear_cookies();

    assert_eq!(refused(&mut browser, &callback).await.status, 400);
    assert_eq!(gateway.exchanges(), 0);
}

#[tokio::test]
async fn the_cookie_of_one_attempt_does_not_answer_for_another() {
    let gateway = Gateway::with_sandbox();
    let (mut browser, mut attacker) = (gateway.browser(), gateway.browser());
    let callback = attacker.up_to_the_callback("/classes").await;
    browser.go("/classes").await;
    let (own, foreign) = (browser.attempts().remove(0), attacker.attempts().remove(0));
    browser.set_cookie(&foreign, &browser.cookies()[&own]);

    assert_eq!(refused(&mut browser, &callback).await.status, 400);
    assert_eq!(gateway.exchanges(), 0);
}

#[tokio::test]
async fn an_answer_to_another_providers_callback_is_no_answer() {
    let gateway = Gateway::with(&TWO_PROVIDERS);
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/_gateway/login?provider=ymca&return_to=%2Fclasses").await;
    assert!(callback.contains("/callback/ymca?"), "{callback}");

    assert_eq!(refused(&mut browser, &callback.replace("/ymca?", "/club?")).await.status, 400);
    assert_eq!(gateway.exchanges(), 0);
    assert_eq!(browser.go(&callback).await.location(), "/classes");
}

#[tokio::test]
async fn an_answer_that_says_something_twice_is_none() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    let (code, state) = (parameter(&callback, "code").unwrap(), parameter(&callback, "state").unwrap());

    for twice in [
        format!("{callback}&code=other"),
        format!("{callback}&code={code}"),
        format!("{callback}&state=other"),
        format!("{callback}&state={state}"),
        format!("{callback}&st%61te={state}"),
        format!("{callback}&error=a&error=b"),
    ] {
        assert_eq!(refused(&mut browser, &twice).await.status, 400, "{twice}");
    }
    assert_eq!(gateway.exchanges(), 0);
}

#[tokio::test]
async fn an_answer_with_both_a_code_and_an_error_or_with_neither_is_none() {
    let gateway = Gateway::with_sandbox();

    for (name, value) in
        [("error", Some("access_denied")), ("code", None), ("code", Some("")), ("code", Some("a\u{1}b"))]
    {
        let mut browser = gateway.browser();
        let callback = browser.up_to_the_callback("/classes").await;
        let page = refused(&mut browser, &with_parameter(&callback, name, value)).await;
        assert_eq!(page.status, 400, "{name} {value:?}");
    }
    assert_eq!(gateway.exchanges(), 0);
}

#[tokio::test]
async fn unknown_parameters_of_an_answer_are_left_alone() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;

    let odd = "&iss=x&session_state=y&iss=z&return_to=%2Felsewhere&provider=rewards";
    assert_eq!(browser.go(&format!("{callback}{odd}")).await.location(), "/classes");
}

#[tokio::test]
async fn an_answer_of_any_size_is_the_clients_mistake_and_never_the_gateways() {
    let gateway = Gateway::with_sandbox();

    for octets in [10_000, 60_000, 1_000_000] {
        let query = "c".repeat(octets);
        let answer = gateway.raw(format!(
            "GET /_gateway/callback/ymca?code={query} HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"
        ));
        assert!(
            answer.starts_with("HTTP/1.1 303 ") || answer.starts_with("HTTP/1.1 4"),
            "{octets}: {answer}"
        );
    }
    assert_eq!(gateway.browser().visit("/classes").await.status, 200);
}

#[tokio::test]
async fn who_is_refused_by_the_vendor_gets_a_page_and_is_not_sent_back() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    gateway.daxko().faults().next(Endpoint::LogIn, Fault::ErrorRedirect("access_denied".into()));
    let callback = browser.up_to_the_callback("/classes").await;
    let asked = gateway.daxko().requests().len();

    let page = refused(&mut browser, &callback).await;

    assert_eq!(page.status, 403);
    assert_eq!((page.location(), page.field("refresh")), ("", ""));
    assert!(!page.body.contains("http-equiv"), "{}", page.body);
    assert_eq!(gateway.daxko().requests().len(), asked, "nobody has asked the vendor again");
}

#[tokio::test]
async fn any_other_error_of_the_vendors_is_the_vendors() {
    let gateway = Gateway::with_sandbox();

    for error in
        ["server_error", "temporarily_unavailable", "invalid_scope", "<script>alert(1)</script>", "x\r\ny"]
    {
        let mut browser = gateway.browser();
        gateway.daxko().faults().next(Endpoint::LogIn, Fault::ErrorRedirect(error.into()));
        let callback = browser.up_to_the_callback("/classes").await;
        let page = refused(&mut browser, &callback).await;
        assert!(matches!(page.status.as_u16(), 502 | 503), "{error}: {}", page.status);
        assert!(!page.body.contains(error) && !page.body.contains("<script"), "{error}");
    }
    assert_eq!(gateway.exchanges(), 0);
}

#[tokio::test]
async fn an_error_under_a_foreign_state_says_nothing_about_this_browser() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;

    let forged = "/_gateway/callback/ymca?error=access_denied&state=x";
    assert_eq!(refused(&mut browser, forged).await.status, 400);
    assert_eq!(browser.go(&callback).await.location(), "/classes", "nobody else can end an attempt");
}

#[tokio::test]
async fn a_browser_with_hundreds_of_attempts_does_not_get_hundreds_of_deletions() {
    let gateway = Gateway::with(&Options { server: "limits = { cookies = 500 }", ..Options::default() });
    let cookies: Vec<String> =
        (0..300).map(|number| format!("__Host-member-login-{number:012}=rubbish")).collect();
    let cookies = cookies.join("; ");
    let fields = [&NAVIGATION[..], &[("cookie", &*cookies)]].concat();

    let page = gateway.browser().request(http::Method::GET, "/classes", &fields, "").await;

    let set = page.set_cookies();
    assert_eq!(page.status, 302);
    assert!((2..=17).contains(&set.len()), "{} of {set:?}", set.len());
    assert_eq!(set.iter().filter(|line| line.contains("Max-Age=1800")).count(), 1, "{set:?}");
}

#[test]
fn a_callback_with_a_target_that_is_refused_shows_no_page_at_its_address() {
    let gateway = Gateway::with_sandbox();
    let long = format!("s3cret&state={}", "a".repeat(20_000));

    for query in ["s3cret&state=ä", &long] {
        let answer = gateway.raw(format!(
            "GET /_gateway/callback/ymca?code={query} HTTP/1.1\r\nHost: members.localhost\r\nConnection: close\r\n\r\n"
        ));

        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        assert!(answer.contains("\r\nlocation: /_gateway/error\r\n"), "{answer}");
        assert!(!answer.contains("s3cret") && !answer.contains("set-cookie"), "{answer}");
    }
    assert_eq!(gateway.exchanges(), 0);
}

#[tokio::test]
async fn a_callback_whose_target_is_no_text_is_400_and_spends_nothing() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/").await;
    let target = callback.split_once("members.localhost").map_or(&*callback, |(_, target)| target);
    // What no program would write is refused below everything that knows of callbacks.
    let request =
        [b"GET ", target.as_bytes(), b"&x=\xff HTTP/1.1\r\nHost: members.localhost\r\n\r\n"].concat();
    let answer = gateway.raw(request);

    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "there is no page at an address that holds a code: {answer}");
    assert_eq!(gateway.exchanges(), 0);
    assert_eq!(browser.go(&callback).await.status, 303);
    assert_eq!(gateway.exchanges(), 1);
}
