//! Placeholder.
use std::sync::Arc;
/// Placeholder.
#[derive(Debug)]
pub struct SourceStats {
    name: Arc<str>,
}
/// Placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// x
    Malformed,
    /// x
    TooDeep,
    /// x
    TooLarge,
    /// x
    Overloaded,
    /// x
    Late,
    /// x
    Cancelled,
    /// x
    Internal,
    /// x
    TooManyRecords,
    /// x
    TooManyValues,
    /// x
    RecordTooLarge,
}
/// Placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// x
    InvalidUtf8,
}
/// Placeholder.
#[derive(Debug)]
pub struct Moving {}
impl SourceStats {
    /// x
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(SourceStats { name: name.into() })
    }
    /// x
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
    /// x
    pub fn connection_opened(&self) {}
    /// x
    pub fn connection_closed(&self) {}
    /// x
    pub fn connection_refused(&self) {}
    /// x
    pub fn connection_malformed(&self) {}
    /// x
    pub fn accept_failed(&self) {}
    /// x
    pub fn enter(&self, _: u64, _: u64) -> Moving {
        Moving {}
    }
    /// x
    pub fn lines_raw(&self, _: u64) {}
    /// x
    pub fn lines_decoded(&self, _: &crate::decode::line::LineCounts) {}
    /// x
    pub fn lines_framed(&self, _: u64, _: u64, _: u64) {}
    /// x
    pub fn request_refused(&self, _: Reject) {}
    /// x
    pub fn request(&self, _: tonic::Code) {}
    /// x
    pub fn rejected(&self, _: Reject, _: u64) {}
    /// x
    pub fn repaired(&self, _: Repair, _: u64) {}
}
