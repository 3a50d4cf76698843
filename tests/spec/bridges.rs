//! Bridges: apps that cannot be changed are told in a field, or in Basic credentials, and nobody else can tell them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::COOKIE;
use member_gateway::member::{Member, MemberId, MemberUnitId, Profile, ProviderName};
use member_gateway::secret::Secret;
use member_gateway::session::cookie::Cookies;
use member_gateway::session::seal::KeyRing;
use member_gateway::session::{Policy, Session, SessionId};

use crate::configuration::{SESSION_KEY, check, production};
use crate::harness::{Gateway, NOW, Options, SITE};

const PASSWORD: &str = "a-password-of-the-app";
const BOTH: &str = "[site.bridge]\nremote_user = { field = \"X-Remote-User\", holds = \"member_unit_id\" }\n\
                    basic = { password = \"a-password-of-the-app\" }";
/// Where everybody gets to the upstream.
const OPEN_TO_ALL: [(&str, &str); 3] = [
    ("GET /public/a", ""),
    ("GET /optional/a", ""),
    ("OPTIONS /classes", "Origin: https://members.localhost\r\nAccess-Control-Request-Method: GET\r\n"),
];

fn bridged(site: &'static str) -> Gateway {
    Gateway::with(&Options { site, ..Options::default() })
}

fn credentials(id: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{PASSWORD}")))
}

/// The `Cookie` line of a member of this id, sealed as the gateway of the tests seals.
fn cookie_of(id: &'static str) -> String {
    let hours = |hours: u64| std::time::Duration::from_secs(hours * 3600);
    let policy = Policy { idle_timeout: hours(1), max_age: hours(12) };
    let key = Secret::new(URL_SAFE_NO_PAD.decode(SESSION_KEY).unwrap());
    let member = Member {
        provider: ProviderName::new("ymca").unwrap(),
        id: MemberId::new(id).unwrap(),
        unit_id: MemberUnitId::new("400007995").unwrap(),
        profile: Profile::default(),
    };
    let cookies = Cookies::new(&KeyRing::new([&key]).unwrap(), SITE, true, policy);
    let set = cookies.set_session(&Session::begin(SessionId([7; 16]), member, NOW, NOW));
    format!("{COOKIE}: {}\r\n", set.to_str().unwrap().split(';').next().unwrap())
}

#[tokio::test]
async fn a_member_is_told_in_the_field_and_in_basic_credentials() {
    let gateway = bridged(BOTH);
    let cookie = gateway.member().await;

    let request = gateway.forwards("GET /classes", &cookie);

    assert_eq!(request.field("x-remote-user"), "400007995");
    assert_eq!(request.field("authorization"), credentials("400007995-00"));
    assert_eq!(request.field("x-member-id"), "400007995-00");
    let input = request.field("signature-input");
    assert!(!input.contains("remote-user") && !input.contains("authorization"), "{input}");
}

#[tokio::test]
async fn a_field_alone_holds_the_member_id_and_authorization_passes() {
    let gateway = bridged("[site.bridge]\nremote_user = { field = \"Remote-User\" }");
    let cookie = gateway.member().await;

    let request = gateway.forwards("GET /classes", &format!("{cookie}Authorization: Bearer theirs\r\n"));

    assert_eq!(request.field("remote-user"), "400007995-00");
    assert_eq!(request.field("authorization"), "Bearer theirs");
}

#[tokio::test]
async fn nobody_without_a_session_is_anybody_to_the_app() {
    let gateway = bridged(BOTH);
    for (line, fields) in OPEN_TO_ALL {
        for forged in ["X-Remote-User: 1", "x_remote_user: 1", "X.Remote.User: 1", "X-REMOTE-USER: 1"] {
            let request = gateway.forwards(line, &format!("{forged}\r\n{fields}"));

            let arrived = request.folded_names().contains(&"X_REMOTE_USER".to_owned());
            assert!(!arrived, "{line} {forged}: {}", request.head());
        }
    }
    for line in ["GET /public/a", "GET /optional/a"] {
        for forged in ["Authorization: Basic MTox", "AUTHORIZATION: Bearer x", "authorization:"] {
            let request = gateway.forwards(line, &format!("{forged}\r\nAuthorization: Basic MTox\r\n"));

            assert!(!request.has("authorization"), "{line} {forged}: {}", request.head());
        }
    }
}

#[tokio::test]
async fn a_member_cannot_be_another_one_to_the_app() {
    let gateway = bridged(BOTH);
    let cookie = gateway.member().await;
    let forged = format!(
        "{cookie}Authorization: {}\r\nX-Remote-User: 1\r\nx_remote_user: 1\r\n\
         Connection: authorization, x-remote-user\r\n",
        credentials("1")
    );

    let request = gateway.forwards("GET /classes", &forged);

    assert_eq!(request.field("authorization"), credentials("400007995-00"));
    assert_eq!(request.field("x-remote-user"), "400007995");
    assert!(!request.has("x_remote_user"));
    let public = gateway.forwards("GET /public/a", &forged);
    assert!(!public.has("authorization") && !public.has("x-remote-user"), "{}", public.head());
}

