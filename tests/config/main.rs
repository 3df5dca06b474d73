//! Configurations, right and wrong, as a user writes them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod any_text;
mod examples;
mod policies;
mod rules;
mod text;
mod values;

use logboom::config::Config;

/// A frame that is right, so that a case shows only its mistake. It takes four lines.
const SOURCE: &str = "sources:\n  mesh: {type: lines, listen: \"127.0.0.1:5000\"}\n";
const SINK: &str = "sinks:\n  out: {type: stdout}\n";

/// Refused, and every fragment is in what the user reads.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let shown = match Config::from_text("logboom.yaml", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(errors) => errors.to_string(),
    };
    for fragment in expected {
        assert!(shown.contains(fragment), "{fragment:?} is missing for:\n{text}\n---\n{shown}");
    }
}

#[track_caller]
fn accept(text: &str) -> logboom::config::Checked {
    Config::from_text("logboom.yaml", text).unwrap_or_else(|errors| panic!("{text}\n---\n{errors}"))
}

/// The source and sink of the frame with one more top-level line, which is line 5.
#[track_caller]
fn check_top(line: &str, expected: &[&str]) {
    check(&format!("{SOURCE}{SINK}{line}\n"), expected);
}

/// Keys of a lines source; the first is on line 4.
#[track_caller]
fn check_lines(keys: &str, expected: &[&str]) {
    check(&format!("sources:\n  mesh:\n    type: lines\n    {keys}\n{SINK}"), expected);
}

/// Keys of an OTLP source; the first is on line 5.
#[track_caller]
fn check_otlp_source(keys: &str, expected: &[&str]) {
    check(&format!("sources:\n  otlp:\n    type: otlp\n    grpc: 127.0.0.1:4317\n    {keys}\n{SINK}"), expected);
}

/// Keys of a sink; the first is on line 6.
#[track_caller]
fn check_sink(kind: &str, keys: &str, expected: &[&str]) {
    check(&format!("{SOURCE}sinks:\n  s:\n    type: {kind}\n    {keys}\n"), expected);
}
