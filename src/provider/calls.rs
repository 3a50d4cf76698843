//! What becomes of the calls to a vendor, counted: how many came out how, and how long they took.
//!
//! The counters are there, at zero, as soon as the provider is. A call that nobody waits for any more, since the browser
//! has left, is counted as well: the vendor has had it.

use std::sync::Arc;
use std::time::Instant;

use super::ProviderError;
use super::token_endpoint::Answer;
use crate::telemetry::count::{Count, Histogram};
use crate::telemetry::metrics::Metrics;

/// How a call came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// With a status of success.
    Ok,
    /// With another one, which says that it is our fault or the member's.
    Refused,
    /// The vendor cannot serve us now: 429, or a status of 5xx.
    Busy,
    /// No answer, or none in time.
    Unreachable,
    /// An answer that nobody can read.
    Unintelligible,
    /// Nobody has waited for the answer.
    Abandoned,
}

impl Outcome {
    /// In the order in which they are declared.
    const NAMES: [&'static str; 6] = ["ok", "refused", "busy", "unreachable", "unintelligible", "abandoned"];

    fn of(answer: &Result<Answer, ProviderError>) -> Self {
        match answer {
            Ok(answer) if answer.status.is_success() => Self::Ok,
            Err(ProviderError::Busy { .. }) => Self::Busy,
            Err(ProviderError::Unreachable { .. }) => Self::Unreachable,
            Ok(_) | Err(ProviderError::CodeRefused | ProviderError::ClientRefused { .. }) => Self::Refused,
            Err(
                ProviderError::Unintelligible { .. }
                | ProviderError::NoIdentity { .. }
                | ProviderError::NotInDirectory
                | ProviderError::AmbiguousInDirectory
                | ProviderError::Lapsed,
            ) => Self::Unintelligible,
        }
    }
}

/// The counters of one provider; those of nobody in particular by default.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    outcomes: [Arc<Count>; Outcome::NAMES.len()],
    duration: Arc<Histogram>,
    /// Client-scoped tokens that came, and those that did not.
    tokens: [Arc<Count>; 2],
}

impl Calls {
    /// Those of the provider of this name.
    #[must_use]
    pub fn of(provider: &str, metrics: &Metrics) -> Self {
        Self {
            outcomes: Outcome::NAMES.map(|outcome| metrics.vendor_calls.of([provider, outcome])),
            duration: metrics.vendor_duration.of([provider]),
            tokens: Default::default(),
        }
    }

    /// The same, of a provider that has client-scoped tokens.
    #[must_use]
    pub fn with_tokens(self, provider: &str, metrics: &Metrics) -> Self {
        Self { tokens: ["ok", "failed"].map(|result| metrics.client_tokens.of([provider, result])), ..self }
    }

    /// A client-scoped token was asked for.
    pub(super) fn token(&self, came: bool) {
        self.tokens[usize::from(!came)].one();
    }

    /// Waits for an answer.
    pub(super) async fn counting(
        &self,
        call: impl Future<Output = Result<Answer, ProviderError>>,
    ) -> Result<Answer, ProviderError> {
        let mut counted = Call { calls: self, begun: Instant::now(), outcome: Outcome::Abandoned };
        let answer = call.await;
        counted.outcome = Outcome::of(&answer);
        answer
    }
}

/// A call that is under way. It counts when this is dropped, whatever became of it.
struct Call<'a> {
    calls: &'a Calls,
    begun: Instant,
    outcome: Outcome,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.calls.outcomes[self.outcome as usize].one();
        self.calls.duration.observe(self.begun.elapsed());
    }
}
