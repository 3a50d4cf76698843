//! The session cookie: what a browser holds of a session, and what it is worth where.

use http::{Method, Response};
use http_body_util::Full;

use crate::harness::{Browser, Gateway, NOW, Options, Page};

const SESSION: &str = "__Host-member-session";
const TWO_SITES: Options = Options {
    more: "[[site]]\npublic_url = \"https://other.localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n\
           [[site]]\npublic_url = \"http://plain.localhost\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]",
    ..Options::USUAL
};

/// `/_gateway/session` as somebody sees it who sends these cookies.
async fn with_cookies(gateway: &Gateway, cookies: &str) -> Page {
    gateway.browser().fetch(Method::GET, "/_gateway/session", &[("cookie", cookies)]).await
}

async fn signed_in_as(gateway: &Gateway, member: (&'static str, &'static str)) -> Browser {
    let mut browser = gateway.browser();
    browser.member = member;
    browser.visit("/").await;
    browser
}

fn answers_with(gateway: &Gateway, name: &'static str, value: &'static str) {
    gateway.upstream().answers(move |_| {
        let response = Response::builder().header(name, value);
        response.body(Full::from("hello")).unwrap()
    });
}

fn deletes_the_session(page: &Page) -> bool {
    page.set_cookies()
        .iter()
        .any(|line| line.starts_with(&format!("{SESSION}=;")) && line.contains("Max-Age=0"))
}

#[tokio::test]
async fn the_cookie_has_the_name_and_the_attributes_that_keep_it_safe() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/").await;

    let line = browser.go(&callback).await.set_cookie(SESSION);

    let mut attributes: Vec<&str> = line.split("; ").skip(1).collect();
    attributes.sort_unstable();
    assert_eq!(
        attributes,
        ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"],
        "and neither Max-Age nor Domain"
    );
    assert!(line.split("; ").next().unwrap().len() < 400, "{line}");
}

#[tokio::test]
async fn an_attempts_cookie_is_as_safe_and_lasts_for_half_an_hour() {
    let gateway = Gateway::with_sandbox();

    let line = gateway.browser().go("/classes").await.set_cookie("__Host-member-login-");

    let mut attributes: Vec<&str> = line.split("; ").skip(1).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=1800", "Path=/", "SameSite=Lax", "Secure"]);
}

#[tokio::test]
async fn on_a_loopback_site_without_tls_the_names_have_no_prefix() {
    let gateway = Gateway::with(&TWO_SITES);
    let mut browser = gateway.browser();

    let start = browser.go("http://plain.localhost/").await;
    assert!(!start.set_cookie("member-login-").contains("Secure"));
    assert_eq!(browser.visit("http://plain.localhost/").await.status, 200);
    let names: Vec<String> = browser.cookies_of("plain.localhost").into_keys().collect();
    assert!(names.contains(&"member-session".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("__")), "{names:?}");
}

#[tokio::test]
async fn the_cookie_tells_nobody_who_it_is() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.signed_in().await.session_cookie().unwrap();

    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &cookie).unwrap();

    let text = String::from_utf8_lossy(&bytes);
    for secret in ["400007995", "ymca", "Rosa", "Alvarez"] {
        assert!(!text.contains(secret) && !cookie.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn two_sessions_of_one_member_are_sealed_differently_and_alike_in_length() {
    let gateway = Gateway::with_sandbox();

    let (first, second) = (gateway.signed_in().await, gateway.signed_in().await);

    let (first, second) = (first.session_cookie().unwrap(), second.session_cookie().unwrap());
    assert_ne!(first, second);
    assert_eq!(first.len(), second.len());
}

#[tokio::test]
async fn a_change_of_one_bit_makes_the_cookie_worthless() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.signed_in().await.session_cookie().unwrap();
    assert_eq!(with_cookies(&gateway, &format!("{SESSION}={cookie}")).await.status, 200);

    let last = cookie.len() - 1;
    for at in (0..last).step_by(5).chain([last]) {
        for bit in 0..7 {
            let mut changed = cookie.clone().into_bytes();
            changed[at] ^= 1 << bit;
            if !changed[at].is_ascii_graphic() || matches!(changed[at], b';' | b',' | b'"' | b'\\') {
                continue;
            }
            let changed = String::from_utf8(changed).unwrap();
            let page = with_cookies(&gateway, &format!("{SESSION}={changed}")).await;
            assert_eq!(page.status, 401, "bit {bit} of character {at}");
        }
    }
}

#[tokio::test]
async fn a_cookie_that_was_cut_or_drawn_out_is_worthless() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.signed_in().await.session_cookie().unwrap();

    for changed in [
        &cookie[1..],
        &cookie[..cookie.len() - 1],
        &format!("{cookie}A"),
        &format!("{cookie}="),
        &format!("\"{cookie}\""),
        &cookie.to_lowercase(),
        "",
    ] {
        let page = with_cookies(&gateway, &format!("{SESSION}={changed}")).await;
        assert_eq!(page.status, 401, "{changed}");
    }
}

