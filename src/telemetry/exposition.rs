//! The page that Prometheus reads, in both of its languages: the text format 0.0.4, and OpenMetrics 1.0 for whoever asks
//! for it.
//!
//! They differ in three places: OpenMetrics names a family of counters without `_total`, writes whole bounds of buckets with
//! a decimal point, and ends with `# EOF`.

use std::fmt::Write;

use super::count::{BOUNDS, Count, Family, Histogram, Level, Observed};

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    Prometheus,
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
}

impl Format {
    /// What whoever sends this `Accept` field understands; Prometheus does, where it says nothing.
    #[must_use]
    pub fn accepted_by(accept: &[u8]) -> Self {
        let is_open = |part: &[u8]| {
            let (kind, parameters) =
                part.split_at(part.iter().position(|&byte| byte == b';').unwrap_or(part.len()));
            let zero = memchr::memmem::find(parameters, b"q=0").map(|at| &parameters[at + 3..]);
            let unwanted = zero.is_some_and(|rest| rest.iter().all(|byte| b".0 ".contains(byte)));
            kind.trim_ascii().eq_ignore_ascii_case(b"application/openmetrics-text") && !unwanted
        };
        if accept.split(|&byte| byte == b',').any(is_open) { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of a page in it.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A page being written.
pub(super) struct Page {
    text: String,
    format: Format,
}

impl Page {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::with_capacity(16 * 1024), format }
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Numbers that grow. `name` ends in `_total`.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        family: &Family<Count, N>,
    ) {
        let family = family.sums();
        self.totals(
            name,
            help,
            labels,
            family.iter().map(|(values, sum)| (values.each_ref().map(|v| &**v), *sum)),
        );
    }

    /// The same, counted elsewhere.
    pub(super) fn totals<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        samples: impl Iterator<Item = ([&'a str; N], u64)>,
    ) {
        self.head(name, help, "counter");
        for (values, sum) in samples {
            self.sample(name, "", labels.into_iter().zip(values), sum);
        }
    }

    /// Numbers that go up and down.
    pub(super) fn levels<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        family: &Family<Level, N>,
    ) {
        self.head(name, help, "gauge");
        for (values, sum) in family.sums() {
            // One who has gone may be seen before the other who has come.
            let sum = i64::from_ne_bytes(sum.to_ne_bytes()).max(0);
            self.sample(name, "", labels.into_iter().zip(values.each_ref().map(|v| &**v)), sum);
        }
    }

    /// A number that is just so.
    pub(super) fn gauge<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        samples: impl IntoIterator<Item = ([&'a str; N], u64)>,
    ) {
        self.head(name, help, "gauge");
        for (values, value) in samples {
            self.sample(name, "", labels.into_iter().zip(values), value);
        }
    }

    /// How often something took how long.
    pub(super) fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        family: &Family<Histogram, N>,
    ) {
        self.head(name, help, "histogram");
        for (values, Observed { buckets, micros }) in family.sums() {
            let values = values.each_ref().map(|value| &**value);
            let bounds = BOUNDS.iter().map(|bound| self.seconds(*bound)).chain(["+Inf".to_owned()]);
            let bounds: Vec<String> = bounds.collect();
            let mut total = 0;
            for (bound, more) in bounds.iter().zip(buckets) {
                total += more;
                let labels = labels.into_iter().zip(values).chain([("le", bound.as_str())]);
                self.sample(name, "_bucket", labels, total);
            }
            let sum = self.seconds(micros);
            self.sample(name, "_sum", labels.into_iter().zip(values), sum);
            self.sample(name, "_count", labels.into_iter().zip(values), total);
        }
    }

    /// Microseconds as seconds.
    fn seconds(&self, micros: u64) -> String {
        let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let text = text.trim_end_matches('0');
        match (text.strip_suffix('.'), self.format) {
            (None, _) => text.to_owned(),
            (Some(whole), Format::Prometheus) => whole.to_owned(),
            (Some(whole), Format::OpenMetrics) => format!("{whole}.0"),
        }
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let family = match (self.format, kind) {
            (Format::OpenMetrics, "counter") => name.strip_suffix("_total").unwrap_or(name),
            (Format::OpenMetrics | Format::Prometheus, _) => name,
        };
        // Writing to a string does not fail.
        let _ = write!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}\n");
    }

