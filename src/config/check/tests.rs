//! Tests must be about sources and sinks that exist.

use super::{Findings, Scope, suggest};
use crate::config::Config;
use crate::config::problem::shown;
use crate::source::SourceConfig;

pub fn check(config: &Config, scope: &Scope, findings: &mut Findings<'_>) {
    let lines: Vec<&str> = config
        .sources
        .iter()
        .filter_map(|(name, source)| matches!(source, SourceConfig::Lines(_)).then_some(name.as_str()))
        .collect();
    let sinks: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
    for (index, test) in config.tests.iter().enumerate() {
        let index = index.to_string();
        let at = |key| ["tests", index.as_str(), key];
        if test.line.trim_matches(['\r', '\n']).is_empty() {
            findings.refuse(&at("line"), "an empty line makes no record", "write a line as it arrives");
        } else if test.line.trim_end_matches(['\r', '\n']).contains('\n') {
            findings.refuse(&at("line"), "these are several lines", "write a test for each");
        }
        if test.expect.is_empty() && test.sinks.is_none() {
            findings.refuse(&["tests", &index, "line"], "the test expects nothing", "add `expect:` or `sinks:`");
        }
        // Names are compared with what could be read.
        if !scope.complete {
            continue;
        }
        match &test.source {
            Some(source) if !lines.contains(&source.as_str()) => {
                let message = format!("{} is no source of type `lines`", shown(source));
                findings.refuse(&at("source"), message, suggest::accepted(source, &lines));
            }
            None if lines.is_empty() => {
                findings.refuse(&at("line"), "there is no source of type `lines` to read it", "add one");
            }
            None if lines.len() > 1 => {
                let help = format!("write `source:`, one of: {}", lines.join(", "));
                findings.refuse(&at("line"), "several sources could read this line", help);
            }
            _ => {}
        }
        for (place, sink) in test.sinks.iter().flatten().enumerate() {
            if !sinks.contains(&sink.as_str()) {
                let message = format!("{} is no sink", shown(sink));
                let help = suggest::accepted(sink, &sinks);
                findings.refuse(&["tests", &index, "sinks", &place.to_string()], message, help);
            }
        }
    }
}
