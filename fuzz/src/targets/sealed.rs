//! Sealed values: any text; any octets as the inside of one; and one that was sealed, with changes.
//!
//! * Nothing opens that was not sealed, byte for byte, for this purpose and this site.
//! * What is sealed opens as it was.
//! * A session in octets that come from a sealed value is what those octets say, and no panic.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use member_gateway::session::Session;
use member_gateway::session::seal::{Purpose, Seal};

use super::members::{SITE, ring, session};

struct Seals {
    own: Seal,
    others: [Seal; 3],
    /// One that was sealed.
    text: String,
}

fn seals() -> &'static Seals {
    static SEALS: OnceLock<Seals> = OnceLock::new();
    SEALS.get_or_init(|| {
        let own = ring().bind(Purpose::Session, SITE);
        let text = own.seal(&session().to_bytes(), [3; 24]);
        let others = [
            ring().bind(Purpose::Attempt, SITE),
            ring().bind(Purpose::Session, "https://other.localhost"),
            ring().bind(Purpose::Form, SITE),
        ];
        Seals { own, others, text }
    })
}

pub fn run(bytes: &[u8]) {
    let Seals { own, others, text } = seals();
    let refuse = |value: &[u8]| {
        assert!(value == text.as_bytes() || own.open(value).is_none(), "what nobody sealed has opened");
        assert!(others.iter().all(|other| other.open(value).is_none()));
    };
    refuse(bytes);
    // With version and key as they should be, so that everything behind them is looked at.
    let mut inside = URL_SAFE_NO_PAD.decode(text).expect("base64url")[..5].to_vec();
    inside.extend_from_slice(bytes);
    refuse(URL_SAFE_NO_PAD.encode(&inside).as_bytes());
    // Changes to one that was sealed: a place and what is put there, again and again.
    let mut changed = text.clone().into_bytes();
    for change in bytes.chunks_exact(3).take(32) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % (changed.len() + 1);
        match change[2] {
            0 => changed.truncate(at),
            1 => changed.insert(at, b'A'),
            other => {
                if let Some(byte) = changed.get_mut(at) {
                    *byte = other;
                }
            }
        }
    }
    refuse(&changed);

    let mut nonce = [0; 24];
    nonce.iter_mut().zip(bytes).for_each(|(into, byte)| *into = *byte);
    let sealed = own.seal(bytes, nonce);
    assert_eq!(own.open(sealed.as_bytes()).as_deref(), Some(bytes));
    assert!(others.iter().all(|other| other.open(sealed.as_bytes()).is_none()));
    assert!(!own.lacks_key_of(sealed.as_bytes()));

    if let Some(session) = Session::from_bytes(Bytes::copy_from_slice(bytes)) {
        assert_eq!(session.to_bytes(), bytes, "two sets of octets are one session");
    }
}
