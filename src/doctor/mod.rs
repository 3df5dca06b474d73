//! What keeps a configuration from working here: ports, disks, limits, upstreams, the mesh around.
//!
//! One file for each kind of check. A check looks and changes nothing: no port is listened on, no file written, no
//! record sent. Each has its own time and all go on side by side, so that what hangs is told and holds nobody up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::Checked;

mod certificate;
mod clock;
mod date;
mod disks;
mod files;
mod journal;
mod limits;
mod listeners;
mod mesh;
mod place;
mod report;
mod running;
mod upstreams;

pub use report::{json, table};

/// How long one check may take.
pub const CHECK_MAX: Duration = Duration::from_secs(12);
/// How long one step over the network may take: a name, a connection, an answer.
const STEP_MAX: Duration = Duration::from_secs(3);

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and something should be known.
    Warn,
    /// It will not work, or will lose records.
    Fail,
}

/// What one check has found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How it is.
    pub verdict: Verdict,
    /// The kind of check, one word.
    pub check: &'static str,
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// What to do; empty when there is nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub help: String,
}

impl Finding {
    fn ok(check: &'static str, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Ok, check, subject: subject.into(), message: message.into(), help: String::new() }
    }

    fn warn(
        check: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Finding {
        Finding { verdict: Verdict::Warn, help: help.into(), ..Finding::ok(check, subject, message) }
    }

    fn fail(
        check: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Finding {
        Finding { verdict: Verdict::Fail, help: help.into(), ..Finding::ok(check, subject, message) }
    }
}

/// Where the checks look.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What `/proc`, `/sys` and `/var/run` stand under: `/`, but for tests.
    pub root: PathBuf,
    /// The configuration's file, to know a process that runs with it.
    pub config: Option<PathBuf>,
    /// The environment.
    pub environment: fn(&str) -> Option<OsString>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn here(config: Option<&Path>) -> Surroundings {
        Surroundings {
            root: PathBuf::from("/"),
            config: config.map(Path::to_owned),
            environment: |name| std::env::var_os(name),
        }
    }

    /// A small file below the root, as text.
    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }
}

/// A check that may block.
type Check = fn(&Checked, &Surroundings) -> Vec<Finding>;

/// Runs all checks: within [`CHECK_MAX`], whatever hangs. In the order of the table: the kinds, then as the configuration
/// has them.
pub async fn examine(checked: &Checked, around: &Surroundings) -> Vec<Finding> {
    let mut tasks = JoinSet::new();
    let mut started: Vec<(&'static str, tokio::task::AbortHandle)> = Vec::new();
    let blocking: &[(&'static str, Check)] = &[
        ("config", warnings),
        ("listen", listeners::check),
        ("file", files::check),
        ("journal", journal::check),
        ("disk", disks::check),
        ("limits", limits::check),
        ("mesh", mesh::check),
        ("clock", clock::check),
    ];
    for (order, (name, check)) in blocking.iter().enumerate() {
        let (checked, around) = (checked.clone(), around.clone());
        started.push((*name, tasks.spawn_blocking(move || (order, check(&checked, &around)))));
    }
    for (nth, (name, sink)) in upstreams::all(checked).into_iter().enumerate() {
        let order = blocking.len() + nth;
        started.push(("upstream", tasks.spawn(async move { (order, upstreams::check(&name, &sink).await) })));
    }
    let mut found: Vec<Option<Vec<Finding>>> = started.iter().map(|_| None).collect();
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Ok((order, findings)) = ended
                && let Some(place) = found.get_mut(order)
            {
                *place = Some(findings);
            }
        }
    };
    // What is late is told below.
    let _ = tokio::time::timeout(CHECK_MAX, all).await;
    tasks.detach_all();
    let late = |name: &'static str| {
        let help = "a file system or a name server that does not answer holds logboom up as well";
        vec![Finding::fail(name, name, format!("no answer within {CHECK_MAX:?}"), help)]
    };
    let found = found.into_iter().zip(&started);
    found.flat_map(|(findings, (name, _))| findings.unwrap_or_else(|| late(name))).collect()
}

/// What `logboom check` warns of.
fn warnings(checked: &Checked, _around: &Surroundings) -> Vec<Finding> {
    let (sources, sinks) = (checked.config().sources.len(), checked.config().sinks.len());
    let counts = format!("{sources} {}, {sinks} {}", plural(sources, "source"), plural(sinks, "sink"));
    let mut found = vec![Finding::ok("config", "configuration", format!("right: {counts}"))];
    found.extend(checked.warnings().iter().map(|it| Finding::warn("config", "configuration", it.as_str(), "")));
    found
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// Bytes for people: `1.5GiB`.
fn human(bytes: u64) -> String {
    const UNITS: &[&str] = &["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes}B") } else { format!("{value:.1}{}", UNITS[unit]) }
}
