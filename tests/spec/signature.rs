//! The signature of a member's request: by our own verifier, by the `verify` command, by an implementation that is not
//! ours, and by the examples of RFC 9421.

use std::io::Write;
use std::process::{Command, Stdio};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderName, Method};
use member_gateway::identity::keys::{Algorithm, SigningKey};
use member_gateway::identity::signature::{Component, Message, signature_base};
use member_gateway::message::Fields;
use member_gateway::secret::Secret;
use member_gateway::time::UnixTime;
use member_gateway::verify::{Key, Refused, Request, Verifier};
use serde_json::Value;

use crate::harness::{Ended, Folder, Gateway, NOW, Options, Recorded, SIGNING_KEY, member_gateway};

const ED25519: &str =
    "{ id = \"ed\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }";

/// What every member's request covers, in our names for it.
fn demanded() -> Vec<Component> {
    let fields = ["x-member-id", "x-member-unit-id", "x-member-provider"];
    [Component::Method, Component::Authority, Component::Path, Component::Query]
        .into_iter()
        .chain(fields.map(|name| Component::Field(HeaderName::from_static(name))))
        .collect()
}

fn message<'a>(request: &'a Recorded, fields: &'a Fields) -> Message<'a> {
    let (path, query) =
        request.target.split_once('?').map_or((&*request.target, None), |(path, query)| (path, Some(query)));
    Message { method: &request.method, authority: request.field("host"), path, query, fields }
}

fn verified(request: &Recorded) -> Result<(), Refused> {
    let secret = Secret::new(URL_SAFE_NO_PAD.decode(SIGNING_KEY).unwrap());
    let fields = request.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: &request.method, target: &request.target, fields };
    Verifier::new(vec![Key::hmac("2026-11", &secret)]).verify(&request, NOW).map(|_| ())
}

/// A parameter of the signature.
fn parameter<'a>(request: &'a Recorded, name: &str) -> &'a str {
    let input = request.field("signature-input");
    let value = input.split(';').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    value.unwrap_or_else(|| panic!("{name} in {input}")).trim_matches('"')
}

/// A member's request as the upstream got it.
async fn request_of_a_member(gateway: &Gateway) -> Recorded {
    let mut browser = gateway.signed_in().await;
    browser.go("/classes?week=2").await;
    gateway.upstream().last_request()
}

/// `member-gateway verify`, so long after the request was made.
fn verify(gateway: &Gateway, head: &str, seconds: u64) -> Ended {
    let at = UnixTime(NOW.0 + seconds).0.to_string();
    member_gateway(&Folder::with(&gateway.configuration), &["verify", "--at", &at], head)
}

