//! Sessions that end before their time: who can end which, from when on, and what a copy of a cookie is worth then.

use std::time::Duration;

use http::Method;

use crate::configuration::{check, production};
use crate::harness::{
    Browser, Folder, Gateway, Options, Running, eventually, free_address, head, member_gateway, raw_to,
};

pub const ADMIN: Options = Options { server: "admin_listen = \"127.0.0.1:0\"", ..Options::USUAL };
const SAME_ORIGIN: (&str, &str) = ("origin", "https://members.localhost");
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const ROSA: (&str, &str) = ("rosa", "rosa-swims");

/// Asks the admin address to end sessions; the whole answer.
pub fn revoke(gateway: &Gateway, question: &str) -> String {
    let length = question.len();
    raw_to(
        gateway.admin(),
        format!(
            "POST /revoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{question}"
        ),
    )
}

fn is_done(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 204 ")
}

async fn signed_in_as(gateway: &Gateway, member: (&'static str, &'static str)) -> Browser {
    let mut browser = gateway.browser();
    browser.member = member;
    assert_eq!(browser.visit("/").await.status, 200);
    browser
}

/// What a script of the app gets: 200 for a member, 401 for nobody.
async fn status(browser: &mut Browser) -> u16 {
    browser.fetch(Method::GET, "/api/classes", &[]).await.status.as_u16()
}

async fn session_id(browser: &mut Browser) -> String {
    browser.session().await["session_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sign_out_ends_the_session_for_whoever_has_a_copy_of_the_cookie() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let (mut thief, mut elsewhere) = (browser.clone(), gateway.signed_in().await);

    assert_eq!(browser.request(Method::POST, "/_gateway/logout", &[SAME_ORIGIN], "").await.status, 303);

    assert_eq!(status(&mut thief).await, 401);
    assert_eq!(thief.session().await["authenticated"], false);
    assert_eq!(status(&mut elsewhere).await, 200, "another session of the same member goes on");
    assert_eq!(browser.visit("/").await.status, 200, "and so does a new one");
    assert_eq!(status(&mut browser).await, 200);
}

#[tokio::test]
async fn sign_out_ends_every_session_that_the_browser_shows() {
    let gateway = Gateway::with_sandbox();
    let cookies = [gateway.signed_in().await, gateway.signed_in().await].map(|b| b.session_cookie().unwrap());
    let both = cookies.each_ref().map(|cookie| format!("__Host-member-session={cookie}")).join("; ");

    let fields = [SAME_ORIGIN, ("cookie", both.as_str())];
    assert_eq!(gateway.browser().request(Method::POST, "/_gateway/logout", &fields, "").await.status, 303);

    for cookie in cookies {
        let mut browser = gateway.browser();
        browser.set_cookie("__Host-member-session", &cookie);
        assert_eq!(status(&mut browser).await, 401);
    }
}

#[tokio::test]
async fn a_sign_out_that_another_site_asks_for_ends_nothing() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;

    let foreign = [("origin", "https://evil.test")];
    assert_eq!(browser.request(Method::POST, "/_gateway/logout", &foreign, "").await.status, 403);

    assert_eq!(status(&mut browser).await, 200);
}

#[tokio::test]
async fn an_operator_ends_the_sessions_of_a_member_a_unit_a_provider_or_everybody() {
    for question in [
        r#"{"member_id": "400007995-00"}"#,
        r#"{"member_id": "400007995-00", "provider": "ymca"}"#,
        r#"{"member_unit_id": "400007995"}"#,
        r#"{"member_unit_id": "400007995", "provider": "ymca"}"#,
        r#"{"all": true, "provider": "ymca"}"#,
        r#"{"all": true}"#,
    ] {
        let gateway = Gateway::with(&ADMIN);
        let mut sessions = [signed_in_as(&gateway, ROSA).await, signed_in_as(&gateway, ROSA).await];

        let answer = revoke(&gateway, question);

        assert!(is_done(&answer), "{question}: {answer}");
        for browser in &mut sessions {
            assert_eq!(status(browser).await, 401, "{question}");
        }
    }
}

