//! Pipelines become `from`, `when` and `sample` of sinks.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::tree::{Entry, Node};

use super::exporters::{self, Kind, Sink};
use super::findings::Findings;
use super::look;
use super::processors::{self, Effect};
use super::receivers;
use super::write::{Part, Value};

/// Longest condition of a sink.
const WHEN_BYTES_MAX: usize = 4096;

/// What all pipelines for logs come to.
#[derive(Default)]
pub struct Plan {
    pub sources: Vec<Part>,
    pub sinks: Vec<Part>,
    pub headers: BTreeSet<String>,
    pub journal: Option<Value>,
    pub limit_mib: Option<u64>,
}

/// Records on their way to an exporter: where they come from, and what becomes of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Feed {
    sources: BTreeSet<String>,
    when: Vec<String>,
    sample: u64,
}

impl Feed {
    fn through(mut self, effect: &Effect) -> Feed {
        self.when.extend(effect.when.iter().cloned());
        self.sample = self.sample.max(1).saturating_mul(effect.sample.max(1)).min(1_000_000_000);
        self
    }
}

struct Reading<'a> {
    root: &'a Node,
    findings: &'a mut Findings,
    plan: Plan,
    /// The names of its sources by id; none for those without a counterpart.
    receivers: BTreeMap<String, Vec<String>>,
    processors: BTreeMap<String, Effect>,
    exporters: BTreeMap<String, Option<Sink>>,
    /// What each exporter gets, in the order of the exporters.
    wanted: Vec<(String, Vec<Feed>)>,
}

/// Reads all pipelines for logs.
pub fn read(root: &Node, findings: &mut Findings) -> Plan {
    let Some(pipelines) = look::at(root, &["service", "pipelines"]) else {
        let span = root.entry("service").and_then(|it| it.key_span.clone());
        findings.failed(
            span,
            "there are no pipelines, so nothing would run",
            "write `service: {pipelines: {logs: …}}`",
        );
        return Plan::default();
    };
    let (logs, others): (Vec<&Entry>, Vec<&Entry>) =
        pipelines.value.entries().iter().partition(|entry| look::kind(&entry.key) == "logs");
    for other in &others {
        let help = "keep a Collector for it; logboom can stand beside it, or in front of it for the logs";
        let message = format!("the pipeline {}: logboom takes logs only", other.key);
        findings.dropped(other.key_span.clone(), message, help);
    }
    if logs.is_empty() {
        let help = "logboom takes logs only: there is nothing for it in this configuration";
        findings.failed(pipelines.key_span.clone(), "there is no pipeline for logs", help);
    }
    let mut reading = Reading {
        root,
        findings,
        plan: Plan::default(),
        receivers: BTreeMap::new(),
        processors: BTreeMap::new(),
        exporters: BTreeMap::new(),
        wanted: Vec::new(),
    };
    for pipeline in &logs {
        reading.pipeline(pipeline, &logs);
    }
    reading.sinks();
    reading.plan
}

/// The ids at a key of a pipeline.
fn ids<'a>(pipeline: &'a Entry, key: &str) -> Vec<(&'a str, &'a Node)> {
    let list = look::at(&pipeline.value, &[key]).map(|it| look::items(&it.value)).unwrap_or_default();
    list.iter().filter_map(|node| Some((look::text(node)?, node))).collect()
}

