//! `require_active`: a login proves a password, not a membership. It is asked for at the login and again while the
//! session lasts; while Daxko cannot be asked the last good answer counts, for so long and no longer.

use member_gateway::sandbox::daxko::{Endpoint, Fault};
use serde_json::json;

use crate::harness::{Browser, Gateway, NAVIGATION, Options, eventually};

const HOUR: u64 = 3600;
const UNIT: &str = "/v3/units/400007995";

fn gateway(require_active: &'static str) -> Gateway {
    Gateway::with(&Options {
        provider: require_active,
        session: "idle_timeout = \"7d\"\nmax_age = \"7d\"",
        ..Options::USUAL
    })
}

fn asking_for_units() -> Gateway {
    gateway("require_active = \"unit\"")
}

/// How many times Daxko was asked about a path.
fn asked(gateway: &Gateway, path: &str) -> usize {
    gateway.daxko().requests().iter().filter(|request| request.path == path).count()
}

/// From now on the household's membership is over.
fn lapse(gateway: &Gateway) {
    let status = Fault::WithField { name: "status".into(), value: json!("Inactive") };
    gateway.daxko().faults().always(Endpoint::Unit, status);
}

/// Visits once so that the gateway asks in the background, and waits until it has had its answer.
async fn is_asked_about_again(gateway: &Gateway, browser: &mut Browser) {
    let before = asked(gateway, UNIT);
    let page = browser.go("/classes").await;
    assert_eq!(page.status, 200, "nobody waits for the answer: {}", page.body);
    eventually("Daxko is asked", || asked(gateway, UNIT) == before + 1);
}

/// Visits until a good answer that came in the background is in the session.
async fn has_the_new_answer(browser: &mut Browser) {
    let before = browser.session_cookie();
    for _ in 0..1000 {
        browser.go("/classes").await;
        if browser.session_cookie() != before {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the session stays as it was");
}

/// Visits until an answer that came in the background counts.
async fn is_let_through_no_longer(browser: &mut Browser, path: &str) -> crate::harness::Page {
    for _ in 0..1000 {
        let page = browser.go(path).await;
        if page.status != 200 {
            return page;
        }
        tokio::task::yield_now().await;
    }
    panic!("{path} is still there");
}

#[tokio::test]
async fn whoever_has_an_active_membership_signs_in_and_notices_nothing() {
    for (choice, path) in [("unit", UNIT), ("member", "/v3/members/400007995-00")] {
        let key: &'static str = format!("require_active = \"{choice}\"").leak();
        let gateway = gateway(key);
        let mut browser = gateway.browser();

        let page = browser.visit("/classes?week=2").await;

        assert_eq!((page.status.as_u16(), page.path_and_query()), (200, "/classes?week=2"), "{choice}");
        assert_eq!(asked(&gateway, path), 1, "{choice}");
        browser.go("/classes").await;
        assert_eq!(asked(&gateway, path), 1, "{choice}: not at every request");
    }
}

#[tokio::test]
async fn whoever_has_none_is_told_so_and_not_signed_in() {
    for choice in ["require_active = \"unit\"", "require_active = \"member\""] {
        let gateway = gateway(choice);
        let mut browser = gateway.browser();
        browser.member = ("dele", "dele-rests");

        let page = browser.visit("/classes").await;

        assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 403), "{choice}");
        assert!(page.body.contains("Your membership is not active."), "{}", page.body);
        assert_eq!(browser.session_cookie(), None, "{choice}");
    }
}

#[tokio::test]
async fn without_require_active_nobody_is_asked_and_a_lapsed_member_signs_in() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.browser();
    browser.member = ("dele", "dele-rests");
    assert_eq!(browser.visit("/classes").await.status, 200);
    assert_eq!(asked(&gateway, "/v3/units/400003316"), 0);
}

#[tokio::test]
async fn somebody_whom_daxko_does_not_find_has_no_membership() {
    let gateway = asking_for_units();
    gateway.daxko().faults().always(Endpoint::Unit, Fault::Status(404));
    assert_eq!(gateway.browser().visit("/classes").await.status, 403);
}