#[tokio::test]
async fn an_operator_ends_one_session_by_its_id() {
    let gateway = Gateway::with(&ADMIN);
    let (mut one, mut other) = (gateway.signed_in().await, gateway.signed_in().await);

    let question = format!(r#"{{"session_id": "{}"}}"#, session_id(&mut one).await);
    assert!(is_done(&revoke(&gateway, &question)));

    assert_eq!((status(&mut one).await, status(&mut other).await), (401, 200));
}

#[tokio::test]
async fn nobody_else_is_signed_out() {
    let gateway = Gateway::with(&ADMIN);
    let mut rosa = gateway.signed_in().await;

    for question in [
        r#"{"member_id": "300418822-01"}"#,
        r#"{"member_unit_id": "300418822"}"#,
        r#"{"member_id": "400007995-00", "provider": "rewards"}"#,
        r#"{"all": true, "provider": "rewards"}"#,
        r#"{"session_id": "AAAAAAAAAAAAAAAAAAAAAA"}"#,
    ] {
        assert!(is_done(&revoke(&gateway, question)), "{question}");
        assert_eq!(status(&mut rosa).await, 200, "{question}");
    }
}

#[tokio::test]
async fn a_login_in_the_same_second_is_a_new_session_and_holds() {
    let gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;
    assert!(is_done(&revoke(&gateway, r#"{"all": true}"#)));
    assert_eq!(status(&mut browser).await, 401);

    assert_eq!(browser.visit("/").await.status, 200);

    assert_eq!(status(&mut browser).await, 200);
    let expires_at = browser.session().await["expires_at"].as_u64().unwrap();
    let latest = crate::harness::NOW.0 + 3600 + 60;
    assert!(expires_at <= latest, "and it lasts as long as any other: {expires_at}");
}

#[tokio::test]
async fn what_was_ended_stays_ended_when_the_configuration_is_read_again() {
    let mut gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;
    assert!(is_done(&revoke(&gateway, r#"{"member_id": "400007995-00"}"#)));

    gateway.reload(&Options { session: "idle_timeout = \"2h\"", ..ADMIN }).unwrap();

    assert_eq!(status(&mut browser).await, 401);
}

#[tokio::test]
async fn a_session_that_has_ended_is_taken_from_the_browser_like_any_other_that_is_worth_nothing() {
    let gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;
    let mut on_optional = browser.clone();
    assert!(is_done(&revoke(&gateway, r#"{"all": true}"#)));

    let page = browser.go("/classes").await;
    assert!(page.status == 302 && browser.session_cookie().is_none(), "{:?}", page.set_cookies());

    gateway.upstream().forget();
    assert_eq!(on_optional.fetch(Method::GET, "/optional/x", &[]).await.status, 200);
    assert!(!gateway.upstream().last_request().has("x-member-id"), "where anybody may go, it is as nobody");
}

#[tokio::test]
async fn whoever_names_nobody_or_several_is_told_so_and_nobody_is_signed_out() {
    let gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;

    for (question, words) in [
        ("", "This takes JSON"),
        ("{}", "Name one of"),
        (r#"{"provider": "ymca"}"#, "Name one of"),
        (r#"{"member_id": "400007995-00", "all": true}"#, "Name only one"),
        (r#"{"member": "400007995-00"}"#, "This takes JSON"),
        (r#"{"session_id": "400007995-00"}"#, "No session has such an id"),
    ] {
        let answer = revoke(&gateway, question);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(words), "{question}: {answer}");
        assert!(!answer.contains("400007995"), "{answer}");
    }
    let long = format!(r#"{{"member_id": "{}"}}"#, "1".repeat(5000));
    assert!(revoke(&gateway, &long).starts_with("HTTP/1.1 400 "));
    assert_eq!(status(&mut browser).await, 200);
}

#[tokio::test]
async fn nobody_ends_sessions_from_a_page_or_where_members_come_in() {
    let gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;
    let body = r#"{"all": true}"#;
    let asked = |fields: &str| {
        raw_to(
            gateway.admin(),
            format!(
                "POST /revoke HTTP/1.1\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ),
        )
    };

    assert!(asked("Host: evil.test\r\n").starts_with("HTTP/1.1 403 "));
    assert!(asked("Host: localhost\r\nOrigin: null\r\n").starts_with("HTTP/1.1 403 "));
    let get = raw_to(gateway.admin(), "GET /revoke HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(get.starts_with("HTTP/1.1 405 ") && get.contains("allow: POST\r\n"), "{get}");
    for path in ["/revoke", "/_gateway/revoke"] {
        let answer = gateway.raw(head(&format!("POST {path}"), "Content-Length: 0\r\nConnection: close\r\n"));
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    assert_eq!(status(&mut browser).await, 200);
}

#[tokio::test]
async fn the_metrics_count_revocations_and_name_nobody() {
    let gateway = Gateway::with(&ADMIN);
    let mut browser = gateway.signed_in().await;
    assert!(is_done(&revoke(&gateway, r#"{"member_id": "400007995-00"}"#)));
    assert!(is_done(&revoke(&gateway, r#"{"member_unit_id": "300418822"}"#)));
    assert_eq!(status(&mut browser).await, 401);

    let page =
        raw_to(gateway.admin(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

    for line in [
        "member_gateway_revocations_total{kind=\"member\"} 1\n",
        "member_gateway_revocations_total{kind=\"unit\"} 1\n",
        "member_gateway_revocations_known{kind=\"member\"} 1\n",
        "member_gateway_revocations_known{kind=\"session\"} 0\n",
        "cause=\"revoked\"} 1\n",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    assert!(!page.contains("400007995") && !page.contains("300418822"), "{page}");
}

#[test]
fn the_command_ends_sessions_of_the_gateway_that_runs() {
    let (port, admin) = (free_address().port(), free_address().port());
    let folder = Folder::with(&format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nadmin_listen = \"127.0.0.1:{admin}\"\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
         [[site]]\npublic_url = \"http://localhost:{port}\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n"
    ));
    let ended = member_gateway(&folder, &["revoke", "--all"], "");
    assert!(ended.status == 1 && ended.errors.contains("no gateway answers at 127.0.0.1"), "{ended:?}");

    let mut running = Running::start(&folder, ([127, 0, 0, 1], port).into());
    let log = running.log();
    eventually("the admin address answers", || std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok());
    for arguments in [
        &["revoke", "--member", "987654321-00"][..],
        &["revoke", "--unit", "987654321", "--provider", "ymca"],
        &["revoke", "--session", "-AAAAAAAAAAAAAAAAAAAAA"],
        &["revoke", "--all"],
    ] {
        let ended = member_gateway(&folder, arguments, "");
        assert_eq!((ended.status, &*ended.output, &*ended.errors), (0, "", ""), "{arguments:?}");
    }
    log.says("kind=\"unit\"");
    assert!(!log.has_said("987654321"), "the log names nobody");

    for arguments in [
        &["revoke"][..],
        &["revoke", "--all", "--member", "1"],
        &["revoke", "--member", "a b"],
        &["revoke", "--session", "short"],
        &["revoke", "--all", "--provider", "rewards"],
        &["revoke", "--provider", "ymca"],
    ] {
        let ended = member_gateway(&folder, arguments, "");
        assert_eq!(ended.status, 2, "{arguments:?}: {ended:?}");
    }
    let without = Folder::with(
        &std::fs::read_to_string(folder.path().join("gateway.toml"))
            .unwrap()
            .replace(&format!("admin_listen = \"127.0.0.1:{admin}\"\n"), ""),
    );
    let ended = member_gateway(&without, &["revoke", "--all"], "");
    assert!(ended.status == 1 && ended.errors.contains("admin_listen"), "{ended:?}");
}

/// A gateway that keeps revocations in a file of this folder.
fn with_file(folder: &Folder) -> Gateway {
    let folder = Some(folder.path().to_owned());
    Gateway::with(&Options { session: "store = \"file:revocations\"", folder, ..ADMIN })
}

#[tokio::test]
async fn what_is_kept_in_a_file_survives_a_restart_and_reaches_the_gateway_beside() {
    let folder = Folder::empty();
    let gateway = with_file(&folder);
    let beside = with_file(&folder);
    let (mut rosa, mut leaver) = (gateway.signed_in().await, gateway.signed_in().await);
    let mut copy = leaver.clone();

    assert!(is_done(&revoke(&gateway, r#"{"all": true}"#)));
    assert_eq!(leaver.visit("/").await.status, 200);
    copy.set_cookie("__Host-member-session", &leaver.session_cookie().unwrap());
    assert_eq!(leaver.request(Method::POST, "/_gateway/logout", &[SAME_ORIGIN], "").await.status, 303);

    let mut at_the_other = [rosa.at(&beside), copy.at(&beside)];
    for browser in &mut at_the_other {
        let asked = eventually_is(browser, 401);
        asked.await;
    }
    drop(gateway);
    let restarted = with_file(&folder);
    for browser in [&mut rosa, &mut copy] {
        assert_eq!(status(&mut browser.at(&restarted)).await, 401);
    }
    let kept = std::fs::read_to_string(folder.path().join("revocations")).unwrap();
    assert!(kept.lines().count() == 2 && !kept.contains("400007995"), "{kept}");
}

/// Waits until a script of the app gets this.
pub async fn eventually_is(browser: &mut Browser, expected: u16) {
    let since = std::time::Instant::now();
    while status(browser).await != expected {
        assert!(since.elapsed() < PATIENCE, "it does not become {expected}");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_a_sign_out_counts_here_all_the_same() {
    let folder = Folder::empty();
    let gateway = with_file(&folder);
    let (mut rosa, mut leaver) = (gateway.signed_in().await, gateway.signed_in().await);
    // Whoever has been refused has no cookie any more.
    let (mut copy, untouched) = (leaver.clone(), leaver.clone());
    // Neither the file nor one in its place can be written from now on.
    std::fs::remove_file(folder.path().join("revocations")).unwrap();
    std::fs::create_dir(folder.path().join("revocations")).unwrap();

    let answer = revoke(&gateway, r#"{"all": true}"#);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("No session has ended"), "{answer}");
    assert_eq!(status(&mut rosa).await, 200, "nothing is half done, and members go on");
    let ready =
        || raw_to(gateway.admin(), "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let metrics =
        || raw_to(gateway.admin(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(
        ready().starts_with("HTTP/1.1 200 ") && ready().contains("store of revocations is lost"),
        "{}",
        ready()
    );
    assert!(metrics().contains("member_gateway_revocation_store_up 0\n"));

    let page = leaver.request(Method::POST, "/_gateway/logout", &[SAME_ORIGIN], "").await;
    assert!(page.status == 200 && leaver.session_cookie().is_none(), "{page:?}");
    assert!(page.body.contains("You are signed out here."), "{}", page.body);
    assert!(page.body.contains("2026-11-22 10:26 UTC"), "until when a copy may live: {}", page.body);
    assert_eq!(status(&mut copy).await, 401);
    eventually("it waits", || metrics().contains("member_gateway_revocations_waiting 1\n"));

    std::fs::remove_dir(folder.path().join("revocations")).unwrap();
    eventually("it is there again", || metrics().contains("member_gateway_revocation_store_up 1\n"));
    assert!(ready().ends_with("\r\n\r\nok\n"), "{}", ready());
    let restarted = with_file(&folder);
    assert_eq!(status(&mut untouched.at(&restarted)).await, 401, "the sign-out was kept, too");
    assert_eq!(status(&mut rosa.at(&restarted)).await, 200);
    assert!(is_done(&revoke(&gateway, r#"{"all": true}"#)));
}

#[tokio::test]
async fn members_are_refused_after_a_minute_without_the_store_where_the_operator_wants_that() {
    let folder = Folder::empty();
    let session = "store = \"file:revocations\"\noutage = \"refuse\"";
    let gateway = Gateway::with(&Options { session, folder: Some(folder.path().to_owned()), ..ADMIN });
    let mut rosa = gateway.signed_in().await;
    std::fs::remove_file(folder.path().join("revocations")).unwrap();
    std::fs::create_dir(folder.path().join("revocations")).unwrap();
    assert!(revoke(&gateway, r#"{"all": true}"#).starts_with("HTTP/1.1 503 "));

    gateway.later(59);
    assert_eq!(status(&mut rosa).await, 200);
    gateway.later(1);
    let refused = rosa.fetch(Method::GET, "/api/classes", &[]).await;
    assert_eq!((refused.status.as_u16(), refused.field("retry-after")), (503, "10"));
    let asked = rosa.fetch(Method::GET, "/_gateway/session", &[]).await;
    assert!(asked.status == 503 && asked.set_cookies().is_empty(), "nobody is signed out: {asked:?}");
    assert_eq!(rosa.fetch(Method::GET, "/public/x", &[]).await.status, 200, "what is public is served");
    gateway.upstream().forget();
    assert_eq!(rosa.fetch(Method::GET, "/optional/x", &[]).await.status, 200);
    assert!(!gateway.upstream().last_request().has("x-member-id"));
    let ready =
        raw_to(gateway.admin(), "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");

    std::fs::remove_dir(folder.path().join("revocations")).unwrap();
    eventually_is(&mut rosa, 200).await;
}

#[test]
fn check_says_where_revocations_are_kept_and_what_is_no_such_place() {
    let with = |key: &str| check(&production().replace("[session]\n", &format!("[session]\n{key}\n")));
    let ended = check(&production());
    assert!(ended.output.contains("in memory only: a restart forgets them"), "{ended:?}");
    let ended = with("store = \"file:revocations\"");
    assert!(
        ended.status == 0 && ended.output.contains("ended sessions are kept in ./revocations"),
        "{ended:?}"
    );
    for value in
        ["\"file:\"", "\"disk\"", "\"postgres://somebody:hunter2@db/\"", "{ env = \"NOT_SET_ANYWHERE\" }"]
    {
        let ended = with(&format!("store = {value}"));
        assert!(ended.status == 2 && ended.errors.contains("store"), "{value}: {ended:?}");
        assert!(!ended.errors.contains("hunter2"), "{}", ended.errors);
    }
    assert_eq!(with("outage = \"perhaps\"").status, 2);
}

#[test]
fn a_file_that_cannot_be_used_is_told_of_before_anybody_is_served() {
    let folder = Folder::with(&format!(
        "[session]\nkeys = [\"c2Vzc2lvbi1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\"]\nstore = \"file:nowhere/revocations\"\n\
         [server]\nlisten = [\"127.0.0.1:{}\"]\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\
         [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n",
        free_address().port()
    ));
    let ended = member_gateway(&folder, &["run"], "");
    assert!(ended.status == 1 && ended.errors.contains("`store` in [session] cannot be used"), "{ended:?}");
}
