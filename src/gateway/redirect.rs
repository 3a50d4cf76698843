//! What a listener answers that only redirects: the same address with https, on a site of ours.
//!
//! Never to a host that is no site: a browser must not be sent about by whoever writes its `Host`. Browsers do not keep
//! the redirect, for an operator may want to take it back; for those who do not there is `Strict-Transport-Security`.

use crate::message::{Request, Response};
use crate::server::Incoming;

use super::body::{Body, Own};
use super::refusal::Refusal;
use super::{Gateway, head, host_of, no_site};
use crate::server::peer::Client;

/// Where to come again.
pub(super) fn answer(
    gateway: &Gateway,
    request: &Request<Incoming>,
    client: &Client,
) -> Result<Response<Body>, Refusal> {
    let index = head::asked_for(request, client)
        .and_then(|authority| gateway.authorities.find_secure(authority))
        .map_err(|error| no_site(host_of(request), error))?;
    head::check(request, gateway.head_limits)?;
    let origin = gateway.sites[index].origin.as_str();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    Ok(Own::permanent_redirect(&format!("{origin}{target}")))
}
