//! How requests are forged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::believed::WITH_LAST_NAME;
use crate::cases::{Bench, Case};
use crate::keys::{Algorithm, Key, hmac_of};
use crate::request::{COMPONENTS, Params, Request, usual};

pub(crate) fn algorithm(bench: &Bench<'_>, name: &str) -> Case {
    bench.with(&bench.params().set("alg", &format!("\"{name}\""))).before()
}

/// Signed with the key of another algorithm and under that algorithm's name, but with the id of ours.
pub(crate) fn signed_with_another(bench: &Bench<'_>) -> Case {
    let other = if bench.algorithm == Algorithm::Hmac { Algorithm::Ed25519 } else { Algorithm::Hmac };
    let params = Params::by(usual(other)).set("keyid", &format!("\"{}\"", usual(bench.algorithm).id()));
    bench.with(&params).before().holding(&Key::held().collect::<Vec<_>>())
}

/// HMAC with what everybody knows of the key; of an hmac key, its id.
pub(crate) fn public_key_for_a_secret(bench: &Bench<'_>, says_so: bool) -> Case {
    let secret = match bench.algorithm {
        Algorithm::Hmac => usual(bench.algorithm).id().into_bytes(),
        Algorithm::Ed25519 | Algorithm::P256 => usual(bench.algorithm).public(),
    };
    // An hmac key has no public half, and no other name to hide under than somebody else's.
    let named = match (says_so, bench.algorithm) {
        (true, Algorithm::Hmac) => Algorithm::Ed25519,
        (true, _) => Algorithm::Hmac,
        (false, own) => own,
    };
    mac_as(bench, &secret, named)
}

pub(crate) fn mac(bench: &Bench<'_>, secret: &[u8]) -> Case {
    mac_as(bench, secret, bench.algorithm)
}

pub(crate) fn mac_as(bench: &Bench<'_>, secret: &[u8], named: Algorithm) -> Case {
    let params = bench.params().set("alg", &format!("\"{}\"", named.name()));
    let request = Request::unsigned();
    let signature = hmac_of(secret, &request.base(params.components(), &params.input()));
    request.carry(&params.input(), &signature).before()
}

/// What the neighbour of an algorithm would write: a hash alone for HMAC, S beyond the order of the group for Ed25519
/// (RFC 8032 §8.4), DER in place of two numbers for ECDSA.
pub(crate) fn in_other_words(bench: &Bench<'_>) -> Case {
    let change = |bytes: Vec<u8>| match bench.algorithm {
        Algorithm::Hmac => {
            let params = bench.params();
            let base = Request::unsigned().base(params.components(), &params.input());
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &base).as_ref().to_vec()
        }
        Algorithm::Ed25519 => with_the_order_added(bytes),
        Algorithm::P256 => der(&bytes),
    };
    bench.resigned(change).before()
}

/// The order of the group of Ed25519 (RFC 8032 §5.1), little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(crate) fn with_the_order_added(mut signature: Vec<u8>) -> Vec<u8> {
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    signature
}

pub(crate) fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if digits.first().is_some_and(|byte| *byte >= 0x80) { vec![0] } else { Vec::new() };
        let digits = [sign, digits].concat();
        [vec![2, u8::try_from(digits.len()).expect("33 bytes at most")], digits].concat()
    };
    let numbers = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [vec![0x30, u8::try_from(numbers.len()).expect("70 bytes at most")], numbers].concat()
}

