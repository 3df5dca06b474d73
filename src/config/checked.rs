//! A configuration that holds together, and what follows from it.

use std::time::Duration;

use super::Config;
use super::units::{ByteSize, WaitMax};
use crate::sink::SinkKind;

/// A checked configuration. There is no other way to one than [`super::Draft::finish`], so who
/// holds it need not check again.
#[derive(Clone, Debug)]
pub struct Checked {
    config: Config,
    warnings: Vec<String>,
}

impl Checked {
    pub(super) fn new(mut config: Config, warnings: Vec<String>) -> Checked {
        for sink in config.sinks.values_mut() {
            sink.wait_max.get_or_insert(default_wait_max(&sink.kind));
        }
        Checked { config, warnings }
    }

    /// What the user wrote, defaults filled in: `wait_max` of every sink is set.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What holds but should be known at start, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How long a full sink may hold the sources back: what is written, or the default of its
    /// type. 0s for a name that is no sink.
    #[must_use]
    pub fn wait_max(&self, sink: &str) -> WaitMax {
        let sink = self.config.sinks.get(sink);
        sink.and_then(|sink| sink.wait_max).unwrap_or(WaitMax::Bounded(Duration::ZERO))
    }

    /// What the memory budget is made of, in bytes: one summand for each inbox, the rest for
    /// reading and decoding. The sum is `memory`. Outside of it are the program itself, the
    /// buffers of the kernel, and what each open connection and file costs before data arrives.
    #[must_use]
    pub fn memory_bound(&self) -> Vec<(String, u64)> {
        let mut sum: Vec<(String, u64)> =
            self.config.sinks.iter().map(|(name, sink)| (format!("inbox of {name}"), sink.inbox.0)).collect();
        let inboxes: u64 = sum.iter().map(|(_, bytes)| bytes).sum();
        sum.push(("reading and decoding".to_owned(), self.config.memory.0.saturating_sub(inboxes)));
        sum
    }

    /// The same sum as a line: `64MiB = 16MiB inbox of files + 48MiB reading and decoding`.
    #[must_use]
    pub fn memory_bound_line(&self) -> String {
        let sum: Vec<String> =
            self.memory_bound().into_iter().map(|(what, bytes)| format!("{} {what}", ByteSize(bytes))).collect();
        format!("{} = {}", self.config.memory, sum.join(" + "))
    }

    /// Each source with the sinks that take its records.
    pub fn routes(&self) -> impl Iterator<Item = (&str, Vec<&str>)> + '_ {
        self.config.sources.keys().map(|source| {
            let takes = |from: &Option<Vec<String>>| from.as_ref().is_none_or(|from| from.contains(source));
            let sinks = self.config.sinks.iter().filter(|(_, sink)| takes(&sink.from));
            (source.as_str(), sinks.map(|(name, _)| name.as_str()).collect())
        })
    }
}

/// A local disk that stalls recovers in seconds, so it is worth waiting for; an upstream or a
/// reader of standard output may be away for hours.
fn default_wait_max(kind: &SinkKind) -> WaitMax {
    WaitMax::Bounded(match kind {
        SinkKind::File(_) => Duration::from_secs(5),
        SinkKind::Stdout(_) | SinkKind::Otlp(_) | SinkKind::Null(_) => Duration::ZERO,
    })
}
