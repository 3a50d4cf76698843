//! `daxko settings` and `daxko token`: an operator's set-up at Daxko, and at a Daxko that answers as nobody expected.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use member_gateway::sandbox::daxko;
use member_gateway::time::Clock;
use serde_json::{Value, json};

use crate::harness::{Ended, Folder, Upstream, member_gateway};

const OURS: &str = "https://members.localhost/_gateway/callback/ymca";
const SETTINGS: &[&str] = &["daxko", "settings", "--provider", "ymca"];
/// What must never be printed.
const SECRETS: [&str; 3] = ["hunter2", "eyJ", "granted-by-the-stub"];

/// The folder of an operator whose Daxko is at this address.
pub fn operator(address: &str, provider: &str, more: &str) -> Folder {
    Folder::with(&format!(
        "[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nclient = 4711\nclient_id = \"lakes_web\"\n\
         client_secret = \"hunter2\"\nrefresh_token = \"eyJ.refresh\"\napi_base_url = \"http://{address}\"\n{provider}\n\n\
         [[site]]\npublic_url = \"https://members.localhost\"\nupstream = [\"http://127.0.0.1:3000\"]\n\
         providers = [\"ymca\"]\n\n{more}"
    ))
}

/// A status and a body, given what is saved, if anything.
type Reading = fn(Option<&Value>) -> (u16, String);
/// A status and a body, given the document that was just saved.
type Writing = fn(&Value) -> (u16, String);

/// How a Daxko of another team answers.
#[derive(Clone, Copy)]
pub struct Accent {
    pub read: Reading,
    pub wrote: Writing,
}

impl Accent {
    /// As the documents have it, as far as they go.
    pub const USUAL: Self = Self {
        read: |saved| (200, saved.map_or_else(|| "{\"settings\":{}}".to_owned(), Value::to_string)),
        wrote: |_| (204, String::new()),
    };
}

/// A Daxko with an accent.
pub struct Stub {
    upstream: Upstream,
    saved: Arc<Mutex<Option<Value>>>,
}