pub(crate) fn one_bit_changed(mut bytes: Vec<u8>) -> Vec<u8> {
    *bytes.last_mut().expect("a signature has bytes") ^= 1;
    bytes
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

pub(crate) fn question_mark_that_moved(bench: &Bench<'_>) -> Case {
    bench.sign(Request::to("GET", "/a?b?c"), &bench.params()).with_target("/a%3Fb?c").before()
}

pub(crate) fn ids_that_changed_places(bench: &Bench<'_>) -> Case {
    bench.signed().with("X-Member-Id", "400007995").with("X-Member-Unit-Id", "400007995-00").before()
}

pub(crate) fn ids_that_traded_characters(bench: &Bench<'_>) -> Case {
    bench.signed().with("X-Member-Id", "400007995-0").with("X-Member-Unit-Id", "0400007995").before()
}

/// A look-alike beside the field; whoever is given names as CGI writes them sees both in one.
pub(crate) fn look_alike(bench: &Bench<'_>, name: &str, value: &str, folded: &'static str) -> Case {
    bench.signed().and(name, value).before().folded(folded)
}

pub(crate) fn in_place_of_the_field(bench: &Bench<'_>) -> Case {
    let request = bench.signed().without("X-Member-Id").and("X_Member_Id", "400007995-01");
    request.before().folded("wrong-signature")
}

pub(crate) fn of_one_that_may_be_sent(bench: &Bench<'_>) -> Case {
    let request = bench.signed().and("X_Member_Last_Name", "Smith");
    request.before().reading(WITH_LAST_NAME).folded("wrong-components")
}

pub(crate) fn removed_on_the_way(bench: &Bench<'_>) -> Case {
    let params = bench.params().covering(&[COMPONENTS, &["x-member-last-name"]].concat());
    let request = bench.sign(Request::unsigned().and("X-Member-Last-Name", "Smith"), &params);
    request.without("X-Member-Last-Name").before().reading(WITH_LAST_NAME)
}

pub(crate) fn signed_with_id(bench: &Bench<'_>, id: &str) -> Case {
    bench.sign(Request::unsigned().with("X-Member-Id", id), &bench.params()).before()
}

pub(crate) fn keyid(bench: &Bench<'_>, id: &str) -> Case {
    bench.with(&bench.params().set("keyid", &format!("\"{id}\""))).before()
}

pub(crate) fn without_component(bench: &Bench<'_>, name: &str) -> Case {
    let rest: Vec<&str> = COMPONENTS.iter().copied().filter(|component| *component != name).collect();
    bench.covering(&rest).before()
}

pub(crate) fn covering_instead(bench: &Bench<'_>, component: &str) -> Case {
    let usual: Vec<String> = COMPONENTS.iter().map(|name| format!("\"{name}\"")).collect();
    let instead =
        |name: &'_ String| if name == "\"x-member-id\"" { component.to_owned() } else { name.clone() };
    let components: Vec<String> = usual.iter().map(instead).collect();
    let components: Vec<&str> = components.iter().map(String::as_str).collect();
    bench.with(&bench.params().covering_literally(&components)).before()
}

pub(crate) fn lacking(bench: &Bench<'_>, parameter: &str) -> Case {
    bench.with(&bench.params().lacking(parameter)).before()
}

pub(crate) fn labelled(bench: &Bench<'_>, input: &str, signature: &str) -> Case {
    let request = bench.edited("member=(", &format!("{input}=("));
    let text = request.field("Signature").replacen("member=", &format!("{signature}="), 1);
    request.with("Signature", &text).before()
}

pub(crate) fn other_label_first(bench: &Bench<'_>) -> Case {
    let request = bench.signed();
    let input = format!("other=(\"@method\");created=1, {}", request.field("Signature-Input"));
    let signature = format!("other=:AAAA:, {}", request.field("Signature"));
    request.with("Signature-Input", &input).with("Signature", &signature).before()
}

pub(crate) fn twice_in_a_line(bench: &Bench<'_>, between: &str) -> Case {
    let request = bench.signed();
    let [input, signature] = ["Signature-Input", "Signature"].map(|name| {
        let value = request.field(name);
        format!("{value}{between}{value}")
    });
    request.with("Signature-Input", &input).with("Signature", &signature).before()
}

pub(crate) fn twice_in_lines(bench: &Bench<'_>, second: &str) -> Case {
    bench.signed().and("Signature-Input", second).before()
}

pub(crate) fn truncated_input(bench: &Bench<'_>, characters: usize) -> Case {
    let request = bench.signed();
    let input = request.field("Signature-Input");
    let input = input[..input.len() - characters].to_owned();
    request.with("Signature-Input", &input).before()
}

pub(crate) fn resigned_in(bench: &Bench<'_>, engine: &impl base64::Engine) -> Case {
    // A signature in which the alphabets differ has to be looked for: the nonce may be anything.
    let found = (0..).find_map(|number| {
        let request = bench.with(&bench.params().set("nonce", &format!("\"{number}\"")));
        STANDARD.encode(request.signature()).contains(['+', '/']).then_some(request)
    });
    let request = found.expect("there is one before the numbers end");
    let text = format!("member=:{}:", engine.encode(request.signature()));
    request.with("Signature", &text).before()
}

/// 32 bytes leave two bits of the last character unused; set, they are the same bytes to a lenient decoder.
pub(crate) fn bits_at_its_end(bench: &Bench<'_>) -> Case {
    let text = bench.resigned_as(|text| {
        let body = text.trim_end_matches("=:");
        let last = body.chars().last().expect("a signature has characters");
        let next = char::from(u8::try_from(last).expect("ASCII") + 1);
        format!("{}{next}=:", &body[..body.len() - 1])
    });
    text.before()
}
