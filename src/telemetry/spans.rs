//! Spans for a collector of OpenTelemetry, by OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! The environment says where they go and which (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>),
//! as for any other program, and the SDK reads it. A finished span is put into a queue that has room or has not: nobody
//! ever waits for the collector, and what it does not take in time is lost.

use std::fmt;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanLinks,
    SpanProcessor,
};

use super::trace::TraceParent;
use crate::random;

const SERVICE_NAME: Key = Key::from_static_str("service.name");

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent as the OTEL_ variables of the environment say: {0}")]
pub struct Unusable(#[from] ExporterBuildError);

/// The way to the collector.
pub struct Spans {
    sampler: Box<dyn ShouldSample>,
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

/// The places that one request takes in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Whoever has sent the request, where they take part.
    pub parent: Option<[u8; 8]>,
    /// What happens here.
    pub here: [u8; 8],
    /// The call to the upstream, which is the parent of whatever happens there.
    pub call: [u8; 8],
}

/// A part of a trace that is over.
#[derive(Debug)]
pub struct Span {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Its own place.
    pub id: [u8; 8],
    /// The place above, and whether that is in another program.
    pub parent: Option<([u8; 8], bool)>,
    /// Whether it serves or calls.
    pub kind: SpanKind,
    /// What is done, in few different words.
    pub name: String,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What there is to say of it.
    pub attributes: Vec<KeyValue>,
    /// Whether it has failed.
    pub failed: bool,
}

impl Spans {
    /// To the collector that the environment names.
    ///
    /// # Errors
    /// [`Unusable`], where it does not name one that can be used.
    pub fn from_environment() -> Result<Self, Unusable> {
        let exporter = SpanExporter::builder().with_http().build()?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource());
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"));
        Ok(Self {
            sampler: Config::default().sampler,
            processor,
            scope: scope.with_version(env!("CARGO_PKG_VERSION")).build(),
        })
    }

    /// The places of a request in this trace; nothing where it is not recorded. `came` says that somebody has sent the
    /// trace.
    #[must_use]
    pub fn places(&self, trace: &TraceParent, came: bool) -> Option<Places> {
        let trace_id = TraceId::from_bytes(trace.trace_id);
        let parent = came.then(|| {
            let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
            let place = SpanId::from_bytes(trace.parent_id);
            let sent = SpanContext::new(trace_id, place, flags, true, TraceState::NONE);
            Context::new().with_remote_span_context(sent)
        });
        let decided =
            self.sampler.should_sample(parent.as_ref(), trace_id, "request", &SpanKind::Server, &[], &[]);
        match decided.decision {
            SamplingDecision::RecordAndSample => {
                Some(Places { parent: came.then_some(trace.parent_id), here: place(), call: place() })
            }
            SamplingDecision::Drop | SamplingDecision::RecordOnly => None,
        }
    }

    /// Hands a span over.
    pub fn send(&self, span: Span) {
        let Span { trace_id, id, parent, kind, name, began, took, attributes, failed } = span;
        let (parent_span_id, parent_span_is_remote) = match parent {
            Some((parent, is_remote)) => (SpanId::from_bytes(parent), is_remote),
            None => (SpanId::INVALID, false),
        };
        // What vendors say in `tracestate` passes on, and is not ours to show to others.
        let span_context = SpanContext::new(
            TraceId::from_bytes(trace_id),
            SpanId::from_bytes(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        self.processor.on_end(SpanData {
            span_context,
            parent_span_id,
            parent_span_is_remote,
            span_kind: kind,
            name: name.into(),
            start_time: began,
            end_time: began + took,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Sends what is left, within `patience`.
    pub fn finish(&self, patience: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(patience) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spans({:?})", self.sampler)
    }
}

/// A place that nobody else has. All zeros would be none (W3C Trace Context, "parent-id").
fn place() -> [u8; 8] {
    let place = u64::from_be_bytes(random::nonce());
    place.max(1).to_be_bytes()
}

/// Who sends the spans: as the environment says, and under our own name where it says nothing.
fn resource() -> Resource {
    let written = Resource::builder().build();
    let is_named =
        written.get(&SERVICE_NAME).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    if is_named { resource.build() } else { resource.with_service_name(env!("CARGO_PKG_NAME")).build() }
}
