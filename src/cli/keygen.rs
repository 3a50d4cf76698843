//! `keygen`: a fresh key in the form that the configuration takes.

use std::io::Write;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::CommandError;
use crate::random;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Seals cookies: `session.keys`.
    Session,
    /// Signs; who verifies has the same key: `identity.signature.keys`.
    Hmac,
    /// Signs; who verifies needs the public key only.
    Ed25519,
    /// The same on curve P-256, as a PEM file.
    P256,
}

/// Prints the key, and nothing else.
///
/// # Errors
/// Where standard output is closed.
pub fn command(kind: Kind, output: &mut impl Write) -> Result<(), CommandError> {
    let key = match kind {
        Kind::Session | Kind::Hmac | Kind::Ed25519 => URL_SAFE_NO_PAD.encode(random::bytes::<32>()),
        Kind::P256 => p256()?,
    };
    writeln!(output, "{}", key.trim_end())?;
    Ok(())
}

fn p256() -> Result<String, CommandError> {
    let failed = |_| CommandError::Failed("this machine cannot make a P-256 key".to_owned());
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let der = pair.private_key().as_der().map_err(failed)?;
    Ok(pem(der.as_ref()))
}

/// RFC 7468 §10, though the key is of RFC 5915: PKCS #8 wraps it.
fn pem(sec1: &[u8]) -> String {
    // SEQUENCE { INTEGER 0, SEQUENCE { id-ecPublicKey, prime256v1 }, OCTET STRING { key } } (RFC 5958 §2, RFC 5480 §2)
    const HEADER: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
        0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let element = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("a P-256 key has fewer than 256 bytes");
        let mut element = vec![tag];
        if length >= 0x80 {
            element.push(0x81);
        }
        element.push(length);
        element.extend_from_slice(content);
        element
    };
    let der = element(0x30, &[HEADER, &element(0x04, sec1)].concat());
    let base64 = STANDARD.encode(der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::keys::{Algorithm, SigningKey};
    use crate::secret::Secret;
    use crate::session::seal::KeyRing;

    fn key(kind: Kind) -> Secret {
        let mut output = Vec::new();
        command(kind, &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        match kind {
            Kind::P256 => Secret::new(text),
            Kind::Session | Kind::Hmac | Kind::Ed25519 => {
                Secret::new(URL_SAFE_NO_PAD.decode(text.trim_end()).unwrap())
            }
        }
    }

    #[test]
    fn every_kind_of_key_is_taken_where_it_belongs() {
        assert!(KeyRing::new([&key(Kind::Session)]).is_ok());
        for (kind, algorithm) in [
            (Kind::Hmac, Algorithm::HmacSha256),
            (Kind::Ed25519, Algorithm::Ed25519),
            (Kind::P256, Algorithm::EcdsaP256Sha256),
        ] {
            let key = SigningKey::new("k", algorithm, &key(kind)).unwrap();
            let signature = STANDARD.decode(key.sign(b"base").as_bytes()).unwrap();
            assert!(key.verifies(b"base", &signature), "{kind:?}");
        }
    }

    #[test]
    fn no_two_keys_are_alike() {
        assert_ne!(key(Kind::Session), key(Kind::Session));
    }
}
