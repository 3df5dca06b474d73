//! Where decoding goes on in a request.
//!
//! A place and not a number of records: to count them again from the front of a request that is out of the
//! cache by then was 80 ns a record, for 500 records of a kilobyte in three parts.

use crate::decode::wire::Piece;
use crate::record::Span;

/// A place between two records of a request, for that request only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Records before it.
    pub(super) records: u32,
    /// Where it is, when that is known; else they are counted, a few nanoseconds each.
    pub(super) at: Option<At>,
}

impl Place {
    /// Records before it.
    #[must_use]
    pub fn records(self) -> u32 {
        self.records
    }
}

impl From<u32> for Place {
    /// Behind so many records.
    fn from(records: u32) -> Place {
        Place { records, at: None }
    }
}

/// Where the next record of a group stands, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The field of the request, and of that the field that it stands in.
    pub(super) resource_logs: usize,
    pub(super) scope_logs: usize,
    pub(super) record: usize,
    pub(super) group: Group,
}

/// What the records of a `ScopeLogs` share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) scope: Option<Piece>,
    pub(super) schema_url: Span,
}
