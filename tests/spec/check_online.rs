//! `check --online`: what the vendors say to a configuration, every finding with what to do about it.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use member_gateway::time::Clock;
use serde_json::{Value, json};

use crate::daxko_settings::{Accent, Stub, discreet, operator};
use crate::harness::{Ended, Folder, Upstream, member_gateway};

const OURS: &str = "https://members.localhost/_gateway/callback/ymca";

fn check(folder: &Folder) -> Ended {
    discreet(member_gateway(folder, &["check", "--online"], ""))
}

fn saved(uris: &[&str], sign_up: &str) -> Option<Value> {
    let links = json!({ "sign_up": { "url": sign_up }, "forgot_password": { "url": "" } });
    Some(json!({ "settings": { "valid_redirect_uris": uris, "links": links } }))
}

fn has(ended: &Ended, lines: &[&str]) {
    for line in lines {
        assert!(ended.output.contains(line), "{line}\n{}\n{}", ended.output, ended.errors);
    }
}

#[test]
fn the_sandbox_holds_and_the_rest_of_check_is_there_too() {
    for api in ["v3", "partners-v1"] {
        let folder = Folder::with(&format!(
            "[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\napi = \"{api}\"\n\n\
             [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n"
        ));

        let ended = check(&folder);

        assert_eq!(ended.status, 0, "{ended:?}");
        assert!(ended.errors.starts_with("This is the SANDBOX"), "{}", ended.errors);
        has(
            &ended,
            &[
                "gateway.toml is valid.",
                "\nprovider ymca, asked\n  good     credentials: ",
                "\n  good     redirect URI: http://localhost:8080/_gateway/callback/ymca is registered\n",
                "\n  good     clock: ",
            ],
        );
        assert!(!ended.output.contains("WRONG"), "{}", ended.output);
    }
}

#[test]
fn a_redirect_uri_that_is_not_registered_is_wrong_and_the_command_that_mends_it_is_named() {
    for near in [
        "https://members.localhost/_gateway/callback/ymca/",
        "https://members.localhost/_gateway/callback/YMCA",
    ] {
        let stub = Stub::usual(saved(&[near], ""));

        let ended = check(&operator(&stub.address(), "", ""));

        assert_eq!(ended.status, 1);
        has(
            &ended,
            &[
                &format!("\n  WRONG    redirect URI: {OURS} is not registered\n"),
                "\n           `member-gateway daxko settings --provider ymca` registers it\n",
                &format!("\n  note     redirect URI: {near} is registered and not in this configuration\n"),
            ],
        );
        assert!(ended.errors.contains("1 finding is wrong"), "{}", ended.errors);
    }
}

#[test]
fn the_command_it_names_mends_it() {
    let stub = Stub::usual(None);
    let folder = operator(&stub.address(), "", "");
    assert_eq!(check(&folder).status, 1);

    assert_eq!(member_gateway(&folder, &["daxko", "settings", "--provider", "ymca"], "").status, 0);

    assert_eq!(check(&folder).status, 0);
}

#[test]
fn a_redirect_uri_too_many_is_named_and_no_mistake() {
    let stub = Stub::usual(saved(&[OURS, "https://other.example/callback"], ""));

    let ended = check(&operator(&stub.address(), "", ""));

    assert_eq!(ended.status, 0, "{ended:?}");
    has(&ended, &["  note     redirect URI: https://other.example/callback is registered"]);
}

#[test]
fn a_link_to_a_callback_is_wrong() {
    let stub = Stub::usual(saved(&[OURS], "https://members.localhost/_gateway/callback/ymca"));

    let ended = check(&operator(&stub.address(), "", ""));

    assert_eq!(ended.status, 1);
    has(&ended, &["  WRONG    link: sign_up leads to a callback of this gateway\n", "`links.sign_up`"]);
}

/// A Daxko that lives so many seconds ahead of us.
fn ahead(seconds: i64) -> Upstream {
    let upstream = Upstream::start();
    upstream.answers(move |request| {
        let body = if request.target.ends_with("/token") {
            json!({ "access_token": "granted-by-the-stub", "expires_in": "86400" })
        } else {
            saved(&[OURS], "").unwrap()
        };
        let now = Clock::System.now().0.checked_add_signed(seconds).unwrap();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
        Response::builder().header("Date", date).body(Full::<Bytes>::from(body.to_string())).unwrap()
    });
    upstream
}

#[test]
fn clocks_that_differ_by_more_than_half_a_minute_are_wrong() {
    for (seconds, status, line) in [
        (-60, 1, "s ahead of the vendor\n"),
        (-20, 0, "  good     clock: within 30 s of the vendor's\n"),
        (20, 0, "  good     clock: within 30 s of the vendor's\n"),
        (60, 1, "s behind the vendor\n"),
    ] {
        let daxko = ahead(seconds);

        let ended = check(&operator(&daxko.address().to_string(), "", ""));

        assert_eq!(ended.status, status, "{seconds}: {ended:?}");
        has(&ended, &[line]);
    }
}

