//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write};

/// The format's media type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The type of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) enum MetricType {
    /// A value that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
}

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// A metric whose samples are being written.
#[derive(Debug)]
pub(super) struct Metric<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Page {
    /// Begins a metric.
    pub(super) fn metric(&mut self, name: &'static str, metric_type: MetricType, help: &str) -> Metric<'_> {
        let metric_type = match metric_type {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
        };
        self.push(format_args!(
            "# HELP {name} {help}\n# TYPE {name} {metric_type}\n"
        ));
        Metric { page: self, name }
    }

    /// The page as served.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(text);
    }
}

impl Metric<'_> {
    /// Writes a sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.suffixed("", labels, value)
    }

    /// Writes a histogram's samples: its cumulative buckets with their upper bounds (none for the last), and its sum.
    pub(super) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        buckets: impl Iterator<Item = (Option<f64>, u64)>,
        sum: f64,
    ) -> &mut Self {
        let mut count = 0;
        for (bound, cumulative) in buckets {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |b| b.to_string());
            let labels = [labels, &[("le", bound.as_str())]].concat();
            self.suffixed("_bucket", &labels, cumulative);
            count = cumulative;
        }
        self.suffixed("_sum", labels, sum)
            .suffixed("_count", labels, count)
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let name = self.name;
        self.page.push(format_args!("{name}{suffix}"));
        for (i, (label, text)) in labels.iter().enumerate() {
            let before = if i == 0 { '{' } else { ',' };
            self.page
                .push(format_args!("{before}{label}=\"{}\"", escaped(text)));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.page.push(format_args!("{end} {value}\n"));
        self
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_in_the_text_format() {
        let mut page = Page::default();
        page.metric("x_total", MetricType::Counter, "How many.")
            .sample(&[], 3)
            .sample(&[("a", "b\"c\\d\ne"), ("f", "g")], 1.5);
        let buckets = [(Some(0.5), 1), (None, 2)].into_iter();
        page.metric("y_seconds", MetricType::Histogram, "How long.")
            .histogram(&[("a", "b")], buckets, 2.5);
        let expected = r#"# HELP x_total How many.
# TYPE x_total counter
x_total 3
x_total{a="b\"c\\d\ne",f="g"} 1.5
# HELP y_seconds How long.
# TYPE y_seconds histogram
y_seconds_bucket{a="b",le="0.5"} 1
y_seconds_bucket{a="b",le="+Inf"} 2
y_seconds_sum{a="b"} 2.5
y_seconds_count{a="b"} 2
"#;
        assert_eq!(page.into_text(), expected);
    }
}