impl Stub {
    pub fn speaking(accent: Accent, saved: Option<Value>) -> Self {
        let upstream = Upstream::start();
        let saved = Arc::new(Mutex::new(saved));
        let memory = Arc::clone(&saved);
        upstream.answers(move |request| {
            let mut saved = memory.lock().unwrap();
            let (status, body) = match (request.method.as_str(), request.target.as_str()) {
                ("POST", "/v3/partners/oauth2/token" | "/auth/token") => {
                    (200, r#"{"access_token":"granted-by-the-stub","expires_in":86400}"#.to_owned())
                }
                (_, target) if !target.ends_with("/partners/oauth2/members/settings") => (404, String::new()),
                ("GET", _) => (accent.read)(saved.as_ref()),
                ("PUT", _) => {
                    assert_eq!(request.field("authorization"), "Bearer granted-by-the-stub");
                    *saved = serde_json::from_slice(&request.body).ok();
                    (accent.wrote)(saved.as_ref().unwrap())
                }
                _ => (405, String::new()),
            };
            let mut response = Response::new(Full::<Bytes>::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        });
        Self { upstream, saved }
    }

    pub fn usual(saved: Option<Value>) -> Self {
        Self::speaking(Accent::USUAL, saved)
    }

    pub fn address(&self) -> String {
        self.upstream.address().to_string()
    }

    fn saved(&self) -> Value {
        self.saved.lock().unwrap().clone().unwrap_or_default()
    }

    fn writes(&self) -> usize {
        self.upstream.requests().iter().filter(|request| request.method == "PUT").count()
    }

    /// Runs a command of an operator whose Daxko this is.
    fn run(&self, provider: &str, more: &str, arguments: &[&str]) -> Ended {
        discreet(member_gateway(&operator(&self.address(), provider, more), arguments, ""))
    }
}

/// The same, once it is sure that it tells no secret.
pub fn discreet(ended: Ended) -> Ended {
    for secret in SECRETS {
        assert!(!ended.output.contains(secret) && !ended.errors.contains(secret), "{ended:?}");
    }
    ended
}

fn settings(uris: &[&str], sign_up: &str, forgot_password: &str) -> Value {
    json!({ "settings": { "valid_redirect_uris": uris,
        "links": { "sign_up": { "url": sign_up }, "forgot_password": { "url": forgot_password } } } })
}

#[test]
fn a_username_that_never_saved_anything_is_set_up() {
    let stub = Stub::usual(None);

    let ended = stub.run("links = { sign_up = \"https://www.example.org/join\" }", "", SETTINGS);

    assert_eq!((ended.status, &*ended.errors), (0, ""), "{ended:?}");
    assert_eq!(
        ended.output,
        format!(
            "+ redirect URI     {OURS}\n+ sign_up          https://www.example.org/join\n  forgot_password  (no link)\n\n\
             Written, and read back: Daxko has what the configuration says.\n"
        )
    );
    assert_eq!(stub.saved(), settings(&[OURS], "https://www.example.org/join", ""));
}

#[test]
fn the_sandbox_is_set_up_too_and_then_there_is_nothing_to_do() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let account = daxko::Settings::default();
    let (secret, refresh_token) = (account.password.clone(), account.refresh_token.clone());
    let _sandbox = daxko::Daxko::serve(listener, account, Clock::System).unwrap();
    for keys in ["", "api = \"partners-v1\""] {
        let base = if keys.is_empty() { address.clone() } else { format!("{address}/partners/api") };
        let folder = operator(&base, keys, "");
        let path = folder.path().join("gateway.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("hunter2", &secret).replace("eyJ.refresh", &refresh_token))
            .unwrap();

        let first = member_gateway(&folder, SETTINGS, "");
        let second = member_gateway(&folder, SETTINGS, "");

        assert_eq!((first.status, &*first.errors), (0, ""), "{first:?}");
        assert!(first.output.ends_with("read back: Daxko has what the configuration says.\n"), "{first:?}");
        assert_eq!((second.status, &*second.errors), (0, ""), "{second:?}");
        assert!(second.output.ends_with("\nNothing to do: Daxko has what the configuration says.\n"));
    }
}

#[test]
fn in_the_sandbox_the_command_says_that_it_is_one() {
    let folder = Folder::with(
        "[[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n\n\
         [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n",
    );

    for arguments in [SETTINGS, &["daxko", "token", "--provider", "ymca"]] {
        let ended = discreet(member_gateway(&folder, arguments, ""));

        assert!(ended.status == 0 && ended.errors.starts_with("This is the SANDBOX"), "{ended:?}");
        assert_eq!(ended.errors.lines().count(), 1);
    }
}

#[test]
fn what_the_configuration_does_not_name_is_kept() {
    let saved = json!({ "owner": "web", "settings": {
        "valid_redirect_uris": ["https://other.example/callback"], "minutes": 20,
        "links": { "help": { "url": "https://a.example/help" }, "sign_up": { "url": "https://a.example/join" },
            "forgot_password": { "url": "", "label": "Lost?" } } } });
    let stub = Stub::usual(Some(saved.clone()));

    let ended = stub.run("links = { forgot_password = \"https://a.example/lost\" }", "", SETTINGS);

    assert_eq!((ended.status, &*ended.errors), (0, ""), "{ended:?}");
    let mut expected = saved;
    expected["settings"]["valid_redirect_uris"] = json!(["https://other.example/callback", OURS]);
    expected["settings"]["links"]["forgot_password"]["url"] = json!("https://a.example/lost");
    assert_eq!(stub.saved(), expected);
    assert!(
        ended.output.starts_with("  redirect URI     https://other.example/callback\n"),
        "{}",
        ended.output
    );
}

#[test]
fn replace_drops_what_the_configuration_does_not_name_and_says_so() {
    let stub = Stub::usual(Some(settings(&["https://other.example/callback"], "https://a.example/join", "")));

    let ended = stub.run("", "", &["daxko", "settings", "--provider", "ymca", "--replace"]);

    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(stub.saved(), settings(&[OURS], "", ""));
    for line in [
        "- redirect URI     https://other.example/callback\n",
        &format!("+ redirect URI     {OURS}\n"),
        "- sign_up          https://a.example/join\n+ sign_up          (no link)\n",
    ] {
        assert!(ended.output.contains(line), "{line}: {}", ended.output);
    }
    assert!(ended.errors.starts_with("warning: --replace drops the lines marked with -"), "{}", ended.errors);
}

#[test]
fn a_dry_run_shows_the_same_and_writes_nothing() {
    for replace in [&[][..], &["--replace"]] {
        let saved = settings(&["https://other.example/callback"], "", "");
        let stub = Stub::usual(Some(saved.clone()));

        let ended = stub.run("", "", &[SETTINGS, &["--dry-run"], replace].concat());

        assert_eq!((ended.status, stub.writes(), stub.saved()), (0, 0, saved), "{ended:?}");
        assert!(ended.output.contains(&format!("+ redirect URI     {OURS}\n")), "{}", ended.output);
        assert!(ended.output.ends_with("Nothing was written: this was a dry run.\n"));
    }
}

#[test]
fn where_nothing_is_to_be_done_nothing_is_written() {
    for (saved, arguments) in [
        (settings(&[OURS], "", ""), SETTINGS),
        (settings(&["https://other.example/callback", OURS], "https://a.example/join", ""), SETTINGS),
        (settings(&[OURS], "", ""), &["daxko", "settings", "--provider", "ymca", "--replace"]),
    ] {
        let stub = Stub::usual(Some(saved));

        let ended = stub.run("", "", arguments);

        assert_eq!((ended.status, stub.writes()), (0, 0), "{ended:?}");
        assert!(ended.output.ends_with("\nNothing to do: Daxko has what the configuration says.\n"));
    }
}

#[test]
fn a_daxko_with_another_accent_is_understood() {
    fn unwrapped(saved: Option<&Value>) -> (u16, String) {
        (200, saved.map_or_else(|| "{}".to_owned(), |saved| saved["settings"].to_string()))
    }
    let reads: [(&str, Reading); 6] = [
        ("no wrapper", unwrapped),
        ("404 before the first time", |saved| match saved {
            Some(_) => unwrapped(saved),
            None => (404, "<h1>Not found</h1>".to_owned()),
        }),
        ("204 before the first time", |saved| {
            saved.map_or((204, String::new()), |saved| (200, saved.to_string()))
        }),
        ("nothing before the first time", |saved| (200, saved.map(Value::to_string).unwrap_or_default())),
        ("null before the first time", |saved| (200, saved.map_or("null".to_owned(), Value::to_string))),
        ("an empty document before the first time", |saved| {
            (200, saved.cloned().unwrap_or_else(|| settings(&[], "", "")).to_string())
        }),
    ];
    let writes: [(&str, Writing); 4] = [
        ("204", |_| (204, String::new())),
        ("200 with the document", |saved| (200, saved.to_string())),
        ("200 with text", |_| (200, "OK".to_owned())),
        ("201", |_| (201, String::new())),
    ];
    for (reading, read) in reads {
        for (writing, wrote) in writes {
            let stub = Stub::speaking(Accent { read, wrote }, None);

            let first = stub.run("", "", SETTINGS);
            let second = stub.run("", "", SETTINGS);

            assert_eq!((first.status, &*first.errors), (0, ""), "{reading}, {writing}: {first:?}");
            assert_eq!(stub.saved(), settings(&[OURS], "", ""), "{reading}, {writing}");
            assert_eq!((second.status, stub.writes()), (0, 1), "{reading}, {writing}: {second:?}");
        }
    }
}

#[test]
fn partners_v1_gets_the_document_without_a_wrapper() {
    let stub = Stub::usual(None);

    let ended = stub.run("api = \"partners-v1\"", "", SETTINGS);

    assert_eq!((ended.status, &*ended.errors), (0, ""), "{ended:?}");
    let links = json!({ "sign_up": { "url": "" }, "forgot_password": { "url": null } });
    assert_eq!(stub.saved(), json!({ "valid_redirect_uris": [OURS], "links": links }));
}

#[test]
fn settings_that_are_not_understood_are_not_overwritten() {
    for odd in
        ["<h1>Maintenance</h1>", "{\"valid_redirect_uris\":\"all\"}", "\"saved\"", "{\"settings\":[1]}"]
    {
        let answer: Value = odd.into();
        let accent =
            Accent { read: |saved| (200, saved.unwrap().as_str().unwrap().to_owned()), ..Accent::USUAL };
        let stub = Stub::speaking(accent, Some(answer));

        let ended = stub.run("", "", &[SETTINGS, &["--replace"]].concat());

        assert_eq!((ended.status, stub.writes(), &*ended.output), (1, 0, ""), "{odd}: {ended:?}");
        assert!(ended.errors.contains("What to do: "), "{odd}: {}", ended.errors);
    }
}

#[test]
fn a_daxko_that_saves_something_else_is_found_out() {
    let accent = Accent { read: |_| (200, settings(&[], "", "").to_string()), ..Accent::USUAL };

    let ended = Stub::speaking(accent, None).run("", "", SETTINGS);

    assert_eq!(ended.status, 1);
    assert!(ended.output.contains(&format!("\n- redirect URI     {OURS}\n")), "{}", ended.output);
    assert!(ended.errors.contains("Daxko has not saved what it was sent"), "{}", ended.errors);
}

#[test]
fn a_link_to_a_callback_of_any_site_is_refused() {
    let elsewhere = "[[site]]\npublic_url = \"https://club.localhost\"\nupstream = [\"http://127.0.0.1:3000\"]\nproviders = [\"ymca\"]\n";
    for link in
        ["https://members.localhost/_gateway/callback/ymca", "https://club.localhost/_gateway/callback/x?a=b"]
    {
        let stub = Stub::usual(None);

        let ended = stub.run(&format!("links = {{ sign_up = \"{link}\" }}"), elsewhere, SETTINGS);

        assert_eq!((ended.status, stub.writes()), (2, 0), "{ended:?}");
        assert!(ended.errors.contains("this link leads to a callback of this gateway"), "{}", ended.errors);

        let stub = Stub::usual(Some(settings(&[], "", link)));

        let ended = stub.run("", elsewhere, SETTINGS);

        assert_eq!((ended.status, stub.writes()), (1, 0), "{ended:?}");
        assert!(ended.errors.contains("`links.forgot_password`"), "{}", ended.errors);
        assert_eq!(stub.run("links = { forgot_password = \"\" }", elsewhere, SETTINGS).status, 0);
    }
}

#[test]
fn every_site_and_every_provider_of_the_same_username_is_registered() {
    let more = "[[site]]\npublic_url = \"https://club.localhost\"\nupstream = [\"http://127.0.0.1:3000\"]\nproviders = [\"ymca\", \"pool\"]\n\n\
                [[provider]]\nname = \"pool\"\nkind = \"daxko\"\nclient = 4713\nclient_id = \"lakes_web\"\n\
                client_secret = \"hunter2\"\nrefresh_token = \"eyJ.refresh\"\n";
    let stub = Stub::usual(None);
    let more = format!("{more}api_base_url = \"http://{}/v3/\"\n", stub.address());

    let ended = stub.run("", &more, &[SETTINGS, &["--replace"]].concat());

    assert_eq!(ended.status, 0, "{ended:?}");
    let uris = [
        OURS,
        "https://club.localhost/_gateway/callback/ymca",
        "https://club.localhost/_gateway/callback/pool",
    ];
    assert_eq!(stub.saved(), settings(&uris, "", ""));
}

#[test]
fn what_is_named_wrongly_is_a_usage_error() {
    let stub = Stub::usual(None);
    for command in ["settings", "token"] {
        let ended = stub.run("", "", &["daxko", command, "--provider", "ymac"]);

        assert_eq!((ended.status, &*ended.output), (2, ""));
        assert!(ended.errors.contains("kind = \"daxko\": ymca."), "{}", ended.errors);
        assert_eq!(stub.run("", "", &["daxko", command]).status, 2);
    }
    assert!(stub.upstream.requests().is_empty());
}

#[test]
fn refusals_exit_1_and_say_what_to_do() {
    let refusing: Reading = |_| (403, "{\"error\":\"hunter2\"}".to_owned());
    let silent: Reading = |_| (503, String::new());
    for read in [refusing, silent] {
        let stub = Stub::speaking(Accent { read, ..Accent::USUAL }, None);

        let ended = stub.run("", "", SETTINGS);

        assert_eq!((ended.status, stub.writes()), (1, 0));
        assert!(
            ended.errors.contains("settings resource") && ended.errors.contains("What to do: "),
            "{ended:?}"
        );
    }
    let nobody = discreet(member_gateway(&operator("127.0.0.1:1", "", ""), SETTINGS, ""));
    assert!(
        nobody.status == 1 && nobody.errors.contains("no answer from the client token endpoint"),
        "{nobody:?}"
    );
}

#[test]
fn a_token_is_shown_only_to_whoever_asks_for_it() {
    let stub = Stub::usual(None);

    let quiet = stub.run("", "", &["daxko", "token", "--provider", "ymca"]);
    let folder = operator(&stub.address(), "", "");
    let shown = member_gateway(&folder, &["daxko", "token", "--provider", "ymca", "--show"], "");

    assert_eq!((quiet.status, &*quiet.errors), (0, ""), "{quiet:?}");
    assert!(quiet.output.starts_with("Daxko has granted a token for client:4711, good until "), "{quiet:?}");
    assert_eq!((shown.status, &*shown.output), (0, "granted-by-the-stub\n"), "{shown:?}");
    assert!(shown.errors.starts_with("Daxko has granted a token for client:4711, good until "), "{shown:?}");
}
