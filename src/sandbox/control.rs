//! The endpoints under `/sandbox/` by which a simulation is told how to behave. **No vendor has any like them.**

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::journal;
use super::server::{self, Body};

/// Answers a request to a control endpoint: `POST` of JSON sets something, `DELETE` puts everything back.
pub(super) fn answer<T: DeserializeOwned>(
    request: &Request<Bytes>,
    set: impl FnOnce(T),
    put_back: impl FnOnce(),
) -> Response<Body> {
    let done = || server::answer(StatusCode::NO_CONTENT, "application/json", "");
    if request.method() == Method::DELETE {
        put_back();
        return done();
    }
    // A page of another origin cannot send this media type unasked (Fetch, CORS-safelisted request headers).
    if request.method() != Method::POST || journal::media_type(request) != "application/json" {
        let message = "POST what should happen as application/json, or DELETE to have everything work as usual. \
                       The vendor has no such endpoint.";
        return server::json(StatusCode::BAD_REQUEST, &json!({ "sandbox": message }));
    }
    match serde_json::from_slice(request.body()) {
        Ok(order) => {
            set(order);
            done()
        }
        Err(error) => server::json(StatusCode::BAD_REQUEST, &json!({ "sandbox": error.to_string() })),
    }
}
