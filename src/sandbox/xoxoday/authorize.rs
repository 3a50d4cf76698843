//! The authorization request (RFC 6749 §4.1.1): who may ask, the log-in, and what the person says to it.
//!
//! Every page carries the request along and every form sends it back, and each time all of it is checked again, since a
//! form comes back with whatever the browser likes. Only then does a browser leave for the redirect URI. Where the pages
//! are, apart from `/v1/oauth/authorize`, is not documented; their paths are the sandbox's own.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use url::form_urlencoded;

use super::account::{Person, SAMPLES};
use super::pages;
use super::refusal::{Answer, Refusal};
use super::switches::Visitor;
use super::{Fault, RecordedRequest, Vendor, visitor};
use crate::sandbox::issued::random_hex;
use crate::sandbox::parameters::Parameters;
use crate::sandbox::server;

/// What a code stands for.
pub(super) struct Code {
    pub(super) client: usize,
    pub(super) redirect_uri: String,
    pub(super) scopes: Vec<String>,
    pub(super) person: Arc<Person>,
    pub(super) spent: bool,
}

/// The parameter that picks another sample account for the form, by its place: an address has no business in a URL.
pub(super) const PICK: &str = "sandbox_account";

/// The parameters of an authorization request; pages carry these along and nothing else.
const CARRIED: [&str; 5] = ["client_id", "response_type", "redirect_uri", "scope", "state"];

/// The longest redirect URI: a code remembers it, and there are many codes.
const MAX_REDIRECT_URI: usize = 2048;

/// An authorization request that may be granted.
pub(super) struct Trusted {
    pub(super) client: usize,
    redirect_uri: String,
    pub(super) scopes: Vec<String>,
}

impl Vendor {
    /// `GET /v1/oauth/authorize`: consent for whoever is logged in, the log-in for everybody else.
    pub(super) fn authorize(
        &self,
        request: &Request<Bytes>,
        fault: Option<&Fault>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.uri().query().unwrap_or("").as_bytes());
        entry.note(parameters.iter());
        let trusted = self.trust(&parameters)?;
        if let Some(Fault::ErrorRedirect(error)) = fault {
            return back(&trusted, &[("error", error)], &parameters);
        }
        if let Some(person) = self.visitor(request) {
            return Ok(
                pages::consent(&parameters, &self.clients[trusted.client].company, &person, &trusted).into()
            );
        }
        if self.switches().visitor == Visitor::DeniedFirst && !visitor::was_denied(request) {
            let mut answer = denied(&trusted, &parameters)?;
            visitor::remember_denied(&mut answer.response);
            answer.refused_by = Some("the visitor is not logged in (by the switch `visitor`)");
            return Ok(answer);
        }
        let picked = parameters.get(PICK).and_then(|place| SAMPLES.get(place.parse::<usize>().ok()?));
        let sample = picked.unwrap_or(&SAMPLES[0]);
        Ok(pages::log_in(&parameters, sample.email, sample.password, false).into())
    }

    /// `POST /login`.
    pub(super) fn log_in(
        &self,
        request: &Request<Bytes>,
        fault: Option<&Fault>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.body());
        entry.note(parameters.iter());
        let trusted = self.trust(&parameters)?;
        if let Some(Fault::ErrorRedirect(error)) = fault {
            return back(&trusted, &[("error", error)], &parameters);
        }
        let email = parameters.get("email").unwrap_or("").trim();
        let password = parameters.get("password").unwrap_or("");
        let person = self.memory().people.log_in(email, password);
        let Some(person) = person else {
            let rule = Some("address and password belong to no account");
            return Ok(Answer { response: pages::log_in(&parameters, email, "", true), refused_by: rule });
        };
        let mut answer = on_to_consent(&parameters)?;
        self.log_in_as(person, &mut answer.response);
        Ok(answer)
    }

    /// `POST /logout`, so that one can try again as somebody else. Xoxoday documents no log-out.
    pub(super) fn leave(
        &self,
        request: &Request<Bytes>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.body());
        entry.note(parameters.iter());
        self.trust(&parameters)?;
        let mut answer = on_to_consent(&parameters)?;
        self.log_out(request, &mut answer.response);
        Ok(answer)
    }

    /// `POST /consent`: Allow or Deny.
    pub(super) fn consent(
        &self,
        request: &Request<Bytes>,
        fault: Option<&Fault>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.body());
        entry.note(parameters.iter());
        let trusted = self.trust(&parameters)?;
        if let Some(Fault::ErrorRedirect(error)) = fault {
            return back(&trusted, &[("error", error)], &parameters);
        }
        // A log-in may have ended while the page was open; it begins again.
        let Some(person) = self.visitor(request) else { return on_to_consent(&parameters) };
        match parameters.get("decision") {
            Some("allow") => {
                let code = random_hex(16);
                let thing = Code {
                    client: trusted.client,
                    redirect_uri: trusted.redirect_uri.clone(),
                    scopes: trusted.scopes.clone(),
                    person,
                    spent: false,
                };
                self.memory().codes.issue_as(code.clone(), thing, self.clock.now());
                back(&trusted, &[("code", &code)], &parameters)
            }
            Some("deny") => denied(&trusted, &parameters),
            _ => Err(Refusal::page(
                "Neither Allow nor Deny was pressed.",
                "Send decision=allow or decision=deny.".to_owned(),
            )),
        }
    }

    /// Checks everything that has to hold before a browser is sent anywhere.
    pub(super) fn trust(&self, parameters: &Parameters) -> Result<Trusted, Refusal> {
        let refused = |rule, advice: &str| Err(Refusal::page(rule, advice.to_owned()));
        if parameters.repeat_a_name() {
            return refused(
                "A parameter is sent at most once (RFC 6749 §3.1).",
                "Send client_id, response_type, redirect_uri, scope and state once each.",
            );
        }
        let client_id = parameters.get("client_id").unwrap_or("");
        let Some(client) = self.clients.iter().position(|client| client.client_id == client_id) else {
            let advice = "Send the client_id that Xoxoday's support registered: 32 hexadecimal digits.";
            return refused("The client_id is none of Xoxoday's.", advice);
        };
        let registration = &self.clients[client];
        let redirect_uri = parameters.get("redirect_uri").unwrap_or("").to_owned();
        if redirect_uri.len() > MAX_REDIRECT_URI {
            return refused("The redirect_uri is too long.", "Send one of 2048 characters at the most.");
        }
        if !registration.trusts_domain_of(&redirect_uri) {
            return Err(Refusal::page(
                "The domain of the redirect_uri is not registered for this client_id.",
                format!(
                    "Sent: “{redirect_uri}”. Registered: {}. Xoxoday's support changes what is registered.",
                    quoted(&registration.redirect_uris)
                ),
            ));
        }
        if parameters.get("response_type") != Some("code") {
            return refused("The response_type is not “code”.", "Send response_type=code.");
        }
        let advice = format!(
            "Send registered scopes, separated by commas, without spaces: scope={}.",
            registration.scopes.join(",")
        );
        let Some(scope) = parameters.get("scope") else {
            return refused("The scope is missing.", &advice);
        };
        if scope.chars().any(char::is_whitespace) {
            return refused("The scopes are separated by commas, not by spaces.", &advice);
        }
        let scopes: Vec<_> = scope.split(',').map(str::to_owned).collect();
        if !scopes.iter().all(|scope| registration.scopes.contains(scope)) {
            return refused("A scope is not registered for this client_id.", &advice);
        }
        if scopes.len() > registration.scopes.len() {
            return refused("A scope is there twice.", &advice);
        }
        let has = |name: &str| scopes.iter().any(|scope| scope == name);
        if has("company_session") && !has("user_session") {
            let advice = "Send scope=user_session,company_session.";
            return refused("A request for a company grant contains user_session.", advice);
        }
        Ok(Trusted { client, redirect_uri, scopes })
    }
}

