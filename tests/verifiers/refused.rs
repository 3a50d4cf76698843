//! What was signed by the gateway, then changed on the way; or signed over something that must not be accepted.

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE};

use crate::believed::{WITH_LAST_NAME, both};
use crate::cases::Refused;
use crate::forging::{
    algorithm, bits_at_its_end, covering_instead, hexadecimal, ids_that_changed_places,
    ids_that_traded_characters, in_other_words, in_place_of_the_field, keyid, labelled, lacking, look_alike,
    mac, of_one_that_may_be_sent, one_bit_changed, other_label_first, public_key_for_a_secret,
    question_mark_that_moved, removed_on_the_way, resigned_in, signed_with_another, signed_with_id,
    truncated_input, twice_in_a_line, twice_in_lines, without_component,
};
use crate::keys::{Key, Which};
use crate::request::{COMPONENTS, Request};

/// For every algorithm.
pub(crate) const REFUSED: &[Refused] = &[
    ("wrong path", |bench| bench.signed().with_target("/classes/2?week=2").before(), "wrong-signature"),
    ("wrong query", |bench| bench.signed().with_target("/classes?week=3").before(), "wrong-signature"),
    ("wrong method", |bench| bench.signed().with_method("POST").before(), "wrong-signature"),
    ("wrong authority", |bench| bench.signed().with("Host", "staff.example.org").before(), "wrong-signature"),
    ("changed field", |bench| bench.signed().with("X-Member-Id", "400007995-01").before(), "wrong-signature"),
    ("expired", |bench| bench.signed().before().later(65), "expired"),
    ("not yet valid", |bench| bench.signed().before().later(-6), "not-yet-valid"),
    ("unknown key", |bench| bench.with(&bench.params_of(Which::Next)).before(), "unknown-key"),
    (
        "rotated key: the old one, when it is held no more",
        |bench| bench.signed().before().holding(&[Key(bench.algorithm, Which::Next)]),
        "unknown-key",
    ),
    (
        "another key of the same id",
        |bench| bench.with(&bench.params_of(Which::Impostor)).before(),
        "wrong-signature",
    ),
    (
        "the id of the new key, signed with the old one",
        |bench| {
            let id = format!("\"{}\"", Key(bench.algorithm, Which::Next).id());
            bench.with(&bench.params().set("keyid", &id)).before().holding(&both(bench.algorithm))
        },
        "wrong-signature",
    ),
    ("algorithm swapped: none", |bench| algorithm(bench, "none"), "wrong-algorithm"),
    ("algorithm swapped: no name", |bench| algorithm(bench, ""), "wrong-algorithm"),
    ("algorithm swapped: another that exists", |bench| algorithm(bench, "rsa-pss-sha512"), "wrong-algorithm"),
    (
        "algorithm swapped: in capitals",
        |bench| algorithm(bench, &bench.algorithm.name().to_uppercase()),
        "wrong-algorithm",
    ),
    ("algorithm swapped: signed with another key, under this id", signed_with_another, "wrong-algorithm"),
    (
        "algorithm swapped: the public key for a secret",
        |bench| public_key_for_a_secret(bench, true),
        "wrong-algorithm",
    ),
    ("the public key for a secret", |bench| public_key_for_a_secret(bench, false), "wrong-signature"),
    ("an empty secret", |bench| mac(bench, &[]), "wrong-signature"),
    ("missing component", |bench| bench.covering(&COMPONENTS[..6]).before(), "wrong-components"),
    (
        "truncated: half the bytes",
        |bench| bench.resigned(|bytes| bytes[..bytes.len() / 2].into()).before(),
        "wrong-signature",
    ),
    (
        "truncated: one byte less",
        |bench| bench.resigned(|bytes| bytes[..bytes.len() - 1].into()).before(),
        "wrong-signature",
    ),
    (
        "truncated: one byte alone",
        |bench| bench.resigned(|bytes| bytes[..1].into()).before(),
        "wrong-signature",
    ),
    (
        "one byte more",
        |bench| bench.resigned(|bytes| [&bytes[..], &[0]].concat()).before(),
        "wrong-signature",
    ),
    ("one bit changed", |bench| bench.resigned(one_bit_changed).before(), "wrong-signature"),
    ("all zero", |bench| bench.resigned(|bytes| vec![0; bytes.len()]).before(), "wrong-signature"),
    (
        "in hexadecimal digits",
        |bench| bench.resigned(|bytes| hexadecimal(&bytes)).before(),
        "wrong-signature",
    ),
    ("in other words", in_other_words, "wrong-signature"),
];

