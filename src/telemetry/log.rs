//! Placeholder.
/// Placeholder.
#[derive(Debug, Default)]
pub struct Quiet {}
impl Quiet {
    /// Placeholder.
    pub fn allow(&self) -> Option<u64> {
        Some(0)
    }
}
