//! The browser's own log-in at the simulation, which a second sign-in passes without a password.
//!
//! It is a cookie of the sandbox's: how Xoxoday keeps its visitors is not documented. It stays under `/chef`, away from
//! whatever else is served on this host, for a cookie knows no port.

use std::sync::Arc;

use http::{HeaderValue, Request, Response, header};

use super::Vendor;
use super::account::Person;
use crate::sandbox::issued::Found;
use crate::sandbox::server::Body;

/// The name of the log-in cookie.
const LOG_IN: &str = "sandbox_xoxoday";
/// The name of the cookie that says that this browser was denied once already.
const DENIED: &str = "sandbox_xoxoday_denied";

impl Vendor {
    /// Who is logged in.
    pub(super) fn visitor<T>(&self, request: &Request<T>) -> Option<Arc<Person>> {
        let key = cookie(request, LOG_IN)?;
        match self.memory().log_ins.find(key, self.clock.now()) {
            Found::Live(Some(person)) => Some(Arc::clone(person)),
            Found::Live(None) | Found::Expired | Found::Unknown => None,
        }
    }

    /// Logs a person in with this answer.
    pub(super) fn log_in_as(&self, person: Arc<Person>, response: &mut Response<Body>) {
        let key = self.memory().log_ins.issue("", Some(person), self.clock.now());
        set_cookie(response, &format!("{LOG_IN}={key}; Path=/chef; HttpOnly; SameSite=Lax"));
    }

    /// Logs whoever is logged in out again, here and in the browser.
    pub(super) fn log_out<T>(&self, request: &Request<T>, response: &mut Response<Body>) {
        if let Some(key) = cookie(request, LOG_IN)
            && let Found::Live(person) = self.memory().log_ins.find(key, self.clock.now())
        {
            *person = None;
        }
        set_cookie(response, &format!("{LOG_IN}=; Path=/chef; HttpOnly; SameSite=Lax; Max-Age=0"));
    }
}

/// Whether this browser was denied before it was shown a log-in page.
pub(super) fn was_denied<T>(request: &Request<T>) -> bool {
    cookie(request, DENIED).is_some()
}

/// Remembers with this answer that the browser was denied.
pub(super) fn remember_denied(response: &mut Response<Body>) {
    set_cookie(response, &format!("{DENIED}=1; Path=/chef; HttpOnly; SameSite=Lax"));
}

fn set_cookie(response: &mut Response<Body>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn cookie<'a, T>(request: &'a Request<T>, name: &str) -> Option<&'a str> {
    let fields = request.headers().get_all(header::COOKIE).iter();
    let mut pairs = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(';'));
    pairs.find_map(|pair| {
        pair.trim().split_once('=').filter(|(known, _)| *known == name).map(|(_, value)| value)
    })
}
