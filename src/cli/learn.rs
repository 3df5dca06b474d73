//! `learn`: which format do these lines have?

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, complain, print, tame};
use crate::decode::format::Format;
use crate::decode::reader::{Origin, Reader};
use crate::explain::short;
use crate::learn::{self, Proposal, Share, Survey};
use crate::semantics::{self, Meaning};

/// What is read of the samples.
const BYTES_MAX: u64 = 64 << 20;
const LINES_MAX: usize = 100_000;
/// Lines that formats are made from.
const UNREAD_MAX: usize = 20_000;
/// Rows of a table of keys.
const ROWS_MAX: usize = 60;
/// Characters of an example.
const EXAMPLE_MAX: usize = 40;

#[derive(Args, Debug)]
pub struct LearnArgs {
    /// File with lines as a proxy sends them, `-` for standard input; the first 100,000 lines and 64 MiB are read
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Exit 0 when there is something to say about the lines, 1 when they have nothing in common, 2
/// when there are none.
pub fn learn(args: &LearnArgs) -> Exit {
    let bytes = match read(&args.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            complain(&format!("error: cannot read {}: {error}", args.file.display()));
            return Exit::Usage;
        }
    };
    let lines: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .take(LINES_MAX)
        .collect();
    if lines.is_empty() {
        complain("error: there are no lines; give some as a proxy sends them");
        return Exit::Usage;
    }
    let reader = match Reader::compile(&Default::default(), Origin::Lines) {
        Ok(reader) => reader,
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    let survey = learn::survey(&lines, &reader);
    let mut out = String::new();
    shares(&survey, &mut out);
    keys(&survey, &mut out);
    if survey.unread.is_empty() {
        out.push_str("\nformat: auto, the default, reads all of it: nothing has to be configured.\n");
        return print(&out);
    }
    let unread: Vec<&[u8]> = survey.unread.iter().take(UNREAD_MAX).map(|index| lines[*index]).collect();
    let found = formats(&unread);
    if found.is_empty() {
        out.push_str("\nThe lines that are not read have no format in common. They are kept as text.\n");
        let example = String::from_utf8_lossy(unread.first().copied().unwrap_or_default());
        let _ = writeln!(out, "The first of them: {}", short(&example, 100));
        return match print(&out) {
            Exit::Clean => Exit::Failure,
            exit => exit,
        };
    }
    for (proposal, share) in &found {
        describe(proposal, *share, unread.len(), &mut out);
    }
    snippet(&survey, &found, &mut out);
    print(&out)
}

fn read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(BYTES_MAX).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn shares(survey: &Survey, out: &mut String) {
    let plural = if survey.lines == 1 { "line" } else { "lines" };
    let _ = writeln!(out, "{} {plural}\n", survey.lines);
    let mut row = |count: usize, name: &str, ambiguous: usize| {
        let percent = 100.0 * count as f64 / survey.lines as f64;
        let _ = write!(out, "{count:>8} {percent:>6.1} %  {name}");
        out.push_str(&if ambiguous > 0 { format!("  ({ambiguous} in several ways)\n") } else { "\n".to_owned() });
    };
    for (name, share) in &survey.formats {
        row(share.all(), name, share.ambiguous);
    }
    if survey.objects > 0 {
        row(survey.objects, "JSON objects", 0);
    }
    if !survey.unread.is_empty() {
        row(survey.unread.len(), "not read by format: auto", 0);
    }
}

fn keys(survey: &Survey, out: &mut String) {
    if survey.keys.is_empty() {
        return;
    }
    let width = survey.keys.keys().map(|key| tame(key).chars().count()).max().unwrap_or(0).min(EXAMPLE_MAX);
    let _ = writeln!(out, "\nkeys of the objects\n");
    for (key, count) in survey.keys.iter().take(ROWS_MAX) {
        let meaning = match semantics::known_key(key.as_bytes()).map(|it| it.meaning) {
            Some(Meaning::Field(field)) => format!("known: {field:?}"),
            Some(Meaning::Attribute(name, _)) => format!("known: {name}"),
            None => "kept under its own name".to_owned(),
        };
        let _ = writeln!(out, "{count:>8}  {:<width$}  {meaning}", short(key, EXAMPLE_MAX));
    }
    if survey.keys.len() > ROWS_MAX {
        let _ = writeln!(out, "          and {} more", survey.keys.len() - ROWS_MAX);
    }
}

/// Proposals that Envoy would accept and that read lines, with how many they read.
fn formats(unread: &[&[u8]]) -> Vec<(Proposal, Share)> {
    let texts: Vec<_> = unread.iter().map(|line| String::from_utf8_lossy(line)).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let mut found: Vec<(Proposal, Share)> = Vec::new();
    let mut left = unread.to_vec();
    for proposal in learn::propose(&texts) {
        let Ok(format) = Format::compile(&proposal.format) else { continue };
        let share = learn::take(&format, &mut left);
        // A format that is only needed for what an earlier one leaves over is an accident.
        if share.all() * 100 >= unread.len() {
            found.push((proposal, share));
        }
    }
    found
}

fn describe(proposal: &Proposal, share: Share, lines: usize, out: &mut String) {
    let _ = writeln!(out, "\nA format that reads {} of the {lines} lines that are not read:\n", share.all());
    let _ = writeln!(out, "  {}\n", tame(&proposal.format));
    let width = proposal.slots.iter().map(|it| it.operator.chars().count()).max().unwrap_or(0);
    for slot in &proposal.slots {
        let doubt = slot.doubt.map(|it| format!("  ? {it}")).unwrap_or_default();
        let example = short(&slot.example, EXAMPLE_MAX);
        let row = format!("  {:<width$}  {example:<24}{doubt}", tame(&slot.operator));
        let _ = writeln!(out, "{}", row.trim_end());
    }
    if proposal.slots.iter().any(|it| it.operator.starts_with("%REQ(X-FIELD-")) {
        let _ = writeln!(out, "\n  %REQ(X-FIELD-…)% only holds a place: write the operator of your policy there.");
    }
    if !proposal.constants.is_empty() {
        let words: Vec<String> = proposal.constants.iter().map(|it| tame(it)).collect();
        let _ =
            writeln!(out, "\n  The same in all lines: {}. What can differ has to be an operator.", words.join(", "));
    }
    if share.ambiguous > 0 {
        let _ = writeln!(
            out,
            "\n  {} lines can be read in several ways: only what is certain is kept of them.",
            share.ambiguous
        );
    }
}

fn snippet(survey: &Survey, found: &[(Proposal, Share)], out: &mut String) {
    out.push_str("\nFor the configuration; the format in your policy is better, if you have it:\n\n");
    out.push_str("sources:\n  mesh:\n    type: lines\n    listen: 127.0.0.1:5000\n    format:\n");
    let reads_others = survey.unread.len() < survey.lines;
    if let ([(proposal, _)], false) = (found, reads_others) {
        let _ = writeln!(out, "      type: Plain\n      plain: {}", quoted(&proposal.format));
        return;
    }
    if reads_others {
        out.push_str("      - auto\n");
    }
    for (proposal, _) in found {
        let _ = writeln!(out, "      - type: Plain\n        plain: {}", quoted(&proposal.format));
    }
}

/// Text as YAML.
fn quoted(text: &str) -> String {
    if text.chars().any(char::is_control) {
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}
