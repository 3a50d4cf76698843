//! The verifiers in `docs/verify/`, run as the small apps they are and asked over a socket.
//!
//! The requests are signed here by hand, as RFC 9421 describes it and without the gateway's own code: the verifiers are
//! what developers of upstream apps copy, so they are held to the text of the RFC and not to our reading of it.

mod app;
mod request;

use app::{App, KEY};
use request::{Params, Request};

/// Says what a forged request differs in, forges it, and names the reason that every verifier must give.
type Forgery = (&'static str, fn() -> Request, &'static str);

/// Says what is unusual about a request whose signature holds, and makes it.
type Genuine = (&'static str, fn() -> Request);

/// What was signed by the gateway, then changed on the way; or signed over something that must not be accepted.
const FORGERIES: &[Forgery] = &[
    ("another path", || Request::signed().with_target("/classes/2?week=2"), "wrong-signature"),
    (
        "the path in another spelling",
        || Request::signed().with_target("/cl%61sses?week=2"),
        "wrong-signature",
    ),
    ("another query", || Request::signed().with_target("/classes?week=3"), "wrong-signature"),
    ("a query that is gone", || Request::signed().with_target("/classes"), "wrong-signature"),
    ("another method", || Request::signed().with_method("POST"), "wrong-signature"),
    ("another authority", || Request::signed().with("Host", "staff.example.org"), "wrong-signature"),
    ("a second authority", || Request::signed().and("Host", "staff.example.org"), "wrong-signature"),
    ("another member", || Request::signed().with("X-Member-Id", "400007995-01"), "wrong-signature"),
    ("a second member", || Request::signed().and("X-Member-Id", "400007995-01"), "wrong-signature"),
    ("another unit", || Request::signed().with("X-Member-Unit-Id", "400007996"), "wrong-signature"),
    ("another provider", || Request::signed().with("X-Member-Provider", "rewards"), "wrong-signature"),
    ("ids that changed places", ids_that_changed_places, "wrong-signature"),
    ("no member", || Request::signed().without("X-Member-Id"), "missing-field"),
    ("no unit", || Request::signed().without("X-Member-Unit-Id"), "missing-field"),
    ("expired", || Request::unsigned().sign(&Params::new().created(-120).expires(-60)), "expired"),
    ("expiring now", || Request::unsigned().sign(&Params::new().created(-60).expires(0)), "expired"),
    (
        "from the future",
        || Request::unsigned().sign(&Params::new().created(3600).expires(3660)),
        "not-yet-valid",
    ),
    ("an unknown key", || Request::unsigned().sign(&Params::new().keyid("2026-12")), "unknown-key"),
    (
        "a key id like a path",
        || Request::unsigned().sign(&Params::new().keyid("../../2026-11")),
        "unknown-key",
    ),
    ("no key id", || Request::unsigned().sign(&Params::new().keyid("")), "unknown-key"),
    (
        "another key of the same name",
        || Request::unsigned().sign(&Params::new().key([8; 32])),
        "wrong-signature",
    ),
    ("an empty key", || Request::unsigned().sign(&Params::new().key([])), "wrong-signature"),
    ("another algorithm", || Request::unsigned().sign(&Params::new().alg("ed25519")), "wrong-algorithm"),
    ("the algorithm none", || Request::unsigned().sign(&Params::new().alg("none")), "wrong-algorithm"),
    ("another tag", || Request::unsigned().sign(&Params::new().tag("member-gateway-2")), "wrong-tag"),
    ("the method is not covered", || without_component("@method"), "wrong-components"),
    ("the authority is not covered", || without_component("@authority"), "wrong-components"),
    ("the path is not covered", || without_component("@path"), "wrong-components"),
    ("the query is not covered", || without_component("@query"), "wrong-components"),
    ("the member is not covered", || without_component("x-member-id"), "wrong-components"),
    ("nothing is covered", || Request::unsigned().sign(&Params::new().components(&[])), "wrong-components"),
    ("components in another order", components_in_another_order, "wrong-components"),
    ("a later expiry was written in", || edited(";expires=", ";expires=9"), "wrong-signature"),
    ("another nonce was written in", || edited(";nonce=\"", ";nonce=\"x"), "wrong-signature"),
    ("no creation time", || edited(";created=", ";updated="), "malformed-signature"),
    ("a parameter twice", || edited(";tag=", ";tag=\"member-gateway\";tag="), "malformed-signature"),
    ("another label comes first", another_label_first, "malformed-signature"),
    ("only another label", only_another_label, "malformed-signature"),
    ("the label twice", the_label_twice, "malformed-signature"),
    (
        "a signature that is no base64",
        || Request::signed().with("Signature", "member=:***:"),
        "malformed-signature",
    ),
    ("an empty signature", || Request::signed().with("Signature", "member=::"), "malformed-signature"),
    ("half a signature", || Request::signed().with("Signature", "member=:AAAA:"), "wrong-signature"),
    ("no Signature", || Request::signed().without("Signature"), "no-signature"),
    ("no Signature-Input", || Request::signed().without("Signature-Input"), "no-signature"),
    ("identity fields alone", Request::unsigned, "no-signature"),
];

/// Requests whose signature holds, however unusual they look.
const GENUINE: &[Genuine] = &[
    ("a plain request", Request::signed),
    ("no query", || Request::to("GET", "/").sign(&Params::new())),
    ("an empty query", || Request::to("GET", "/classes?").sign(&Params::new())),
    ("a query that holds question marks", || Request::to("GET", "/a?b=?c&d=%3F?").sign(&Params::new())),
    ("a path only its raw form tells", || {
        Request::to("GET", "/a%2Fb/..%2f/c;d/%e4?q=a+b%20c").sign(&Params::new())
    }),
    ("a path that begins like an authority", || Request::to("GET", "//evil.example/a").sign(&Params::new())),
    ("dots and empty segments", || Request::to("GET", "/a/./b//../c/").sign(&Params::new())),
    ("another method", || Request::to("DELETE", "/classes/2").sign(&Params::new())),
    ("an authority with a port", || Request::unsigned().with("Host", "localhost:8080").sign(&Params::new())),
    ("a clock slightly ahead", || Request::unsigned().sign(&Params::new().created(3).expires(63))),
    ("blanks around a value", blanks_around_a_value),
    ("a client's own label after it", a_clients_own_label_after_it),
    ("a client's own label in another line", a_clients_own_label_in_another_line),
];

#[test]
fn the_php_verifier_believes_what_was_signed_and_nothing_else() {
    believes_what_was_signed_and_nothing_else(&App::php());
}

#[test]
fn the_python_verifier_believes_what_was_signed_and_nothing_else() {
    believes_what_was_signed_and_nothing_else(&App::python());
}

#[test]
fn the_node_verifier_believes_what_was_signed_and_nothing_else() {
    believes_what_was_signed_and_nothing_else(&App::node());
}

#[test]
fn no_verifier_starts_with_a_key_that_anybody_could_guess() {
    for key in ["", "AAAA"] {
        assert!(!App::python_serves_with(key), "Python serves with the key {key:?}");
        assert!(!App::node_serves_with(key), "Node serves with the key {key:?}");
        let answer = App::php_with(key).ask(&Request::unsigned().sign(&Params::new().key([])).to_bytes());
        assert_eq!(answer.status, 500, "PHP with the key {key:?}: {}", answer.text);
    }
}

#[test]
fn the_example_in_the_documentation_has_the_signature_that_is_printed_there() {
    let text = include_str!("../../docs/verify/README.md");
    let base =
        text.split("```text\n").find(|block| block.starts_with("\"@method\"")).expect("a signature base");
    let (base, _) = base.split_once("\n```").expect("the end of the signature base");
    assert!(text.contains(&format!("`member=:{}:`", request::signature(&KEY, base))), "{base}");
}

fn believes_what_was_signed_and_nothing_else(app: &App) {
    let mut mistakes = Vec::new();
    for (what, request) in GENUINE {
        let answer = app.ask(&request().to_bytes());
        if (answer.status, answer.text.as_str()) != (200, "member 400007995-00 of unit 400007995 (ymca)") {
            mistakes.push(format!("{what}: should be believed, got {} {:?}", answer.status, answer.text));
        }
    }
    for (what, request, reason) in FORGERIES {
        let answer = app.ask(&request().to_bytes());
        if (answer.status, answer.text.as_str()) != (401, *reason) {
            mistakes
                .push(format!("{what}: should be 401 {reason:?}, got {} {:?}", answer.status, answer.text));
        }
    }
    assert!(mistakes.is_empty(), "{}:\n{}", app.name, mistakes.join("\n"));
}

fn ids_that_changed_places() -> Request {
    Request::signed().with("X-Member-Id", "400007995").with("X-Member-Unit-Id", "400007995-00")
}

fn without_component(name: &str) -> Request {
    let rest: Vec<&str> =
        request::COMPONENTS.iter().copied().filter(|component| *component != name).collect();
    Request::unsigned().sign(&Params::new().components(&rest))
}

fn components_in_another_order() -> Request {
    let mut components = request::COMPONENTS.to_vec();
    components.swap(4, 5);
    Request::unsigned().sign(&Params::new().components(&components))
}

/// A signed request whose `Signature-Input` was edited afterwards.
fn edited(from: &str, to: &str) -> Request {
    let request = Request::signed();
    let input = request.field("Signature-Input").replace(from, to);
    request.with("Signature-Input", &input)
}

fn another_label_first() -> Request {
    let request = Request::signed();
    let input = format!("other=(\"@method\");created=1, {}", request.field("Signature-Input"));
    let signature = format!("other=:AAAA:, {}", request.field("Signature"));
    request.with("Signature-Input", &input).with("Signature", &signature)
}

fn only_another_label() -> Request {
    let request = Request::signed();
    let input = request.field("Signature-Input").replacen("member=", "membership=", 1);
    let signature = request.field("Signature").replacen("member=", "membership=", 1);
    request.with("Signature-Input", &input).with("Signature", &signature)
}

fn the_label_twice() -> Request {
    let request = Request::signed();
    let input = format!("{0}, {0}", request.field("Signature-Input"));
    request.with("Signature-Input", &input)
}

fn blanks_around_a_value() -> Request {
    Request::signed().with("X-Member-Id", " \t 400007995-00 \t ")
}

fn a_clients_own_label_after_it() -> Request {
    let request = Request::signed();
    let input = format!("{}, client=(\"@method\");tag=\"a, b\"", request.field("Signature-Input"));
    let signature = format!("{}, client=:AAAA:", request.field("Signature"));
    request.with("Signature-Input", &input).with("Signature", &signature)
}

fn a_clients_own_label_in_another_line() -> Request {
    Request::signed()
        .and("Signature-Input", "client=(\"@method\");keyid=\"k\"")
        .and("Signature", "client=:AAAA:")
}