/// The keys a site publishes.
async fn published_keys(gateway: &Gateway) -> Vec<Value> {
    let page = gateway.browser().fetch(Method::GET, "/_gateway/keys", &[]).await;
    let set: Value = serde_json::from_str(&page.body).unwrap();
    set["keys"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_signature_is_written_as_the_upstream_expects_it() {
    let gateway = Gateway::with_sandbox();

    let request = request_of_a_member(&gateway).await;

    let input = request.field("signature-input").replace(parameter(&request, "nonce"), "…");
    assert_eq!(
        input,
        "member=(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-member-id\" \"x-member-unit-id\" \
         \"x-member-provider\");created=1795300000;expires=1795300060;nonce=\"…\";keyid=\"2026-11\";\
         alg=\"hmac-sha256\";tag=\"member-gateway\""
    );
    assert!(request.field("signature").starts_with("member=:") && request.field("signature").ends_with("=:"));
}

#[tokio::test]
async fn every_request_of_a_member_verifies_as_the_upstream_got_it() {
    let gateway = Gateway::with_sandbox();
    let mut browser = gateway.signed_in().await;
    let targets = ["/", "/classes?", "/a//b/?c=d?e&f=%20+", "/caf%C3%A9/x;y=1/~z?q=%26%3D", "/optional/a?b"];
    for target in targets {
        for method in [Method::GET, Method::POST, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            browser.request(method.clone(), target, &[], "").await;

            let request = gateway.upstream().last_request();
            assert_eq!((request.method.as_str(), &*request.target), (method.as_str(), target));
            assert_eq!(verified(&request), Ok(()), "{method} {target}");
        }
    }
}

#[tokio::test]
async fn the_authority_that_is_signed_is_the_host_field_however_the_client_wrote_it() {
    let gateway = Gateway::with_sandbox();
    let cookie = gateway.member().await;
    for host in ["members.localhost", "MEMBERS.localhost:443"] {
        gateway.raw(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{cookie}Connection: close\r\n\r\n"));

        assert_eq!(verified(&gateway.upstream().last_request()), Ok(()), "{host}");
    }
}

#[tokio::test]
async fn every_request_has_a_nonce_of_its_own() {
    let gateway = Gateway::with_sandbox();

    let [first, second] = [request_of_a_member(&gateway).await, request_of_a_member(&gateway).await];

    assert_ne!(parameter(&first, "nonce"), parameter(&second, "nonce"));
    assert_eq!(URL_SAFE_NO_PAD.decode(parameter(&first, "nonce")).unwrap().len(), 16);
}

#[tokio::test]
async fn a_site_may_have_keys_and_a_lifetime_of_its_own() {
    let gateway = Gateway::with(&Options {
        more: "[site.signature]\nttl = \"90s\"\nkeys = [{ id = \"own\", algorithm = \"hmac-sha256\", \
               key = \"dGhlLWtleS1vZi10aGlzLXNpdGUtYWxvbmUtMDEyMzQ\" }]",
        ..Options::default()
    });

    let request = request_of_a_member(&gateway).await;

    let parameters = ["keyid", "created", "expires"].map(|name| parameter(&request, name));
    assert_eq!(parameters, ["own", "1795300000", "1795300090"]);
    assert_eq!(verified(&request), Err(Refused::UnknownKey));
    assert_eq!(verify(&gateway, &request.head(), 0).status, 0);
}

#[tokio::test]
async fn the_first_key_signs_and_the_public_ones_are_all_published() {
    const ROTATING: &str = "{ id = \"new\", algorithm = \"ed25519\", key = \"bmV3LWVkMjU1MTktc2VlZC1vZi10aGUtdGVzdHMtMDE\" }, \
                            { id = \"ed\", algorithm = \"ed25519\", key = \"ZWQyNTUxOS1zZWVkLW9mLXRoZS10ZXN0cy0wMTIzNDU\" }, \
                            { id = \"shared\", algorithm = \"hmac-sha256\", key = \"c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAxMjM0NTY\" }";
    let gateway = Gateway::with(&Options { signing_keys: Some(ROTATING), ..Options::default() });

    let request = request_of_a_member(&gateway).await;

    assert_eq!((parameter(&request, "keyid"), parameter(&request, "alg")), ("new", "ed25519"));
    let ids: Vec<_> = published_keys(&gateway).await.iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(ids, ["new", "ed"]);
}

#[tokio::test]
async fn verify_says_that_a_signature_holds_and_whose_request_it_is() {
    let gateway = Gateway::with_sandbox();
    let request = request_of_a_member(&gateway).await;

    let ended = verify(&gateway, &request.head(), 59);

    assert_eq!((ended.status, &*ended.errors), (0, ""));
    assert!(ended.output.contains("holds") && ended.output.contains("400007995-00"), "{}", ended.output);
}

#[tokio::test]
async fn verify_takes_a_head_with_bare_line_feeds_and_without_an_end() {
    let gateway = Gateway::with_sandbox();
    let request = request_of_a_member(&gateway).await;

    let pasted = request.head().replace("\r\n", "\n");

    assert_eq!(verify(&gateway, pasted.trim_end(), 0).status, 0);
}

#[tokio::test]
async fn verify_says_why_a_signature_does_not_hold() {
    let gateway = Gateway::with_sandbox();
    let head = request_of_a_member(&gateway).await.head();
    let member_id = "x-member-id: 400007995-00\r\n";
    assert!(head.contains(member_id), "{head}");
    let changes: [(&str, &str, &str); 17] = [
        ("GET /", "POST /", "not the signature"),
        ("/classes?", "/Classes?", "not the signature"),
        ("week=2", "week=3", "not the signature"),
        ("?week=2", "", "not the signature"),
        (member_id, "x-member-id: 400007995-01\r\n", "not the signature"),
        (member_id, "", "`x-member-id` is missing"),
        (
            member_id,
            "x-member-id: 400007995-00\r\nx-member-id: 1\r\n",
            "`x-member-id` arrived more than once",
        ),
        ("\"@path\" ", "", "must cover"),
        ("\"@method\" \"@authority\"", "\"@authority\" \"@method\"", "must cover"),
        ("alg=\"hmac-sha256\"", "alg=\"none\"", "`alg`"),
        ("alg=\"hmac-sha256\"", "alg=\"ed25519\"", "`alg`"),
        ("keyid=\"2026-11\"", "keyid=\"../../etc/passwd\"", "no key"),
        ("tag=\"member-gateway\"", "tag=\"another\"", "`tag`"),
        ("expires=1795300060", "expires=1795399999", "not the signature"),
        (";created=1795300000", "", "not in the form"),
        ("signature: member=", "signature: other=", "no signature labelled `member`"),
        ("signature: member=", "signature: member=?", "not in the form"),
    ];
    for (from, to, reason) in changes {
        let ended = verify(&gateway, &head.replacen(from, to, 1), 0);

        assert_eq!(ended.status, 1, "{from} -> {to}: {ended:?}");
        assert!(ended.errors.contains(reason), "{from} -> {to}: {}", ended.errors);
        assert_eq!(ended.output, "", "{from} -> {to}");
    }
    let late = verify(&gateway, &head, 65);
    assert!(late.status == 1 && late.errors.contains("expired at 1795300060"), "{late:?}");
}

#[tokio::test]
async fn verify_exits_2_where_the_question_makes_no_sense() {
    let gateway = Gateway::with_sandbox();
    let head = request_of_a_member(&gateway).await.head();
    for (head, words) in [
        ("", "no head of a request"),
        ("hello", "no head of a request"),
        (&*head.replace("members.localhost", "evil.test"), "members.localhost"),
    ] {
        let ended = verify(&gateway, head, 0);

        assert!(ended.status == 2 && ended.errors.contains(words), "{head}: {ended:?}");
    }
    let ended = member_gateway(&Folder::empty(), &["verify"], &head);
    assert!(ended.status == 2 && ended.errors.contains("--config"), "{ended:?}");
}

/// Asks an implementation that is not ours.
fn somebody_else_verifies(
    request: &Recorded,
    algorithm: &str,
    key_id: &str,
    key: &str,
) -> Result<String, String> {
    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
    let python = format!("{FOLDER}/tests/.tools/venv/bin/python");
    let mut asking = Command::new(&python)
        .arg(format!("{FOLDER}/tests/interop/check_with_http_message_signatures.py"))
        .args(["--algorithm", algorithm, "--keyid", key_id, "--key", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{python}: {error}; `scripts/test` makes what the tests need"));
    asking.stdin.take().unwrap().write_all(request.head().as_bytes()).unwrap();
    let ended = asking.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if ended.status.success() { Ok(text(ended.stdout)) } else { Err(text(ended.stderr)) }
}

#[tokio::test]
async fn an_implementation_that_is_not_ours_verifies_an_hmac_signature() {
    let gateway = Gateway::with(&Options { real_time: true, ..Options::default() });
    let mut request = request_of_a_member(&gateway).await;

    let covered = somebody_else_verifies(&request, "hmac-sha256", "2026-11", SIGNING_KEY).unwrap();

    assert!(covered.contains("\"@query\": ?week=2\n"), "{covered}");
    assert!(covered.contains("\"x-member-id\": 400007995-00\n"), "{covered}");
    request.fields.insert("x-member-id", "400007995-01".parse().unwrap());
    let refused = somebody_else_verifies(&request, "hmac-sha256", "2026-11", SIGNING_KEY).unwrap_err();
    assert!(refused.contains("does not hold"), "{refused}");
}

#[tokio::test]
async fn an_implementation_that_is_not_ours_verifies_an_ed25519_signature_by_the_published_key() {
    let gateway =
        Gateway::with(&Options { real_time: true, signing_keys: Some(ED25519), ..Options::default() });
    let mut request = request_of_a_member(&gateway).await;
    let key = published_keys(&gateway).await[0]["x"].as_str().unwrap().to_owned();

    somebody_else_verifies(&request, "ed25519", "ed", &key).unwrap();

    request.fields.insert("x-member-id", "400007995-01".parse().unwrap());
    let refused = somebody_else_verifies(&request, "ed25519", "ed", &key).unwrap_err();
    assert!(refused.contains("does not hold"), "{refused}");
}

#[tokio::test]
async fn a_p256_key_of_keygen_signs_and_its_published_half_verifies() {
    let folder = Folder::empty();
    let pem = member_gateway(&folder, &["keygen", "p256"], "").output;
    let folder = folder.and("p256.pem", &pem);
    let keys = format!(
        "{{ id = \"p\", algorithm = \"ecdsa-p256-sha256\", key = {{ file = \"{}/p256.pem\" }} }}",
        folder.path().display()
    );
    let gateway = Gateway::with(&Options { signing_keys: Some(keys.leak()), ..Options::default() });

    let request = request_of_a_member(&gateway).await;

    let key = published_keys(&gateway).await.remove(0);
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
    let params = request.field("signature-input").strip_prefix("member=").unwrap();
    let fields = Fields::from(request.fields.clone());
    let base = signature_base(&message(&request, &fields), &demanded(), params).unwrap();
    let signature = STANDARD.decode(labelled(request.field("signature"), "member")).unwrap();
    let verdict = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(base.as_bytes(), &signature);
    assert!(verdict.is_ok(), "{base}");
    assert_eq!(verify(&gateway, &request.head(), 0).status, 0);
}

/// The base64 of the signature with this label, where it is the only one.
fn labelled<'a>(field: &'a str, label: &str) -> &'a str {
    field.strip_prefix(&format!("{label}=:")).and_then(|rest| rest.strip_suffix(':')).unwrap()
}

/// RFC 9421, Appendix B.2.
fn examples() -> Value {
    serde_json::from_str(include_str!("../data/rfc9421/appendix-b.json")).unwrap()
}

/// One of its cases.
fn example(name: &str) -> Value {
    let cases = examples()["cases"].take();
    let found = cases.as_array().unwrap().iter().find(|case| case["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is no example")).clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

/// The base of an example that signs the RFC's request, as we build it.
fn base_of(case: &Value) -> String {
    let request = examples()["request"].take();
    let pair = |pair: &Value| {
        let name: HeaderName = pair[0].as_str().unwrap().parse().unwrap();
        (name, pair[1].as_str().unwrap().parse().unwrap())
    };
    let fields: Fields = request["fields"].as_array().unwrap().iter().map(pair).collect();
    let (path, query) = text(&request, "target").split_once('?').unwrap();
    let message = Message {
        method: text(&request, "method"),
        authority: fields.get("host").unwrap().to_str().unwrap(),
        path,
        query: Some(query),
        fields: &fields,
    };
    let component = |name: &Value| match name.as_str().unwrap() {
        "@method" => Component::Method,
        "@authority" => Component::Authority,
        "@path" => Component::Path,
        "@query" => Component::Query,
        field => Component::Field(field.parse().unwrap()),
    };
    let components: Vec<Component> =
        case["covered_components"].as_array().unwrap().iter().map(component).collect();
    let params = text(case, "signature_input").split_once('=').unwrap().1;
    signature_base(&message, &components, params).unwrap()
}

/// Verifies an example's signature, and one with a bit changed; signs its base.
fn signed_again(case: &Value, algorithm: Algorithm, secret: &Secret) -> String {
    let key = SigningKey::new(text(case, "key_id"), algorithm, secret).unwrap();
    let base = text(case, "signature_base").as_bytes();
    let mut signature = STANDARD.decode(labelled(text(case, "signature"), text(case, "name"))).unwrap();
    assert!(key.verifies(base, &signature));
    signature[7] ^= 1;
    assert!(!key.verifies(base, &signature));
    String::from_utf8(key.sign(base).as_bytes().to_vec()).unwrap()
}

fn bytes(case: &Value, key: &str) -> Secret {
    Secret::new(STANDARD.decode(text(case, key)).unwrap())
}

#[test]
fn the_rfc_s_hmac_example_comes_out_the_same() {
    let case = example("sig-b25");

    assert_eq!(base_of(&case), text(&case, "signature_base"));
    let again = signed_again(&case, Algorithm::HmacSha256, &bytes(&case, "key"));
    assert_eq!(again, labelled(text(&case, "signature"), "sig-b25"));
}

#[test]
fn the_rfc_s_ed25519_example_comes_out_the_same() {
    let case = example("sig-b26");

    assert_eq!(base_of(&case), text(&case, "signature_base"));
    let again = signed_again(&case, Algorithm::Ed25519, &bytes(&case, "private_key"));
    assert_eq!(again, labelled(text(&case, "signature"), "sig-b26"));
}

#[test]
fn the_rfc_s_ecdsa_example_verifies() {
    let case = example("sig-b24");

    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", text(&case, "private_key"));
    signed_again(&case, Algorithm::EcdsaP256Sha256, &Secret::new(pem));
}
