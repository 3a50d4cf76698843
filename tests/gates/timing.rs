//! Gate TI-1: whether the time of a comparison tells how much of a secret somebody has guessed.
//!
//! As in "Dude, is my code constant time?" (Reparaz, Balasch, Verbauwhede, 2017): guesses that are wrong at their beginning and
//! guesses that are wrong at their end take turns by chance, and Welch's t says whether their times differ; the slowest tenth is
//! what else the machine does, and is left out. Beyond 4.5 a difference would be worth a look. An ordinary comparison is
//! measured beside, where one is to be seen, or the figures would mean nothing. Times are printed, and nothing fails by them:
//! that the comparisons are the right ones is what `spec/constant_time.rs` shows.
//!
//! Gate CC-7: how long an answer takes to a cookie that is worth nothing, by what is wrong with it. That the answers are the same
//! is what `spec/no_sign_in.rs` shows; their times are printed.

use std::hint::black_box;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use member_gateway::identity::keys::{Algorithm, SigningKey};
use member_gateway::login::attempt::Attempt;
use member_gateway::login::return_to::ReturnTo;
use member_gateway::member::ProviderName;
use member_gateway::secret::Secret;
use member_gateway::session::seal::{KeyRing, Purpose};
use member_gateway::time::UnixTime;

use crate::cookies::Numbers;
use crate::harness::{Gateway, NOW, Wire, head};
use crate::scaled;

const GUESSES: usize = scaled(2_000, 1_000_000);
/// Answers to each kind of cookie.
const ANSWERS: usize = scaled(50, 100_000);
/// Comparisons for one look at the clock, which takes longer than some of them.
const AT_ONCE: usize = 8;

/// A value, wrong at its beginning and wrong at its end.
fn wrong(right: &[u8]) -> [Vec<u8>; 2] {
    [0, right.len() - 1].map(|at| {
        let mut guess = right.to_vec();
        guess[at] ^= 1;
        guess
    })
}

/// Welch's t of the times that two guesses take. Neither is right.
fn difference(guesses: &[Vec<u8>; 2], is_right: impl Fn(&[u8]) -> bool) -> f64 {
    let mut numbers = Numbers::row(1);
    // Both stand in the same place when they are looked at: where something stands makes more of a difference.
    let mut guess = guesses[0].clone();
    let mut times: Vec<(usize, u128)> = (0..GUESSES)
        .map(|_| {
            let which = numbers.next() % 2;
            guess.copy_from_slice(&guesses[which]);
            let guess = black_box(&guess[..]);
            let since = Instant::now();
            let right = (0..AT_ONCE).filter(|_| is_right(black_box(guess))).count();
            let took = since.elapsed().as_nanos();
            assert_eq!(right, 0);
            (which, took)
        })
        .collect();
    times.sort_unstable_by_key(|(_, took)| *took);
    times.truncate(GUESSES - GUESSES / 10);
    let [first, last] =
        [0, 1].map(|which| moments(times.iter().filter(|(of, _)| *of == which).map(|(_, took)| *took)));
    (first.mean - last.mean) / (first.variance / first.count + last.variance / last.count).sqrt()
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a comparison are few")]
fn moments(times: impl Iterator<Item = u128>) -> Moments {
    let times: Vec<f64> = times.map(|took| took as f64).collect();
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|took| (took - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Moments { count, mean, variance }
}

#[test]
fn no_guess_takes_longer_for_being_nearly_right() {
    let state = [7; 32];
    let attempt = Attempt::begin(state, ProviderName::new("ymca").unwrap(), ReturnTo::new("/"), NOW);
    let guesses = wrong(URL_SAFE_NO_PAD.encode(state).as_bytes());
    let by_state = difference(&guesses, |guess| attempt.has_state(std::str::from_utf8(guess).unwrap()));

    let key = [b'k'; 43];
    let secret = Secret::new(key);
    let by_key = difference(&wrong(&key), |guess| member_gateway::secret::same_bytes(guess, secret.expose()));

    let (base, hmac) = (
        b"\"@method\": GET",
        SigningKey::new("1", Algorithm::HmacSha256, &Secret::new(*b"fedcba9876543210fedcba9876543210"))
            .unwrap(),
    );
    let mark = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"fedcba9876543210fedcba9876543210"),
        base,
    );
    assert!(hmac.verifies(base, mark.as_ref()));
    let by_signature = difference(&wrong(mark.as_ref()), |guess| hmac.verifies(base, guess));

    let seal = KeyRing::new([&Secret::new(*b"0123456789abcdef0123456789abcdef")])
        .unwrap()
        .bind(Purpose::Session, "x");
    let sealed = URL_SAFE_NO_PAD.decode(seal.seal(b"300418822-01", [9; 24])).unwrap();
    // The tag is what somebody would guess who has the rest.
    let (rest, tag) = sealed.split_last_chunk::<16>().unwrap();
    let guesses = wrong(tag).map(|tag| URL_SAFE_NO_PAD.encode([rest, &tag].concat()).into_bytes());
    let by_tag = difference(&guesses, |guess| seal.open(guess).is_some());

    let long = [b'l'; 512];
    let ordinary = difference(&wrong(&long), |guess| guess.iter().zip(&long).all(|(a, b)| black_box(a) == b));

    println!(
        "TI-1: {GUESSES} guesses, t of the state {by_state:.1}, the relay's key {by_key:.1}, a signature {by_signature:.1}, \
         the tag of a cookie {by_tag:.1}; an ordinary comparison {ordinary:.1}"
    );
}

