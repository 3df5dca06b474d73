//! A request that was refused for good, taken apart until only the records at fault are left.
//!
//! Halving costs about two requests per level: one poison record in a thousand is found with
//! twenty. Pieces go out in the order of their records.

use std::ops::Range;

use bytes::Bytes;

use super::split;
use crate::grpc::Segments;
use crate::inbox::{Delivery, Outcome};

/// Refusals in a row, without anything accepted in between, after which pieces are no longer
/// taken apart: it is not single records that the upstream does not like.
const REFUSALS_IN_ROW_MAX: u32 = 64;
/// Refusals of pieces of one batch after which the rest of it is not taken apart any more.
const REFUSALS_PER_BATCH_MAX: u32 = 256;

/// Deliveries that make one request, and how many records of each have failed.
#[derive(Debug)]
pub(super) struct Group {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    delivery: Delivery,
    failed: u64,
    refusals: u32,
}

impl Group {
    pub(super) fn new(deliveries: Vec<Delivery>) -> Group {
        Group { parts: deliveries.into_iter().map(|delivery| Part { delivery, failed: 0, refusals: 0 }).collect() }
    }

    /// Bytes of the whole request.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.delivery.batch.payload.len()).sum()
    }

    /// The whole request.
    pub(super) fn request(&self) -> Segments {
        self.parts.iter().map(|part| part.delivery.batch.payload.clone()).collect()
    }

    /// The whole group as a piece.
    pub(super) fn whole(&self) -> Piece {
        Piece { parts: 0..self.parts.len(), records: None }
    }

    /// The request with only this piece in it.
    pub(super) fn request_for(&self, piece: &Piece) -> Segments {
        let parts = &self.parts[piece.parts.clone()];
        match (&piece.records, parts) {
            // A range is only made where counting went well, so cutting does too; the whole batch
            // would be sent twice rather than not at all.
            (Some(records), [part]) => {
                let payload = &part.delivery.batch.payload;
                Segments::from_iter([split::select(payload, records).map_or_else(|| payload.clone(), Bytes::from)])
            }
            _ => parts.iter().map(|part| part.delivery.batch.payload.clone()).collect(),
        }
    }

    /// Counts `records` of the piece as failed, at most as many as it has. Returns how many.
    pub(super) fn fail(&mut self, piece: &Piece, records: u64) -> u64 {
        let mut left = piece.records.as_ref().map_or(records, |range| records.min(range.len() as u64));
        let before = left;
        for part in &mut self.parts[piece.parts.clone()] {
            let failed = left.min(part.delivery.batch.records - part.failed);
            part.failed += failed;
            left -= failed;
        }
        before - left
    }

    /// Settles every delivery as counted.
    pub(super) fn settle(self) {
        for Part { delivery, failed, .. } in self.parts {
            delivery.settle(match failed {
                0 => Outcome::Done,
                records => Outcome::Refused { records },
            });
        }
    }
}

/// Part of a group: whole batches, or some of the records of one batch.
#[derive(Debug)]
pub(super) struct Piece {
    parts: Range<usize>,
    records: Option<Range<usize>>,
}

/// What is still to be sent of a group that was refused.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    waiting: Vec<Piece>,
    refusals_in_row: u32,
}

impl Pieces {
    /// The next piece, in the order of the records.
    pub(super) fn next(&mut self) -> Option<Piece> {
        self.waiting.pop()
    }

    /// A piece was accepted, at least in part.
    pub(super) fn accepted(&mut self) {
        self.refusals_in_row = 0;
    }

    /// A piece was refused: it is taken apart, or its records have failed. Returns how many have.
    pub(super) fn refused(&mut self, group: &mut Group, piece: Piece) -> u64 {
        self.refusals_in_row = self.refusals_in_row.saturating_add(1);
        match self.halves(group, &piece) {
            Some([first, second]) => {
                self.waiting.extend([second, first]);
                0
            }
            None => group.fail(&piece, u64::MAX),
        }
    }

    fn halves(&self, group: &mut Group, piece: &Piece) -> Option<[Piece; 2]> {
        if self.refusals_in_row >= REFUSALS_IN_ROW_MAX {
            return None;
        }
        let Range { start, end } = piece.parts;
        if end - start > 1 {
            let middle = start + (end - start) / 2;
            return Some([start..middle, middle..end].map(|parts| Piece { parts, records: None }));
        }
        let part = group.parts.get_mut(start)?;
        part.refusals += 1;
        if part.refusals >= REFUSALS_PER_BATCH_MAX {
            return None;
        }
        let records = match &piece.records {
            Some(records) => records.clone(),
            None => 0..split::count(&part.delivery.batch.payload)?,
        };
        if records.len() < 2 {
            return None;
        }
        let middle = records.start + records.len() / 2;
        Some(
            [records.start..middle, middle..records.end]
                .map(|it| Piece { parts: piece.parts.clone(), records: Some(it) }),
        )
    }
}
