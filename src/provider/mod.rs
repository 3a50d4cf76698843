//! Providers: the vendors' halves of the authorization code grant (RFC 6749 §4.1).
//!
//! A provider says where the browser has to go to ask for a code, and turns a code into a member. It never sees a
//! cookie, a session or a site; the flow itself is [`crate::login`].

pub mod calls;
pub mod claims;
pub(crate) mod complaint;
pub mod daxko;
pub mod directory;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod inspection;
pub mod membership;
pub mod quota;
pub mod restraint;
pub mod running;
pub mod token_endpoint;
pub mod xoxoday;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use self::inspection::{Finding, Registration};
use self::membership::Memberships;
use self::restraint::Restraint;
use crate::member::{Member, ProviderName};
use crate::secret::Secret;

/// Everything but what RFC 3986 §2.3 leaves alone.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A boxed future, for a trait that is used as an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One vendor's half of the authorization code grant.
pub trait Provider: Send + Sync {
    /// Where the browser goes to ask for an authorization code.
    fn authorization_request(&self, redirect_uri: &RedirectUri, state: &State) -> String;

    /// Spends an authorization code and says which member it stood for. The code is tried once and never again:
    /// whether a lost answer means a spent code, nobody can tell.
    fn redeem<'a>(
        &'a self,
        code: &'a AuthorizationCode,
        redirect_uri: &'a RedirectUri,
    ) -> BoxFuture<'a, Result<Member, ProviderError>>;

    /// What the vendor can tell about the way this gateway is set up with it, for `check --online`.
    fn inspect<'a>(&'a self, _registration: &'a Registration) -> BoxFuture<'a, Vec<Finding>> {
        let what = "credentials: this vendor cannot be asked without a member";
        Box::pin(async move { vec![Finding::unknown(what, "sign in once")] })
    }
}

/// The address of an authorization request: `query` at the vendor's endpoint, and the operator's further parameters.
fn authorization_request(endpoint: &Url, mut query: String, further: &[(String, String)]) -> String {
    for (name, value) in further {
        let encoded = |text| utf8_percent_encode(text, QUERY_VALUE);
        query.push_str(&format!("&{}={}", encoded(name), encoded(value)));
    }
    let mut url = endpoint.clone();
    url.set_query(Some(&query));
    url.into()
}

/// A provider under the name and the title its operator gave it.
#[derive(Clone)]
pub struct Registered {
    /// Part of the callback path.
    pub name: ProviderName,
    /// What members read on the chooser page.
    pub title: String,
    /// The vendor behind it.
    pub provider: Arc<dyn Provider>,
    /// How hard it is pressed.
    pub restraint: Arc<Restraint>,
    /// Whether memberships are active, where the operator wants to know.
    pub memberships: Option<Arc<Memberships>>,
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registered({})", self.name)
    }
}

/// The address to which the vendor sends the browser back, the same string in both requests (RFC 6749 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(pub String);

/// The value that ties a vendor's answer to this browser and this attempt (RFC 6749 §10.12).
#[derive(Clone, PartialEq, Eq)]
pub struct State(pub String);

/// An authorization code, on its way from the browser to the token endpoint.
#[derive(Debug)]
pub struct AuthorizationCode(pub Secret);

/// Why a code did not become a member.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The code is used up, too old or not ours. Signing in again helps.
    #[error("the vendor does not take the authorization code (invalid_grant)")]
    CodeRefused,
    /// The vendor does not take *our* credentials, or something else the operator has configured.
    #[error("the vendor refuses this gateway at the {endpoint}: status {status}{}", described(.error))]
    ClientRefused {
        /// Where.
        endpoint: &'static str,
        /// The status of the answer.
        status: u16,
        /// The error code of RFC 6749 §5.2, where there is one.
        error: Option<String>,
    },
    /// The vendor is there and cannot serve us now.
    #[error("the vendor cannot serve the {endpoint} now: status {status}{}", asks_to_wait(.retry_after))]
    Busy {
        /// Where.
        endpoint: &'static str,
        /// The status of the answer.
        status: u16,
        /// How many seconds it asks us to wait.
        retry_after: Option<u64>,
    },
    /// No answer, or none in time.
    #[error("no answer from the {endpoint}")]
    Unreachable {
        /// Where.
        endpoint: &'static str,
        /// What went wrong; without the address, which may hold a secret.
        source: Arc<reqwest::Error>,
    },
    /// An answer that is not what the vendor documents.
    #[error("the answer of the {endpoint} makes no sense: {what}")]
    Unintelligible {
        /// Where.
        endpoint: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An answer without a usable identity.
    #[error("the vendor's answer holds no usable identity: {pointer} {why}")]
    NoIdentity {
        /// Where the id should have been (RFC 6901).
        pointer: String,
        /// What is there instead.
        why: claims::NoId,
    },
    /// The operator's directory does not know whoever signed in.
    #[error("the directory has no row for the address of whoever signed in")]
    NotInDirectory,
    /// The operator's directory knows them twice, and not as the same.
    #[error("the directory has several rows for the address of whoever signed in")]
    AmbiguousInDirectory,
    /// The vendor knows the member, and the membership is not active.
    #[error("the membership is not active")]
    Lapsed,
}

fn asks_to_wait(seconds: &Option<u64>) -> String {
    seconds.map(|seconds| format!(", it asks to wait for {seconds} s")).unwrap_or_default()
}

fn described(error: &Option<String>) -> String {
    error.as_ref().map(|code| format!(", error {code}")).unwrap_or_default()
}