#[test]
fn what_is_wrong_with_a_cookie_is_hardly_to_be_seen_by_the_time_of_the_answer() {
    let (name, good) = crate::cookies::sealed_at(NOW);
    let bytes = URL_SAFE_NO_PAD.decode(&good).unwrap();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        URL_SAFE_NO_PAD.encode(bytes).into_bytes()
    };
    let causes = [
        ("another tag", flipped(bytes.len() - 1)),
        ("no base64url", [&good[..good.len() - 1], b"!"].concat()),
        ("an unknown key", flipped(1)),
        ("another content", flipped(40)),
        ("expired", crate::cookies::sealed_at(UnixTime(NOW.0 - 3600)).1),
        ("another tag, once more", flipped(bytes.len() - 1)),
    ];
    let gateway = Gateway::with_sandbox();
    let mut client = gateway.connect();
    let ask = |client: &mut Wire, value: &[u8]| {
        let cookie = [name.as_bytes(), b"=", value].concat();
        let head = head("GET /api/a", &format!("Cookie: {}\r\n", str::from_utf8(&cookie).unwrap()));
        let since = Instant::now();
        client.send(head);
        let (answer, _) = client.answer();
        (since.elapsed(), answer)
    };
    assert!(ask(&mut client, &good).1.starts_with("HTTP/1.1 200 "));
    let mut numbers = Numbers::row(2);
    let mut times = causes.each_ref().map(|_| Vec::with_capacity(ANSWERS));
    for _ in 0..ANSWERS * causes.len() {
        let which = numbers.next() % causes.len();
        let (took, answer) = ask(&mut client, &causes[which].1);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{}: {answer}", causes[which].0);
        times[which].push(took.as_nanos());
    }
    println!("CC-7: some {ANSWERS} answers to each over one connection, in microseconds:");
    for ((cause, _), times) in causes.iter().zip(&mut times) {
        times.sort_unstable();
        let [quarter, median, three_quarters] = [1, 2, 3].map(|of| times[times.len() * of / 4] / 100);
        println!(
            "CC-7 {cause}: median {}.{}, half of them between {}.{} and {}.{}",
            median / 10,
            median % 10,
            quarter / 10,
            quarter % 10,
            three_quarters / 10,
            three_quarters % 10
        );
    }
}
