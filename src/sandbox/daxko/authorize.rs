//! The authorization request (RFC 6749 §4.1.1) and the form that answers it.
//!
//! Client, redirect URI, response type and scope are checked when the form is asked for and again when it is sent,
//! since a form comes back with whatever the browser likes. Only then does a browser leave for the redirect URI.

use bytes::Bytes;
use http::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::RecordedRequest;
use super::form::{self, Form};
use super::generation::Generation;
use super::members::{self, SampleMember};
use super::parameters::Parameters;
use super::refusal::{Answer, Refusal};
use super::settings::Links;
use super::{Fault, Vendor};
use crate::sandbox::server;

/// What a code stands for.
pub(super) struct Code {
    pub(super) account: usize,
    pub(super) redirect_uri: String,
    pub(super) member: &'static SampleMember,
    pub(super) spent: bool,
}

/// The parameter that picks another sample member for the form; Daxko has none like it.
pub(super) const PICK: &str = "sandbox_member";
/// What a redirect's query is written with: everything but the unreserved characters (RFC 3986 §2.3) is encoded.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An authorization request that may be granted.
struct Trusted {
    account: usize,
    client: u64,
    redirect_uri: String,
    links: Links,
}

impl Vendor {
    /// `GET`.
    pub(super) fn authorize(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
        fault: Option<&Fault>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.uri().query().unwrap_or("").as_bytes());
        entry.note(parameters.iter());
        let trusted = self.trust(generation, &parameters)?;
        if let Some(Fault::ErrorRedirect(error)) = fault {
            return redirect(&trusted.redirect_uri, "error", error, &parameters);
        }
        let picked = parameters.get(PICK);
        let mut members = members::of_client(trusted.client);
        let member =
            picked.and_then(|id| members::of_client(trusted.client).find(|other| other.member_id == id));
        let member = member.or_else(|| members.next());
        Ok(form::log_in(&Form {
            generation,
            parameters: &parameters,
            client: trusted.client,
            links: &trusted.links,
            username: member.map_or("", |member| member.username),
            password: member.map_or("", |member| member.password),
            refused: false,
        })
        .into())
    }

    /// `POST`.
    pub(super) fn log_in(
        &self,
        generation: Generation,
        request: &Request<Bytes>,
        fault: Option<&Fault>,
        entry: &mut RecordedRequest,
    ) -> Result<Answer, Refusal> {
        let parameters = Parameters::urlencoded(request.body());
        entry.note(parameters.iter());
        let trusted = self.trust(generation, &parameters)?;
        if let Some(Fault::ErrorRedirect(error)) = fault {
            return redirect(&trusted.redirect_uri, "error", error, &parameters);
        }
        let username = parameters.get("username").unwrap_or("").trim();
        let password = parameters.get("password").unwrap_or("");
        let member = members::of_client(trusted.client)
            .find(|member| member.username.eq_ignore_ascii_case(username) && member.password == password);
        let Some(member) = member else {
            let again = Form {
                generation,
                parameters: &parameters,
                client: trusted.client,
                links: &trusted.links,
                username,
                password: "",
                refused: true,
            };
            let rule = Some("user name and password belong to no member of this client");
            return Ok(Answer { response: form::log_in(&again), refused_by: rule });
        };
        let code = Code {
            account: trusted.account,
            redirect_uri: trusted.redirect_uri.clone(),
            member,
            spent: false,
        };
        let code = self.memory().of(generation).codes.issue("", code, self.clock.now());
        redirect(&trusted.redirect_uri, "code", &code, &parameters)
    }

    /// Checks everything that has to hold before a browser is sent anywhere.
    fn trust(&self, generation: Generation, parameters: &Parameters) -> Result<Trusted, Refusal> {
        let refused = |rule, advice: &str| Err(Refusal::page(rule, advice.to_owned()));
        if parameters.repeat_a_name() {
            return refused(
                "A parameter is sent at most once (RFC 6749 §3.1).",
                "Send response_type, client_id, redirect_uri, scope and state once each.",
            );
        }
        let client_id = parameters.get("client_id").unwrap_or("");
        let Some(account) = self.accounts.iter().position(|account| account.username == client_id) else {
            let advice = "Send the API username as client_id, not the client number.";
            return refused("The client_id is no API username of Daxko's.", advice);
        };
        let Some(saved) = self.memory().of(generation).saved[account].clone() else {
            let save = generation.settings_request();
            let advice = format!("{save} once, with the redirect URIs of all your sites.");
            return refused("The settings of this client_id were never saved.", &advice);
        };
        let redirect_uri = parameters.get("redirect_uri").unwrap_or("").to_owned();
        if !saved.valid_redirect_uris.contains(&redirect_uri) {
            return Err(Refusal::page(
                "The redirect_uri is not one of the saved valid_redirect_uris, character for character.",
                format!(
                    "Sent: “{redirect_uri}”. Saved: {}. Save it with {}, together with those you want to keep.",
                    quoted(&saved.valid_redirect_uris),
                    generation.settings_request()
                ),
            ));
        }
        if parameters.get("response_type") != Some("code") {
            return refused("The response_type is not “code”.", "Send response_type=code.");
        }
        let scope = parameters.get("scope").unwrap_or("");
        let Some(client) = generation.client_of_authorization(scope) else {
            return refused("The scope names no client.", generation.scope_advice());
        };
        if !generation.asks_for_basic_info(scope) {
            return refused("The scope lacks member:basic_info.", generation.scope_advice());
        }
        if !self.accounts[account].clients.contains(&client) {
            let advice = "Use the client number that Daxko granted to this API username.";
            return refused("The client of the scope is not granted to this client_id.", advice);
        }
        Ok(Trusted { account, client, redirect_uri, links: saved.links })
    }
}

/// Back to the site with one answer, and with the `state` as it came (RFC 6749 §4.1.2). Daxko does not document the
/// status; 302 is what such redirects usually have.
fn redirect(redirect_uri: &str, name: &str, value: &str, parameters: &Parameters) -> Result<Answer, Refusal> {
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    let mut location = format!("{redirect_uri}{separator}{name}={}", utf8_percent_encode(value, QUERY));
    if let Some(state) = parameters.get("state") {
        location.push_str("&state=");
        location.extend(utf8_percent_encode(state, QUERY));
    }
    let Some(response) = server::found(&location) else {
        let advice = "Percent-encode everything but visible ASCII characters.".to_owned();
        return Err(Refusal::page("The redirect_uri is no URI.", advice));
    };
    Ok(response.into())
}

fn quoted(uris: &[String]) -> String {
    if uris.is_empty() {
        return "none".to_owned();
    }
    uris.iter().map(|uri| format!("“{uri}”")).collect::<Vec<_>>().join(", ")
}
