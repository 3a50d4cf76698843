//! `[log]`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

/// `[log]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogTable {
    /// Where a line of JSON is written for each request: `"off"`, `"stdout"`, `"stderr"` or `"file:PATH"`. A line holds no
    /// query, no cookie and no name; members appear as a keyed hash. `docs/observability.md` has the fields. Default:
    /// `"off"`.
    pub access: Option<String>,
    /// How events are written on standard error: `"text"`, or `"json"` for a line of JSON each. Default: `"text"`.
    pub format: FormatChoice,
    /// What is done about `traceparent` (W3C Trace Context): `"make"` passes a valid one on and makes one where there is
    /// none, `"pass"` only passes it on, `"off"` treats it as any other field. Default: `"make"`.
    pub traceparent: TraceparentChoice,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FormatChoice {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What is done about `traceparent`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceparentChoice {
    /// A valid one passes, and where there is none, one is made.
    #[default]
    Make,
    /// A valid one passes; one that is not is dropped.
    Pass,
    /// It is a field like any other.
    Off,
}
