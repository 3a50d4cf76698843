//! Requests whose signature holds, however unusual they look.

use crate::cases::Believed;
use crate::keys::{Algorithm, Key, Which};
use crate::request::{COMPONENTS, Request};

/// For every algorithm.
pub(crate) const BELIEVED: &[Believed] = &[
    ("valid", |bench| bench.signed().before()),
    ("a path only its raw form tells", |bench| {
        bench.sign(Request::to("GET", "/a%2Fb/..%2f/c;d/%e4?q=a+b%20c"), &bench.params()).before()
    }),
    ("rotated key: the old one, while both are held", |bench| {
        bench.signed().before().holding(&both(bench.algorithm))
    }),
    ("rotated key: the new one, while both are held", |bench| {
        bench.with(&bench.params_of(Which::Next)).before().holding(&both(bench.algorithm))
    }),
    ("one key among those of every algorithm", |bench| {
        bench.signed().before().holding(&Key::held().collect::<Vec<_>>())
    }),
];

/// For one algorithm: what is looked at here comes before any key.
pub(crate) const BELIEVED_OF_ANY: &[Believed] = &[
    ("no query", |bench| bench.sign(Request::to("GET", "/"), &bench.params()).before()),
    ("an empty query", |bench| bench.sign(Request::to("GET", "/classes?"), &bench.params()).before()),
    ("an empty query and none are one (RFC 9421 section 2.2.7)", |bench| {
        bench.sign(Request::to("GET", "/classes?"), &bench.params()).with_target("/classes").before()
    }),
    ("a query that holds question marks", |bench| {
        bench.sign(Request::to("GET", "/a?b=?c&d=%3F?"), &bench.params()).before()
    }),
    ("a path that begins like an authority", |bench| {
        bench.sign(Request::to("GET", "//evil.example/a"), &bench.params()).before()
    }),
    ("dots and empty segments", |bench| {
        bench.sign(Request::to("GET", "/a/./b//../c/"), &bench.params()).before()
    }),
    ("a plus, a quote and a bar in the path", |bench| {
        bench.sign(Request::to("GET", "/a+b/c'd/e|f"), &bench.params()).before()
    }),
    ("another method", |bench| bench.sign(Request::to("DELETE", "/classes/2"), &bench.params()).before()),
    ("an authority with a port", |bench| {
        let request = Request::unsigned().with("Host", "localhost:8080");
        bench.sign(request, &bench.params()).before().at("localhost:8080")
    }),
    ("an authority that is the verifier's own", |bench| bench.signed().before().at("members.example.org")),
    ("names in lower case", |bench| {
        let fields =
            ["Host", "X-Member-Id", "X-Member-Unit-Id", "X-Member-Provider", "Signature-Input", "Signature"];
        fields
            .iter()
            .fold(bench.signed(), |request, name| request.renamed(name, &name.to_lowercase()))
            .before()
    }),
    ("created a little ahead", |bench| bench.with(&bench.params().between(5, 65)).before()),
    ("expired a little ago", |bench| bench.signed().before().later(64)),
    ("blanks around a value", |bench| bench.signed().with("X-Member-Id", " \t 400007995-00 \t ").before()),
    ("a client's own label after ours", |bench| {
        let request = bench.signed();
        let input = format!("{}, client=(\"@method\");tag=\"a, b\"", request.field("Signature-Input"));
        let signature = format!("{}, client=:AAAA:", request.field("Signature"));
        request.with("Signature-Input", &input).with("Signature", &signature).before()
    }),
    ("a client's own label in another line", |bench| {
        let request = bench.signed().and("Signature-Input", "client=(\"@method\");keyid=\"k\"");
        request.and("Signature", "client=:AAAA:").before()
    }),
    ("a client's label that begins like ours", |bench| {
        let request = bench.signed().and("Signature-Input", "membership=(\"@method\");keyid=\"k\"");
        request.and("Signature", "member-2=:AAAA:").before()
    }),
    ("a field that only resembles ours", |bench| {
        bench.signed().and("X-Member-Idx", "400007995-01").and("XMember-Id", "400007995-01").before()
    }),
    ("other fields, even twice", |bench| bench.signed().and("Cookie", "a=b").and("Cookie", "c=d").before()),
    ("a field that may be sent, and is", |bench| {
        let request = Request::unsigned().and("X-Member-Last-Name", "N%C3%BA%C3%B1ez%2C Jr.");
        let params = bench.params().covering(&[COMPONENTS, &["x-member-last-name"]].concat());
        bench.sign(request, &params).before().reading(WITH_LAST_NAME)
    }),
    ("a field that may be sent, and is not", |bench| bench.signed().before().reading(WITH_LAST_NAME)),
    ("fields under names of the operator's", |bench| {
        let request = Request::unsigned().renamed("X-Member-Id", "Remote-User");
        let request = request.without("X-Member-Unit-Id").without("X-Member-Provider");
        let params = bench.params().covering(&[&COMPONENTS[..4], &["remote-user"]].concat());
        bench.sign(request, &params).before().reading(&["remote-user"])
    }),
    ("a nonce that is new", |bench| bench.signed().before().remembering(&["YW5vdGhlcg"])),
];

/// The identity fields of a site that sends a name where it knows one.
pub(crate) const WITH_LAST_NAME: &[&str] =
    &["x-member-id", "x-member-unit-id", "x-member-provider", "x-member-last-name?"];

/// The old key and the new one.
pub(crate) fn both(algorithm: Algorithm) -> [Key; 2] {
    [Which::Usual, Which::Next].map(|which| Key(algorithm, which))
}