/// A Daxko that answers so to everything.
fn answering(status: u16, body: &'static str) -> Upstream {
    let upstream = Upstream::start();
    upstream.answers(move |_| {
        let mut response = Response::new(Full::<Bytes>::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    });
    upstream
}

#[test]
fn credentials_that_are_not_taken_are_wrong_and_what_cannot_be_told_is_said_to_be_so() {
    for (status, body, exit, verdict, next) in [
        (400, "{\"error\":\"invalid_client\"}", 1, "WRONG", "compare client_id and client_secret"),
        (400, "{\"error\":\"invalid_scope\"}", 1, "WRONG", "compare `client`"),
        (401, "", 1, "WRONG", "compare refresh_token"),
        (404, "", 1, "WRONG", "compare the addresses"),
        (200, "<h1>It works!</h1>", 1, "WRONG", "compare the addresses"),
        (400, "{\"error\":\"hunter2 is wrong\"}", 1, "WRONG", "compare the keys"),
        (429, "", 0, "unknown", "wait a minute"),
        (503, "", 0, "unknown", "try again later"),
    ] {
        let daxko = answering(status, body);

        let ended = check(&operator(&daxko.address().to_string(), "", ""));

        assert_eq!(ended.status, exit, "{status} {body}: {ended:?}");
        has(&ended, &[&format!("\n  {verdict:<8} credentials: "), &format!("\n           {next}")]);
    }
    let ended = check(&operator("127.0.0.1:1", "", ""));
    assert_eq!(ended.status, 1);
    has(&ended, &["  WRONG    credentials: no answer from the client token endpoint"]);
}

#[test]
fn one_provider_that_is_wrong_hides_no_other() {
    let (good, bad) = (Stub::usual(saved(&[OURS], "")), Stub::usual(None));
    let more = format!(
        "[[provider]]\nname = \"pool\"\nkind = \"daxko\"\nclient = 4713\nclient_id = \"pool_web\"\nclient_secret = \"hunter2\"\n\
         refresh_token = \"eyJ.refresh\"\napi_base_url = \"http://{}\"\n\n\
         [[site]]\npublic_url = \"https://pool.localhost\"\nupstream = [\"http://127.0.0.1:3000\"]\nproviders = [\"pool\"]\n",
        bad.address()
    );

    let ended = check(&operator(&good.address(), "", &more));

    assert_eq!(ended.status, 1);
    has(
        &ended,
        &[
            &format!(
                "\nprovider ymca, asked\n  good     credentials: taken; a client-scoped token came\n  good     redirect URI: {OURS}"
            ),
            "\nprovider pool, asked\n  good     credentials: taken; a client-scoped token came\n  WRONG    redirect URI: https://pool.localhost/_gateway/callback/pool",
        ],
    );
}

#[test]
fn settings_that_cannot_be_read_are_wrong() {
    let accent = Accent { read: |_| (403, String::new()), ..Accent::USUAL };
    let stub = Stub::speaking(accent, None);

    let ended = check(&operator(&stub.address(), "", ""));

    assert_eq!(ended.status, 1);
    has(
        &ended,
        &["  WRONG    redirect URIs: the vendor refuses this gateway at the settings resource: status 403"],
    );
}

#[test]
fn without_online_nobody_is_asked() {
    let stub = Stub::usual(None);

    let ended = member_gateway(&operator(&stub.address(), "", ""), &["check"], "");

    assert_eq!(ended.status, 0);
    assert!(!ended.output.contains("asked"), "{}", ended.output);
}

/// Two vendors of the sandbox, the second with these keys.
fn rewards(keys: &str) -> Folder {
    Folder::with(&format!(
        "[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nenvironment = \"sandbox\"\n{keys}\n\n\
         [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"ymca\", \"rewards\"]\n"
    ))
}

#[test]
fn xoxodays_credentials_are_proved_by_a_code_that_was_made_up() {
    let ended = check(&rewards(""));

    assert_eq!(ended.status, 0, "{ended:?}");
    has(
        &ended,
        &[
            "\nprovider rewards, asked\n  good     credentials: taken; a made-up code was refused\n",
            "\n  unknown  redirect URI: whether http://localhost:8080/_gateway/callback/rewards is registered, Xoxoday does not tell\n",
            "\n  good     clock: ",
        ],
    );

    let ended = check(&rewards("client_secret = \"hunter2\""));

    assert_eq!(ended.status, 1, "{ended:?}");
    has(&ended, &["\nprovider rewards, asked\n  WRONG    credentials: the vendor refuses this gateway"]);
    has(&ended, &["\n           compare client_id and client_secret with what the vendor gave out"]);
}

#[test]
fn an_xoxoday_that_is_not_there_is_wrong_as_a_daxko_is() {
    let ended = check(&rewards("oauth_url = \"http://127.0.0.1:1/chef\""));

    assert_eq!(ended.status, 1, "{ended:?}");
    has(&ended, &["\nprovider rewards, asked\n  WRONG    credentials: no answer from the token endpoint"]);
}
