//! Where a fault can be set. **Daxko documents none of this.**

use serde::Deserialize;

use crate::sandbox::faults;

/// The faults of one running simulation.
pub type Faults = faults::Faults<Endpoint>;

/// Where a fault can be set: at an endpoint of v3, and at what does the same in partners-v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `GET /online/auth`, the log-in form.
    Authorize,
    /// `POST /online/auth`, the form as it is sent.
    LogIn,
    /// `POST /v3/partners/oauth2/token`.
    ClientToken,
    /// `POST /v3/partners/oauth2/members/token`.
    MemberToken,
    /// `GET` and `PUT /v3/partners/oauth2/members/settings`.
    Settings,
    /// `GET /v3/members/me`.
    MembersMe,
    /// `GET /v3/members/{id}`.
    Member,
    /// `GET /v3/units/{id}`.
    Unit,
    /// `POST /v3/virtualbranch/checkin`.
    CheckIn,
}