#[tokio::test]
async fn a_cookie_under_another_name_is_no_session() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.signed_in().await.session_cookie().unwrap();

    for name in
        ["member-session", "__Host-Member-Session", "__Secure-member-session", "__Host-member-session2"]
    {
        assert_eq!(with_cookies(&gateway, &format!("{name}={cookie}")).await.status, 401, "{name}");
    }
}

#[tokio::test]
async fn the_cookie_of_one_site_does_not_open_on_another() {
    let gateway = Gateway::with(&TWO_SITES);
    let mut browser = gateway.browser();
    browser.visit("https://other.localhost/").await;
    let other = browser.cookies_of("other.localhost")[SESSION].clone();
    browser.visit("http://plain.localhost/").await;
    let plain = browser.cookies_of("plain.localhost")["member-session"].clone();

    for foreign in [other, plain] {
        browser.set_cookie(SESSION, &foreign);
        assert_eq!(browser.session().await["authenticated"], false);
        browser.set_cookie(SESSION, &foreign);
        assert_eq!(browser.go("/classes").await.status, 302);
    }
    assert!(gateway.upstream().requests().is_empty());
}

#[tokio::test]
async fn an_attempt_does_not_open_as_a_session() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    browser.go("/classes").await;
    let attempt = browser.cookies().into_values().next().unwrap();
    browser.set_cookie(SESSION, &attempt);

    assert_eq!(browser.session().await["authenticated"], false);
}

#[tokio::test]
async fn a_session_does_not_open_as_an_attempt() {
    let gateway = Gateway::with_sandbox();
    let session = gateway.signed_in().await.session_cookie().unwrap();
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/classes").await;
    let exchanges = gateway.exchanges();
    browser.set_cookie(&browser.attempts()[0], &session);

    assert_eq!(browser.visit(&callback).await.status, 400);
    assert_eq!((browser.session_cookie(), gateway.exchanges()), (None, exchanges));
}

#[tokio::test]
async fn an_attempt_of_one_site_does_not_open_on_another() {
    let gateway = Gateway::with(&TWO_SITES);
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("https://other.localhost/classes").await;
    for (name, value) in browser.cookies_of("other.localhost") {
        browser.set_cookie(&name, &value);
    }

    let page = browser.visit(&callback.replace("other.localhost", "members.localhost")).await;

    assert_eq!((page.status.as_u16(), browser.session_cookie(), gateway.exchanges()), (400, None, 0));
}

#[tokio::test]
async fn an_unreadable_cookie_counts_as_none_and_is_deleted() {
    let gateway = Gateway::with_sandbox();

    for path in ["/classes", "/api/classes", "/_gateway/session"] {
        let mut browser = gateway.browser();
        browser.set_cookie(SESSION, "rubbish");
        let page = browser.go(path).await;
        assert!(matches!(page.status.as_u16(), 302 | 401), "{path}");
        assert!(deletes_the_session(&page), "{path}: {:?}", page.set_cookies());
        assert_eq!(browser.session_cookie(), None);
    }
}

#[tokio::test]
async fn an_unreadable_cookie_does_not_close_an_optional_path() {
    let gateway = Gateway::with_sandbox();
    answers_with(&gateway, "cache-control", "no-store");
    let mut browser = gateway.browser();
    browser.set_cookie(SESSION, "rubbish");

    let page = browser.go("/optional/news").await;

    assert_eq!(page.status, 200);
    assert!(deletes_the_session(&page), "{:?}", page.set_cookies());
    assert!(!gateway.upstream().last_request().has("x-member-id"));
}

#[tokio::test]
async fn nothing_is_deleted_where_there_was_nothing() {
    let gateway = Gateway::with_sandbox();

    for path in ["/classes", "/optional/x", "/_gateway/session"] {
        assert!(!deletes_the_session(&gateway.browser().go(path).await), "{path}");
    }
}

#[tokio::test]
async fn of_several_cookies_the_newest_that_opens_counts() {
    let gateway = Gateway::with_sandbox();
    let rosa = gateway.signed_in().await.session_cookie().unwrap();
    gateway.later(5);
    let jin = signed_in_as(&gateway, ("jin", "jin-rows")).await.session_cookie().unwrap();

    for cookies in [
        format!("{SESSION}={rosa}; {SESSION}={jin}"),
        format!("{SESSION}={jin}; a=b; {SESSION}={rosa}"),
        format!("{SESSION}=rubbish; {SESSION}={jin}; {SESSION}="),
    ] {
        let page = with_cookies(&gateway, &cookies).await;
        assert!(page.body.contains("\"400007995-01\""), "{}", page.body);
    }
    let page = with_cookies(&gateway, &format!("{SESSION}=rubbish; {SESSION}={rosa}")).await;
    assert!(page.body.contains("\"400007995-00\""), "{}", page.body);
    assert!(!deletes_the_session(&page));
}

