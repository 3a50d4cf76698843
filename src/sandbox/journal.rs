//! What was asked of a simulation and what became of it: for the log and for tests.
//!
//! A parameter is written down as it came only where its name is on a list of harmless ones; passwords, secrets, codes,
//! states and tokens are masked before they are remembered.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::{Method, Request, StatusCode, header};

/// The most requests that are remembered; the oldest goes first.
const MAX_REMEMBERED: usize = 1000;
/// Parameters whose value may be seen. They are OAuth's (RFC 6749), and so every vendor's.
const HARMLESS: [&str; 5] = ["response_type", "client_id", "redirect_uri", "scope", "grant_type"];

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The media type of the body, without parameters; empty where there was none.
    pub media_type: String,
    /// The parameters of query or body in their order; a value that might be a secret reads `[masked]`.
    pub parameters: Vec<(String, String)>,
    /// The status of the answer, or none where a fault kept it back.
    pub status: Option<StatusCode>,
    /// The rule that refused the request, if one did.
    pub refused_by: Option<&'static str>,
}

impl RecordedRequest {
    /// Starts the record; parameters and outcome are filled in later.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            media_type: media_type(request),
            parameters: Vec::new(),
            status: None,
            refused_by: None,
        }
    }

    /// Writes parameters down, masked.
    pub(super) fn note<'a>(&mut self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.parameters.extend(parameters.into_iter().map(|(name, value)| {
            let shown = if HARMLESS.contains(&name) { value } else { "[masked]" };
            (name.to_owned(), shown.to_owned())
        }));
    }
}

/// The media type of a request in lower case, without its parameters.
pub(super) fn media_type<T>(request: &Request<T>) -> String {
    let field =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    field.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The requests of one running simulation.
#[derive(Debug)]
pub(super) struct Journal {
    vendor: &'static str,
    entries: Mutex<VecDeque<RecordedRequest>>,
}

impl Journal {
    /// Nothing was asked of this vendor yet.
    pub(super) fn of(vendor: &'static str) -> Self {
        Self { vendor, entries: Mutex::default() }
    }

    /// Logs and remembers a request whose outcome is known.
    pub(super) fn enter(&self, entry: RecordedRequest) {
        let status = entry.status.map_or(0, |status| status.as_u16());
        let (vendor, method, path) = (self.vendor, &entry.method, &entry.path);
        match entry.refused_by {
            None => tracing::info!(target: "sandbox", %method, path, status, "{vendor}'s sandbox answered"),
            Some(rule) => {
                tracing::warn!(target: "sandbox", %method, path, status, rule, "{vendor}'s sandbox refused");
            }
        }
        let mut entries = self.entries.lock().expect("nothing panics while it holds this lock");
        if entries.len() >= MAX_REMEMBERED {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// What is remembered, the oldest first.
    pub(super) fn entries(&self) -> Vec<RecordedRequest> {
        self.entries.lock().expect("nothing panics while it holds this lock").iter().cloned().collect()
    }
}
