//! What a method and a path mean: which generation is asked for what.

use http::{Method, Request};

use super::generation::Generation;
use super::refusal::Refusal;
use super::{Endpoint, parameters};

/// What is asked for.
pub(super) enum Place {
    Authorize,
    LogIn,
    ClientToken,
    MemberToken,
    ReadSettings,
    WriteSettings,
    MembersMe,
    Member(String),
    Unit(String),
    CheckIn,
}

impl Place {
    /// Reads a request line.
    pub(super) fn of<T>(request: &Request<T>) -> Result<(Generation, Self), Refusal> {
        let (generation, known) = match request.uri().path() {
            path if path.starts_with("/partners/") => (Generation::PartnersV1, partners_place(path)),
            path => (Generation::V3, v3_place(path)),
        };
        let (allowed, place) = known.ok_or(Refusal::not_found("there is nothing at this path"))?;
        let is = |method: &Method| request.method() == method;
        let place = if matches!(place, Self::Authorize) && is(&Method::POST) {
            Self::LogIn
        } else if matches!(place, Self::ReadSettings) && is(&Method::PUT) {
            Self::WriteSettings
        } else {
            place
        };
        if allowed.split(", ").any(|method| request.method() == method) {
            Ok((generation, place))
        } else {
            Err(Refusal::method_not_allowed(allowed))
        }
    }

    /// Where a fault for it would wait.
    pub(super) const fn endpoint(&self) -> Endpoint {
        match self {
            Self::Authorize => Endpoint::Authorize,
            Self::LogIn => Endpoint::LogIn,
            Self::ClientToken => Endpoint::ClientToken,
            Self::MemberToken => Endpoint::MemberToken,
            Self::ReadSettings | Self::WriteSettings => Endpoint::Settings,
            Self::MembersMe => Endpoint::MembersMe,
            Self::Member(_) => Endpoint::Member,
            Self::Unit(_) => Endpoint::Unit,
            Self::CheckIn => Endpoint::CheckIn,
        }
    }
}

/// The methods that a path knows, and what it means with the first of them.
type Known = (&'static str, Place);

fn v3_place(path: &str) -> Option<Known> {
    Some(match path {
        "/online/auth" => ("GET, POST", Place::Authorize),
        "/v3/partners/oauth2/token" => ("POST", Place::ClientToken),
        "/v3/partners/oauth2/members/token" => ("POST", Place::MemberToken),
        _ => return api_place(path.strip_prefix("/v3")?),
    })
}

fn partners_place(path: &str) -> Option<Known> {
    Some(match path {
        "/partners/authorize" => ("GET, POST", Place::Authorize),
        "/partners/token" => ("POST", Place::MemberToken),
        "/partners/auth/token" => ("POST", Place::ClientToken),
        _ => return api_place(path.strip_prefix("/partners/api/v1")?),
    })
}

/// What both generations know below their API base and version.
fn api_place(path: &str) -> Option<Known> {
    match path {
        "/partners/oauth2/members/settings" => return Some(("GET, PUT", Place::ReadSettings)),
        "/members/me" => return Some(("GET", Place::MembersMe)),
        "/virtualbranch/checkin" => return Some(("POST", Place::CheckIn)),
        _ => {}
    }
    let member = path.strip_prefix("/members/").and_then(parameters::segment).map(Place::Member);
    let unit = || path.strip_prefix("/units/").and_then(parameters::segment).map(Place::Unit);
    member.or_else(unit).map(|place| ("GET", place))
}
