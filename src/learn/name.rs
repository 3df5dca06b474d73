//! Operators for columns: by the word in front of a value, by its shape, by its place.

use super::columns::Piece;
use super::shape::{self, Shape};
use crate::decode::format::{Format, Reading};
use crate::explain::Probe;

/// An operator, and why it may be another.
pub type Name = (String, Option<&'static str>);

/// The mesh that Kuma makes by itself.
pub const DEFAULT_MESH: &str = "default";

const MESH: &str = "the name of Kuma's default mesh";
const PLACE: &str = "by its place: nothing else says what it is";
const ABSENT: &str = "by its place: it is absent in every line";
const UNKNOWN: &str = "unknown: any operator fits, put in the one that was meant";
const ADDRESS: &str = "an address, perhaps another one";
const SERVICE: &str = "a name beside an arrow";
const SECOND: &str = "a second time, perhaps of something else";

/// Words in front of a value, and what follows them.
const WORDS: &[(&[&str], &str)] = &[
    (&["mesh", "kuma_mesh"], "%KUMA_MESH%"),
    (&["zone", "kuma_zone"], "%KUMA_ZONE%"),
    (&["source", "src", "source_service", "kuma_source_service", "from"], "%KUMA_SOURCE_SERVICE%"),
    (
        &["destination", "dst", "dest", "destination_service", "kuma_destination_service", "to"],
        "%KUMA_DESTINATION_SERVICE%",
    ),
    (&["direction", "traffic_direction"], "%KUMA_TRAFFIC_DIRECTION%"),
    (&["method", "verb"], "%REQ(:METHOD)%"),
    (&["path", "uri", "url"], "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    (&["protocol", "proto"], "%PROTOCOL%"),
    (&["status", "code", "response_code", "status_code"], "%RESPONSE_CODE%"),
    (&["details", "response_code_details"], "%RESPONSE_CODE_DETAILS%"),
    (&["flags", "response_flags"], "%RESPONSE_FLAGS%"),
    (&["received", "bytes_received", "rx", "bytes_in"], "%BYTES_RECEIVED%"),
    (&["sent", "bytes_sent", "tx", "bytes_out", "bytes"], "%BYTES_SENT%"),
    (&["took", "duration", "duration_ms", "dur", "elapsed"], "%DURATION%"),
    (&["upstream_service_time", "upstream_time"], "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    (&["xff", "forwarded", "x_forwarded_for", "forwarded_for"], "%REQ(X-FORWARDED-FOR)%"),
    (&["ua", "agent", "user_agent"], "%REQ(USER-AGENT)%"),
    (&["request_id", "rid", "req_id", "x_request_id"], "%REQ(X-REQUEST-ID)%"),
    (&["authority", "host", "vhost"], "%REQ(:AUTHORITY)%"),
    (&["upstream", "upstream_host"], "%UPSTREAM_HOST%"),
    (&["cluster", "upstream_cluster"], "%UPSTREAM_CLUSTER%"),
    (&["client", "downstream", "remote", "peer"], "%DOWNSTREAM_REMOTE_ADDRESS%"),
    (&["route", "route_name"], "%ROUTE_NAME%"),
    (&["trace_id", "traceid"], "%TRACE_ID%"),
    (&["span_id", "spanid"], "%SPAN_ID%"),
    (&["traceparent"], "%REQ(TRACEPARENT)%"),
    (&["sni", "server_name"], "%REQUESTED_SERVER_NAME%"),
];

/// The numbers that Envoy's own format has behind the response flags, in its order.
const NUMBERS: [&str; 4] = ["%BYTES_RECEIVED%", "%BYTES_SENT%", "%DURATION%", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"];

/// A name for each slot among the pieces, in order.
pub fn all(pieces: &[Piece<'_>]) -> Vec<Name> {
    let mut naming = Naming::default();
    let mut names = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let Piece::Slot(values) = piece else { continue };
        let text = |piece: Option<&Piece<'_>>| match piece {
            Some(Piece::Literal(text)) => text.clone(),
            _ => String::new(),
        };
        let before = text(at.checked_sub(1).and_then(|it| pieces.get(it)));
        names.push(naming.name(values, &before, &text(pieces.get(at + 1))));
    }
    names
}

/// What was named so far.
#[derive(Default)]
struct Naming {
    used: Vec<String>,
    /// Numbers behind the response flags; `None` before the flags.
    numbers: Option<usize>,
    unknown: usize,
}

impl Naming {
    fn name(&mut self, values: &[&str], before: &str, after: &str) -> Name {
        let shape = shape::of_all(values);
        let (operator, doubt) = self.candidate(shape, values, before, after);
        let is_repeated = shape.is_some_and(|it| it != Shape::Time) && self.used.contains(&operator);
        if is_repeated || !suits(&operator, shape, values) {
            return self.unknown();
        }
        if operator.starts_with("%RESPONSE_FLAGS") {
            self.numbers = Some(0);
        }
        self.used.push(operator.clone());
        (operator, doubt)
    }

    fn candidate(&mut self, shape: Option<Shape>, values: &[&str], before: &str, after: &str) -> Name {
        let known = |operator: &str| (operator.to_owned(), None);
        let perhaps = |operator: &str, doubt| (operator.to_owned(), Some(doubt));
        if shape == Some(Shape::Time) {
            return self.time(values);
        }
        if let Some(operator) = by_word(before).filter(|it| !self.uses(it) && suits(it, shape, values)) {
            return known(operator);
        }
        if values.iter().all(|it| *it == DEFAULT_MESH) && !self.uses("%KUMA_MESH%") {
            return perhaps("%KUMA_MESH%", MESH);
        }
        if matches!(shape, None | Some(Shape::Text | Shape::Host)) {
            if before.ends_with('(') && after.starts_with(")->") {
                return perhaps("%KUMA_SOURCE_SERVICE%", SERVICE);
            }
            if before.ends_with('(') && self.uses("%KUMA_SOURCE_SERVICE%") {
                return perhaps("%KUMA_DESTINATION_SERVICE%", SERVICE);
            }
        }
        match shape {
            Some(Shape::Method) => known("%REQ(:METHOD)%"),
            Some(Shape::Path) => known("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
            Some(Shape::Protocol) => known("%PROTOCOL%"),
            Some(Shape::Direction) => known("%KUMA_TRAFFIC_DIRECTION%"),
            Some(Shape::Flags) => known("%RESPONSE_FLAGS%"),
            Some(Shape::FlagsLong) => known("%RESPONSE_FLAGS_LONG%"),
            Some(Shape::Uuid) => known("%REQ(X-REQUEST-ID)%"),
            Some(Shape::TraceParent) => known("%REQ(TRACEPARENT)%"),
            Some(Shape::Hex32) => known("%TRACE_ID%"),
            Some(Shape::Hex16) => known("%REQ(X-B3-TRACEID?X-DATADOG-TRACEID)%"),
            Some(Shape::Agent) => known("%REQ(USER-AGENT)%"),
            Some(Shape::Addresses) => known("%REQ(X-FORWARDED-FOR)%"),
            Some(Shape::Socket) if values.iter().all(|it| it.ends_with(":0")) => known("%KUMA_SOURCE_ADDRESS%"),
            Some(Shape::Address) if after.starts_with('(') => known("%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%"),
            Some(Shape::Socket) => perhaps("%UPSTREAM_HOST%", ADDRESS),
            Some(Shape::Address) if before.ends_with('"') => perhaps("%REQ(X-FORWARDED-FOR)%", ADDRESS),
            Some(Shape::Address) => perhaps("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", ADDRESS),
            Some(Shape::Host) if before.ends_with('"') => perhaps("%REQ(:AUTHORITY)%", PLACE),
            Some(Shape::Status) if !self.uses("%RESPONSE_CODE%") && self.numbers.is_none() => known("%RESPONSE_CODE%"),
            Some(Shape::Status | Shape::Number) if after.starts_with("ms") => known("%DURATION%"),
            Some(Shape::Status | Shape::Number) => self.number(),
            None if self.is_last("%RESPONSE_CODE%") => perhaps("%RESPONSE_FLAGS%", ABSENT),
            None if self.numbers == Some(NUMBERS.len() - 1) => self.number(),
            None if before.ends_with('"') && after.starts_with(' ') => self.request_part(),
            None if after.starts_with('"') && self.is_last("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%") => {
                perhaps("%PROTOCOL%", ABSENT)
            }
            None if self.is_last("%REQ(:METHOD)%") => perhaps("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", ABSENT),
            Some(Shape::Text | Shape::Host | Shape::Time) | None => self.unknown(),
        }
    }

    fn uses(&self, operator: &str) -> bool {
        self.used.iter().any(|it| it == operator)
    }

    fn is_last(&self, operator: &str) -> bool {
        self.used.last().is_some_and(|it| it == operator)
    }

    /// A request line in which nothing was known: `"- - -"`.
    fn request_part(&mut self) -> Name {
        ("%REQ(:METHOD)%".to_owned(), Some(ABSENT))
    }

    fn time(&self, values: &[&str]) -> Name {
        let pattern = values.iter().find_map(|it| shape::strftime(it)).unwrap_or_default();
        let operator = if pattern.is_empty() { "%START_TIME%".to_owned() } else { format!("%START_TIME({pattern})%") };
        let is_second = self.used.iter().any(|it| it.starts_with("%START_TIME"));
        (operator, is_second.then_some(SECOND))
    }

    fn number(&mut self) -> Name {
        while let Some(operator) = self.numbers.and_then(|at| NUMBERS.get(at)) {
            self.numbers = self.numbers.map(|at| at + 1);
            if !self.uses(operator) {
                return ((*operator).to_owned(), Some(PLACE));
            }
        }
        self.unknown()
    }

    /// Envoy refuses names it does not know, so the place holder is a header nobody sends.
    fn unknown(&mut self) -> Name {
        self.unknown += 1;
        (format!("%REQ(X-FIELD-{})%", self.unknown), Some(UNKNOWN))
    }
}

/// True when the values are some that the operator writes: a word in front of them may be meant in
/// another way, and one slot that does not fit makes a format that reads no line.
fn suits(operator: &str, shape: Option<Shape>, values: &[&str]) -> bool {
    let Some(shape) = shape else { return true };
    let looks_so = match operator {
        "%RESPONSE_FLAGS%" => shape == Shape::Flags,
        "%RESPONSE_FLAGS_LONG%" => shape == Shape::FlagsLong,
        "%RESPONSE_CODE%" => shape == Shape::Status,
        "%REQ(:METHOD)%" => shape == Shape::Method,
        "%PROTOCOL%" => shape == Shape::Protocol,
        "%KUMA_TRAFFIC_DIRECTION%" => shape == Shape::Direction,
        _ => true,
    };
    let Ok(format) = Format::compile(operator) else { return false };
    let mut probe = Probe::new(&format);
    let mut fits = |value: &&&str| !matches!(probe.read(value.as_bytes()), Reading::No { .. });
    looks_so && values.iter().filter(&mut fits).count() >= shape::nearly_all(values.len())
}

/// What the last word in front of a value says: `took `, `"bytes_sent":"`, `method=`.
fn by_word(before: &str) -> Option<&'static str> {
    let word = before.trim_end_matches([' ', '"', '\'', '=', ':', '(', '[']);
    let start = word.rfind(|it: char| !it.is_ascii_alphanumeric() && !"_-".contains(it)).map_or(0, |at| at + 1);
    let word = word[start..].to_ascii_lowercase().replace('-', "_");
    WORDS.iter().find(|(words, _)| words.contains(&word.as_str())).map(|(_, operator)| *operator)
}
