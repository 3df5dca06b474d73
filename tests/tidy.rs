//! What the house looks like: rules that no lint can check.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Lines after which a file is more than one idea.
const FILE_LINES_MAX: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory whose names end so.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().is_some_and(|it| it.ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

/// The code of a source file: without comments, and without its tests where they are at its end.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The files of a room: `src/room.rs` and all below `src/room/`, except for files of tests.
fn room(name: &str) -> Vec<PathBuf> {
    let mut found = files(&root().join("src").join(name), ".rs");
    found.extend(Some(root().join("src").join(format!("{name}.rs"))).filter(|it| it.exists()));
    found.retain(|path| !path.components().any(|part| part.as_os_str().to_str().unwrap().starts_with("tests")));
    found
}

/// Guarantee: bytes in, bytes out. Whoever reads or writes records knows no sockets, files, clocks
/// or tasks; sources and sinks do not know each other; nobody but the command line ends the
/// process.
#[test]
fn rooms_know_only_what_is_below_them() {
    let check = |rooms: &[&str], forbidden: &[&str]| {
        for path in rooms.iter().flat_map(|name| room(name)) {
            let code = code(&path);
            for word in forbidden {
                assert!(!code.contains(word), "{} must not know {word}", path.display());
            }
        }
    };
    let outside = ["tokio", "std::fs", "std::net", "std::process", "SystemTime", "Instant::now", "tracing::"];
    let rooms =
        ["source", "sink", "inbox", "intake", "server", "telemetry", "admin", "config", "cli", "budget", "generate"];
    let above: Vec<String> = rooms.iter().map(|room| format!("crate::{room}")).collect();
    let forbidden: Vec<&str> = outside.into_iter().chain(above.iter().map(String::as_str)).collect();
    check(&["decode", "semantics", "encode", "record", "redact"], &forbidden);
    // It may ask the configuration how suggestions are made.
    let forbidden: Vec<&str> = forbidden.into_iter().filter(|it| *it != "crate::config").collect();
    check(&["select"], &forbidden);
    check(&["otelcol"], &["tokio", "std::fs", "std::net", "crate::sink", "crate::source", "crate::server"]);
    check(&["source"], &["crate::sink", "crate::server", "crate::cli"]);
    check(&["sink"], &["crate::source", "crate::intake", "crate::server", "crate::cli"]);
    check(
        &["inbox", "budget", "batch", "gap"],
        &["crate::sink", "crate::source", "crate::intake", "crate::server", "crate::cli"],
    );
    check(&["intake"], &["crate::sink", "crate::source", "crate::server", "crate::cli"]);
    for path in files(&root().join("src"), ".rs") {
        let may_exit = path.ends_with("src/main.rs") || path.starts_with(root().join("src/cli"));
        assert!(may_exit || !code(&path).contains("process::exit"), "{} ends the process", path.display());
    }
}

/// Guarantee: the rules above read what they think they read.
#[test]
fn rooms_are_where_they_were() {
    for name in [
        "decode", "encode", "record", "source", "sink", "inbox", "budget", "batch", "gap", "intake", "select", "redact",
    ] {
        assert!(!room(name).is_empty(), "there is no src/{name}");
    }
    for path in files(&root().join("src"), ".rs") {
        // With a list the paths above would not be found.
        assert!(!code(&path).contains("use crate::{"), "{}: name each room in a line of its own", path.display());
    }
}

#[test]
fn files_are_small() {
    for path in files(&root().join("src"), ".rs") {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines: split it by ideas", path.display());
    }
}

/// Guarantee: whoever copies a metric's name from a page, a dashboard or an alert finds it.
#[test]
fn every_metric_that_is_named_exists() {
    let known: BTreeSet<&str> = logboom::telemetry::METRICS.iter().map(|(name, _)| *name).collect();
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for directory in ["docs", "config", "bench", "deploy"] {
        for ending in [".md", ".yaml", ".yml", ".json"] {
            pages.extend(files(&root().join(directory), ending));
        }
    }
    for page in pages.iter().filter(|page| page.exists()) {
        let text = std::fs::read_to_string(page).unwrap();
        for name in metric_names(&text) {
            assert!(known.contains(name), "{} names {name}, which is no metric", page.display());
        }
    }
}

/// Words that look like our metrics; `logboom_…_` is the beginning of several.
fn metric_names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let endings = ["_total", "_bytes", "_records", "_info", "_seconds", "_connections"];
    words.filter(move |it| it.starts_with("logboom_") && endings.iter().any(|ending| it.ends_with(ending)))
}

#[test]
fn metric_names_are_found() {
    let text = "`logboom_lines_total{source}` and sum(logboom_nothing_total) in logboom_ or logboom_test";
    assert_eq!(metric_names(text).collect::<Vec<_>>(), ["logboom_lines_total", "logboom_nothing_total"]);
}