#[tokio::test]
async fn a_member_whose_id_holds_a_colon_is_refused_and_nobody_else_to_the_app() {
    let gateway = bridged(BOTH);
    let cookie = cookie_of("400007995:00");
    for path in ["/classes", "/api/classes", "/optional/a"] {
        let answer = gateway.raw(crate::harness::last_head(&format!("GET {path}"), &cookie));

        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
        assert!(!answer.contains("400007995:00"), "{path}: {answer}");
    }
    assert!(gateway.upstream().requests().is_empty());
    let public = gateway.forwards("GET /public/a", &cookie);
    assert!(!public.has("authorization"), "a public page is for everybody");
}

#[tokio::test]
async fn a_member_whose_id_holds_a_colon_is_told_in_a_field() {
    let gateway = bridged("[site.bridge]\nremote_user = { field = \"X-Remote-User\" }");
    let request = gateway.forwards("GET /classes", &cookie_of("400007995:00"));
    assert_eq!(request.field("x-remote-user"), "400007995:00");
}

fn with_bridge(bridge: &str) -> crate::harness::Ended {
    check(&format!("{}\n[site.bridge]\n{bridge}\n", production()))
}

#[test]
fn check_says_what_a_bridge_writes_and_not_the_password() {
    let ended = with_bridge(&format!(
        "remote_user = {{ field = \"X-Remote-User\" }}\nbasic = {{ password = \"{PASSWORD}\" }}"
    ));

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    for words in ["x-remote-user, which holds the member_id", "authorization, Basic credentials"] {
        assert!(ended.output.contains(words), "{words}: {}", ended.output);
    }
    assert!(!ended.output.contains(PASSWORD) && !ended.output.contains("warning"), "{}", ended.output);
}

#[test]
fn check_warns_of_a_short_password_and_of_an_app_on_another_machine() {
    let far = production().replace("127.0.0.1:3000", "10.0.0.5:3000");
    let ended = check(&format!(
        "{far}\n[site.bridge]\nremote_user = {{ field = \"Remote-User\" }}\nbasic = {{ password = \"swordfish\" }}\n"
    ));

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    for words in [
        "shorter than 16 characters",
        "the password of [site.bridge.basic] travels in the clear to 10.0.0.5:3000",
        "10.0.0.5:3000 believes remote-user from whoever reaches it",
    ] {
        assert!(ended.output.contains(words), "{words}: {}", ended.output);
    }
    assert!(!ended.output.contains("swordfish"), "{}", ended.output);
}

#[test]
fn a_password_that_travels_by_tls_or_on_this_machine_is_not_warned_of() {
    for upstream in ["http://127.0.0.1:3000", "https://app.example.org"] {
        let near = production().replace("http://127.0.0.1:3000", upstream);
        let ended = check(&format!("{near}\n[site.bridge]\nbasic = {{ password = \"{PASSWORD}\" }}\n"));

        assert_eq!((ended.status, &*ended.errors), (0, ""));
        assert!(!ended.output.contains("in the clear"), "{}", ended.output);
    }
}

#[test]
fn mistakes_about_a_bridge_say_what_to_do_and_never_the_password() {
    for (bridge, words) in [
        ("", "this bridge leads nowhere"),
        ("remote_user = { field = \"x_member_id\" }", "another field of ours has this name"),
        ("remote_user = { field = \"Cookie\" }", "needs this field for itself"),
        ("remote_user = { field = \"X-User\", holds = \"email\" }", "expected one of"),
        (
            "remote_user = { field = \"Authorization\" }\nbasic = { password = \"swordfish\" }",
            "another field of ours has this name",
        ),
        ("basic = { password = \"sword\\u0000fish\" }", "cannot be the password of Basic credentials"),
        ("basic = { password = { env = \"NOT_SET_ANYWHERE\" } }", "NOT_SET_ANYWHERE is not set"),
        ("basic = { pasword = \"swordfish\" }", "did you mean `password`?"),
    ] {
        let ended = with_bridge(bridge);

        assert!(ended.status == 2 && ended.errors.contains(words), "{bridge}: {}", ended.errors);
        assert!(!ended.errors.contains("swordfish"), "{bridge}: {}", ended.errors);
    }
}

#[test]
fn a_bridge_that_is_written_wrong_is_not_said_to_lead_nowhere() {
    for bridge in [
        "basic = \"swordfish\"",
        "remote_user = \"X-Remote-User\"",
        "remote_user = { holds = \"member_id\" }",
        "basics = { password = \"swordfish\" }",
    ] {
        let ended = with_bridge(bridge);

        assert!(ended.status == 2 && !ended.errors.contains("swordfish"), "{bridge}: {}", ended.errors);
        assert!(!ended.errors.contains("leads nowhere"), "{bridge}: {}", ended.errors);
        assert_eq!(ended.errors.matches("error: ").count(), 1, "{bridge}: {}", ended.errors);
    }
}
