//! Compares what came out with what must come out, and remembers every difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::expect::{Expected, Verdict};

/// How many differences of a kind are shown.
const EXAMPLES: usize = 3;

/// All differences found so far, by what differs: how often, and the first few.
#[derive(Default)]
pub struct Judge {
    differences: BTreeMap<String, (usize, Vec<String>)>,
    compared: usize,
}

impl Judge {
    /// One record against its verdict. `place` says where it is from.
    pub fn record(&mut self, place: &str, record: &Value, verdict: &Verdict) {
        self.compared += 1;
        match verdict {
            Verdict::Read(expected) => {
                self.same(place, record, "logboom.parse_error", None, error_of(record));
                self.read(place, record, expected);
            }
            Verdict::Raw(reason) => {
                self.same(place, record, "logboom.parse_error", Some(&Value::from(*reason)), error_of(record));
                let read: Vec<&str> = attributes(record).map(|(key, _)| key).collect();
                self.expect(place, record, "raw", read.is_empty(), || {
                    format!("attributes {read:?} of a line that is no access log")
                });
                for key in ["timestamp", "trace_id", "severity_text"] {
                    self.same(place, record, key, None, record.get(key));
                }
            }
        }
    }

    /// A record that says it is ambiguous may lack attributes, and has none that is wrong in any of
    /// the ways to read it. Otherwise there is one way and it is read in full. `only`: there is no
    /// other way at all, not even a strange one, so it must not say that it is ambiguous.
    pub fn one_of(&mut self, place: &str, record: &Value, ways: &[Expected], only: bool) {
        self.compared += 1;
        let ambiguous = error_of(record) == Some(&Value::from("ambiguous"));
        self.expect(place, record, "read", ambiguous || error_of(record).is_none(), || "not read".to_owned());
        self.expect(place, record, "only", !(ambiguous && only), || "ambiguous, though there is one way".to_owned());
        if !ambiguous {
            self.expect(place, record, "several", ways.len() == 1, || {
                "read in one way, though there are several".to_owned()
            });
        }
        let known =
            ways.iter().all(|way| record.get("timestamp").is_some_and(|got| same_time(got, way.timestamp.as_deref())));
        self.expect(place, record, "timestamp", known, || format!("timestamp {:?}", record.get("timestamp")));
        for (key, value) in attributes(record) {
            let right = ways.iter().all(|way| way.attributes.get(key) == Some(value));
            self.expect(place, record, key, right, || format!("{key} = {value}, which is not certain"));
        }
        if let Some(id) = record.get("trace_id") {
            let right = ways.iter().all(|way| way.trace_id.as_deref() == id.as_str());
            self.expect(place, record, "trace_id", right, || format!("trace_id {id}, which is not certain"));
        }
        let severity = record.get("severity_text").and_then(Value::as_str);
        let severe = ways.iter().all(|way| severity == way.severity || ambiguous && severity.is_none());
        self.expect(place, record, "severity_text", severe, || format!("severity {}", record["severity_text"]));
        if !ambiguous {
            self.read(place, record, &ways[0]);
        }
    }

    /// What does not depend on how it was read. Differences are shown by `key`.
    pub fn expect(&mut self, place: &str, record: &Value, key: &str, holds: bool, what: impl FnOnce() -> String) {
        if holds {
            return;
        }
        let (count, examples) = self.differences.entry(key.to_owned()).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            let body: String = record["body"].to_string().chars().take(400).collect();
            examples.push(format!("{place}: {}\n        {body}", what()));
        }
    }

    /// Panics with the first differences of each kind.
    pub fn verdict(self, compared: usize) {
        assert_eq!(self.compared, compared, "records were left out");
        let mut text = String::new();
        for (key, (count, examples)) in &self.differences {
            let _ = writeln!(text, "{key}: {count} times\n    {}", examples.join("\n    "));
        }
        assert!(self.differences.is_empty(), "differences in {compared} records:\n{text}");
    }

    fn read(&mut self, place: &str, record: &Value, expected: &Expected) {
        let got: Vec<(&str, &Value)> = attributes(record).collect();
        for (key, value) in &expected.attributes {
            let found = got.iter().find(|(found, _)| found == key).map(|(_, value)| *value);
            self.same(place, record, key, Some(value), found);
        }
        for (key, value) in got {
            let known = expected.attributes.contains_key(key);
            self.expect(place, record, key, known, || format!("{key} = {value}, which nothing says"));
        }
        let time = record.get("timestamp").unwrap_or(&Value::Null);
        self.expect(place, record, "timestamp", same_time(time, expected.timestamp.as_deref()), || {
            format!("timestamp {time}, not {:?}", expected.timestamp)
        });
        let severity = expected.severity.map(Value::from);
        self.same(place, record, "severity_text", severity.as_ref(), record.get("severity_text"));
        let number = expected.severity.map(|it| match it {
            "INFO" => 9.into(),
            "WARN" => 13.into(),
            _ => Value::from(17),
        });
        self.same(place, record, "severity_number", number.as_ref(), record.get("severity_number"));
        let doubtful = expected.doubtful.then(|| Value::from("possible"));
        self.same(place, record, "logboom.mojibake", doubtful.as_ref(), record["attributes"].get("logboom.mojibake"));
        let trace = expected.trace_id.as_deref().map(Value::from);
        self.same(place, record, "trace_id", trace.as_ref(), record.get("trace_id"));
        let span = expected.span_id.as_deref().map(Value::from);
        self.same(place, record, "span_id", span.as_ref(), record.get("span_id"));
    }

    fn same(&mut self, place: &str, record: &Value, key: &str, expected: Option<&Value>, got: Option<&Value>) {
        self.expect(place, record, key, expected == got, || {
            format!("{key}: expected {}, got {}", shown(expected), shown(got))
        });
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |it| it.to_string().chars().take(200).collect())
}

fn error_of(record: &Value) -> Option<&Value> {
    record["attributes"].get("logboom.parse_error")
}

/// The attributes that say something about the traffic, not about the way here.
fn attributes(record: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = record["attributes"].as_object().into_iter().flatten();
    let own = |key: &str| key.starts_with("logboom.") || key.starts_with("network.peer.");
    all.filter(move |(key, _)| !own(key)).map(|(key, value)| (key.as_str(), value))
}

/// RFC 3339 in UTC; trailing zeros of the fraction mean nothing.
fn same_time(got: &Value, expected: Option<&str>) -> bool {
    fn bare(text: &str) -> &str {
        let text = text.strip_suffix('Z').unwrap_or(text);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
    }
    got.as_str().map(bare) == expected.map(bare)
}
