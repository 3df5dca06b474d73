//! What only Envoy and Kuma know.

use super::Field;
use super::flags::{flag, names};
use super::http::Sizes;
use super::keys::Key;
use super::time::parse_rfc3339;
use super::trace::{self, TraceId};
use super::writer::Writer;
use crate::record::{Span, Value};

impl Writer<'_> {
    /// The attributes `envoy.*`; returns the start, nanoseconds since the epoch.
    #[inline]
    pub(super) fn envoy(&mut self, sizes: Sizes, flags: Option<Span>) -> Option<u64> {
        self.push_sent(Key::RequestId, Field::RequestId);
        let start = self.times();
        self.push_int(Key::Duration, Field::Duration);
        if sizes == Sizes::OfConnection {
            self.push_int(Key::BytesReceived, Field::BytesReceived);
            self.push_int(Key::BytesSent, Field::BytesSent);
        }
        if let Some(flags) = flags {
            self.response_flags(flags);
        }
        self.push_field(Key::CodeDetails, Field::CodeDetails);
        self.push_field(Key::Termination, Field::TerminationDetails);
        self.upstream_host();
        self.push_field(Key::UpstreamCluster, Field::UpstreamCluster);
        self.push_field(Key::UpstreamFailure, Field::UpstreamFailure);
        match self.int(Field::UpstreamServiceTime) {
            Some(it) => self.push(Key::UpstreamTime, Value::Int(it)),
            None => self.push_header_field(Key::UpstreamTimeHeader, Field::UpstreamServiceTime),
        }
        start
    }

    /// Start and end as attributes: a start that is no time the record can hold, and any end.
    #[inline]
    fn times(&mut self) -> Option<u64> {
        let start = match self.fields.get(Field::StartTime) {
            Some(Value::Text(span)) => parse_rfc3339(self.bytes(span)),
            Some(Value::Int(it)) => u64::try_from(it).ok(),
            _ => None,
        };
        if start.is_none() {
            self.push_field(Key::StartTime, Field::StartTime);
        }
        match self.fields.get(Field::EmitTime) {
            Some(Value::Int(it)) => self.push(Key::EmitTimeNano, Value::Int(it)),
            Some(_) => self.push_field(Key::EmitTime, Field::EmitTime),
            None => {}
        }
        start
    }

    /// The list of flags, short names if there are any.
    #[inline]
    pub(super) fn flags(&mut self) -> Option<Span> {
        match self.text(Field::Flags) {
            Some(flags) => Some(flags),
            None => self.text(Field::FlagsLong),
        }
    }

    #[inline]
    fn response_flags(&mut self, list: Span) {
        if self.bytes(list) != b"-" {
            self.push_flags(list);
        }
    }

    #[cold]
    fn push_flags(&mut self, list: Span) {
        if names(self.bytes(list)).next().is_none() {
            return;
        }
        let array = self.tree.open(self.keys.of(Key::Flags), Value::Array { nodes: 0 });
        let mut from = 0;
        // By position, since each name is written into the buffer that the list may stand in.
        while let Some(rest) = self.bytes(list).get(from..).filter(|it| !it.is_empty()) {
            let length = memchr::memchr(b',', rest).unwrap_or(rest.len());
            let name = rest[..length].trim_ascii();
            let known = flag(name);
            let start = from + (rest[..length].len() - rest[..length].trim_ascii_start().len());
            let end = start + name.len();
            let skip = matches!(name, b"" | b"-");
            from += length + 1;
            let text = match known {
                _ if skip => continue,
                Some(it) if it.short.len() != end - start => self.tree.side_text(it.short.as_bytes()),
                _ => list.part(start, end),
            };
            self.tree.push(Span::EMPTY, Value::Text(text));
        }
        self.tree.close(array);
    }

    #[inline]
    fn upstream_host(&mut self) {
        let Some(text) = self.text(Field::UpstreamHost) else { return };
        let address = self.address(text);
        match address.port {
            Some(port) if self.begins_with_ip(text, address.host.clone()) => {
                self.push_part(Key::UpstreamAddress, text, address.host);
                self.push(Key::UpstreamPort, Value::Int(i64::from(port)));
            }
            _ => self.push(Key::UpstreamAddress, Value::Text(text)),
        }
    }

    /// The attributes `kuma.*`. An inbound proxy does not know where traffic comes from: it writes
    /// `unknown` as the service and its own address, which is not repeated as a fact.
    #[inline]
    pub(super) fn kuma(&mut self) {
        self.push_field(Key::Mesh, Field::Mesh);
        self.push_field(Key::Zone, Field::Zone);
        self.push_field(Key::Workload, Field::Workload);
        let direction = self.text(Field::Direction);
        let service = self.text(Field::SourceService);
        let is_unknown = service.is_some_and(|it| self.bytes(it) == b"unknown");
        if !is_unknown {
            self.push_text(Key::SourceService, service);
            if direction.is_none_or(|it| self.bytes(it) != b"INBOUND") {
                self.source_address();
            }
        }
        self.push_field(Key::DestinationService, Field::DestinationService);
        self.push_text(Key::Direction, direction);
    }

    #[inline]
    fn source_address(&mut self) {
        if let Some(text) = self.text(Field::SourceAddress) {
            // The port is 0 always: the control plane writes the address, not the connection.
            let address = self.address(text);
            self.push_part(Key::SourceAddress, text, address.host);
        }
    }

    /// The place in a trace, by the first of what can say it: Envoy's own ids, then headers. What
    /// was not used, because it is no id or of another trace, is an attribute.
    #[inline]
    pub(super) fn trace(&mut self) -> Option<trace::Context> {
        const FIELDS: [Field; 6] =
            [Field::TraceId, Field::SpanId, Field::TraceParent, Field::B3Single, Field::TraceHeader, Field::SpanHeader];
        let present = FIELDS.map(|it| self.fields.get(it).is_some());
        match present {
            [false, false, false, false, false, false] => None,
            // What Kuma's default format has.
            [false, false, false, false, true, false] => {
                let header = self.text(Field::TraceHeader)?;
                let trace = trace::trace_header(self.bytes(header));
                if trace.is_none() {
                    self.push_header(self.keys.of(Key::TraceHeader), header);
                }
                Some(trace::Context { trace: trace?, span: None, flags: 0 })
            }
            _ => self.trace_of_many(FIELDS),
        }
    }

    #[inline(never)]
    fn trace_of_many(&mut self, fields: [Field; 6]) -> Option<trace::Context> {
        let [own, own_span, parent, single, header, header_span] = fields.map(|it| self.text(it));
        let pair = |this: &Self, trace: Option<TraceId>, span: Option<Span>| {
            let span = span.and_then(|it| trace::span_id(this.bytes(it)));
            trace.map(|trace| trace::Context { trace, span, flags: 0 })
        };
        let own_ids = pair(self, own.and_then(|it| trace::trace_id(self.bytes(it))), own_span);
        let parent_ids = parent.and_then(|it| trace::trace_parent(self.bytes(it)));
        let single_ids = single.and_then(|it| trace::b3(self.bytes(it)));
        let header_ids = pair(self, header.and_then(|it| trace::trace_header(self.bytes(it))), header_span);
        let mut used = own_ids.or(parent_ids).or(single_ids).or(header_ids);
        let trace = used.map(|it| it.trace);
        if let (Some(used), Some(parent)) = (&mut used, parent_ids)
            && used.trace == parent.trace
        {
            used.flags = parent.flags;
        }
        let is_used = |ids: Option<trace::Context>| ids.is_some_and(|it| Some(it.trace) == trace);
        let has_span = |ids: Option<trace::Context>| ids.is_some_and(|it| it.span.is_some());
        self.leave(Key::TraceId, own, is_used(own_ids), false);
        self.leave(Key::SpanId, own_span, has_span(own_ids), false);
        self.leave(Key::TraceParent, parent, is_used(parent_ids), true);
        self.leave(Key::B3, single, is_used(single_ids), true);
        self.leave(Key::TraceHeader, header, is_used(header_ids), true);
        self.leave(Key::SpanHeader, header_span, is_used(header_ids) && has_span(header_ids), true);
        used
    }

    #[inline]
    fn leave(&mut self, key: Key, text: Option<Span>, used: bool, header: bool) {
        match text {
            Some(text) if !used && header => self.push_header(self.keys.of(key), text),
            Some(text) if !used => self.push(key, Value::Text(text)),
            _ => {}
        }
    }
}
