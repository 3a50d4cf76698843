//! The JWT beside the identity fields: what it says, how long it is used, who may not write it, and that readers of JWTs
//! who are not ours take it and refuse what pretends to be one.

use std::io::Write;
use std::process::{Command, Stdio};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use member_gateway::identity::keys::{Algorithm, SigningKey};
use member_gateway::secret::Secret;
use member_gateway::time::{Clock, UnixTime};
use serde_json::{Value, json};

use crate::configuration::{check, production};
use crate::harness::{Folder, Gateway, NOW, Options, SIGNING_KEY, SITE, Wire, head, member_gateway};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
const FIELD: &str = "x-member-assertion";
/// The seeds of two pairs.
const OLD_SEED: &str = "ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU";
const NEW_SEED: &str = "bmV3LWVkMjU1MTktc2VlZC1vZi10aGUtdGVzdHMtMDE";
const OLD: &str =
    "{ id = \"old\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }";
const NEW_THEN_OLD: &str = "{ id = \"new\", algorithm = \"ed25519\", key = \"bmV3LWVkMjU1MTktc2VlZC1vZi10aGUtdGVzdHMtMDE\" }, \
                            { id = \"old\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }";
const ONLY_NEW: &str =
    "{ id = \"new\", algorithm = \"ed25519\", key = \"bmV3LWVkMjU1MTktc2VlZC1vZi10aGUtdGVzdHMtMDE\" }";
const HMAC_THEN_OLD: &str = "{ id = \"shared\", algorithm = \"hmac-sha256\", key = \"c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\" }, \
                             { id = \"old\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }";

/// A gateway that sends a JWT, signed by the first pair among these keys.
fn with_keys(keys: &'static str) -> Options {
    Options { identity: "[identity.jwt]", signing_keys: Some(keys), ..Options::default() }
}

/// A gateway whose tokens readers with a clock of their own can read, so many seconds after they were made.
fn made_ago(keys: &'static str, seconds: u64) -> Gateway {
    let gateway = Gateway::with(&with_keys(keys));
    gateway.clock.set(UnixTime(Clock::System.now().0 - seconds));
    gateway
}