#[tokio::test]
async fn it_is_asked_again_in_the_background_once_the_answer_is_old() {
    let gateway = asking_for_units();
    let mut browser = gateway.signed_in().await;
    gateway.later(HOUR - 1);
    assert_eq!(browser.go("/classes").await.status, 200);
    assert_eq!(asked(&gateway, UNIT), 1);

    gateway.later(1);
    is_asked_about_again(&gateway, &mut browser).await;
    has_the_new_answer(&mut browser).await;

    gateway.later(HOUR - 1);
    assert_eq!(browser.go("/classes").await.status, 200);
    assert_eq!(asked(&gateway, UNIT), 2, "the new answer is as good as the first one");
}

#[tokio::test]
async fn a_hundred_requests_that_come_together_ask_once() {
    let gateway = asking_for_units();
    let browser = gateway.signed_in().await;
    gateway.later(HOUR);

    let visits = (0..100).map(|_| {
        let mut browser = browser.clone();
        tokio::spawn(async move { browser.go("/classes").await.status })
    });
    for visit in visits.collect::<Vec<_>>() {
        assert_eq!(visit.await.unwrap(), 200);
    }

    eventually("Daxko is asked", || asked(&gateway, UNIT) == 2);
    assert_eq!(browser.clone().go("/classes").await.status, 200);
    assert_eq!(asked(&gateway, UNIT), 2);
}

#[tokio::test]
async fn the_new_answer_is_kept_in_the_session_so_that_a_restart_forgets_nothing() {
    let gateway = asking_for_units();
    let mut browser = gateway.signed_in().await;
    gateway.later(HOUR);
    is_asked_about_again(&gateway, &mut browser).await;
    has_the_new_answer(&mut browser).await;

    // Another process knows nothing but the cookie; the keys are the same.
    let restarted = asking_for_units();
    restarted.later(HOUR + HOUR - 1);
    let mut moved = restarted.browser();
    moved.set_cookie("__Host-member-session", &browser.session_cookie().unwrap());
    assert_eq!(moved.go("/classes").await.status, 200);
    assert_eq!(asked(&restarted, UNIT), 0);
}

#[tokio::test]
async fn a_membership_that_ends_ends_the_session() {
    let gateway = asking_for_units();
    let mut browser = gateway.signed_in().await;
    lapse(&gateway);
    gateway.later(HOUR);
    is_asked_about_again(&gateway, &mut browser).await;

    let page = is_let_through_no_longer(&mut browser, "/classes").await;

    assert_eq!(page.status, 403);
    assert!(page.body.contains("Your membership is not active."), "{}", page.body);
    assert_eq!(browser.session_cookie(), None);
    assert_eq!(browser.session().await["authenticated"], false);
    assert!(browser.go("/classes").await.status.is_redirection(), "the next visit is a stranger's");
}

#[tokio::test]
async fn so_it_does_for_the_rest_of_the_household_and_for_stolen_copies() {
    let gateway = asking_for_units();
    let (mut rosa, mut jin) = (gateway.signed_in().await, gateway.browser());
    jin.member = ("jin", "jin-rows");
    assert_eq!(jin.visit("/").await.status, 200);
    let copy = rosa.clone();
    lapse(&gateway);
    gateway.later(HOUR);
    is_asked_about_again(&gateway, &mut rosa).await;
    is_let_through_no_longer(&mut rosa, "/classes").await;

    for mut browser in [jin, copy] {
        assert_eq!(browser.clone().session().await["authenticated"], false);
        assert_eq!(browser.go("/classes").await.status, 403);
    }
}

#[tokio::test]
async fn a_program_is_told_of_it_as_a_problem() {
    let gateway = asking_for_units();
    let mut browser = gateway.signed_in().await;
    lapse(&gateway);
    gateway.later(HOUR);
    is_asked_about_again(&gateway, &mut browser).await;
    is_let_through_no_longer(&mut browser.clone(), "/classes").await;

    let page = browser.fetch(http::Method::GET, "/api/classes", &[]).await;

    assert_eq!((page.status.as_u16(), page.field("content-type")), (403, "application/problem+json"));
}

