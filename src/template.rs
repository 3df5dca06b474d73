//! Placeholder.
/// Placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {}
impl Template {
    /// Placeholder.
    pub fn render(&self, _: &crate::record::RecordRef<'_>, _: &mut String) {}
}
