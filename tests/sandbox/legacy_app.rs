//! The sample app: what it shows, and which signatures it believes.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use member_gateway::sandbox::legacy_app::{self, IdentityFields, LegacyApp, VerificationKey};
use member_gateway::secret::Secret;
use member_gateway::time::{Clock, ManualClock, UnixTime};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{answer, client, free_port};

const NOW: u64 = 1_795_300_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const COVERED: [&str; 7] =
    ["@method", "@authority", "@path", "@query", "x-member-id", "x-member-unit-id", "x-member-provider"];

/// A request for `/whoami?week=2` of member 400007995-00, and what its signature says.
struct Signed {
    covered: Vec<&'static str>,
    parameters: String,
    method: &'static str,
    authority: String,
    path: &'static str,
    query: &'static str,
    fields: Vec<(&'static str, &'static str)>,
}

impl Signed {
    fn good(app: &LegacyApp) -> Self {
        Self {
            covered: COVERED.to_vec(),
            parameters: parameters(NOW, NOW + 60, "2026-11", "hmac-sha256", "member-gateway"),
            method: "GET",
            authority: app.address().to_string(),
            path: "/whoami",
            query: "?week=2",
            fields: vec![
                ("x-member-id", "400007995-00"),
                ("x-member-unit-id", "400007995"),
                ("x-member-provider", "ymca"),
            ],
        }
    }

    /// The value of `Signature-Input` after its label, and the signature base (RFC 9421 §2.5).
    fn base(&self) -> (String, String) {
        let names: Vec<_> = self.covered.iter().map(|name| format!("\"{name}\"")).collect();
        let input = format!("({}){}", names.join(" "), self.parameters);
        let mut base = String::new();
        for name in &self.covered {
            let value = match *name {
                "@method" => self.method,
                "@authority" => &self.authority,
                "@path" => self.path,
                "@query" => self.query,
                field => self.fields.iter().find(|(known, _)| *known == field).map_or("", |(_, value)| value),
            };
            base += &format!("\"{name}\": {value}\n");
        }
        base += &format!("\"@signature-params\": {input}");
        (input, base)
    }

    fn attach(&self, request: RequestBuilder, mark: &[u8]) -> RequestBuilder {
        request
            .header("signature-input", format!("member={}", self.base().0))
            .header("signature", format!("member=:{}:", STANDARD.encode(mark)))
    }

    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        let mark = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), self.base().1.as_bytes());
        self.attach(request, mark.as_ref())
    }
}

fn parameters(created: u64, expires: u64, key_id: &str, algorithm: &str, tag: &str) -> String {
    format!(
        ";created={created};expires={expires};nonce=\"n\";keyid=\"{key_id}\";alg=\"{algorithm}\";tag=\"{tag}\""
    )
}

fn start() -> (LegacyApp, ManualClock) {
    start_with(VerificationKey::HmacSha256 { key_id: "2026-11".into(), secret: Secret::new(SECRET) })
}

fn start_with(key: VerificationKey) -> (LegacyApp, ManualClock) {
    let clock = ManualClock::starting_at(UnixTime(NOW));
    let fields = IdentityFields { optional: vec!["X-Member-First-Name".into()], ..IdentityFields::default() };
    let app =
        legacy_app::serve(free_port(), vec![key], Clock::Manual(clock.clone()), fields).expect("an app");
    (app, clock)
}

/// The request as the gateway would send it, without a signature.
fn member_request(app: &LegacyApp) -> RequestBuilder {
    client()
        .get(format!("{}/whoami?week=2", app.base_url()))
        .header("x-member-id", "400007995-00")
        .header("x-member-unit-id", "400007995")
        .header("x-member-provider", "ymca")
}

async fn verdict(request: RequestBuilder) -> String {
    let (status, body) = answer(request).await;
    assert_eq!(status, StatusCode::OK);
    body["signature"].as_str().expect("a verdict").to_owned()
}

const MISMATCH: &str = "the signature does not match the request";

