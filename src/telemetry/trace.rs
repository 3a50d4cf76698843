//! Trace context (W3C Recommendation, <https://www.w3.org/TR/trace-context/>): which journey through several programs a
//! request is a part of.
//!
//! A proxy that records no spans passes a valid `traceparent` on as it came ("Mutating the traceparent Field"): a parent-id
//! of its own would name a span that nobody ever finds. Where none has come, or one that is not valid, a new trace begins
//! here, and the `tracestate` of the old one is dropped ("A traceparent is not received").

use http::header::HeaderName;

use crate::message::Fields;

/// The field that carries the trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What vendors add to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of the field in version 00.
const LENGTH: usize = 55;
/// The flags that have a meaning: sampled, and random trace-id. All others are sent as zero ("Other Flags").
const KNOWN_FLAGS: u8 = 0b11;
/// Set where the trace-id is random (Level 2, "Random Trace ID Flag").
const RANDOM: u8 = 0b10;

/// What is done about `traceparent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracing {
    /// A valid one passes, and where there is none, one is made.
    #[default]
    Make,
    /// A valid one passes; one that is not is dropped.
    Pass,
    /// It is a field like any other.
    Off,
}

/// A trace, and the place in it that comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The whole journey.
    pub trace_id: [u8; 16],
    /// The span that this is a part of.
    pub parent_id: [u8; 8],
    flags: u8,
}

impl TraceParent {
    /// A new trace, not sampled. Ids of zeros alone are none; where chance brings them, they get a bit.
    #[must_use]
    pub fn new(random: [u8; 24]) -> Self {
        let (mut trace_id, mut parent_id) = ([0; 16], [0; 8]);
        trace_id.copy_from_slice(&random[..16]);
        parent_id.copy_from_slice(&random[16..]);
        if trace_id == [0; 16] {
            trace_id[15] = 1;
        }
        if parent_id == [0; 8] {
            parent_id[7] = 1;
        }
        Self { trace_id, parent_id, flags: RANDOM }
    }

    /// The trace of a message; nothing where it has none, several, or one that is not valid.
    #[must_use]
    pub fn of(fields: &Fields) -> Option<Self> {
        let mut lines = fields.get_all(TRACEPARENT);
        match (lines.next(), lines.next()) {
            (Some(line), None) => Self::parse(line.as_bytes()),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// Reads `00-<trace-id>-<parent-id>-<flags>`, in lower case alone. Of later versions what begins like this counts
    /// ("Versioning of traceparent").
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_first_chunk::<LENGTH>()?;
        let version: [u8; 1] = hex(&known[..2])?;
        let has_form = [2, 35, 52].iter().all(|&at| known[at] == b'-');
        let ends = match version {
            [0] => rest.is_empty(),
            [0xff] => false,
            [_] => rest.is_empty() || rest[0] == b'-',
        };
        if !has_form || !ends {
            return None;
        }
        let (trace_id, parent_id) = (hex(&known[3..35])?, hex(&known[36..52])?);
        let [flags] = hex(&known[53..])?;
        let is_trace = trace_id != [0; 16] && parent_id != [0; 8];
        is_trace.then_some(Self { trace_id, parent_id, flags: flags & KNOWN_FLAGS })
    }

    /// The same trace, with another place in it.
    #[must_use]
    pub const fn under(self, parent_id: [u8; 8], is_sampled: bool) -> Self {
        Self { parent_id, flags: (self.flags & !1) | is_sampled as u8, ..self }
    }

    /// Whether whoever came before records it.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The value of the field.
    #[must_use]
    pub fn text(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&self.trace_id, &mut text[3..35]);
        write_hex(&self.parent_id, &mut text[36..52]);
        write_hex(&[self.flags], &mut text[53..]);
        text
    }
}

/// Writes bytes as lower-case hexadecimal, two digits each.
pub(crate) fn write_hex(bytes: &[u8], text: &mut [u8]) {
    // Computed, not looked up: so many digits are written at once.
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = digit(byte >> 4);
        pair[1] = digit(byte & 15);
    }
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_one_is_read_and_written_as_it_was() {
        let trace = TraceParent::parse(VALID.as_bytes()).unwrap();
        assert!(trace.is_sampled());
        assert_eq!(trace.text(), VALID.as_bytes());
    }

    #[test]
    fn what_is_not_valid_is_none() {
        for text in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0\u{e9}-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_counts_as_far_as_it_is_known() {
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-the-future-brings";
        let trace = TraceParent::parse(later.as_bytes()).unwrap();
        assert_eq!(trace.text(), *b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03");
    }

    #[test]
    fn a_new_one_is_valid_whatever_chance_brings() {
        for random in [[0; 24], [7; 24], [255; 24]] {
            let new = TraceParent::new(random);
            assert_eq!(TraceParent::parse(&new.text()), Some(new));
            assert!(!new.is_sampled());
        }
    }

    #[test]
    fn of_two_fields_nobody_can_say_which_one_is_meant() {
        let mut fields = Fields::new();
        fields.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert!(TraceParent::of(&fields).is_some());
        fields.append(TRACEPARENT, HeaderValue::from_static(VALID));
        assert_eq!(TraceParent::of(&fields), None);
    }
}
