//! Daxko's API for apps: asked with a token that no app ever sees, renewed once for all who wait for it.

mod vendor;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use member_gateway::sandbox::daxko::{Endpoint, Fault};
use serde_json::Value;

pub use self::vendor::{API, App, TOKEN, Vendor};
use crate::harness::{Folder, Gateway, Options, Wire, eventually};

/// The usual gateway, which serves the API of its sandbox to apps.
pub const RELAYING: Options = Options { provider: API, ..Options::USUAL };
const MEMBER: &str = "/v3/members/400007995-00";

/// The same in the other generation.
const PARTNERS: Options =
    Options { provider: "api = \"partners-v1\"\napi_listen = \"127.0.0.1:0\"", ..Options::USUAL };

/// How client-scoped tokens were asked for in the sandbox.
fn grants(gateway: &Gateway) -> Vec<String> {
    let requests = gateway.daxko().requests();
    let asked = requests
        .iter()
        .filter(|request| matches!(&*request.path, "/v3/partners/oauth2/token" | "/partners/auth/token"));
    asked
        .map(|request| {
            let grant = request.parameters.iter().find(|(name, _)| name == "grant_type");
            grant.map_or_else(String::new, |(_, value)| value.clone())
        })
        .collect()
}

/// So many at once, each over a connection of its own; their statuses.
fn at_once(address: SocketAddr, count: usize, path: &str) -> Vec<u16> {
    let mut apps: Vec<App> = (0..count).map(|_| App::at(address)).collect();
    apps.iter_mut().for_each(|app| app.send("GET", path, "", b""));
    apps.iter_mut().map(|app| app.answer().status).collect()
}

#[tokio::test]
async fn an_app_asks_and_gets_the_vendors_answer() {
    let gateway = Gateway::with(&RELAYING);
    let mut app = App::at(gateway.relay());

    let answer = app.get(MEMBER);
    let member: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &member["member_id"]), (200, &"400007995-00".into()), "{answer:?}");
    assert_eq!(app.get("/v3/members/unknown").status, 404);
    app.send(
        "POST",
        "/v3/virtualbranch/checkin",
        "Content-Type: application/json\r\n",
        br#"{"member_id":"400007995-00"}"#,
    );
    assert_eq!(app.answer().status, 200);

    assert_eq!(grants(&gateway), ["client_credentials"]);
}

/// The blocks of the documentation that ask for something.
#[tokio::test]
async fn the_examples_in_the_documentation_get_an_answer_as_they_stand_there() {
    let gateway = Gateway::with(&RELAYING);
    let folder = Folder::empty();
    let text = include_str!("../../docs/api-relay.md");
    let mut tried = Vec::new();
    for block in text.split("```").skip(1).step_by(2) {
        let (language, code) = block.split_once('\n').unwrap();
        let code = code.replace("127.0.0.1:8091", &gateway.relay().to_string());
        if language.is_empty() || !code.contains(&gateway.relay().to_string()) || language == "toml" {
            continue;
        }
        let (program, name) = match language {
            "sh" => ("sh", "ask.sh"),
            "php" => ("php", "ask.php"),
            "python" => ("python3", "ask.py"),
            _ => panic!("nobody knows how to run {language}"),
        };
        let file = folder.path().join(name);
        std::fs::write(&file, code).unwrap();
        let ran = Command::new(program).arg(&file).arg("400007995-00").output();
        let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; scripts/test installs it"));
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(said.contains("Rosa"), "{language}: {said}{}", String::from_utf8_lossy(&ran.stderr));
        tried.push(language);
    }
    assert_eq!(tried, ["sh", "php", "python"]);
}

#[tokio::test]
async fn the_other_generation_has_another_version_and_a_refresh_token_that_is_good_for_one_use() {
    let gateway = Gateway::with(&PARTNERS);
    let mut app = App::at(gateway.relay());

    assert_eq!(app.get("/v1/members/400007995-00").status, 200);
    assert_eq!(app.get("/v3/members/400007995-00").status, 403);
    for _ in 0..2 {
        gateway.later(3_600);
        let statuses = at_once(gateway.relay(), 20, "/v1/members/400007995-00");
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }

    assert_eq!(grants(&gateway), ["client_credentials", "refresh_token", "refresh_token"]);
    assert!(gateway.daxko().requests().iter().all(|request| request.refused_by.is_none()));
}

#[tokio::test]
async fn two_hundred_who_ask_at_expiry_cause_one_renewal() {
    let gateway = Gateway::with(&RELAYING);
    assert_eq!(App::at(gateway.relay()).get(MEMBER).status, 200);
    gateway.later(86_400);

    let statuses = at_once(gateway.relay(), 200, MEMBER);

    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(grants(&gateway).len(), 2);
}

#[tokio::test]
async fn two_hundred_whose_token_is_not_taken_cause_one_renewal_and_all_are_answered() {
    let gateway = Gateway::with(&RELAYING);
    assert_eq!(App::at(gateway.relay()).get(MEMBER).status, 200);
    gateway.daxko().forget_client_tokens();

    let statuses = at_once(gateway.relay(), 200, MEMBER);

    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(grants(&gateway).len(), 2);
}

