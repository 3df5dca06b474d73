//! What a record says, as text, before it has a meaning.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One piece of what an access log says, named after where Envoy or Kuma has it from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    StartTime,
    Method,
    Path,
    Query,
    Protocol,
    Status,
    Flags,
    CodeDetails,
    Termination,
    Failure,
    Cluster,
    Grpc,
    EmitTime,
    EnvoyTrace,
    EnvoySpan,
    Received,
    Sent,
    Duration,
    ServiceTime,
    ForwardedFor,
    UserAgent,
    Trace,
    RequestId,
    Authority,
    Upstream,
    Mesh,
    Zone,
    Source,
    Destination,
    SourceAddress,
    Direction,
}

/// The pieces of one record. What is absent, in any of the ways Envoy has to say so, is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub texts: BTreeMap<Part, String>,
    /// Members of a JSON object that mean nothing to a collector.
    pub others: Map<String, Value>,
}

impl Said {
    /// Adds a piece unless it says that there is none: `-`, or nothing at all. Of flags `-` says that
    /// there were none, which is something.
    pub fn add(&mut self, part: Part, text: &str) {
        if !matches!(text, "" | "-") || (part, text) == (Part::Flags, "-") {
            self.texts.insert(part, text.to_owned());
        }
    }

    /// The same, for a table.
    pub fn with(mut self, part: Part, text: &str) -> Said {
        self.texts.remove(&part);
        self.add(part, text);
        self
    }

    pub fn get(&self, part: Part) -> Option<&str> {
        self.texts.get(&part).map(String::as_str)
    }
}
