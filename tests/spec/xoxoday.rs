//! Xoxoday, seen from the gateway: what it is sent, what its answers mean, and who a member is where the vendor has no ids.
//!
//! The vendor here is an upstream that answers as it is told, so that each shape of its documentation can be put into
//! its mouth, with the status that it does not publish.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{Browser, Folder, Gateway, Options, Page, Recorded, Upstream};

const CODE: &str = "7c1f09d2b84e4a6fb1d3a95e60c2f748";
const TOKEN: &str = "/chef/v1/oauth/token/company";

/// A gateway in front of a vendor, with further keys of the provider's table; `{vendor}` in them is the vendor's address.
fn rewards(keys: &str) -> (Gateway, Upstream) {
    let vendor = Upstream::start();
    let keys = keys.replace("{vendor}", &format!("http://{}", vendor.address()));
    let table = format!(
        "[[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nclient_id = \"9a31c0de5f7742d08b6e14a2f3c5d7e9\"\n\
         client_secret = \"a-secret-of-xoxoday\"\noauth_url = \"http://{}/chef\"\n{keys}",
        vendor.address()
    );
    // A configuration of the harness lives as long as its tests.
    let more = Box::leak(table.into_boxed_str());
    let gateway = Gateway::with(&Options { more, providers: Some("\"rewards\""), ..Options::USUAL });
    answers(
        &vendor,
        200,
        json!({ "access_token": "eyJ0b2tlbg", "token_type": "bearer", "email": "Noor.Haddad@Example.org" }),
    );
    (gateway, vendor)
}

/// What the vendor answers from now on, without a content type.
fn answers(vendor: &Upstream, status: u16, body: Value) {
    vendor.answers(move |_| answer(status, &body.to_string()));
}

fn answer(status: u16, body: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from(body.to_owned())).unwrap()
}

/// A login as far as the vendor's redirect back.
async fn callback(browser: &mut Browser) -> String {
    let start = browser.go("/classes").await;
    assert_eq!(start.status, 302, "{}", start.body);
    format!("/_gateway/callback/rewards?code={CODE}&state={}", start.location_parameter("state"))
}

/// A whole login: the member id and the unit id that the app is told.
async fn ids(gateway: &Gateway) -> (String, String) {
    let mut browser = gateway.browser();
    let callback = callback(&mut browser).await;
    let page = browser.visit(&callback).await;
    assert_eq!(page.path_and_query(), "/classes", "{}", page.body);
    let request = gateway.upstream().last_request();
    assert_eq!(request.field("x-member-provider"), "rewards");
    (request.field("x-member-id").to_owned(), request.field("x-member-unit-id").to_owned())
}

/// A login that ends on the error page with this status.
async fn fails(gateway: &Gateway, status: u16) -> Page {
    let mut browser = gateway.browser();
    let callback = callback(&mut browser).await;
    let page = browser.visit(&callback).await;
    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", status), "{}", page.body);
    assert!(page.body.contains("Sign in again"), "{}", page.body);
    assert_eq!(browser.session_cookie(), None);
    assert!(gateway.upstream().requests().is_empty());
    page
}

fn exchanges(vendor: &Upstream) -> Vec<Recorded> {
    vendor.requests().into_iter().filter(|request| request.target.contains("/oauth/token/")).collect()
}

