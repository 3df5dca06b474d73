//! One source for each address.

use std::collections::{BTreeMap, HashSet};

use super::address::{Listener, Target};
use super::backend::{Transport, Wanted};
use super::format::{Format, mapping, quoted, sequence, word};
use super::{Findings, Place};
use crate::config::listen::Listen;
use crate::config::tree::Node;

/// Most sources of a configuration.
const SOURCES_MAX: usize = 256;
/// Places that a comment names.
const ORIGINS_MAX: usize = 8;

/// What a source takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Lines over TCP.
    Lines,
    /// OTLP over gRPC.
    Otlp,
}

/// A source that policies ask for.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name: `tcp-5000`, `otel-4317`.
    pub name: String,
    /// What it takes.
    pub kind: SourceKind,
    /// Where it listens.
    pub listen: Listen,
    /// Its formats as a value of the key `format`: one, or a list.
    pub(crate) format: Node,
    /// `file:line kind name` of backends that send to it.
    pub origins: Vec<String>,
    /// Backends that send to it beside those in `origins`.
    pub more: usize,
}

impl Source {
    /// The keys under which a source of its kind listens; the first is its own.
    #[must_use]
    pub fn address_keys(&self) -> &'static [&'static str] {
        match self.kind {
            SourceKind::Lines => &["listen"],
            SourceKind::Otlp => &["grpc", "http"],
        }
    }

    /// As a value below `sources`.
    pub(crate) fn node(&self) -> Node {
        let kind = if self.kind == SourceKind::Lines { "lines" } else { "otlp" };
        let address = quoted(&self.listen.to_string());
        mapping(vec![("type", word(kind)), (self.address_keys()[0], address), ("format", self.format.clone())])
    }
}

struct Group {
    transport: Transport,
    listen: Listen,
    formats: Vec<Format>,
    seen: HashSet<String>,
    /// What is there of each shape, and where.
    shapes: BTreeMap<String, Place>,
    first: Place,
    origins: Vec<(Place, String)>,
    more: usize,
}

/// Merges what goes to one address. Addresses of other hosts are listened for on 127.0.0.1, unless
/// a listener says where they arrive.
pub fn gather(wanted: Vec<Wanted>, listeners: &[Listener], findings: &mut Findings<'_>) -> Vec<Source> {
    let mut groups: Vec<Group> = Vec::new();
    let mut told: HashSet<String> = HashSet::new();
    for one in wanted {
        let listen = listen(&one, listeners, &mut told, findings);
        let index = groups.iter().position(|group| group.listen.collides(&listen));
        let index = match index {
            Some(index) if groups[index].transport == one.transport => index,
            Some(index) => {
                let other = findings.line(&groups[index].first);
                let message = format!("{listen} cannot be for lines and for OTLP: the other is at {other}");
                findings.error(&one.place, message, "give one of them another port");
                continue;
            }
            None if groups.len() == SOURCES_MAX => {
                findings.error(&one.place, format!("more than {SOURCES_MAX} addresses"), "give fewer policies at once");
                break;
            }
            None => {
                groups.push(Group::new(one.transport, listen, one.place.clone()));
                groups.len() - 1
            }
        };
        groups[index].add(one, findings);
    }
    for listener in listeners {
        let Listener::For(arrival) = listener else { continue };
        if told.contains(&arrival.target.to_string()) {
            continue;
        }
        let place = Place { file: 0, span: None };
        let message = format!("no policy sends to {}", arrival.target);
        findings.error(&place, message, "write the address as the policy has it");
    }
    named(groups, findings)
}

/// Where to listen for a backend; the first time for each address, what is to be known about it.
fn listen(one: &Wanted, listeners: &[Listener], told: &mut HashSet<String>, findings: &mut Findings<'_>) -> Listen {
    let first = told.insert(one.target.to_string());
    let (listen, own) = one.target.listen();
    if let Some(arrival) = listeners.iter().find_map(|it| it.arrival(&one.target, own)) {
        return arrival.clone();
    }
    if first && !own {
        let message = match &one.target {
            Target::Node { port } => {
                format!("proxies send to port {port} of their node (HOST_IP); logboom listens on {listen}")
            }
            Target::Host { .. } => format!("proxies send to {}; logboom listens on {listen}", one.target),
        };
        let help = format!(
            "if it arrives on another address, say so: `from-policy --listen {}=LISTEN`, or a source of your own on its port",
            one.target
        );
        findings.warning(&one.place, message, help);
    }
    listen
}

impl Group {
    fn new(transport: Transport, listen: Listen, first: Place) -> Group {
        Group {
            transport,
            listen,
            formats: Vec::new(),
            seen: HashSet::new(),
            shapes: BTreeMap::new(),
            first,
            origins: Vec::new(),
            more: 0,
        }
    }

    fn add(&mut self, one: Wanted, findings: &mut Findings<'_>) {
        if self.seen.insert(one.format.text.clone()) {
            if let Some(shape) = &one.format.shape {
                match self.shapes.get(shape) {
                    None => drop(self.shapes.insert(shape.clone(), one.place.clone())),
                    Some(other) => {
                        let message = format!(
                            "what is sent here looks like what {} sends to the same address, and means something else",
                            findings.line(other)
                        );
                        let help = "change a word between the operators of one, or send it to another port";
                        findings.warning(&one.place, message, help);
                    }
                }
            }
            self.formats.push(one.format);
        }
        match self.origins.len() {
            ORIGINS_MAX => self.more += 1,
            _ => self.origins.push((one.place, one.owner)),
        }
    }
}

/// Names say what a source is for and its port; a second one of the same is `-2`.
fn named(groups: Vec<Group>, findings: &Findings<'_>) -> Vec<Source> {
    let mut names: HashSet<String> = HashSet::new();
    let source = |group: Group| {
        let (kind, prefix) = match group.transport {
            Transport::Lines => (SourceKind::Lines, "tcp"),
            Transport::Otlp => (SourceKind::Otlp, "otel"),
        };
        let base = match &group.listen {
            Listen::Tcp { port, .. } => format!("{prefix}-{port}"),
            Listen::Unix(_) => format!("{prefix}-unix"),
            Listen::Systemd(name) => format!("{prefix}-{name}"),
        };
        let name = (1..)
            .map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") })
            .find(|name| names.insert(name.clone()))
            .unwrap_or(base);
        let origins = group.origins.iter().map(|(place, owner)| format!("{} {owner}", findings.line(place))).collect();
        Source { name, kind, listen: group.listen, format: formats(group.formats), origins, more: group.more }
    };
    groups.into_iter().map(source).collect()
}

/// One format as it is, several as a list with `auto` in front.
fn formats(mut formats: Vec<Format>) -> Node {
    formats.sort_by_key(|format| format.shape.is_some());
    let mut nodes: Vec<Node> = formats.into_iter().map(|format| format.node).collect();
    match (nodes.len(), nodes.pop()) {
        (1, Some(node)) => node,
        (_, last) => sequence(nodes.into_iter().chain(last).collect()),
    }
}