fn part(jwt: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// What the upstream gets with the next request of this member, over a connection that stays: it stays with one worker.
fn next(gateway: &Gateway, connection: &mut Wire, cookie: &str) -> String {
    connection.send(head("GET /classes", cookie));
    let (answer, _) = connection.answer();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    gateway.upstream().last_request().field(FIELD).to_owned()
}

async fn jwt_of_a_member(gateway: &Gateway) -> String {
    let cookie = gateway.member().await;
    next(gateway, &mut gateway.connect(), &cookie)
}

#[tokio::test]
async fn a_member_is_told_in_a_jwt_that_the_published_key_verifies() {
    let gateway = Gateway::with(&with_keys(OLD));

    let jwt = jwt_of_a_member(&gateway).await;

    assert_eq!(part(&jwt, 0), json!({ "alg": "EdDSA", "kid": "old", "typ": "JWT" }));
    let mut claims = part(&jwt, 1);
    assert_eq!(URL_SAFE_NO_PAD.decode(claims["jti"].take().as_str().unwrap()).unwrap().len(), 16);
    assert_eq!(
        claims,
        json!({
            "iss": SITE, "aud": SITE, "sub": "ymca/400007995-00", "iat": NOW.0, "exp": NOW.0 + 60, "jti": null,
            "member_id": "400007995-00", "member_unit_id": "400007995", "provider": "ymca",
        })
    );
    let page = gateway.browser().fetch(Method::GET, "/_gateway/keys", &[]).await;
    assert_eq!(serde_json::from_str::<Value>(&page.body).unwrap()["keys"][0]["kid"], "old");
}

#[tokio::test]
async fn the_signature_covers_the_jwt_as_the_last_of_the_fields() {
    let gateway = Gateway::with(&with_keys(HMAC_THEN_OLD));

    let jwt = jwt_of_a_member(&gateway).await;

    let request = gateway.upstream().last_request();
    let input = request.field("signature-input");
    assert!(input.contains("\"x-member-provider\" \"x-member-assertion\");"), "{input}");
    assert!(input.contains("keyid=\"shared\"") && part(&jwt, 0)["kid"] == "old", "{input}");
    let verify = |head: &str| {
        let at = NOW.0.to_string();
        member_gateway(&Folder::with(&gateway.configuration), &["verify", "--at", &at], head).status
    };
    assert_eq!(verify(&request.head()), 0);
    assert_eq!(verify(&request.head().replace(&jwt, &jwt.to_lowercase())), 1);
}

#[tokio::test]
async fn without_the_table_there_is_no_jwt() {
    let gateway = Gateway::with(&Options { signing_keys: Some(OLD), ..Options::default() });
    let cookie = gateway.member().await;
    assert!(!gateway.forwards("GET /classes", &cookie).has(FIELD));
}

#[tokio::test]
async fn nothing_that_looks_like_the_jwt_arrives_from_anybody() {
    let gateway = Gateway::with(&with_keys(OLD));
    let cookie = gateway.member().await;
    for spelling in ["X-Member-Assertion", "x_member_assertion", "X.Member.Assertion"] {
        let forged = format!("{spelling}: forged\r\n");
        for (line, fields) in [
            ("GET /public/a", forged.clone()),
            ("GET /optional/a", forged.clone()),
            ("GET /classes", format!("{forged}{cookie}")),
            ("GET /public/a", format!("{forged}{cookie}")),
        ] {
            let request = gateway.forwards(line, &fields);

            assert!(!request.head().contains("forged"), "{line}: {}", request.head());
        }
    }
    let request = gateway.forwards("GET /classes", &format!("Connection: {FIELD}\r\n{cookie}"));
    assert!(request.has(FIELD), "nobody takes it away by naming it in Connection");
}

#[tokio::test]
async fn a_jwt_goes_out_again_for_half_a_minute_and_no_longer() {
    let gateway = Gateway::with(&with_keys(OLD));
    let cookie = gateway.member().await;
    let mut connection = gateway.connect();

    let first = next(&gateway, &mut connection, &cookie);
    gateway.later(29);
    assert_eq!(next(&gateway, &mut connection, &cookie), first);
    gateway.later(1);
    let second = next(&gateway, &mut connection, &cookie);

    assert_ne!(part(&second, 1)["jti"], part(&first, 1)["jti"]);
    assert_eq!(part(&second, 1)["exp"], NOW.0 + 90);
}

#[tokio::test]
async fn a_jwt_ends_with_its_session() {
    let gateway = Gateway::with(&with_keys(OLD));
    let cookie = gateway.member().await;
    gateway.later(3590);

    let jwt = next(&gateway, &mut gateway.connect(), &cookie);

    assert_eq!(part(&jwt, 1)["exp"], NOW.0 + 3600);
}

#[tokio::test]
async fn a_session_that_was_ended_sends_no_jwt_any_more_though_one_was_kept() {
    let gateway = Gateway::with(&with_keys(OLD));
    let mut browser = gateway.browser();
    let callback = browser.up_to_the_callback("/").await;
    browser.go(&callback).await;
    let cookie = format!("Cookie: __Host-member-session={}\r\n", browser.session_cookie().unwrap());
    let mut connection = gateway.connect();
    assert_ne!(next(&gateway, &mut connection, &cookie), "");

    let answer = browser
        .request(Method::POST, "/_gateway/logout", &[("sec-fetch-site", "same-origin"), ("origin", SITE)], "")
        .await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    gateway.upstream().forget();

    connection.send(head("GET /api/classes", &cookie));
    assert!(connection.answer().0.starts_with("HTTP/1.1 401 "));
    assert!(gateway.upstream().requests().is_empty());
    connection.send(head("GET /optional/a", &cookie));
    assert!(connection.answer().0.starts_with("HTTP/1.1 200 "));
    assert!(!gateway.upstream().last_request().has(FIELD));
}

#[tokio::test]
async fn a_key_that_is_exchanged_signs_the_next_request_though_a_jwt_was_kept() {
    let mut gateway = Gateway::with(&with_keys(OLD));
    let cookie = gateway.member().await;
    let mut connection = gateway.connect();
    assert_eq!(part(&next(&gateway, &mut connection, &cookie), 0)["kid"], "old");

    gateway.reload(&with_keys(NEW_THEN_OLD)).unwrap();

    assert_eq!(part(&next(&gateway, &mut connection, &cookie), 0)["kid"], "new");
}

#[test]
fn a_site_whose_keys_are_all_hmac_keys_is_a_mistake_that_says_which_key_to_make() {
    let ended =
        check(&production().replace("[identity.signature]", "[identity.jwt]\n\n[identity.signature]"));

    assert_eq!(ended.status, 2, "{ended:?}");
    for words in ["[identity.jwt] needs a key that is a pair", "keygen ed25519", "1 problem in"] {
        assert!(ended.errors.contains(words), "{words}: {}", ended.errors);
    }
    assert!(!ended.errors.contains(SIGNING_KEY));
}

#[test]
fn the_field_of_the_jwt_has_a_name_of_its_own() {
    for (field, words) in [
        ("x_member_id", "an identity field has this name"),
        ("Cookie", "for itself"),
        ("a b", "no field name"),
    ] {
        let table = format!("[identity.jwt]\nfield = \"{field}\"\n\n[identity.signature]");
        let ended = check(&production().replace("[identity.signature]", &table));

        assert!(ended.status == 2 && ended.errors.contains(words), "{field}: {}", ended.errors);
    }
}

/// The recipe of the documentation in this language, for the site of the tests, and what asks it behind that.
fn recipe(language: &str, asking: &str) -> String {
    let page = std::fs::read_to_string(format!("{FOLDER}/docs/verify/jwt.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    let recipe = rest.split_once("```").unwrap().0.replace("https://members.example.org", SITE);
    let asking = std::fs::read_to_string(format!("{FOLDER}/tests/interop/{asking}")).unwrap();
    format!("{recipe}\n{asking}")
}

/// What a program says to a question on its standard input.
fn said(program: &mut Command, question: &Value) -> Vec<String> {
    let running = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = running
        .unwrap_or_else(|error| panic!("{program:?}: {error}; `scripts/test` installs what is missing"));
    running.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let ended = running.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

/// What PyJWT, jose and the lines for PHP make of these, each by the recipe of the documentation.
async fn readers(gateway: &Gateway, tokens: &[String]) -> [Vec<String>; 3] {
    let page = gateway.browser().fetch(Method::GET, "/_gateway/keys", &[]).await;
    let question = json!({
        "keys": format!("http://{}/_gateway/keys", gateway.address()), "host": "members.localhost",
        "set": serde_json::from_str::<Value>(&page.body).unwrap(), "tokens": tokens,
    });
    let python = recipe("python", "read_jwts.py");
    let python =
        said(Command::new(format!("{FOLDER}/tests/.tools/venv/bin/python")).args(["-c", &python]), &question);
    let mut node = Command::new("node");
    // What is not in a file finds its modules from the folder in which it runs.
    node.current_dir(format!("{FOLDER}/tests/.tools/npm"));
    let node = said(node.args(["--input-type=module", "-e", &recipe("js", "read_jwts.mjs")]), &question);
    let php = said(Command::new("php").args(["-n", "-r", &recipe("php", "read_jwts.php")]), &question);
    [python, node, php]
}

/// A JWT of somebody who has a key: with these claims changed.
fn forged(seed: &str, header: &Value, jwt: &str, changes: &Value) -> String {
    let mut claims = part(jwt, 1);
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let input = [header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let secret = Secret::new(URL_SAFE_NO_PAD.decode(seed).unwrap());
    let key = SigningKey::new("k", Algorithm::Ed25519, &secret).unwrap();
    format!("{input}.{}", key.sign_jws(input.as_bytes()).unwrap())
}

#[tokio::test]
async fn readers_that_are_not_ours_take_a_good_jwt_and_refuse_what_pretends_to_be_one() {
    let gateway = made_ago(OLD, 0);
    let good = jwt_of_a_member(&gateway).await;
    let header = part(&good, 0);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let body = input.split_once('.').unwrap().1;
    let encoded = |header: &Value| URL_SAFE_NO_PAD.encode(header.to_string());
    // The public key as if it were a shared one.
    let page = gateway.browser().fetch(Method::GET, "/_gateway/keys", &[]).await;
    let set: Value = serde_json::from_str(&page.body).unwrap();
    let public = URL_SAFE_NO_PAD.decode(set["keys"][0]["x"].as_str().unwrap()).unwrap();
    let confused = format!("{}.{body}", encoded(&json!({ "alg": "HS256", "kid": "old" })));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), confused.as_bytes());
    let past = json!({ "exp": Clock::System.now().0 - 10, "iat": Clock::System.now().0 - 70 });
    let tokens = [
        good.clone(),
        forged(OLD_SEED, &header, &good, &past),
        forged(OLD_SEED, &header, &good, &json!({ "aud": "https://other.localhost" })),
        forged(OLD_SEED, &header, &good, &json!({ "iss": "https://other.localhost" })),
        format!("{}.{body}.", encoded(&json!({ "alg": "none", "kid": "old" }))),
        format!("{confused}.{}", URL_SAFE_NO_PAD.encode(tag)),
        forged(NEW_SEED, &header, &good, &json!({})),
        forged(NEW_SEED, &json!({ "alg": "EdDSA", "kid": "new" }), &good, &json!({})),
        format!("{}.{signature}", input.replacen(body, &encoded(&json!({ "sub": "ymca/1" })), 1)),
    ];

    let [python, node, php] = readers(&gateway, &tokens).await;

    let member = "ymca/400007995-00";
    let signature = "InvalidSignatureError";
    assert_eq!(
        python,
        [
            member,
            "ExpiredSignatureError",
            "InvalidAudienceError",
            "InvalidIssuerError",
            "InvalidAlgorithmError",
            "InvalidAlgorithmError",
            signature,
            "PyJWKClientError",
            signature,
        ]
    );
    let signature = "ERR_JWS_SIGNATURE_VERIFICATION_FAILED";
    let claim = "ERR_JWT_CLAIM_VALIDATION_FAILED";
    assert_eq!(
        node,
        [
            member,
            "ERR_JWT_EXPIRED",
            claim,
            claim,
            "ERR_JOSE_ALG_NOT_ALLOWED",
            "ERR_JOSE_ALG_NOT_ALLOWED",
            signature,
            "ERR_JWKS_NO_MATCHING_KEY",
            signature,
        ]
    );
    let (elsewhere, signature) = ("of or for somebody else", "signature");
    assert_eq!(
        php,
        [member, "expired", elsewhere, elsewhere, signature, signature, signature, "unknown key", signature]
    );
}

#[tokio::test]
async fn readers_that_are_not_ours_refuse_a_jwt_of_the_gateway_two_minutes_later() {
    let gateway = made_ago(OLD, 120);

    let late = [jwt_of_a_member(&gateway).await];

    let verdicts = readers(&gateway, &late).await.map(|mut verdicts| verdicts.remove(0));
    assert_eq!(verdicts, ["ExpiredSignatureError", "ERR_JWT_EXPIRED", "expired"]);
}

#[tokio::test]
async fn a_rotated_key_verifies_for_as_long_as_it_is_published() {
    let mut gateway = made_ago(OLD, 0);
    let old = jwt_of_a_member(&gateway).await;
    gateway.reload(&with_keys(NEW_THEN_OLD)).unwrap();
    let new = jwt_of_a_member(&gateway).await;
    let both = [old, new];

    for verdicts in readers(&gateway, &both).await {
        assert_eq!(verdicts, ["ymca/400007995-00"; 2]);
    }
    gateway.reload(&with_keys(ONLY_NEW)).unwrap();

    let first = readers(&gateway, &both).await.map(|mut verdicts| verdicts.remove(0));
    assert_eq!(first, ["PyJWKClientError", "ERR_JWKS_NO_MATCHING_KEY", "unknown key"]);
}

#[tokio::test]
async fn a_p256_key_signs_jwts_that_readers_who_are_not_ours_take() {
    let folder = Folder::empty();
    let pem = member_gateway(&folder, &["keygen", "p256"], "").output;
    let folder = folder.and("p256.pem", &pem);
    let keys = format!(
        "{{ id = \"p\", algorithm = \"ecdsa-p256-sha256\", key = {{ file = \"{}/p256.pem\" }} }}",
        folder.path().display()
    );
    let gateway = made_ago(keys.leak(), 0);

    let jwt = jwt_of_a_member(&gateway).await;

    assert_eq!(part(&jwt, 0)["alg"], "ES256");
    let [python, node, _] = readers(&gateway, &[jwt]).await;
    assert_eq!([&*python[0], &*node[0]], ["ymca/400007995-00"; 2]);
}