/// Once more to the authorization request, now that something about the visitor has changed.
pub(super) fn on_to_consent(parameters: &Parameters) -> Result<Answer, Refusal> {
    let location = format!("/chef/v1/oauth/authorize?{}", query_of(parameters, None));
    server::found(&location).map(Answer::from).ok_or_else(no_address)
}

/// The query of the same authorization request, with another sample account picked.
pub(super) fn query_of(parameters: &Parameters, picked: Option<usize>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(carried(parameters));
    if let Some(place) = picked {
        query.append_pair(PICK, &place.to_string());
    }
    query.finish()
}

/// What pages and forms carry along.
pub(super) fn carried(parameters: &Parameters) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().filter(|(name, _)| CARRIED.contains(name))
}

fn denied(trusted: &Trusted, parameters: &Parameters) -> Result<Answer, Refusal> {
    let error = [("error", "access_denied"), ("error_description", "The user denied the request")];
    back(trusted, &error, parameters)
}

/// Back to the site, with the `state` as it came. The documents write a space as `+`. The status is not documented; 302
/// is what such redirects usually have.
fn back(trusted: &Trusted, answer: &[(&str, &str)], parameters: &Parameters) -> Result<Answer, Refusal> {
    let separator = if trusted.redirect_uri.contains('?') { '&' } else { '?' };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    if let Some(state) = parameters.get("state") {
        query.append_pair("state", state);
    }
    let location = format!("{}{separator}{}", trusted.redirect_uri, query.finish());
    server::found(&location).map(Answer::from).ok_or_else(no_address)
}

fn no_address() -> Refusal {
    let advice = "Percent-encode everything but visible ASCII characters.".to_owned();
    Refusal::page("The redirect_uri is no URI.", advice)
}

fn quoted(uris: &[String]) -> String {
    if uris.is_empty() {
        return "none".to_owned();
    }
    uris.iter().map(|uri| format!("“{uri}”")).collect::<Vec<_>>().join(", ")
}
