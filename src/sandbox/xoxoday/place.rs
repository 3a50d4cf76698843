//! What a method and a path mean.

use http::{Method, Request};

use super::faults::Endpoint;
use super::pairs::Grant;
use super::refusal::Refusal;
use crate::sandbox::parameters::segment;

/// The path of the store, without the token.
const STORE: &str = "/chef/v1/oauth/redirect/stores/";

/// An endpoint, and what its path says beside its name.
pub(super) enum Place {
    Authorize,
    LogIn,
    LogOut,
    SignUpPage,
    SignUp,
    Verify,
    Consent,
    Token(Grant),
    Validate,
    CreateUser,
    Sso,
    Store(String),
    UserDetails,
}

impl Place {
    /// Where a request goes.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Refusal> {
        let (allowed, place) = match request.uri().path() {
            "/chef/v1/oauth/authorize" => ("GET", Self::Authorize),
            "/chef/login" => ("POST", Self::LogIn),
            "/chef/logout" => ("POST", Self::LogOut),
            "/chef/signup" if request.method() == Method::POST => ("POST", Self::SignUp),
            "/chef/signup" => ("GET, POST", Self::SignUpPage),
            "/chef/signup/verify" => ("POST", Self::Verify),
            "/chef/consent" => ("POST", Self::Consent),
            "/chef/v1/oauth/token" => ("GET", Self::Validate),
            "/chef/v1/oauth/token/company" => ("POST", Self::Token(Grant::Company)),
            "/chef/v1/oauth/token/user" => ("POST", Self::Token(Grant::User)),
            "/chef/v1/oauth/token/create/user" => ("POST", Self::CreateUser),
            "/chef/v1/oauth/sso/stores/company" => ("POST", Self::Sso),
            "/chef/v1/oauth/api" => ("POST", Self::UserDetails),
            path if path.starts_with("/chef/v1/oauth/token/") => {
                return Err(Refusal::not_found("the last segment of the token endpoint is company or user"));
            }
            path => match path.strip_prefix(STORE).and_then(segment) {
                Some(token) => ("GET", Self::Store(token)),
                None => return Err(Refusal::not_found("there is nothing at this path")),
            },
        };
        let wanted = if allowed.starts_with("POST") { Method::POST } else { Method::GET };
        if *request.method() == wanted { Ok(place) } else { Err(Refusal::method_not_allowed(allowed)) }
    }

    /// The path as it may be written down: the one of the store holds a token.
    pub(super) fn shown(path: &str) -> String {
        if path.starts_with(STORE) { format!("{STORE}[masked]") } else { path.to_owned() }
    }

    /// Where a fault is set for it; none for the log-out, which no vendor has.
    pub(super) const fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Authorize => Some(Endpoint::Authorize),
            Self::LogIn => Some(Endpoint::LogIn),
            Self::LogOut => None,
            Self::SignUpPage | Self::SignUp | Self::Verify => Some(Endpoint::SignUp),
            Self::Consent => Some(Endpoint::Consent),
            Self::Token(Grant::Company) => Some(Endpoint::CompanyToken),
            Self::Token(Grant::User) => Some(Endpoint::UserToken),
            Self::Validate => Some(Endpoint::Validate),
            Self::CreateUser => Some(Endpoint::CreateUser),
            Self::Sso => Some(Endpoint::Sso),
            Self::Store(_) => Some(Endpoint::Store),
            Self::UserDetails => Some(Endpoint::UserDetails),
        }
    }
}
