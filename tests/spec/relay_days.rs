//! Bad days and changes: a vendor that is down, slow or has had enough; a gateway that reloads, ends or hands over.

use std::net::TcpListener;
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};

use member_gateway::sandbox::daxko::{Endpoint, Fault};

use crate::harness::{Folder, Gateway, Options, Running, Wire, eventually, free_address, raw_to};
use crate::relay::{API, App, RELAYING, TOKEN, Vendor};

const MEMBER: &str = "/v3/members/400007995-00";

/// What was asked about the member.
fn questions(gateway: &Gateway) -> usize {
    gateway.daxko().requests().iter().filter(|request| request.path == MEMBER).count()
}

#[tokio::test]
async fn a_vendor_that_has_had_enough_is_left_alone_for_as_long_as_it_asks_within_reason() {
    for (asked, lasts) in [(Some(20), 20), (Some(86_400), 60), (None, 1)] {
        let gateway = Gateway::with(&RELAYING);
        gateway.daxko().faults().next(Endpoint::Member, Fault::TooManyRequests { retry_after: asked });
        let mut app = App::at(gateway.relay());

        let answer = app.get(MEMBER);
        let lasts_text = lasts.to_string();
        assert_eq!((answer.status, answer.field("retry-after")), (429, Some(&*lasts_text)), "{asked:?}");
        gateway.later(lasts - 1);
        for path in [MEMBER, "/v3/units/400007995"] {
            let answer = app.get(path);
            let said = (answer.status, answer.field("retry-after"), answer.field("member-gateway-reason"));
            assert_eq!(said, (429, Some("1"), Some("paused")), "{asked:?} {path}");
        }
        assert_eq!(questions(&gateway), 1, "{asked:?}");

        gateway.later(1);
        assert_eq!(app.get(MEMBER).status, 200, "{asked:?}");
    }
}

#[tokio::test]
async fn providers_with_the_same_username_share_its_pause_and_others_do_not() {
    let vendor = Vendor::reading(|_| {
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n".to_owned()
    });
    let provider = |name: &str, username: &str| {
        format!(
            "[[provider]]\nname = \"{name}\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n{API}\n{}\n\
             client_id = \"{username}\"\n",
            vendor.base()
        )
    };
    let more = [provider("second", "lakes_web"), provider("third", "other_web")].concat();
    let gateway = vendor.relaying(&format!("client_id = \"lakes_web\"\n{more}"));
    let relays: Vec<_> = gateway.relays().collect();

    assert_eq!(App::at(relays[0]).get(MEMBER).field("member-gateway-reason"), None);
    assert_eq!(App::at(relays[1]).get(MEMBER).field("member-gateway-reason"), Some("paused"));
    assert_eq!(App::at(relays[2]).get(MEMBER).field("member-gateway-reason"), None);
}

