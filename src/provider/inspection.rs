//! Inspections: what a vendor can tell about the way this gateway is set up with it.
//!
//! Every finding says what holds or what does not, and what to do next. None holds a secret.

use std::error::Error;
use std::time::Duration;

use reqwest::RequestBuilder;

use super::{AuthorizationCode, ProviderError, RedirectUri, token_endpoint};
use crate::secret::Secret;
use crate::time::{Clock, UnixTime};

/// A clock that differs by more than this is wrong: codes and signatures live for minutes.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// What the config says of a provider beyond its own table.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// The redirect URIs of all sites that use it.
    pub redirect_uris: Vec<RedirectUri>,
    /// The same of other providers that share the vendor's settings with it.
    pub shared: Vec<RedirectUri>,
    /// The hosts of all sites.
    pub hosts: Vec<String>,
}

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// Members will not get in, or not for long.
    Wrong,
    /// Worth knowing, and no mistake by itself.
    Noted,
    /// It cannot be told.
    Unknown,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it is to be taken.
    pub verdict: Verdict,
    /// What it is.
    pub what: String,
    /// What to do next, where something is to be done.
    pub next: Option<String>,
}

impl Finding {
    /// It is as it should be.
    #[must_use]
    pub fn good(what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, what: what.into(), next: None }
    }

    /// It is not.
    #[must_use]
    pub fn wrong(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, what: what.into(), next: Some(next.into()) }
    }

    /// Worth knowing.
    #[must_use]
    pub fn noted(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Noted, what: what.into(), next: Some(next.into()) }
    }

    /// It cannot be told.
    #[must_use]
    pub fn unknown(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, what: what.into(), next: Some(next.into()) }
    }

    /// What an error says about the credentials with which it was met.
    #[must_use]
    pub fn of_credentials(error: &ProviderError) -> Self {
        let what = format!("credentials: {}", described(error));
        // A vendor that is busy may take them in a minute.
        if matches!(error, ProviderError::Busy { .. }) {
            return Self::unknown(what, advice(error));
        }
        Self::wrong(what, advice(error))
    }

    /// What the exchange of a code that was made up says about the credentials: a vendor that gets as far as the code
    /// has taken them.
    #[must_use]
    pub fn of_made_up_code(error: &ProviderError) -> Self {
        if matches!(error, ProviderError::CodeRefused) {
            return Self::good("credentials: taken; a made-up code was refused");
        }
        let what = format!("credentials: {}", described(error));
        // Nobody is there, nothing is there, or the client is not known: members would meet the same.
        let is_wrong = match error {
            ProviderError::Unreachable { .. } => true,
            ProviderError::ClientRefused { status, error, .. } => {
                *status == 404 || matches!(error.as_deref(), Some("invalid_client" | "unauthorized_client"))
            }
            ProviderError::Busy { .. }
            | ProviderError::Unintelligible { .. }
            | ProviderError::CodeRefused
            | ProviderError::NoIdentity { .. }
            | ProviderError::NotInDirectory
            | ProviderError::AmbiguousInDirectory
            | ProviderError::Lapsed => false,
        };
        if is_wrong { Self::wrong(what, advice(error)) } else { Self::unknown(what, advice(error)) }
    }

    /// What the vendor's clock says about ours.
    #[must_use]
    pub fn of_clocks(ours: UnixTime, theirs: Option<UnixTime>) -> Self {
        let Some(theirs) = theirs else {
            return Self::unknown(
                "clock: the vendor's answer has no Date",
                "compare the clock with another one",
            );
        };
        let (apart, direction) =
            if ours > theirs { (ours.since(theirs), "ahead of") } else { (theirs.since(ours), "behind") };
        let seconds = apart.as_secs();
        if apart > CLOCK_TOLERANCE {
            let what = format!("clock: this machine is {seconds} s {direction} the vendor");
            return Self::wrong(what, "set the clock of this machine by NTP");
        }
        Self::good("clock: within 30 s of the vendor's")
    }
}

