//! Members that are written many at once: what most attributes of a record are.

use super::{FRAGMENT_BLOCK, FRAGMENT_END, FRAGMENT_START, Node, SIDE, Span, Tree, Value, Values};

impl<'a> Values<'a> {
    /// The members that stand first, as long as they are short.
    #[inline]
    pub(crate) fn shorts(&self) -> Shorts<'a> {
        let Tree { nodes, side, plain_side, .. } = self.tree;
        let nodes = nodes.get(self.at as usize..self.end as usize).unwrap_or_default();
        Shorts { nodes: nodes.iter(), raw: self.raw, side, plain_side: *plain_side }
    }

    /// Passes the members that were taken.
    pub(crate) fn skip_to(&mut self, rest: &Shorts<'_>) {
        self.at = self.end - rest.nodes.len() as u32;
    }
}

/// Members as long as their keys stand ready and their values are whole numbers, texts, or lists of one
/// text.
#[derive(Clone, Debug)]
pub(crate) struct Shorts<'a> {
    nodes: std::slice::Iter<'a, Node>,
    raw: &'a [u8],
    side: &'a [u8],
    plain_side: u32,
}

impl<'a> Iterator for Shorts<'a> {
    /// The beginning of the member as a block of which so many bytes count, and the value.
    type Item = (&'a [u8; FRAGMENT_BLOCK], usize, Short<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let Node { key, value } = self.nodes.next()?;
        let len = (key.len as usize).wrapping_add(FRAGMENT_START.len() + FRAGMENT_END.len());
        // Of what does not stand in the side buffer the distance is larger than that.
        let start = key.start.wrapping_sub(SIDE + FRAGMENT_START.len() as u32);
        if start >= self.plain_side || len > FRAGMENT_BLOCK {
            return None;
        }
        let block = self.side.get(start as usize..)?.first_chunk()?;
        let value = match *value {
            Value::Text(span) => Short::Text(self.text(span)?),
            Value::Int(it) => Short::Int(it),
            Value::Array { nodes: 1 } => match self.nodes.next()?.value {
                Value::Text(span) => Short::List(self.text(span)?),
                _ => return None,
            },
            _ => return None,
        };
        Some((block, len, value))
    }
}

impl<'a> Shorts<'a> {
    #[inline(always)]
    fn text(&self, span: Span) -> Option<Text<'a>> {
        Text::of(span, self.raw, self.side)
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

/// A value that most members have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Short<'a> {
    /// Text.
    Text(Text<'a>),
    /// A whole number.
    Int(i64),
    /// A list of one text, as headers are.
    List(Text<'a>),
}
