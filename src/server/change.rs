//! What is different between two configurations, component by component.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Checked, Config};
use crate::sink::SinkConfig;
use crate::source::SourceConfig;

/// What a reload has to do. A component is known by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Sources that were not there, or had another type.
    pub sources_added: BTreeSet<String>,
    /// Sources that are not there any more, or have another type.
    pub sources_removed: BTreeSet<String>,
    /// Sources with other settings.
    pub sources_changed: BTreeSet<String>,
    /// Of these, and of the added, those that listen on an address they did not listen on before.
    pub sources_bound: BTreeSet<String>,
    /// Sinks that were not there.
    pub sinks_added: BTreeSet<String>,
    /// Sinks that are not there any more.
    pub sinks_removed: BTreeSet<String>,
    /// Sinks of which more changed than what they take: another one takes their place.
    pub sinks_replaced: BTreeSet<String>,
    /// Sinks that only take something else.
    pub sinks_rewired: BTreeSet<String>,
    /// Of these, those that take from other sources.
    pub sinks_from_others: BTreeSet<String>,
    /// Added or replacing sinks that write where one of before still writes: that one has to
    /// end first.
    pub sinks_waiting: BTreeSet<String>,
    /// `redact`, `memory` or `shutdown`.
    pub rest: bool,
    /// What needs a restart, by key.
    pub needs_restart: Vec<&'static str>,
}

impl Change {
    /// From `old` to `new`.
    pub fn between(old: &Checked, new: &Checked) -> Change {
        let (old, new) = (old.config(), new.config());
        let mut change = Change::default();
        change.sources(&old.sources, &new.sources);
        change.sinks(&old.sinks, &new.sinks);
        change.rest = (&old.redact, old.memory, old.shutdown) != (&new.redact, new.memory, new.shutdown);
        change.needs_restart = needs_restart(old, new);
        change
    }

    /// True when everything is as it was.
    pub fn is_nothing(&self) -> bool {
        *self == Change::default()
    }

    /// True when sinks have to be given other places in the journal.
    pub fn concerns_cursors(&self) -> bool {
        let sets = [&self.sinks_added, &self.sinks_removed, &self.sinks_replaced, &self.sinks_from_others];
        sets.into_iter().any(|names| !names.is_empty())
    }

    fn sources(&mut self, old: &BTreeMap<String, SourceConfig>, new: &BTreeMap<String, SourceConfig>) {
        for (name, source) in new {
            match old.get(name).filter(|it| it.kind() == source.kind()) {
                Some(before) if before == source => continue,
                Some(before) => {
                    self.sources_changed.insert(name.clone());
                    if before.address() == source.address() {
                        continue;
                    }
                }
                None => drop(self.sources_added.insert(name.clone())),
            }
            self.sources_bound.insert(name.clone());
        }
        let stays =
            |(name, source): &(&String, &SourceConfig)| new.get(*name).is_some_and(|it| it.kind() == source.kind());
        self.sources_removed = old.iter().filter(|it| !stays(it)).map(|(name, _)| name.clone()).collect();
    }

    fn sinks(&mut self, old: &BTreeMap<String, SinkConfig>, new: &BTreeMap<String, SinkConfig>) {
        for (name, sink) in new {
            let name = name.clone();
            match old.get(&name) {
                None => self.sinks_added.insert(name),
                Some(before) if before == sink => continue,
                Some(before) if is_same_sink(before, sink) => {
                    if before.from != sink.from {
                        self.sinks_from_others.insert(name.clone());
                    }
                    self.sinks_rewired.insert(name)
                }
                Some(_) => self.sinks_replaced.insert(name),
            };
        }
        self.sinks_removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
        let ending = self.sinks_removed.iter().chain(&self.sinks_replaced);
        let taken: BTreeSet<String> = ending.filter_map(|name| old.get(name)?.kind.place()).collect();
        let waits =
            |name: &&String| new.get(*name).and_then(|it| it.kind.place()).is_some_and(|it| taken.contains(&it));
        self.sinks_waiting = self.sinks_added.iter().chain(&self.sinks_replaced).filter(waits).cloned().collect();
    }
}

/// The same but for what it takes.
fn is_same_sink(before: &SinkConfig, now: &SinkConfig) -> bool {
    (&before.kind, before.inbox, before.wait_max) == (&now.kind, now.inbox, now.wait_max)
}

fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [("admin", old.admin != new.admin), ("journal", old.journal != new.journal)];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
