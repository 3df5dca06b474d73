//! Why a record was not read.

/// Why a record is kept as it came. It stands in the attribute `logboom.parse_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Looks like JSON, and some bytes are not UTF-8.
    InvalidUtf8,
    /// Not JSON; or more than one value; or a number too large for a double; or half a surrogate
    /// pair.
    InvalidJson,
    /// A JSON value is nested deeper than [`DEPTH_MAX`](super::DEPTH_MAX).
    TooDeep,
    /// JSON, but another kind of value.
    NotAnObject,
    /// No format of the source fits.
    UnknownFormat,
    /// A format fits in more than one way: only what all ways have in common was read.
    Ambiguous,
    /// `null` or `{}`: what kuma-dp sends when everything in a JSON format was absent.
    NoValues,
    /// The word `tcp`: what Kuma 2.11 and later send for passthrough traffic without a format.
    ProtocolName,
}

impl Reason {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Reason; 8] = [
        Reason::InvalidUtf8,
        Reason::InvalidJson,
        Reason::TooDeep,
        Reason::NotAnObject,
        Reason::UnknownFormat,
        Reason::Ambiguous,
        Reason::NoValues,
        Reason::ProtocolName,
    ];

    /// The reason as it stands in the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::InvalidUtf8 => "invalid_utf8",
            Reason::InvalidJson => "invalid_json",
            Reason::TooDeep => "too_deep",
            Reason::NotAnObject => "not_an_object",
            Reason::UnknownFormat => "unknown_format",
            Reason::Ambiguous => "ambiguous",
            Reason::NoValues => "no_values",
            Reason::ProtocolName => "protocol_name",
        }
    }
}