/// For one algorithm: what is looked at here comes before any key.
pub(crate) const REFUSED_OF_ANY: &[Refused] = &[
    (
        "the path in another spelling",
        |bench| bench.signed().with_target("/cl%61sses?week=2").before(),
        "wrong-signature",
    ),
    (
        "a path with a slash more",
        |bench| bench.signed().with_target("/classes/?week=2").before(),
        "wrong-signature",
    ),
    ("a query that is gone", |bench| bench.signed().with_target("/classes").before(), "wrong-signature"),
    (
        "a query that is longer",
        |bench| bench.signed().with_target("/classes?week=2&a").before(),
        "wrong-signature",
    ),
    (
        "a query in another spelling",
        |bench| bench.signed().with_target("/classes?wee%6b=2").before(),
        "wrong-signature",
    ),
    ("a question mark that moved", question_mark_that_moved, "wrong-signature"),
    ("HEAD for GET", |bench| bench.signed().with_method("HEAD").before(), "wrong-signature"),
    ("a method in small letters", |bench| bench.signed().with_method("get").before(), "wrong-signature"),
    (
        "an authority in capitals",
        |bench| bench.signed().with("Host", "MEMBERS.EXAMPLE.ORG").before(),
        "wrong-signature",
    ),
    (
        "an authority with a port more",
        |bench| bench.signed().with("Host", "members.example.org:443").before(),
        "wrong-signature",
    ),
    (
        "an authority that is not the verifier's own",
        |bench| bench.signed().before().at("staff.example.org"),
        "wrong-authority",
    ),
    (
        "another unit",
        |bench| bench.signed().with("X-Member-Unit-Id", "400007996").before(),
        "wrong-signature",
    ),
    (
        "another provider",
        |bench| bench.signed().with("X-Member-Provider", "rewards").before(),
        "wrong-signature",
    ),
    ("ids that changed places", ids_that_changed_places, "wrong-signature"),
    ("ids that traded characters", ids_that_traded_characters, "wrong-signature"),
    (
        "duplicated field: another value",
        |bench| bench.signed().and("X-Member-Id", "400007995-01").before(),
        "duplicated-field",
    ),
    (
        "duplicated field: another value first",
        |bench| bench.signed().after("X-Member-Id", "400007995-01").before(),
        "duplicated-field",
    ),
    (
        "duplicated field: the same value",
        |bench| bench.signed().and("X-Member-Id", "400007995-00").before(),
        "duplicated-field",
    ),
    (
        "duplicated field: in small letters",
        |bench| bench.signed().and("x-member-unit-id", "400007996").before(),
        "duplicated-field",
    ),
    (
        "duplicated field: empty",
        |bench| bench.signed().and("X-Member-Provider", "").before(),
        "duplicated-field",
    ),
    (
        "duplicated field: in one line",
        |bench| bench.signed().with("X-Member-Id", "400007995-00, 400007995-01").before(),
        "duplicated-field",
    ),
    (
        "duplicated field: the authority",
        |bench| bench.signed().and("Host", "staff.example.org").before(),
        "duplicated-field",
    ),
    (
        "look-alike field: underscores",
        |bench| look_alike(bench, "X_Member_Id", "400007995-01", "duplicated-field"),
        "look-alike-field",
    ),
    (
        "look-alike field: underscores, the same value",
        |bench| look_alike(bench, "X_Member_Id", "400007995-00", "duplicated-field"),
        "look-alike-field",
    ),
    (
        "look-alike field: one underscore",
        |bench| look_alike(bench, "x-member_unit-id", "400007996", "duplicated-field"),
        "look-alike-field",
    ),
    (
        "look-alike field: dots",
        |bench| bench.signed().and("X.Member.Id", "400007995-01").before(),
        "look-alike-field",
    ),
    (
        "look-alike field: a tilde",
        |bench| bench.signed().and("X-Member~Id", "400007995-01").before(),
        "look-alike-field",
    ),
    ("look-alike field: in place of the field", in_place_of_the_field, "look-alike-field"),
    ("look-alike field: of one that may be sent", of_one_that_may_be_sent, "look-alike-field"),
    (
        "look-alike field: Signature_Input",
        |bench| look_alike(bench, "Signature_Input", "member=()", "malformed-signature"),
        "look-alike-field",
    ),
    (
        "a field that may be sent, added on the way",
        |bench| bench.signed().and("X-Member-Last-Name", "Smith").before().reading(WITH_LAST_NAME),
        "wrong-components",
    ),
    ("a field that may be sent, removed on the way", removed_on_the_way, "wrong-components"),
    ("missing field: no member", |bench| bench.signed().without("X-Member-Id").before(), "missing-field"),
    ("missing field: no unit", |bench| bench.signed().without("X-Member-Unit-Id").before(), "missing-field"),
    ("missing field: no authority", |bench| bench.signed().without("Host").before(), "missing-field"),
    ("missing field: an empty value, signed", |bench| signed_with_id(bench, ""), "missing-field"),
    (
        "missing field: blanks alone",
        |bench| bench.signed().with("X-Member-Id", " \t").before(),
        "missing-field",
    ),
    (
        "malformed value: beyond ASCII, signed",
        |bench| signed_with_id(bench, "\u{c3}\u{a9}"),
        "malformed-value",
    ),
    (
        "malformed value: a line feed, signed",
        |bench| signed_with_id(bench, "1\n\"x-member-unit-id\": 2"),
        "malformed-value",
    ),
    (
        "malformed value: a byte of zero, signed",
        |bench| signed_with_id(bench, "400007995-00\0"),
        "malformed-value",
    ),
    (
        "malformed value: a path beyond ASCII, signed",
        |bench| bench.sign(Request::to("GET", "/caf\u{c3}\u{a9}"), &bench.params()).before(),
        "malformed-value",
    ),
    ("a key id like a path", |bench| keyid(bench, "../../2026-11"), "unknown-key"),
    ("a key id every object has", |bench| keyid(bench, "__proto__"), "unknown-key"),
    ("a key id every object has, too", |bench| keyid(bench, "constructor"), "unknown-key"),
    ("a key id like a number", |bench| keyid(bench, "0"), "unknown-key"),
    ("no key id", |bench| keyid(bench, ""), "unknown-key"),
    ("a key id in other words", |bench| keyid(bench, "2026-11 "), "unknown-key"),
    (
        "another tag",
        |bench| bench.with(&bench.params().set("tag", "\"member-gateway-2\"")).before(),
        "wrong-tag",
    ),
    ("missing component: the method", |bench| without_component(bench, "@method"), "wrong-components"),
    ("missing component: the authority", |bench| without_component(bench, "@authority"), "wrong-components"),
    ("missing component: the path", |bench| without_component(bench, "@path"), "wrong-components"),
    ("missing component: the query", |bench| without_component(bench, "@query"), "wrong-components"),
    ("missing component: the member", |bench| without_component(bench, "x-member-id"), "wrong-components"),
    ("no component", |bench| bench.covering(&[]).before(), "wrong-components"),
    (
        "components in another order",
        |bench| {
            bench
                .covering(&[
                    "@authority",
                    "@method",
                    "@path",
                    "@query",
                    "x-member-id",
                    "x-member-unit-id",
                    "x-member-provider",
                ])
                .before()
        },
        "wrong-components",
    ),
    (
        "a component more",
        |bench| bench.covering(&[COMPONENTS, &["@target-uri"]].concat()).before(),
        "wrong-components",
    ),
    (
        "a component twice",
        |bench| bench.covering(&[&["@method"], COMPONENTS].concat()).before(),
        "wrong-components",
    ),
    ("a component in capitals", |bench| covering_instead(bench, "\"X-Member-Id\""), "wrong-components"),
    (
        "a component with a parameter",
        |bench| covering_instead(bench, "\"x-member-id\";sf"),
        "wrong-components",
    ),
    (
        "a component of another message",
        |bench| covering_instead(bench, "\"x-member-id\";req"),
        "wrong-components",
    ),
    (
        "a later expiry written in",
        |bench| bench.edited(";expires=17953", ";expires=27953").before(),
        "wrong-signature",
    ),
    (
        "an earlier creation written in",
        |bench| bench.edited(";created=17953", ";created=17952").before(),
        "wrong-signature",
    ),
    ("another nonce written in", |bench| bench.edited(";nonce=\"", ";nonce=\"x").before(), "wrong-signature"),
    ("no created", |bench| lacking(bench, "created"), "malformed-signature"),
    ("no expires", |bench| lacking(bench, "expires"), "malformed-signature"),
    ("no nonce", |bench| lacking(bench, "nonce"), "malformed-signature"),
    ("no keyid", |bench| lacking(bench, "keyid"), "malformed-signature"),
    ("no alg", |bench| lacking(bench, "alg"), "malformed-signature"),
    ("no tag", |bench| lacking(bench, "tag"), "malformed-signature"),
    (
        "parameters in another order",
        |bench| bench.with(&bench.params().reversed()).before(),
        "malformed-signature",
    ),
    ("a parameter more", |bench| bench.with(&bench.params().and("x", "1")).before(), "malformed-signature"),
    (
        "a parameter twice",
        |bench| bench.with(&bench.params().and("keyid", "\"2026-11\"")).before(),
        "malformed-signature",
    ),
    (
        "created as text",
        |bench| bench.with(&bench.params().set("created", "\"1795300000\"")).before(),
        "malformed-signature",
    ),
    (
        "created below zero",
        |bench| bench.with(&bench.params().set("created", "-1795300000")).before(),
        "malformed-signature",
    ),
    (
        "created with a fraction",
        |bench| bench.with(&bench.params().set("created", "1795300000.0")).before(),
        "malformed-signature",
    ),
    (
        "expires in sixteen digits",
        |bench| bench.with(&bench.params().set("expires", "9999999999999999")).before(),
        "malformed-signature",
    ),
    (
        "expires beyond every number",
        |bench| bench.with(&bench.params().set("expires", "99999999999999999999")).before(),
        "malformed-signature",
    ),
    (
        "a blank inside",
        |bench| bench.with(&bench.params().set("created", " 1795300000")).before(),
        "malformed-signature",
    ),
    (
        "two lists of components",
        |bench| bench.edited("member=(", "member=((").before(),
        "malformed-signature",
    ),
    ("other label", |bench| labelled(bench, "membership", "membership"), "no-signature"),
    ("other label: Signature-Input alone", |bench| labelled(bench, "sig1", "member"), "no-signature"),
    ("other label: Signature alone", |bench| labelled(bench, "member", "sig1"), "no-signature"),
    ("other label: in capitals", |bench| labelled(bench, "Member", "Member"), "no-signature"),
    ("other label first", other_label_first, "no-signature"),
    ("several signatures under our label", |bench| twice_in_a_line(bench, ", "), "malformed-signature"),
    (
        "several signatures under our label, no blank",
        |bench| twice_in_a_line(bench, ","),
        "malformed-signature",
    ),
    (
        "several signatures under our label, in lines",
        |bench| twice_in_lines(bench, "member=()"),
        "malformed-signature",
    ),
    (
        "several signatures under our label, one without a value",
        |bench| twice_in_lines(bench, "member"),
        "malformed-signature",
    ),
    (
        "several signatures under our label, one with parameters alone",
        |bench| twice_in_lines(bench, "a=1, member;x"),
        "malformed-signature",
    ),
    (
        "our label twice in Signature",
        |bench| bench.signed().and("Signature", "member=:AAAA:").before(),
        "malformed-signature",
    ),
    ("truncated: Signature-Input", |bench| truncated_input(bench, 40), "malformed-signature"),
    (
        "truncated: Signature-Input without its last quote",
        |bench| truncated_input(bench, 1),
        "malformed-signature",
    ),
    (
        "truncated: Signature",
        |bench| bench.resigned_as(|text| text[..text.len() - 8].into()).before(),
        "malformed-signature",
    ),
    ("no base64", |bench| bench.resigned_as(|_| "member=:***:".into()).before(), "malformed-signature"),
    ("base64 of the other alphabet", |bench| resigned_in(bench, &URL_SAFE), "malformed-signature"),
    ("base64 without padding", |bench| resigned_in(bench, &STANDARD_NO_PAD), "malformed-signature"),
    ("base64 with bits at its end", bits_at_its_end, "malformed-signature"),
    (
        "base64 with a line feed",
        |bench| bench.resigned_as(|text| text.replace("=:", "=:\n")).before(),
        "malformed-signature",
    ),
    ("no colons", |bench| bench.resigned_as(|text| text.replace(':', "")).before(), "malformed-signature"),
    (
        "a parameter of the signature",
        |bench| bench.resigned_as(|text| format!("{text};x")).before(),
        "malformed-signature",
    ),
    ("an empty signature", |bench| bench.resigned_as(|_| "member=::".into()).before(), "malformed-signature"),
    ("no Signature", |bench| bench.signed().without("Signature").before(), "no-signature"),
    ("no Signature-Input", |bench| bench.signed().without("Signature-Input").before(), "no-signature"),
    (
        "empty Signature and Signature-Input",
        |bench| bench.signed().with("Signature", "").with("Signature-Input", "").before(),
        "no-signature",
    ),
    ("identity fields alone", |_| Request::unsigned().before(), "no-signature"),
    (
        "a nonce that was seen",
        |bench| bench.signed().before().remembering(&["YW5vdGhlcg", "b3VyIG5vbmNl"]),
        "replayed",
    ),
    (
        "a nonce under a signature that does not hold",
        |bench| bench.signed().with_method("POST").before().remembering(&[]),
        "wrong-signature",
    ),
    (
        "a nonce of a request that is too late",
        |bench| bench.signed().before().remembering(&[]).later(65),
        "expired",
    ),
];