impl Reading<'_> {
    fn pipeline(&mut self, pipeline: &Entry, all: &[&Entry]) {
        let feeds = self.feeds(pipeline, all, &mut Vec::new());
        let span = pipeline.key_span.clone();
        if feeds.is_empty() {
            let help = "nothing that arrives has a counterpart; see what is said of its receivers";
            self.findings.failed(span, format!("the pipeline {} cannot be made: nothing feeds it", pipeline.key), help);
            return;
        }
        let mut ends = 0;
        for (id, node) in ids(pipeline, "exporters") {
            if self.connector(id).is_some() {
                // What it feeds reads on from here.
                ends += usize::from(look::kind(id) == "forward");
                continue;
            }
            if self.exporter(id, node) {
                ends += 1;
                match self.wanted.iter_mut().find(|(it, _)| it == id) {
                    Some((_, wanted)) => wanted.extend(feeds.iter().cloned()),
                    None => self.wanted.push((id.to_owned(), feeds.clone())),
                }
            }
        }
        if ends == 0 {
            let help = "nothing that it writes to has a counterpart; see what is said of its exporters";
            let message = format!("the pipeline {} cannot be made: it leads nowhere", pipeline.key);
            self.findings.failed(span, message, help);
        }
    }

    /// What comes out of the processors of a pipeline.
    fn feeds(&mut self, pipeline: &Entry, all: &[&Entry], way: &mut Vec<String>) -> Vec<Feed> {
        if way.contains(&pipeline.key) {
            // The Collector refuses a circle as well.
            return Vec::new();
        }
        way.push(pipeline.key.clone());
        let mut direct = Feed { sample: 1, ..Feed::default() };
        let mut feeds = Vec::new();
        for (id, node) in ids(pipeline, "receivers") {
            match self.connector(id) {
                Some(_) if look::kind(id) == "forward" => {
                    let before: Vec<&&Entry> =
                        all.iter().filter(|it| ids(it, "exporters").iter().any(|(other, _)| *other == id)).collect();
                    for other in before {
                        feeds.extend(self.feeds(other, all, way));
                    }
                }
                Some(connector) => {
                    let help = "a sink takes what its own `when` says: write the condition of the route there; see docs/select.md";
                    let span = connector.key_span.clone();
                    self.findings.dropped(span, format!("the connector {id} has no counterpart"), help);
                }
                None => direct.sources.extend(self.receiver(id, node)),
            }
        }
        if !direct.sources.is_empty() {
            feeds.push(direct);
        }
        for (id, node) in ids(pipeline, "processors") {
            let effect = self.processor(id, node);
            feeds = feeds.into_iter().map(|feed| feed.through(&effect)).collect();
        }
        way.pop();
        feeds
    }

    fn connector(&self, id: &str) -> Option<Entry> {
        self.root.entry("connectors")?.value.entry(id).cloned()
    }

    /// The part at `section.id`; one that is not there is told of, at `node`.
    fn component(&mut self, section: &str, id: &str, node: &Node) -> Option<Entry> {
        let found = self.root.entry(section).and_then(|it| it.value.entry(id)).cloned();
        if found.is_none() {
            let help = format!("write it below `{section}:`");
            self.findings.failed(node.span.clone(), format!("there is no {id} in `{section}`"), help);
        }
        found
    }

    /// The names of the sources that a receiver is.
    fn receiver(&mut self, id: &str, node: &Node) -> Vec<String> {
        if let Some(known) = self.receivers.get(id) {
            return known.clone();
        }
        let mut names = Vec::new();
        if let Some(entry) = self.component("receivers", id, node) {
            for mut part in receivers::read(id, &entry, self.root, self.findings) {
                part.name = free_name(&part.name, &self.plan.sources);
                part.origins = vec![format!("receivers.{id}, {}", self.findings.line(&entry.key_span))];
                names.push(part.name.clone());
                self.plan.sources.push(part);
            }
        }
        self.receivers.insert(id.to_owned(), names.clone());
        names
    }

    fn processor(&mut self, id: &str, node: &Node) -> Effect {
        if let Some(known) = self.processors.get(id) {
            return known.clone();
        }
        let entry = self.component("processors", id, node);
        let effect = entry.map(|entry| processors::read(id, &entry, self.findings)).unwrap_or_default();
        self.plan.headers.extend(effect.headers.iter().cloned());
        self.plan.limit_mib = effect.limit_mib.or(self.plan.limit_mib);
        self.processors.insert(id.to_owned(), effect.clone());
        effect
    }

    /// True when the exporter has a counterpart.
    fn exporter(&mut self, id: &str, node: &Node) -> bool {
        if let Some(known) = self.exporters.get(id) {
            return known.is_some();
        }
        let sink = self.component("exporters", id, node).and_then(|entry| {
            let mut sink = exporters::read(id, &entry, self.root, self.findings)?;
            sink.part.origins = vec![format!("exporters.{id}, {}", self.findings.line(&entry.key_span))];
            Some(sink)
        });
        if let Some(journal) = sink.as_ref().and_then(|it| it.journal.clone()) {
            self.plan.journal.get_or_insert(journal);
        }
        let exists = sink.is_some();
        self.exporters.insert(id.to_owned(), sink);
        exists
    }

    /// A sink for each way in which an exporter is used.
    fn sinks(&mut self) {
        let mut console: Option<usize> = None;
        for (id, feeds) in std::mem::take(&mut self.wanted) {
            let Some(Some(sink)) = self.exporters.get(&id).cloned() else { continue };
            for feed in together(feeds) {
                if sink.kind == Kind::Stdout
                    && let Some(index) = console
                {
                    self.join(index, &id, &feed);
                    continue;
                }
                let mut part = sink.part.clone();
                part.name = free_name(&id, &self.plan.sinks);
                if sink.kind == Kind::File {
                    self.own_path(&id, &mut part);
                }
                self.select(&id, &feed, &mut part);
                console = console.or((sink.kind == Kind::Stdout).then_some(self.plan.sinks.len()));
                self.plan.sinks.push(part);
            }
        }
    }

    /// Writes down which records a sink takes.
    fn select(&mut self, id: &str, feed: &Feed, part: &mut Part) {
        if feed.sources.len() < self.plan.sources.len() {
            let from = feed.sources.iter().map(|name| Value::text(name.as_str())).collect();
            part.set("from", Value::List(from), "the receivers of its pipelines");
        }
        let when = feed.when.join(" && ");
        if when.len() > WHEN_BYTES_MAX {
            let span = self.root.entry("processors").and_then(|it| it.key_span.clone());
            let message = format!("the conditions for {id} have more than {WHEN_BYTES_MAX} bytes together");
            self.findings.failed(span, message, "write a shorter `when` by hand");
        } else if !when.is_empty() {
            part.set("when", Value::text(when), "what its filters do not drop");
        }
        if feed.sample > 1 {
            part.set("sample", Value::word(format!("1/{}", feed.sample)), "probabilistic_sampler");
        }
    }

    /// There is one standard output: it takes what either wants.
    fn join(&mut self, index: usize, id: &str, feed: &Feed) {
        let span = self.root.entry("exporters").and_then(|it| it.value.entry(id)).and_then(|it| it.key_span.clone());
        let all: BTreeSet<String> = self.plan.sources.iter().map(|it| it.name.clone()).collect();
        let part = &mut self.plan.sinks[index];
        let mut from: BTreeSet<String> = match part.get("from") {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(|it| if let Value::Text(name) = it { Some(name.clone()) } else { None })
                .collect(),
            _ => all.clone(),
        };
        from.extend(feed.sources.iter().cloned());
        let when = match part.get("when") {
            Some(Value::Text(when)) if !feed.when.is_empty() => {
                Some(format!("({when}) || ({})", feed.when.join(" && ")))
            }
            _ => None,
        };
        part.items.retain(|item| !["from", "when", "sample"].contains(&item.key));
        if from.len() < all.len() {
            part.set(
                "from",
                Value::List(from.into_iter().map(Value::Text).collect()),
                "the receivers of its pipelines",
            );
        }
        if let Some(when) = when.filter(|it| it.len() <= WHEN_BYTES_MAX) {
            part.set("when", Value::text(when), "what the filters of either pipeline do not drop");
        }
        let help = "there is one sink of type stdout; what a pipeline leaves out for it the other may let through";
        self.findings.changed(
            span,
            format!("{id} writes to the standard output that another exporter or pipeline writes to"),
            help,
        );
    }

    /// Two sinks cannot write one file.
    fn own_path(&mut self, id: &str, part: &mut Part) {
        let Some(Value::Text(path)) = part.get("path").cloned() else { return };
        let at = path.rfind('/').map_or(0, |it| it + 1);
        let dot = path[at..].rfind('.').filter(|dot| *dot > 0).map_or(path.len(), |dot| at + dot);
        let plain = |path: &str| path.trim_start_matches("./").to_owned();
        let is_taken = |path: &str| {
            let taken = self.plan.sinks.iter().filter_map(|sink| sink.get("path"));
            taken.into_iter().any(|it| matches!(it, Value::Text(other) if plain(other) == plain(path)))
        };
        let mut names =
            (1..).map(|n| if n == 1 { path.clone() } else { format!("{}-{n}{}", &path[..dot], &path[dot..]) });
        let Some(own) = names.find(|it| !is_taken(it)).filter(|it| *it != path) else { return };
        let span = self.root.entry("exporters").and_then(|it| it.value.entry(id)).and_then(|it| it.key_span.clone());
        let help = "each pipeline selects for itself, and two sinks cannot write one file";
        self.findings.changed(span, format!("{id} of another pipeline writes to {own}"), help);
        part.set("path", Value::Text(own), "path");
    }
}

/// Feeds that differ in their sources alone are one.
fn together(feeds: Vec<Feed>) -> Vec<Feed> {
    let mut groups: Vec<Feed> = Vec::new();
    for feed in feeds {
        match groups.iter_mut().find(|it| it.when == feed.when && it.sample == feed.sample) {
            Some(group) => group.sources.extend(feed.sources),
            None => groups.push(feed),
        }
    }
    groups
}

/// A name that no other part has: the id with `-` for what names cannot hold.
fn free_name(id: &str, parts: &[Part]) -> String {
    let letters = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = id.chars().map(letters).take(56).collect();
    let names = (1..).map(|n| if n == 1 { name.clone() } else { format!("{name}-{n}") });
    names.into_iter().find(|name| !parts.iter().any(|part| part.name == *name)).unwrap_or_default()
}
