//! Members that are written many at once: what most attributes of a record are.

use super::{FRAGMENT_BLOCK, FRAGMENT_END, FRAGMENT_START, Node, SIDE, Span, Tree, Value, Values};

/// Who writes short members. Each is given the beginning of the member as a block of which so many bytes count,
/// and says whether it has written it.
pub(crate) trait WriteShorts {
    /// A text.
    fn text(&mut self, key: &[u8; FRAGMENT_BLOCK], len: usize, text: Text<'_>) -> bool;
    /// A whole number.
    fn int(&mut self, key: &[u8; FRAGMENT_BLOCK], len: usize, value: i64) -> bool;
    /// A list of one text, as headers are.
    fn list(&mut self, key: &[u8; FRAGMENT_BLOCK], len: usize, text: Text<'_>) -> bool;
}

impl<'a> Values<'a> {
    /// Has members written as long as their keys stand ready and their values are whole numbers, texts, or
    /// lists of one text, and the writer writes them; passes those.
    #[inline(always)]
    pub(crate) fn write_shorts(&mut self, writer: &mut impl WriteShorts) {
        let Tree { nodes, side, plain_side, .. } = self.tree;
        let mut nodes = nodes.get(self.at as usize..self.end as usize).unwrap_or_default();
        let text = |span| Text::of(span, self.raw, side);
        while let [Node { key, value }, rest @ ..] = nodes {
            let len = (key.len as usize).wrapping_add(FRAGMENT_START.len() + FRAGMENT_END.len());
            // Of what does not stand in the side buffer the distance is larger than that.
            let start = key.start.wrapping_sub(SIDE + FRAGMENT_START.len() as u32);
            if start >= *plain_side || len > FRAGMENT_BLOCK {
                break;
            }
            let Some(key) = side.get(start as usize..).and_then(|it| it.first_chunk()) else { break };
            let mut behind = rest;
            let written = match *value {
                Value::Text(span) => text(span).is_some_and(|it| writer.text(key, len, it)),
                Value::Int(it) => writer.int(key, len, it),
                Value::Array { nodes: 1 } => match rest {
                    [Node { value: Value::Text(span), .. }, rest @ ..] => {
                        behind = rest;
                        text(*span).is_some_and(|it| writer.list(key, len, it))
                    }
                    _ => false,
                },
                _ => false,
            };
            if !written {
                break;
            }
            nodes = behind;
        }
        self.at = self.end - nodes.len() as u32;
    }
}

impl Tree {
    /// A text of the record, to be read in blocks.
    #[inline(always)]
    pub(crate) fn onwards<'a>(&'a self, raw: &'a [u8], span: Span) -> Option<Text<'a>> {
        Text::of(span, raw, &self.side)
    }
}

/// A text, and what stands behind it: it can be read in blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// From its first byte to the end of the buffer it stands in.
    pub onwards: &'a [u8],
    /// Its length.
    pub len: usize,
}

impl<'a> Text<'a> {
    /// What stands at a span of the raw bytes or of the side text.
    #[inline(always)]
    pub(super) fn of(span: Span, raw: &'a [u8], side: &'a [u8]) -> Option<Text<'a>> {
        let bytes = if span.start & SIDE != 0 { side } else { raw };
        Some(Text { onwards: bytes.get((span.start & !SIDE) as usize..)?, len: span.len as usize })
    }
}