#[tokio::test]
async fn a_vendor_that_takes_no_token_is_not_asked_for_ever_more_and_its_401_goes_on() {
    let gateway = Gateway::with(&RELAYING);
    gateway.daxko().faults().always(Endpoint::Member, Fault::Status(401));

    let statuses = at_once(gateway.relay(), 200, MEMBER);
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(grants(&gateway).len(), 2);
    let answer = App::at(gateway.relay()).get(MEMBER);
    assert_eq!(answer.field("member-gateway-reason"), Some("token-just-renewed"), "{answer:?}");

    gateway.later(60);
    gateway.daxko().faults().clear();
    gateway.daxko().forget_client_tokens();
    assert_eq!(App::at(gateway.relay()).get(MEMBER).status, 200);
    assert_eq!(grants(&gateway).len(), 3);
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_sent_again_and_one_octet_more_is_not() {
    const MIB: usize = 1024 * 1024;
    for (length, is_chunked, is_repeated) in
        [(MIB, false, true), (MIB, true, true), (MIB + 1, false, false), (MIB + 1, true, false)]
    {
        let vendor = Vendor::taking_the_second_token();
        let gateway = vendor.relaying("");
        let mut app = App::at(gateway.relay());
        let content = vec![b'x'; length];

        if is_chunked {
            app.send_chunked("POST", "/v3/members/1/notes", &content);
        } else {
            app.send("POST", "/v3/members/1/notes", "", &content);
        }
        let answer = app.answer();

        let what = format!("{length} {is_chunked}");
        let notes = vendor.asked("POST /v3/members/1/notes ");
        if is_repeated {
            assert_eq!((answer.status, answer.field("member-gateway-reason")), (200, None), "{what}");
            let bodies: Vec<bool> = notes.iter().map(|asked| asked.body == content).collect();
            assert_eq!(bodies, [true, true], "{what}");
        } else {
            assert_eq!(answer.status, 401, "{what}");
            let reason = answer.field("member-gateway-reason");
            assert_eq!(reason, Some("body-too-large-to-repeat"), "{what}");
            assert_eq!(notes.len(), 1, "{what}");
            // The token is another one by now, so whoever asks again gets an answer.
            app.send("POST", "/v3/members/1/notes", "", &content);
            assert_eq!(app.answer().status, 200, "{what}");
        }
    }
}

#[tokio::test]
async fn each_client_has_a_token_of_its_own() {
    let vendor = Vendor::default();
    let provider: &str = Box::leak(
        format!(
            "{API}\nclient = 1\n{base}\n[[provider]]\nname = \"other\"\nkind = \"daxko\"\n\
             environment = \"sandbox\"\nclient = 2\n{API}\n{base}",
            base = vendor.base()
        )
        .into_boxed_str(),
    );
    let gateway = Gateway::with(&Options { provider, ..Options::USUAL });
    let relays: Vec<SocketAddr> = gateway.relays().collect();

    for _ in 0..3 {
        assert_eq!(App::at(relays[0]).get("/v3/units/1").status, 200);
        assert_eq!(App::at(relays[1]).get("/v3/units/2").status, 200);
    }

    let scopes = vendor.asked("POST /v3/partners/oauth2/token ");
    let of = |scope: &str| scopes.iter().filter(|asked| asked.text().contains(scope)).count();
    assert_eq!((of("client:1\r"), of("client:2\r"), scopes.len()), (1, 1, 2));
    let with = |unit: &str| {
        let asked = vendor.asked(&format!("GET {unit} "));
        asked.iter().filter_map(|asked| asked.field("authorization")).collect::<Vec<_>>()
    };
    let (first, second) = (with("/v3/units/1"), with("/v3/units/2"));
    assert!(first.iter().all(|token| *token == first[0]) && second.iter().all(|token| *token == second[0]));
    assert_ne!(first[0], second[0]);
}

#[tokio::test]
async fn an_answer_streams_and_whoever_does_not_read_holds_the_vendor_up() {
    let vendor = Vendor::answering(|wire: &mut Wire, _| {
        wire.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        );
        // Far more than all buffers on the way hold; it stops where nobody reads.
        let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
        let taken = wire.send_again_while_taken(&piece, 256 * 1024 * 1024);
        assert!(taken < 256 * 1024 * 1024);
    });
    let gateway = vendor.relaying("");
    let mut app = Wire::to(gateway.relay());
    app.send("GET /v3/members/export HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(app.head().starts_with("HTTP/1.1 200 "));
    app.until("first");
    eventually("the vendor is held up", || vendor.served() == 1);
}

#[tokio::test]
async fn a_large_body_streams_to_the_vendor_as_it_comes() {
    let vendor = Vendor::answering(|wire: &mut Wire, head: &str| {
        assert!(head.to_lowercase().contains("content-length: 3000000\r\n"), "{head}");
        wire.exactly(2_000_000);
        wire.exactly(1_000_000);
        wire.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
    let gateway = vendor.relaying("");
    let mut app = Wire::to(gateway.relay());
    app.send("PUT /v3/members/1/photo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n");
    app.send(vec![b'x'; 2_500_000]);
    eventually("the vendor has begun to read", || vendor.asked("PUT ").len() == 1);
    app.send(vec![b'x'; 500_000]);
    assert!(app.head().starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn an_app_that_leaves_takes_its_call_with_it() {
    let (left, told) = std::sync::mpsc::channel();
    let left = std::sync::Mutex::new(left);
    let vendor = Vendor::answering(move |wire: &mut Wire, _| {
        // Until the other end goes.
        assert!(wire.is_closed_within(Duration::from_secs(20)));
        left.lock().unwrap().send(()).unwrap();
    });
    let gateway = vendor.relaying("api_calls = 1\n");
    let mut app = App::at(gateway.relay());
    app.send("GET", "/v3/units/1", "", b"");
    eventually("the vendor is asked", || vendor.asked("GET ").len() == 1);

    drop(app);

    told.recv().unwrap();
    // Its place is free for the next.
    let mut next = App::at(gateway.relay());
    next.send("GET", "/v3/units/2", "", b"");
    eventually("the vendor is asked again", || vendor.asked("GET /v3/units/2 ").len() == 1);
}
