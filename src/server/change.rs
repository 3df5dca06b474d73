//! What is different between two configurations, component by component.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Checked;
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
    /// Of these, and of the added, those that listen on other addresses than before.
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
    /// What is written otherwise and stays as it is until a restart, by key.
    pub needs_restart: Vec<&'static str>,
}

impl Change {
    /// From `old` to `new`, which stands [beside](Checked::beside) it.
    pub fn between(old: &Checked, new: &Checked) -> Change {
        let mut change = Change { needs_restart: new.needs_restart().to_vec(), ..Change::default() };
        let (old, new) = (old.config(), new.config());
        change.sources(&old.sources, &new.sources);
        change.sinks(&old.sinks, &new.sinks);
        change.rest = (&old.redact, old.memory, old.shutdown) != (&new.redact, new.memory, new.shutdown);
        change
    }

    /// True when everything is as it was.
    pub fn is_nothing(&self) -> bool {
        *self == Change::default()
    }

    /// The sinks that would need other places in the journal, and what becomes of them.
    pub fn concerns_cursors(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let sets = [
            (&self.sinks_added, "is added"),
            (&self.sinks_removed, "is removed"),
            (&self.sinks_replaced, "has other settings"),
            (&self.sinks_from_others, "takes from other sources"),
        ];
        sets.into_iter().flat_map(|(names, what)| names.iter().map(move |name| (name.as_str(), what)))
    }

    fn sources(&mut self, old: &BTreeMap<String, SourceConfig>, new: &BTreeMap<String, SourceConfig>) {
        for (name, source) in new {
            match old.get(name).filter(|it| it.kind() == source.kind()) {
                Some(before) if before == source => continue,
                Some(before) => {
                    self.sources_changed.insert(name.clone());
                    if before.places() == source.places() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const BEFORE: &str = "\
sources:
  mesh: {type: lines, listen: 127.0.0.1:5000}
  otlp: {type: otlp, grpc: 127.0.0.1:4317}
sinks:
  files: {type: file, path: logs/a}
  up: {type: otlp, endpoint: 'http://x:1', headers: {token: a}}
";

    /// What changes, as words.
    fn check(from: &str, to: &str, expected: &[&str]) {
        let read = |yaml: &str| Config::from_text("c.yaml", yaml).unwrap();
        let before = read(BEFORE);
        let after = read(&BEFORE.replace(from, to)).beside(&before).unwrap();
        let change = Change::between(&before, &after);
        let sets = [
            ("+source", &change.sources_added),
            ("-source", &change.sources_removed),
            ("~source", &change.sources_changed),
            ("bind", &change.sources_bound),
            ("+sink", &change.sinks_added),
            ("-sink", &change.sinks_removed),
            ("~sink", &change.sinks_replaced),
            ("wire", &change.sinks_rewired),
            ("wait", &change.sinks_waiting),
        ];
        let mut got: Vec<String> =
            sets.iter().flat_map(|(what, names)| names.iter().map(move |name| format!("{what} {name}"))).collect();
        got.extend(change.rest.then(|| "rest".to_owned()));
        got.extend(change.needs_restart.iter().map(|key| format!("restart {key}")));
        assert_eq!(got, expected, "{from:?} -> {to:?}");
        assert_eq!(change.is_nothing(), expected.is_empty());
    }

    #[test]
    fn component_by_component() {
        check("sources:", "# a comment\nsources:", &[]);
        check("listen: 127.0.0.1:5000", "listen: 127.0.0.1:5001", &["~source mesh", "bind mesh"]);
        check("5000}", "5000, line_max: 2KiB}", &["~source mesh"]);
        check("4317}", "4317, http: 127.0.0.1:4318}", &["~source otlp", "bind otlp"]);
        check("mesh:", "web:", &["+source web", "-source mesh", "bind web"]);
        check(
            "{type: lines, listen: 127.0.0.1:5000}",
            "{type: otlp, grpc: 127.0.0.1:5000}",
            &["+source mesh", "-source mesh", "bind mesh"],
        );
        check("path: logs/a", "path: logs/a, sample: 1/2", &["wire files"]);
        check("path: logs/a", "path: logs/a, sync: always", &["~sink files", "wait files"]);
        check("path: logs/a", "path: ./logs//a, sync: always", &["~sink files", "wait files"]);
        check("path: logs/a", "path: logs/b", &["~sink files"]);
        check("files:", "other:", &["+sink other", "-sink files", "wait other"]);
        check("token: a", "token: b", &["~sink up"]);
        check("sinks:", "sinks:\n  more: {type: stdout}", &["+sink more"]);
        check("sources:", "memory: 128MiB\nredact: {mask_ip: true}\nsources:", &["rest"]);
        check("sources:", "admin: {listen: off}\nsources:", &["restart admin"]);
        check("sources:", "takeover: {socket: /run/x}\nsources:", &["restart takeover"]);
        // The upstream would wait for ever with a journal; there is none yet.
        check("sources:", "journal: {dir: data}\nsources:", &["restart journal"]);
    }

    #[test]
    fn inboxes_that_nobody_wrote_keep_their_size() {
        let before = Config::from_text("c.yaml", BEFORE).unwrap();
        let more = |inbox: &str| {
            let sinks: String = (0..3).map(|it| format!("  more-{it}: {{type: stdout{inbox}}}\n")).collect();
            BEFORE.to_owned() + &sinks.replace("stdout", "'null'")
        };
        let inbox = |checked: &Checked, name: &str| checked.config().sinks[name].inbox.unwrap().0;
        let after = Config::from_text("c.yaml", &more("")).unwrap();
        assert!(inbox(&after, "files") < inbox(&before, "files"));
        let after = after.beside(&before).unwrap();
        assert_eq!(inbox(&after, "files"), inbox(&before, "files"));
        assert!(inbox(&after, "more-0") < inbox(&before, "files"));
        let refused = Config::from_text("c.yaml", &more(", inbox: 10MiB")).unwrap().beside(&before);
        assert!(refused.unwrap_err().contains("memory"));
    }
}
