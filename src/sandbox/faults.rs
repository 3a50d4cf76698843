//! Faults on demand: what a vendor's service does on a bad day. **No vendor documents any of this.**
//!
//! A fault is set for an endpoint, for its next request or until it is cleared, by the handle or by
//! `POST /sandbox/faults`. A fault that stands in for the answer leaves the simulation's state as it is: a code whose
//! exchange ended in a closed connection is still unspent. Which endpoints there are, each simulation says itself.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::sandbox::control;
use crate::sandbox::server::{self, Body, Reply};

/// The most faults that may wait for one endpoint.
const MAX_WAITING: usize = 100;
/// How large [`Fault::Oversized`] is: 10 MiB.
const OVERSIZED: usize = 10 * 1024 * 1024;

/// What goes wrong. In JSON the names are written in snake case, e.g. `{"status": 503}` or `"no_answer"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Where a browser asks for a code or sends a form for one: back to the `redirect_uri` with this `error` (RFC 6749 §4.1.2.1).
    ErrorRedirect(String),
    /// A status, with a JSON error as body.
    Status(u16),
    /// 429, with `Retry-After` in seconds where there is one.
    TooManyRequests {
        /// How many seconds to wait.
        retry_after: Option<u64>,
    },
    /// The request is read, and nothing ever comes back.
    NoAnswer,
    /// The connection is closed without an answer.
    ClosedConnection,
    /// 200 with a page in place of JSON.
    Html,
    /// 200 with an OAuth error as body.
    ErrorBody,
    /// 200 with ten megabytes of JSON.
    Oversized,
    /// 302 to another address.
    Redirect(String),
    /// Another status, with this JSON as body.
    Answer {
        /// The status.
        status: u16,
        /// The body.
        body: Value,
    },
    /// The answer as it is, without one of its fields, which is named as in [`Self::WithField`].
    WithoutField(String),
    /// The answer as it is, with one of its fields set to another value.
    WithField {
        /// A field of the outermost object, e.g. `member_id`, or a pointer to one further in (RFC 6901), e.g.
        /// `/name/first_name`.
        name: String,
        /// What it is set to.
        value: Value,
    },
}

/// The faults of one running simulation, which has endpoints `E`.
#[derive(Debug)]
pub struct Faults<E> {
    waiting: Mutex<HashMap<E, VecDeque<Fault>>>,
    lasting: Mutex<HashMap<E, Fault>>,
    numeric_expires_in: AtomicBool,
}

impl<E> Default for Faults<E> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            lasting: Mutex::default(),
            numeric_expires_in: AtomicBool::default(),
        }
    }
}

/// The body of `POST /sandbox/faults`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order<E, F> {
    endpoint: E,
    fault: F,
    #[serde(default)]
    until_cleared: bool,
}

impl<E: Copy + Eq + Hash> Faults<E> {
    /// Sets the fault of the next request that has none yet. Those set before come first.
    pub fn next(&self, endpoint: E, fault: impl Into<Fault>) {
        let mut waiting = locked(&self.waiting);
        let queue = waiting.entry(endpoint).or_default();
        if queue.len() < MAX_WAITING {
            queue.push_back(fault.into());
        }
    }

    /// Sets the fault of every request until [`Self::clear`].
    pub fn always(&self, endpoint: E, fault: impl Into<Fault>) {
        locked(&self.lasting).insert(endpoint, fault.into());
    }

    /// Whether `expires_in` is a JSON number where it is usually a string. Daxko's API definition has a number, its
    /// tutorials have a string.
    pub fn numeric_expires_in(&self, numeric: bool) {
        self.numeric_expires_in.store(numeric, Ordering::Relaxed);
    }

    /// Everything works again.
    pub fn clear(&self) {
        locked(&self.waiting).clear();
        locked(&self.lasting).clear();
        self.numeric_expires_in(false);
    }

    /// `POST` sets a fault, `DELETE` clears them all.
    ///
    /// `F` is how the simulation's faults are written.
    pub(super) fn control<F>(&self, request: &Request<Bytes>) -> Response<Body>
    where
        E: DeserializeOwned,
        F: DeserializeOwned + Into<Fault>,
    {
        let set = |order: Order<E, F>| {
            if order.until_cleared {
                self.always(order.endpoint, order.fault);
            } else {
                self.next(order.endpoint, order.fault);
            }
        };
        control::answer(request, set, || self.clear())
    }

    pub(super) fn take(&self, endpoint: E) -> Option<Fault> {
        let waiting = locked(&self.waiting).get_mut(&endpoint).and_then(VecDeque::pop_front);
        waiting.or_else(|| locked(&self.lasting).get(&endpoint).cloned())
    }

    pub(super) fn expires_in(&self, seconds: u64) -> Value {
        if self.numeric_expires_in.load(Ordering::Relaxed) {
            seconds.into()
        } else {
            seconds.to_string().into()
        }
    }
}

impl Fault {
    /// What comes in place of an answer; nothing where the fault only changes the answer.
    pub(super) fn stand_in(&self) -> Option<Reply> {
        let response = match self {
            Self::ErrorRedirect(_) | Self::WithoutField(_) | Self::WithField { .. } => return None,
            Self::NoAnswer => return Some(Reply::Silence),
            Self::ClosedConnection => return Some(Reply::HangUp),
            Self::Status(status) => server::json(known(*status), &json!({ "error": "server_error" })),
            Self::Answer { status, body } => server::json(known(*status), body),
            Self::TooManyRequests { retry_after } => {
                let error = json!({ "error": "rate_limit_exceeded" });
                let mut response = server::json(StatusCode::TOO_MANY_REQUESTS, &error);
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
                }
                response
            }
            Self::Html => server::answer(
                StatusCode::OK,
                "text/html; charset=utf-8",
                "<!doctype html><title>Scheduled maintenance</title><h1>We will be back soon</h1>",
            ),
            Self::ErrorBody => server::json(StatusCode::OK, &json!({ "error": "server_error" })),
            Self::Oversized => {
                server::json(StatusCode::OK, &json!({ "access_token": "x".repeat(OVERSIZED) }))
            }
            Self::Redirect(location) => server::found(location)
                .unwrap_or_else(|| server::json(StatusCode::FOUND, &json!({ "sandbox": "no address" }))),
        };
        Some(Reply::Answer(response))
    }

    /// What the fault makes of an answer in JSON; any other answer stays as it is.
    pub(super) async fn change(&self, response: Response<Body>) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        let Ok(body) = body.collect().await;
        let body = body.to_bytes();
        let Ok(mut json @ Value::Object(_)) = serde_json::from_slice(&body) else {
            return Response::from_parts(head, server::full(body));
        };
        if let Self::WithoutField(name) = self
            && let Some((object, name)) = object_and_name(&mut json, name)
        {
            object.remove(name);
        }
        if let Self::WithField { name, value } = self
            && let Some((object, name)) = object_and_name(&mut json, name)
        {
            object.insert(name.to_owned(), value.clone());
        }
        head.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(head, server::full(json.to_string()))
    }
}

/// The object that a field is in, and the field's name there.
fn object_and_name<'a>(json: &'a mut Value, name: &'a str) -> Option<(&'a mut Map<String, Value>, &'a str)> {
    let (parent, name) = name.rsplit_once('/').unwrap_or(("", name));
    json.pointer_mut(parent)?.as_object_mut().map(|object| (object, name))
}

/// 500 in place of what is no status of an answer: an interim response (RFC 9110 §15.2) would end the connection.
fn known(status: u16) -> StatusCode {
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds this lock")
}
