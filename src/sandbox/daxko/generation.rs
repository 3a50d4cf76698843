//! The two generations of Daxko's member authentication, and where they differ in a word or a path.
//!
//! Both are served at one address, for the same members and API usernames. What one of them handed out or saved means
//! nothing to the other: neither codes, nor tokens, nor settings. Daxko has a host for each; here a prefix takes its
//! place.

use super::Faults;
use super::parameters::client_of_scope;

/// One of Daxko's ways to sign a member in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Operations API v3: `/online/auth` and `/v3/…`.
    V3,
    /// Partners API v1: `/partners/authorize`, `/partners/token`, `/partners/auth/token` and `/partners/api/v1/…`.
    PartnersV1,
}

/// A product and the number of a client: Operations has this prefix, Club Automation has another.
const INTEGRATION: &str = "OPS_";

impl Generation {
    /// Where the log-in form is.
    pub(super) const fn form_path(self) -> &'static str {
        match self {
            Self::V3 => "/online/auth",
            Self::PartnersV1 => "/partners/authorize",
        }
    }

    /// How the settings are saved, as an advice says it.
    pub(super) const fn settings_request(self) -> &'static str {
        match self {
            Self::V3 => "PUT /v3/partners/oauth2/members/settings",
            Self::PartnersV1 => "PUT /partners/api/v1/partners/oauth2/members/settings",
        }
    }

    /// How the scope of an authorization request is written, as an advice says it.
    pub(super) const fn scope_advice(self) -> &'static str {
        match self {
            Self::V3 => {
                "Send scope=client:NUMBER+member:basic_info; a space is written + or %20, never %2B. \
                 clientIntegrationId belongs to partners-v1."
            }
            Self::PartnersV1 => {
                "Send scope=clientIntegrationId:OPS_NUMBER and nothing beside it; client: belongs to v3."
            }
        }
    }

    /// The one client that the scope of an authorization request names.
    pub(super) fn client_of_authorization(self, scope: &str) -> Option<u64> {
        match self {
            Self::V3 => client_of_scope(scope),
            Self::PartnersV1 => scope.strip_prefix("clientIntegrationId:").and_then(client_of_integration),
        }
    }

    /// Whether the scope of an authorization request asks for the member's name and ids, where it has to.
    pub(super) fn asks_for_basic_info(self, scope: &str) -> bool {
        match self {
            Self::V3 => scope.split(' ').any(|pair| pair == "member:basic_info"),
            Self::PartnersV1 => true,
        }
    }

    /// `expires_in` of a token: text in the tutorials of v3, which [`Faults::numeric_expires_in`] can change,
    /// and a number in partners-v1.
    pub(super) fn expires_in(self, seconds: u64, faults: &Faults) -> serde_json::Value {
        match self {
            Self::V3 => faults.expires_in(seconds),
            Self::PartnersV1 => seconds.into(),
        }
    }

    /// `token_type` of a token, in the letters its documents show.
    pub(super) const fn token_type(self) -> &'static str {
        match self {
            Self::V3 => "bearer",
            Self::PartnersV1 => "Bearer",
        }
    }
}

/// The number in `OPS_4711`.
pub(super) fn client_of_integration(id: &str) -> Option<u64> {
    let number = id.strip_prefix(INTEGRATION)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integration_is_the_product_and_a_number() {
        assert_eq!(client_of_integration("OPS_4711"), Some(4711));
        for id in
            ["", "4711", "OPS_", "OPS_+4711", "ops_4711", "CA_4711", "OPS_4711 ", "OPS_99999999999999999999"]
        {
            assert_eq!(client_of_integration(id), None, "{id:?}");
        }
    }

    #[test]
    fn a_scope_of_one_generation_names_nobody_to_the_other() {
        let v3 = "client:4711 member:basic_info";
        let partners = "clientIntegrationId:OPS_4711";
        assert_eq!(Generation::V3.client_of_authorization(v3), Some(4711));
        assert_eq!(Generation::PartnersV1.client_of_authorization(partners), Some(4711));
        assert_eq!(Generation::V3.client_of_authorization(partners), None);
        assert_eq!(Generation::PartnersV1.client_of_authorization(v3), None);
        assert_eq!(
            Generation::PartnersV1.client_of_authorization(&format!("{partners} member:basic_info")),
            None
        );
    }
}