#[tokio::test]
async fn a_session_ends_when_it_was_not_used_for_the_idle_timeout() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    gateway.later(3599);
    assert_eq!(browser.clone().go("/").await.status, 200);
    gateway.later(1);
    assert_eq!(browser.go("/").await.status, 302);
}

#[tokio::test]
async fn a_session_ends_at_its_maximum_age_however_much_it_is_used() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    for half_hour in 1..24 {
        gateway.later(1800);
        assert_eq!(browser.go("/").await.status, 200, "half hour {half_hour}");
    }
    gateway.later(1799);
    assert_eq!(browser.go("/").await.status, 200);
    gateway.later(1);
    assert_eq!(browser.go("/").await.status, 302);
}

#[tokio::test]
async fn the_cookie_is_sealed_anew_once_half_of_the_idle_timeout_has_passed() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    gateway.later(1799);
    assert!(browser.go("/").await.set_cookies().is_empty());
    gateway.later(1);
    let line = browser.go("/").await.set_cookie(SESSION);
    assert!(line.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"), "{line}");
    assert!(browser.go("/").await.set_cookies().is_empty(), "once is enough");
    gateway.later(3599);
    assert_eq!(browser.go("/").await.status, 200, "counted from the renewal");
}

#[tokio::test]
async fn no_cookie_is_set_on_an_answer_that_a_cache_may_keep() {
    let gateway = Gateway::with_sandbox();
    let browser = gateway.signed_in().await;
    gateway.later(1800);

    for (name, value, renewed) in [
        ("cache-control", "public, max-age=60", false),
        ("cache-control", "max-age=60", false),
        ("expires", "Fri, 01 Jan 2100 00:00:00 GMT", false),
        ("cache-control", "private, max-age=60", true),
        ("cache-control", "no-store", true),
        ("x-nothing", "x", true),
    ] {
        answers_with(&gateway, name, value);
        let page = browser.clone().go("/").await;
        assert_eq!(!page.set_cookies().is_empty(), renewed, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_page_for_one_member_is_not_for_a_cache_that_serves_others() {
    let gateway = Gateway::with_sandbox();

    assert_eq!(gateway.signed_in().await.go("/").await.field("cache-control"), "private");
}

#[tokio::test]
async fn asking_for_the_session_does_not_extend_it() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let ends = browser.session().await["expires_at"].clone();

    gateway.later(2000);
    let page = browser.fetch(Method::GET, "/_gateway/session", &[]).await;

    assert!(page.set_cookies().is_empty());
    assert_eq!(browser.session().await["expires_at"], ends);
    gateway.later(1600);
    assert_eq!(browser.session().await["authenticated"], false);
}

#[tokio::test]
async fn expires_at_is_the_earlier_of_the_two_ends() {
    let gateway = Gateway::with(&Options { session: "max_age = \"90m\"", ..Options::USUAL });
    let mut browser = gateway.signed_in().await;
    assert_eq!(browser.session().await["expires_at"], NOW.0 + 3600);

    gateway.later(3000);
    browser.go("/").await;

    assert_eq!(browser.session().await["expires_at"], NOW.0 + 5400);
    gateway.later(2399);
    assert_eq!(browser.session().await["authenticated"], true);
    gateway.later(1);
    assert_eq!(browser.session().await["authenticated"], false);
}

#[tokio::test]
async fn each_login_begins_a_new_session() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let (cookie, session) = (browser.session_cookie(), browser.session().await);

    browser.visit("/_gateway/login").await;

    assert_ne!(browser.session_cookie(), cookie);
    assert_ne!(browser.session().await["session_id"], session["session_id"]);
}

#[tokio::test]
async fn a_session_that_somebody_planted_is_not_carried_into_the_login() {
    let gateway = Gateway::with_sandbox();
    let planted = signed_in_as(&gateway, ("tomasz", "tomasz-runs")).await.session_cookie().unwrap();
    let mut victim = gateway.browser();
    victim.set_cookie(SESSION, &planted);

    victim.visit("/_gateway/login").await;

    assert_eq!(victim.session().await["member_id"], "400007995-00");
    let page = with_cookies(&gateway, &format!("{SESSION}={planted}")).await;
    assert!(page.body.contains("400011208-00"), "the planted one stays whose it was: {}", page.body);
}

#[tokio::test]
async fn the_gateways_cookies_never_reach_the_upstream_and_all_others_arrive_untouched() {
    let gateway = Gateway::with_sandbox();
    let session = gateway.signed_in().await.session_cookie().unwrap();

    for (sent, arrives) in [
        (format!("theme=dark; {SESSION}={session}; basket=\"1,2\"; x"), "theme=dark; basket=\"1,2\"; x"),
        (format!("{SESSION}={session}; a=1;b=2"), "a=1;b=2"),
        (
            format!(
                "member-session=1; __Host-member-login-x=2; member-provider=a; {SESSION}={session}; my-member-session=3"
            ),
            "my-member-session=3",
        ),
    ] {
        gateway.browser().request(Method::GET, "/", &[("cookie", &sent)], "").await;
        assert_eq!(gateway.upstream().last_request().field("cookie"), arrives, "{sent}");
    }
    for path in ["/", "/public/x", "/optional/x"] {
        let alone = format!("{SESSION}={session}");
        gateway.browser().request(Method::GET, path, &[("cookie", &alone)], "").await;
        assert!(!gateway.upstream().last_request().has("cookie"), "{path}");
    }
}

#[tokio::test]
async fn an_upstream_cannot_set_cookies_under_the_gateways_names() {
    let gateway = Gateway::with_sandbox();
    gateway.upstream().answers(|_| {
        let response = Response::builder()
            .header("set-cookie", "__Host-member-session=forged; Secure; Path=/")
            .header("set-cookie", "theme=dark; Path=/")
            .header("set-cookie", "MEMBER-SESSION=forged")
            .header("set-cookie", "__Host-member-login-x=forged; Secure; Path=/")
            .header("set-cookie", "__Host-member-provider=forged; Secure; Path=/")
            .header("set-cookie", "=member-session=forged")
            .header("set-cookie", "basket=member-session");
        response.body(Full::from("hello")).unwrap()
    });
    let mut member = gateway.signed_in().await;

    for browser in [&mut member, &mut gateway.browser()] {
        let page = browser.go("/public/x").await;
        assert_eq!(page.set_cookies(), ["theme=dark; Path=/", "basket=member-session"]);
    }
}

#[tokio::test]
async fn an_answer_is_made_private_and_renews_the_session_unless_it_is_meant_for_caches() {
    const PAST: (&str, &str) = ("expires", "Sat, 01 Jan 2000 00:00:00 GMT");
    const FUTURE: (&str, &str) = ("expires", "Fri, 01 Jan 2100 00:00:00 GMT");
    let gateway = Gateway::with_sandbox();
    let browser = gateway.signed_in().await;
    gateway.later(1800);

    for (fields, cache_control, renewed) in [
        (&[][..], "private", true),
        (&[("cache-control", "no-cache")], "no-cache, private", true),
        (&[("cache-control", "max-age=0")], "max-age=0, private", true),
        (&[("cache-control", "max-age=0"), FUTURE], "max-age=0, private", true),
        (&[PAST], "private", true),
        (&[("expires", "0")], "private", true),
        (&[("cache-control", "no-store")], "no-store", true),
        (&[("cache-control", "No-Store, max-age=0")], "No-Store, max-age=0", true),
        (&[("cache-control", "private, max-age=60")], "private, max-age=60", true),
        (&[("cache-control", "max-age=60")], "max-age=60", false),
        (&[("cache-control", "max-age=60"), PAST], "max-age=60", false),
        (&[("cache-control", "s-maxage=60")], "s-maxage=60", false),
        (&[("cache-control", "public")], "public", false),
        (&[("cache-control", "public, max-age=0")], "public, max-age=0", false),
        (&[FUTURE], "", false),
    ] {
        gateway.upstream().answers(move |_| {
            let response = fields
                .iter()
                .fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
            response.body(Full::from("hello")).unwrap()
        });

        let page = browser.clone().go("/").await;

        let lines: Vec<&str> =
            page.fields.get_all("cache-control").iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines.join(", "), cache_control, "{fields:?}");
        assert_eq!(!page.set_cookies().is_empty(), renewed, "{fields:?}");
    }
}

#[tokio::test]
async fn no_prefix_of_a_cookie_s_name_lets_an_upstream_set_the_gateway_s() {
    let gateway = Gateway::with_sandbox();
    let prefixes = ["__Host-Http-", "__host-http-", "__Http-", "__Secure-"];
    gateway.upstream().answers(move |_| {
        let response = prefixes.iter().fold(Response::builder(), |response, prefix| {
            response
                .header("set-cookie", format!("{prefix}member-session=forged; Secure; HttpOnly; Path=/"))
                .header("set-cookie", format!("{prefix}member-login-AAAAAAAAAAAA=forged; Secure; Path=/"))
        });
        response.header("set-cookie", "__Host-Http-app=1").body(Full::from("hello")).unwrap()
    });

    let page = gateway.browser().go("/public/x").await;

    assert_eq!(page.set_cookies(), ["__Host-Http-app=1"]);
}
