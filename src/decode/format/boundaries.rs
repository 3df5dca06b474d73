//! The exact way to read a stretch of a line: every place where each slot can begin and end.
//!
//! From the left, the ends that can be reached when all slots before fit; from the right, those of
//! them from which the rest can be reached. A slot with one beginning and one end is certain. Each
//! slot costs one pass over the stretch, and the memory is what [`PLACES_MAX`] says.

use super::class::Class;
use super::time::TimeForm;

/// Most places remembered for a line, 4 bytes each. What needs more is not read: no access log has
/// so many places where a literal could be.
const PLACES_MAX: usize = 1 << 20;

/// Places, reused from line to line.
#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries {
    /// Ends of all slots, one list after the other, each ascending.
    ends: Vec<u32>,
    /// Where the lists end in `ends`.
    lists: Vec<usize>,
    /// Beginnings of one slot.
    begins: Vec<u32>,
    /// Ends of one slot from which the rest can be reached, descending.
    valid: Vec<u32>,
}

/// A slot and the literal behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub class: &'a Class,
    pub after: &'a [u8],
}

impl Boundaries {
    /// Reads `line[start..end]` as slots, of which the last ends at `end` (the literal behind it is
    /// not looked at). True when there is a way; then `found` is called for each slot, from the last
    /// to the first, with its place where that is the same in all ways.
    pub(super) fn read(
        &mut self,
        line: &[u8],
        start: usize,
        end: usize,
        steps: &[Step<'_>],
        mut found: impl FnMut(usize, Option<(usize, usize)>),
    ) -> bool {
        if self.forward(line, start, end, steps).is_none() {
            return false;
        }
        self.valid.clear();
        self.valid.push(end as u32);
        for slot in (0..steps.len()).rev() {
            let slot_end = one(&self.valid);
            self.begins(start, slot, steps);
            let floor = self.begins.first().map_or(start, |it| *it as usize);
            match steps[slot].class {
                Class::Run { .. } => self.backward(line, floor, steps[slot].class),
                Class::Time(form) => self.backward_time(line, end, form),
            }
            found(slot, one(&self.begins).zip(slot_end));
            let literal = slot.checked_sub(1).map_or(0, |before| steps[before].after.len() as u32);
            self.valid.clear();
            self.valid.extend(self.begins.iter().rev().map(|begin| begin - literal));
        }
        true
    }

    /// The ends of each slot that can be reached from the left; `None` when there are none.
    fn forward(&mut self, line: &[u8], start: usize, end: usize, steps: &[Step<'_>]) -> Option<()> {
        self.ends.clear();
        self.lists.clear();
        for (slot, step) in steps.iter().enumerate() {
            self.begins(start, slot, steps);
            let from = self.ends.len();
            let last = slot + 1 == steps.len();
            let ends_at = |at: usize| if last { at == end } else { line[at..end].starts_with(step.after) };
            match step.class {
                Class::Run { bytes, max } => {
                    let mut begins = self.begins.iter().map(|it| *it as usize).peekable();
                    let first = *begins.peek()?;
                    // The nearest beginning, and one past the last byte that the slot cannot hold.
                    let (mut nearest, mut run) = (first, first);
                    for at in first..=end {
                        if at > first && !bytes.has(line[at - 1]) {
                            run = at;
                        }
                        while let Some(begin) = begins.next_if(|begin| *begin <= at) {
                            nearest = begin;
                        }
                        if nearest >= run && at - nearest <= *max && ends_at(at) {
                            self.ends.push(at as u32);
                        }
                    }
                }
                Class::Time(form) => {
                    for begin in &self.begins {
                        let lengths = time_lengths(line, *begin as usize, end, form);
                        self.ends.extend(lengths.filter(|at| ends_at(*at)).map(|at| at as u32));
                    }
                    // Of several beginnings the ends may cross.
                    self.ends[from..].sort_unstable();
                }
            }
            if self.ends.len() == from || self.ends.len() > PLACES_MAX {
                return None;
            }
            self.lists.push(self.ends.len());
        }
        Some(())
    }

    /// The beginnings of a slot: where the literals end that stand behind the slot before it.
    fn begins(&mut self, start: usize, slot: usize, steps: &[Step<'_>]) {
        self.begins.clear();
        let Some(before) = slot.checked_sub(1) else {
            self.begins.push(start as u32);
            return;
        };
        let from = before.checked_sub(1).map_or(0, |it| self.lists[it]);
        let literal = steps[before].after.len() as u32;
        self.begins.extend(self.ends[from..self.lists[before]].iter().map(|end| end + literal));
        self.begins.dedup();
    }

    /// Keeps the beginnings from which a valid end can be reached.
    fn backward(&mut self, line: &[u8], floor: usize, class: &Class) {
        let Class::Run { bytes, max } = class else { return };
        let Boundaries { begins, valid, .. } = self;
        let top = valid.first().map_or(floor, |it| *it as usize);
        let mut ends = valid.iter().map(|it| *it as usize).peekable();
        let mut next = begins.len();
        let mut write = begins.len();
        // The nearest end, and the first byte at or behind the place that the slot cannot hold.
        let (mut nearest, mut wall) = (usize::MAX, usize::MAX);
        for at in (floor..=top).rev() {
            if at < top && !bytes.has(line[at]) {
                wall = at;
            }
            while let Some(end) = ends.next_if(|end| *end >= at) {
                nearest = end;
            }
            // Those behind the last end reach nothing.
            while next > 0 && begins[next - 1] as usize > at {
                next -= 1;
            }
            while next > 0 && begins[next - 1] as usize == at {
                next -= 1;
                if nearest != usize::MAX && nearest <= wall && nearest - at <= *max {
                    write -= 1;
                    begins[write] = at as u32;
                }
            }
        }
        begins.drain(..write);
    }

    fn backward_time(&mut self, line: &[u8], end: usize, form: &TimeForm) {
        let Boundaries { begins, valid, .. } = self;
        let reaches = |at: usize| valid.binary_search_by(|it| (at as u32).cmp(it)).is_ok();
        begins.retain(|begin| time_lengths(line, *begin as usize, end, form).any(reaches));
    }
}

/// Where a time that begins there can end: it, a minus, or nothing.
fn time_lengths(line: &[u8], begin: usize, end: usize, form: &TimeForm) -> impl Iterator<Item = usize> {
    let rest = &line[begin..end];
    let minus = rest.starts_with(b"-").then_some(1);
    let time = form.read(rest).map(|(len, _)| len);
    [Some(0), minus, time].into_iter().flatten().map(move |len| begin + len)
}

fn one(places: &[u32]) -> Option<usize> {
    match places {
        [place] => Some(*place as usize),
        _ => None,
    }
}
