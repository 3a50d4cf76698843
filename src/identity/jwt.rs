//! The assertion as a JWT (RFC 7519), for apps whose framework knows nothing else.
//!
//! It is signed by the first key of the site that is a pair, whose public half is in the JWK Set: whoever verifies with an
//! hmac key could as well sign. What is signed here never reads as a signature base of RFC 9421 and the other way round,
//! for one begins with base64url and the other with a double quote; so one key may make both.
//!
//! A JWT is a bearer: it names no request, and whoever sees it can show it until it expires. That is why it lives for a
//! minute at the most, and never beyond the session.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;

use super::keys::SigningKey;
use crate::member::Member;
use crate::time::UnixTime;

/// How long a JWT holds where the session does not end before.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// What an id does not hold bare within `sub`: a value with a colon would have to be a URI (RFC 7519 §2).
const NOT_IN_SUBJECT: &AsciiSet = &CONTROLS.add(b':').add(b'%');

/// How a site's JWTs are made.
#[derive(Debug)]
pub struct Jwt {
    field: HeaderName,
    /// The origin of the site, which is issuer and audience: the app behind it is meant, and none behind another site.
    site: String,
}

impl Jwt {
    /// JWTs in this field, for the app behind the site of this origin.
    #[must_use]
    pub fn new(field: HeaderName, site: &str) -> Self {
        Self { field, site: site.to_owned() }
    }

    /// The field that holds it.
    #[must_use]
    pub const fn field(&self) -> &HeaderName {
        &self.field
    }

    /// A JWT about a member, from `now` until `until`; nothing where the key is an hmac key.
    ///
    /// # Panics
    /// Never: all that is written is ASCII.
    pub(super) fn about(
        &self,
        member: &Member,
        key: &SigningKey,
        now: UnixTime,
        until: UnixTime,
        id: [u8; 16],
    ) -> Option<HeaderValue> {
        let header = json!({ "alg": key.jws_algorithm()?, "kid": key.id(), "typ": "JWT" });
        let claims = json!({
            "iss": self.site,
            "aud": self.site,
            "sub": subject(member),
            "iat": now.0,
            "exp": until.0,
            "jti": URL_SAFE_NO_PAD.encode(id),
            "member_id": member.id.as_str(),
            "member_unit_id": member.unit_id.as_str(),
            "provider": member.provider.as_str(),
        });
        let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let mut text = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = key.sign_jws(text.as_bytes())?;
        text.push('.');
        text.push_str(&signature);
        let mut value = HeaderValue::try_from(text).expect("ASCII throughout");
        // It opens doors for a minute, so it is kept out of the tables of HPACK (RFC 7541 §7.1.3).
        value.set_sensitive(true);
        Some(value)
    }
}

/// Who it is about, in one text: ids are unique only together with their provider, whose name holds no slash.
fn subject(member: &Member) -> String {
    format!("{}/{}", member.provider, utf8_percent_encode(member.id.as_str(), NOT_IN_SUBJECT))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::identity::keys::Algorithm;
    use crate::member::{MemberId, MemberUnitId, Profile, ProviderName};
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime(1_795_300_000);

    fn key(algorithm: Algorithm) -> SigningKey {
        SigningKey::new("2026-11", algorithm, &Secret::new(*b"0123456789abcdef0123456789abcdef")).unwrap()
    }

    fn member(id: &'static str) -> Member {
        Member {
            provider: ProviderName::new("ymca").unwrap(),
            id: MemberId::new(id).unwrap(),
            unit_id: MemberUnitId::new("400007995").unwrap(),
            profile: Profile { last_name: Some("Haddad".to_owned()), ..Profile::default() },
        }
    }

    fn written(id: &'static str, key: &SigningKey) -> Option<HeaderValue> {
        let jwt = Jwt::new(HeaderName::from_static("x-member-assertion"), "https://members.example.org");
        jwt.about(&member(id), key, NOW, NOW.plus(LIFETIME), *b"sixteen bytes ha")
    }

    fn part(jwt: &HeaderValue, index: usize) -> Value {
        let text = jwt.to_str().unwrap().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn a_jwt_says_who_it_is_for_and_until_when_and_holds_no_names_of_people() {
        let jwt = written("400007995-00", &key(Algorithm::Ed25519)).unwrap();
        assert_eq!(part(&jwt, 0), json!({ "alg": "EdDSA", "kid": "2026-11", "typ": "JWT" }));
        assert_eq!(
            part(&jwt, 1),
            json!({
                "iss": "https://members.example.org", "aud": "https://members.example.org",
                "sub": "ymca/400007995-00", "iat": 1_795_300_000, "exp": 1_795_300_060,
                "jti": "c2l4dGVlbiBieXRlcyBoYQ",
                "member_id": "400007995-00", "member_unit_id": "400007995", "provider": "ymca",
            })
        );
    }

    #[test]
    fn the_signature_is_over_the_two_parts_before_it() {
        let key = key(Algorithm::Ed25519);
        let jwt = written("1", &key).unwrap();
        let (input, signature) = jwt.to_str().unwrap().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.verifies(input.as_bytes(), &signature));
        assert!(!key.verifies(&input.as_bytes()[1..], &signature));
    }

    #[test]
    fn an_hmac_key_makes_none() {
        assert_eq!(written("1", &key(Algorithm::HmacSha256)), None);
    }

    #[test]
    fn a_jwt_does_not_print_itself() {
        let jwt = written("1", &key(Algorithm::Ed25519)).unwrap();
        assert_eq!(format!("{jwt:?}"), "Sensitive");
    }

    #[test]
    fn a_subject_is_never_taken_for_a_uri_and_two_members_have_two() {
        for (id, subject) in [
            ("a:b", "ymca/a%3Ab"),
            ("a%3Ab", "ymca/a%253Ab"),
            ("a/b", "ymca/a/b"),
            ("1@x.org", "ymca/1@x.org"),
        ] {
            let jwt = written(id, &key(Algorithm::Ed25519)).unwrap();
            assert_eq!((&part(&jwt, 1)["sub"], &part(&jwt, 1)["member_id"]), (&json!(subject), &json!(id)));
        }
    }
}
