//! A configuration text as a tree of nodes that know where they were written.
//!
//! The text is parsed once. Everything later (substitution, types, checks across fields) works on
//! the tree, so every error can point at the place the user has to change.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};

use super::hide::SECRET_KEYS;
use super::problem::{Problem, shown};

/// Bytes in the text; `None` for what came from the command line.
pub type Span = Option<Range<usize>>;

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What was written.
    pub kind: Kind,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text, a number, nothing: the reader decides by what it needs.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order written, each key once.
    Mapping(Vec<Entry>),
    /// Something that has been complained about: read as nothing, without a second complaint.
    Broken,
}

/// A scalar as text.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The value, substitutions done.
    pub text: String,
    /// Neither quoted nor a block.
    pub plain: bool,
    /// The value before substitution, where there was one. It is what errors show: what was
    /// substituted may be secret.
    pub written: Option<String>,
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub key_span: Span,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// A mapping that was not written in a file.
    pub fn mapping() -> Node {
        Node { span: None, kind: Kind::Mapping(Vec::new()) }
    }

    /// A text that was not written in a file.
    pub fn text(text: &str) -> Node {
        Node { span: None, kind: Kind::Scalar(Scalar { text: text.to_owned(), plain: true, written: None }) }
    }

    /// The entries of a mapping; nothing for other nodes.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of that key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The item of a list, counted from 0.
    fn item(&self, index: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Sequence(items) => items.get(index.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Sets the value at a path of keys, making mappings on the way and replacing what stands there.
    pub fn set(&mut self, path: &[&str], value: Node) {
        let Some((key, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self.kind, Kind::Mapping(_)) {
            *self = Node::mapping();
        }
        if let Kind::Mapping(entries) = &mut self.kind {
            let found = entries.iter().position(|entry| entry.key == *key);
            let index = found.unwrap_or_else(|| {
                entries.push(Entry { key: (*key).to_owned(), key_span: None, value: Node::mapping() });
                entries.len() - 1
            });
            entries[index].value.set(rest, value);
        }
    }

    /// The node at a path, or the deepest one on the way there; and where to point: at the value
    /// when the path was found, else at the key of what was found.
    pub fn locate(&self, path: &[&str]) -> (&Node, Span) {
        let mut node = self;
        let mut span = None;
        for key in path {
            if let Some(entry) = node.entry(key) {
                node = &entry.value;
                span = entry.key_span.clone();
            } else if let Some(item) = node.item(key) {
                node = item;
            } else {
                return (node, span);
            }
        }
        let value = node.span.clone().filter(|range| !range.is_empty() && matches!(node.kind, Kind::Scalar(_)));
        (node, value.or(span))
    }
}

/// Collections inside collections; the deepest key of the contract stands at five.
const DEPTH_MAX: usize = 32;
/// What a tree may weigh: 64 for each node and the bytes of its text. It bounds what aliases can
/// multiply.
const WEIGHT_MAX: usize = 16 << 20;
const NODE_WEIGHT: usize = 64;

/// Reads a text of one document. An error of YAML itself ends the reading; a key written twice is
/// reported and its second value left out.
pub fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    read(text, false, problems).pop()
}

/// Reads a text of any number of documents, in the same way.
pub fn parse_all(text: &str, problems: &mut Vec<Problem>) -> Vec<Node> {
    read(text, true, problems)
}

fn read(text: &str, many: bool, problems: &mut Vec<Problem>) -> Vec<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let events = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { events, anchors: HashMap::new(), weight: 0, secrets: 0, problems };
    let mut roots = Vec::new();
    if let Err(problem) = builder.stream(many, &mut roots) {
        problems.push(problem);
        roots.clear();
    }
    roots
}

struct Builder<'a, 'p> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    /// Finished nodes by anchor, with their weight.
    anchors: HashMap<usize, (Node, usize)>,
    weight: usize,
    /// Secret keys on the way to the node being read.
    secrets: usize,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Builder<'a, '_> {
    fn stream(&mut self, many: bool, roots: &mut Vec<Node>) -> Result<(), Problem> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) if !many && !roots.is_empty() => {
                    return Err(Problem::at(span, "a second document begins here")
                        .help("a configuration is one document: remove the `---`"));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => roots.push(self.node(event, span)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, span.byte_range())),
            Some(Err(error)) => {
                let start = error.marker().byte_offset().unwrap_or(0);
                Err(Problem::at(Some(start..start), format!("this is not YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, None)),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Problem> {
        let weight_before = self.weight;
        self.weigh(NODE_WEIGHT, &span)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), &span)?;
                self.weigh(text.len(), &span)?;
                let plain = style == ScalarStyle::Plain;
                let scalar = Scalar { text: text.into_owned(), plain, written: None };
                (Node { span, kind: Kind::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), &span)?;
                (self.sequence(span)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), &span)?;
                (self.mapping(span)?, anchor)
            }
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor) else {
                    return Err(Problem::at(span, "an alias cannot stand inside what it refers to"));
                };
                let (node, weight) = (node.clone(), *weight);
                self.weigh(weight, &span)?;
                (node, 0)
            }
            _ => return Err(Problem::at(span, "this is not YAML: a value was expected")),
        };
        if anchor != 0 {
            // The copy is weighed too, so the anchors cannot hold more than the tree may.
            let weight = self.weight - weight_before;
            self.weigh(weight, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        Ok(node)
    }

    fn sequence(&mut self, span: Span) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Node { span, kind: Kind::Sequence(items) }),
                (event, at) => items.push(self.node(event, at)?),
            }
        }
    }

    fn mapping(&mut self, span: Span) -> Result<Node, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = HashSet::new();
        loop {
            let (key, key_span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Node { span, kind: Kind::Mapping(entries) }),
                (event, at) => match self.node(event, at)? {
                    Node { kind: Kind::Scalar(key), span } => (key.text, span),
                    node => return Err(Problem::at(node.span, "a key must be a word, not a list or a mapping")),
                },
            };
            let secret = usize::from(SECRET_KEYS.contains(&key.as_str()));
            self.secrets += secret;
            let (event, at) = self.next()?;
            let value = self.node(event, at)?;
            self.secrets -= secret;
            if keys.insert(key.clone()) {
                entries.push(Entry { key, key_span, value });
            } else {
                let message = format!("the key {} is written twice", shown(&key));
                let problem = Problem::at(key_span, message).help("remove one of the two");
                // The second value leaves the tree, so this is the last chance to keep it secret.
                self.problems.push(if self.secrets + secret > 0 { problem.hide(&value) } else { problem });
            }
        }
    }

    fn weigh(&mut self, weight: usize, span: &Span) -> Result<(), Problem> {
        self.weight += weight;
        if self.weight > WEIGHT_MAX {
            return Err(Problem::at(span.clone(), "this is too large once its aliases are expanded"));
        }
        Ok(())
    }
}

fn refuse_tag(tagged: bool, span: &Span) -> Result<(), Problem> {
    match tagged {
        true => Err(Problem::at(span.clone(), "tags have no meaning here").help("remove the `!…` before the value")),
        false => Ok(()),
    }
}
