//! Literals between slots: a few bytes, looked for at known places.

use memchr::memchr;

/// A literal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Literal {
    bytes: Vec<u8>,
    /// Its first eight bytes as a number, and which of the eight it has: short literals are compared
    /// without a call.
    head: u64,
    mask: u64,
}

impl Literal {
    pub(super) fn new(text: &str) -> Literal {
        let bytes = text.as_bytes().to_vec();
        let (mut head, mut mask) = ([0; 8], [0; 8]);
        for (index, byte) in bytes.iter().take(8).enumerate() {
            head[index] = *byte;
            mask[index] = 0xFF;
        }
        Literal { bytes, head: u64::from_le_bytes(head), mask: u64::from_le_bytes(mask) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its first eight bytes as a number, and which of the eight it has.
    pub(super) fn head(&self) -> (u64, u64) {
        (self.head, self.mask)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when it stands at `at`, and ends at `end` or before.
    #[inline]
    pub(super) fn stands_at(&self, line: &[u8], at: usize, end: usize) -> bool {
        #[cfg(test)]
        super::class::STEPS.set(super::class::STEPS.get() + 1);
        if self.len() > end.saturating_sub(at) {
            return false;
        }
        match line.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(chunk) if u64::from_le_bytes(*chunk) & self.mask != self.head => false,
            Some(_) if self.len() <= 8 => true,
            _ => line.get(at..).is_some_and(|rest| rest.starts_with(&self.bytes)),
        }
    }

    /// True when a text begins with it.
    #[inline]
    pub(super) fn begins(&self, rest: &[u8]) -> bool {
        #[cfg(test)]
        super::class::STEPS.set(super::class::STEPS.get() + 1);
        match rest.first_chunk::<8>() {
            Some(chunk) if u64::from_le_bytes(*chunk) & self.mask != self.head => false,
            Some(_) if self.len() <= 8 => true,
            _ => rest.starts_with(&self.bytes),
        }
    }

    /// The first place of it in `line[from..end]`.
    #[inline]
    pub(super) fn find(&self, line: &[u8], from: usize, end: usize) -> Option<usize> {
        let Some(first) = self.bytes.first() else { return (from <= end).then_some(from) };
        let mut at = from;
        loop {
            at += memchr(*first, line.get(at..end)?)?;
            if self.stands_at(line, at, end) {
                return Some(at);
            }
            at += 1;
        }
    }
}
