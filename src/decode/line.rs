//! Placeholder until the decoders are merged.

/// What the framer knows about a line that is not just a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Offset of the line in the payload.
    pub start: u32,
    /// The rest of the line was dropped.
    pub truncated: bool,
    /// The connection ended within the line.
    pub partial: bool,
}
