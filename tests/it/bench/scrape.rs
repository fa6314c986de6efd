//! What a service exports to Prometheus, read as Prometheus reads it.

use std::{collections::BTreeMap, net::SocketAddr};

use super::http;

/// Samples by their names, with the labels as they were exported.
pub struct Scrape {
    pub text: String,
}

impl Scrape {
    pub async fn of(admin: SocketAddr) -> Self {
        let answer = http::get(admin, "/metrics").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        assert!(answer.body.ends_with("# EOF\n"), "{answer:?}");
        Self { text: answer.body }
    }

    pub fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.text.lines();
        let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    #[track_caller]
    pub fn assert_values(&self, expected: &[(&str, f64)]) {
        let found = |(series, _): &(&str, f64)| (series.to_string(), self.value(series));
        let found: Vec<_> = expected.iter().map(found).collect();
        let expected = expected.iter().map(|(series, value)| ((*series).to_owned(), Some(*value)));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{}", self.text);
    }

    /// Each metric with its type, as samples are named.
    pub fn types(&self) -> BTreeMap<String, String> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let named = lines.map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            (format!("{name}{suffix}"), kind.to_owned())
        });
        named.collect()
    }
}
