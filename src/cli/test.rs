//! `test`: do the lines in `tests:` become what they should?

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::{Exit, complain, print, refuse, tame};
use crate::config::{Config, Draft, TestConfig, suggest};
use crate::explain::{short, single};
use crate::record::RecordRef;
use crate::redact::Redactor;
use crate::select::Condition;
use crate::sink::SinkConfig;
use crate::source::SourceConfig;

/// Characters of a line that a report shows.
const SHOWN_MAX: usize = 100;

#[derive(Args, Debug)]
pub struct TestArgs {
    /// YAML file with `tests:`
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Exit 0 when every test holds, 1 when one does not, 2 when the configuration is wrong.
pub fn test(args: &TestArgs) -> Exit {
    let checked = match Draft::file(&args.config).and_then(Draft::finish) {
        Ok(checked) => checked,
        Err(errors) => return refuse(&errors),
    };
    let config = checked.config();
    if config.tests.is_empty() {
        complain("error: the configuration has no tests; write `tests:` with a `line:` and what to `expect:`");
        return Exit::Usage;
    }
    let mut out = String::new();
    let mut failed = 0;
    for (index, test) in config.tests.iter().enumerate() {
        let outcome = run(config, test);
        failed += usize::from(!outcome.differences.is_empty());
        report(index, test, &outcome, &mut out);
    }
    let _ = writeln!(out, "{} passed, {failed} failed", config.tests.len() - failed);
    match print(&out) {
        Exit::Clean if failed > 0 => Exit::Failure,
        exit => exit,
    }
}

/// What became of a line.
#[derive(Debug, Default)]
struct Outcome {
    record: Map<String, Value>,
    differences: Vec<Difference>,
}

#[derive(Debug)]
struct Difference {
    what: String,
    expected: String,
    got: String,
}

fn run(config: &Config, test: &TestConfig) -> Outcome {
    let mut outcome = Outcome::default();
    let source = config.sources.iter().find_map(|(name, source)| match source {
        SourceConfig::Lines(_) if test.source.as_ref().is_none_or(|it| it == name) => {
            Some((name, source.reader().ok()?))
        }
        _ => None,
    });
    let Some((source, reader)) = source else { return outcome };
    single::read(&reader, Redactor::new(&config.redact).as_ref(), test.line.as_bytes(), |record| {
        outcome.record = single::json(record);
        outcome.differences = differences(&outcome.record, test);
        outcome.differences.extend(sinks(config, source, test, record));
    });
    outcome
}

/// Keys of the record itself; every other name is that of an attribute.
const OWN: &[&str] = &[
    "timestamp",
    "observed_timestamp",
    "severity_text",
    "severity_number",
    "trace_id",
    "span_id",
    "event_name",
    "body",
    "flags",
];

fn differences(record: &Map<String, Value>, test: &TestConfig) -> Vec<Difference> {
    let none = Map::new();
    let attributes = record.get("attributes").and_then(Value::as_object).unwrap_or(&none);
    let look = |key: &str| if OWN.contains(&key) { record.get(key) } else { attributes.get(key) };
    let mut found = Vec::new();
    for (key, expected) in &test.expect {
        let got = look(key);
        if same(key, &expected.0, got) {
            continue;
        }
        let mut difference = Difference {
            what: key.clone(),
            expected: if expected.0.is_null() { "nothing".to_owned() } else { tame(&expected.0.to_string()) },
            got: got.map_or_else(|| "nothing".to_owned(), |it| tame(&it.to_string())),
        };
        if got.is_none() {
            let names: Vec<&str> = OWN.iter().copied().chain(attributes.keys().map(String::as_str)).collect();
            if let Some(near) = suggest::nearest(key, &names) {
                let value = look(near).map_or_else(|| "nothing".to_owned(), |it| tame(&it.to_string()));
                let _ = write!(difference.got, "; did you mean `{}`? it is {value}", tame(near));
            }
        }
        found.push(difference);
    }
    found
}

/// A time may be written with other fraction digits.
fn same(key: &str, expected: &Value, got: Option<&Value>) -> bool {
    if let (true, Some(expected), Some(got)) =
        (key.ends_with("timestamp"), expected.as_str(), got.and_then(Value::as_str))
        && let (Ok(expected), Ok(got)) = (expected.parse::<jiff::Timestamp>(), got.parse::<jiff::Timestamp>())
    {
        return expected == got;
    }
    got.unwrap_or(&Value::Null) == expected
}

fn sinks(config: &Config, source: &str, test: &TestConfig, record: RecordRef<'_>) -> Option<Difference> {
    let mut expected: Vec<&str> = test.sinks.as_ref()?.iter().map(String::as_str).collect();
    expected.sort_unstable();
    expected.dedup();
    // What a sample takes depends on the records before.
    let holds = |when: &String| Condition::compile(when).is_ok_and(|it| it.matches(&record));
    let takes = |sink: &SinkConfig| sink.takes_from(source) && sink.when.as_ref().is_none_or(holds);
    let taking = config.sinks.iter().filter(|(_, sink)| takes(sink));
    let got: Vec<&str> = taking.map(|(name, _)| name.as_str()).collect();
    let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    (expected != got).then(|| Difference { what: "sinks".to_owned(), expected: list(&expected), got: list(&got) })
}

fn report(index: usize, test: &TestConfig, outcome: &Outcome, out: &mut String) {
    let is_ok = outcome.differences.is_empty();
    let name = test.name.as_deref().unwrap_or(&test.line).trim_end();
    let _ = writeln!(out, "{} {}: {}", if is_ok { "ok    " } else { "FAILED" }, index + 1, short(name, SHOWN_MAX));
    if is_ok {
        return;
    }
    if test.name.is_some() {
        let _ = writeln!(out, "    line      {}", short(test.line.trim_end(), SHOWN_MAX));
    }
    for Difference { what, expected, got } in &outcome.differences {
        let _ = writeln!(out, "    {}\n        expected {expected}\n        got      {got}", tame(what));
    }
    let _ = writeln!(out, "    the record is {}", tame(&Value::from(outcome.record.clone()).to_string()));
}