#[tokio::test]
async fn a_signature_over_everything_is_valid() {
    let (app, _clock) = start();
    let (_, body) = answer(Signed::good(&app).sign(member_request(&app))).await;
    let expected = json!({
        "member_id": "400007995-00", "member_unit_id": "400007995", "provider": "ymca", "signature": "valid",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn an_ed25519_signature_is_valid_and_a_forged_one_is_not() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public_key = pair.public_key().as_ref().try_into().unwrap();
    let (app, _clock) = start_with(VerificationKey::Ed25519 { key_id: "2026-11".into(), public_key });
    let mut signed = Signed::good(&app);
    signed.parameters = parameters(NOW, NOW + 60, "2026-11", "ed25519", "member-gateway");
    let mark = pair.sign(signed.base().1.as_bytes());
    assert_eq!(verdict(signed.attach(member_request(&app), mark.as_ref())).await, "valid");
    assert_eq!(verdict(signed.attach(member_request(&app), &[0; 64])).await, MISMATCH);
    assert_eq!(verdict(signed.sign(member_request(&app))).await, MISMATCH);
}

#[tokio::test]
async fn a_request_that_differs_in_any_covered_component_is_invalid() {
    let (app, _clock) = start();
    let changes: [fn(&mut Signed); 7] = [
        |signed| signed.method = "POST",
        |signed| signed.authority = "members.example.org".into(),
        |signed| signed.path = "/classes",
        |signed| signed.query = "?week=3",
        |signed| signed.fields[0].1 = "400007995-01",
        |signed| signed.fields[1].1 = "400011208",
        |signed| signed.fields[2].1 = "rewards",
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut signed = Signed::good(&app);
        change(&mut signed);
        assert_eq!(verdict(signed.sign(member_request(&app))).await, MISMATCH, "{}", COVERED[index]);
    }
}

#[tokio::test]
async fn a_signature_that_leaves_a_component_out_is_invalid() {
    let (app, _clock) = start();
    for name in COVERED {
        let mut signed = Signed::good(&app);
        signed.covered.retain(|covered| *covered != name);
        assert_eq!(
            verdict(signed.sign(member_request(&app))).await,
            format!("the signature does not cover {name}")
        );
    }
}

#[tokio::test]
async fn a_component_that_is_covered_twice_is_malformed() {
    let (app, _clock) = start();
    let mut signed = Signed::good(&app);
    signed.covered.push("@method");
    assert_eq!(verdict(signed.sign(member_request(&app))).await, "Signature-Input or Signature is malformed");
}

#[tokio::test]
async fn an_optional_field_has_to_be_covered_where_it_arrives() {
    let (app, _clock) = start();
    let request = || member_request(&app).header("x-member-first-name", "Rosa");
    let mut signed = Signed::good(&app);
    assert_eq!(verdict(signed.sign(request())).await, "the signature does not cover x-member-first-name");
    signed.covered.push("x-member-first-name");
    signed.fields.push(("x-member-first-name", "Rosa"));
    assert_eq!(verdict(signed.sign(request())).await, "valid");
}

#[tokio::test]
async fn a_signature_holds_until_it_expires_give_or_take_half_a_minute() {
    let (app, clock) = start();
    let signed = Signed::good(&app);
    for (now, expected) in [
        (NOW - 31, "the signature was created in the future"),
        (NOW - 30, "valid"),
        (NOW + 89, "valid"),
        (NOW + 90, "the signature has expired"),
    ] {
        clock.set(UnixTime(now));
        assert_eq!(verdict(signed.sign(member_request(&app))).await, expected, "{now}");
    }
}

#[tokio::test]
async fn another_key_algorithm_or_tag_is_invalid() {
    let (app, _clock) = start();
    for (parameters, expected) in [
        (parameters(NOW, NOW + 60, "2025-01", "hmac-sha256", "member-gateway"), "the keyid is unknown"),
        (parameters(NOW, NOW + 60, "2026-11", "ed25519", "member-gateway"), "the algorithm is not the key's"),
        (parameters(NOW, NOW + 60, "2026-11", "hmac-sha256", "other"), "the tag is not member-gateway"),
        (
            format!(";created={NOW};expires={};keyid=\"2026-11\"", NOW + 60),
            "the signature lacks the parameter tag",
        ),
        (";tag=\"member-gateway\";keyid=\"2026-11\"".into(), "the signature lacks the parameter created"),
        (
            format!(";tag=\"member-gateway\";keyid=\"2026-11\";created={NOW}"),
            "the signature lacks the parameter expires",
        ),
    ] {
        let mut signed = Signed::good(&app);
        signed.parameters = parameters;
        assert_eq!(verdict(signed.sign(member_request(&app))).await, expected);
    }
}

#[tokio::test]
async fn a_repeated_identity_field_is_invalid() {
    let (app, _clock) = start();
    let request = member_request(&app).header("x-member-id", "400007995-01");
    assert_eq!(verdict(Signed::good(&app).sign(request)).await, "x-member-id arrived more than once");
}

#[tokio::test]
async fn no_signature_and_a_broken_one_are_told_apart() {
    let (app, _clock) = start();
    assert_eq!(verdict(member_request(&app)).await, "there is no signature labelled member");
    let other =
        member_request(&app).header("signature-input", "other=()").header("signature", "other=:AA==:");
    assert_eq!(verdict(other).await, "there is no signature labelled member");
    for (input, mark) in
        [("member=(", "member=:AA==:"), ("member=1", "member=:AA==:"), ("member=()", "member=1")]
    {
        let broken = member_request(&app).header("signature-input", input).header("signature", mark);
        assert_eq!(verdict(broken).await, "Signature-Input or Signature is malformed", "{input} {mark}");
    }
}

#[tokio::test]
async fn a_covered_component_that_did_not_arrive_or_is_unknown_is_invalid() {
    let (app, _clock) = start();
    let mut signed = Signed::good(&app);
    signed.covered.push("x-absent");
    let expected = "the signature covers x-absent, which did not arrive";
    assert_eq!(verdict(signed.sign(member_request(&app))).await, expected);
    signed.covered.pop();
    signed.covered.push("@status");
    let expected = "the signature covers @status, which this app cannot derive";
    assert_eq!(verdict(signed.sign(member_request(&app))).await, expected);
}

#[tokio::test]
async fn the_page_greets_a_proven_member_alone_and_escapes_what_it_shows() {
    let (app, _clock) = start();
    let mut signed = Signed::good(&app);
    (signed.path, signed.query) = ("/", "?");
    let home = |id: &str| {
        let request = client().get(format!("{}/", app.base_url())).header("x-member-id", id);
        request.header("x-member-unit-id", "400007995").header("x-member-provider", "ymca")
    };
    let page = signed.sign(home("400007995-00")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Hello, member <strong>400007995-00</strong>"), "{page}");
    assert!(page.contains("<dd id=\"member-id\">400007995-00</dd>"), "{page}");
    assert!(page.contains("<dd id=\"member-unit-id\">400007995</dd>"), "{page}");
    assert!(page.contains("<dd id=\"signature\">valid</dd>"), "{page}");
    let page = home("<script>").send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("Hello, visitor") && page.contains("<dd id=\"member-id\">&lt;script&gt;</dd>"),
        "{page}"
    );
}

#[tokio::test]
async fn the_site_has_pages_a_form_and_a_style_sheet() {
    let (app, _clock) = start();
    let get = |path: &str| client().get(format!("{}{path}", app.base_url())).send();
    let page = get("/classes?week=2").await.unwrap().text().await.unwrap();
    assert!(page.contains("Classes, week 2") && page.contains("/classes?week=3"), "{page}");
    assert!(page.contains("href=\"/_gateway/logout\""), "{page}");
    let page = get("/classes?week=%3Cb%3E").await.unwrap().text().await.unwrap();
    assert!(page.contains("Classes, week 1"), "{page}");
    assert_eq!(get("/assets/style.css").await.unwrap().headers()["content-type"], "text/css; charset=utf-8");
    assert_eq!(get("/nothing").await.unwrap().status(), StatusCode::NOT_FOUND);
    let post = client().post(format!("{}/book", app.base_url())).form(&[("class", "Yoga"), ("note", "<b>&")]);
    let page = post.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<dd data-name=\"class\">Yoga</dd>") && page.contains("&lt;b&gt;&amp;"), "{page}");
}

#[tokio::test]
async fn the_echo_returns_the_request() {
    let (app, _clock) = start();
    let put = client()
        .put(format!("{}/echo?a=%20b", app.base_url()))
        .header("x-a", "1")
        .header("x-a", "2")
        .body("hi");
    let (_, echo) = answer(put).await;
    assert_eq!(
        (&echo["method"], &echo["path"], &echo["query"]),
        (&json!("PUT"), &json!("/echo"), &json!("a=%20b"))
    );
    assert_eq!(echo["body"], "hi");
    let fields = echo["fields"].as_array().unwrap();
    let twice: Vec<&Value> = fields.iter().filter(|field| field[0] == "x-a").collect();
    assert_eq!(twice, [&json!(["x-a", "1"]), &json!(["x-a", "2"])]);
}

#[tokio::test]
async fn events_come_one_by_one() {
    let (app, _clock) = start();
    let mut answer = client().get(format!("{}/events", app.base_url())).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let first = answer.chunk().await.unwrap().unwrap();
    assert_eq!(first, "event: places\nid: 1\ndata: 1\n\n");
}