    fn sample<'a>(
        &mut self,
        name: &str,
        suffix: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        value: impl std::fmt::Display,
    ) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (label, text) in labels {
            let _ = write!(self.text, "{separator}{label}=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn page(format: Format) -> String {
        let mut page = Page::new(format);
        let (count, time) = (Family::<Count, 1>::default(), Family::<Histogram, 0>::default());
        count.of(["a\"b\\c\nd"]).add(3);
        time.of([]).observe(Duration::from_millis(1500));
        page.counters("x_total", "Of x.", ["site"], &count);
        page.histograms("y_seconds", "Of y.", [], &time);
        page.finish()
    }

    #[test]
    fn a_page_for_prometheus() {
        let page = page(Format::Prometheus);
        assert!(
            page.starts_with(
                "# HELP x_total Of x.\n# TYPE x_total counter\nx_total{site=\"a\\\"b\\\\c\\nd\"} 3\n"
            ),
            "{page}"
        );
        assert!(page.contains("y_seconds_bucket{le=\"1\"} 0\ny_seconds_bucket{le=\"2.5\"} 1\n"), "{page}");
        assert!(
            page.ends_with("y_seconds_bucket{le=\"+Inf\"} 1\ny_seconds_sum 1.5\ny_seconds_count 1\n"),
            "{page}"
        );
    }

    #[test]
    fn a_page_in_openmetrics() {
        let page = page(Format::OpenMetrics);
        assert!(page.contains("# TYPE x counter\nx_total{"), "{page}");
        assert!(page.contains("y_seconds_bucket{le=\"1.0\"} 0\n"), "{page}");
        assert!(page.ends_with("y_seconds_count 1\n# EOF\n"), "{page}");
    }

    /// Reads `name{label="value",…} number` as both formats define it: in a value nothing but `\\`, `\"` and `\n` is escaped,
    /// and a line feed or a quotation mark stands in none.
    fn labels_of(line: &str) -> Option<Vec<String>> {
        let (_, rest) = line.split_once('{')?;
        let mut values = Vec::new();
        let mut rest = rest.chars();
        loop {
            let name: String = rest.by_ref().take_while(|&c| c != '=').collect();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
            if !is_name || rest.next()? != '"' {
                return None;
            }
            let mut value = String::new();
            loop {
                match rest.next()? {
                    '"' => break,
                    '\\' => value.push(match rest.next()? {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        _ => return None,
                    }),
                    c => value.push(c),
                }
            }
            values.push(value);
            match rest.next()? {
                ',' => {}
                '}' => break,
                _ => return None,
            }
        }
        let number: String = rest.collect();
        number.strip_prefix(' ')?.parse::<u64>().ok()?;
        Some(values)
    }

    proptest! {
        #[test]
        fn whatever_a_label_says_comes_out_as_it_was(
            values in prop::array::uniform2(
                prop::collection::vec(prop_oneof![any::<char>(), prop::sample::select(r#"\"n{},= "#.chars().chain(['\n', '\r']).collect::<Vec<_>>())], 0..20)
            ),
        ) {
            let values = values.map(String::from_iter);
            for format in [Format::Prometheus, Format::OpenMetrics] {
                let mut page = Page::new(format);
                page.totals("x_total", "Of x.", ["site", "target"], [(values.each_ref().map(|v| &**v), 7)].into_iter());
                page.gauge("y", "Of y.", ["site", "target"], [(values.each_ref().map(|v| &**v), 7)]);
                let page = page.finish();
                let samples: Vec<&str> = page.split('\n').filter(|line| line.starts_with(['x', 'y'])).collect();
                prop_assert_eq!(samples.len(), 2, "{}", page);
                for sample in samples {
                    prop_assert_eq!(labels_of(sample), Some(values.to_vec()), "{}", sample);
                }
            }
        }
    }

    #[test]
    fn openmetrics_is_for_whoever_asks_for_it() {
        for (accept, expected) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain;version=0.0.4", Format::Prometheus),
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2", Format::OpenMetrics),
            ("application/openmetrics-text; q=0.0", Format::Prometheus),
            ("application/openmetrics-text-of-another-kind", Format::Prometheus),
        ] {
            assert_eq!(Format::accepted_by(accept.as_bytes()), expected, "{accept}");
        }
    }
}
