//! What a value means, before it has its final name.

use crate::record::{Span, Value};

/// A value whose meaning decides about more than one attribute, or needs another value to be
/// understood. Everything else is an attribute of its own, see [`Target::Attribute`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// Start of the request or connection: nanoseconds since the epoch as [`Value::Int`], or text in
    /// Envoy's default form (RFC 3339, UTC).
    StartTime,
    /// When the line was written; same values. Not the time of the event.
    EmitTime,
    /// `:method`.
    Method,
    /// Path with query: `:path` or `x-envoy-original-path`.
    Path,
    /// Query alone, without the question mark.
    Query,
    /// `HTTP/1.1`, `HTTP/2`, …
    Protocol,
    /// `:scheme`.
    Scheme,
    /// `:authority`: host, or host and port.
    Authority,
    /// Response code; 0 where no response was sent, and for TCP.
    StatusCode,
    /// Response flags, short names, joined by commas; `-` for none.
    Flags,
    /// Response flags, long names, joined by commas; `-` for none.
    FlagsLong,
    /// Response code details.
    CodeDetails,
    /// Bytes of the request body, or received on a TCP connection.
    BytesReceived,
    /// Bytes of the response body, or sent on a TCP connection.
    BytesSent,
    /// Duration in milliseconds; may be negative.
    Duration,
    /// `x-envoy-upstream-service-time`, milliseconds.
    UpstreamServiceTime,
    /// `x-forwarded-for`.
    ForwardedFor,
    /// `user-agent`.
    UserAgent,
    /// `x-request-id`.
    RequestId,
    /// Address of the upstream host, with its port.
    UpstreamHost,
    /// Name of the upstream cluster.
    UpstreamCluster,
    /// Why the connection to the upstream failed.
    UpstreamFailure,
    /// Why the connection was terminated.
    TerminationDetails,
    /// gRPC status as a name (`NotFound`, `NOT_FOUND`) or a number.
    GrpcStatus,
    /// W3C `traceparent`.
    TraceParent,
    /// `x-b3-traceid?x-datadog-traceid`, or either: hex digits of a B3 id or a decimal Datadog id.
    TraceHeader,
    /// `x-b3-spanid`: 16 hex digits.
    SpanHeader,
    /// `b3`: trace id, span id and more in one header.
    B3Single,
    /// Envoy's own trace id: hex digits.
    TraceId,
    /// Envoy's own span id: hex digits.
    SpanId,
    /// Name of the mesh.
    Mesh,
    /// Name of the zone.
    Zone,
    /// Identifier of the workload.
    Workload,
    /// Service the traffic comes from; `unknown` on inbound listeners.
    SourceService,
    /// Service the traffic goes to.
    DestinationService,
    /// Address of the proxy the traffic comes from, with or without a port. On inbound listeners it
    /// is the address of the proxy that writes the log.
    SourceAddress,
    /// `INBOUND`, `OUTBOUND` or `UNSPECIFIED`.
    Direction,
}

impl Field {
    /// Number of fields; at most 64.
    pub const COUNT: usize = Field::Direction as usize + 1;
}

/// How a value is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number, perhaps negative.
    Int,
    /// True or false.
    Bool,
    /// Whatever JSON it is.
    Any,
    /// Text of a header: an attribute with a list of one, as the conventions have it.
    Header,
}

/// Where a value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Together with others: see [`Field`].
    Field(Field),
    /// An attribute of its own.
    Attribute {
        /// Its name.
        name: String,
        /// Its type.
        kind: Kind,
    },
    /// Nowhere: a value that says nothing.
    Nothing,
}

/// What one record says. Reused from record to record; clearing it costs nothing.
#[derive(Clone, Debug)]
pub struct Fields {
    present: u64,
    /// All texts that are bytes as received are ASCII. False when that is not known.
    pub(super) ascii: bool,
    values: [Value; Field::COUNT],
    others: Vec<(Span, Value, Kind)>,
}

impl Default for Fields {
    fn default() -> Self {
        Fields { present: 0, ascii: false, values: [Value::Empty; Field::COUNT], others: Vec::new() }
    }
}

impl Fields {
    /// Forgets everything.
    #[inline]
    pub fn clear(&mut self) {
        self.present = 0;
        self.ascii = false;
        self.others.clear();
    }

    /// Tells that all texts are ASCII, whoever looks at them: it need not be asked for each.
    pub fn set_ascii(&mut self) {
        self.ascii = true;
    }

    /// True when there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.present == 0 && self.others.is_empty()
    }

    /// Sets a field. Absent values (`-`, `null`, an empty text) are not set by the decoders,
    /// except flags, for which `-` means that there were none.
    #[inline]
    pub fn set(&mut self, field: Field, value: Value) {
        self.values[field as usize] = value;
        self.present |= 1 << field as u8;
    }

    /// Forgets a field.
    pub fn unset(&mut self, field: Field) {
        self.present &= !(1 << field as u8);
    }

    /// A field, when it is there.
    #[inline]
    #[must_use]
    pub fn get(&self, field: Field) -> Option<Value> {
        (self.present & 1 << field as u8 != 0).then(|| self.values[field as usize])
    }

    /// As [`Fields::get`], where it stands: a copy goes through memory.
    #[inline]
    pub(super) fn look(&self, field: Field) -> Option<&Value> {
        (self.present & 1 << field as u8 != 0).then(|| &self.values[field as usize])
    }

    /// Adds an attribute of its own: text of its name in the record's tree, value and type. Values
    /// are text as received (or already typed, from JSON); [`apply`](super::apply()) makes them
    /// what the type says, and leaves text that is not of the type as text.
    #[inline]
    pub fn other(&mut self, key: Span, value: Value, kind: Kind) {
        self.others.push((key, value, kind));
    }

    /// Takes over what `other` has; texts go through `moved`, which says where they are now.
    pub fn absorb(&mut self, other: &mut Fields, moved: impl Fn(Span) -> Span) {
        let moved = |value| if let Value::Text(span) = value { Value::Text(moved(span)) } else { value };
        let mut left = other.present;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            self.values[index] = moved(other.values[index]);
            left &= left - 1;
        }
        self.present |= other.present;
        self.others.extend(other.others.drain(..).map(|(key, value, kind)| (key, moved(value), kind)));
        other.present = 0;
    }

    /// Takes over what `other` has and is not here.
    pub fn complete(&mut self, other: &mut Fields) {
        let mut left = other.present & !self.present;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            self.values[index] = other.values[index];
            left &= left - 1;
        }
        self.present |= other.present;
        if !other.others.is_empty() {
            other.others.append(&mut self.others);
            std::mem::swap(&mut self.others, &mut other.others);
        }
        other.present = 0;
    }

    /// True when `other` has a value for all that is here.
    #[must_use]
    pub fn are_within(&self, other: &Fields) -> bool {
        self.present & !other.present == 0 && self.others.is_empty()
    }

    /// The attributes of their own, in the order they were added.
    #[must_use]
    pub fn others(&self) -> &[(Span, Value, Kind)] {
        &self.others
    }
}
