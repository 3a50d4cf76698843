//! The two generations of Daxko's API, and where they differ in a word or an address.
//!
//! v3 is the Operations API (<https://api.daxko.com/v3/docs/tutorials/member_authentication>), partners-v1 its successor
//! (<https://docs.partners.daxko.com/tutorials/operations_member_authentication>). What Daxko does not publish of the
//! latter, the code exchange and who signed in, is a default here and a key of the config.

use reqwest::Url;

use crate::secret::Secret;

/// One of the two, with what only that one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The Operations API.
    V3 {
        /// The partner's refresh token: the bearer of both token endpoints, never rotated.
        refresh_token: Secret,
    },
    /// The Partners API.
    PartnersV1,
}

/// What authorises a code exchange, beside the credentials in its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The partner's refresh token.
    RefreshToken(Secret),
    /// The client-scoped access token.
    AccessToken,
    /// Nothing.
    Nothing,
}

impl Generation {
    /// The scope of the authorization request, as Daxko's examples write it: in v3 the space as `+` and the colons
    /// bare, in partners-v1 the colon encoded.
    pub(super) fn authorization_scope(&self, client: &str) -> String {
        match self {
            Self::V3 { .. } => format!("client:{client}+member:basic_info"),
            Self::PartnersV1 => format!("clientIntegrationId%3A{client}"),
        }
    }

    /// The scope of the client's own token.
    pub(super) fn client_scope(&self, client: &str) -> String {
        match self {
            Self::V3 { .. } => format!("client:{client}"),
            Self::PartnersV1 => client.to_owned(),
        }
    }

    /// The first segment of every path below the API base.
    pub(super) const fn version(&self) -> &'static str {
        match self {
            Self::V3 { .. } => "v3",
            Self::PartnersV1 => "v1",
        }
    }

    /// Whether the settings of the API username stand in a wrapper.
    pub(super) const fn wraps_settings(&self) -> bool {
        matches!(self, Self::V3 { .. })
    }
}

/// Reads an API base as people paste it: with or without a slash, with or without the version at its end.
#[must_use]
pub fn api_base_url(mut url: Url, version: &str) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(version).filter(|rest| rest.ends_with('/')).unwrap_or(path);
    let path = path.trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// Joins with exactly one slash.
#[must_use]
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Where partners-v1 exchanges codes, unless the operator knows better: beside its log-in form.
#[must_use]
pub fn partners_token_url(authorize_url: &Url) -> Url {
    let mut url = authorize_url.clone();
    let path = url.path().trim_end_matches('/');
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = format!("{folder}/token");
    url.set_path(&path);
    url.set_query(None);
    url
}

/// Where partners-v1 hands out client-scoped tokens, unless the operator knows better: on the host of the API.
#[must_use]
pub fn partner_token_url(api_base_url: &Url) -> Url {
    let mut base = api_base_url.clone();
    let path = base.path().trim_end_matches('/');
    let path = path.strip_suffix("/api").unwrap_or(path).to_owned();
    base.set_path(&path);
    below(&base, "auth/token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_api_base_is_taken_however_it_is_pasted() {
        for (text, version, me) in [
            ("https://api.daxko.com", "v3", "https://api.daxko.com/v3/members/me"),
            ("https://api.daxko.com/", "v3", "https://api.daxko.com/v3/members/me"),
            ("https://api.daxko.com/v3", "v3", "https://api.daxko.com/v3/members/me"),
            ("https://api.daxko.com/v3/", "v3", "https://api.daxko.com/v3/members/me"),
            ("http://127.0.0.1:1/daxko/v3/", "v3", "http://127.0.0.1:1/daxko/v3/members/me"),
            (
                "https://api.partners.daxko.com/api/v1/",
                "v1",
                "https://api.partners.daxko.com/api/v1/members/me",
            ),
            ("https://example.org/mav3", "v3", "https://example.org/mav3/v3/members/me"),
        ] {
            let base = api_base_url(url(text), version);
            assert_eq!(below(&base, &format!("{version}/members/me")).as_str(), me, "{text}");
        }
    }

    #[test]
    fn the_token_endpoints_of_partners_v1_stand_beside_what_they_belong_to() {
        let form = url("https://operations.oauth2.partners.daxko.com/authorize?a=b");
        assert_eq!(partners_token_url(&form).as_str(), "https://operations.oauth2.partners.daxko.com/token");
        for (base, token) in [
            ("https://api.partners.daxko.com/api", "https://api.partners.daxko.com/auth/token"),
            ("https://demo-api.partners.daxko.com", "https://demo-api.partners.daxko.com/auth/token"),
            ("http://127.0.0.1:1/partners/api", "http://127.0.0.1:1/partners/auth/token"),
        ] {
            assert_eq!(partner_token_url(&url(base)).as_str(), token, "{base}");
        }
    }
}