#[tokio::test]
async fn where_no_session_is_needed_a_lapsed_member_is_nobody_in_particular() {
    let gateway = asking_for_units();
    let mut browser = gateway.signed_in().await;
    lapse(&gateway);
    gateway.later(HOUR);
    is_asked_about_again(&gateway, &mut browser).await;
    is_let_through_no_longer(&mut browser.clone(), "/classes").await;

    assert_eq!(browser.go("/optional/news").await.status, 200);

    assert!(!gateway.upstream().last_request().has("x-member-id"));
}

#[tokio::test]
async fn while_daxko_is_down_the_last_good_answer_counts_for_so_long_and_no_longer() {
    let gateway = asking_for_units();
    let mut browser = gateway.signed_in().await;
    gateway.daxko().faults().always(Endpoint::Unit, Fault::Status(503));

    gateway.later(HOUR);
    is_asked_about_again(&gateway, &mut browser).await;
    gateway.later(24 * HOUR - 1);
    is_asked_about_again(&gateway, &mut browser).await;
    gateway.later(60);
    let page = browser.go("/classes").await;

    assert_eq!(page.status, 503);
    assert!(page.body.contains("cannot be checked at the moment"), "{}", page.body);
    assert_eq!(page.field("retry-after"), "60");
    assert!(browser.session_cookie().is_some(), "nothing is lost");
    gateway.daxko().faults().clear();
    gateway.later(60);
    assert_eq!(browser.go("/classes").await.status, 200, "the session goes on once Daxko is back");
}

#[tokio::test]
async fn a_vendor_that_is_down_is_left_alone_for_a_while() {
    let gateway = asking_for_units();
    let (mut rosa, mut tomasz) = (gateway.signed_in().await, gateway.browser());
    tomasz.member = ("tomasz", "tomasz-runs");
    assert_eq!(tomasz.visit("/").await.status, 200);
    gateway.daxko().faults().always(Endpoint::Unit, Fault::TooManyRequests { retry_after: Some(300) });
    gateway.later(HOUR);
    is_asked_about_again(&gateway, &mut rosa).await;
    let questions =
        || gateway.daxko().requests().iter().filter(|one| one.path.starts_with("/v3/units/")).count();
    let before = questions();
    // Until Daxko's answer has arrived, tomasz may ask as well; after that nobody does.
    for _ in 0..20 {
        assert_eq!(rosa.go("/classes").await.status, 200);
        assert_eq!(tomasz.go("/classes").await.status, 200);
    }
    let answered = questions();
    assert!(answered <= before + 1, "{answered}");

    for seconds in [60, 120] {
        gateway.later(seconds);
        for _ in 0..5 {
            assert_eq!(rosa.go("/classes").await.status, 200);
            assert_eq!(tomasz.go("/classes").await.status, 200);
            // A way to Daxko and back: whoever were to ask in the background would have been there by then.
            gateway.browser().up_to_the_callback("/").await;
        }
    }

    assert_eq!(questions(), answered, "{:?}", gateway.daxko().requests());
}

#[tokio::test]
async fn somebody_who_signs_in_while_daxko_cannot_say_is_let_in_on_the_last_good_answer_alone() {
    let gateway = asking_for_units();
    gateway.signed_in().await;
    gateway.daxko().faults().always(Endpoint::Unit, Fault::Status(503));

    assert_eq!(gateway.browser().visit("/classes").await.status, 200);
    let mut tomasz = gateway.browser();
    tomasz.member = ("tomasz", "tomasz-runs");
    let page = tomasz.visit("/classes").await;

    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 503));
    assert_eq!(tomasz.session_cookie(), None);
}

#[tokio::test]
async fn an_answer_that_does_not_say_is_no_answer() {
    for fault in [
        Fault::WithoutField("status".into()),
        Fault::WithField { name: "status".into(), value: json!(null) },
        Fault::WithField { name: "status".into(), value: json!(true) },
        Fault::Html,
    ] {
        let gateway = asking_for_units();
        gateway.daxko().faults().always(Endpoint::Unit, fault.clone());
        let page = gateway.browser().visit("/classes").await;
        assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 502), "{fault:?}");
    }
}

#[tokio::test]
async fn a_public_page_asks_nobody() {
    let gateway = asking_for_units();
    let mut browser = gateway.signed_in().await;
    gateway.later(2 * HOUR);
    browser.request(http::Method::GET, "/public/news", &NAVIGATION, "").await;
    assert_eq!(asked(&gateway, UNIT), 1);
}