#[tokio::test]
async fn a_member_signs_in_by_the_address_of_the_company_grant() {
    let (gateway, vendor) = rewards("");

    let address = "noor.haddad@example.org".to_owned();
    assert_eq!(ids(&gateway).await, (address.clone(), address), "in lower case, and a unit of one");

    let requests = vendor.requests();
    assert_eq!(requests.len(), 1, "nothing is refreshed, validated or asked beyond the exchange");
    assert_eq!((&*requests[0].method, &*requests[0].target), ("POST", TOKEN));
    assert!(!requests[0].has("authorization"));
    assert_eq!(requests[0].field("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    let expected = json!({
        "grant_type": "authorization_code",
        "code": CODE,
        "redirect_uri": "https://members.localhost/_gateway/callback/rewards",
        "client_id": "9a31c0de5f7742d08b6e14a2f3c5d7e9",
        "client_secret": "a-secret-of-xoxoday",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn scopes_are_separated_by_commas_and_a_state_is_always_sent() {
    let (gateway, vendor) = rewards("scopes = [\"user_session\", \"company_session\"]\n");

    let start = gateway.browser().go("/classes").await;

    let location = start.location();
    let base = format!("http://{}/chef/v1/oauth/authorize?client_id=9a31", vendor.address());
    assert!(location.starts_with(&base), "{location}");
    assert!(location.contains("&scope=user_session,company_session&state="), "{location}");
    assert_eq!(start.location_parameter("response_type"), "code");
    assert!(start.location_parameter("state").len() >= 43);
    assert_eq!(start.field("cache-control"), "no-store");
}

#[tokio::test]
async fn where_members_sign_in_is_a_setting_of_its_own() {
    let (gateway, vendor) = rewards("authorize_url = \"{vendor}/v1/oauth/authorize\"\n");

    let start = gateway.browser().go("/classes").await;

    let base = format!("http://{}/v1/oauth/authorize?", vendor.address());
    assert!(start.location().starts_with(&base), "{}", start.location());
    ids(&gateway).await;
    assert_eq!(exchanges(&vendor)[0].target, TOKEN);
}

#[tokio::test]
async fn who_denies_is_told_so_and_not_sent_back() {
    let (gateway, vendor) = rewards("");
    let mut browser = gateway.browser();
    let start = browser.go("/classes").await;
    let state = start.location_parameter("state");
    let denied = format!(
        "/_gateway/callback/rewards?error=access_denied&error_description=The+user+denied+the+request&state={state}"
    );

    let page = browser.visit(&denied).await;

    assert_eq!((page.url.path(), page.status.as_u16()), ("/_gateway/error", 403));
    assert!(page.body.contains("You were not signed in."), "{}", page.body);
    assert!(!page.body.contains("http-equiv"), "nothing goes on by itself");
    let again = browser.go("/_gateway/callback/rewards?error=access_denied&state=other").await;
    assert!(again.location().starts_with("/_gateway/error"), "{}", again.location());
    assert!(vendor.requests().is_empty());
}

#[tokio::test]
async fn a_code_with_a_foreign_state_is_left_unspent() {
    let (gateway, vendor) = rewards("");
    let mut browser = gateway.browser();
    let own = callback(&mut browser).await;
    let foreign = callback(&mut gateway.browser()).await;

    for address in
        [foreign.as_str(), "/_gateway/callback/rewards?code=x", "/_gateway/callback/ymca?code=x&state=y"]
    {
        let page = browser.go(address).await;
        assert!(page.status == 404 || page.location().starts_with("/_gateway/error"), "{address}");
    }
    assert!(vendor.requests().is_empty());
    assert_eq!(browser.go(&own).await.location(), "/classes");
}

#[tokio::test]
async fn each_shape_of_refusal_has_its_page() {
    let limit = "auth.request_limit_exceeded";
    for (status, body, page) in [
        (400, json!({ "error": "invalid_grant", "error_description": "x" }), 400),
        (
            400,
            json!({ "error": "invalid_request", "error_description": "missing/invalid parameters code" }),
            502,
        ),
        (401, json!({ "error": "unauthorized_client" }), 502),
        (401, json!({ "error": "invalid_token", "error_description": "invalid/expired token" }), 502),
        (401, json!({ "success": 0, "error_message_id": "auth.token_error" }), 502),
        (400, json!({ "message": limit }), 503),
        (429, json!({ "errors": [{ "message": limit, "penaltySeconds": 60 }] }), 503),
        (404, json!({ "code": 404, "errorId": "PLE10030", "errorInfo": "x", "error": "Not found" }), 502),
        (401, json!({ "error": "Unauthorized" }), 502),
    ] {
        for status in [status, 200] {
            let (gateway, vendor) = rewards("");
            answers(&vendor, status, body.clone());
            fails(&gateway, page).await;
            assert_eq!(vendor.requests().len(), 1, "{status} {body}: the code is tried once");
        }
    }
}

#[tokio::test]
async fn an_error_beside_a_token_is_an_error() {
    for mistake in [json!({ "error": "invalid_grant" }), json!({ "success": 0 })] {
        let (gateway, vendor) = rewards("");
        let mut body = json!({ "access_token": "eyJ0b2tlbg", "email": "noor@example.org" });
        body.as_object_mut().unwrap().extend(mistake.as_object().unwrap().clone());
        answers(&vendor, 200, body);
        let status = if mistake.get("error").is_some() { 400 } else { 502 };
        fails(&gateway, status).await;
    }
}

#[tokio::test]
async fn a_success_without_a_token_is_a_failure() {
    for body in [
        json!({ "email": "noor@example.org" }),
        json!({ "access_token": "", "email": "a@b" }),
        json!([]),
        json!(""),
    ] {
        let (gateway, vendor) = rewards("");
        answers(&vendor, 200, body);
        fails(&gateway, 502).await;
    }
}

#[tokio::test]
async fn the_lifetimes_of_tokens_may_be_anything() {
    for (expires_in, extra) in
        [(json!(2_592_000), json!(1)), (json!("1296000"), json!("200")), (json!(null), json!(200))]
    {
        let (gateway, vendor) = rewards("");
        answers(
            &vendor,
            200,
            json!({
                "access_token": "eyJ0b2tlbg", "token_type": "bearer", "expires_in": expires_in, "success": 1,
                "status": extra, "access_token_expiry": "1797892000000", "refresh_token": "b2f0", "email": "a@b",
            }),
        );
        assert_eq!(ids(&gateway).await.0, "a@b");
    }
}

#[tokio::test]
async fn without_an_address_nobody_is_signed_in() {
    for email in
        [json!(null), json!(""), json!(["a@b"]), json!("a@b,c@d"), json!("ａ@b"), json!("a@b\r\nX-Evil: 1")]
    {
        let (gateway, vendor) = rewards("");
        answers(&vendor, 200, json!({ "access_token": "eyJ0b2tlbg", "email": email }));
        let page = fails(&gateway, 502).await;
        assert!(page.body.contains("Your membership could not be read."), "{}", page.body);
    }
}

#[tokio::test]
async fn a_unit_may_be_shared_and_an_address_kept_as_it_was_typed() {
    let (gateway, _vendor) =
        rewards("[provider.identity]\nmember_unit_id = { value = \"rewards-club\" }\nlowercase = false\n");

    assert_eq!(ids(&gateway).await, ("Noor.Haddad@Example.org".to_owned(), "rewards-club".to_owned()));
}

const USERINFO: &str = "grant = \"user\"\n[provider.identity]\nfrom = \"userinfo\"\n\
    member_id = \"/data/fetchUserDetails/email\"\nmember_unit_id = \"/data/fetchUserDetails/id\"\n\
    [provider.identity.userinfo]\nbody = '{\"query\":\"q\"}'\nheaders = { X-Api-Key = \"an-api-key\" }\n";

#[tokio::test]
async fn the_user_grant_is_followed_by_a_call_with_the_members_token() {
    let (gateway, vendor) = rewards(USERINFO);
    vendor.answers(|request| match &*request.target {
        "/chef/v1/oauth/token/user" => {
            answer(200, r#"{"access_token":"eyJ1c2Vy","email":"another@example.org"}"#)
        }
        _ => answer(200, r#"{"data":{"fetchUserDetails":{"email":"Noor@Example.org","id":42}}}"#),
    });

    assert_eq!(ids(&gateway).await, ("noor@example.org".to_owned(), "42".to_owned()));

    let call = vendor.last_request();
    assert_eq!((&*call.method, &*call.target), ("POST", "/chef/v1/oauth/api"));
    assert_eq!(call.field("authorization"), "Bearer eyJ1c2Vy");
    assert_eq!((call.field("x-api-key"), call.field("content-type")), ("an-api-key", "application/json"));
    assert_eq!(call.body, r#"{"query":"q"}"#);
}

#[tokio::test]
async fn a_user_details_call_that_fails_signs_nobody_in() {
    for (status, body, page) in [
        (401, r#"{"error":"invalid_token"}"#, 502),
        (403, "<html>", 502),
        (200, "<html>", 502),
        (200, r#"{"errors":[{"message":"auth.request_limit_exceeded","penaltySeconds":60}]}"#, 503),
        (200, r#"{"data":{"fetchUserDetails":null}}"#, 502),
        (302, "", 502),
        (500, "", 503),
    ] {
        let (gateway, vendor) = rewards(USERINFO);
        vendor.answers(move |request| match &*request.target {
            "/chef/v1/oauth/token/user" => answer(200, r#"{"access_token":"eyJ1c2Vy"}"#),
            _ => answer(status, body),
        });
        fails(&gateway, page).await;
        assert_eq!(vendor.requests().len(), 2, "{status} {body}");
    }
}

const HEADER: &str = "email,member_id,member_unit_id\n";

/// A gateway whose directory is a file, and the folder of that file.
fn with_file(text: &str) -> (Gateway, Upstream, Folder) {
    let folder = Folder::empty().and("members.csv", text);
    let file = folder.path().join("members.csv");
    let keys =
        format!("[provider.identity]\nfrom = \"directory\"\ndirectory = {{ file = '{}' }}\n", file.display());
    let (gateway, vendor) = rewards(&keys);
    (gateway, vendor, folder)
}

#[tokio::test]
async fn a_directory_in_a_file_gives_an_address_the_operators_own_ids() {
    let (gateway, _vendor, _folder) = with_file(&format!("{HEADER}NOOR.haddad@example.org,0042-01,0042\n"));

    assert_eq!(ids(&gateway).await, ("0042-01".to_owned(), "0042".to_owned()));
}

#[tokio::test]
async fn who_is_not_in_the_directory_is_told_whom_to_ask() {
    let (gateway, _vendor, _folder) = with_file(&format!("{HEADER}noor@example.org,1,1\n"));

    let page = fails(&gateway, 403).await;

    assert!(page.body.contains("You are not known here as a member."), "{}", page.body);
    assert!(!page.body.to_lowercase().contains("haddad"), "{}", page.body);
}

#[tokio::test]
async fn who_is_in_the_directory_twice_is_nobody() {
    let row = "noor.haddad@example.org,1,1\nNoor.Haddad@example.org,2,1\n";
    let (gateway, _vendor, _folder) = with_file(&format!("{HEADER}{row}"));

    let page = fails(&gateway, 403).await;

    assert!(page.body.contains("It is not clear which member you are."), "{}", page.body);
}

#[tokio::test]
async fn a_directory_that_changes_is_read_anew_and_a_broken_one_is_not() {
    let (gateway, _vendor, folder) = with_file(&format!("{HEADER}noor.haddad@example.org,1,1\n"));
    assert_eq!(ids(&gateway).await.0, "1");
    let (folder, now) = (folder.and("members.csv", &format!("{HEADER}noor.haddad@example.org,22,2\n")), 5);
    gateway.later(now);
    assert_eq!(ids(&gateway).await.0, "22");
    let _folder = folder.and("members.csv", "a spreadsheet\n");
    gateway.later(now);
    assert_eq!(ids(&gateway).await.0, "22");
}

const BY_URL: &str = "[provider.identity]\nfrom = \"directory\"\n[provider.identity.directory]\n\
    url = \"{vendor}/ids?email={email}\"\nheaders = { Authorization = \"Bearer of-the-operator\" }\n";

/// A vendor that answers the directory's question so, too.
fn knows(vendor: &Upstream, status: u16, body: &'static str) {
    vendor.answers(move |request| {
        if request.target.starts_with("/ids") {
            answer(status, body)
        } else {
            answer(200, r#"{"access_token":"eyJ0b2tlbg","email":"Noor+a&b@Example.org"}"#)
        }
    });
}

#[tokio::test]
async fn a_directory_behind_a_url_is_asked_for_the_address() {
    let (gateway, vendor) = rewards(BY_URL);
    knows(&vendor, 200, r#"{"member_id":"AbC-01","member_unit_id":42}"#);

    assert_eq!(
        ids(&gateway).await,
        ("AbC-01".to_owned(), "42".to_owned()),
        "an operator's ids are taken as they are"
    );

    let question = vendor.last_request();
    assert_eq!((&*question.method, &*question.target), ("GET", "/ids?email=noor%2Ba%26b%40example.org"));
    assert_eq!(question.field("authorization"), "Bearer of-the-operator");
}

#[tokio::test]
async fn what_a_directory_behind_a_url_answers_has_its_page() {
    let two = r#"[{"member_id":"1","member_unit_id":"1"},{"member_id":"2","member_unit_id":"1"}]"#;
    for (status, body, page, words) in [
        (404, "<html>", 403, "not known here"),
        (200, "", 403, "not known here"),
        (204, "", 403, "not known here"),
        (200, "[]", 403, "not known here"),
        (200, "null", 403, "not known here"),
        (200, r#"{"email":"noor@example.org","member_id":"1","member_unit_id":"1"}"#, 403, "not known here"),
        (200, two, 403, "not clear which member"),
        (200, r#"{"member_id":"1"}"#, 502, "could not be read"),
        (200, "<html>", 502, "makes no sense"),
        (302, "", 502, "makes no sense"),
        (401, "{}", 502, "not set up correctly"),
        (503, "", 503, "not available"),
    ] {
        let (gateway, vendor) = rewards(BY_URL);
        knows(&vendor, status, body);
        let text = fails(&gateway, page).await.body;
        assert!(text.contains(words), "{status} {body}: no {words:?} in {text}");
        assert_eq!(vendor.requests().len(), 2, "{status} {body}: asked once each");
    }
}

#[tokio::test]
async fn no_address_no_token_and_no_code_stands_in_the_log() {
    let vendor = Upstream::start();
    knows(&vendor, 404, "");
    let base = format!("http://{}", vendor.address());
    let configuration = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [identity]\nemail = \"X-Member-Email\"\n\
         [[provider]]\nname = \"rewards\"\nkind = \"xoxoday\"\nclient_id = \"id\"\nclient_secret = \"canary-secret\"\n\
         oauth_url = \"{base}/chef\"\n\
         {}\n\
         [[provider]]\nname = \"plain\"\nkind = \"xoxoday\"\nclient_id = \"id\"\nclient_secret = \"canary-secret\"\n\
         oauth_url = \"{base}/chef\"\n\
         [[site]]\npublic_url = \"https://members.localhost\"\nupstream = \"sandbox\"\nproviders = [\"rewards\", \"plain\"]\n",
        BY_URL.replace("{vendor}", &base).replace("of-the-operator", "canary-key")
    );
    let folder = Folder::with(&configuration);
    let mut command = folder.command(&["run"]);
    let command =
        command.env("RUST_LOG", "trace").env("NO_COLOR", "1").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("listen=\"") || !log.contains("member-gateway check") {
        assert!(stderr.read_line(&mut log).unwrap() > 0, "{log}");
    }
    let listen = log.split("listen=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let rest = std::thread::spawn(move || {
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    let mut browser = Browser::new(listen);
    let mut states = Vec::new();
    for (provider, ends_at) in [("rewards", "/_gateway/error"), ("plain", "/classes")] {
        let start = browser.go(&format!("/_gateway/login?provider={provider}&return_to=/classes")).await;
        let state = start.location_parameter("state");
        let callback = format!("/_gateway/callback/{provider}?code=canary-code&state={state}");
        states.push(state);
        if provider == "plain" {
            answers(&vendor, 200, json!({ "access_token": "eyJ0b2tlbg", "email": "Noor@Example.org" }));
        }
        assert_eq!(browser.visit(&callback).await.url.path(), ends_at);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = rest.join().unwrap();

    assert!(log.contains("signed in") && log.contains("the directory has no row"), "{log}");
    for canary in ["canary", "Noor", "noor", "example.org", "eyJ", states[0].as_str(), states[1].as_str()] {
        let line = log.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "{canary}");
    }
}
