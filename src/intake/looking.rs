//! Records that are decoded for nobody but those who look: a few of each payload.

use std::ops::ControlFlow;

use super::{Intake, SCRATCH, SLICE_BYTES};
use crate::batch::Origin;
use crate::decode::Visitor;
use crate::decode::line::{self, LineSettings};
use crate::decode::otlp::{self, RecordCounts, RecordSettings};
use crate::monitor::Watch;
use crate::record::{EnvelopeRef, RecordRef};

impl Intake {
    /// Shows some lines of a payload, which no sink wants decoded.
    pub(super) fn look_at_lines(&self, watch: &mut Watch<'_>, payload: &[u8], records: u64, origin: &Origin) {
        let plan = watch.plan(records);
        let looks = plan.looks.min(records) as usize;
        if looks == 0 && plan.shown == 0 {
            return;
        }
        let peer_address = origin.peer.map(|peer| peer.ip().to_string());
        let settings = self.line_settings(origin, peer_address.as_deref());
        let decode = |lines: &[u8], show: &mut dyn FnMut(&RecordRef<'_>)| {
            let mut visitor = Each { show, left: u64::MAX };
            SCRATCH.with_borrow_mut(|scratch| line::decode(lines, &[], &settings, scratch, &mut visitor));
        };
        if looks as u64 == records {
            let mut look = watch.looks(records);
            slices(payload).for_each(|slice| decode(slice, &mut look));
        } else if looks > 0 {
            let mut look = watch.looks(looks as u64);
            let mut some = Vec::new();
            let part = payload.len() / looks;
            for at in 0..looks {
                // By chance: lines come in patterns.
                let from = part * at + fastrand::usize(..part.max(1));
                some.extend_from_slice(line_behind(payload, from));
                if some.len() >= SLICE_BYTES || at + 1 == looks {
                    decode(&some, &mut look);
                    some.clear();
                }
            }
        }
        if plan.shown > 0 {
            let first = first_lines(payload, plan.shown);
            slices(first).for_each(|slice| decode(slice, &mut |record| watch.show(record)));
        }
    }

    /// Shows some records of a request, which no sink wants decoded.
    pub(super) fn look_at_otlp(&self, watch: &mut Watch<'_>, payload: &[u8], records: u64, origin: &Origin) {
        let plan = watch.plan(records);
        let looks = plan.looks.min(records);
        let settings = self.record_settings(origin);
        let decode = |from: u64, count: u64, show: &mut dyn FnMut(&RecordRef<'_>)| {
            let mut visitor = Each { show, left: count };
            let from = u32::try_from(from).unwrap_or(u32::MAX);
            SCRATCH.with_borrow_mut(|scratch| {
                otlp::decode(payload, from, &settings, scratch, &mut visitor, &mut RecordCounts::default())
            });
        };
        if looks > 0 {
            // Some that follow each other: to pass one costs nearly as much as to look.
            let from = fastrand::u64(0..=records - looks);
            decode(from, looks, &mut watch.looks(looks));
        }
        if plan.shown > 0 {
            decode(0, plan.shown, &mut |record| watch.show(record));
        }
    }

    pub(super) fn line_settings<'a>(&'a self, origin: &Origin, peer_address: Option<&'a str>) -> LineSettings<'a> {
        LineSettings {
            reader: &self.reader,
            peer_address,
            peer_port: origin.peer.map(|peer| peer.port()),
            observed_unix_nano: origin.received_unix_nano,
            redactor: self.redactor.as_deref(),
        }
    }

    pub(super) fn record_settings(&self, origin: &Origin) -> RecordSettings<'_> {
        RecordSettings {
            reader: &self.reader,
            observed_unix_nano: origin.received_unix_nano,
            redactor: self.redactor.as_deref(),
        }
    }
}

/// The payload in slices that end with a line.
fn slices(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = super::slice_end(payload, start);
        let slice = payload.get(start..end).filter(|it| !it.is_empty());
        start = end;
        slice
    })
}

/// The first line that begins at `from` or behind it, or else the first of all.
fn line_behind(payload: &[u8], from: usize) -> &[u8] {
    let start = match from.checked_sub(1) {
        None => 0,
        Some(before) => memchr::memchr(b'\n', payload.get(before..).unwrap_or_default()).map_or(0, |at| from + at),
    };
    let start = if start < payload.len() { start } else { 0 };
    let rest = payload.get(start..).unwrap_or_default();
    memchr::memchr(b'\n', rest).and_then(|end| rest.get(..=end)).unwrap_or(rest)
}

/// So many lines.
fn first_lines(payload: &[u8], count: u64) -> &[u8] {
    let end = memchr::memchr_iter(b'\n', payload).nth(count.saturating_sub(1) as usize);
    end.and_then(|end| payload.get(..=end)).unwrap_or(payload)
}

/// Shows so many records.
struct Each<'a> {
    show: &'a mut dyn FnMut(&RecordRef<'_>),
    left: u64,
}

impl Visitor for Each<'_> {
    fn envelope(&mut self, _: EnvelopeRef<'_>) {}

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        (self.show)(&record);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_behind_a_place() {
        let payload = b"one\ntwo\nthree\n";
        let lines: Vec<_> = (0..payload.len() + 2).map(|from| line_behind(payload, from)).collect();
        for (from, line) in lines.iter().enumerate() {
            let expected: &[u8] = match from {
                0 | 9.. => b"one\n",
                1..=4 => b"two\n",
                _ => b"three\n",
            };
            assert_eq!(*line, expected, "{from}");
        }
        assert_eq!(line_behind(b"one\ntwo", 1), b"two");
        assert_eq!(line_behind(b"", 0), b"");
    }

    #[test]
    fn the_first_lines() {
        let payload = b"one\ntwo\nthree\n";
        for (count, expected) in [(1, &b"one\n"[..]), (2, b"one\ntwo\n"), (3, payload), (9, payload)] {
            assert_eq!(first_lines(payload, count), expected);
        }
        assert_eq!(slices(payload).collect::<Vec<_>>(), [payload]);
        assert_eq!(slices(b"").count(), 0);
        let long = b"abc\n".repeat(60_000);
        assert_eq!(slices(&long).map(<[u8]>::len).sum::<usize>(), long.len());
    }
}
