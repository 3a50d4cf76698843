//! Field lines as they are written: one after the other, each once.
//!
//! A message that is written so costs nothing to look up and nothing to take back; what it becomes is for whoever takes the
//! lines.

use http::header::{HeaderName, HeaderValue};

/// What field lines are written to.
pub trait Lines {
    /// Writes a line.
    fn field(&mut self, name: &HeaderName, value: &HeaderValue);

    /// Writes a line whose value is made here, of visible ASCII with blanks between.
    fn text(&mut self, name: &HeaderName, value: &[u8]);
}
