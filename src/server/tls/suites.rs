//! Which cipher suite protects a connection: of those that are safe, the cheapest for whoever has the least to work with.
//!
//! AES-128-GCM goes before AES-256-GCM, in whatever order the client names the two. Nobody knows of an attack on either;
//! key search on AES-128 is what NIST measures post-quantum strength by, as its category 1. But TLS pairs AES-256 with
//! SHA-384, for which common processors have no instruction, and a sixth of a handshake would go to it.
//!
//! ChaCha20-Poly1305 goes first for a client that names it before any AES. Clients do so where their machine has no AES
//! instructions, and there it is several times as fast (RFC 8439 §1). Whoever offers one suite alone gets that one.

use rustls::{CipherSuite, SupportedCipherSuite};

/// Which kind of cipher a client is better at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Aes,
    ChaCha,
}

impl Better {
    /// What the order tells in which a client names its suites, the best first (RFC 8446 §4.1.2). Many begin with one that
    /// does not exist (RFC 8701), and what is not served says nothing.
    pub(super) fn of(offered: &[CipherSuite], served: &[SupportedCipherSuite]) -> Self {
        let is_served = |suite: &&CipherSuite| served.iter().any(|served| served.suite() == **suite);
        let first = offered.iter().find(is_served);
        first.map_or(Self::Aes, |first| if is_chacha(*first) { Self::ChaCha } else { Self::Aes })
    }

    /// The suites that are served, the best first for such a client.
    pub(super) fn order(self, mut served: Vec<SupportedCipherSuite>) -> Vec<SupportedCipherSuite> {
        served.sort_by_key(|served| {
            let suite = served.suite();
            (is_chacha(suite) != (self == Self::ChaCha), !is_aes_128(suite))
        });
        served
    }
}

fn is_chacha(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

fn is_aes_128(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite::{
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS_RSA_WITH_AES_128_CBC_SHA, TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384,
        TLS13_CHACHA20_POLY1305_SHA256,
    };
    use rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES;

    use super::*;

    #[test]
    fn the_first_suite_that_is_served_tells_what_a_client_is_better_at() {
        let reserved = CipherSuite::Unknown(0x3a3a);
        for (offered, expected) in [
            (&[TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256][..], Better::Aes),
            (&[TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256], Better::Aes),
            (&[TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256], Better::ChaCha),
            (&[reserved, TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256], Better::ChaCha),
            (&[reserved, TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256], Better::Aes),
            (&[TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256], Better::ChaCha),
            (
                &[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256],
                Better::Aes,
            ),
            (&[reserved], Better::Aes),
            (&[], Better::Aes),
        ] {
            assert_eq!(Better::of(offered, DEFAULT_CIPHER_SUITES), expected, "{offered:?}");
        }
    }

    #[test]
    fn every_suite_has_its_place_in_both_orders() {
        for (better, expected) in [
            (Better::Aes, ["AES_128", "AES_256", "CHACHA20"]),
            (Better::ChaCha, ["CHACHA20", "AES_128", "AES_256"]),
        ] {
            let ordered = better.order(DEFAULT_CIPHER_SUITES.to_vec());

            assert_eq!(ordered.len(), DEFAULT_CIPHER_SUITES.len());
            for kind in ["TLS13_", "TLS_ECDHE_ECDSA_", "TLS_ECDHE_RSA_"] {
                let names = ordered.iter().map(|suite| format!("{:?}", suite.suite()));
                let names: Vec<_> = names.filter(|name| name.starts_with(kind)).collect();
                let are_in_order = names.iter().zip(expected).all(|(name, part)| name.contains(part));
                assert!(names.len() == 3 && are_in_order, "{better:?}: {names:?}");
            }
        }
    }
}