/// What a vendor says that has nobody to ask but its token endpoint. A code that was never issued spends nothing, and how
/// it is refused tells whether the credentials were taken. `address` is the key that says where the endpoint is.
pub(super) async fn by_made_up_code(
    vendor: &'static str,
    address: &'static str,
    registration: &Registration,
    clock: &Clock,
    request: impl Fn(&AuthorizationCode, &RedirectUri) -> RequestBuilder,
) -> Vec<Finding> {
    let Some(redirect_uri) = registration.redirect_uris.first() else {
        let what = "credentials: no site uses this provider, so there is nothing to ask with";
        return vec![Finding::unknown(what, "name it in `providers` of a [[site]]")];
    };
    let code = AuthorizationCode(Secret::new("made-up-by-member-gateway-check"));
    let endpoint = "token endpoint";
    let answer = match token_endpoint::ask(request(&code, redirect_uri), endpoint).await {
        Ok(answer) => answer,
        Err(error) => return vec![Finding::of_made_up_code(&error)],
    };
    let credentials = match token_endpoint::token_response(&answer, endpoint) {
        Err(error) => Finding::of_made_up_code(&error),
        Ok(_) => Finding::unknown(
            "credentials: the token endpoint takes any code",
            format!("compare {address} with what the vendor gave out"),
        ),
    };
    let registered = registration.redirect_uris.iter().map(|RedirectUri(uri)| {
        let what = format!("redirect URI: whether {uri} is registered, {vendor} does not tell");
        Finding::unknown(what, "compare it with what is registered there, and sign in once")
    });
    let clock = Finding::of_clocks(clock.now(), answer.date);
    [credentials].into_iter().chain(registered).chain([clock]).collect()
}

/// An error with its sources.
#[must_use]
pub fn described(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// What an operator can do about an error that they met themselves.
#[must_use]
pub fn advice(error: &ProviderError) -> &'static str {
    match error {
        // Whatever code comes with it.
        ProviderError::ClientRefused { status: 404, .. } => {
            "compare the addresses of this [[provider]] with what the vendor gave out: there is nothing at this one"
        }
        ProviderError::ClientRefused { error: Some(code), .. } => match code.as_str() {
            "invalid_client" => "compare client_id and client_secret with what the vendor gave out",
            "invalid_scope" => {
                "compare `client` with the number of the association; it has to be granted to client_id"
            }
            "unauthorized_client" => {
                "compare client_id and client_secret with what the vendor gave out; if they are right, ask what this client may do"
            }
            "invalid_grant" => {
                "compare client_id, client_secret and refresh_token with what the vendor gave out"
            }
            _ => "compare the keys of this [[provider]] with what the vendor gave out",
        },
        ProviderError::ClientRefused { status: 401, .. } => {
            "compare refresh_token, client_id and client_secret with what the vendor gave out: they belong together"
        }
        ProviderError::ClientRefused { .. } => {
            "compare the keys of this [[provider]] with what the vendor gave out"
        }
        ProviderError::Busy { status: 429, .. } => "wait a minute and try again",
        ProviderError::Busy { .. } => "try again later; the vendor has a problem of its own",
        ProviderError::Unreachable { .. } => {
            "see whether this machine gets to the vendor's address, and through which proxy"
        }
        ProviderError::Unintelligible { .. } => {
            "compare the addresses of this [[provider]] with what the vendor gave out, and token_encoding"
        }
        ProviderError::CodeRefused
        | ProviderError::NoIdentity { .. }
        | ProviderError::NotInDirectory
        | ProviderError::AmbiguousInDirectory
        | ProviderError::Lapsed => "sign in once more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_minute_between_two_clocks_is_tolerated_in_either_direction() {
        let ours = UnixTime(1_000_000);
        for (theirs, verdict) in [
            (999_969, Verdict::Wrong),
            (999_970, Verdict::Good),
            (1_000_030, Verdict::Good),
            (1_000_031, Verdict::Wrong),
        ] {
            assert_eq!(Finding::of_clocks(ours, Some(UnixTime(theirs))).verdict, verdict, "{theirs}");
        }
        assert_eq!(Finding::of_clocks(ours, None).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_made_up_code_tells_good_credentials_from_bad_ones() {
        let refused = |code: &str| ProviderError::ClientRefused {
            endpoint: "token endpoint",
            status: 400,
            error: Some(code.to_owned()),
        };
        for (error, verdict) in [
            (ProviderError::CodeRefused, Verdict::Good),
            (refused("invalid_client"), Verdict::Wrong),
            (refused("unauthorized_client"), Verdict::Wrong),
            (refused("invalid_request"), Verdict::Unknown),
            (
                ProviderError::ClientRefused {
                    endpoint: "token endpoint",
                    status: 404,
                    error: Some("PLE10030".to_owned()),
                },
                Verdict::Wrong,
            ),
            (
                ProviderError::ClientRefused { endpoint: "token endpoint", status: 400, error: None },
                Verdict::Unknown,
            ),
            (
                ProviderError::Busy { endpoint: "token endpoint", status: 503, retry_after: None },
                Verdict::Unknown,
            ),
        ] {
            assert_eq!(Finding::of_made_up_code(&error).verdict, verdict, "{error}");
        }
    }
}