#[tokio::test]
async fn so_many_calls_are_under_way_at_a_time_and_others_wait_for_their_turn() {
    let (arrived, arrivals) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let go_on = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&go_on);
    let vendor = Vendor::answering(move |wire: &mut Wire, _| {
        arrived.lock().unwrap().send(()).unwrap();
        waits.wait();
        wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let admin = Options { server: "admin_listen = \"127.0.0.1:0\"", ..Options::USUAL };
    let gateway = vendor.relaying_with("api_calls = 1\n", &admin);
    let mut apps: Vec<App> = (0..3).map(|_| App::at(gateway.relay())).collect();
    apps.iter_mut().for_each(|app| app.send("GET", MEMBER, "", b""));
    arrivals.recv().unwrap();
    let question = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    eventually("all three are there", || {
        raw_to(gateway.admin(), question)
            .contains("member_gateway_relay_requests_in_flight{provider=\"ymca\"} 3\n")
    });

    for left in [2, 1, 0] {
        // Whoever could go would, while these are answered by the same thread.
        (0..20).for_each(|_| assert_eq!(App::at(gateway.relay()).get("/").status, 403));
        assert!(arrivals.try_recv().is_err(), "one at a time");
        go_on.wait();
        (left > 0).then(|| arrivals.recv().unwrap());
    }

    assert!(apps.iter_mut().all(|app| app.answer().status == 200));
}

#[tokio::test]
async fn bodies_that_do_not_come_take_nobodys_turn() {
    let vendor = Vendor::default();
    let admin = Options { server: "admin_listen = \"127.0.0.1:0\"", ..Options::USUAL };
    for length in [100_000, 3_000_000] {
        let gateway = vendor.relaying_with("", &admin);
        let head = format!(
            "POST /v3/members/1/notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut stalled: Vec<Wire> = (0..40).map(|_| Wire::to(gateway.relay())).collect();
        stalled.iter_mut().for_each(|wire| wire.send(&head));
        let question = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        eventually("all of them are there", || {
            raw_to(gateway.admin(), question)
                .contains("member_gateway_relay_requests_in_flight{provider=\"ymca\"} 40\n")
        });

        let answer = App::at(gateway.relay()).get(MEMBER);
        let said = (answer.status, answer.field("member-gateway-reason"));
        assert_eq!(said, (200, None), "{length}: {answer:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_away_is_502_or_503_and_one_that_is_silent_504() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let provider = format!("{API}\napi_base_url = \"http://{}\"", gone.local_addr().unwrap());
    let gateway =
        Gateway::with(&Options { provider: Box::leak(provider.into_boxed_str()), ..Options::USUAL });
    drop(gone);
    let answer = App::at(gateway.relay()).get(MEMBER);
    assert_eq!((answer.status, answer.field("member-gateway-reason")), (503, Some("no-token")), "{answer:?}");
    assert!(answer.field("retry-after").is_some(), "{answer:?}");

    // The token is there, the rest is not.
    let gateway = Gateway::with(&Options { provider: SHORT, ..Options::USUAL });
    let mut app = App::at(gateway.relay());
    for (fault, status, reason) in
        [(Fault::ClosedConnection, 502, "vendor-away"), (Fault::NoAnswer, 504, "vendor-silent")]
    {
        gateway.daxko().faults().next(Endpoint::Member, fault.clone());
        let answer = app.get(MEMBER);
        assert_eq!(
            (answer.status, answer.field("member-gateway-reason")),
            (status, Some(reason)),
            "{fault:?}"
        );
    }
    assert_eq!(app.get(MEMBER).status, 200);
}

const SHORT: &str = "api_listen = \"127.0.0.1:0\"\napi_timeout = \"1s\"";

#[tokio::test]
async fn credentials_that_the_vendor_does_not_take_are_the_operators_matter() {
    let provider = "api_listen = \"127.0.0.1:0\"\nclient_secret = \"not-the-password\"";
    let gateway = Gateway::with(&Options { provider, ..Options::USUAL });
    let answer = App::at(gateway.relay()).get(MEMBER);
    assert_eq!((answer.status, answer.field("member-gateway-reason")), (502, Some("no-token")));
    assert!(answer.body.contains("Its operator reads why in the log"), "{answer:?}");
}

#[tokio::test]
async fn what_the_vendor_says_of_errors_goes_on_as_it_is() {
    let gateway = Gateway::with(&RELAYING);
    let mut app = App::at(gateway.relay());
    for status in [500, 503, 404, 302] {
        let fault = if status == 302 {
            Fault::Redirect("https://elsewhere.example/".into())
        } else {
            Fault::Status(status)
        };
        gateway.daxko().faults().next(Endpoint::Member, fault);
        let answer = app.get(MEMBER);
        assert_eq!((answer.status, answer.field("member-gateway-reason")), (status, None), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_complete() {
    let vendor = Vendor::answering(|wire: &mut Wire, _| {
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    });
    let gateway = vendor.relaying("");
    let mut app = Wire::to(gateway.relay());
    app.send(format!("GET {MEMBER} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    app.until("half");
    assert!(!app.rest().contains("0\r\n\r\n"));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_request_to_the_vendor() {
    let vendor = Vendor::default();
    let gateway = vendor.relaying("");
    let mut app = Wire::to(gateway.relay());
    app.send("POST /v3/members/1/notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf");
    app.finish();
    app.rest();
    assert!(vendor.asked("POST /v3/members/").is_empty());
}

#[tokio::test]
async fn a_reload_keeps_the_token_and_takes_the_rest_at_once() {
    let mut gateway = Gateway::with(&RELAYING);
    let mut app = App::at(gateway.relay());
    assert_eq!(app.get(MEMBER).status, 200);
    let tokens = |gateway: &Gateway| {
        let requests = gateway.daxko().requests();
        requests.iter().filter(|request| request.path == "/v3/partners/oauth2/token").count()
    };

    let provider = "api_listen = \"127.0.0.1:0\"\napi_paths = [\"/v3/units/**\"]\n\
                    api_key = \"a-key-of-the-apps-that-nobody-guesses\"";
    gateway.reload(&Options { provider, ..Options::USUAL }).unwrap();

    assert_eq!(app.get("/v3/units/400007995").status, 401);
    let key = "Authorization: Bearer a-key-of-the-apps-that-nobody-guesses\r\n";
    app.send("GET", MEMBER, key, b"");
    assert_eq!(app.answer().status, 403);
    app.send("GET", "/v3/units/400007995", key, b"");
    assert_eq!(app.answer().status, 200);
    assert_eq!(tokens(&gateway), 1);
    // Mistaken, and nothing changes.
    assert!(gateway.reload(&Options { provider: "api_listen = \"0.0.0.0:1\"", ..Options::USUAL }).is_err());
    assert_eq!(app.get("/v3/units/400007995").status, 401);
}

fn configuration(listen: std::net::SocketAddr, relay: std::net::SocketAddr, vendor: &Vendor) -> String {
    format!(
        "[server]\nlisten = [\"{listen}\"]\nhandover = \"unix:handover\"\n\
         [[provider]]\nname = \"ymca\"\nkind = \"daxko\"\nenvironment = \"sandbox\"\n{}\napi_listen = \"{relay}\"\n\
         [[site]]\npublic_url = \"http://localhost:8080\"\nupstream = \"sandbox\"\nproviders = [\"ymca\"]\n",
        vendor.base()
    )
}

/// A vendor that answers when it is told to, and how often it was asked.
fn slow() -> (Vendor, Arc<Barrier>) {
    let finish = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&finish);
    let vendor = Vendor::answering(move |wire: &mut Wire, head: &str| {
        if head.contains("/slow ") {
            wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\no");
            waits.wait();
            wire.send("ld");
        } else {
            wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (vendor, finish)
}

#[test]
fn a_gateway_that_ends_finishes_what_apps_have_asked() {
    let (vendor, finish) = slow();
    let [listen, relay] = [free_address(), free_address()];
    let folder = Folder::with(&configuration(listen, relay, &vendor));
    let mut running = Running::start(&folder, relay);
    let log = running.log();
    let mut app = Wire::to(relay);
    app.send("GET /v3/units/slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    app.until("\r\n\r\no");

    running.signal("TERM");
    log.says("stopping");
    eventually("nobody is let in any more", || std::net::TcpStream::connect(relay).is_err());
    finish.wait();

    assert_eq!(app.exactly(2), *b"ld");
    assert_eq!(app.rest(), "");
    assert_eq!(running.ended(), Some(0));
    assert!(!log.text().contains(TOKEN));
}

#[test]
fn the_next_process_takes_the_address_over_and_what_is_under_way_finishes() {
    let (vendor, finish) = slow();
    let [listen, relay] = [free_address(), free_address()];
    let folder = Folder::with(&configuration(listen, relay, &vendor));
    let first = Running::start(&folder, relay);
    eventually("it can be taken over from", || folder.path().join("handover").exists());
    let mut app = Wire::to(relay);
    app.send("GET /v3/units/slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    app.until("\r\n\r\no");

    let mut second = Running::spawn(&mut folder.command(&["run", "--takeover"]));
    second.log().says("has handed over");
    assert_eq!(App::at(relay).get("/v3/units/1").status, 200);
    finish.wait();

    assert_eq!(app.exactly(2), *b"ld");
    assert_eq!(first.ended(), Some(0));
    assert_eq!(App::at(relay).get("/v3/units/1").status, 200);
    second.signal("TERM");
    assert_eq!(second.ended(), Some(0));
}
