//! What an operator learns of a running gateway: events on standard error, numbers for Prometheus, a line for each request.
//!
//! Neither a cookie, a code, a token, a state nor the name of a person ever gets here; whoever writes an event leaves
//! them out. Text from outside is escaped by the formatter, so that one event stays one line. What the numbers and the
//! lines mean is for others to know.

pub mod access_log;
pub mod count;
pub mod exposition;
pub mod keyed_hash;
pub mod line;
pub mod metrics;
mod process;
#[cfg(feature = "otel")]
pub mod spans;
pub mod trace;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::time::Clock;
use access_log::{AccessLog, Destination, Notebook};
use metrics::Metrics;

/// How long the last lines of the access log may take when the gateway ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// Events that are kept while nobody reads them.
const EVENTS_THAT_WAIT: usize = 4096;

/// What a gateway tells of itself, for as long as it runs: reading the configuration again changes nothing of it.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// What is counted.
    pub metrics: Metrics,
    access_log: Mutex<Option<AccessLog>>,
    #[cfg(feature = "otel")]
    spans: std::sync::OnceLock<spans::Spans>,
}

impl Telemetry {
    /// Writes the access log there from now on. Workers that have a notebook go on with it.
    ///
    /// # Errors
    /// Where it cannot be opened; then everything stays as it was.
    pub fn log_to(&self, destination: Option<Destination>) -> io::Result<()> {
        let mut log = self.access_log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.as_ref().map(AccessLog::destination) != destination.as_ref() {
            let dropped = Arc::clone(&self.metrics.lines_dropped);
            *log = destination.map(|destination| AccessLog::open(destination, dropped)).transpose()?;
        }
        Ok(())
    }

    /// Sends spans to the collector that the environment names, if it does. To be said before there are requests.
    ///
    /// # Errors
    /// Where what it says is of no use.
    #[cfg(feature = "otel")]
    pub fn trace(&self) -> Result<(), spans::Unusable> {
        if names_a_collector() {
            let spans = spans::Spans::from_environment()?;
            self.spans.get_or_init(|| spans);
            tracing::info!("traces go to the collector that the environment names");
        }
        Ok(())
    }

    /// The same, in a build that cannot.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(feature = "otel"))]
    pub fn trace(&self) -> Result<(), std::convert::Infallible> {
        if names_a_collector() {
            tracing::warn!(
                "the environment names a collector of OpenTelemetry, and this build has no traces: build it with `--features otel`"
            );
        }
        Ok(())
    }

    /// Where spans go, if they go anywhere.
    #[cfg(feature = "otel")]
    pub(crate) fn spans(&self) -> Option<&spans::Spans> {
        self.spans.get()
    }

    /// A notebook for a worker, where there is an access log.
    #[must_use]
    pub fn notebook(&self, clock: &Clock) -> Option<Notebook> {
        let log = self.access_log.lock().unwrap_or_else(PoisonError::into_inner);
        log.as_ref().map(|log| log.notebook(clock.clone()))
    }

    /// Opens the file of the access log anew, which may have been moved away.
    pub fn reopen(&self) {
        let log = self.access_log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = &*log {
            log.reopen();
        }
    }

    /// Writes the last lines and spans, once all workers are gone.
    pub fn finish(&self) {
        let log = self.access_log.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(log) = log {
            log.finish(PATIENCE);
        }
        #[cfg(feature = "otel")]
        if let Some(spans) = self.spans.get() {
            spans.finish(PATIENCE);
        }
    }
}

/// Whether the environment names a collector, and has not switched traces off again
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
fn names_a_collector() -> bool {
    let written = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let says = |name, word| written(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    let is_named = written("OTEL_EXPORTER_OTLP_ENDPOINT")
        .or_else(|| written("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .is_some();
    is_named && !says("OTEL_SDK_DISABLED", "true") && !says("OTEL_TRACES_EXPORTER", "none")
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventFormat {
    /// For people.
    #[default]
    Text,
    /// A line of JSON each.
    Json,
}

/// Events on their way to standard error; dropped, it waits a moment for the last of them.
#[must_use = "events end with it"]
pub struct Events {
    writer: NonBlocking,
    _thread: WorkerGuard,
}

impl Events {
    /// Puts words for whoever watches the start between the events.
    pub fn say(&self, words: &str) {
        // It is lost where nobody reads, as events are.
        let _ = writeln!(self.writer.clone(), "{words}");
    }
}

/// Starts to log. `RUST_LOG` chooses what: `info`, `debug`, `member_gateway=debug`.
///
/// A thread of its own writes: whoever reads standard error may be slow, or have stopped, and requests go on. What nobody
/// takes for long is lost.
pub fn start(format: EventFormat) -> Events {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let builder = NonBlockingBuilder::default().buffered_lines_limit(EVENTS_THAT_WAIT).thread_name("events");
    let (writer, guard) = builder.finish(io::stderr());
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer.clone());
    // A second start, in a test, changes nothing.
    let _ = match format {
        EventFormat::Text => events.with_ansi(io::stderr().is_terminal()).try_init(),
        EventFormat::Json => events.json().flatten_event(true).try_init(),
    };
    Events { writer, _thread: guard }
}
