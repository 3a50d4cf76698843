//! What is counted of the requests of apps to a vendor's API.

use crate::telemetry::count::{Count, Family, Histogram, Level};
use crate::telemetry::exposition::Page;

/// Each by the provider whose API it is.
#[derive(Debug, Default)]
pub struct Relays {
    /// Requests, by provider and outcome.
    pub requests: Family<Count, 2>,
    /// Those whose answer has not ended.
    pub in_flight: Family<Level, 1>,
    /// From the head of a request to the end of its answer.
    pub duration: Family<Histogram, 1>,
    /// Answers of the vendor that said 429.
    pub too_many: Family<Count, 1>,
    /// Requests that were sent once more with another token.
    pub repeats: Family<Count, 1>,
}

impl Relays {
    pub(super) fn expose(&self, page: &mut Page) {
        page.counters(
            "member_gateway_relay_requests_total",
            "Requests of apps to a vendor's API, by provider and outcome.",
            ["provider", "outcome"],
            &self.requests,
        );
        page.levels(
            "member_gateway_relay_requests_in_flight",
            "Requests of apps to a vendor's API whose answer has not ended, by provider.",
            ["provider"],
            &self.in_flight,
        );
        page.histograms(
            "member_gateway_relay_duration_seconds",
            "From the head of a request of an app to a vendor's API to the end of its answer, by provider.",
            ["provider"],
            &self.duration,
        );
        page.counters(
            "member_gateway_relay_too_many_requests_total",
            "Answers of a vendor to requests of apps that said 429, by provider.",
            ["provider"],
            &self.too_many,
        );
        page.counters(
            "member_gateway_relay_repeats_total",
            "Requests of apps that were sent once more with another token, by provider.",
            ["provider"],
            &self.repeats,
        );
    }
}
